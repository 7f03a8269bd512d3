//! Claims, each with its evidence.
//!
//! A detector turns what the rooms below have measured into [`finding::Evidence`]: a claim in words, the packets, a
//! weight with its source. A verdict is the sum, with a prior and with gates that cap it.

pub mod answer;
pub mod cap;
pub mod dns;
pub mod finding;
pub mod name;
pub mod registry;
pub mod reset;
pub mod weights;

pub use finding::{
    Alternative, Cap, Controls, Evidence, Finding, KeyedOn, Level, Mechanism, Residual, Trigger, Verdict,
};
