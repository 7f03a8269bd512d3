//! One TCP connection, while it is open: two halves, the application's first words, the resets.

use crate::base::endpoint::PerDirection;
use crate::base::{Direction, Endpoint, SeqNum, Span, Timestamp};
use crate::wire::checksum::Checksum;
use crate::wire::tcp::{Flags, Tcp};

use super::application::Application;
use super::bulk;
use super::exchange::{Did, Exchange};
use super::flight::Flight;
use super::foreign::{self, Contradiction, Foreign, Seen};
use super::half::{Arrival, Half, Placed};
use super::head;
use super::history::{self, EndState, History};
use super::progress::Progress;
use super::refusal::{Notice, Refusals};
use super::reset::{Brief, MAX_RESETS, Reset};
use super::signature::{Openings, Signature};
use super::{Kind, Segment};

/// How it is known which end is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roles {
    /// From a SYN or SYN-ACK.
    Handshake,
    /// From a ClientHello or an HTTP request; the start was not captured.
    Request,
    /// Guessed: the lower port is the server's.
    Guessed,
}

impl Roles {
    /// The name that the JSON has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Request => "request",
            Self::Guessed => "guessed",
        }
    }
}

/// How far a connection had come, in the order of a client's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// No handshake was captured.
    MidFlow,
    /// SYN sent, no SYN-ACK.
    SynSent,
    /// SYN-ACK seen, and no ACK of it.
    SynAck,
    /// Handshake done, no payload of the client.
    Established,
    /// The client sent its first payload, not all of which is acknowledged.
    RequestSent,
    /// The server acknowledged it.
    RequestAcked,
    /// The server sent payload.
    Answered,
}

impl Stage {
    /// The name that the JSON has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MidFlow => "mid_flow",
            Self::SynSent => "syn_sent",
            Self::SynAck => "syn_ack",
            Self::Established => "established",
            Self::RequestSent => "request_sent",
            Self::RequestAcked => "request_acked",
            Self::Answered => "answered",
        }
    }
}

/// Why a connection is no longer followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The capture ended while it was open or lingering.
    CaptureEnd,
    /// It was closed or reset, and nothing came for [`super::table::LINGER`].
    Closed,
    /// It was idle for too long.
    Idle,
    /// A SYN with another initial sequence number began a new one between the same ends.
    Reused,
    /// Too many connections were open.
    Limit,
}

/// A TCP connection and what was learnt of it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Wireshark's `tcp.stream`.
    pub stream: u64,
    /// The end that opened the connection.
    pub client: Endpoint,
    /// The other end.
    pub server: Endpoint,
    /// How it is known which is which.
    pub roles: Roles,
    /// Whether the client is the lower end of the connection's key.
    pub(super) client_is_low: bool,
    /// What each end sent.
    pub halves: PerDirection<Half>,
    /// Its first packet.
    pub first_frame: u64,
    /// Its last packet so far.
    pub last_frame: u64,
    /// When its first packet was captured.
    pub started: Timestamp,
    /// When its last packet was captured.
    pub last: Timestamp,
    /// Zeek's letters.
    pub history: History,
    /// The resets, the first [`MAX_RESETS`] of them.
    pub resets: Vec<Reset>,
    /// Resets beyond those.
    pub resets_not_kept: u32,
    /// The first packets of each end, for signatures.
    pub opening: PerDirection<Openings>,
    /// What the ends talk: the ClientHello or the HTTP request.
    pub application: Application,
    /// What the server's first flight says, once nothing more is read of it.
    pub flight: Option<Flight>,
    /// How it moves and stops.
    pub progress: Progress,
    /// Its first exchange, timed.
    pub exchange: Exchange,
    /// ICMP errors about it.
    pub refusals: Option<Box<Refusals>>,
    /// What does not look like the server's own, where there is such.
    pub foreign: Option<Box<Foreign>>,
    /// The first segment of the server with payload.
    first_answer: Option<Seen>,
    /// Its SYN-ACK.
    syn_ack: Option<Seen>,
    /// Whether it came out of a tunnel.
    pub tunnelled: bool,
    /// Whether an earlier part of it ended by idleness and this continues it.
    pub resumed: bool,
    /// Why it is no longer followed.
    pub ended: Ended,
    /// The base sequence numbers as Wireshark keeps them, which decide when a SYN begins a new `tcp.stream`.
    pub(super) stream_bases: PerDirection<Option<SeqNum>>,
    /// When the handshake was seen to complete.
    established: Option<Timestamp>,
    /// What the last segment of each end was that is no reset.
    last_kind: PerDirection<Kind>,
    previous: Option<Previous>,
    /// When the last byte came that a head keeps; `None` while there is none, and when they are given up.
    heads_grew: Option<Timestamp>,
}

