//! UDP datagrams between two ends, packet by packet, as a point of capture sees them.

use super::conversation::Recorded;
use super::packet::{ethernet, udp};
use super::{quic, tls};
use crate::base::{Direction, Endpoint, Span, Timestamp};
use crate::wire::quic::{Kind, Version};

/// Two ends that send each other datagrams.
#[derive(Clone, Debug)]
pub struct Talk {
    /// The client.
    pub client: Endpoint,
    /// The server.
    pub server: Endpoint,
    /// The time at the point of capture.
    pub now: Timestamp,
    /// What was seen.
    pub frames: Vec<Recorded>,
    sent: u16,
}

impl Talk {
    /// A talk of `client` with the port of a server.
    pub fn new(client: Endpoint, server: Endpoint, start: Timestamp) -> Self {
        Self { client, server, now: start, frames: Vec::new(), sent: 0 }
    }

    /// Lets time pass.
    pub fn wait(&mut self, span: Span) -> &mut Self {
        self.now = self.now + span;
        self
    }

    /// Sends a datagram.
    pub fn send(&mut self, direction: Direction, payload: &[u8]) -> &mut Self {
        let ttl = if direction == Direction::ToServer { 64 } else { 52 };
        self.send_as(direction, ttl, payload)
    }

    /// Sends a datagram with a TTL of its own.
    pub fn send_as(&mut self, direction: Direction, ttl: u8, payload: &[u8]) -> &mut Self {
        let (src, dst) = match direction {
            Direction::ToServer => (self.client, self.server),
            Direction::ToClient => (self.server, self.client),
        };
        self.sent = self.sent.wrapping_add(1);
        let bytes = ethernet(&udp(src, dst, ttl, self.sent, payload));
        self.frames.push(Recorded { at: self.now, bytes, genuine: true, reset: false, direction });
        self
    }
}

/// What becomes of a QUIC connection that is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It comes to its end.
    Answered,
    /// No packet of the server ever comes.
    Silence,
    /// The client's packets are dropped once its hello has passed.
    DroppedAfterHello,
    /// The server closes it in clear.
    Closed,
}

/// A QUIC connection to `name`.
pub fn quic_connection(talk: &mut Talk, version: Version, name: &str, fate: Fate) {
    let dcid = [0x83, 0x94, talk.client.port.to_be_bytes()[0], talk.client.port.to_be_bytes()[1], 8];
    let message = tls::Hello::to(name).message();
    let hello = |number| {
        let initial = quic::Initial { number, ..quic::Initial::from_client(version, &dcid) };
        initial.with(&quic::crypto(0, &message), 1200).seal()
    };
    let flight = |number| {
        let frames = [quic::ack(0), quic::crypto(0, &tls::server_hello_13(0x1301, &[]))].concat();
        let initial = quic::Initial { number, ..quic::Initial::from_server(version, &dcid) };
        let handshake = quic::long(Kind::Handshake, version, &[], b"\x5e\x7e\x7e\x7e", 700);
        [initial.with(&frames, 0).seal(), handshake].concat()
    };
    let (up, down) = (Direction::ToServer, Direction::ToClient);
    let (rtt, second) = (Span::from_ms(40), Span::from_secs(1));
    talk.send(up, &hello(0));
    if fate == Fate::Silence {
        for n in 1..4u8 {
            talk.wait(Span::from_secs(1 << n)).send(up, &hello(n.into()));
        }
        return;
    }
    if fate == Fate::Closed {
        let closed = quic::Initial::from_server(version, &dcid).with(&quic::close(0x128), 0).seal();
        talk.wait(rtt).send(down, &closed);
        return;
    }
    talk.wait(rtt).send(down, &flight(0)).wait(Span::from_ms(1));
    let reply = quic::Initial {
        number: 1,
        dcid: b"\x5e\x7e\x7e\x7e".to_vec(),
        ..quic::Initial::from_client(version, &dcid)
    };
    let finished = quic::long(Kind::Handshake, version, b"\x5e\x7e\x7e\x7e", &[], 60);
    talk.send(
        up,
        &[reply.with(&quic::ack(0), 0).seal(), finished, quic::short(b"\x5e\x7e\x7e\x7e", 80)].concat(),
    );
    if fate == Fate::DroppedAfterHello {
        for n in 1..4u8 {
            talk.wait(second).send(down, &flight(n.into()));
            talk.send(up, &quic::short(b"\x5e\x7e\x7e\x7e", 40));
        }
        return;
    }
    for _ in 0..5 {
        talk.wait(rtt).send(down, &quic::short(&[], 1100)).send(up, &quic::short(b"\x5e\x7e\x7e\x7e", 30));
    }
    talk.wait(rtt).send(down, &quic::short(&[], 25));
}

/// A capture with what this program reads of UDP: QUIC connections of every fate, a DNS answer that another races,
/// and a datagram of nothing known.
pub fn capture() -> Vec<Recorded> {
    let at = |host, port| Endpoint { addr: [192, 0, 2, host].into(), port };
    let start = Timestamp::from_ns(1_708_128_000_000_000_000);
    let mut frames = Vec::new();
    let fates = [Fate::Answered, Fate::Silence, Fate::DroppedAfterHello, Fate::Closed];
    let versions = [Version::V1, Version::V2, Version::draft(29)];
    for (n, fate) in fates.into_iter().cycle().take(12).enumerate() {
        let port = 50_000 + u16::try_from(n).unwrap_or(0);
        let mut talk = Talk::new(at(1, port), at(7, 443), start);
        talk.wait(Span::from_ms(7 * i64::from(port - 50_000)));
        quic_connection(&mut talk, versions[n % 3], &format!("host{n}.example"), fate);
        frames.extend(talk.frames);
    }
    let mut dns = Talk::new(at(1, 40_000), at(53, 53), start);
    let kind = crate::wire::dns::kind::A;
    let answer =
        |a: [u8; 4]| super::dns::answer(9, "x.com", kind, 0x8180, &[super::dns::address(a.into(), 300)]);
    dns.send(Direction::ToServer, &super::dns::query(9, "X.com", kind)).wait(Span::from_ms(5));
    dns.send_as(Direction::ToClient, 57, &answer([10, 10, 34, 36])).wait(Span::from_ms(30));
    dns.send(Direction::ToClient, &answer([104, 244, 42, 1]));
    dns.send(Direction::ToClient, b"no DNS");
    frames.extend(dns.frames);
    let mut other = Talk::new(at(1, 40_001), at(9, 443), start);
    other.send(Direction::ToServer, b"\x16\xfe\xfdsome DTLS").send(Direction::ToClient, b"\x16\xfe\xfdmore");
    frames.extend(other.frames);
    frames.sort_by_key(|f| f.at);
    frames
}
