//! What is recorded of a packet: all that judging needs, and little else.
//!
//! Of each direction of a TCP or UDP conversation the first [`WHOLE`] payload bytes are kept: hellos, certificates, block
//! pages, and what shows that a transfer froze at 16 KiB. After that only headers and [`SHORT`] bytes of payload, so that
//! lengths, numbers and alerts are still there and what people read is not. Always whole: DNS, the long headers of QUIC,
//! ICMP, and the conversations of the target names, where there are any ([`Targets`]). Of other IP traffic only the
//! beginning is kept; what is no IP at all is left out.
//!
//! No packet of a conversation is left out, however long it is: one that is missing looks like one that was lost.

use std::hash::{BuildHasher, RandomState};

use super::lately::Lately;
use super::targets::Targets;
use crate::base::{Endpoint, Timestamp};
use crate::capture::Frame;
use crate::flow::head::HELLO_LIMIT;
use crate::flow::udp::IDLE;
use crate::wire::quic::speaks_quic;
use crate::wire::tcp::Flags;
use crate::wire::{Payload, decode, dns};

/// Payload bytes of a direction that are recorded whole.
pub const WHOLE: u64 = 64 << 10;
/// Payload bytes of each packet that are recorded after that: an encrypted alert fits.
pub const SHORT: usize = 64;
/// Bytes recorded of a packet that carries none of TCP, UDP and ICMP.
const OTHER: usize = 128;
/// Conversations remembered, twice: beyond that the older half is forgotten, and recorded whole again.
const REMEMBERED: usize = 1 << 15;
/// Port of DNS, in UDP and in TCP.
const DNS: u16 = 53;

/// Decides how much of each packet is recorded.
#[derive(Debug)]
pub struct Trim {
    hasher: RandomState,
    /// By the hash of its ends.
    conversations: Lately<u64, Seen>,
    targets: Targets,
    /// Packets left out.
    pub left_out: u64,
    /// Bytes left out of packets that are recorded.
    pub cut: u64,
}

/// What was seen of a conversation.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Payload bytes, from the lower end and from the higher.
    bytes: [u64; 2],
    /// Whether its first words name a target, once they name anything.
    names_target: Option<bool>,
    last: Timestamp,
}

/// A packet of a conversation.
struct Part<'a> {
    src: Endpoint,
    dst: Endpoint,
    payload: &'a [u8],
    wire_len: u32,
    what: What,
}

enum What {
    Tcp { seq: crate::base::SeqNum, opens: bool },
    Udp,
}

impl Trim {
    /// Nothing seen yet; conversations of the `targets` will be recorded whole.
    pub fn new(targets: Vec<String>) -> Self {
        Self {
            hasher: RandomState::new(),
            conversations: Lately::new(REMEMBERED),
            targets: Targets::new(targets),
            left_out: 0,
            cut: 0,
        }
    }

    /// How many bytes of a frame to record; `None` where it is left out.
    pub fn keep(&mut self, frame: &Frame<'_>) -> Option<usize> {
        let keep = self.length(frame);
        match keep {
            Some(keep) => self.cut += frame.data.len().saturating_sub(keep) as u64,
            None => self.left_out += 1,
        }
        keep
    }

    /// What a reader of the recording has to know that it does not hold; `None` where that is nothing.
    pub fn what_is_missing(&self) -> Option<String> {
        let Self { left_out, cut, .. } = self;
        let some = *left_out > 0 || *cut > 0;
        some.then(|| {
            format!("not recorded, as --all was not given: {left_out} packets that are no IP, {cut} bytes of payload")
        })
    }