/// The last segment of either end.
#[derive(Clone, Copy, Debug)]
enum Previous {
    /// The last of this direction that is no reset.
    Of(Direction),
    /// A reset.
    Reset(Brief),
}

/// How long the heads of streams are compared with what comes, after the last byte of theirs: what an answer was forged for
/// comes a round trip later, or when it is sent again, which is three times within 7 s of a first time-out of 1 s (RFC 6298).
const HEADS_KEPT: Span = Span::from_secs(10);

impl Connection {
    /// A connection whose first packet is `s`, from `src` to `dst`; `from_low` is whether `src` is the lower end of its key.
    pub(super) fn new(
        stream: u64,
        s: &Segment,
        (src, dst): (Endpoint, Endpoint),
        from_low: bool,
        tunnelled: bool,
    ) -> Self {
        let (client, server, roles) = match s.kind() {
            Kind::Syn => (src, dst, Roles::Handshake),
            Kind::SynAck => (dst, src, Roles::Handshake),
            _ if src.port >= dst.port => (src, dst, Roles::Guessed),
            _ => (dst, src, Roles::Guessed),
        };
        let client_is_low = from_low == (client == src);
        let mut history = History::default();
        if src != client {
            history.add(b'^', Direction::ToClient, s.seq);
        }
        Self {
            stream,
            client,
            server,
            roles,
            client_is_low,
            halves: PerDirection::default(),
            first_frame: s.frame,
            last_frame: s.frame,
            started: s.at,
            last: s.at,
            history,
            resets: Vec::new(),
            resets_not_kept: 0,
            opening: PerDirection::default(),
            application: Application::default(),
            flight: None,
            progress: Progress::default(),
            exchange: Exchange::default(),
            refusals: None,
            foreign: None,
            first_answer: None,
            syn_ack: None,
            tunnelled,
            resumed: false,
            ended: Ended::CaptureEnd,
            stream_bases: PerDirection::default(),
            established: None,
            last_kind: PerDirection { to_server: s.kind(), to_client: s.kind() },
            previous: None,
            heads_grew: None,
        }
    }

    /// Which way a packet from the lower end of the key goes, or from the other.
    #[inline]
    pub(super) fn direction(&self, from_low: bool) -> Direction {
        if from_low == self.client_is_low { Direction::ToServer } else { Direction::ToClient }
    }

    /// The end that sends in `direction`.
    pub fn sender(&self, direction: Direction) -> Endpoint {
        match direction {
            Direction::ToServer => self.client,
            Direction::ToClient => self.server,
        }
    }

    /// Whether a SYN was seen from the client, or a SYN-ACK from the server.
    pub fn handshake_seen(&self) -> bool {
        self.halves.to_server.syn.is_some() || self.halves.to_client.syn.is_some()
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        let (c, s) = (&self.halves.to_server, &self.halves.to_client);
        if s.payload_bytes > 0 {
            Stage::Answered
        } else if c.payload_bytes > 0 {
            if c.acked > 1 && c.acked >= c.next - i64::from(c.fin.is_some()) {
                Stage::RequestAcked
            } else {
                Stage::RequestSent
            }
        } else if self.established.is_some() {
            Stage::Established
        } else if s.syn.is_some() {
            Stage::SynAck
        } else if c.syn.is_some() {
            Stage::SynSent
        } else {
            Stage::MidFlow
        }
    }

