//! All connections that are open: found by key, ended by capture time, bounded.
//!
//! The table hashes with a random seed, so that no capture can be made to collide; nothing in the output depends
//! on the hash. What "over" means is decided by capture time alone, when the next packet of the same two ends
//! comes; the sweep only frees what is over earlier, a few slots at each packet.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::base::endpoint::PerDirection;
use crate::base::{Direction, SeqNum, Span, Timestamp};
use crate::wire::tcp::{Flags, Tcp};

use super::Segment;
use super::bulk;
use super::connection::{Connection, Ended};
use super::key::Key;
use super::refusal::Notice;
use super::tombstones::{Tombstone, Tombstones};

/// How long a reset connection is still followed, or one whose close was not acknowledged: what comes late tells who closed it. Linux keeps
/// TIME-WAIT for 60 s; a retransmitting peer may go on for two minutes (tcp(7), `tcp_retries2`, first minutes).
pub const LINGER: Span = Span::from_secs(120);

/// How long one is followed that both ends closed, each with the other's acknowledgment: only a FIN can still come again whose
/// acknowledgment was lost behind the capture, and Linux sends it for the seventh time within 26 s of the first (0.2 s, doubled).
/// Zeek waits 5 s (`tcp_close_delay`).
pub const CLOSED: Span = Span::from_secs(30);

/// How long a SYN may stay unanswered: Linux sends the last of six retries after 63 s and gives up after 127 s.
pub const UNANSWERED: Span = Span::from_secs(130);

/// How long an established connection may be silent: 2 h 4 min, what RFC 5382 REQ-5 asks of every NAT.
pub const IDLE: Span = Span::from_secs(7440);

const HALF_IDLE: Span = Span::from_ns(IDLE.ns() / 2);

/// How many slots the sweep visits, and at every how many packets.
const SWEEP: usize = 16;
const SWEEP_EVERY: u32 = 8;

/// How many slots are compared to find one to give up when the table is full.
const EVICT_AMONG: usize = 16;

/// What the table may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections open at one time.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1 << 18 }
    }
}

/// The open connections.
#[derive(Clone)]
pub struct FlowTable {
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    hasher: foldhash::fast::RandomState,
    limits: Limits,
    ended: Tombstones,
    /// The next slot that the sweep looks at.
    hand: usize,
    /// How many packets came, modulo 2³².
    packets: u32,
    /// The latest time seen.
    now: Timestamp,
    streams: Streams,
    /// How many packets' records the open connections may still keep.
    room: usize,
    least_room: usize,
    most_open: usize,
    /// Connections given up because too many were open.
    pub evicted: u64,
}

#[derive(Clone)]
struct Slot {
    key: Key,
    hash: u64,
    /// When it is over, or something of it can be given up, if nothing more comes; the sweep looks at nothing else.
    until: Timestamp,
    /// What the table's clock showed when its last packet came.
    since: Timestamp,
    connection: Option<Box<Connection>>,
}

impl Slot {
    /// Whether a segment belongs to a new connection between the same ends, and why the old one is over.
    #[inline]
    fn over(&self, s: &Segment, from_low: bool, now: Timestamp) -> Option<Ended> {
        if now <= self.until && !s.flags.has(Flags::SYN) {
            return None; // most segments
        }
        let c = self.connection.as_deref()?;
        if begins_new_stream(s, c.stream_bases[c.direction(from_low)]) {
            return Some(Ended::Reused);
        }
        let (end, why) = end_of(c, self.since);
        (now > end).then_some(why)
    }
}

/// Numbers of streams.
#[derive(Clone)]
enum Streams {
    /// How many have begun.
    Counted(u64),
    /// The frames at which they began.
    Begun(Vec<u64>),
}

impl Streams {
    /// The number of the stream that this frame begins; or the frame, as long as it has none.
    fn next(&mut self, frame: u64) -> u64 {
        match self {
            Self::Counted(n) => {
                *n += 1;
                *n - 1
            }
            Self::Begun(frames) => {
                frames.push(frame);
                frame
            }
        }
    }
}

