//! Packets become connections.
//!
//! [`table::FlowTable`] finds the connection of a segment, [`connection::Connection`] takes it, and each of its two
//! [`half::Half`]s keeps one direction's sequence space and header habits. Facts only: nothing here judges.

pub mod application;
pub mod bulk;
pub mod community_id;
pub mod connection;
pub mod defrag;
pub mod dns;
pub mod exchange;
pub mod flight;
pub mod foreign;
pub mod half;
pub mod head;
pub mod hello;
pub mod history;
pub mod key;
pub mod progress;
pub mod quic;
pub mod refusal;
pub mod reset;
pub mod segment;
pub mod series;
pub mod signature;
mod slots;
pub mod table;
mod tombstones;
pub mod udp;
pub mod volume;

#[cfg(test)]
pub(crate) mod testing;

pub use bulk::Bulk;
pub use connection::{Connection, Stage};
pub use half::Half;
pub use segment::{Kind, Segment};
