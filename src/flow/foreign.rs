//! Segments in the server's name that do not look like its own: another TTL than its SYN-ACK, other bytes for a place in its
//! stream that had some, a second initial sequence number.
//!
//! Facts only, and none of most connections: nothing is kept before something is odd.

use crate::base::Timestamp;
use crate::wire::tcp::Flags;

use super::Segment;

/// The most that are kept of one connection; the first few tell all.
pub const MAX_ODD: usize = 8;

/// A TTL this far from that of the SYN-ACK is odd: routes differ by a hop now and then.
const TTL_OFF: u8 = 2;

/// A segment, as far as telling its sender needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Wireshark's `frame.number`.
    pub frame: u64,
    /// When it was captured.
    pub at: Timestamp,
    /// TTL, or hop limit.
    pub ttl: u8,
    /// Whether it has a timestamps option.
    pub timestamps: bool,
    /// Its flags.
    pub flags: Flags,
    /// Its payload length.
    pub len: u32,
}

impl Seen {
    pub(super) fn new(s: &Segment) -> Self {
        let Segment { frame, at, ttl, flags, len, .. } = *s;
        Self { frame, at, ttl, timestamps: s.timestamps.is_some(), flags, len }
    }
}

/// Two packets that cannot both be the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The one that came first; `None` where only its frame is known.
    pub first: Option<Seen>,
    /// Its frame.
    pub first_frame: u64,
    /// The one that came later.
    pub later: Seen,
}

/// What is odd about the server of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Segments whose TTL is not that of the SYN-ACK.
    pub ttl_off: Vec<Seen>,
    /// Segments of the server with the TTL of its SYN-ACK, after the first of those, payload or not.
    pub own_after: u32,
    /// One of them.
    pub own: Option<Seen>,
    /// Bytes of its stream with two contents.
    pub contents: Vec<Contradiction>,
    /// SYN-ACKs with two initial sequence numbers.
    pub numbers: Vec<Contradiction>,
}

/// Whether a TTL is another than that of the handshake.
pub(super) fn is_off(ttl: u8, handshake: u8) -> bool {
    ttl.abs_diff(handshake) >= TTL_OFF
}

impl Foreign {
    /// Takes a segment of the server, given the TTL of its SYN-ACK.
    pub(super) fn take_ttl(&mut self, s: &Segment, handshake: u8) {
        if !is_off(s.ttl, handshake) {
            self.own_after = self.own_after.saturating_add(1);
            self.own = self.own.or(Some(Seen::new(s)));
        } else if self.ttl_off.len() < MAX_ODD {
            self.ttl_off.push(Seen::new(s));
        }
    }
}

/// Keeps a contradiction while there is room.
pub(super) fn keep(list: &mut Vec<Contradiction>, c: Contradiction) {
    if list.len() < MAX_ODD {
        list.push(c);
    }
}