/// How much of what a table bounds was in use at one time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peak {
    /// Open connections.
    pub open: usize,
    /// Packets of transfers.
    pub records: usize,
    /// Connections that ended, all in all.
    pub ended: u64,
}

impl Peak {
    /// Whether several tables together would have stayed within the bounds of one.
    pub fn fits_one(peaks: &[Self], limits: Limits) -> bool {
        peaks.iter().map(|p| p.open).sum::<usize>() < limits.connections
            && peaks.iter().map(|p| p.records).sum::<usize>() + peaks.len() * 2 < bulk::ROOM
            && peaks.iter().map(|p| p.ended).sum::<u64>() < Tombstones::ROOM
    }
}

impl FlowTable {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hasher: foldhash::fast::RandomState::default(),
            limits,
            ended: Tombstones::default(),
            hand: 0,
            packets: 0,
            now: Timestamp::FIRST,
            streams: Streams::Counted(0),
            room: bulk::ROOM,
            least_room: bulk::ROOM,
            most_open: 0,
            evicted: 0,
        }
    }

    /// The same, with stream numbers left open: those of the connections are the frames that began the streams, for
    /// [`FlowTable::begun`] to number. For tables that share a capture's packets.
    pub fn unnumbered(limits: Limits) -> Self {
        Self { streams: Streams::Begun(Vec::new()), ..Self::new(limits) }
    }

    /// The frames at which streams began, in order, where they are not numbered.
    pub fn begun(&self) -> &[u64] {
        match &self.streams {
            Streams::Begun(frames) => frames,
            Streams::Counted(_) => &[],
        }
    }

    /// How much of what is bounded was in use at one time at most.
    pub fn peak(&self) -> Peak {
        Peak { open: self.most_open, records: bulk::ROOM - self.least_room, ended: self.ended.put_in }
    }

    /// Moves the table's clock: a frame of any kind was captured at this time.
    pub fn clock(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
    }

    /// Takes a segment of the connection that has this key, from its lower end or from the other; `ended` gets every connection
    /// that is over by now.
    pub fn push(
        &mut self,
        s: &Segment,
        (key, from_low): (Key, bool),
        tcp: &Tcp<'_>,
        tunnelled: bool,
        ended: &mut impl FnMut(Box<Connection>),
    ) {
        self.clock(s.at);
        let hash = self.hasher.hash_one(key);
        let slot = match self.find(&key, hash) {
            Some(slot) => match self.slots[slot as usize].over(s, from_low, self.now) {
                None => slot,
                Some(why) => {
                    self.close(slot, why, ended);
                    self.open((key, hash, from_low), s, tunnelled, ended)
                }
            },
            None => self.open((key, hash, from_low), s, tunnelled, ended),
        };
        let Slot { until, since, connection, .. } = &mut self.slots[slot as usize];
        if let Some(c) = connection {
            if s.is_control() || c.stream_bases.to_server.is_none() || c.stream_bases.to_client.is_none() {
                let direction = c.direction(from_low);
                if forks_in_wireshark(c, s, direction) {
                    // the reset stays with its connection; only its number is passed over, for the streams after it
                    self.streams.next(s.frame);
                    c.stream_bases = PerDirection::default();
                }
                note_stream_bases(&mut c.stream_bases, s, direction);
            }
            c.push(s, from_low, tcp, self.now, &mut self.room);
            *since = self.now;
            // only a control segment brings the end nearer; else it may be looked for too early
            if s.is_control() || *until < self.now + HALF_IDLE {
                let end = end_of(c, self.now).0;
                *until = c.heads_until().map_or(end, |heads| heads.min(end));
            }
        }
        self.least_room = self.least_room.min(self.room);
        self.packets = self.packets.wrapping_add(1);
        if self.packets.is_multiple_of(SWEEP_EVERY) {
            self.sweep(ended);
        }
    }

    /// Takes note that an ICMP error quotes a segment of two ends: their connection keeps it. Where there is none, Wireshark gives it
    /// a stream number, which a connection of theirs that is seen later shares.
    pub fn quoted(&mut self, notice: Notice) {
        let (src, dst) = (notice.quoted.src, notice.quoted.dst);
        let (key, from_low) = Key::new(src, dst);
        let hash = self.hasher.hash_one(key);
        if let Some(slot) = self.find(&key, hash) {
            if let Some(c) = &mut self.slots[slot as usize].connection {
                c.quoted(notice, from_low);
            }
            return;
        }
        if !notice.quoted.whole || self.ended.has(hash) {
            return;
        }
        let stream = self.streams.next(notice.frame);
        self.ended.put(hash, Tombstone { stream, seen: false, low: None, high: None });
    }

    /// The slot of the connection that has this key.
    #[inline]
    fn find(&self, key: &Key, hash: u64) -> Option<u32> {
        self.index.find(hash, |i| self.slots[*i as usize].key == *key).copied()
    }

    /// Ends all connections that are left, in the order in which they began.
    pub fn finish(&mut self, ended: &mut impl FnMut(Box<Connection>)) {
        let mut left: Vec<(Timestamp, Box<Connection>)> =
            self.slots.drain(..).filter_map(|s| Some((s.since, s.connection?))).collect();
        left.sort_by_key(|(_, c)| c.first_frame);
        self.index.clear();
        self.free.clear();
        for (since, mut c) in left {
            let (end, why) = end_of(&c, since);
            c.ended = if self.now > end { why } else { Ended::CaptureEnd };
            ended(finished(c));
        }
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.index.len()
    }

    /// How many ended connections were forgotten, so that a late packet of theirs counts as a new stream.
    pub fn forgotten(&self) -> u64 {
        self.ended.forgotten
    }

    fn open(
        &mut self,
        (key, hash, from_low): (Key, u64, bool),
        s: &Segment,
        tunnelled: bool,
        ended: &mut impl FnMut(Box<Connection>),
    ) -> u32 {
        if self.index.len() >= self.limits.connections {
            self.evict(ended);
        }
        let before = self.ended.take(hash).filter(|t| !begins_new_stream(s, t.base(from_low)));
        let stream = before.map_or_else(|| self.streams.next(s.frame), |t| t.stream);
        let mut connection = Connection::new(stream, s, key.ends(from_low), from_low, tunnelled);
        connection.resumed = before.is_some_and(|t| t.seen);
        let connection = Some(Box::new(connection));
        let slot = Slot { key, hash, until: Timestamp::FIRST, since: self.now, connection };
        let at = if let Some(at) = self.free.pop() {
            self.slots[at as usize] = slot;
            at
        } else {
            self.slots.push(slot);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX) // the limit is far below 2³²
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, at, |i| slots[*i as usize].hash);
        self.most_open = self.most_open.max(self.index.len());
        at
    }

    fn close(&mut self, at: u32, why: Ended, ended: &mut impl FnMut(Box<Connection>)) {
        let slot = &mut self.slots[at as usize];
        let Some(mut connection) = slot.connection.take() else { return };
        slot.until = Timestamp::LAST;
        if let Ok(entry) = self.index.find_entry(slot.hash, |i| *i == at) {
            entry.remove();
        }
        let hash = slot.hash;
        let bases = &connection.stream_bases;
        let (low, high) = if connection.client_is_low {
            (bases.to_server, bases.to_client)
        } else {
            (bases.to_client, bases.to_server)
        };
        self.ended.put(hash, Tombstone { stream: connection.stream, seen: true, low, high });
        self.free.push(at);
        connection.ended = why;
        let kept = |d: Direction| connection.halves[d].bulk.records().len();
        self.room += kept(Direction::ToServer) + kept(Direction::ToClient);
        ended(finished(connection));
    }

    /// Frees what is over, a few slots at a time.
    #[inline(never)]
    fn sweep(&mut self, ended: &mut impl FnMut(Box<Connection>)) {
        let slots = self.slots.len();
        let from = self.hand.min(slots);
        let to_end = from..slots.min(from + SWEEP);
        let from_start = 0..(SWEEP - to_end.len()).min(from);
        self.hand = if to_end.end < slots { to_end.end } else { from_start.end };
        for at in to_end.chain(from_start) {
            let slot = &mut self.slots[at];
            if self.now > slot.until
                && let Some(c) = &mut slot.connection
            {
                let (end, why) = end_of(c, slot.since);
                if self.now > end {
                    self.close(u32::try_from(at).unwrap_or(u32::MAX), why, ended);
                } else {
                    c.give_up_heads(self.now);
                    slot.until = end;
                }
            }
        }
    }

    /// Gives up the connection that has been silent longest among the next few.
    fn evict(&mut self, ended: &mut impl FnMut(Box<Connection>)) {
        let n = self.slots.len();
        let candidates = (1..=n.min(EVICT_AMONG * 4)).map(|i| (self.hand + i) % n);
        let oldest = candidates
            .filter_map(|i| self.slots[i].connection.as_deref().map(|c| (c.last, i)))
            .take(EVICT_AMONG)
            .min_by_key(|(last, _)| *last);
        if let Some((_, at)) = oldest {
            self.hand = at;
            self.evicted += 1;
            self.close(u32::try_from(at).unwrap_or(u32::MAX), Ended::Limit, ended);
        }
    }
}

