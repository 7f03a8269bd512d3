//! Fingerprints of a client's TLS stack: JA3 and JA4.
//!
//! JA3: `version,ciphers,extensions,groups,point formats` in decimal, and the MD5 of that
//! (<https://github.com/salesforce/ja3>). JA4: as FoxIO publishes it for TLS clients
//! (<https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md>). Both leave GREASE values out. Neither
//! names a program: stacks share fingerprints, and a client may imitate another's.

use std::fmt::Write as _;

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
    let _ = write!(text, "{}", hello.legacy_version); // writing to a string does not fail
    for list in [&hello.cipher_suites, &hello.extensions, &hello.supported_groups] {
        text.push(',');
        join(&mut text, '-', without_grease(list), |out, c| write!(out, "{c}"));
    }
    text.push(',');
    join(&mut text, '-', hello.ec_point_formats.iter().copied(), |out, c| write!(out, "{c}"));
    let md5 = hex(&Md5::digest(text.as_bytes()));
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
    let _ = write!(out, "{:02}{:02}", ciphers.len().min(99), extensions.len().min(99));
    out.extend(first_and_last(hello.alpn.first().map_or(&[], |p| p)));

    ciphers.sort_unstable();
    let mut text = String::with_capacity(256);
    join(&mut text, ',', ciphers.into_iter(), |out, c| write!(out, "{c:04x}"));
    out.push('_');
    push_hash(&mut out, &text);

    // Name and protocol are left out: the same program has the same hash wherever it connects to.
    extensions.retain(|&e| e != code::SERVER_NAME && e != code::ALPN);
    extensions.sort_unstable();
    text.clear();
    join(&mut text, ',', extensions.into_iter(), |out, e| write!(out, "{e:04x}"));
    let mut algorithms = without_grease(&hello.signature_algorithms).peekable();
    if !text.is_empty() && algorithms.peek().is_some() {
        text.push('_');
        join(&mut text, ',', algorithms, |out, a| write!(out, "{a:04x}"));
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
        [hex_digit(first >> 4), hex_digit(last & 0x0f)]
    }
}

/// The first twelve hex digits of the text's SHA-256, zeros for an empty text.
fn push_hash(out: &mut String, text: &str) {
    if text.is_empty() {
        out.push_str("000000000000");
    } else {
        out.push_str(&hex(&Sha256::digest(text.as_bytes())[..6]));
    }
}

fn without_grease(list: &[u16]) -> impl Iterator<Item = u16> {
    list.iter().copied().filter(|&c| !code::is_grease(c))
}

fn join<T>(
    out: &mut String,
    separator: char,
    items: impl Iterator<Item = T>,
    show: impl Fn(&mut String, T) -> std::fmt::Result,
) {
    for (n, item) in items.enumerate() {
        if n > 0 {
            out.push(separator);
        }
        let _ = show(out, item); // writing to a string does not fail
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [hex_digit(b >> 4), hex_digit(b & 0x0f)]).collect()
}

fn hex_digit(n: u8) -> char {
    char::from_digit(u32::from(n), 16).unwrap_or('0') // a nibble is below 16
}
