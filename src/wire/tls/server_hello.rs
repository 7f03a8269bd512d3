//! What a server answers: the `ServerHello`, and what its first records are (RFC 8446 §4.1.3, RFC 5246 §7.3).

use smallvec::SmallVec;

use super::super::reader::Reader;
use super::client_hello::Numbers;
use super::extension;
use super::handshake::{First, MESSAGE_HEADER_LEN, Message, first_message};
use super::record::{
    ALERT, APPLICATION_DATA, Alert, CHANGE_CIPHER_SPEC, HANDSHAKE, HEADER_LEN, RecordHeader,
};
use super::{NEVER, Scan, code};

/// The random of a `HelloRetryRequest`: the SHA-256 of that word (RFC 8446 §4.1.3).
pub const HELLO_RETRY_REQUEST_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// The most of a server's stream that [`server_flight`] looks at.
pub const MAX_FLIGHT_LEN: usize = 64 * 1024;

/// A `ServerHello` or `HelloRetryRequest`, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// `legacy_version`.
    pub legacy_version: u16,
    /// Version of the `supported_versions` extension, by which TLS 1.3 is chosen.
    pub selected_version: Option<u16>,
    /// `legacy_session_id_echo`; in TLS 1.2 the identifier of the session.
    pub session_id: SmallVec<[u8; 32]>,
    /// Cipher suite chosen.
    pub cipher_suite: Option<u16>,
    /// Types of the extensions, in wire order.
    pub extensions: Numbers,
    /// ALPN protocol chosen, where it is in clear (TLS 1.2 and before).
    pub alpn: Option<SmallVec<[u8; 16]>>,
    /// Whether it is a `HelloRetryRequest`: the client shall send another hello.
    pub hello_retry_request: bool,
    /// Whether all of the message was there and could be read.
    pub complete: bool,
}

impl ServerHello {
    /// The version that the connection will speak.
    pub fn version(&self) -> u16 {
        self.selected_version.unwrap_or(self.legacy_version)
    }

    /// Whether what follows is encrypted from here on, certificate included.
    ///
    /// Version numbers 0x7fNN are those of the drafts of TLS 1.3.
    pub fn is_tls13(&self) -> bool {
        self.version() == code::TLS13 || self.version() >> 8 == 0x7f
    }
}

/// Reads the `ServerHello` at the start of a server's stream.
///
/// A warning may come before it, as from servers that do not know the name but answer all the same (RFC 6066 §3).
/// A server that refuses sends a fatal alert instead; that is [`Scan::NotTls`] here and seen by [`server_flight`].
pub fn server_hello(stream: &[u8]) -> Scan<ServerHello> {
    let message = match first_message(after_warnings(stream), code::SERVER_HELLO) {
        First::Message(message) => message,
        First::Short(need) => return Scan::Incomplete { partial: None, need },
        First::Other if may_be_warning(stream) => return Scan::Incomplete { partial: None, need: 1 },
        First::Other => return Scan::NotTls,
    };
    let Message { body, need, .. } = message;
    let Some((mut hello, well_formed)) = read(&body) else {
        return if need == 0 || need == NEVER {
            Scan::NotTls
        } else {
            Scan::Incomplete { partial: None, need }
        };
    };
    hello.complete = need == 0 && well_formed;
    if hello.complete {
        Scan::Complete(hello)
    } else {
        Scan::Incomplete { partial: Some(hello), need: if need == 0 { NEVER } else { need } }
    }
}

/// Length of a record with a clear alert.
const ALERT_RECORD_LEN: usize = HEADER_LEN + 2;

/// The most warnings before a `ServerHello` that are passed over.
const MAX_WARNINGS: usize = 4;

/// The stream without the clear alerts of level "warning" that it starts with.
fn after_warnings(stream: &[u8]) -> &[u8] {
    let mut rest = stream;
    for _ in 0..MAX_WARNINGS {
        let Some((record, after)) = rest.split_at_checked(ALERT_RECORD_LEN) else { break };
        let [ALERT, 3, 0..=4, 0, 2, 1, _] = *record else { break };
        rest = after;
    }
    rest
}

