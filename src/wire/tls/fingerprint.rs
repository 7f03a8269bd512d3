//! Fingerprints of a client's TLS stack: JA3 and JA4.
//!
//! JA3: `version,ciphers,extensions,groups,point formats` in decimal, and the MD5 of that
//! (<https://github.com/salesforce/ja3>). JA4: as `FoxIO` publishes it for TLS clients
//! (<https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md>). Both leave GREASE values out. Neither
//! names a program: stacks share fingerprints, and a client may imitate another's.

use md5::Md5;
use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use super::client_hello::{ClientHello, Numbers};
use super::code;
use crate::base::text::Ascii;

/// What carries the hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TLS records over TCP.
    Tcp,
    /// CRYPTO frames of QUIC.
    Quic,
}

/// A JA3 fingerprint: the MD5 of its text, in lower-case hex. A name for the text, with no security in it.
pub type Ja3 = Ascii<32>;

/// A JA4 fingerprint.
pub type Ja4 = Ascii<36>;

/// What is put together here; most have no more than this many characters.
type Text = Vec<u8>;
const ROOM: usize = 256;

/// The JA3 fingerprint of a hello; `None` unless it is complete.
pub fn ja3(hello: &ClientHello) -> Option<Ja3> {
    if !hello.complete {
        return None;
    }
    let md5 = Md5::digest(ja3_text(hello));
    Some(Ja3::new(md5.iter().copied().map(hex_digits).collect::<SmallVec<[[u8; 2]; 16]>>().as_flattened()))
}

/// The text that JA3 hashes.
fn ja3_text(hello: &ClientHello) -> Text {
    let mut text = Text::with_capacity(ROOM);
    push_decimal(&mut text, hello.legacy_version);
    for list in [&hello.cipher_suites, &hello.extensions, &hello.supported_groups] {
        text.push(b',');
        join(&mut text, b'-', without_grease(list), push_decimal);
    }
    text.push(b',');
    join(&mut text, b'-', hello.ec_point_formats.iter().map(|f| u16::from(*f)), push_decimal);
    text
}

/// The JA4 fingerprint of a hello; `None` unless it is complete.
pub fn ja4(hello: &ClientHello, transport: Transport) -> Option<Ja4> {
    if !hello.complete {
        return None;
    }
    let mut ciphers: Numbers = without_grease(&hello.cipher_suites).collect();
    let mut extensions: Numbers = without_grease(&hello.extensions).collect();
    let mut out = SmallVec::<[u8; 36]>::new();
    out.push(match transport {
        Transport::Tcp => b't',
        Transport::Quic => b'q',
    });
    out.extend_from_slice(match hello.offered_version() {
        0x0002 => b"s2",
        0x0300 => b"s3",
        0x0301 => b"10",
        0x0302 => b"11",
        0x0303 => b"12",
        0x0304 => b"13",
        0xfeff => b"d1",
        0xfefd => b"d2",
        0xfefc => b"d3",
        _ => b"00",
    });
    out.push(if extensions.contains(&code::SERVER_NAME) { b'd' } else { b'i' });
    // Counts stop at 99, to keep the form.
    for count in [ciphers.len().min(99), extensions.len().min(99)] {
        out.extend([count / 10, count % 10].map(|d| DIGITS[d]));
    }
    out.extend(first_and_last(hello.alpn.first().map_or(&[], |p| p)));

    ciphers.sort_unstable();
    let mut text = Text::with_capacity(ROOM);
    join(&mut text, b',', ciphers.into_iter(), push_hex4);
    out.push(b'_');
    out.extend_from_slice(hash(&text).as_flattened());

    // Name and protocol are left out: the same program has the same hash wherever it connects to.
    extensions.retain(|&mut e| e != code::SERVER_NAME && e != code::ALPN);
    extensions.sort_unstable();
    text.clear();
    join(&mut text, b',', extensions.into_iter(), push_hex4);
    let mut algorithms = without_grease(&hello.signature_algorithms).peekable();
    if !text.is_empty() && algorithms.peek().is_some() {
        text.push(b'_');
        join(&mut text, b',', algorithms, push_hex4);
    }
    out.push(b'_');
    out.extend_from_slice(hash(&text).as_flattened());
    Some(Ja4::new(&out))
}

/// The two characters of JA4 for the first ALPN protocol: its first and last character, or those of its hex form
/// where either is not an ASCII letter or digit; "00" where there is none.
fn first_and_last(protocol: &[u8]) -> [u8; 2] {
    let (Some(&first), Some(&last)) = (protocol.first(), protocol.last()) else { return *b"00" };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        [first, last]
    } else {
        [hex_digits(first)[0], hex_digits(last)[1]]
    }
}

/// The first twelve hex digits of the text's SHA-256, zeros for an empty text.
fn hash(text: &[u8]) -> [[u8; 2]; 6] {
    if text.is_empty() {
        return [*b"00"; 6];
    }
    let digest = Sha256::digest(text);
    std::array::from_fn(|i| hex_digits(digest[i]))
}

fn without_grease(list: &[u16]) -> impl Iterator<Item = u16> {
    list.iter().copied().filter(|&c| !code::is_grease(c))
}

