//! What is recorded of a packet: all that judging needs, and little else.
//!
//! Of each direction of a TCP or UDP conversation the first [`WHOLE`] payload bytes are kept: hellos, certificates,
//! DNS, QUIC Initials, and what shows that a transfer froze at 16 KiB. After that only headers and [`SHORT`] bytes of
//! payload, so that lengths, numbers and alerts are still there and what people read is not. ICMP is kept whole; of
//! other IP traffic only the beginning. What is no IP at all is left out.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashMap;

use crate::base::Endpoint;
use crate::capture::Frame;
use crate::wire::{Payload, decode};

/// Payload bytes of a direction that are recorded whole.
pub const WHOLE: u64 = 64 << 10;
/// Payload bytes of each packet that are recorded after that: an encrypted alert fits.
pub const SHORT: usize = 64;
/// Bytes recorded of a packet that carries none of TCP, UDP and ICMP.
const OTHER: usize = 128;
/// Directions remembered, twice: beyond that the older half is forgotten, and recorded whole again.
const REMEMBERED: usize = 1 << 16;

/// Decides how much of each packet is recorded.
#[derive(Debug, Default)]
pub struct Trim {
    hasher: RandomState,
    /// Payload bytes seen of each direction, by the hash of its ends; the younger half.
    young: HashMap<u64, u64>,
    old: HashMap<u64, u64>,
    /// Packets left out.
    pub left_out: u64,
}

impl Trim {
    /// How many bytes of a frame to record; `None` where it is left out.
    pub fn keep(&mut self, frame: &Frame<'_>) -> Option<usize> {
        let packet = decode::frame(frame);
        let all = frame.data.len();
        let (src, dst, payload, wire_len) = match (packet.payload, packet.ip) {
            (Payload::Tcp(t), Some(ip)) => (
                Endpoint { addr: ip.src, port: t.src_port() },
                Endpoint { addr: ip.dst, port: t.dst_port() },
                t.payload,
                t.payload_len,
            ),
            (Payload::Udp(u), Some(ip)) => (
                Endpoint { addr: ip.src, port: u.src_port() },
                Endpoint { addr: ip.dst, port: u.dst_port() },
                u.payload,
                u.payload_len,
            ),
            (
                Payload::Quoted { .. }
                | Payload::Fragment(_)
                | Payload::Stopped(_)
                | Payload::Other("icmp" | "icmpv6"),
                _,
            ) => return Some(all),
            (Payload::Other(_), Some(_)) => return Some(all.min(OTHER)),
            _ => {
                self.left_out += 1;
                return None;
            }
        };
        let before = self.count(src, dst, u64::from(wire_len));
        let left = usize::try_from(WHOLE.saturating_sub(before)).unwrap_or(0);
        if payload.len() <= left {
            return Some(all);
        }
        let headers = payload.as_ptr().addr().saturating_sub(frame.data.as_ptr().addr());
        Some(all.min(headers.saturating_add(left.max(SHORT))))
    }

    /// Adds to the payload bytes of a direction; gives what there was before.
    fn count(&mut self, src: Endpoint, dst: Endpoint, bytes: u64) -> u64 {
        let key = self.hasher.hash_one((src, dst));
        if let Some(seen) = self.young.get_mut(&key) {
            let before = *seen;
            *seen = seen.saturating_add(bytes);
            return before;
        }
        let before = self.old.remove(&key).unwrap_or(0);
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, before.saturating_add(bytes));
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Direction, Span, Timestamp};
    use crate::capture::LinkType;
    use crate::testkit::conversation::{Conversation, Peer, capture};

    fn keep(trim: &mut Trim, data: &[u8]) -> Option<usize> {
        let (at, wire_len) = (Timestamp::from_ns(0), u32::try_from(data.len()).unwrap());
        let link_type = LinkType::ETHERNET;
        trim.keep(&Frame {
            number: 1,
            at,
            link_type,
            file: 0,
            interface: 0,
            data,
            wire_len,
            dropped_before: 0,
        })
    }

    #[test]
    fn the_beginning_is_whole_and_the_rest_is_headers() {
        let peer = |host, port| Peer::new([192, 0, 2, host].into(), port, 64, Span::from_ns(20_000));
        let mut c = Conversation::new(peer(1, 40_000), peer(2, 443), Timestamp::from_ns(0));
        c.handshake();
        for _ in 0..100 {
            c.data(Direction::ToClient, &[7; 1400]);
        }
        c.data(Direction::ToClient, &[7; 31]).data(Direction::ToServer, &[7; 1400]);
        let mut trim = Trim::default();
        let conversations = [c];
        let frames = capture(&conversations);
        let kept: Vec<(usize, usize)> =
            frames.iter().map(|f| (f.bytes.len(), keep(&mut trim, &f.bytes).unwrap())).collect();
        let cut = kept.iter().filter(|(all, kept)| kept < all).count();
        assert_eq!(cut, 100 - 46, "46 segments of 1,400 bytes lie within 64 KiB");
        let headers = kept[3].0 - 1400;
        let whole = kept.iter().filter(|(all, kept)| *all > 1000 && kept == all).count();
        assert_eq!(whole, 46 + 1, "the other direction has its own beginning");
        assert_eq!(kept[60].1, headers + SHORT);
        assert_eq!(kept[103].0, kept[103].1, "what is as short as an alert stays whole");
    }

    #[test]
    fn what_is_no_ip_is_left_out() {
        let mut arp = vec![0; 42];
        arp[12..14].copy_from_slice(&[8, 6]);
        let mut trim = Trim::default();
        assert_eq!((keep(&mut trim, &arp), trim.left_out), (None, 1));
    }

    #[test]
    fn memory_is_bounded() {
        let mut trim = Trim::default();
        for n in 0..300_000u32 {
            let end = Endpoint { addr: std::net::Ipv4Addr::from(n).into(), port: 1 };
            trim.count(end, end, 1000);
        }
        assert!(trim.young.len() + trim.old.len() <= 2 * REMEMBERED);
    }
}