fn finished(mut c: Box<Connection>) -> Box<Connection> {
    c.read_heads();
    c
}

/// The last moment that belongs to a connection if it stays silent, as its state is now, and why it is over after that; `since`
/// is the table's clock at its last packet, which in a capture out of order lies behind the packet's own time.
fn end_of(c: &Connection, since: Timestamp) -> (Timestamp, Ended) {
    let (silence, why) = if c.is_closed() {
        (if c.is_closed_by_both() { CLOSED } else { LINGER }, Ended::Closed)
    } else if c.halves.to_client.packets == 0 || c.halves.to_server.packets == 0 && !c.handshake_seen() {
        (if c.packets() <= 10 { UNANSWERED } else { IDLE }, Ended::Idle)
    } else {
        (IDLE, Ended::Idle)
    };
    (since + silence, why)
}

/// A SYN without ACK or RST whose sequence number is not the base of its direction begins a new connection, and in Wireshark a new
/// `tcp.stream`.
#[inline]
fn begins_new_stream(s: &Segment, base: Option<SeqNum>) -> bool {
    s.flags.has(Flags::SYN)
        && !s.flags.any(Flags(Flags::ACK.0 | Flags::RST.0))
        && base.is_some_and(|b| b != s.seq)
}

/// Whether Wireshark takes a SYN with RST for the beginning of a new stream. A receiver takes it for a reset (RFC 9293
/// §3.10.7.4 looks at RST before SYN), and so does this program: apart from its connection, a forged one would hide.
fn forks_in_wireshark(c: &Connection, s: &Segment, d: Direction) -> bool {
    s.flags.has(Flags::SYN.with(Flags::RST))
        && !s.flags.has(Flags::ACK)
        && c.stream_bases[d].is_some_and(|b| b != s.seq)
}

