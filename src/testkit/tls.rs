//! TLS bytes as peers send them, made to order: hellos of any shape, records of any size, alerts.

use crate::wire::tls::code;

/// The client random of every hello made here.
pub const CLIENT_RANDOM: [u8; 32] = [0xc1; 32];
/// The server random of every `ServerHello` made here that is no retry request.
pub const SERVER_RANDOM: [u8; 32] = [0x5e; 32];

/// A `ClientHello` to be made. The default is that of a small TLS 1.3 client.
#[derive(Clone, Debug)]
pub struct Hello {
    /// `legacy_version`.
    pub version: u16,
    /// `legacy_session_id`.
    pub session_id: Vec<u8>,
    /// Cipher suites, in order.
    pub ciphers: Vec<u16>,
    /// Extensions with their bodies, in order; `None` leaves the whole block out.
    pub extensions: Option<Vec<(u16, Vec<u8>)>>,
}

impl Default for Hello {
    fn default() -> Self {
        Self::bare()
            .with(code::SUPPORTED_GROUPS, list16(&[0x001d, 0x0017]))
            .with(code::EC_POINT_FORMATS, vec![1, 0])
            .with(code::SIGNATURE_ALGORITHMS, list16(&[0x0403, 0x0804]))
            .with(code::SUPPORTED_VERSIONS, list8(&[code::TLS13, code::TLS12]))
            .with(code::KEY_SHARE, key_share(&[(0x001d, 32)]))
    }
}

impl Hello {
    /// A hello with two cipher suites and no extensions.
    pub fn bare() -> Self {
        Self {
            version: code::TLS12,
            session_id: vec![0x11; 32],
            ciphers: vec![0x1301, 0x1302],
            extensions: None,
        }
    }

    /// The default hello, asking for `name`.
    pub fn to(name: &str) -> Self {
        let mut hello = Self::default();
        hello.extensions.get_or_insert_default().insert(0, (code::SERVER_NAME, server_name(name.as_bytes())));
        hello
    }

    /// A hello of the shape that browsers have had since 2024: GREASE, ALPN, a post-quantum key share of 1,216
    /// bytes and an Encrypted Client Hello, 1,700 bytes and more in all, so that it spans two segments.
    pub fn post_quantum(name: &str) -> Self {
        Self { ciphers: vec![0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f], ..Self::bare() }
            .with(0x1a1a, Vec::new())
            .with(code::KEY_SHARE, key_share(&[(0x2a2a, 1), (0x11ec, 1216), (0x001d, 32)]))
            .with(code::SERVER_NAME, server_name(name.as_bytes()))
            .with(code::ALPN, alpn(&[b"h2", b"http/1.1"]))
            .with(code::SUPPORTED_GROUPS, list16(&[0x2a2a, 0x11ec, 0x001d, 0x0017]))
            .with(code::EC_POINT_FORMATS, vec![1, 0])
            .with(code::SESSION_TICKET, Vec::new())
            .with(code::SIGNATURE_ALGORITHMS, list16(&[0x0403, 0x0804, 0x0401]))
            .with(code::SUPPORTED_VERSIONS, list8(&[0x3a3a, code::TLS13, code::TLS12]))
            .with(code::ENCRYPTED_CLIENT_HELLO, ech_outer(0x2a, 208))
            .with(0x4a4a, vec![0])
    }

    /// The same hello with one more extension at its end.
    #[must_use]
    pub fn with(mut self, kind: u16, body: Vec<u8>) -> Self {
        self.extensions.get_or_insert_default().push((kind, body));
        self
    }

    /// The handshake message, its header included.
    pub fn message(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend(CLIENT_RANDOM);
        body.extend(prefixed8(&self.session_id));
        body.extend(list16(&self.ciphers));
        body.extend([1, 0]); // the null compression method
        if let Some(extensions) = &self.extensions {
            body.extend(extension_block(extensions));
        }
        message(code::CLIENT_HELLO, &body)
    }

    /// The message in one record, as clients send it.
    pub fn record(&self) -> Vec<u8> {
        record(22, 0x0301, &self.message())
    }

    /// The message in records whose bodies have the given lengths, over and over until it is all there.
    pub fn records(&self, lengths: &[usize]) -> Vec<u8> {
        records(22, 0x0301, &self.message(), lengths)
    }
}

/// A `ServerHello` message of TLS 1.2.
pub fn server_hello_12(cipher: u16, session_id: &[u8]) -> Vec<u8> {
    server_hello(&SERVER_RANDOM, cipher, session_id, &[(0xff01, vec![0]), (code::ALPN, alpn(&[b"h2"]))])
}

/// A `ServerHello` message of TLS 1.3.
pub fn server_hello_13(cipher: u16, session_id: &[u8]) -> Vec<u8> {
    let share = [&[0x00, 0x1d, 0x00, 0x20][..], &[0x99; 32]].concat();
    let version = code::TLS13.to_be_bytes().to_vec();
    server_hello(
        &SERVER_RANDOM,
        cipher,
        session_id,
        &[(code::SUPPORTED_VERSIONS, version), (code::KEY_SHARE, share)],
    )
}

