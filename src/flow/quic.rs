//! What a flow's QUIC packets tell without the ends' keys: its Initials opened until the hello is read, and who sends
//! which kind of packet.
//!
//! The keys come from the destination connection ID of the client's first Initial, and change when the server asks it
//! to come again (Retry) or in another version. A packet that its keys do not open is counted, never guessed at.

use crate::base::endpoint::PerDirection;
use crate::base::{Direction, Timestamp};
use crate::wire::quic::{
    Frame, Frames, Keys, Kind, Long, MAX_CID, Packet, Refused, Version, initial_keys, packets,
};
use crate::wire::tls::{self, ClientHello, Scan, Transport};

use super::head::{HELLO_LIMIT, StreamHead};
use super::hello::Hello;
use super::udp::Datagram;

/// The most Initials of one direction that are opened: a hello takes one to three, and the rest shows how often it was
/// sent and acknowledged.
const MAX_OPENED: u32 = 32;

/// The most Initials of a flow that may fail to open before no more are tried.
const MAX_REFUSED: u32 = 16;

/// How many times of a repeated hello are kept.
pub const TIMES_KEPT: usize = 8;

/// A `CONNECTION_CLOSE` in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// Which way it went.
    pub direction: Direction,
    /// Its code (RFC 9000 §20).
    pub code: u64,
    /// Its frame.
    pub frame: u64,
}

/// The packets of one end, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Initials.
    pub initials: u32,
    /// Those that its keys opened.
    pub opened: u32,
    /// Packets with early data.
    pub zero_rtt: u32,
    /// Handshake packets.
    pub handshakes: u32,
    /// Short headers.
    pub short: u32,
    /// Datagrams of nothing but short headers since the last with a long one.
    pub short_since_long: u32,
    /// When the first short header was captured.
    pub first_short: Option<Timestamp>,
    /// When the last long header was captured.
    pub last_long: Option<Timestamp>,
    /// How often its first CRYPTO bytes were sent: of a client its hello, of a server its flight.
    pub flights: u32,
    /// When its first CRYPTO bytes were sent last.
    pub last_flight: Option<Timestamp>,
    /// The highest number of an Initial that the other end acknowledges.
    pub acked: Option<u64>,
    /// The highest number of an Initial that was opened.
    pub largest: Option<u64>,
}

/// Who sent a datagram, as far as it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The client: a key made from the packet's own connection ID opens it.
    Client,
    /// It does not tell.
    Either,
}

/// A connection ID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Id {
    bytes: [u8; MAX_CID],
    len: u8,
}

