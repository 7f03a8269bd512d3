//! Words that every room uses: time, sequence numbers, endpoints, and text that came out of a capture.

pub mod endpoint;
pub mod parallel;
pub mod replace;
pub mod seq;
pub mod text;
pub mod time;

pub use endpoint::{Direction, Endpoint};
pub use seq::SeqNum;
pub use time::{Span, Timestamp};
