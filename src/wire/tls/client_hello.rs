//! The `ClientHello`: what a client asks for, and from whom, in clear (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2).
//!
//! The message is joined over records and read from whatever prefix of the stream is there. A complete message is
//! taken apart by `tls-parser`; the extension block is walked here, because one odd extension must not hide the
//! server name. A hello that a snap length or a gap cut short, or that is damaged, is read leniently up to there.

use smallvec::SmallVec;
use tls_parser::parse_tls_handshake_client_hello;

use super::super::reader::Reader;
use super::extension::{self, Extension};
use super::handshake::{First, Message, bare_message, first_message};
use super::{NEVER, Scan, code};
use crate::base::text::lossless;

/// The most bytes of a server name that are kept. A DNS name has at most 253 characters.
pub const MAX_NAME_LEN: usize = 255;

/// The most ALPN protocols that are kept. Clients send two or three.
pub const MAX_PROTOCOLS: usize = 64;

/// Numbers of two bytes in wire order; clients send no more than some thirty of a kind.
pub type Numbers = SmallVec<[u16; 32]>;

/// ALPN protocols; clients send two or three.
pub type Protocols = SmallVec<[SmallVec<[u8; 16]>; 3]>;

/// A `ClientHello`, as far as it could be read.
///
/// Lists have wire order and hold what was sent, GREASE values included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // facts side by side, not a state
pub struct ClientHello {
    /// `legacy_version`; [`Self::offered_version`] is the version that the client wants.
    pub legacy_version: u16,
    /// `legacy_session_id`, which the server of a TLS 1.3 connection echoes.
    pub session_id: SmallVec<[u8; 32]>,
    /// Cipher suites.
    pub cipher_suites: Numbers,
    /// Types of the extensions.
    pub extensions: Numbers,
    /// Host name of the first `server_name` extension that has one.
    ///
    /// With Encrypted Client Hello this is the public name of the outer hello, not the server that is meant.
    pub server_name: Option<Name>,
    /// ALPN protocols, the first [`MAX_PROTOCOLS`] of them. Opaque bytes: RFC 7301 does not say that they are text.
    pub alpn: Protocols,
    /// Versions of the `supported_versions` extension.
    pub supported_versions: Numbers,
    /// Groups of the `supported_groups` extension.
    pub supported_groups: Numbers,
    /// Schemes of the `signature_algorithms` extension.
    pub signature_algorithms: Numbers,
    /// Formats of the `ec_point_formats` extension.
    pub ec_point_formats: SmallVec<[u8; 8]>,
    /// Groups for which a key was sent along.
    pub key_share_groups: Numbers,
    /// Encrypted Client Hello. A client without a configuration sends one that decrypts to nothing (RFC 9849 §6.2,
    /// "GREASE ECH"); to an observer the two are the same.
    pub ech: Option<Ech>,
    /// Whether the encrypted server name of the drafts before ECH is there.
    pub esni: bool,
    /// Whether any list holds a value that RFC 8701 reserves.
    pub grease: bool,
    /// Whether a `session_ticket` extension is there, with a ticket or without.
    pub session_ticket: bool,
    /// Whether a `pre_shared_key` extension is there: in TLS 1.3 the sign of a resumed session.
    pub psk: bool,
    /// How many records hold the part that was read; 0 for a message that came without records.
    pub record_count: usize,
    /// Length of the message as its header has it.
    pub handshake_len: usize,
    /// Whether all of the message was there and could be read.
    pub complete: bool,
}

impl ClientHello {
    /// The highest version offered: of `supported_versions` without GREASE, else the legacy version.
    pub fn offered_version(&self) -> u16 {
        let offered = self.supported_versions.iter().copied().filter(|&v| !code::is_grease(v));
        offered.max().unwrap_or(self.legacy_version)
    }

    /// Whether an extension of this type is there.
    pub fn has_extension(&self, kind: u16) -> bool {
        self.extensions.contains(&kind)
    }

    /// The ALPN protocols as text, anything that is not UTF-8 shown as `\xNN`.
    pub fn alpn_text(&self) -> impl Iterator<Item = String> {
        self.alpn.iter().map(|p| lossless(p))
    }

