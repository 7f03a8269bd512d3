//! ICMP errors that quote a connection's segments: what a router, a host, or a box in their place says of it.

use std::net::IpAddr;

use crate::base::{Direction, Timestamp};
use crate::wire::Quoted;

/// How many errors that say "unreachable" are kept of a connection.
pub const MOST_REFUSALS: usize = 4;

/// The error, as its packet brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The frame.
    pub frame: u64,
    /// Its time.
    pub at: Timestamp,
    /// Who sent it, as it says.
    pub from: IpAddr,
    /// Its TTL, or hop limit.
    pub ttl: u8,
    /// What it says, and of which segment.
    pub quoted: Quoted,
}

/// An error that says "destination unreachable", in its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error.
    pub notice: Notice,
    /// Which way the segment went that it quotes.
    pub direction: Direction,
    /// Where that segment lies in its stream: the SYN at 0.
    pub offset: Option<i64>,
}

/// The errors of one connection.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    /// The first [`MOST_REFUSALS`] that say "unreachable".
    pub first: Vec<Refusal>,
    /// All of those.
    pub count: u32,
    /// Errors that say "too big": the path's MTU is smaller than the segment.
    pub too_big: u32,
}

impl Refusals {
    /// Takes an error about a segment that went `direction`, from an offset of its stream on.
    pub(super) fn push(&mut self, notice: Notice, direction: Direction, offset: Option<i64>) {
        if notice.quoted.is_too_big() {
            self.too_big = self.too_big.saturating_add(1);
        } else if notice.quoted.is_unreachable() {
            self.count = self.count.saturating_add(1);
            if self.first.len() < MOST_REFUSALS {
                self.first.push(Refusal { notice, direction, offset });
            }
        }
    }

    /// Turns the directions round.
    pub(super) fn flip(&mut self) {
        for r in &mut self.first {
            r.direction = r.direction.reversed();
        }
    }
}
