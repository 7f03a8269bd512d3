//! A capture written again with the findings as comments on the packets that decide them. Copies; decides nothing.
//!
//! Whoever opens the copy in Wireshark sees what the report says: `frame.comment contains "[pinchpoint]"`.

mod comments;
mod copy;
mod excerpt;

pub use comments::{Comments, MARK};
pub use copy::{Copied, Error, Keep, copy};
pub use excerpt::Excerpt;
