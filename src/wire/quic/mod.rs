//! QUIC as an observer without keys sees it: headers, and Initial packets, which are encrypted with keys that
//! everybody can derive.
//!
//! References: RFC 8999 (what all versions share), RFC 9000 (v1), RFC 9001 §5 (Initial secrets), RFC 9369 (v2), the
//! drafts 22 to 34. Google's own QUIC is recognised by its version and not read.

mod frame;
mod header;
mod initial;
mod version;

pub use frame::{Frame, Frames};
pub use header::{Kind, Long, MAX_CID, Negotiation, Packet, Packets, packets, speaks_quic};
pub use initial::{Keys, Refused, initial_keys};
pub use version::Version;
