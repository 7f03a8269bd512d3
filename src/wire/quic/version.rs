//! Versions of QUIC, and what the Initial secrets of each are made from.

use std::fmt;

/// A version number as the wire has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32);

/// How a version makes its Initial keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) salt: &'static [u8; 20],
    /// Before `key`, `iv` and `hp` in the labels: `quic` or `quicv2`.
    pub(super) label: &'static str,
}

/// RFC 9001 §5.2; the same in the drafts 33 and 34.
const SALT_V1: &[u8; 20] =
    b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a";
/// RFC 9369 §3.3.1.
const SALT_V2: &[u8; 20] =
    b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9";
/// draft-ietf-quic-tls-29 to -32, §5.2.
const SALT_29: &[u8; 20] =
    b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99";
/// draft-ietf-quic-tls-23 to -28, §5.2.
const SALT_23: &[u8; 20] =
    b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02";
/// draft-ietf-quic-tls-21 and -22, §5.2.
const SALT_22: &[u8; 20] =
    b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a";

impl Version {
    /// In a Version Negotiation packet (RFC 8999 §6).
    pub const NEGOTIATION: Self = Self(0);
    /// RFC 9000.
    pub const V1: Self = Self(1);
    /// RFC 9369.
    pub const V2: Self = Self(0x6b33_43cf);

    /// The version that an IETF draft had, from 22 on; its header is the one of RFC 9000.
    pub const fn draft(number: u8) -> Self {
        Self(0xff00_0000 | number as u32)
    }

    /// The number of the draft whose Initials this version's are like. Facebook's mvfst had numbers of its own.
    fn draft_number(self) -> Option<u32> {
        let n = match self.0 {
            0xface_b001 => 22,
            0xface_b002 | 0xface_b00e => 27,
            n if n >> 8 == 0x00ff_0000 => n & 0xff,
            _ => return None,
        };
        (22..=34).contains(&n).then_some(n)
    }

    /// How its Initial keys are made, for the versions that this program decrypts.
    pub(super) fn recipe(self) -> Option<Recipe> {
        let salt = match (self, self.draft_number()) {
            (Self::V2, _) => return Some(Recipe { salt: SALT_V2, label: "quicv2" }),
            (Self::V1, _) | (_, Some(33..)) => SALT_V1,
            (_, Some(29..)) => SALT_29,
            (_, Some(23..)) => SALT_23,
            (_, Some(_)) => SALT_22,
            _ => return None,
        };
        Some(Recipe { salt, label: "quic" })
    }

    /// Whether this program can derive its Initial keys.
    pub fn is_read(self) -> bool {
        self.recipe().is_some()
    }

    /// Whether it is one of Google's: `Q` or `T` and three digits.
    pub const fn is_google(self) -> bool {
        let [kind, digits @ ..] = self.0.to_be_bytes();
        matches!(kind, b'Q' | b'T')
            && digits[0].is_ascii_digit()
            && digits[1].is_ascii_digit()
            && digits[2].is_ascii_digit()
    }

    /// Whether it is reserved to provoke Version Negotiation (RFC 9000 §15).
    pub const fn is_reserved(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V1 => f.write_str("v1"),
            Self::V2 => f.write_str("v2"),
            Self(n) if n >> 8 == 0x00ff_0000 => write!(f, "draft-{}", n & 0xff),
            Self(n) if self.is_google() => {
                n.to_be_bytes().iter().try_for_each(|b| write!(f, "{}", char::from(*b)))
            }
            Self(n) => write!(f, "0x{n:08x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_names() {
        let names = [
            Version::V1,
            Version::V2,
            Version::draft(29),
            Version(0x5130_3436),
            Version(0xface_b002),
            Version(0x0a1a_2a3a),
        ]
        .map(|v| v.to_string());
        assert_eq!(names, ["v1", "v2", "draft-29", "Q046", "0xfaceb002", "0x0a1a2a3a"]);
        assert!(Version(0x5430_3531).is_google() && !Version(0x5130_3a36).is_google());
        assert!(Version(0x0a1a_2afa).is_reserved() && !Version::V1.is_reserved());
    }

    #[test]
    fn what_is_read() {
        let read: Vec<u8> = (0..=255).filter(|n| Version::draft(*n).is_read()).collect();
        assert_eq!(read, (22..=34).collect::<Vec<u8>>());
        assert!(Version::V1.is_read() && Version::V2.is_read() && Version(0xface_b001).is_read());
        assert!(!Version(0).is_read() && !Version(0x5130_3530).is_read());
    }
}
