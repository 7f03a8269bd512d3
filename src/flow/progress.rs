//! How a conversation moves, and how it stops: when each end was last heard with something new, and what the other tried
//! since.
//!
//! An end is *heard* when it brings new data or acknowledges new data. Whatever the other sends after that and that gets no
//! such answer is a *try*. A box that drops shows as tries without end; which end tries, and at which point of the
//! conversation, tells the kinds of silence apart.

use crate::base::endpoint::PerDirection;
use crate::base::{Direction, Timestamp};

use super::Segment;

/// A frame and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The frame.
    pub frame: u64,
    /// Its time.
    pub at: Timestamp,
}

impl Moment {
    fn of(s: &Segment) -> Self {
        Self { frame: s.frame, at: s.at }
    }
}

/// What an end sent since the other was last heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Segments with payload or FIN.
    pub count: u32,
    /// The first of them.
    pub first: Option<Moment>,
    /// The last.
    pub last: Option<Moment>,
}

/// The course of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The first payload of the client.
    pub asked: Option<Moment>,
    /// How often its first byte was sent again.
    pub asked_again: u32,
    /// When it was sent last.
    pub asked_last: Option<Moment>,
    /// The first segment of the server that acknowledges some of it.
    pub acked: Option<Moment>,
    /// The first payload of the server.
    pub answered: Option<Moment>,
    /// When each end was last heard: by the direction that it sends in.
    pub heard: PerDirection<Option<Moment>>,
    /// What each end tried since the other was heard: by the direction that it sends in.
    pub tries: PerDirection<Tries>,
    /// The client's first FIN.
    pub client_closed: Option<Moment>,
    /// The server's first FIN.
    pub server_closed: Option<Moment>,
}

impl Progress {
    /// Takes a segment that is no reset: whether it brings something new, whether it acknowledges something new, and whether
    /// it carries the first byte of its stream.
    pub(super) fn push(&mut self, d: Direction, s: &Segment, brings: bool, acks: bool, first_byte: bool) {
        let here = Moment::of(s);
        if brings || acks {
            self.heard[d] = Some(here);
            let tries = &mut self.tries[d.reversed()];
            if tries.count > 0 {
                *tries = Tries::default();
            }
        }
        let closes = s.flags.has(crate::wire::tcp::Flags::FIN);
        if s.len > 0 || closes {
            let t = &mut self.tries[d];
            t.count = t.count.saturating_add(1);
            t.first.get_or_insert(here);
            t.last = Some(here);
        }
        match d {
            Direction::ToServer => {
                if closes {
                    self.client_closed = self.client_closed.or(Some(here));
                }
                if s.len > 0 && self.asked.is_none() {
                    self.asked = Some(here);
                    self.asked_last = Some(here);
                } else if first_byte {
                    self.asked_again = self.asked_again.saturating_add(1);
                    self.asked_last = Some(here);
                }
            }
            Direction::ToClient => {
                if closes {
                    self.server_closed = self.server_closed.or(Some(here));
                }
                if acks && self.asked.is_some() {
                    self.acked.get_or_insert(here);
                }
                if s.len > 0 {
                    self.answered.get_or_insert(here);
                }
            }
        }
    }

    /// Whether the server closed, and before the client did.
    pub fn server_closed_first(&self) -> bool {
        self.server_closed.is_some_and(|s| self.client_closed.is_none_or(|c| s.at < c.at))
    }

    /// Turns the directions round.
    pub(super) fn flip(&mut self) {
        std::mem::swap(&mut self.heard.to_server, &mut self.heard.to_client);
        std::mem::swap(&mut self.tries.to_server, &mut self.tries.to_client);
        std::mem::swap(&mut self.client_closed, &mut self.server_closed);
        (self.asked, self.answered) = (self.answered, self.asked);
    }
}