/// Whether all that is left after the warnings is the start of another.
fn may_be_warning(stream: &[u8]) -> bool {
    const START: [u8; 6] = [ALERT, 3, 3, 0, 2, 1];
    let rest = after_warnings(stream);
    rest.len() < ALERT_RECORD_LEN
        && rest.iter().zip(START).enumerate().all(|(n, (&b, s))| b == s || (n == 2 && b <= 4))
}

/// Reads a `ServerHello`'s body up to where it is, and says whether that was its end. At least the version must be
/// there.
fn read(body: &[u8]) -> Option<(ServerHello, bool)> {
    let mut r = Reader::new(body);
    let mut hello = ServerHello { legacy_version: r.u16()?, ..ServerHello::default() };
    let mut rest = || {
        hello.hello_retry_request = r.array::<32>()? == HELLO_RETRY_REQUEST_RANDOM;
        // Drafts of TLS 1.3 before the 22nd had neither session identifier nor compression method here.
        let draft = hello.legacy_version >> 8 == 0x7f;
        if !draft {
            let length = r.u8()?;
            hello.session_id = r.sub_lax(usize::from(length)).0.rest().into();
        }
        hello.cipher_suite = Some(r.u16()?);
        if !draft {
            r.u8()?;
        }
        if r.is_empty() {
            return Some(true); // before TLS 1.3 extensions may be absent
        }
        let length = r.u16()?;
        let (block, whole) = r.sub_lax(usize::from(length));
        let filled = extension::walk(block, |mut e| {
            hello.extensions.push(e.kind);
            match e.kind {
                code::SUPPORTED_VERSIONS if hello.selected_version.is_none() => {
                    hello.selected_version = e.body.u16();
                }
                code::ALPN if hello.alpn.is_none() => hello.alpn = extension::protocols(e.body, 1).pop(),
                _ => {}
            }
        });
        Some(whole && filled)
    };
    let well_formed = rest().unwrap_or(false);
    Some((hello, well_formed))
}

/// What the first records of a server's stream are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // facts side by side, not a state
pub struct ServerFlight {
    /// The `ServerHello`, as far as it could be read.
    pub server_hello: Option<ServerHello>,
    /// Whether a Certificate message starts in clear (TLS 1.2 and before).
    pub certificate: bool,
    /// Whether a `ServerHelloDone` is in clear (TLS 1.2 and before): the server's flight arrived whole.
    pub server_hello_done: bool,
    /// Whether a `ChangeCipherSpec` is there. In TLS 1.3 it means nothing (RFC 8446 appendix D.4).
    pub change_cipher_spec: bool,
    /// Whether a record that must be encrypted starts.
    pub encrypted: bool,
    /// Whether a record of type alert starts.
    pub alert_seen: bool,
    /// The first alert that is in clear.
    pub alert: Option<Alert>,
    /// How many records start.
    pub records: usize,
    /// Offset of the first byte where a record should start and none does.
    pub not_tls_at: Option<usize>,
}

