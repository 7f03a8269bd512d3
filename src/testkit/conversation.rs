//! TCP conversations packet by packet, as a point of capture sees them, with forged packets where wanted.
//!
//! A script, no TCP: whoever writes one says what each end sends and when. The bytes are whole Ethernet frames with
//! right checksums, and each is marked genuine or forged, so that a capture made of them comes with its truth.

use super::packet::{Segment, ethernet};
use crate::base::{Direction, Endpoint, Span, Timestamp};
use crate::wire::tcp::Flags;
use std::net::IpAddr;

/// How a peer numbers its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// A counter from this value on; SYN-ACK and bare RST have 0, as in Linux.
    Counter(u16),
    /// Always 0.
    Zero,
    /// Multiples of a large odd number: as good as random.
    Random(u16),
}

/// One end, as the point of capture sees its packets.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address and port.
    pub endpoint: Endpoint,
    /// TTL on arrival.
    pub ttl: u8,
    /// IP-ID habit.
    pub numbering: Numbering,
    /// DF on its packets.
    pub df: bool,
    /// Window field after the handshake.
    pub window: u16,
    /// Whether it uses timestamps.
    pub timestamps: bool,
    /// Time from the point of capture to this end, one way.
    pub delay: Span,
    /// The sequence number of its SYN.
    pub isn: u32,
    next: u32,
    /// The highest sequence number of the other end that it has seen.
    seen: u32,
    /// What came behind a hole, where one is to be reported.
    sack: Option<(u32, u32)>,
    numbered: u16,
}

impl Peer {
    /// A Linux-like end: counter from a value that its port gives, DF, timestamps.
    pub fn new(addr: IpAddr, port: u16, ttl: u8, delay: Span) -> Self {
        let isn = u32::from(port).wrapping_mul(0x9e37_79b9);
        Self {
            endpoint: Endpoint { addr, port },
            ttl,
            numbering: Numbering::Counter(port.wrapping_mul(31)),
            df: true,
            window: 502,
            timestamps: true,
            delay,
            isn,
            next: isn,
            seen: 0,
            sack: None,
            numbered: 0,
        }
    }

    fn ip_id(&mut self, flags: Flags) -> u16 {
        let without_socket = flags.has(Flags::SYN.with(Flags::ACK)) || flags == Flags::RST;
        match self.numbering {
            Numbering::Zero => 0,
            Numbering::Counter(_) if without_socket => 0,
            Numbering::Counter(from) => {
                self.numbered = self.numbered.wrapping_add(1);
                from.wrapping_add(self.numbered)
            }
            Numbering::Random(seed) => {
                self.numbered = self.numbered.wrapping_add(1);
                seed.wrapping_add(self.numbered.wrapping_mul(40_503)).max(1)
            }
        }
    }
}

/// A packet that differs from what its sender would send: `None` and 0 mean "as the sender has it".
#[derive(Clone, Debug, Default)]
pub struct Forged {
    /// All twelve bits.
    pub flags: Flags,
    /// Added to the sequence number that the claimed sender would use.
    pub seq_offset: i32,
    /// Added to the acknowledgment number that the claimed sender would use.
    pub ack_offset: i32,
    /// TTL on arrival.
    pub ttl: Option<u8>,
    /// IP-ID.
    pub ip_id: Option<u16>,
    /// DF.
    pub df: Option<bool>,
    /// Window field.
    pub window: u16,
    /// Payload.
    pub payload: Vec<u8>,
}

/// A frame of a conversation.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// When the point of capture sees it.
    pub at: Timestamp,
    /// The Ethernet frame.
    pub bytes: Vec<u8>,
    /// Whether an end sent it.
    pub genuine: bool,
    /// Whether it is a reset.
    pub reset: bool,
    /// Which way it goes.
    pub direction: Direction,
}

/// A conversation in progress.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The client.
    pub client: Peer,
    /// The server.
    pub server: Peer,
    /// The time at the point of capture.
    pub now: Timestamp,
    /// What was seen.
    pub frames: Vec<Recorded>,
    start: Timestamp,
}