/// A `ServerHello` message with this random and these extensions.
pub fn server_hello(
    random: &[u8; 32],
    cipher: u16,
    session_id: &[u8],
    extensions: &[(u16, Vec<u8>)],
) -> Vec<u8> {
    let mut body = code::TLS12.to_be_bytes().to_vec();
    body.extend(random);
    body.extend(prefixed8(session_id));
    body.extend(cipher.to_be_bytes());
    body.push(0);
    body.extend(extension_block(extensions));
    message(code::SERVER_HELLO, &body)
}

/// A server's first flight in TLS 1.2: hello, a certificate-shaped message of `certificate_len` bytes, and the end.
pub fn server_flight_12(certificate_len: usize) -> Vec<u8> {
    let mut messages = server_hello_12(0xc02f, &[7; 32]);
    messages.extend(message(code::CERTIFICATE, &vec![0x30; certificate_len]));
    messages.extend(message(code::SERVER_HELLO_DONE, &[]));
    records(22, code::TLS12, &messages, &[1 << 14])
}

/// A server's first flight in TLS 1.3: hello, `ChangeCipherSpec`, and `encrypted_len` bytes of encrypted record.
pub fn server_flight_13(encrypted_len: usize) -> Vec<u8> {
    let mut out = record(22, code::TLS12, &server_hello_13(0x1301, &[0x11; 32]));
    out.extend(record(20, code::TLS12, &[1]));
    out.extend(records(23, code::TLS12, &vec![0xe5; encrypted_len], &[1 << 14]));
    out
}

/// An alert in clear, in its record.
pub fn alert(level: u8, description: u8) -> Vec<u8> {
    record(21, code::TLS12, &[level, description])
}

/// One record.
pub fn record(content_type: u8, version: u16, body: &[u8]) -> Vec<u8> {
    let mut out = vec![content_type];
    out.extend(version.to_be_bytes());
    out.extend(prefixed16(body));
    out
}

/// Records whose bodies have the given lengths, over and over until all of `body` is there.
///
/// # Panics
///
/// Panics if all lengths are 0.
pub fn records(content_type: u8, version: u16, body: &[u8], lengths: &[usize]) -> Vec<u8> {
    assert!(lengths.iter().any(|&n| n > 0), "records without bodies carry nothing");
    let mut out = Vec::new();
    let mut rest = body;
    for &length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(length.min(rest.len()));
        out.extend(record(content_type, version, now));
        rest = later;
    }
    out
}

/// One handshake message.
///
/// # Panics
///
/// Panics if the body is 16 MiB long or longer.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("shorter than 16 MiB").to_be_bytes();
    [&[kind][..], &length[1..], body].concat()
}

/// Body of a `server_name` extension with one host name.
pub fn server_name(name: &[u8]) -> Vec<u8> {
    prefixed16(&[&[0][..], &prefixed16(name)].concat())
}

/// Body of an ALPN extension.
pub fn alpn(protocols: &[&[u8]]) -> Vec<u8> {
    prefixed16(&protocols.iter().flat_map(|p| prefixed8(p)).collect::<Vec<_>>())
}

/// Body of a client's `key_share` extension, with keys of the given lengths.
pub fn key_share(shares: &[(u16, usize)]) -> Vec<u8> {
    let share = |&(group, length): &(u16, usize)| {
        [&u16::to_be_bytes(group)[..], &prefixed16(&vec![0x5a; length])].concat()
    };
    prefixed16(&shares.iter().flat_map(share).collect::<Vec<_>>())
}

/// Body of an `encrypted_client_hello` extension in an outer hello.
pub fn ech_outer(config_id: u8, payload_len: usize) -> Vec<u8> {
    let mut body = vec![0, 0, 1, 0, 1, config_id];
    body.extend(prefixed16(&[0x77; 32]));
    body.extend(prefixed16(&vec![0x88; payload_len]));
    body
}

/// 16-bit numbers with a 16-bit length before them.
pub fn list16(numbers: &[u16]) -> Vec<u8> {
    prefixed16(&numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<_>>())
}

/// 16-bit numbers with an 8-bit length before them.
pub fn list8(numbers: &[u16]) -> Vec<u8> {
    prefixed8(&numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<_>>())
}

fn extension_block(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let one = |(kind, body): &(u16, Vec<u8>)| [&kind.to_be_bytes()[..], &prefixed16(body)].concat();
    prefixed16(&extensions.iter().flat_map(one).collect::<Vec<_>>())
}

fn prefixed8(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("fits its length field");
    [&[length][..], bytes].concat()
}

fn prefixed16(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("fits its length field");
    [&length.to_be_bytes()[..], bytes].concat()
}
