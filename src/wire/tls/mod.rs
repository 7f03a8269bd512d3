//! TLS as an observer without keys sees it: record headers, the two hello messages, alerts sent in clear.
//!
//! References: RFC 8446 (TLS 1.3), RFC 5246 (TLS 1.2), RFC 6066 (server name), RFC 7301 (ALPN), RFC 8701 (GREASE),
//! RFC 9849 (Encrypted Client Hello). Views only describe; whether a peer would accept the bytes is not asked.

mod certificate;
pub mod client_hello;
pub mod code;
mod extension;
pub mod fingerprint;
mod handshake;
pub mod record;
pub mod records;
pub mod server_hello;

pub use certificate::{certificate_names, is_for};
pub use client_hello::{ClientHello, Ech, EchKind, Name, client_hello, client_hello_message};
pub use fingerprint::{Ja3, Ja4, Transport, ja3, ja4};
pub use record::{Alert, RecordHeader, is_swapped};
pub use records::{RecordEvent, RecordWalker};
pub use server_hello::{ServerFlight, ServerHello, server_flight, server_hello};

/// [`Scan::Incomplete`]'s `need` where the message is damaged: no number of further bytes completes it.
pub const NEVER: usize = usize::MAX;

/// What a stream that may still be growing holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scan<T> {
    /// The message, all of whose bytes were there and could be read.
    Complete(T),
    /// The message is not all there, or is damaged.
    Incomplete {
        /// What could be read, if anything could. A name is in it only if all bytes of the name are there.
        partial: Option<T>,
        /// How many more bytes of stream are needed at least, [`NEVER`] if none help.
        ///
        /// A caller that does not ask again before so many have come asks a number of times that grows with the
        /// logarithm of the message's length, however finely it is cut into segments and records.
        need: usize,
    },
    /// The stream does not start with such a message.
    NotTls,
}

impl<T> Scan<T> {
    /// The message, complete or as far as it could be read.
    pub fn into_seen(self) -> Option<T> {
        match self {
            Self::Complete(t) => Some(t),
            Self::Incomplete { partial, .. } => partial,
            Self::NotTls => None,
        }
    }
}