impl Conversation {
    /// A conversation that begins at `start`.
    pub fn new(client: Peer, server: Peer, start: Timestamp) -> Self {
        Self { client, server, now: start, frames: Vec::new(), start }
    }

    /// Lets time pass.
    pub fn wait(&mut self, span: Span) -> &mut Self {
        self.now = self.now + span;
        self
    }

    /// Waits until the end that receives packets of `direction` can have answered.
    pub fn round_trip(&mut self, direction: Direction) -> &mut Self {
        let delay = self.peer(direction.reversed()).delay;
        self.wait(Span::from_ns(delay.ns() * 2))
    }

    /// SYN, SYN-ACK, ACK.
    pub fn handshake(&mut self) -> &mut Self {
        self.send(Direction::ToServer, Flags::SYN, &[]);
        self.round_trip(Direction::ToServer);
        self.send(Direction::ToClient, Flags::SYN.with(Flags::ACK), &[]);
        self.round_trip(Direction::ToClient);
        self.send(Direction::ToServer, Flags::ACK, &[])
    }

    /// The client's hello and the server's whole answer, with acknowledgments.
    pub fn hello_answered(&mut self, hello: &[u8], answer: &[u8]) -> &mut Self {
        self.data(Direction::ToServer, hello);
        self.round_trip(Direction::ToServer);
        self.send(Direction::ToClient, Flags::ACK, &[]);
        self.data(Direction::ToClient, answer);
        self.round_trip(Direction::ToClient);
        self.send(Direction::ToServer, Flags::ACK, &[])
    }

    /// Payload in segments of at most 1400 bytes, a tenth of a millisecond apart.
    pub fn data(&mut self, direction: Direction, payload: &[u8]) -> &mut Self {
        for segment in payload.chunks(1400) {
            self.send(direction, Flags::ACK.with(Flags::PSH), segment);
            self.wait(Span::from_ns(100_000));
        }
        self
    }

    /// FIN from both ends, the client first, and the last ACK.
    pub fn close(&mut self) -> &mut Self {
        self.send(Direction::ToServer, Flags::FIN.with(Flags::ACK), &[]);
        self.round_trip(Direction::ToServer);
        self.send(Direction::ToClient, Flags::FIN.with(Flags::ACK), &[]);
        self.round_trip(Direction::ToClient);
        self.send(Direction::ToServer, Flags::ACK, &[])
    }

    /// One genuine segment.
    pub fn send(&mut self, direction: Direction, flags: Flags, payload: &[u8]) -> &mut Self {
        let now = self.now;
        let since = now.since(self.start).ns() / 1_000_000;
        let (from, to) = self.ends(direction);
        let ip_id = from.ip_id(flags);
        let bare_reset = flags == Flags::RST;
        let syn = flags.has(Flags::SYN);
        let timestamps = from.timestamps && to.timestamps && !bare_reset;
        let packet = Segment {
            seq: from.next,
            ack: if flags.has(Flags::ACK) { from.seen } else { 0 },
            flags,
            ttl: from.ttl,
            ip_id,
            df: from.df,
            window: if syn {
                64_240
            } else if bare_reset {
                0
            } else {
                from.window
            },
            options: options(syn, timestamps.then_some(u32::try_from(since).unwrap_or(0)), from.sack),
            payload,
        };
        let bytes = ethernet(&packet.ip(from.endpoint, to.endpoint));
        let moved =
            u32::try_from(payload.len()).unwrap_or(0) + u32::from(syn) + u32::from(flags.has(Flags::FIN));
        from.next = from.next.wrapping_add(moved);
        to.seen = from.next;
        self.frames.push(Recorded { at: now, bytes, genuine: true, reset: flags.has(Flags::RST), direction });
        self
    }

    /// An acknowledgment that something is missing: of all but the last `hole + after` bytes, of which the last `after` came (a
    /// SACK block, RFC 2018).
    pub fn missing(&mut self, direction: Direction, hole: u32, after: u32) -> &mut Self {
        let (from, _) = self.ends(direction);
        let all = from.seen;
        from.seen = all.wrapping_sub(hole + after);
        from.sack = Some((all.wrapping_sub(after), all));
        self.send(direction, Flags::ACK, &[]);
        let (from, _) = self.ends(direction);
        (from.seen, from.sack) = (all, None);
        self
    }