impl Id {
    fn new(id: &[u8]) -> Self {
        let mut bytes = [0; MAX_CID];
        let len = id.len().min(MAX_CID);
        bytes[..len].copy_from_slice(&id[..len]);
        Self { bytes, len: u8::try_from(len).unwrap_or(0) } // at most 20
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What was seen of a QUIC connection: all that its row needs.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The version: of the client's Initials, or of the first long header.
    pub version: Version,
    /// The hello, once it is read.
    pub hello: Option<Box<Hello>>,
    /// How many Initials brought it, repeated ones included.
    pub hello_packets: u32,
    /// The packets of each end.
    pub sent: PerDirection<Sent>,
    /// When the hello was sent, the first [`TIMES_KEPT`] times.
    pub hello_times: Vec<Timestamp>,
    /// Payload of the datagram with the client's first Initial.
    pub first_initial_len: u32,
    /// The highest number of a client's Initial before the server's first packet.
    pub first_flight: Option<u64>,
    /// When the client first sent something after the server's first packet.
    pub client_replied: Option<Timestamp>,
    /// The frame of a Version Negotiation packet.
    pub negotiation: Option<u64>,
    /// The frame of a Retry.
    pub retry: Option<u64>,
    /// The first `CONNECTION_CLOSE` in clear.
    pub close: Option<Close>,
    /// Initials that are none with these keys.
    pub refused: u32,
    /// Initials of which the capture has only the beginning.
    pub cut: u32,
    /// Initials that were not tried: enough were opened, or failed.
    pub untried: u32,
}

/// A QUIC connection, while it is open.
#[derive(Clone, Debug, Default)]
pub struct Quic {
    /// What was seen of it.
    pub seen: Seen,
    keys: Option<PerDirection<Keys>>,
    /// What the keys were made from.
    key_id: Id,
    /// The connection ID that the server chose.
    server_id: Option<Id>,
    /// The CRYPTO bytes of the client until its hello is read.
    head: StreamHead,
    /// How many contiguous bytes there must be before the hello is looked for again.
    ask_at: usize,
    /// Initials that added to the head.
    added: u32,
    last_added: u64,
}

impl Quic {
    /// Whether this datagram of the client begins another connection between the same ends: an Initial with a connection ID of its
    /// own that opens it, though nobody asked the client to come again.
    pub(super) fn begins_anew(&mut self, d: &Datagram<'_>) -> bool {
        let Some(PerDirection { to_server: keys, .. }) = self.keys else { return false };
        if self.seen.negotiation.is_some() || self.seen.retry.is_some() {
            return false;
        }
        let Some(Packet::Long(long)) = packets(d.payload).next() else { return false };
        let id = Id::new(long.dcid);
        let known = id == self.key_id || Some(id) == self.server_id || long.kind != Kind::Initial;
        if known || self.seen.refused >= MAX_REFUSED {
            return false;
        }
        let mut frames = Vec::new();
        if keys.open(&long, 0, &mut frames).is_ok() {
            self.server_id = Some(id); // it goes on with what the server chose
            return false;
        }
        opens_itself(&long, &mut frames).is_some()
    }

    /// Takes the QUIC packets of a datagram of the end that is taken for the sender in `from`.
    pub(super) fn push(&mut self, from: Direction, d: &Datagram<'_>) -> Sender {
        let mut sender = Sender::Either;
        let mut from = from;
        let (mut long_headers, mut short_headers) = (false, 0u32);
        for packet in packets(d.payload) {
            match packet {
                Packet::Long(long) => {
                    long_headers = true;
                    if self.long(from, &long, d) == Sender::Client {
                        sender = Sender::Client;
                        from = Direction::ToServer;
                    }
                }
                Packet::Short => short_headers += 1,
                Packet::Retry { scid } if from == Direction::ToClient => {
                    self.seen.retry = self.seen.retry.or(Some(d.frame));
                    self.server_id = Some(Id::new(scid));
                }
                Packet::Negotiation(_) if from == Direction::ToClient => {
                    self.seen.negotiation = self.seen.negotiation.or(Some(d.frame));
                }
                Packet::Google(version) | Packet::Unread(version) => {
                    if self.seen.version == Version::default() {
                        self.seen.version = version;
                    }
                }
                Packet::Retry { .. } | Packet::Negotiation(_) => {}
            }
        }
        let sent = &mut self.seen.sent[from];
        sent.short = sent.short.saturating_add(short_headers);
        if long_headers {
            sent.short_since_long = 0;
            sent.last_long = Some(d.at);
        } else if short_headers > 0 {
            sent.short_since_long = sent.short_since_long.saturating_add(1);
        }
        if short_headers > 0 {
            sent.first_short = sent.first_short.or(Some(d.at));
        }
        let server = &self.seen.sent.to_client;
        if from == Direction::ToServer && (server.last_long.is_some() || server.short > 0) {
            self.seen.client_replied = self.seen.client_replied.or(Some(d.at));
        }
        sender
    }