/// Summarises the first [`MAX_FLIGHT_LEN`] bytes of a server's stream, as far as they are there.
///
/// Time is linear in the stream, and nothing but the `ServerHello` is kept.
pub fn server_flight(stream: &[u8]) -> ServerFlight {
    let stream = &stream[..stream.len().min(MAX_FLIGHT_LEN)];
    let mut flight =
        ServerFlight { server_hello: server_hello(stream).into_seen(), ..ServerFlight::default() };
    let tls13 = flight.server_hello.as_ref().is_some_and(ServerHello::is_tls13);
    let mut messages = MessageWalker::default();
    let mut r = Reader::new(stream);
    let mut hello_over = false;
    while !r.is_empty() {
        let at = stream.len() - r.remaining();
        let mut ahead = r;
        let Some(header) = ahead.array::<HEADER_LEN>().map(RecordHeader::from_bytes) else { break };
        if !header.is_possible() {
            flight.not_tls_at = Some(at);
            break;
        }
        flight.records += 1;
        let (body, whole) = ahead.sub_lax(usize::from(header.length));
        r = ahead;
        match header.content_type {
            CHANGE_CIPHER_SPEC => flight.change_cipher_spec = true,
            ALERT => {
                flight.alert_seen = true;
                let clear = if whole { Alert::parse(Reader::rest(&mut { body })) } else { None };
                flight.alert = flight.alert.or(clear);
            }
            HANDSHAKE => {
                // After a ChangeCipherSpec (TLS 1.2) a handshake record is the encrypted Finished. A TLS 1.3
                // server never sends one in clear but its hello; a second hello follows a retry request.
                if flight.change_cipher_spec && !tls13 {
                    flight.encrypted = true;
                } else {
                    messages.feed(body, |kind| match kind {
                        code::CERTIFICATE if !tls13 => flight.certificate = true,
                        code::SERVER_HELLO_DONE => flight.server_hello_done = true,
                        code::SERVER_HELLO => hello_over = true,
                        _ => {}
                    });
                }
            }
            APPLICATION_DATA => flight.encrypted |= hello_over || flight.change_cipher_spec,
            _ => {}
        }
    }
    flight
}

/// Follows the headers of handshake messages over records, passing over their bodies.
#[derive(Default)]
struct MessageWalker {
    /// Header bytes gathered so far.
    header: [u8; MESSAGE_HEADER_LEN],
    /// `have` < 4.
    have: usize,
    /// Bytes of message body still to pass.
    skip: usize,
}