    /// The last genuine segment of a direction once more, as a retransmission: the same bytes.
    pub fn repeat(&mut self, direction: Direction, nth_from_end: usize) -> &mut Self {
        let source = self.peer(direction).endpoint.port.to_be_bytes();
        let of_sender =
            self.frames.iter().rev().filter(|f| f.genuine && !f.reset && source_port(&f.bytes) == source);
        if let Some(again) = of_sender.clone().nth(nth_from_end).cloned() {
            self.frames.push(Recorded { at: self.now, ..again });
        }
        self
    }

    /// A reset of the end that sends in `direction`, as its system answers the last segment of the other end when
    /// there is no connection.
    pub fn reset_reply(&mut self, direction: Direction) -> &mut Self {
        let (from, to) = self.ends(direction);
        let (seq, next) = (to.seen, from.next);
        from.next = seq;
        self.send(direction, Flags::RST, &[]);
        self.ends(direction).0.next = next;
        self.ends(direction).1.seen = seq;
        self
    }

    /// A packet that no end sent, in the name of the end that sends in `direction`.
    pub fn forge(&mut self, direction: Direction, forged: &Forged) -> &mut Self {
        let now = self.now;
        let (from, to) = self.ends(direction);
        let add = |n: u32, offset: i32| n.wrapping_add_signed(offset);
        let packet = Segment {
            seq: add(from.next, forged.seq_offset),
            ack: if forged.flags.has(Flags::ACK) { add(to.next, forged.ack_offset) } else { 0 },
            flags: forged.flags,
            ttl: forged.ttl.unwrap_or(from.ttl),
            ip_id: forged.ip_id.unwrap_or(0),
            df: forged.df.unwrap_or(from.df),
            window: forged.window,
            options: Vec::new(),
            payload: &forged.payload,
        };
        let bytes = ethernet(&packet.ip(from.endpoint, to.endpoint));
        self.frames.push(Recorded {
            at: now,
            bytes,
            genuine: false,
            reset: forged.flags.has(Flags::RST),
            direction,
        });
        self
    }

    /// The end that sends in `direction`.
    pub fn peer(&mut self, direction: Direction) -> &mut Peer {
        self.ends(direction).0
    }

    fn ends(&mut self, direction: Direction) -> (&mut Peer, &mut Peer) {
        match direction {
            Direction::ToServer => (&mut self.client, &mut self.server),
            Direction::ToClient => (&mut self.server, &mut self.client),
        }
    }
}

/// Conversations as one capture: frames in order of time, each with the number that it will have, and whether a
/// genuine end sent it.
pub fn capture(conversations: &[Conversation]) -> Vec<&Recorded> {
    let mut frames: Vec<&Recorded> = conversations.iter().flat_map(|c| &c.frames).collect();
    frames.sort_by_key(|f| f.at); // stable: frames of one conversation at one time keep their order
    frames
}

fn source_port(frame: &[u8]) -> [u8; 2] {
    let ip = if frame[12..14] == [0x08, 0] { 20 } else { 40 };
    [frame[14 + ip], frame[15 + ip]]
}

fn options(syn: bool, timestamp: Option<u32>, sack: Option<(u32, u32)>) -> Vec<u8> {
    let mut o = Vec::new();
    if syn {
        o.extend([2, 4, 0x05, 0xb4, 4, 2]);
    }
    if let Some(value) = timestamp {
        if !syn {
            o.extend([1, 1]);
        }
        o.extend([8, 10]);
        o.extend(value.to_be_bytes());
        o.extend([0; 4]);
    }
    if let Some((left, right)) = sack {
        o.extend([1, 1, 5, 10]);
        o.extend(left.to_be_bytes());
        o.extend(right.to_be_bytes());
    }
    if syn {
        o.extend([1, 3, 3, 7]);
    }
    while o.len() % 4 != 0 {
        o.push(1);
    }
    o
}