    /// Takes up what one extension says. Of two of a kind, which a peer refuses (RFC 8446 §4.2), the first counts
    /// that says anything.
    fn take_up(&mut self, Extension { kind, mut body }: Extension<'_>) {
        self.extensions.push(kind);
        match kind {
            code::ALPN if self.alpn.is_empty() => self.alpn = extension::protocols(body, MAX_PROTOCOLS),
            code::EC_POINT_FORMATS if self.ec_point_formats.is_empty() => {
                let length = body.u8().unwrap_or(0);
                self.ec_point_formats = body.sub_lax(usize::from(length)).0.rest().into();
            }
            code::ENCRYPTED_CLIENT_HELLO if self.ech.is_none() => self.ech = Ech::parse(body),
            code::ENCRYPTED_SERVER_NAME => self.esni = true,
            code::KEY_SHARE if self.key_share_groups.is_empty() => {
                self.key_share_groups = extension::key_share_groups(body);
            }
            code::PRE_SHARED_KEY => self.psk = true,
            code::SERVER_NAME if self.server_name.is_none() => {
                self.server_name = extension::host_name(body).map(Name::new);
            }
            code::SESSION_TICKET => self.session_ticket = true,
            code::SIGNATURE_ALGORITHMS if self.signature_algorithms.is_empty() => {
                self.signature_algorithms = extension::list16(body);
            }
            code::SUPPORTED_GROUPS if self.supported_groups.is_empty() => {
                self.supported_groups = extension::list16(body);
            }
            code::SUPPORTED_VERSIONS if self.supported_versions.is_empty() => {
                self.supported_versions = extension::list8(body);
            }
            _ => {}
        }
    }

    /// Whether any list holds a GREASE value; RFC 8701 §3 has two-byte ALPN names for it too.
    fn holds_grease(&self) -> bool {
        let lists = [
            &self.cipher_suites,
            &self.extensions,
            &self.supported_versions,
            &self.supported_groups,
            &self.signature_algorithms,
            &self.key_share_groups,
        ];
        lists.into_iter().flatten().any(|&c| code::is_grease(c))
            || self
                .alpn
                .iter()
                .any(|p| matches!(p[..], [a, b] if code::is_grease(u16::from_be_bytes([a, b]))))
    }
}

/// A host name that a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name as sent, what is not UTF-8 as `\xNN`. Untrusted: see [`crate::base::text::Untrusted`].
    pub text: String,
    /// The name to group by: ASCII letters in lower case, without a final dot.
    pub folded: String,
    /// Whether the name was longer than [`MAX_NAME_LEN`] bytes, of which the first are kept.
    pub cut: bool,
}

impl Name {
    /// The name that `bytes` spell.
    pub fn new(bytes: &[u8]) -> Self {
        let kept = &bytes[..bytes.len().min(MAX_NAME_LEN)];
        let text = lossless(kept);
        let folded = text.strip_suffix('.').unwrap_or(&text).to_ascii_lowercase();
        Self { text, folded, cut: kept.len() < bytes.len() }
    }
}

/// An `encrypted_client_hello` extension (RFC 9849 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ech {
    /// Which hello carries it.
    pub kind: EchKind,
    /// `config_id` of an outer hello.
    pub config_id: Option<u8>,
    /// Length of the encrypted inner hello in an outer one.
    pub payload_len: Option<u16>,
}

impl Ech {
    /// The extension's body, of which at least the type must be there.
    fn parse(mut body: Reader<'_>) -> Option<Self> {
        let kind = match body.u8()? {
            0 => EchKind::Outer,
            1 => EchKind::Inner,
            other => EchKind::Other(other),
        };
        let mut ech = Self { kind, config_id: None, payload_len: None };
        if kind == EchKind::Outer && body.u32().is_some() {
            // The four bytes are the HPKE suite: KDF and AEAD.
            ech.config_id = body.u8();
            let enc = body.u16().and_then(|n| body.take(usize::from(n)));
            ech.payload_len = enc.and_then(|_| body.u16());
        }
        Some(ech)
    }
}

/// `ECHClientHelloType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchKind {
    /// 0: the hello in clear, with an encrypted one inside or random bytes in its place.
    Outer,
    /// 1: the inner hello, which is never in clear on the wire unless a client errs.
    Inner,
    /// A type that RFC 9849 does not define.
    Other(u8),
}

/// Reads the `ClientHello` at the start of a client's stream.
///
/// `stream` holds the bytes from the first one on, in order, as far as they are there.
pub fn client_hello(stream: &[u8]) -> Scan<ClientHello> {
    scan(first_message(stream, code::CLIENT_HELLO))
}

/// Reads a `ClientHello` that stands without records, as in the CRYPTO frames of QUIC (RFC 9001 §4.1.3).
pub fn client_hello_message(bytes: &[u8]) -> Scan<ClientHello> {
    scan(bare_message(bytes, code::CLIENT_HELLO))
}

