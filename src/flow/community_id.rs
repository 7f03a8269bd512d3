//! Community ID version 1 with seed 0 (the Corelight specification): one name for a flow in every tool.

use std::net::IpAddr;

use sha1::{Digest, Sha1};

use crate::base::Endpoint;

/// The Community ID of a TCP or UDP flow: `1:` and the base64 of a SHA-1. A plain hash of the addresses, so it
/// hides nothing: over IPv4 it can be tried out.
pub fn community_id(a: Endpoint, b: Endpoint, protocol: u8) -> String {
    // the bytes of two addresses of one family are in the order of the addresses
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    let mut hash = Sha1::new();
    hash.update(0u16.to_be_bytes());
    for end in [a, b] {
        match end.addr {
            IpAddr::V4(addr) => hash.update(addr.octets()),
            IpAddr::V6(addr) => hash.update(addr.octets()),
        }
    }
    hash.update([protocol, 0]);
    hash.update(a.port.to_be_bytes());
    hash.update(b.port.to_be_bytes());
    base64("1:", &hash.finalize())
}

/// Base64 with padding (RFC 4648 §4), behind a prefix.
fn base64(prefix: &str, bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4);
    out.push_str(prefix);
    for chunk in bytes.chunks(3) {
        let word =
            u32::from_be_bytes([0, chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)]);
        for i in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the specification's baseline data (corelight/community-id-spec, seed 0).
    #[test]
    fn published_vectors() {
        let id = |a: &str, ap, b: &str, bp, protocol| {
            let e = |addr: &str, port| Endpoint { addr: addr.parse().unwrap(), port };
            community_id(e(a, ap), e(b, bp), protocol)
        };
        let expected = "1:LQU9qZlK+B5F3KDmev6m5PMibrg=";
        assert_eq!(id("128.232.110.120", 34855, "66.35.250.204", 80, 6), expected);
        assert_eq!(id("66.35.250.204", 80, "128.232.110.120", 34855, 6), expected);
        // computed by Wireshark 4.0 (`tshark --enable-protocol communityid`)
        assert_eq!(id("2001:db8:1::1", 80, "2001:db8:1::2", 36951, 6), "1:Lemoi9vhwjyfeAvtAyITzfiUEeo=");
    }
}