/// Keeps the base sequence numbers as Wireshark does: the first number of a direction, or what the other side's
/// first ACK says of it.
fn note_stream_bases(bases: &mut PerDirection<Option<SeqNum>>, s: &Segment, d: Direction) {
    if bases[d].is_none() {
        bases[d] = Some(if s.flags.has(Flags::SYN) { s.seq } else { s.seq.plus(u32::MAX) });
    }
    if bases[d.reversed()].is_none() && s.flags.has(Flags::ACK) {
        bases[d.reversed()] = Some(s.ack.plus(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{SEGMENT, tcp_bytes};
    use super::*;
    use crate::base::Endpoint;
    use crate::wire::Quoted;

    fn at(host: u8, port: u16) -> Endpoint {
        Endpoint { addr: [192, 0, 2, host].into(), port }
    }

    fn push(table: &mut FlowTable, port: u16, s: &Segment) {
        let bytes = tcp_bytes(s);
        let tcp = Tcp::parse(&bytes, 20 + s.len).unwrap();
        table.push(s, Key::new(at(1, port), at(2, 443)), &tcp, false, &mut |_| panic!("none is over yet"));
    }

    const SYN: Segment = Segment { flags: Flags::SYN, ..SEGMENT };

    fn streams(mut table: FlowTable) -> Vec<(u64, usize, bool)> {
        let mut rows = Vec::new();
        table.finish(&mut |c| rows.push((c.stream, c.resets.len(), c.resumed)));
        rows.sort_unstable();
        rows
    }

    #[test]
    fn a_syn_with_rst_is_a_reset_of_its_connection_and_only_takes_a_number() {
        let mut table = FlowTable::new(Limits::default());
        push(&mut table, 50_000, &SYN);
        let both = Segment { flags: Flags::SYN.with(Flags::RST), seq: SeqNum(77_000), ..SEGMENT };
        push(&mut table, 50_000, &both);
        push(&mut table, 50_001, &SYN);
        assert_eq!(streams(table), [(0, 1, false), (2, 0, false)], "Wireshark gives 1 to the SYN with RST");
    }

    /// What a table makes of ACKs of two ends at these seconds, the server's marked: packets of each connection, and why it ended.
    fn silences(packets: &[(i64, bool)]) -> Vec<(u64, Ended)> {
        let mut table = FlowTable::new(Limits::default());
        let mut rows = Vec::new();
        for (n, (secs, by_server)) in packets.iter().enumerate() {
            let at_secs = Timestamp::from_ns(0) + Span::from_secs(*secs);
            let s = Segment { flags: Flags::ACK, at: at_secs, frame: n as u64 + 1, ..SEGMENT };
            let bytes = tcp_bytes(&s);
            let tcp = Tcp::parse(&bytes, 20).unwrap();
            let (client, server) = (at(1, 50_000), at(2, 443));
            let key = if *by_server { Key::new(server, client) } else { Key::new(client, server) };
            table.push(&s, key, &tcp, false, &mut |c| rows.push((c.packets(), c.ended)));
        }
        table.finish(&mut |c| rows.push((c.packets(), c.ended)));
        rows
    }

    #[test]
    fn silence_ends_a_connection_and_packets_put_that_off() {
        let hour = 3600;
        let alone = [(0, false), (100, false), (231, false)];
        assert_eq!(silences(&alone), [(2, Ended::Idle), (1, Ended::CaptureEnd)], "one-sided: after 130 s");
        let mut both = vec![(0, false), (1, true)];
        both.extend((1..40).map(|n| (n * hour / 2, n % 2 == 1)));
        assert_eq!(silences(&both), [(41, Ended::CaptureEnd)]);
        let last = 39 * hour / 2;
        both.extend([(last + 2 * hour, false), (last + 5 * hour, false)]);
        let two = [(42, Ended::Idle), (1, Ended::CaptureEnd)];
        assert_eq!(silences(&both), two, "after two hours and four minutes");
    }

    fn notice(src: Endpoint, dst: Endpoint) -> Notice {
        let quoted = Quoted { src, dst, seq: SeqNum(1), whole: true, v6: false, kind: 3, code: 13 };
        Notice { frame: 9, at: Timestamp::from_ns(0), from: [192, 0, 2, 9].into(), ttl: 60, quoted }
    }

    #[test]
    fn a_quoted_segment_takes_a_number_only_where_there_is_no_connection() {
        let mut table = FlowTable::new(Limits::default());
        push(&mut table, 50_000, &SYN);
        table.quoted(notice(at(1, 50_000), at(2, 443)));
        table.quoted(notice(at(1, 50_001), at(2, 443)));
        table.quoted(notice(at(2, 443), at(1, 50_001)));
        push(&mut table, 50_002, &SYN);
        push(&mut table, 50_001, &SYN);
        assert_eq!(streams(table), [(0, 0, false), (1, 0, false), (2, 0, false)]);
    }
    #[test]
    fn an_error_stays_with_the_connection_that_it_quotes() {
        let mut table = FlowTable::new(Limits::default());
        push(&mut table, 50_000, &SYN);
        for _ in 0..9 {
            table.quoted(notice(at(1, 50_000), at(2, 443)));
        }
        let mut kept = Vec::new();
        table.finish(&mut |c| {
            let r = c.refusals.unwrap();
            kept.push((r.count, r.first.len(), r.first[0].direction));
        });
        assert_eq!(kept, [(9, super::super::refusal::MOST_REFUSALS, Direction::ToServer)]);
    }
}
