//! Numbers, stated and not judged: pure functions over what the flow room has learnt.

pub mod hops;
pub mod keyed;
pub mod summary;

pub use summary::Summary;