fn scan(first: First<'_>) -> Scan<ClientHello> {
    match first {
        First::Message(message) => scan_message(&message),
        First::Short(need) => Scan::Incomplete { partial: None, need },
        First::Other => Scan::NotTls,
    }
}

fn scan_message(message: &Message<'_>) -> Scan<ClientHello> {
    let whole = message.need == 0;
    let read = if whole { read_complete(&message.body) } else { None };
    let complete = read.is_some();
    let Some(mut hello) = read.or_else(|| read_leniently(&message.body)) else {
        // Not even a version, and no more to come.
        let damaged = whole || message.need == NEVER;
        return if damaged { Scan::NotTls } else { Scan::Incomplete { partial: None, need: message.need } };
    };
    hello.record_count = message.records;
    hello.handshake_len = message.length;
    hello.grease = hello.holds_grease();
    hello.complete = complete;
    match (complete, whole) {
        (true, _) => Scan::Complete(hello),
        (false, true) => Scan::Incomplete { partial: Some(hello), need: NEVER },
        (false, false) => Scan::Incomplete { partial: Some(hello), need: message.need },
    }
}

/// Reads a message that is all there and whose extensions fill their block.
fn read_complete(body: &[u8]) -> Option<ClientHello> {
    let (rest, contents) = parse_tls_handshake_client_hello(body).ok()?;
    // The parser passes over an extension block that is longer than the message. Bytes after the block are a
    // matter of the peer's patience (RFC 2246 §7.4.1.2 allowed them).
    if contents.ext.is_none() && !rest.is_empty() {
        return None;
    }
    let mut hello = ClientHello {
        legacy_version: contents.version.0,
        session_id: contents.session_id.unwrap_or_default().into(),
        cipher_suites: contents.ciphers.into_iter().map(|c| c.0).collect(),
        ..ClientHello::default()
    };
    let block = contents.ext.unwrap_or_default();
    extension::walk(Reader::new(block), |e| hello.take_up(e)).then_some(hello)
}