    fn long(&mut self, from: Direction, long: &Long<'_>, d: &Datagram<'_>) -> Sender {
        if self.seen.version == Version::default() {
            self.seen.version = long.version;
        }
        let sent = &mut self.seen.sent[from];
        let count = match long.kind {
            Kind::Initial => &mut sent.initials,
            Kind::ZeroRtt => &mut sent.zero_rtt,
            Kind::Handshake => &mut sent.handshakes,
        };
        *count = count.saturating_add(1);
        if long.kind != Kind::Initial {
            return Sender::Either;
        }
        if from == Direction::ToServer && sent.initials == 1 {
            self.seen.first_initial_len = d.len;
        }
        if sent.opened >= MAX_OPENED || self.seen.refused >= MAX_REFUSED {
            self.seen.untried = self.seen.untried.saturating_add(1);
            return Sender::Either;
        }
        let mut frames = Vec::with_capacity(long.bytes.len());
        let (direction, number) = match self.open(from, long, &mut frames) {
            Ok(opened) => opened,
            Err(Refused::Cut) => {
                self.seen.cut = self.seen.cut.saturating_add(1);
                return Sender::Either;
            }
            Err(Refused::WrongTag | Refused::TooShort) => {
                self.seen.refused += 1; // at most MAX_REFUSED
                return Sender::Either;
            }
        };
        if direction == Direction::ToServer && from == Direction::ToClient {
            std::mem::swap(&mut self.seen.sent.to_server, &mut self.seen.sent.to_client);
            self.seen.first_initial_len = d.len;
        }
        self.frames(direction, number, &frames, d);
        if direction == Direction::ToClient {
            self.server_id = Some(Id::new(long.scid));
            Sender::Either
        } else {
            Sender::Client
        }
    }

    /// Opens an Initial with the keys that it may have: gives who sent it, and its number.
    fn open(
        &mut self,
        from: Direction,
        long: &Long<'_>,
        frames: &mut Vec<u8>,
    ) -> Result<(Direction, u64), Refused> {
        let expected = self.seen.sent[from].largest.map_or(0, |n| n + 1);
        if let Some(keys) = self.keys {
            if long.version == self.seen.version {
                match keys[from].open(long, expected, frames) {
                    Err(Refused::WrongTag) => {}
                    other => return other.map(|number| (from, number)),
                }
            } else if let Some(keys) = initial_keys(long.version, self.key_id.as_bytes())
                && let Ok(number) = keys[from].open(long, expected, frames)
            {
                // the ends went on in another version that they share (RFC 9368 §2)
                self.seen.version = long.version;
                self.keys = Some(keys);
                return Ok((from, number));
            }
            let again = self.seen.retry.is_some() || self.seen.negotiation.is_some();
            if !again || from == Direction::ToClient || Id::new(long.dcid) == self.key_id {
                return Err(Refused::WrongTag);
            }
        }
        if !long.whole {
            return Err(Refused::Cut);
        }
        let (keys, number) = opens_itself(long, frames).ok_or(Refused::WrongTag)?;
        if self.seen.version != long.version {
            // what came before belonged to another try
            (self.head, self.ask_at, self.seen.version) = (StreamHead::default(), 0, long.version);
        }
        (self.keys, self.key_id) = (Some(keys), Id::new(long.dcid));
        Ok((Direction::ToServer, number))
    }

    fn frames(&mut self, direction: Direction, number: u64, frames: &[u8], d: &Datagram<'_>) {
        let is_client = direction == Direction::ToServer;
        if is_client && self.seen.sent.to_client.last_long.is_none() {
            self.seen.first_flight = self.seen.first_flight.max(Some(number));
        }
        let sent = &mut self.seen.sent[direction];
        sent.opened += 1; // at most MAX_OPENED
        sent.largest = sent.largest.max(Some(number));
        let (mut begins, mut crypto) = (false, false);
        for frame in Frames::new(frames) {
            match frame {
                Frame::Ack { largest } => {
                    let other = &mut self.seen.sent[direction.reversed()];
                    other.acked = other.acked.max(Some(largest));
                }
                Frame::Crypto { offset, data } => {
                    begins |= offset == 0 && !data.is_empty();
                    if is_client && self.seen.hello.is_none() {
                        crypto = true;
                        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                        self.head.insert(offset, data, d.frame, HELLO_LIMIT);
                    }
                }
                Frame::Close { code } => {
                    self.seen.close = self.seen.close.or(Some(Close { direction, code, frame: d.frame }));
                }
                Frame::Ping | Frame::Other => {}
            }
        }
        if begins {
            let sent = &mut self.seen.sent[direction];
            sent.flights += 1; // at most MAX_OPENED
            sent.last_flight = Some(d.at);
            if is_client && self.seen.hello_times.len() < TIMES_KEPT {
                self.seen.hello_times.push(d.at);
            }
        }
        if crypto {
            (self.added, self.last_added) = (self.added + 1, d.frame);
            self.read_hello(d.at);
        }
    }