impl MessageWalker {
    /// Calls `on` with the type of each message whose header ends in `body`.
    fn feed(&mut self, mut body: Reader<'_>, mut on: impl FnMut(u8)) {
        while !body.is_empty() {
            let passed = self.skip.min(body.remaining());
            body.sub_lax(passed);
            self.skip -= passed;
            while self.skip == 0 && self.have < MESSAGE_HEADER_LEN {
                let Some(b) = body.u8() else { return };
                self.header[self.have] = b;
                self.have += 1;
            }
            if self.skip == 0 {
                let [kind, a, b, c] = self.header;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                self.have = 0;
                on(kind);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::tls as make;
    use proptest::prelude::*;

    fn complete(stream: &[u8]) -> ServerHello {
        match server_hello(stream) {
            Scan::Complete(hello) => hello,
            other => panic!("not complete: {other:?}"),
        }
    }

    #[test]
    fn the_version_is_that_of_the_extension() {
        let tls13 = complete(&make::record(22, 0x0303, &make::server_hello_13(0x1302, &[1, 2])));
        assert_eq!((tls13.version(), tls13.is_tls13()), (0x0304, true));
        assert_eq!((tls13.cipher_suite, &tls13.session_id[..]), (Some(0x1302), &[1, 2][..]));
        let tls12 = complete(&make::record(22, 0x0303, &make::server_hello_12(0xc02f, &[])));
        assert_eq!((tls12.version(), tls12.is_tls13()), (0x0303, false));
        assert_eq!((&tls12.extensions[..], tls12.alpn.as_deref()), (&[0xff01, 16][..], Some(&b"h2"[..])));
        assert!(!tls12.hello_retry_request);
    }

    #[test]
    fn a_retry_request_is_known_by_its_random() {
        use sha2::Digest as _;
        assert_eq!(HELLO_RETRY_REQUEST_RANDOM[..], sha2::Sha256::digest(b"HelloRetryRequest")[..]);
        let message = make::server_hello(&HELLO_RETRY_REQUEST_RANDOM, 0x1301, &[], &[(43, vec![3, 4])]);
        let hello = complete(&make::record(22, 0x0303, &message));
        assert!(hello.hello_retry_request && hello.is_tls13());
    }

    #[test]
    fn a_refusal_is_an_alert() {
        let stream = make::alert(2, 112);
        assert_eq!(server_hello(&stream), Scan::NotTls);
        let flight = server_flight(&stream);
        assert_eq!(flight.alert.and_then(Alert::name), Some("unrecognized_name"));
        assert_eq!((flight.records, flight.server_hello, flight.not_tls_at), (1, None, None));
    }

    #[test]
    fn a_warning_may_come_first() {
        let mut stream = make::alert(1, 112);
        let warned = stream.len();
        stream.extend(make::record(22, 0x0303, &make::server_hello_12(0xc02f, &[])));
        assert_eq!(complete(&stream).cipher_suite, Some(0xc02f));
        for there in 0..warned {
            assert!(
                matches!(server_hello(&stream[..there]), Scan::Incomplete { partial: None, .. }),
                "{there}"
            );
        }
        let flight = server_flight(&stream);
        assert!(flight.server_hello.is_some_and(|h| h.complete));
        assert_eq!(flight.alert, Some(Alert { level: 1, description: 112 }));
        assert_eq!(server_hello(&make::alert(1, 112).repeat(9)), Scan::NotTls);
    }

    #[test]
    fn a_flight_of_tls12_shows_its_certificate() {
        let mut stream = make::server_flight_12(40_000);
        let flight = server_flight(&stream);
        assert!(
            flight.certificate && flight.server_hello_done && !flight.change_cipher_spec && !flight.encrypted
        );
        stream.extend(make::record(20, 0x0303, &[1]));
        stream.extend(make::record(22, 0x0303, &[0xee; 40]));
        stream.extend(make::record(21, 0x0303, &[0xee; 26]));
        let flight = server_flight(&stream);
        assert!(flight.change_cipher_spec && flight.encrypted && flight.alert_seen);
        assert_eq!(flight.alert, None);
    }

    #[test]
    fn a_flight_of_tls13_hides_its_certificate() {
        let flight = server_flight(&make::server_flight_13(3000));
        assert!(flight.server_hello.as_ref().is_some_and(ServerHello::is_tls13));
        assert!(!flight.certificate && flight.change_cipher_spec && flight.encrypted && !flight.alert_seen);
        assert_eq!(flight.records, 3);
    }

    #[test]
    fn what_is_no_record_is_told() {
        let mut stream = make::record(22, 0x0303, &make::server_hello_13(0x1301, &[]));
        let at = stream.len();
        stream.extend(b"HTTP/1.1 200 OK");
        assert_eq!(server_flight(&stream).not_tls_at, Some(at));
        assert_eq!(server_flight(b"HTTP/1.1 200 OK").not_tls_at, Some(0));
    }

    proptest! {
        #[test]
        fn a_flight_is_the_same_in_any_records(length in 1_usize..300, certificate in 0_usize..2000) {
            let mut messages = make::server_hello_12(0xc02f, &[9; 32]);
            messages.extend(make::message(11, &vec![0x30; certificate]));
            messages.extend(make::message(14, &[]));
            let flight = server_flight(&make::records(22, 0x0303, &messages, &[length]));
            prop_assert!(flight.certificate && flight.server_hello_done);
            prop_assert!(flight.server_hello.is_some_and(|h| h.complete));
        }

        #[test]
        fn any_cut_is_survived(cut in 0_usize..3200) {
            let stream = make::server_flight_13(3000);
            let there = cut.min(stream.len());
            let _ = server_flight(&stream[..there]);
            if let Scan::Incomplete { need, .. } = server_hello(&stream[..there]) {
                prop_assert!(need >= 1 && there + need <= stream.len());
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (server_flight(&bytes), server_hello(&bytes));
            let _ = server_flight(&make::record(22, 0x0303, &make::message(2, &body)));
        }
    }
}