    /// Takes one segment; `now` is the latest time in the capture, `room` what is left for the series of all connections.
    pub(super) fn push(
        &mut self,
        s: &Segment,
        from_low: bool,
        tcp: &Tcp<'_>,
        now: Timestamp,
        room: &mut usize,
    ) {
        self.give_up_heads(now);
        let direction = self.direction(from_low);
        self.last = self.last.max(s.at);
        self.last_frame = s.frame;
        if self.halves[direction].has_just_sent(s) {
            self.halves[direction].duplicates += 1;
            return;
        }
        if s.is_control() || s.window == 0 {
            self.note_control(s, direction);
        } else {
            self.note_common(s, direction);
        }
        self.halves[direction].packets += 1;
        if direction == Direction::ToServer || self.roles == Roles::Guessed {
            self.opening[direction].push(s);
        }
        if s.flags.has(Flags::RST) {
            self.push_reset(s, direction, tcp);
        } else {
            self.push_segment(s, direction, tcp, room);
        }
    }

    /// Takes an ICMP error about one of its segments.
    pub(super) fn quoted(&mut self, notice: Notice, from_low: bool) {
        let direction = self.direction(from_low);
        let offset = self.halves[direction].offset(notice.quoted.seq);
        self.refusals.get_or_insert_default().push(notice, direction, offset);
    }

    /// The last segment of one end that is no reset.
    fn last_brief(&self, d: Direction) -> Option<Brief> {
        self.halves[d].last.as_ref().map(|s| Brief::new(s, self.last_kind[d], d))
    }

    #[cold]
    fn push_reset(&mut self, s: &Segment, direction: Direction, tcp: &Tcp<'_>) {
        let previous = self.previous.and_then(|p| match p {
            Previous::Of(d) => self.last_brief(d),
            Previous::Reset(brief) => Some(brief),
        });
        if self.resets.len() < MAX_RESETS {
            if self.resets.is_empty() {
                self.resets.reserve_exact(1); // most have one, and they are large
            }
            self.resets.push(Reset::new(
                *s,
                direction,
                tcp.payload,
                &self.halves[direction],
                &self.halves[direction.reversed()],
                self.last_brief(direction.reversed()),
                previous,
                self.stage(),
                self.established,
            ));
        } else {
            self.resets_not_kept += 1;
        }
        self.halves[direction].resets += 1;
        self.previous = Some(Previous::Reset(Brief::new(s, Kind::Rst, direction)));
    }

    fn push_segment(&mut self, s: &Segment, direction: Direction, tcp: &Tcp<'_>, room: &mut usize) {
        let mut kind = s.kind();
        let (sender, receiver) = match direction {
            Direction::ToServer => (&mut self.halves.to_server, &mut self.halves.to_client),
            Direction::ToClient => (&mut self.halves.to_client, &mut self.halves.to_server),
        };
        let (next, acked, missed) = (sender.next, receiver.acked, receiver.missed_bytes);
        if s.flags.has(Flags::ACK) {
            let repeats = sender.note_ack(s.ack) && kind == Kind::Ack;
            receiver.acknowledged(s, tcp, &mut sender.rtt);
            sender.duplicate_acks +=
                u32::from(repeats && receiver.next > receiver.acked && receiver.acked == acked);
        }
        let Placed { arrival, start } = sender.sent(s, tcp, |sender| sender.rtt.through(&receiver.rtt));
        if s.len > 0 {
            let ip_header = self.client.ip_header();
            let (acked, window) = (sender.acked, receiver.window);
            sender.bulk.sent(s, &bulk::Sent { start, next, arrival, ip_header, acked, window }, room);
        }
        let (brings, acks) = (sender.next > next, receiver.acked > acked);
        self.progress.push(direction, s, brings, acks, s.len > 0 && start == 1);
        self.exchange.push(direction, s, Did { arrival, acks, all: receiver.acked >= receiver.next });
        if direction == Direction::ToServer
            && !s.flags.has(Flags::SYN)
            && receiver.syn.is_some()
            && s.flags.has(Flags::ACK)
        {
            self.established.get_or_insert(s.at);
        }
        if s.len > 0 && arrival != Arrival::Nothing && start + i64::from(s.len) <= next {
            self.history.add(b't', direction, s.seq);
        }
        // what the other end sent and this one acknowledges, and the capture never had
        if receiver.missed_bytes > missed && self.established.is_some() {
            self.history.add(b'g', direction.reversed(), s.ack);
        }
        let mut direction = direction;
        if !tcp.payload.is_empty() && arrival != Arrival::Nothing {
            let client_was_low = self.client_is_low;
            kind = self.read_payload(s, direction, start, tcp).unwrap_or(kind);
            if client_was_low != self.client_is_low {
                direction = direction.reversed(); // roles were turned round
            }
        }
        if direction == Direction::ToClient {
            self.note_foreign(s);
        }
        self.last_kind[direction] = kind;
        self.previous = Some(Previous::Of(direction));
        for reset in &mut self.resets {
            reset.followed_by(Brief::new(s, kind, direction), brings || acks);
        }
    }

