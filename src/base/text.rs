//! Text that came out of a capture, made safe to print.
//!
//! A name in a ClientHello is whatever a hostile peer put there: terminal escapes, bidirectional overrides,
//! 64 KiB of it. [`Untrusted`] shows it on one line in printable characters, and cuts it at a stated length.

use std::fmt;

/// The longest piece of capture text that is ever shown, in characters. A DNS name has at most 253.
pub const SHOWN_CHARS: usize = 256;

/// Capture text, shown with every character that could act on a terminal or deceive a reader escaped.
#[derive(Clone, Copy, Debug)]
pub struct Untrusted<'a>(pub &'a str);

impl fmt::Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for (n, c) in self.0.chars().enumerate() {
            if n == SHOWN_CHARS {
                return f.write_str("…");
            }
            if is_plain(c) {
                f.write_char(c)?;
            } else {
                write!(f, "\\u{{{:x}}}", u32::from(c))?;
            }
        }
        Ok(())
    }
}

/// Free text of a capture, such as a comment: escaped like [`Untrusted`], but with its spaces, and of at most 64 words.
#[derive(Clone, Copy, Debug)]
pub struct Sentence<'a>(pub &'a str);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, word) in self.0.split(' ').take(64).enumerate() {
            write!(f, "{}{}", if n == 0 { "" } else { " " }, Untrusted(word))?;
        }
        Ok(())
    }
}

/// Text of the user's own, such as a path: letters and digits of any script and spaces as they are, all else escaped.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a>(pub &'a str);

impl fmt::Display for Own<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for c in self.0.chars() {
            if is_plain(c) || c == ' ' || c.is_alphanumeric() {
                f.write_char(c)?;
            } else {
                write!(f, "\\u{{{:x}}}", u32::from(c))?;
            }
        }
        Ok(())
    }
}

/// Whether a character shows as itself and does nothing else.
///
/// Names on the wire are ASCII (RFC 6066 §3, internationalised names in their `xn--` form), so anything else is
/// worth seeing in full rather than as a look-alike.
const fn is_plain(c: char) -> bool {
    c.is_ascii_graphic() && c != '\\'
}

/// Whether a character acts and is not seen: controls, and those of Unicode's format characters that turn the direction
/// of text, join, or take no room.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text of so many ASCII characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ascii<const N: usize>([u8; N]);

impl<const N: usize> Ascii<N> {
    /// The text that these bytes are; what is not ASCII becomes `?`, and what is missing at the end.
    pub fn new(bytes: &[u8]) -> Self {
        Self(std::array::from_fn(|i| bytes.get(i).copied().filter(u8::is_ascii).unwrap_or(b'?')))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default() // ASCII is UTF-8
    }
}

impl<const N: usize> fmt::Debug for Ascii<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}"); // a string takes all
        out
    })
}

/// Bytes from the capture as text: valid UTF-8 kept, anything else shown as `\xNN`.
pub fn lossless(bytes: &[u8]) -> String {
    use fmt::Write as _;
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for b in chunk.invalid() {
            let _ = write!(out, "\\x{b:02x}"); // a string takes all
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_what_acts() {
        assert_eq!(Untrusted("x.com").to_string(), "x.com");
        assert_eq!(Untrusted("a\u{1b}[31mb\n").to_string(), "a\\u{1b}[31mb\\u{a}");
        assert_eq!(Untrusted("moc.x\u{202e}").to_string(), "moc.x\\u{202e}");
        assert_eq!(Untrusted("x\\u{61}").to_string(), "x\\u{5c}u{61}");
    }

    #[test]
    fn a_users_own_words_keep_their_letters() {
        assert_eq!(Own("my خط 1.pcap").to_string(), "my خط 1.pcap");
        assert_eq!(Own("a\u{1b}[31m\u{202e}").to_string(), "a\\u{1b}[31m\\u{202e}");
    }

    #[test]
    fn cuts_what_is_long() {
        let shown = Untrusted(&"a".repeat(70_000)).to_string();
        assert_eq!(shown.chars().count(), SHOWN_CHARS + 1);
        assert!(shown.ends_with('…'));
    }

    proptest! {
        #[test]
        fn never_shows_a_control_character(bytes: Vec<u8>) {
            let shown = Untrusted(&lossless(&bytes)).to_string();
            prop_assert!(shown.chars().all(|c| c.is_ascii_graphic() || c == '…'));
        }
    }
}
