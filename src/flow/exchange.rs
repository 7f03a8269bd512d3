//! The first exchange of a connection, timed: what the client asked, when that was acknowledged, answered, and the answer
//! received.
//!
//! A program that thinks long delays its answer and nothing else: its system acknowledges what came within half a second
//! (RFC 9293 §3.8.6.3). What delays packets delays acknowledgments, too. So the times of acknowledgments are kept beside those
//! of data, and what was sent again meanwhile, since a lost packet is waited for as well.

use crate::base::endpoint::PerDirection;
use crate::base::{Direction, Span, Timestamp};

use super::Segment;
use super::half::Arrival;
use super::progress::Moment;

/// The most that is waited for one lost packet: the least time-out that RFC 6298 asks for, and its first. Systems in use wait less.
const LOSS_COSTS: Span = Span::from_secs(1);

/// Times of the first exchange, from the client's first words to its next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// The last new payload of the client before an answer came.
    pub asked: Option<Moment>,
    /// The first segment of the server that acknowledges all of that.
    pub acked: Option<Moment>,
    /// The server's first payload.
    pub answered: Option<Moment>,
    /// The last segment by which the client acknowledged all that had come, up to its next words.
    pub settled: Option<Moment>,
    /// How often each end sent something again meanwhile.
    pub again: PerDirection<u32>,
    /// How long ends had waited before they did, for each at most what one lost packet costs.
    pub waited: Span,
    over: bool,
    spoke: PerDirection<Option<Timestamp>>,
}

/// How long the first exchange took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// See [`Exchange::on_the_way`].
    pub on_the_way: Option<Span>,
    /// See [`Exchange::whole`].
    pub whole: Option<Span>,
    /// How often an end sent something again meanwhile.
    pub again: u32,
    /// How long ends had waited before they did, for each at most what one lost packet costs.
    pub waited: Span,
}

/// What a segment did, as both halves know it.
#[derive(Clone, Copy)]
pub(super) struct Did {
    /// What its payload is to the stream.
    pub arrival: Arrival,
    /// Whether it acknowledges something for the first time.
    pub acks: bool,
    /// Whether all that the other end has sent is acknowledged now.
    pub all: bool,
}

impl Exchange {
    /// Takes a segment that is no reset.
    #[inline]
    pub(super) fn push(&mut self, d: Direction, s: &Segment, did: Did) {
        if self.over {
            return;
        }
        let here = Some(Moment { frame: s.frame, at: s.at });
        let brings = s.len > 0 && did.arrival != Arrival::Nothing;
        match d {
            Direction::ToServer if self.answered.is_none() => {
                if s.len > 0 && did.arrival == Arrival::New {
                    self.asked = here;
                    self.acked = None;
                }
            }
            Direction::ToServer => {
                if did.acks && did.all {
                    self.settled = here;
                }
                self.over = s.len > 0 && did.arrival == Arrival::New;
            }
            Direction::ToClient if self.asked.is_some() => {
                if did.all && (did.acks || brings) {
                    self.acked = self.acked.or(here);
                }
                if brings {
                    self.answered = self.answered.or(here);
                }
            }
            Direction::ToClient => {}
        }
        if brings && self.asked.is_some() {
            if did.arrival == Arrival::Retransmission {
                self.again[d] = self.again[d].saturating_add(1);
                let since = self.spoke[d].map_or(Span::ZERO, |t| s.at.since(t)).max(Span::ZERO);
                self.waited = Span::from_ns(self.waited.ns().saturating_add(since.min(LOSS_COSTS).ns()));
            }
            self.spoke[d] = Some(s.at);
        }
    }

    /// How long it took.
    pub fn took(&self) -> Took {
        Took {
            on_the_way: self.on_the_way(),
            whole: self.whole(),
            again: self.again.to_server.saturating_add(self.again.to_client),
            waited: self.waited,
        }
    }

    /// From the client's words to the last acknowledgment of the answer, without the time that the server's program took: what
    /// the way took. `None` where the exchange did not come to that.
    pub fn on_the_way(&self) -> Option<Span> {
        let there = self.acked?.at.since(self.asked?.at).ns().max(0);
        let back = self.settled?.at.since(self.answered?.at).ns().max(0);
        Some(Span::from_ns(there.saturating_add(back)))
    }

    /// From the client's words to the last acknowledgment of the answer.
    pub fn whole(&self) -> Option<Span> {
        let all = self.settled?.at.since(self.asked?.at);
        (all >= Span::ZERO).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::SEGMENT;
    use super::*;
    use Direction::{ToClient, ToServer};

    fn play(segments: &[(Direction, i64, u32, Arrival, bool)]) -> Exchange {
        let mut x = Exchange::default();
        for (d, ms, len, arrival, acks) in segments {
            let s = Segment { at: Timestamp::from_ns(ms * 1_000_000), len: *len, ..SEGMENT };
            x.push(*d, &s, Did { arrival: *arrival, acks: *acks, all: *acks });
        }
        x
    }

    #[test]
    fn a_program_that_thinks_is_not_on_the_way() {
        use Arrival::{New, Nothing};
        let x = play(&[
            (ToServer, 0, 517, New, false),
            (ToClient, 90, 0, Nothing, true),
            (ToClient, 3_000, 1400, New, false),
            (ToServer, 3_040, 0, Nothing, true),
            (ToServer, 3_050, 80, New, false),
            (ToClient, 9_000, 900, New, false),
        ]);
        assert_eq!(x.on_the_way(), Some(Span::from_ms(130)));
        assert_eq!(
            x.whole(),
            Some(Span::from_ms(3_040)),
            "what comes after the client's next words is no part"
        );
    }

    #[test]
    fn what_was_sent_again_and_how_long_that_was_waited_for_is_known() {
        use Arrival::{New, Nothing, Retransmission};
        let x = play(&[
            (ToServer, 0, 517, New, false),
            (ToServer, 300, 517, Retransmission, false),
            (ToClient, 390, 1400, New, true),
            (ToClient, 391, 1400, New, false),
            (ToServer, 400, 0, Nothing, true),
        ]);
        assert_eq!((x.again.to_server, x.again.to_client, x.waited), (1, 0, Span::from_ms(300)));
        assert_eq!(x.on_the_way(), Some(Span::from_ms(400)));
    }

    #[test]
    fn an_exchange_that_is_not_answered_has_no_time() {
        assert_eq!(play(&[(ToServer, 0, 517, Arrival::New, false)]).on_the_way(), None);
    }
}
