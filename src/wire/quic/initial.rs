//! Initial packets opened: keys that everybody can derive, header protection, AEAD (RFC 9001 §5).
//!
//! The keys hide nothing, and the tag makes the reading sure: a packet whose tag is right is an Initial with these
//! keys, and one whose tag is wrong is none, whatever its header says.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::BlockCipherEncrypt as _;
use aes_gcm::{Aes128Gcm, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;

use super::{Long, Version};
use crate::base::endpoint::PerDirection;

/// Length of the AEAD tag.
pub(super) const TAG: usize = 16;
/// Length of the sample that header protection is derived from (RFC 9001 §5.4.3).
const SAMPLE: usize = 16;

/// What protects the Initial packets of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Key of the AEAD.
    pub key: [u8; 16],
    /// What the packet number is added to for the nonce.
    pub iv: [u8; 12],
    /// Key of header protection.
    pub hp: [u8; 16],
}

/// Why a packet was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The capture does not have all of it, so that its tag cannot be checked.
    Cut,
    /// It is too short to be one.
    TooShort,
    /// The tag is wrong: it is no Initial with these keys.
    WrongTag,
}

/// The keys of both directions, from the destination connection ID of the client's first Initial; after a Retry from
/// the one of the first Initial that follows it. `None` for versions that are not read.
pub fn initial_keys(version: Version, client_dcid: &[u8]) -> Option<PerDirection<Keys>> {
    let recipe = version.recipe()?;
    let (_, initial) = Hkdf::<Sha256>::extract(Some(recipe.salt), client_dcid);
    let keys = |side: &str| {
        let mut secret = [0; 32];
        expand(&initial, &["", side], &mut secret);
        let secret = Hkdf::<Sha256>::from_prk(&secret).ok()?; // 32 bytes are a key of SHA-256
        let mut keys = Keys { key: [0; 16], iv: [0; 12], hp: [0; 16] };
        expand(&secret, &[recipe.label, " key"], &mut keys.key);
        expand(&secret, &[recipe.label, " iv"], &mut keys.iv);
        expand(&secret, &[recipe.label, " hp"], &mut keys.hp);
        Some(keys)
    };
    Some(PerDirection { to_server: keys("client in")?, to_client: keys("server in")? })
}

/// HKDF-Expand-Label of TLS 1.3 with an empty context (RFC 8446 §7.1).
fn expand(prk: &Hkdf<Sha256>, label: &[&str], out: &mut [u8]) {
    let small = |n: usize| u8::try_from(n).unwrap_or(u8::MAX); // labels and keys are short
    let len = [0, small(out.len())];
    let label_len = [small("tls13 ".len() + label.iter().map(|l| l.len()).sum::<usize>())];
    let mut info = vec![&len[..], &label_len, b"tls13 "];
    info.extend(label.iter().map(|l| l.as_bytes()));
    info.push(&[0]);
    let _ = prk.expand_multi_info(&info, out); // fails only above 255 · 32 bytes
}

impl Keys {
    /// Opens an Initial: gives its packet number, and leaves its frames in `frames`.
    ///
    /// `expected` is the number after the highest that was opened in this direction (RFC 9000 §A.3).
    ///
    /// # Errors
    /// [`Refused`], with nothing in `frames`.
    pub fn open(&self, packet: &Long<'_>, expected: u64, frames: &mut Vec<u8>) -> Result<u64, Refused> {
        frames.clear();
        if !packet.whole {
            return Err(Refused::Cut);
        }
        let (first, number, header) = self.unmask(packet).ok_or(Refused::TooShort)?;
        let sealed = packet.bytes.get(header..).ok_or(Refused::TooShort)?;
        let (sealed, tag) = sealed.split_last_chunk::<TAG>().ok_or(Refused::TooShort)?;
        let number_len = header - packet.number_at;
        let full = full_number(expected, number, number_len);
        let mut associated = packet.bytes[..header].to_vec(); // the sealed part lies behind it
        associated[0] = first;
        associated[packet.number_at..].copy_from_slice(&number.to_be_bytes()[4 - number_len..]);
        frames.extend_from_slice(sealed);
        let cipher = Aes128Gcm::new(&self.key.into());
        let nonce = Nonce::from(self.nonce(full));
        let opened = cipher.decrypt_inout_detached(
            &nonce,
            &associated,
            frames.as_mut_slice().into(),
            &Tag::from(*tag),
        );
        if opened.is_err() {
            frames.clear();
            return Err(Refused::WrongTag);
        }
        Ok(full)
    }

    /// Takes header protection off (RFC 9001 §5.4): the first byte, the number, and the length of the header.
    fn unmask(&self, packet: &Long<'_>) -> Option<(u8, u32, usize)> {
        let at = packet.number_at;
        let sample = packet.bytes.get(at + 4..)?.first_chunk::<SAMPLE>()?;
        let mask = self.mask(sample);
        let first = packet.bytes[0] ^ mask[0] & 0x0f; // the sample lies behind it
        let len = usize::from(first & 3) + 1;
        let number = packet.bytes[at..at + len].iter().zip(&mask[1..]); // at most the four before the sample
        Some((first, number.fold(0, |n, (b, m)| n << 8 | u32::from(b ^ m)), at + len))
    }