    fn length(&mut self, frame: &Frame<'_>) -> Option<usize> {
        let packet = decode::frame(frame);
        let all = frame.data.len();
        let end = |addr, port| Endpoint { addr, port };
        let part = match (packet.payload, packet.ip) {
            (Payload::Tcp(t), Some(ip)) => Part {
                src: end(ip.src, t.src_port()),
                dst: end(ip.dst, t.dst_port()),
                payload: t.payload,
                wire_len: t.payload_len,
                what: What::Tcp {
                    seq: t.seq(),
                    opens: t.flags().has(Flags::SYN) && !t.flags().has(Flags::ACK),
                },
            },
            (Payload::Udp(u), Some(ip)) => Part {
                src: end(ip.src, u.src_port()),
                dst: end(ip.dst, u.dst_port()),
                payload: u.payload,
                wire_len: u.payload_len,
                what: What::Udp,
            },
            (
                Payload::Quoted { .. }
                | Payload::Fragment(_)
                | Payload::Stopped(_)
                | Payload::Other("icmp" | "icmpv6"),
                _,
            ) => return Some(all),
            (Payload::Other(_), Some(_)) => return Some(all.min(OTHER)),
            _ => return None,
        };
        let left = self.room(&part, frame.at);
        if part.payload.len() <= left {
            return Some(all);
        }
        let headers = part.payload.as_ptr().addr().saturating_sub(frame.data.as_ptr().addr());
        Some(all.min(headers.saturating_add(left.max(SHORT))))
    }

    /// How many payload bytes of a packet are to be recorded, at most.
    fn room(&mut self, p: &Part<'_>, at: Timestamp) -> usize {
        let (low, high) = (p.src.min(p.dst), p.src.max(p.dst));
        let key = self.hasher.hash_one((low, high));
        let seen = self.conversations.entry(key);
        let is_new = match p.what {
            What::Tcp { opens, .. } => opens,
            What::Udp => at.since(seen.last) > IDLE,
        };
        if is_new {
            *seen = Seen::default();
        }
        seen.last = at;
        let sent = &mut seen.bytes[usize::from(p.src == high)];
        let before = *sent;
        *sent = before.saturating_add(u64::from(p.wire_len));
        let is_quic = matches!(p.what, What::Udp) && speaks_quic(p.payload);
        if p.src.port == DNS || p.dst.port == DNS {
            self.learn(p);
            return usize::MAX;
        }
        if self.is_of_target(key, p, before) || is_quic {
            return usize::MAX;
        }
        usize::try_from(WHOLE.saturating_sub(before)).unwrap_or(0)
    }

    /// Learns from a packet of DNS where the targets are.
    fn learn(&mut self, p: &Part<'_>) {
        if self.targets.is_empty() || p.src.port != DNS {
            return;
        }
        match p.what {
            What::Udp => self.targets.learn(p.payload),
            What::Tcp { .. } => dns::framed(p.payload).for_each(|message| self.targets.learn(message)),
        }
    }