fn join(out: &mut Text, separator: u8, items: impl Iterator<Item = u16>, push: impl Fn(&mut Text, u16)) {
    for (n, item) in items.enumerate() {
        if n > 0 {
            out.push(separator);
        }
        push(out, item);
    }
}

fn push_decimal(out: &mut Text, n: u16) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

fn push_hex4(out: &mut Text, n: u16) {
    out.extend_from_slice(n.to_be_bytes().map(hex_digits).as_flattened());
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn hex_digits(byte: u8) -> [u8; 2] {
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0x0f)]]
}

#[cfg(test)]
mod tests {
    use super::super::client_hello::client_hello_message;
    use super::*;
    use crate::testkit::tls as make;
    use crate::testkit::tls::Hello;

    fn read(hello: &Hello) -> ClientHello {
        client_hello_message(&hello.message()).into_seen().unwrap()
    }

    /// The hello of the JA4 document's example, GREASE added.
    fn published() -> Hello {
        let extensions = [
            0x1a1a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012,
            0x002b, 0xff01, 0x000b, 0x000a, 0x0015, 0x2a2a,
        ];
        let body = |kind| match kind {
            0x0000 => make::server_name(b"example.com"),
            0x0010 => make::alpn(&[b"h2", b"http/1.1"]),
            0x000a => make::list16(&[0x3a3a, 0x001d, 0x0017, 0x0018]),
            0x000b => vec![1, 0],
            0x000d => make::list16(&[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x4a4a]),
            0x002b => make::list8(&[0xfafa, 0x0304, 0x0303]),
            _ => vec![],
        };
        Hello {
            ciphers: vec![
                0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
                0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
            ],
            extensions: Some(extensions.map(|kind| (kind, body(kind))).to_vec()),
            ..Hello::bare()
        }
    }

    #[test]
    fn ja4_of_the_published_example() {
        let hello = read(&published());
        assert_eq!(ja4(&hello, Transport::Tcp).unwrap().as_str(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert_eq!(ja4(&hello, Transport::Quic).unwrap().as_str(), "q13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn ja4_without_signature_algorithms_ends_without_underscore() {
        let mut hello = read(&published());
        hello.signature_algorithms.clear();
        assert_eq!(ja4(&hello, Transport::Tcp).unwrap().as_str(), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    }

    #[test]
    fn ja4_of_what_is_empty_is_zeros() {
        let hello = Hello { version: 0x0301, ciphers: vec![0x0a0a], ..Hello::bare() };
        assert_eq!(
            ja4(&read(&hello), Transport::Tcp).unwrap().as_str(),
            "t10i000000_000000000000_000000000000"
        );
        // Only the name: counted, not hashed.
        let named = hello.with(0, make::server_name(b"a.example"));
        assert_eq!(
            ja4(&read(&named), Transport::Tcp).unwrap().as_str(),
            "t10d000100_000000000000_000000000000"
        );
    }

    #[test]
    fn ja4_counts_stop_at_99() {
        let hello = Hello { ciphers: (0..120).collect(), ..Hello::bare() };
        assert!(ja4(&read(&hello), Transport::Tcp).unwrap().as_str().starts_with("t12i990000_"));
    }

    /// The examples of the JA4 document.
    #[test]
    fn ja4_takes_first_and_last_of_the_protocol() {
        for (protocol, two) in [
            (&b"h2"[..], "h2"),
            (b"http/1.1", "h1"),
            (b"x", "xx"),
            (b"", "00"),
            (&[0xab], "ab"),
            (&[0xab, 0xcd], "ad"),
            (&[0x30, 0xab], "3b"),
            (&[0x30, 0x31, 0xab, 0xcd], "3d"),
            (&[0x30, 0xab, 0xcd, 0x31], "01"),
        ] {
            assert_eq!(first_and_last(protocol), two.as_bytes());
        }
    }

    fn text(hello: &ClientHello) -> String {
        String::from_utf8(ja3_text(hello)).unwrap()
    }

    #[test]
    fn ja3_leaves_grease_out() {
        assert_eq!(
            text(&read(&published())),
            "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,\
             27-0-51-16-17513-23-45-13-5-35-18-43-65281-11-10-21,29-23-24,0"
        );
    }

    /// The two examples of the JA3 README.
    #[test]
    fn ja3_of_the_published_examples() {
        let old = Hello {
            version: 769,
            ciphers: vec![47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
            session_id: vec![],
            extensions: None,
        };
        let with = old
            .clone()
            .with(0, make::server_name(b"a.example"))
            .with(10, make::list16(&[23, 24, 25]))
            .with(11, vec![1, 0]);
        let with = read(&with);
        assert_eq!(text(&with), "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0");
        assert_eq!(ja3(&with).unwrap().as_str(), "ada70206e40642a3e4461f35503241d5");
        let without = read(&Hello { ciphers: vec![4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99], ..old });
        assert_eq!(text(&without), "769,4-5-10-9-100-98-3-6-19-18-99,,,");
        assert_eq!(ja3(&without).unwrap().as_str(), "de350869b8c85de67a350c8d186f11e6");
    }

    #[test]
    fn a_cut_hello_has_no_fingerprint() {
        let message = published().message();
        let cut = client_hello_message(&message[..message.len() - 1]).into_seen().unwrap();
        assert_eq!((ja3(&cut), ja4(&cut, Transport::Tcp)), (None, None));
    }
}