    /// The mask of header protection: AES of the sample (RFC 9001 §5.4.3).
    pub(crate) fn mask(&self, sample: &[u8; SAMPLE]) -> [u8; SAMPLE] {
        let mut block = (*sample).into();
        Aes128::new(&self.hp.into()).encrypt_block(&mut block);
        block.into()
    }

    pub(crate) fn nonce(&self, number: u64) -> [u8; 12] {
        let mut nonce = self.iv;
        for (n, b) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *n ^= b;
        }
        nonce
    }
}

/// The packet number of which `len` bytes were sent, nearest to `expected` (RFC 9000 §A.3).
fn full_number(expected: u64, truncated: u32, len: usize) -> u64 {
    let window = 1u64 << (len * 8); // len is at most 4
    let candidate = expected & !(window - 1) | u64::from(truncated);
    if candidate.saturating_add(window / 2) <= expected && candidate < (1 << 62) - window {
        candidate + window
    } else if candidate > expected.saturating_add(window / 2) && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, Frames, Kind, Packet, packets};
    use super::*;
    use crate::base::Direction;
    use crate::base::text::hex;
    use crate::testkit::quic::{self as make, Initial};
    use proptest::prelude::*;

    const DCID: &[u8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|d| u8::try_from(d[0] * 16 + d[1]).unwrap()).collect()
    }

    fn first(datagram: &[u8]) -> Long<'_> {
        match packets(datagram).next() {
            Some(Packet::Long(long)) => long,
            other => panic!("no long header: {other:?}"),
        }
    }

    fn shown(k: Keys) -> [String; 3] {
        [hex(&k.key), hex(&k.iv), hex(&k.hp)]
    }

    /// RFC 9001 §A.1.
    #[test]
    fn keys_of_version_1() {
        let keys = initial_keys(Version::V1, DCID).unwrap();
        let client = [
            "1f369613dd76d5467730efcbe3b1a22d",
            "fa044b2f42a3fd3b46fb255c",
            "9f50449e04a0e810283a1e9933adedd2",
        ];
        let server = [
            "cf3a5331653c364c88f0f379b6067e37",
            "0ac1493ca1905853b0bba03e",
            "c206b8d9b9f0f37644430b490eeaa314",
        ];
        assert_eq!(
            (shown(keys.to_server), shown(keys.to_client)),
            (client.map(String::from), server.map(String::from))
        );
    }

    /// RFC 9369 §A.1.
    #[test]
    fn keys_of_version_2() {
        let keys = initial_keys(Version::V2, DCID).unwrap();
        let client = [
            "8b1a0bc121284290a29e0971b5cd045d",
            "91f73e2351d8fa91660e909f",
            "45b95e15235d6f45a6b19cbcb0294ba9",
        ];
        let server = [
            "82db637861d55e1d011f19ea71d5d2a7",
            "dd13c276499c0249d3310652",
            "edf6d05c83121201b436e16877593c3a",
        ];
        assert_eq!(
            (shown(keys.to_server), shown(keys.to_client)),
            (client.map(String::from), server.map(String::from))
        );
    }

    /// The CRYPTO frame of RFC 9001 §A.2, which RFC 9369 §A.2 shares.
    const CLIENT_FRAME: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868
        04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578
        616d706c652e636f6dff01000100000a00080006001d00170018001000070005
        04616c706e000500050100000000003300260024001d00209370b2c9caa47fba
        baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400
        0d0010000e0403050306030203080408050806002d00020101001c0002400100
        3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000
        75300901100f088394c8f03e51570806048000ffff";

    /// The server's frames of RFC 9001 §A.3 and RFC 9369 §A.3.
    const SERVER_FRAMES: &str = "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf739
        88cfc79825df566dc5430b9a045a1200130100002e00330024001d00209d3c94
        0d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00
        020304";

    fn client_initial(version: Version) -> Vec<u8> {
        let frames = bytes(CLIENT_FRAME);
        let padding = 1162 - frames.len();
        let payload = [frames, vec![0; padding]].concat();
        Initial { number: 2, number_len: 4, payload, ..Initial::from_client(version, DCID) }.seal()
    }

    /// RFC 9001 §A.2: head and tail of the packet, and back.
    #[test]
    fn the_clients_initial_of_version_1() {
        let packet = client_initial(Version::V1);
        assert_eq!(packet.len(), 1200);
        let head = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c\
            0bab7df5976d27cd449f63300099f3991c260ec4c60d17b31f8429157bb35a1282a643a8d2262cad67500cadb8e7378c8eb7539e";
        assert_eq!(hex(&packet[..bytes(head).len()]), hex(&bytes(head)));
        assert!(hex(&packet).ends_with("e221af44860018ab0856972e194cd934"));
        assert_opens(&packet, Direction::ToServer, 2, CLIENT_FRAME);
    }

    /// RFC 9369 §A.2: the first bytes, and back.
    #[test]
    fn the_clients_initial_of_version_2() {
        let packet = client_initial(Version::V2);
        assert!(
            hex(&packet)
                .starts_with("d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de80")
        );
        assert_opens(&packet, Direction::ToServer, 2, CLIENT_FRAME);
    }

    /// RFC 9001 §A.3 and RFC 9369 §A.3, whole.
    #[test]
    fn the_servers_initials() {
        let v1 = "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a
            5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3
            dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84
            022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4
            2158407dd074ee";
        assert_opens(&bytes(v1), Direction::ToClient, 1, SERVER_FRAMES);
        let v2 = "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698
            baeea26b91eb761d9b89237bbf87263017915358230035f7fd3945d88965cf17
            f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2
            c984c707f0a0812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca8
            4bed8521e2e140";
        assert_opens(&bytes(v2), Direction::ToClient, 1, SERVER_FRAMES);
    }

    /// RFC 9001 §A.4 and RFC 9369 §A.4.
    #[test]
    fn the_servers_retries() {
        for retry in [
            "ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba",
            "cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6",
        ] {
            let retry = bytes(retry);
            assert_eq!(
                packets(&retry).next(),
                Some(Packet::Retry { scid: b"\xf0\x67\xa5\x50\x2a\x42\x62\xb5" })
            );
        }
    }

    fn assert_opens(datagram: &[u8], direction: Direction, number: u64, frames: &str) {
        let long = first(datagram);
        let keys = initial_keys(long.version, DCID).unwrap();
        let mut out = Vec::new();
        assert_eq!(keys[direction].open(&long, 0, &mut out), Ok(number));
        assert!(out.starts_with(&bytes(frames)));
        assert_eq!(keys[direction.reversed()].open(&long, 0, &mut out), Err(Refused::WrongTag));
        assert!(out.is_empty());
    }

    /// RFC 9000 §A.3.
    #[test]
    fn numbers_are_completed() {
        assert_eq!(full_number(0xa82f_30eb, 0x9b32, 2), 0xa82f_9b32);
        assert_eq!(
            (full_number(0, 0xff, 1), full_number(0x1ff, 2, 1), full_number(0, 7, 4)),
            (0xff, 0x202, 7)
        );
    }

    #[test]
    fn a_changed_bit_anywhere_is_no_initial() {
        let packet = client_initial(Version::V1);
        let keys = initial_keys(Version::V1, DCID).unwrap().to_server;
        let mut out = Vec::new();
        for at in [0, 20, 22, 40, 600, 1199] {
            let mut changed = packet.clone();
            changed[at] ^= 1;
            let refused = keys.open(&first(&changed), 0, &mut out);
            assert!(matches!(refused, Err(Refused::WrongTag)), "{at}: {refused:?}");
        }
        let cut = keys.open(&first(&packet[..1199]), 0, &mut out);
        assert_eq!(cut, Err(Refused::Cut));
        let tiny = make::long(Kind::Initial, Version::V1, DCID, &[], 19);
        assert_eq!(keys.open(&first(&tiny), 0, &mut out), Err(Refused::TooShort));
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(
            version in prop::sample::select(vec![1, 0x6b33_43cf, 0xff00_001d, 0xff00_001b, 0xff00_0016, 0xff00_0022, 0xface_b002]),
            dcid in prop::collection::vec(any::<u8>(), 0..=20),
            token in prop::collection::vec(any::<u8>(), 0..2000),
            data in prop::collection::vec(any::<u8>(), 1..300),
            number in 0u32..0x1_0000,
            number_len in 2usize..=4,
        ) {
            let payload = make::crypto(0, &data);
            let initial = Initial { token, number, number_len, payload, ..Initial::from_client(Version(version), &dcid) };
            let datagram = initial.seal();
            let keys = initial_keys(Version(version), &dcid).unwrap();
            let mut out = Vec::new();
            prop_assert_eq!(keys.to_server.open(&first(&datagram), u64::from(number), &mut out), Ok(u64::from(number)));
            let Some(Frame::Crypto { offset: 0, data: read }) = Frames::new(&out).next() else { panic!() };
            prop_assert_eq!(read, &data[..]);
        }

        #[test]
        fn any_bytes_are_refused(mut datagram in prop::collection::vec(any::<u8>(), 24..200)) {
            datagram[..8].copy_from_slice(&[0xc0, 0, 0, 0, 1, 0, 0, 0]);
            datagram[8] = 0x16; // a length of 22
            let Some(Packet::Long(long)) = packets(&datagram).next() else { panic!() };
            let keys = initial_keys(Version::V1, &[]).unwrap().to_server;
            prop_assert!(keys.open(&long, 0, &mut Vec::new()).is_err());
        }
    }
}
