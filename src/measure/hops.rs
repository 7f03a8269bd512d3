//! How far away the sender of a packet is, as its TTL tells it.

/// Initial TTLs of the systems in use (Weaver et al. 2009, §4.3 see these clusters too).
const INITIAL: [u8; 4] = [32, 64, 128, 255];

/// The initial TTL that a received TTL most likely began with: the next at or above it.
pub fn initial_ttl(ttl: u8) -> u8 {
    INITIAL.into_iter().find(|i| *i >= ttl).unwrap_or(255)
}

/// The number of routers between the sender and the point of capture, if the sender began with a usual TTL.
pub fn hops(ttl: u8) -> u8 {
    initial_ttl(ttl) - ttl
}

/// Whether a TTL is an initial one: the packet crossed no router, so it was sent on the capturing host or its link.
pub fn is_initial(ttl: u8) -> bool {
    matches!(ttl, 64 | 128 | 255)
}

/// Whether two TTLs may belong to one host that uses different initial values for different packets, as benign
/// hosts do (Weaver et al. 2009): same distance, within one hop, from different initial TTLs.
pub fn same_distance(a: u8, b: u8) -> bool {
    initial_ttl(a) != initial_ttl(b) && hops(a).abs_diff(hops(b)) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!((hops(57), hops(241), hops(128), hops(20)), (7, 14, 0, 12));
        assert!(same_distance(50, 241), "14 hops from 64 and from 255");
        assert!(!same_distance(50, 57) && !same_distance(57, 52));
    }
}