    /// Whether a conversation is one of a target.
    fn is_of_target(&mut self, key: u64, p: &Part<'_>, before: u64) -> bool {
        if self.targets.is_empty() {
            return false;
        }
        let seen = self.conversations.entry(key);
        if seen.names_target.is_none() && !p.payload.is_empty() && before < HELLO_LIMIT as u64 {
            seen.names_target = match p.what {
                What::Tcp { seq, .. } => self.targets.names_in_stream(key, seq, p.payload),
                What::Udp => self.targets.names_in_initials(key, p.payload),
            };
        }
        let named = seen.names_target;
        named.unwrap_or_else(|| self.targets.is_server(p.src.addr) || self.targets.is_server(p.dst.addr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Direction, Span};
    use crate::capture::LinkType;
    use crate::testkit::conversation::{Conversation, Peer, capture};
    use crate::testkit::dns;
    use crate::testkit::quic::{self, Initial, crypto};
    use crate::testkit::tls::Hello;
    use crate::testkit::udp::Talk;
    use crate::wire::quic::Version;

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
        let mut trim = Trim::new(Vec::new());
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
        let mut trim = Trim::new(Vec::new());
        assert_eq!((keep(&mut trim, &arp), trim.left_out), (None, 1));
    }

    /// A download of 200 KB over TCP that begins with these segments of the client, of which nothing is the name's where
    /// they are none.
    fn download(client: [&[u8]; 2], server: u8) -> Conversation {
        let peer = |host, port| Peer::new([192, 0, 2, host].into(), port, 64, Span::from_ns(20_000));
        let mut c = Conversation::new(peer(1, 40_000), peer(server, 443), Timestamp::from_ns(0));
        c.handshake();
        for segment in client.into_iter().filter(|s| !s.is_empty()) {
            c.data(Direction::ToServer, segment);
        }
        for _ in 0..150 {
            c.data(Direction::ToClient, &[7; 1400]);
        }
        c
    }

    /// How many packets of a conversation are cut.
    fn cut(trim: &mut Trim, c: &Conversation) -> usize {
        c.frames.iter().filter(|f| keep(trim, &f.bytes).unwrap() < f.bytes.len()).count()
    }

    fn of_x() -> Trim {
        Trim::new(vec!["x.com".to_owned(), "twimg.com".to_owned()])
    }

    #[test]
    fn what_names_a_target_is_whole() {
        let hello = Hello::to("abs.twimg.com").record();
        let long = Hello::post_quantum("x.com").record();
        let (one, two) = long.split_at(long.windows(5).position(|w| w == b"x.com").unwrap() + 2);
        let request = b"GET / HTTP/1.1\r\nHost: X.com\r\n\r\n";
        for client in [[&hello[..], &[]], [one, two], [&request[..], &[]]] {
            assert_eq!(cut(&mut of_x(), &download(client, 2)), 0, "{:?}", client[0].get(..16));
            assert_eq!(cut(&mut Trim::new(Vec::new()), &download(client, 2)), 150 - 46);
        }
        for name in ["notx.com", "x.com.example.org"] {
            let hello = Hello::to(name).record();
            assert_eq!(cut(&mut of_x(), &download([&hello, &[]], 2)), 150 - 46, "{name}");
        }
        assert_eq!(cut(&mut of_x(), &download([two, one], 2)), 150 - 46, "no hello begins so");
    }

    #[test]
    fn where_no_name_was_read_the_address_decides() {
        let resolver = Endpoint { addr: [192, 0, 2, 53].into(), port: 53 };
        let client = Endpoint { addr: [192, 0, 2, 1].into(), port: 50_000 };
        let mut asked = Talk::new(client, resolver, Timestamp::from_ns(0));
        for (name, server) in [("X.com", 2), ("example.org", 3)] {
            let records = [dns::alias("edge.example.net", 60), dns::address([192, 0, 2, server].into(), 60)];
            asked.send(Direction::ToClient, &dns::answer(1, name, 1, 0x8180, &records));
        }
        let learnt = || {
            let mut trim = of_x();
            assert!(asked.frames.iter().all(|f| keep(&mut trim, &f.bytes) == Some(f.bytes.len())));
            trim
        };
        assert_eq!(cut(&mut learnt(), &download([&[], &[]], 2)), 0, "x.com was there");
        assert_eq!(cut(&mut learnt(), &download([&[], &[]], 3)), 150 - 46);
        assert_eq!(cut(&mut of_x(), &download([&[], &[]], 2)), 150 - 46, "nobody asked");
        let other = Hello::to("example.org").record();
        assert_eq!(
            cut(&mut learnt(), &download([&other, &[]], 2)),
            150 - 46,
            "the name is surer than the address"
        );
    }

    #[test]
    fn the_name_is_read_in_quic_too() {
        let end = |host, port| Endpoint { addr: [192, 0, 2, host].into(), port };
        for (name, wanted) in [("x.com", 0), ("example.org", 100 - 46)] {
            let mut talk = Talk::new(end(1, 50_000), end(2, 443), Timestamp::from_ns(0));
            let hello = Hello::post_quantum(name).message();
            let (one, two) = hello.split_at(hello.len() / 2);
            for (n, part) in [(1, two), (0, one)] {
                let at = if n == 1 { one.len() } else { 0 };
                let mut initial = Initial::from_client(Version(1), b"12345678").with(&crypto(at, part), 1200);
                initial.number = n;
                talk.send(Direction::ToServer, &initial.seal());
            }
            for _ in 0..100 {
                talk.send(Direction::ToClient, &quic::short(b"", 1400));
            }
            let mut trim = of_x();
            let cut =
                talk.frames.iter().filter(|f| keep(&mut trim, &f.bytes).unwrap() < f.bytes.len()).count();
            assert_eq!(cut, wanted, "{name}");
        }
    }

    #[test]
    fn ports_that_are_used_again_begin_anew() {
        let mut trim = Trim::new(Vec::new());
        let c = download([&[], &[]], 2);
        assert_eq!([cut(&mut trim, &c), cut(&mut trim, &c)], [150 - 46; 2]);
        let said = trim.what_is_missing().unwrap();
        assert!(
            said.ends_with(&format!("0 packets that are no IP, {} bytes of payload", trim.cut)),
            "{said}"
        );
        assert!(trim.cut > 2 * 103 * (1400 - 64));
    }
}
