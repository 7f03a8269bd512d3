//! Caps on the rate: models that compete for the same packets.
//!
//! A [`series::Series`] is one direction's packets with what became of each. A policer drops what exceeds a token
//! bucket ([`policer`]), a shaper delays it ([`queue`]); chance drops without either ([`bucket::chance`]). All state
//! how well they foretell the same packets, and `detect::cap` weighs them. Rates and depths count bytes of IP packets.

pub mod bucket;
pub mod policer;
pub mod queue;
pub mod series;
pub mod steady;
pub mod transfer;

pub use transfer::{Fits, Transfer, Transfers};