    /// Takes note of what in the server's name does not look like its own.
    fn note_foreign(&mut self, s: &Segment) {
        if s.checksum == Checksum::Bad {
            return; // no end takes it
        }
        let server = &self.halves.to_client;
        if s.kind() == Kind::SynAck {
            if let Some(first) = self.syn_ack
                && server.offset(s.seq).is_some_and(|at| at != 0)
            {
                let c = Contradiction { first: Some(first), first_frame: first.frame, later: Seen::new(s) };
                foreign::keep(&mut self.foreign.get_or_insert_default().numbers, c);
            }
            self.syn_ack = self.syn_ack.or(Some(Seen::new(s)));
            return;
        }
        let conflicts = server.head.conflicts();
        let told = self.foreign.as_ref().map_or(0, |f| f.contents.len());
        if let Some(c) = conflicts.get(told).filter(|c| c.last_frame == s.frame) {
            let first = self.first_answer.filter(|f| f.frame == c.first_frame);
            let c = Contradiction { first, first_frame: c.first_frame, later: Seen::new(s) };
            foreign::keep(&mut self.foreign.get_or_insert_default().contents, c);
        }
        if s.len > 0 && self.first_answer.is_none() {
            self.first_answer = Some(Seen::new(s));
        }
        if let Some(handshake) = server.handshake_ttl
            && (self.foreign.is_some() || s.len > 0 && foreign::is_off(s.ttl, handshake))
        {
            self.foreign.get_or_insert_default().take_ttl(s, handshake);
        }
    }

    /// Stores the head of a stream, and reads the application's first words in it.
    fn read_payload(&mut self, s: &Segment, direction: Direction, start: i64, tcp: &Tcp<'_>) -> Option<Kind> {
        let half = &mut self.halves[direction];
        let at = start + i64::from(s.flags.has(Flags::SYN)) - 1;
        self.application.records(direction, at, tcp.payload, s);
        let limit = if self.application.wants_more(direction) { head::HELLO_LIMIT } else { head::KEPT };
        let offset = usize::try_from(at).ok().filter(|o| *o < limit)?;
        half.head.insert(offset, tcp.payload, s.frame, limit);
        self.heads_grew = Some(s.at);
        let kind = self.application.read(direction, half.head.contiguous(), s);
        if kind.is_some() {
            self.halves[direction].head.shrink();
            if self.roles == Roles::Guessed {
                self.roles = Roles::Request;
                if direction == Direction::ToClient {
                    self.flip();
                }
            }
        }
        kind
    }

    /// Until when the heads of its streams are wanted, if they are there.
    pub(super) fn heads_until(&self) -> Option<Timestamp> {
        Some(self.heads_grew? + HEADS_KEPT)
    }

    /// Gives up the heads of its streams if it is time, and they have nothing more to tell.
    pub(super) fn give_up_heads(&mut self, now: Timestamp) {
        if self.heads_until().is_some_and(|until| now > until) && !self.application.is_open() {
            self.read_heads();
            self.halves.to_server.head.give_up();
            self.halves.to_client.head.give_up();
            self.heads_grew = None;
        }
    }

    /// Reads what the heads of its streams can tell when no more will come.
    pub(super) fn read_heads(&mut self) {
        let client = &self.halves.to_server;
        self.application.finish(client.head.contiguous(), client.last.as_ref());
        if let Some(hello) = self.application.hello()
            && self.flight.is_none()
        {
            self.flight = Some(Flight::read(hello, self.halves.to_client.head.contiguous()));
        }
    }

