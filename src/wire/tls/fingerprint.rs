//! Fingerprints of a client's TLS stack: JA3 and JA4.
//!
//! JA3: `version,ciphers,extensions,groups,point formats` in decimal, and the MD5 of that
//! (<https://github.com/salesforce/ja3>). JA4: as `FoxIO` publishes it for TLS clients
//! (<https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md>). Both leave GREASE values out. Neither
//! names a program: stacks share fingerprints, and a client may imitate another's.

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::client_hello::ClientHello;
use super::code;

/// What carries the hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TLS records over TCP.
    Tcp,
    /// CRYPTO frames of QUIC.
    Quic,
}

/// A JA3 fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ja3 {
    /// The text that is hashed.
    pub text: String,
    /// The MD5 of the text, in lower-case hex. A name for the text, with no security in it.
    pub md5: String,
}

/// The JA3 fingerprint of a hello; `None` unless it is complete.
pub fn ja3(hello: &ClientHello) -> Option<Ja3> {
    if !hello.complete {
        return None;
    }
    let mut text = String::with_capacity(256);
    push_decimal(&mut text, hello.legacy_version);
    for list in [&hello.cipher_suites, &hello.extensions, &hello.supported_groups] {
        text.push(',');
        join(&mut text, '-', without_grease(list), push_decimal);
    }
    text.push(',');
    join(&mut text, '-', hello.ec_point_formats.iter().map(|f| u16::from(*f)), push_decimal);
    let mut md5 = String::with_capacity(32);
    push_hex(&mut md5, &Md5::digest(text.as_bytes()));
    Some(Ja3 { text, md5 })
}

/// The JA4 fingerprint of a hello; `None` unless it is complete.
pub fn ja4(hello: &ClientHello, transport: Transport) -> Option<String> {
    if !hello.complete {
        return None;
    }
    let mut ciphers: Vec<u16> = without_grease(&hello.cipher_suites).collect();
    let mut extensions: Vec<u16> = without_grease(&hello.extensions).collect();
    let mut out = String::with_capacity(36);
    out.push(match transport {
        Transport::Tcp => 't',
        Transport::Quic => 'q',
    });
    out.push_str(match hello.offered_version() {
        0x0002 => "s2",
        0x0300 => "s3",
        0x0301 => "10",
        0x0302 => "11",
        0x0303 => "12",
        0x0304 => "13",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    });
    out.push(if extensions.contains(&code::SERVER_NAME) { 'd' } else { 'i' });
    // Counts stop at 99, to keep the form.
    for count in [ciphers.len().min(99), extensions.len().min(99)] {
        out.extend([count / 10, count % 10].map(|d| DIGITS[d]));
    }
    out.extend(first_and_last(hello.alpn.first().map_or(&[], |p| p)));

    ciphers.sort_unstable();
    let mut text = String::with_capacity(256);
    join(&mut text, ',', ciphers.into_iter(), push_hex4);
    out.push('_');
    push_hash(&mut out, &text);

    // Name and protocol are left out: the same program has the same hash wherever it connects to.
    extensions.retain(|&e| e != code::SERVER_NAME && e != code::ALPN);
    extensions.sort_unstable();
    text.clear();
    join(&mut text, ',', extensions.into_iter(), push_hex4);
    let mut algorithms = without_grease(&hello.signature_algorithms).peekable();
    if !text.is_empty() && algorithms.peek().is_some() {
        text.push('_');
        join(&mut text, ',', algorithms, push_hex4);
    }
    out.push('_');
    push_hash(&mut out, &text);
    Some(out)
}

/// The two characters of JA4 for the first ALPN protocol: its first and last character, or those of its hex form
/// where either is not an ASCII letter or digit; "00" where there is none.
fn first_and_last(protocol: &[u8]) -> [char; 2] {
    let (Some(&first), Some(&last)) = (protocol.first(), protocol.last()) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        [char::from(first), char::from(last)]
    } else {
        [hex_digits(first)[0], hex_digits(last)[1]]
    }
}

/// The first twelve hex digits of the text's SHA-256, zeros for an empty text.
fn push_hash(out: &mut String, text: &str) {
    if text.is_empty() {
        out.push_str("000000000000");
    } else {
        push_hex(out, &Sha256::digest(text.as_bytes())[..6]);
    }
}

fn without_grease(list: &[u16]) -> impl Iterator<Item = u16> {
    list.iter().copied().filter(|&c| !code::is_grease(c))
}

fn join(
    out: &mut String,
    separator: char,
    items: impl Iterator<Item = u16>,
    push: impl Fn(&mut String, u16),
) {
    for (n, item) in items.enumerate() {
        if n > 0 {
            out.push(separator);
        }
        push(out, item);
    }
}

fn push_decimal(out: &mut String, n: u16) {
    out.push_str(itoa::Buffer::new().format(n));
}

fn push_hex4(out: &mut String, n: u16) {
    push_hex(out, &n.to_be_bytes());
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for b in bytes {
        let [high, low] = hex_digits(*b);
        out.push(high);
        out.push(low);
    }
}

const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

fn hex_digits(byte: u8) -> [char; 2] {
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
        assert_eq!(ja4(&hello, Transport::Tcp).unwrap(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert_eq!(ja4(&hello, Transport::Quic).unwrap(), "q13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn ja4_without_signature_algorithms_ends_without_underscore() {
        let mut hello = read(&published());
        hello.signature_algorithms.clear();
        assert_eq!(ja4(&hello, Transport::Tcp).unwrap(), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    }

    #[test]
    fn ja4_of_what_is_empty_is_zeros() {
        let hello = Hello { version: 0x0301, ciphers: vec![0x0a0a], ..Hello::bare() };
        assert_eq!(ja4(&read(&hello), Transport::Tcp).unwrap(), "t10i000000_000000000000_000000000000");
        // Only the name: counted, not hashed.
        let named = hello.with(0, make::server_name(b"a.example"));
        assert_eq!(ja4(&read(&named), Transport::Tcp).unwrap(), "t10d000100_000000000000_000000000000");
    }

    #[test]
    fn ja4_counts_stop_at_99() {
        let hello = Hello { ciphers: (0..120).collect(), ..Hello::bare() };
        assert!(ja4(&read(&hello), Transport::Tcp).unwrap().starts_with("t12i990000_"));
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
            assert_eq!(String::from_iter(first_and_last(protocol)), two);
        }
    }

    #[test]
    fn ja3_leaves_grease_out() {
        let ja3 = ja3(&read(&published())).unwrap();
        assert_eq!(
            ja3.text,
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
        let with = ja3(&read(&with)).unwrap();
        assert_eq!(with.text, "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0");
        assert_eq!(with.md5, "ada70206e40642a3e4461f35503241d5");
        let without =
            ja3(&read(&Hello { ciphers: vec![4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99], ..old })).unwrap();
        assert_eq!(without.text, "769,4-5-10-9-100-98-3-6-19-18-99,,,");
        assert_eq!(without.md5, "de350869b8c85de67a350c8d186f11e6");
    }

    #[test]
    fn a_cut_hello_has_no_fingerprint() {
        let message = published().message();
        let cut = client_hello_message(&message[..message.len() - 1]).into_seen().unwrap();
        assert_eq!((ja3(&cut), ja4(&cut, Transport::Tcp)), (None, None));
    }
}
