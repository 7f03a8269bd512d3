//! JSON that acts on nothing, also where it is printed: characters that act unseen are escaped, which says the same.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::base::text::acts;

/// Writes a value as compact JSON.
///
/// # Errors
/// What writing gives.
pub fn to_writer<W: Write + ?Sized>(out: &mut W, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, Inert))?)
}

/// Whether a byte is printable ASCII.
pub(super) const fn is_plain(b: u8) -> bool {
    matches!(b, b' '..=b'~')
}

/// The compact form of `serde_json`; it escapes ASCII's own controls, but DEL, before a fragment comes here.
struct Inert;

impl Formatter for Inert {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.bytes().all(is_plain) {
            return out.write_all(fragment.as_bytes()); // nearly all are
        }
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| acts(*c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        to_writer(&mut out, &text).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_what_acts_is_escaped() {
        assert_eq!(written("a\u{202e}b\u{1b}\u{7f}\u{e0041}"), r#""a\u202eb\u001b\u007f\udb40\udc41""#);
        assert_eq!(written("موقع <b> \"x\""), r#""موقع <b> \"x\"""#);
    }

    proptest! {
        #[test]
        fn it_reads_back_as_it_was(text: String) {
            let json = written(&text);
            prop_assert!(!json.chars().any(acts));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
