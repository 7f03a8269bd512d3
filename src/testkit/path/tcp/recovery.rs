//! What acknowledgments say: what arrived, what is lost, when to try again.

use super::{Flying, Header, MAX_BACKOFF, Phase, Prr, Tcp};
use crate::base::{Span, Timestamp};
use crate::testkit::path::congestion::Sample;
use crate::wire::tcp::{self, TcpOption};

impl Tcp {
    pub(super) fn measure(&mut self, rtt: Span) {
        let r = rtt.ns() as f64;
        self.min_rtt = Some(self.min_rtt.map_or(rtt, |m| m.min(rtt)));
        match self.srtt {
            None => {
                self.srtt = Some(r);
                self.rttvar = r / 2.0;
            }
            Some(s) => {
                self.rttvar += (0.25) * ((s - r).abs() - self.rttvar);
                self.srtt = Some(s + 0.125 * (r - s));
            }
        }
    }

    /// Takes note of what the other end acknowledges.
    pub(super) fn acknowledged(&mut self, now: Timestamp, h: &Header<'_>) {
        let advance = h.ack().0.wrapping_sub(self.wire_seq(self.una)) as i32;
        if advance < 0 || self.una + advance as u64 > self.next {
            return;
        }
        let una = self.una + advance as u64;
        self.peer_window = u64::from(h.window()) << self.peer_scale;
        let before = self.delivered;
        let mut newest: Option<Flying> = None;
        let mut rtt = None;
        let mut took = |s: &Flying, delivered: &mut u64, pipe: &mut u64| {
            if !s.sacked {
                *delivered += s.to - s.from;
                if !s.lost {
                    *pipe -= s.to - s.from;
                }
                if !s.again {
                    rtt = Some(now.since(s.at));
                }
                if newest.is_none_or(|n| (n.at, n.to) < (s.at, s.to)) {
                    newest = Some(*s);
                }
            }
        };
        while let Some(s) = self.flight.front_mut() {
            if s.to > una {
                if s.from < una {
                    // a part of it: what is left flies on
                    let part = una - s.from;
                    self.delivered += part;
                    if !s.lost && !s.sacked {
                        self.pipe -= part;
                    }
                    s.from = una;
                }
                break;
            }
            took(s, &mut self.delivered, &mut self.pipe);
            self.flight.pop_front();
        }
        for (left, right) in sack_blocks(h) {
            let offset = |edge: u32| self.una + u64::from(edge.wrapping_sub(self.wire_seq(self.una)));
            let (left, right) = (offset(left), offset(right));
            if right <= left || right > self.next {
                continue; // a D-SACK below what is acknowledged, or nonsense
            }
            let start = self.flight.partition_point(|s| s.from < left);
            for s in self.flight.range_mut(start..).take_while(|s| s.to <= right) {
                took(s, &mut self.delivered, &mut self.pipe);
                if s.lost {
                    s.lost = false;
                }
                s.sacked = true;
            }
        }
        if advance > 0 {
            let gone = una - self.una;
            let bytes = gone - u64::from(self.una == 0) - u64::from(self.fin.is_some_and(|f| f < una));
            self.unacked.drain(..(bytes as usize).min(self.unacked.len()));
            self.una = una;
            self.backoff = 0;
            self.probed = false;
        }
        if self.delivered > before {
            self.delivered_at = now;
        }
        if let Some(rtt) = rtt {
            self.measure(rtt);
        }
        if let Some(s) = newest.filter(|s| s.from > 0) {
            // a retransmission answered sooner than a round trip was needless: its time says nothing
            let plausible = !s.again || self.min_rtt.is_none_or(|m| now.since(s.at) >= m);
            if plausible && (s.at, s.to) > self.newest {
                self.newest = (s.at, s.to);
            }
            let span = now.since(s.delivered_at).max(now.since(s.at));
            let rate = (self.delivered - s.delivered) as f64 / span.secs_f64().max(1e-6);
            let limited = s.limited;
            let sample = Sample {
                now,
                newly: self.delivered - before,
                rate,
                limited,
                rtt,
                min_rtt: self.min_rtt,
                in_flight: self.pipe,
                next: self.delivered,
                sent_delivered: s.delivered,
                recovering: self.recovery.is_some(),
            };
            self.congestion.acknowledged(&sample);
        }
        let safe = !self.find_losses(now) && advance > 0;
        if self.recovery.is_some() && self.prr.from > 0 {
            self.reduce(self.delivered - before, safe);
        }
        if self.recovery.is_some_and(|r| self.una >= r) {
            self.recovery = None;
            self.congestion.recovered();
        }
        if self.delivered > before || advance > 0 {
            self.arm(now);
        }
        if self.una == self.next && self.flight.is_empty() {
            self.timer = None;
        }
    }

