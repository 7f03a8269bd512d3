//! What bytes on the wire say, read without judging it.
//!
//! Everything here works on borrowed bytes, keeps no state between calls (except where a type is named for it),
//! allocates only what it returns, and neither panics nor loops longer than its input is long. Input is hostile:
//! a capture holds what an attacker, a broken middlebox or a short snap length left there, so a reader says what
//! could be read and that the rest is missing, rather than nothing.

pub mod checksum;
pub mod decode;
pub mod dns;
pub mod http;
pub mod ip;
mod link;
mod next;
pub mod quic;
mod quoted;
pub mod reader;
mod stop;
pub mod tcp;
pub mod tls;
pub mod udp;
mod wifi;

pub use decode::{Packet, Payload};
pub use quoted::Quoted;
pub use stop::Stop;
