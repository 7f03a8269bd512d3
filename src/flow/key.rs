//! The key of a connection: two endpoints in an order that does not depend on who speaks.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

use crate::base::Endpoint;

/// Two endpoints, the lower first, so that both directions of a connection have one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    low: u128,
    high: u128,
    /// The ports of both.
    ports: u32,
    /// Whether the addresses are of IPv6, where some are IPv4-mapped, too.
    v6: bool,
}

/// What all IPv4-mapped addresses begin with (RFC 4291 §2.5.5.2).
const MAPPED: u128 = 0xffff_0000_0000;

impl Key {
    /// The key of a packet, and whether its source is the lower endpoint.
    #[inline]
    pub fn new(src: Endpoint, dst: Endpoint) -> (Self, bool) {
        let (s, d) = (number(src.addr), number(dst.addr));
        let from_low = if let (IpAddr::V4(s), IpAddr::V4(d)) = (src.addr, dst.addr) {
            let place = |addr: Ipv4Addr, port: u16| u64::from(addr.to_bits()) << 16 | u64::from(port);
            place(s, src.port) <= place(d, dst.port)
        } else {
            s < d || s == d && src.port <= dst.port
        };
        let ports = |a: u16, b: u16| u32::from(a) << 16 | u32::from(b);
        let v6 = src.addr.is_ipv6();
        if from_low {
            (Self { low: s, high: d, ports: ports(src.port, dst.port), v6 }, true)
        } else {
            (Self { low: d, high: s, ports: ports(dst.port, src.port), v6 }, false)
        }
    }
}

impl Key {
    /// Source and destination of a packet that is from the lower endpoint, or from the other.
    pub fn ends(&self, from_low: bool) -> (Endpoint, Endpoint) {
        #[allow(clippy::cast_possible_truncation)]
        // the lower 32 bits are an IPv4 address, and the lower 16 a port
        let end = |number: u128, port: u32| {
            let addr = if self.v6 { IpAddr::V6(number.into()) } else { IpAddr::V4((number as u32).into()) };
            Endpoint { addr, port: port as u16 }
        };
        let (low, high) = (end(self.low, self.ports >> 16), end(self.high, self.ports));
        if from_low { (low, high) } else { (high, low) }
    }

    /// Which of `of` tables is to have the connection: the same in every run.
    #[allow(clippy::cast_possible_truncation)] // mixed so that the upper bits have all of it
    pub fn share(&self, of: u32) -> u32 {
        let folded = self.low ^ self.high.rotate_left(64) ^ u128::from(self.ports);
        let mixed = (folded as u64 ^ (folded >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15); // 2⁶⁴/φ (Knuth)
        (((mixed >> 32) * u64::from(of)) >> 32) as u32
    }
}

impl Hash for Key {
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // the lower 32 bits are an IPv4 address
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.low >> 32 == MAPPED >> 32 && self.high >> 32 == MAPPED >> 32 {
            state.write_u64(u64::from(self.low as u32) << 32 | u64::from(self.high as u32));
        } else {
            state.write_u128(self.low);
            state.write_u128(self.high);
        }
        state.write_u32(self.ports);
    }
}

/// An address as a number; IPv4 as IPv4-mapped IPv6.
#[inline]
fn number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(a) => MAPPED | u128::from(a.to_bits()),
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
        let mapped = |e: Endpoint| match e.addr {
            IpAddr::V4(v4) => Endpoint { addr: v4.to_ipv6_mapped().into(), ..e },
            IpAddr::V6(_) => e,
        };
        let (v6, b6) = (mapped(a), mapped(b));
        assert_eq!(Key::new(a, b).0, Key::new(b, a).0);
        for (a, b) in [(a, b), (b, a), (v6, b6), (b6, v6)] {
            let (key, from_low) = Key::new(a, b);
            assert_eq!(key.ends(from_low), (a, b));
        }
        assert_ne!(Key::new(a, b).1, Key::new(b, a).1);
        assert_ne!(Key::new(a, b).0, Key::new(at([192, 0, 2, 1], 443), at([198, 51, 100, 7], 50_000)).0);
    }
}
