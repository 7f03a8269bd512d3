//! The key of a connection: two endpoints in an order that does not depend on who speaks.

use std::net::IpAddr;

use crate::base::Endpoint;

/// Two endpoints, the lower first, so that both directions of a connection have one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    low: (u128, u16),
    high: (u128, u16),
}

impl Key {
    /// The key of a packet, and whether its source is the lower endpoint.
    pub fn new(src: Endpoint, dst: Endpoint) -> (Self, bool) {
        let (s, d) = ((number(src.addr), src.port), (number(dst.addr), dst.port));
        if s <= d { (Self { low: s, high: d }, true) } else { (Self { low: d, high: s }, false) }
    }
}

/// An address as a number; IPv4 as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2).
fn number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(a) => a.to_ipv6_mapped().to_bits(),
        IpAddr::V6(a) => a.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_share_a_key() {
        let at = |a: [u8; 4], port| Endpoint { addr: IpAddr::from(a), port };
        let (a, b) = (at([192, 0, 2, 1], 50_000), at([198, 51, 100, 7], 443));
        assert_eq!(Key::new(a, b).0, Key::new(b, a).0);
        assert_ne!(Key::new(a, b).1, Key::new(b, a).1);
        assert_ne!(Key::new(a, b).0, Key::new(at([192, 0, 2, 1], 443), at([198, 51, 100, 7], 50_000)).0);
    }
}
