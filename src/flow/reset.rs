//! A reset, with all that was known of its connection when it came, and what came after it.
//!
//! Facts only: whether an endpoint can have sent it is for `detect::reset` to weigh.

use crate::base::{Direction, Span, Timestamp};

use super::half::Half;
use super::series::SenderProfile;
use super::{Kind, Segment, Stage};

/// The most resets that are kept of one connection; later ones are counted only. A middlebox that answers every
/// packet makes one for each, and the first few tell all.
pub const MAX_RESETS: usize = 32;

/// How many payload bytes of a reset are kept.
const PAYLOAD_KEPT: usize = 32;

/// One packet, in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brief {
    /// Wireshark's `frame.number`.
    pub frame: u64,
    /// When it was captured.
    pub at: Timestamp,
    /// What it is.
    pub kind: Kind,
    /// Who sent it.
    pub direction: Direction,
    /// TTL, or hop limit.
    pub ttl: u8,
    /// IPv4 identification.
    pub ip_id: Option<u16>,
    /// Window field, unscaled.
    pub window: u16,
}

impl Brief {
    pub(super) fn new(s: &Segment, kind: Kind, direction: Direction) -> Self {
        Self { frame: s.frame, at: s.at, kind, direction, ttl: s.ttl, ip_id: s.ip_id, window: s.window }
    }
}

/// One end of the connection at the time of a reset.
#[derive(Clone, Copy, Debug, Default)]
pub struct Side {
    /// Highest offset that it had sent up to.
    pub next: i64,
    /// Highest offset of its stream that the other end had acknowledged.
    pub acked: i64,
    /// IP header habits so far.
    pub profile: SenderProfile,
    /// Segments so far, resets included.
    pub packets: u64,
    /// Payload bytes so far.
    pub payload_bytes: u64,
    /// Whether it had sent a FIN.
    pub fin: bool,
    /// Resets in its name before this one.
    pub resets: u32,
    /// Whether its SYN or SYN-ACK was seen, and offered timestamps.
    pub timestamps: Option<bool>,
    /// The window scale that it offered.
    pub window_scale: Option<u8>,
    /// Its last segment that was no reset.
    pub last: Option<Segment>,
    /// The shortest round trip to it from the point of capture.
    pub rtt: Option<Span>,
    /// Payload bytes of it that the capture had missed.
    pub missed_bytes: u64,
    /// Holes in its stream that were open.
    pub open_holes: usize,
}

impl Side {
    pub(super) fn of(half: &Half) -> Self {
        Self {
            next: half.next,
            acked: half.acked,
            profile: half.profile(),
            packets: half.packets,
            payload_bytes: half.payload_bytes,
            fin: half.fin.is_some(),
            resets: half.resets,
            timestamps: half.syn.map(|o| o.timestamps),
            window_scale: half.syn.and_then(|o| o.window_scale),
            last: half.last,
            rtt: half.rtt.shortest(),
            missed_bytes: half.missed_bytes,
            open_holes: half.open_holes(),
        }
    }
}

/// A reset and its circumstances.
#[derive(Clone, Debug)]
pub struct Reset {
    /// Its header facts.
    pub segment: Segment,
    /// Which way it went: it names the sender of that direction as its own.
    pub direction: Direction,
    /// Its sequence number as an offset in the claimed sender's stream.
    pub offset: Option<i64>,
    /// Its acknowledgment number as an offset in the receiver's stream, where ACK is set.
    pub ack_offset: Option<i64>,
    /// The first bytes of its payload, if it has any.
    pub payload: Vec<u8>,
    /// The end that it names as its sender.
    pub sender: Side,
    /// The end that it was sent to.
    pub receiver: Side,
    /// The last segment of the receiver before it: what it may answer.
    pub trigger: Option<Brief>,
    /// The last segment of either end before it, other resets included.
    pub previous: Option<Brief>,
    /// Whether its sequence number is an ACK number that the receiver had sent lately (RFC 9293 §3.5.2).
    pub seq_echoes_ack: bool,
    /// How far the connection had come.
    pub stage: Stage,
    /// How long before it the ACK that completed the handshake went by.
    pub since_established: Option<Span>,
    /// What came after it.
    pub after: Aftermath,
}

/// What both ends did after a reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aftermath {
    /// The first segment of the claimed sender, no reset, that goes beyond all that it had sent or acknowledged.
    pub sender_went_on: Option<Brief>,
    /// How many such segments there are.
    pub sender_segments: u32,
    /// The last segment of the claimed sender that only repeats: a retransmission, or a repeated SYN-ACK.
    pub sender_repeated: Option<Brief>,
    /// The first segment of the receiver that is no reset.
    pub receiver_went_on: Option<Brief>,
    /// The first segment of the receiver with new payload.
    pub receiver_data: Option<Brief>,
    /// The first SYN of the receiver: it tries again.
    pub receiver_syn: Option<Brief>,
}

impl Reset {
    #[allow(clippy::too_many_arguments)] // the circumstances, each once
    pub(super) fn new(
        segment: Segment,
        direction: Direction,
        payload: &[u8],
        sender: &Half,
        receiver: &Half,
        trigger: Option<Brief>,
        previous: Option<Brief>,
        stage: Stage,
        established: Option<Timestamp>,
    ) -> Self {
        use crate::wire::tcp::Flags;
        let has_ack = segment.flags.has(Flags::ACK);
        Self {
            segment,
            direction,
            offset: sender.offset(segment.seq),
            ack_offset: if has_ack { receiver.offset(segment.ack) } else { None },
            payload: payload[..payload.len().min(PAYLOAD_KEPT)].to_vec(),
            sender: Side::of(sender),
            receiver: Side::of(receiver),
            trigger,
            previous,
            seq_echoes_ack: receiver.sent_ack(segment.seq),
            stage,
            since_established: established.map(|at| segment.at.since(at)),
            after: Aftermath::default(),
        }
    }

    /// Turns the directions round, when the connection's roles turn out to have been guessed wrong.
    pub(super) fn flip(&mut self) {
        self.direction = self.direction.reversed();
        let after = &mut self.after;
        let briefs = [
            &mut self.trigger,
            &mut self.previous,
            &mut after.sender_went_on,
            &mut after.sender_repeated,
            &mut after.receiver_went_on,
            &mut after.receiver_data,
            &mut after.receiver_syn,
        ];
        for brief in briefs.into_iter().flatten() {
            brief.direction = brief.direction.reversed();
        }
    }

    /// Takes a segment that came after this reset. `new` says that it goes beyond all that its sender had sent or
    /// acknowledged before.
    pub(super) fn followed_by(&mut self, brief: Brief, new: bool) {
        let after = &mut self.after;
        if brief.kind == Kind::Rst {
            return;
        }
        if brief.direction == self.direction {
            if new {
                after.sender_went_on = after.sender_went_on.or(Some(brief));
                after.sender_segments = after.sender_segments.saturating_add(1);
            } else {
                after.sender_repeated = Some(brief);
            }
        } else {
            after.receiver_went_on = after.receiver_went_on.or(Some(brief));
            if brief.kind == Kind::Syn {
                after.receiver_syn = after.receiver_syn.or(Some(brief));
            }
            if new && !matches!(brief.kind, Kind::Ack | Kind::Fin | Kind::Syn | Kind::SynAck) {
                after.receiver_data = after.receiver_data.or(Some(brief));
            }
        }
    }
}