    fn read_hello(&mut self, at: Timestamp) {
        let head = self.head.contiguous();
        if head.len() < self.ask_at {
            return;
        }
        match tls::client_hello_message(head) {
            Scan::Complete(hello) => self.keep(hello, at),
            Scan::Incomplete { need, .. } => self.ask_at = head.len().saturating_add(need.max(1)),
            Scan::NotTls => self.ask_at = usize::MAX,
        }
    }

    fn keep(&mut self, hello: ClientHello, at: Timestamp) {
        self.seen.hello = Some(Box::new(Hello::new(hello, Transport::Quic, self.last_added, at)));
        self.seen.hello_packets = self.added;
        self.head = StreamHead::default();
    }

    /// Whether none of its Initials could be opened, so that only their headers tell.
    pub fn keyless(&self) -> bool {
        self.keys.is_none()
    }

    /// What can still be told when no more will come: a hello of which the capture has only the beginning.
    pub(super) fn finish(&mut self, at: Timestamp) {
        if self.seen.hello.is_none()
            && let Some(hello) = tls::client_hello_message(self.head.contiguous()).into_seen()
        {
            self.keep(hello, at);
        }
    }
}

/// The keys made from the packet's own connection ID, if they open it as a client's.
fn opens_itself(long: &Long<'_>, frames: &mut Vec<u8>) -> Option<(PerDirection<Keys>, u64)> {
    let keys = initial_keys(long.version, long.dcid)?;
    match keys.to_server.open(long, 0, frames) {
        Ok(number) => Some((keys, number)),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::udp::{UdpFlow, UdpTable};
    use super::*;
    use crate::base::{Endpoint, Span};
    use crate::flow::connection::Roles;
    use crate::testkit::quic::{self as make, Initial};
    use crate::testkit::tls::{Hello as TlsHello, server_hello_13};
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    const DCID: &[u8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";
    const UP: Direction = Direction::ToServer;
    const DOWN: Direction = Direction::ToClient;

    /// Plays datagrams, one a millisecond, between a client's high port and port 443.
    fn flows(datagrams: &[(Direction, Vec<u8>)]) -> Vec<UdpFlow> {
        let at = |host, port| Endpoint { addr: [192, 0, 2, host].into(), port };
        let (client, server) = (at(1, 50_000), at(2, 443));
        let mut table = UdpTable::new(100);
        let mut flows = Vec::new();
        for ((direction, payload), n) in datagrams.iter().zip(1..) {
            let (src, dst) = if *direction == UP { (client, server) } else { (server, client) };
            let len = u32::try_from(payload.len()).unwrap();
            let at = Timestamp::from_ns(0) + Span::from_ms(n);
            let frame = n.unsigned_abs();
            let d = Datagram { frame, at, src, dst, ttl: 64, ip_id: None, payload, len, tunnelled: false };
            table.push(&d, &mut |f| flows.push(f));
        }
        table.finish(&mut |f| flows.push(f));
        flows
    }

    fn only(datagrams: &[(Direction, Vec<u8>)]) -> (UdpFlow, Quic) {
        let mut flows = flows(datagrams);
        assert_eq!(flows.len(), 1);
        let mut flow = flows.remove(0);
        let quic = *flow.quic.take().unwrap();
        (flow, quic)
    }

    fn initial(version: Version, dcid: &[u8], name: &str) -> Vec<u8> {
        let hello = TlsHello::to(name).message();
        Initial::from_client(version, dcid).with(&make::crypto(0, &hello), 1200).seal()
    }

    fn name(quic: &Quic) -> Option<&str> {
        quic.seen.hello.as_ref()?.name.as_deref()
    }

    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Quic>() + size_of::<Hello>() + size_of::<UdpFlow>() < 1000);
    }

    #[test]
    fn the_first_initial_tells_the_client() {
        let (flow, quic) = only(&[(DOWN, initial(Version::V1, DCID, "Example.org."))]);
        assert_eq!((flow.client.port, flow.server.port, flow.roles), (443, 50_000, Roles::Handshake));
        assert_eq!((name(&quic), quic.seen.first_initial_len), (Some("example.org"), 1200));
        let hello = quic.seen.hello.unwrap();
        assert!(hello.complete && hello.ja4.unwrap().as_str().starts_with("q13d"));
    }

    #[test]
    fn both_directions_are_opened() {
        let answer = [make::ack(0), make::crypto(0, &server_hello_13(0x1301, &[]))].concat();
        let server =
            |number| Initial { number, ..Initial::from_server(Version::V2, DCID) }.with(&answer, 0).seal();
        let close =
            Initial { number: 1, ..Initial::from_client(Version::V2, DCID) }.with(&make::close(0x128), 0);
        let (_, quic) = only(&[
            (UP, initial(Version::V2, DCID, "a.example")),
            (DOWN, server(0)),
            (DOWN, server(1)),
            (UP, close.seal()),
        ]);
        assert_eq!(
            (
                quic.seen.sent.to_client.flights,
                quic.seen.sent.to_client.opened,
                quic.seen.sent.to_server.acked
            ),
            (2, 2, Some(0))
        );
        assert_eq!(quic.seen.close, Some(Close { direction: UP, code: 0x128, frame: 4 }));
        assert_eq!((quic.seen.refused, quic.seen.hello_times.len()), (0, 1));
    }

    #[test]
    fn a_retry_changes_the_keys() {
        let again = Initial {
            token: b"token".to_vec(),
            number: 1,
            ..Initial::from_client(Version::V1, b"\x01\x02\x03")
        };
        let again = again.with(&make::crypto(0, &TlsHello::to("a.example").message()), 1200).seal();
        let answer = Initial::from_server(Version::V1, b"\x01\x02\x03").with(&make::ack(1), 0).seal();
        let (_, quic) = only(&[
            (UP, initial(Version::V1, DCID, "a.example")),
            (DOWN, make::retry(Version::V1, &[], b"\x01\x02\x03", b"token")),
            (UP, again),
            (DOWN, answer),
        ]);
        assert_eq!(
            (
                quic.seen.retry,
                quic.seen.sent.to_server.opened,
                quic.seen.sent.to_client.opened,
                quic.seen.refused
            ),
            (Some(2), 2, 1, 0)
        );
        assert_eq!(quic.seen.sent.to_server.flights, 2);
    }

    #[test]
    fn versions_change() {
        let (_, quic) = only(&[
            (UP, initial(Version::V1, DCID, "a.example")),
            (DOWN, make::negotiation(&[], DCID, &[Version::draft(29)])),
            (UP, initial(Version::draft(29), b"\x09\x09\x09\x09\x09\x09\x09\x09", "a.example")),
        ]);
        assert_eq!(
            (quic.seen.version, quic.seen.negotiation, quic.seen.refused),
            (Version::draft(29), Some(2), 0)
        );
        // RFC 9368: the server answers in another version without asking
        let answer = Initial::from_server(Version::V2, DCID).with(&make::ack(0), 0).seal();
        let (_, quic) = only(&[(UP, initial(Version::V1, DCID, "a.example")), (DOWN, answer)]);
        assert_eq!(
            (quic.seen.version, quic.seen.sent.to_client.opened, quic.seen.refused),
            (Version::V2, 1, 0)
        );
    }

    #[test]
    fn another_initial_on_the_same_ports_is_another_connection() {
        let flows = flows(&[
            (UP, initial(Version::V1, DCID, "a.example")),
            (UP, initial(Version::V1, DCID, "a.example")),
            (UP, initial(Version::V1, b"\x01\x01\x01\x01\x01\x01\x01\x01", "b.example")),
        ]);
        let seen: Vec<(Option<&str>, u32)> = flows
            .iter()
            .map(|f| f.quic.as_deref().map(|q| (name(q), q.seen.sent.to_server.flights)).unwrap())
            .collect();
        assert_eq!(seen, [(Some("a.example"), 2), (Some("b.example"), 1)]);
    }

    #[test]
    fn a_wrong_tag_is_no_initial() {
        let mut packet = initial(Version::V1, DCID, "a.example");
        packet[600] ^= 1;
        let mut datagrams = vec![(UP, packet.clone()); 40];
        let (flow, quic) = only(&datagrams);
        assert_eq!(
            (name(&quic), quic.seen.refused, quic.seen.untried, flow.roles),
            (None, 16, 24, Roles::Guessed)
        );
        datagrams.truncate(1);
        datagrams.push((UP, initial(Version::V1, DCID, "a.example")));
        assert_eq!(name(&only(&datagrams).1), Some("a.example"));
        let cut = only(&[(UP, initial(Version::V1, DCID, "a.example")[..700].to_vec())]).1;
        assert_eq!((name(&cut), cut.seen.cut, cut.seen.refused), (None, 1, 0));
    }

    #[test]
    fn a_hello_whose_end_is_missing_is_read_up_to_there() {
        let hello = TlsHello::to("a.example").with(0x4a4a, vec![7; 1500]).message();
        let packet =
            Initial::from_client(Version::V1, DCID).with(&make::crypto(0, &hello[..1000]), 1200).seal();
        let (_, quic) = only(&[(UP, packet)]);
        let read = quic.seen.hello.as_ref().unwrap();
        assert_eq!(
            (name(&quic), read.complete, read.len, &read.ja4),
            (Some("a.example"), false, hello.len() - 4, &None)
        );
    }

    #[test]
    fn other_udp_is_followed_on_the_ports_of_the_web() {
        let flows = flows(&[(UP, b"hello?".to_vec()), (DOWN, b"hello!".to_vec())]);
        assert_eq!((flows.len(), flows[0].sides.to_client.packets, flows[0].quic.is_none()), (1, 1, true));
    }

    proptest! {
        /// A hello cut anywhere, its pieces shuffled over frames, packets and datagrams, some sent twice.
        #[test]
        fn crypto_in_any_order_gives_the_same_hello(
            cuts in prop::collection::vec(any::<Index>(), 0..12),
            order in Just((0..13usize).collect::<Vec<_>>()).prop_shuffle(),
            twice in prop::collection::vec(any::<bool>(), 13),
            per_packet in 1usize..5,
            coalesced: bool,
            version in select(vec![Version::V1, Version::V2, Version::draft(29), Version::draft(22), Version::draft(27)]),
        ) {
            let message = TlsHello::post_quantum("x.com").message();
            let mut ends: Vec<usize> = cuts.iter().map(|c| c.index(message.len())).collect();
            ends.extend([0, message.len()]);
            ends.sort_unstable();
            let pieces: Vec<(usize, usize)> = ends.windows(2).map(|w| (w[0], w[1])).collect();
            let mut frames: Vec<Vec<u8>> = Vec::new();
            for i in order.iter().filter(|i| **i < pieces.len()) {
                let (start, end) = pieces[*i];
                for _ in 0..=usize::from(twice[*i]) {
                    frames.push(make::crypto(start, &message[start..end]));
                }
            }
            let packets: Vec<Vec<u8>> = frames.chunks(per_packet).zip(0..).map(|(frames, number)| {
                let frames = frames.join(&[0, 0, 1, 0][..]); // padding and pings between
                Initial { number, ..Initial::from_client(version, DCID) }.with(&frames, 0).seal()
            }).collect();
            let datagrams: Vec<(Direction, Vec<u8>)> =
                packets.chunks(1 + usize::from(coalesced)).map(|p| (UP, p.concat())).collect();
            let (_, quic) = only(&datagrams);
            let hello = quic.seen.hello.as_deref().unwrap();
            let whole = tls::client_hello_message(&message).into_seen().unwrap();
            prop_assert!(hello.complete && hello.ech);
            prop_assert_eq!(hello.name.as_deref(), Some("x.com"));
            prop_assert_eq!(&hello.ja4, &tls::ja4(&whole, Transport::Quic));
            prop_assert_eq!(quic.seen.refused, 0);
        }
    }
}