/// Reads a message that is cut short or damaged, up to where it is. At least the version must be there.
fn read_leniently(body: &[u8]) -> Option<ClientHello> {
    let mut r = Reader::new(body);
    let mut hello = ClientHello { legacy_version: r.u16()?, ..ClientHello::default() };
    let mut rest = || {
        let random = r.array::<32>()?;
        let _ = random;
        let length = r.u8()?;
        hello.session_id = r.sub_lax(usize::from(length)).0.rest().into();
        let length = r.u16()?;
        hello.cipher_suites = extension::numbers(r.sub_lax(usize::from(length)).0);
        let length = r.u8()?;
        r.sub_lax(usize::from(length));
        let length = r.u16()?;
        let block = r.sub_lax(usize::from(length)).0;
        extension::walk(block, |e| hello.take_up(e));
        Some(())
    };
    let _ = rest();
    Some(hello)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::tls as make;
    use crate::testkit::tls::Hello;
    use proptest::prelude::*;

    fn complete(stream: &[u8]) -> ClientHello {
        match client_hello(stream) {
            Scan::Complete(hello) => hello,
            other => panic!("not complete: {other:?}"),
        }
    }

    /// The hello without what depends on how it was cut into records.
    fn content(hello: ClientHello) -> ClientHello {
        ClientHello { record_count: 0, ..hello }
    }

    fn name_of(hello: &ClientHello) -> Option<&str> {
        hello.server_name.as_ref().map(|n| n.text.as_str())
    }

    #[test]
    fn a_browser_hello_is_read_whole() {
        let hello = complete(&Hello::post_quantum("Example.COM.").record());
        assert_eq!(
            hello.server_name,
            Some(Name { text: "Example.COM.".into(), folded: "example.com".into(), cut: false })
        );
        assert_eq!((hello.legacy_version, hello.offered_version()), (code::TLS12, code::TLS13));
        assert_eq!(hello.session_id[..], [0x11; 32]);
        assert_eq!(hello.cipher_suites[..], [0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f]);
        assert_eq!(hello.extensions[..], [0x1a1a, 51, 0, 16, 10, 11, 35, 13, 43, 0xfe0d, 0x4a4a]);
        assert_eq!(hello.alpn_text().collect::<Vec<_>>(), ["h2", "http/1.1"]);
        assert_eq!(hello.supported_versions[..], [0x3a3a, code::TLS13, code::TLS12]);
        assert_eq!(hello.supported_groups[..], [0x2a2a, 0x11ec, 0x001d, 0x0017]);
        assert_eq!(hello.key_share_groups[..], [0x2a2a, 0x11ec, 0x001d]);
        assert_eq!(hello.signature_algorithms[..], [0x0403, 0x0804, 0x0401]);
        assert_eq!(hello.ec_point_formats[..], [0]);
        assert_eq!(
            hello.ech,
            Some(Ech { kind: EchKind::Outer, config_id: Some(0x2a), payload_len: Some(208) })
        );
        assert!(hello.grease && hello.session_ticket && hello.complete);
        assert!(!hello.esni && !hello.psk);
        assert_eq!(
            (hello.record_count, hello.handshake_len),
            (1, Hello::post_quantum("Example.COM.").message().len() - 4)
        );
    }

    #[test]
    fn a_hello_of_ssl3_has_no_extensions() {
        let hello = Hello { version: 0x0300, session_id: vec![], ..Hello::bare() };
        let read = complete(&make::record(22, 0x0300, &hello.message()));
        assert_eq!((read.offered_version(), read.extensions.len(), read.server_name), (0x0300, 0, None));
    }

    #[test]
    fn other_streams_are_not_tls() {
        for stream in [
            &b"GET / HTTP/1.1"[..],
            b"\x16\x02\x00\x00\x05",
            b"\x15\x03\x01\x00\x02\x02\x28",
            b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
            b"\x80\x2e\x01\x03\x01",
        ] {
            assert_eq!(client_hello(stream), Scan::NotTls, "{stream:?}");
        }
        assert_eq!(client_hello(b""), Scan::Incomplete { partial: None, need: 9 });
        assert_eq!(client_hello(b"\x16\x03"), Scan::Incomplete { partial: None, need: 7 });
    }

    #[test]
    fn an_odd_extension_hides_no_other() {
        let hello = Hello::bare()
            .with(code::SUPPORTED_GROUPS, vec![0xff, 0xff, 0x00])
            .with(code::ALPN, vec![0x00])
            .with(code::KEY_SHARE, vec![0, 9, 0, 29, 0xff, 0xff])
            .with(code::SERVER_NAME, make::server_name(b"a.example"))
            .with(code::ENCRYPTED_CLIENT_HELLO, vec![1])
            .with(code::ENCRYPTED_SERVER_NAME, vec![])
            .with(code::PRE_SHARED_KEY, vec![]);
        let hello = complete(&hello.record());
        assert_eq!(name_of(&hello), Some("a.example"));
        assert_eq!(hello.ech.map(|e| e.kind), Some(EchKind::Inner));
        assert_eq!(hello.key_share_groups[..], [29]);
        assert!(hello.esni && hello.psk);
    }

    #[test]
    fn only_a_host_name_is_a_name() {
        let other_first = [&[0, 15][..], &[7, 0, 2, b'n', b'o'], &[0, 0, 7], b"b.local"].concat();
        for (body, name) in [
            (vec![], None),
            (make::server_name(b""), None),
            (vec![0, 5, 1, 0, 2, b'n', b'o'], None),
            (other_first, Some("b.local")),
            (make::server_name(b"\xff\x1b"), Some("\\xff\u{1b}")),
        ] {
            let hello = complete(&Hello::bare().with(code::SERVER_NAME, body).record());
            assert_eq!((name_of(&hello), hello.has_extension(0)), (name, true));
        }
        let long = complete(&Hello::to(&"a".repeat(5000)).record()).server_name.unwrap();
        assert_eq!((long.text.len(), long.cut), (MAX_NAME_LEN, true));
    }

    #[test]
    fn the_first_of_two_names_counts() {
        let hello = Hello::to("first.example").with(code::SERVER_NAME, make::server_name(b"second.example"));
        assert_eq!(name_of(&complete(&hello.record())), Some("first.example"));
    }

    #[test]
    fn a_damaged_hello_still_has_its_name() {
        // A session identifier longer than 32 bytes, an odd list of ciphers, and an extension that runs over.
        let long_id = Hello { session_id: vec![0; 33], ..Hello::to("a.example") }.record();
        let mut odd = Hello { ciphers: vec![0x1301], ..Hello::to("a.example") }.record();
        odd[5 + 4 + 2 + 32 + 33 + 1] = 1; // one byte of cipher list: what follows is out of step, and no name is made up
        let mut over = Hello::to("a.example").record();
        let last = over.len() - 38 - 4; // the key share, last in the block
        over[last + 3] = 0xff;
        for (stream, name) in [(long_id, Some("a.example")), (odd, None), (over, Some("a.example"))] {
            let Scan::Incomplete { partial: Some(hello), need } = client_hello(&stream) else { panic!() };
            assert_eq!((name_of(&hello), need, hello.complete), (name, NEVER, false));
        }
    }

    #[test]
    fn another_record_ends_the_message() {
        let mut stream = Hello::to("a.example").records(&[120]);
        let second = 5 + 120;
        stream.truncate(second);
        let Scan::Incomplete { partial: Some(before), need } = client_hello(&stream) else { panic!() };
        assert_eq!((name_of(&before), need > 0 && need != NEVER), (Some("a.example"), true));
        stream.extend(make::alert(2, 40));
        let Scan::Incomplete { partial: Some(after), need } = client_hello(&stream) else { panic!() };
        assert_eq!((name_of(&after), need), (Some("a.example"), NEVER));
    }

    #[test]
    fn empty_records_are_passed_over_but_not_for_ever() {
        let hello = Hello::to("a.example");
        assert_eq!(complete(&hello.records(&[0, 40])).record_count, hello.message().len().div_ceil(40) * 2);
        let endless = make::record(22, 0x0301, &[]).repeat(5000);
        assert_eq!(client_hello(&endless), Scan::NotTls);
    }

    #[test]
    fn asking_when_told_to_is_cheap() {
        let stream = Hello::post_quantum("a.example").records(&[1]);
        let (mut there, mut asked) = (0, 0);
        loop {
            asked += 1;
            match client_hello(&stream[..there]) {
                Scan::Complete(_) => break,
                Scan::Incomplete { need, .. } => there += need,
                Scan::NotTls => panic!(),
            }
        }
        assert!(asked < 60, "{asked} calls for {} bytes", stream.len());
    }

    #[test]
    fn a_message_without_records_is_read_too() {
        let hello = Hello::post_quantum("q.example");
        let bare = client_hello_message(&hello.message()).into_seen().unwrap();
        assert_eq!((bare.record_count, bare.complete), (0, true));
        assert_eq!(bare, content(complete(&hello.record())));
        assert_eq!(client_hello_message(&[2, 0]), Scan::NotTls);
    }

    fn any_hello() -> impl Strategy<Value = Hello> {
        (any::<bool>(), "[a-z]{1,20}\\.[a-z]{2,5}")
            .prop_map(|(large, name)| if large { Hello::post_quantum(&name) } else { Hello::to(&name) })
    }

    proptest! {
        #[test]
        fn any_split_into_records_gives_the_same_hello(hello in any_hello(), lengths in prop::collection::vec(1_usize..200, 1..6)) {
            let whole = content(complete(&hello.record()));
            prop_assert_eq!(content(complete(&hello.records(&lengths))), whole);
        }

        /// A cut hello has the name or none, its lists begin as the whole ones do, and `need` promises nothing false.
        #[test]
        fn a_cut_hello_invents_nothing(hello in any_hello(), lengths in prop::collection::vec(1_usize..300, 1..4), one: bool, cut: prop::sample::Index) {
            let stream = if one { hello.record() } else { hello.records(&lengths) };
            let whole = complete(&stream);
            let there = cut.index(stream.len());
            let Scan::Incomplete { partial, need } = client_hello(&stream[..there]) else {
                return Err(TestCaseError::fail("a cut hello is incomplete"));
            };
            prop_assert!(need >= 1 && there + need <= stream.len());
            if let Some(part) = partial {
                prop_assert!(part.server_name.is_none() || part.server_name == whole.server_name);
                prop_assert!(whole.cipher_suites.starts_with(&part.cipher_suites));
                prop_assert!(whole.extensions.starts_with(&part.extensions));
                prop_assert!(whole.alpn.starts_with(&part.alpn));
                prop_assert!(whole.supported_groups.starts_with(&part.supported_groups));
                prop_assert!(!part.complete);
            }
        }

        /// The name is reported from the very byte that completes it.
        #[test]
        fn the_name_is_seen_as_soon_as_it_is_there(hello in any_hello()) {
            let stream = hello.record();
            let name = complete(&stream).server_name.unwrap();
            let end = stream.windows(name.text.len()).position(|w| w == name.text.as_bytes()).unwrap() + name.text.len();
            let seen = |n: usize| client_hello(&stream[..n]).into_seen().and_then(|h| h.server_name);
            prop_assert_eq!(seen(end - 1), None);
            prop_assert_eq!(seen(end), Some(name));
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, tail in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = client_hello(&bytes);
            let _ = client_hello_message(&bytes);
            let _ = client_hello(&make::record(22, 0x0301, &make::message(1, &tail)));
        }

        #[test]
        fn any_damage_is_survived(hello in any_hello(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let mut stream = hello.record();
            for (at, byte) in damage {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
            let _ = client_hello(&stream);
        }
    }
}
