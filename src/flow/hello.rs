//! What is kept of a ClientHello, over TCP or QUIC, once it is read: the rest of it would outweigh its connection.

use crate::base::Timestamp;
use crate::wire::tls::{self, ClientHello, Ja3, Ja4, Transport};

/// What a ClientHello says that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Server name, in lower case.
    pub name: Option<Box<str>>,
    /// Whether that is the outer name of an Encrypted Client Hello.
    pub ech: bool,
    /// First ALPN protocol.
    pub alpn: Option<Box<str>>,
    /// JA3 hash; only of a complete hello.
    pub ja3: Option<Ja3>,
    /// JA4 fingerprint; only of a complete hello.
    pub ja4: Option<Ja4>,
    /// Highest TLS version offered.
    pub version: u16,
    /// Length of the message.
    pub len: usize,
    /// Whether all of it was seen.
    pub complete: bool,
    /// The frame that completed it, or the last that added to it.
    pub frame: u64,
    /// When that was captured.
    pub at: Timestamp,
}

impl Hello {
    /// What is kept of `hello`, to which `frame` was the last to add.
    pub(super) fn new(hello: ClientHello, over: Transport, frame: u64, at: Timestamp) -> Self {
        let alpn = hello.alpn_text().next().map(String::into_boxed_str);
        Self {
            ech: hello.ech.is_some(),
            alpn,
            ja3: tls::ja3(&hello),
            ja4: tls::ja4(&hello, over),
            version: hello.offered_version(),
            name: hello.server_name.map(|n| n.folded.into_boxed_str()),
            len: hello.handshake_len,
            complete: hello.complete,
            frame,
            at,
        }
    }
}
