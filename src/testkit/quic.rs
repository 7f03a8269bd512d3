//! QUIC packets as peers send them, made to order: Initials of any version with any frames, sealed; the other headers.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes128Gcm, Nonce};

use crate::base::Direction;
use crate::wire::quic::{Kind, Version, initial_keys};

/// An Initial packet to be made.
#[derive(Clone, Debug)]
pub struct Initial {
    /// Version.
    pub version: Version,
    /// Who sends it.
    pub direction: Direction,
    /// The client's first destination connection ID, which the keys come from.
    pub key_dcid: Vec<u8>,
    /// Destination connection ID in the header.
    pub dcid: Vec<u8>,
    /// Source connection ID in the header.
    pub scid: Vec<u8>,
    /// Token.
    pub token: Vec<u8>,
    /// Packet number.
    pub number: u32,
    /// How many bytes of it are sent, 1 to 4.
    pub number_len: usize,
    /// Frames, PADDING included.
    pub payload: Vec<u8>,
}

impl Initial {
    /// A client's first, without frames yet.
    pub fn from_client(version: Version, dcid: &[u8]) -> Self {
        Self {
            version,
            direction: Direction::ToServer,
            key_dcid: dcid.to_vec(),
            dcid: dcid.to_vec(),
            scid: Vec::new(),
            token: Vec::new(),
            number: 0,
            number_len: 2,
            payload: Vec::new(),
        }
    }

    /// A server's answer to a client whose first destination connection ID was `dcid`.
    pub fn from_server(version: Version, dcid: &[u8]) -> Self {
        let scid = b"\x5e\x7e\x7e\x7e".to_vec();
        Self { direction: Direction::ToClient, dcid: Vec::new(), scid, ..Self::from_client(version, dcid) }
    }

    /// The same with these frames, padded so that the packet has at least `len` bytes.
    #[must_use]
    pub fn with(mut self, frames: &[u8], len: usize) -> Self {
        self.payload = frames.to_vec();
        let missing = len.saturating_sub(self.seal().len());
        self.payload.resize(self.payload.len() + missing, 0);
        self
    }

    /// The packet.
    ///
    /// # Panics
    /// Panics for a version that is not read, and where a field does not fit.
    pub fn seal(&self) -> Vec<u8> {
        let keys =
            initial_keys(self.version, &self.key_dcid).expect("a version that is read")[self.direction];
        // what protects the header is sampled four bytes behind the number's start
        let mut sealed = self.payload.clone();
        sealed.resize(sealed.len().max(4 - self.number_len), 0);
        let number_bits = u8::try_from(self.number_len - 1).expect("1 to 4");
        let mut header = vec![first_byte(self.version, Kind::Initial) | number_bits];
        header.extend(self.version.0.to_be_bytes());
        header.extend(id(&self.dcid));
        header.extend(id(&self.scid));
        header.extend(varint(self.token.len() as u64));
        header.extend(&self.token);
        header.extend(two_bytes(self.number_len + sealed.len() + 16));
        let number_at = header.len();
        header.extend(&self.number.to_be_bytes()[4 - self.number_len..]);
        let cipher = Aes128Gcm::new(&keys.key.into());
        let nonce = Nonce::from(keys.nonce(u64::from(self.number)));
        let tag = cipher
            .encrypt_inout_detached(&nonce, &header, sealed.as_mut_slice().into())
            .expect("short enough for AES-GCM");
        let mut packet = [header, sealed, tag.to_vec()].concat();
        let sample = packet[number_at + 4..].first_chunk().expect("a tag is as long as a sample");
        let mask = keys.mask(sample);
        packet[0] ^= mask[0] & 0x0f;
        for (b, m) in packet[number_at..number_at + self.number_len].iter_mut().zip(&mask[1..]) {
            *b ^= m;
        }
        packet
    }
}

/// A packet with a long header that is not opened: `len` bytes of number and payload.
pub fn long(kind: Kind, version: Version, dcid: &[u8], scid: &[u8], len: usize) -> Vec<u8> {
    let mut out = vec![first_byte(version, kind) | 1];
    out.extend(version.0.to_be_bytes());
    out.extend(id(dcid));
    out.extend(id(scid));
    if kind == Kind::Initial {
        out.push(0);
    }
    out.extend(two_bytes(len));
    out.resize(out.len() + len, 0xe5);
    out
}

/// A packet with a short header and `len` bytes behind the connection ID.
pub fn short(dcid: &[u8], len: usize) -> Vec<u8> {
    [&[0x41][..], dcid, &vec![0xe5; len]].concat()
}

/// A Retry, with a tag that nobody checks.
pub fn retry(version: Version, dcid: &[u8], scid: &[u8], token: &[u8]) -> Vec<u8> {
    let first = if version == Version::V2 { 0xc0 } else { 0xf0 };
    [&[first][..], &version.0.to_be_bytes(), &id(dcid), &id(scid), token, &[0x7a; 16]].concat()
}

/// A Version Negotiation packet.
pub fn negotiation(dcid: &[u8], scid: &[u8], versions: &[Version]) -> Vec<u8> {
    let list: Vec<u8> = versions.iter().flat_map(|v| v.0.to_be_bytes()).collect();
    [&[0xc0, 0, 0, 0, 0][..], &id(dcid), &id(scid), &list].concat()
}

/// A CRYPTO frame.
pub fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    [&[6][..], &varint(offset as u64), &varint(data.len() as u64), data].concat()
}

/// An ACK frame of the packets 0 to `largest`.
pub fn ack(largest: u64) -> Vec<u8> {
    [&[2][..], &varint(largest), &[0, 0], &varint(largest)].concat()
}

/// A `CONNECTION_CLOSE` frame.
pub fn close(code: u64) -> Vec<u8> {
    [&[0x1c][..], &varint(code), &[0, 0]].concat()
}

/// A number of variable length (RFC 9000 §16).
///
/// # Panics
/// Panics at 2³⁰ and above, which no test needs.
pub fn varint(n: u64) -> Vec<u8> {
    let n = u32::try_from(n).expect("small");
    match n {
        0..0x40 => vec![n.to_be_bytes()[3]],
        0x40..0x4000 => (n | 0x4000).to_be_bytes()[2..].to_vec(),
        _ => (n | 0x8000_0000).to_be_bytes().to_vec(),
    }
}

/// A length in two bytes, as senders leave room for it.
fn two_bytes(n: usize) -> [u8; 2] {
    (u16::try_from(n).expect("a datagram") | 0x4000).to_be_bytes()
}

fn id(id: &[u8]) -> Vec<u8> {
    [&[u8::try_from(id.len()).expect("at most 20 bytes")][..], id].concat()
}

fn first_byte(version: Version, kind: Kind) -> u8 {
    let bits = match kind {
        Kind::Initial => 0,
        Kind::ZeroRtt => 1,
        Kind::Handshake => 2,
    };
    0xc0 | (if version == Version::V2 { bits + 1 } else { bits }) << 4
}