    /// How much may be in flight while losses are mended (RFC 9937): more than what arrived only where the acknowledgment
    /// advances and nothing more was lost (`safe`).
    fn reduce(&mut self, delivered: u64, safe: bool) {
        let mss = u64::from(self.tuning.mss);
        let target = self.congestion.window();
        self.prr.delivered += delivered;
        let p = &mut self.prr;
        let more = if self.pipe > target {
            (p.delivered * target).div_ceil(p.from).saturating_sub(p.sent)
        } else {
            let limit = p.delivered.saturating_sub(p.sent).max(delivered) + if safe { mss } else { 0 };
            limit.min(target - self.pipe)
        };
        // the first is sent again whatever is in flight
        p.window = self.pipe + if p.sent == 0 { more.max(mss) } else { more };
    }

    /// RACK (RFC 8985): lost is what was sent well before something that has arrived. Three segments that arrived from
    /// beyond a hole (RFC 6675) leave no time to wait. Whether more was found.
    pub(super) fn find_losses(&mut self, now: Timestamp) -> bool {
        let sacked: u64 = self.flight.iter().filter(|s| s.sacked).map(|s| s.to - s.from).sum();
        if sacked == 0 && self.newest.1 <= self.una {
            return false;
        }
        let many = sacked >= 3 * u64::from(self.tuning.mss);
        let wait = if many || self.recovery.is_some() {
            Span::ZERO
        } else {
            Span::from_ns(self.min_rtt.map_or(0, Span::ns) / 4)
        };
        let (newest_at, newest_to) = self.newest;
        let mut lost = 0;
        for s in self.flight.iter_mut().filter(|s| !s.sacked && !s.lost) {
            if (s.at + wait, s.to) < (newest_at, newest_to) {
                s.lost = true;
                lost += s.to - s.from;
            }
        }
        if lost > 0 {
            self.pipe -= lost;
            self.congestion.lost(lost);
            if self.recovery.is_none() {
                self.recovery = Some(self.next);
                self.congestion.congested(now, self.pipe + lost);
                self.prr = Prr { from: self.pipe + lost, ..Prr::default() };
                self.reduce(0, false);
            }
        }
        lost > 0
    }

    pub(super) fn arm(&mut self, now: Timestamp) {
        if self.flight.iter().all(|s| s.sacked) {
            self.timer = None;
            return;
        }
        let rto = now + self.rto();
        // a probe for the tail, where nothing is known to be lost
        let probe = self.srtt.filter(|_| {
            self.phase == Phase::Established && self.recovery.is_none() && !self.probed && self.backoff == 0
        });
        let probe = probe.map(|srtt| {
            let one = if self.flight.len() == 1 { 200_000_000 } else { 2_000_000 };
            now + Span::from_ns((2.0 * srtt) as i64 + one)
        });
        self.timer = Some(match probe {
            Some(at) if at < rto => (at, true),
            _ => (rto, false),
        });
    }

    pub(super) fn timed_out(&mut self, now: Timestamp, probe: bool) {
        if probe {
            self.probed = true;
            if let Some(last) = self.flight.back_mut().filter(|s| !s.sacked && !s.lost) {
                last.lost = true;
                self.pipe -= last.to - last.from;
            }
            self.timer = Some((now + self.rto(), false));
            return;
        }
        for s in self.flight.iter_mut().filter(|s| !s.sacked && !s.lost) {
            s.lost = true;
            self.pipe -= s.to - s.from;
        }
        if self.phase == Phase::Established {
            self.recovery = Some(self.next);
            self.prr = Prr::default(); // slow start takes over
            self.congestion.timed_out(self.pipe);
        }
        self.backoff += 1;
        if self.backoff > MAX_BACKOFF {
            self.over();
            return;
        }
        self.timer = Some((now + self.rto(), false));
    }
}

fn sack_blocks<'a>(h: &'a Header<'_>) -> impl Iterator<Item = (u32, u32)> + 'a {
    h.options()
        .filter_map(|o| match o {
            TcpOption::Sack(blocks) => Some(tcp::sack_blocks(blocks)),
            _ => None,
        })
        .flatten()
        .map(|(left, right)| (left.0, right.0))
}
