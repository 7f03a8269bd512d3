//! What the server's first flight says, read from the head of its stream before that is given up.

use super::hello::Hello;
use crate::wire::tls;

/// How far the server's answer to a ClientHello was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// Whether a ServerHello was.
    pub server_hello: bool,
    /// Whether a certificate in clear was, or in TLS 1.3 the first encrypted record.
    pub certificate: bool,
    /// For which name the certificate is, where that is in clear and not the one that was asked for: the first of several.
    pub other_name: Option<Box<str>>,
}

impl Flight {
    /// Reads the head of the server's stream, after this hello.
    pub(super) fn read(hello: &Hello, head: &[u8]) -> Self {
        let flight = tls::server_flight(head);
        let other = || {
            let names = tls::certificate_names(head)?;
            let first = (*names.first()?).into();
            let asked = hello.name.as_deref()?;
            names.iter().all(|n| !tls::is_for(n, asked)).then_some(first)
        };
        Self {
            server_hello: flight.server_hello.is_some(),
            certificate: flight.certificate || flight.encrypted,
            other_name: if flight.certificate { other() } else { None },
        }
    }
}
