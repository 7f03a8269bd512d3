//! Numbers, stated and not judged: pure functions over what the flow room has learnt.

pub mod cap;
pub mod datagrams;
pub mod dns;
pub mod hops;
pub mod keyed;
pub mod plateau;
pub mod quic;
pub mod refused;
pub mod size;
pub mod stall;
pub mod summary;

pub use quic::QuicSummary;
pub use summary::{Summaries, Summary};