    /// Turns client and server round: a request came from what was taken for the server.
    fn flip(&mut self) {
        std::mem::swap(&mut self.client, &mut self.server);
        self.client_is_low = !self.client_is_low;
        swap(&mut self.halves);
        swap(&mut self.opening);
        swap(&mut self.stream_bases);
        swap(&mut self.last_kind);
        match &mut self.previous {
            Some(Previous::Of(d)) => *d = d.reversed(),
            Some(Previous::Reset(brief)) => brief.direction = brief.direction.reversed(),
            None => {}
        }
        for reset in &mut self.resets {
            reset.flip();
        }
        self.application.flip();
        self.progress.flip();
        if let Some(refusals) = &mut self.refusals {
            refusals.flip();
        }
        self.exchange = Exchange::default(); // it began before it was known who asks
        self.history.flip();
    }

    /// Writes the letter of a segment that is neither for opening, closing nor resetting.
    #[inline(always)]
    fn note_common(&mut self, s: &Segment, d: Direction) {
        if s.len > 0 {
            self.history.add(b'd', d, s.seq);
        } else {
            self.history.add(b'a', d, s.seq);
        }
    }

    /// Writes the letters of a segment that opens, closes, resets, or stops the other end.
    #[inline(never)]
    fn note_control(&mut self, s: &Segment, d: Direction) {
        let f = s.flags;
        let (syn, fin, rst) = (f.has(Flags::SYN), f.has(Flags::FIN), f.has(Flags::RST));
        if s.checksum == Checksum::Bad {
            self.halves[d].bad_checksums += 1;
            self.history.add(b'c', d, s.seq);
        }
        match (syn, fin, rst) {
            (true, false, false) if f.has(Flags::ACK) => self.history.add(b'h', d, s.seq),
            (true, false, false) => self.history.add(b's', d, s.seq),
            (true, ..) => self.history.add(b'q', d, s.seq),
            (false, true, true) => self.history.add(b'i', d, s.seq),
            (false, true, false) => self.history.add(b'f', d, s.seq),
            (false, false, true) => self.history.add(b'r', d, s.seq),
            (false, false, false) => self.note_common(s, d),
        }
        if s.window == 0 && !rst && self.halves[d.reversed()].fin.is_none() && self.halves[d].resets == 0 {
            self.history.add(b'w', d, s.seq);
        }
    }

    /// Whether both ends sent a FIN, or either a reset.
    pub fn is_closed(&self) -> bool {
        let (c, s) = (&self.halves.to_server, &self.halves.to_client);
        c.fin.is_some() && s.fin.is_some() || c.resets > 0 || s.resets > 0
    }

    /// Whether both ends sent a FIN and acknowledged the other's, and neither a reset.
    pub(super) fn is_closed_by_both(&self) -> bool {
        let (c, s) = (&self.halves.to_server, &self.halves.to_client);
        let done = |h: &Half| h.fin.is_some() && h.resets == 0 && h.acked >= h.next;
        done(c) && done(s)
    }

    /// Zeek's `conn_state`.
    pub fn conn_state(&self) -> &'static str {
        let end = |d: Direction| {
            let h = &self.halves[d];
            EndState {
                opened: h.syn.is_some(),
                active: h.packets > 0,
                closed: h.fin.is_some(),
                reset: h.resets > 0,
                bytes: h.payload_bytes,
            }
        };
        let established = self.established.is_some()
            || self.halves.to_client.syn.is_some() && self.halves.to_server.payload_bytes > 0;
        let closed_first = self.resets.first().is_some_and(|r| r.sender.fin && r.receiver.fin);
        history::conn_state(end(Direction::ToServer), end(Direction::ToClient), established, closed_first)
    }

    /// Cloudflare's signature of what the server received, given how far the capture reaches.
    pub fn signature(&self, seen_until: Timestamp) -> Option<Signature> {
        self.opening.to_server.signature(seen_until)
    }

    /// Packets in both directions.
    pub fn packets(&self) -> u64 {
        self.halves.to_server.packets + self.halves.to_client.packets
    }
}

fn swap<T>(of: &mut PerDirection<T>) {
    std::mem::swap(&mut of.to_server, &mut of.to_client);
}
