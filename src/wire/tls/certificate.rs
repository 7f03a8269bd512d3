//! The names that a server's certificate is for, where it is in clear: TLS 1.2 and before.
//!
//! Looks for one extension and no more; what it cannot read to its end it does not tell.

/// `subjectAltName` (RFC 5280 §4.2.1.6), as DER has it.
const SUBJECT_ALT_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x11];
/// `critical` set.
const CRITICAL: [u8; 3] = [0x01, 0x01, 0xff];
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// `dNSName`.
const DNS_NAME: u8 = 0x82;

/// The most names that are read; certificates of large networks have a hundred and more.
const MOST: usize = 512;

/// The DNS names of the first certificate in a server's flight; `None` where it has none, or not all of them are there.
///
/// Time is linear in the length of the stream.
pub fn certificate_names(stream: &[u8]) -> Option<Vec<&str>> {
    let at = stream.windows(SUBJECT_ALT_NAME.len()).position(|w| w == SUBJECT_ALT_NAME)?;
    let rest = &stream[at + SUBJECT_ALT_NAME.len()..];
    let rest = rest.strip_prefix(&CRITICAL).unwrap_or(rest);
    let (tag, value, _) = element(rest)?;
    let (inner, mut names, _) = element(value)?;
    if tag != OCTET_STRING || inner != SEQUENCE {
        return None;
    }
    let mut found = Vec::new();
    while !names.is_empty() && found.len() < MOST {
        let (tag, value, rest) = element(names)?;
        if tag == DNS_NAME {
            found.push(std::str::from_utf8(value).ok()?);
        }
        names = rest;
    }
    Some(found)
}

/// Whether a certificate's name is that of a host: the same, or a wildcard for its first label (RFC 6125 §6.4.3).
pub fn is_for(certificate: &str, host: &str) -> bool {
    if certificate.eq_ignore_ascii_case(host) {
        return true;
    }
    let parent = |name: &str| Some(name.split_once('.')?.1.to_ascii_lowercase()).filter(|p| !p.is_empty());
    certificate.starts_with("*.") && parent(certificate).is_some_and(|p| parent(host) == Some(p))
}

/// An element of DER: its tag, its value, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), &rest[2..]),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    Some((tag, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(names: &[&str]) -> Vec<u8> {
        let list: Vec<u8> = names
            .iter()
            .flat_map(|n| [&[DNS_NAME, u8::try_from(n.len()).unwrap()], n.as_bytes()].concat())
            .collect();
        let len = u8::try_from(list.len()).unwrap();
        [&SUBJECT_ALT_NAME[..], &[OCTET_STRING, len + 2, SEQUENCE, len], &list].concat()
    }

    #[test]
    fn names_are_read_whole_or_not_at_all() {
        let whole = [&[0x16, 3, 3, 0, 90][..], &extension(&["x.com", "*.twimg.com"]), &[5, 0]].concat();
        assert_eq!(certificate_names(&whole), Some(vec!["x.com", "*.twimg.com"]));
        for cut in 0..whole.len() - 2 {
            assert_eq!(certificate_names(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(certificate_names(&[0x30; 300]), None);
    }

    #[test]
    fn wildcards_stand_for_one_label() {
        assert!(is_for("X.com", "x.com") && is_for("*.twimg.com", "abs.twimg.com"));
        assert!(!is_for("*.twimg.com", "twimg.com") && !is_for("*.twimg.com", "a.b.twimg.com"));
        assert!(!is_for("example.org", "x.com") && !is_for("*.", "x."));
    }
}
