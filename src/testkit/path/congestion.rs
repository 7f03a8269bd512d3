//! How fast a sender sends: Reno (RFC 5681), CUBIC (RFC 9438) with `HyStart`'s delay rule, BBR version 1, and a fixed rate.
//!
//! BBR follows the published description (Cardwell et al., ACM Queue 2016) and Linux's long-term rate: where a fifth of
//! the packets is lost in intervals of four rounds or more, twice at about the same rate, it takes that for a policer's.

use serde::Deserialize;

use crate::base::{Span, Timestamp};

/// A congestion control.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Additive increase, halving.
    Reno,
    /// Linux's default.
    Cubic,
    /// Version 1.
    Bbr,
    /// No control: so many bits a second, as a video server paces.
    Paced(f64),
}

/// What an acknowledgment says.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The time.
    pub now: Timestamp,
    /// Bytes that it reports as arrived.
    pub newly: u64,
    /// Delivery rate, bytes a second.
    pub rate: f64,
    /// Whether the program had nothing more to send then.
    pub limited: bool,
    /// The round trip of a segment sent once.
    pub rtt: Option<Span>,
    /// The shortest so far.
    pub min_rtt: Option<Span>,
    /// Bytes in flight after it.
    pub in_flight: u64,
    /// Bytes delivered so far.
    pub next: u64,
    /// Bytes delivered when the acknowledged segment was sent.
    pub sent_delivered: u64,
    /// Whether losses are being mended.
    pub recovering: bool,
}

/// The state of one sender.
#[derive(Clone, Debug)]
pub struct Congestion {
    control: Control,
    mss: f64,
    window: f64,
    threshold: f64,
    // CUBIC
    w_max: f64,
    epoch: Option<(Timestamp, f64)>,
    reno_window: f64,
    // rounds, for HyStart and BBR
    round_ends: u64,
    rounds: u64,
    round_rtt: Option<Span>,
    last_round_rtt: Option<Span>,
    bbr: Bbr,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Startup,
    Drain,
    Cruise(usize),
    Probe,
}

#[derive(Clone, Debug)]
struct Bbr {
    mode: Mode,
    rates: [(u64, f64); 10],
    full: f64,
    flat: u32,
    cycle_at: Timestamp,
    probed_at: Timestamp,
    probe_until: Timestamp,
    interval: Option<Interval>,
    last_rate: Option<f64>,
    long_term: Option<(f64, u64)>,
    lost: u64,
    min_rtt: Span,
}

#[derive(Clone, Copy, Debug)]
struct Interval {
    at: Timestamp,
    round: u64,
    delivered: u64,
    lost: u64,
}

const INITIAL_WINDOW: f64 = 10.0;
const BETA: f64 = 0.7;
const C: f64 = 0.4;
const GAINS: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
const STARTUP_GAIN: f64 = 2.885;

impl Congestion {
    /// A sender that has sent nothing yet.
    pub fn new(control: Control, mss: u32) -> Self {
        let zero = Timestamp::from_ns(0);
        Self {
            control,
            mss: f64::from(mss),
            window: INITIAL_WINDOW * f64::from(mss),
            threshold: f64::INFINITY,
            w_max: 0.0,
            epoch: None,
            reno_window: 0.0,
            round_ends: 0,
            rounds: 0,
            round_rtt: None,
            last_round_rtt: None,
            bbr: Bbr {
                mode: Mode::Startup,
                rates: [(0, 0.0); 10],
                full: 0.0,
                flat: 0,
                cycle_at: zero,
                probed_at: zero,
                probe_until: zero,
                interval: None,
                last_rate: None,
                long_term: None,
                lost: 0,
                min_rtt: Span::from_secs(3600),
            },
        }
    }

    /// Bytes that may be in flight.
    pub fn window(&self) -> u64 {
        match self.control {
            Control::Paced(_) => 4 << 20,
            _ => self.window.max(2.0 * self.mss) as u64,
        }
    }

    /// Bytes a second that it sends at most, where it paces.
    pub fn pacing(&self) -> Option<f64> {
        match self.control {
            Control::Paced(bps) => Some(bps / 8.0),
            Control::Bbr if self.bbr.bandwidth() > 0.0 => Some(match (self.bbr.long_term, self.bbr.mode) {
                (Some((rate, _)), _) => rate,
                (_, Mode::Startup) => {
                    // what the first window gives, until more is known (as Linux begins)
                    let first = INITIAL_WINDOW * self.mss / self.bbr.min_rtt.secs_f64().max(1e-3);
                    STARTUP_GAIN * self.bbr.bandwidth().max(first)
                }
                (_, Mode::Drain) => self.bbr.bandwidth() / STARTUP_GAIN,
                (_, Mode::Cruise(i)) => GAINS[i] * self.bbr.bandwidth(),
                (_, Mode::Probe) => self.bbr.bandwidth(),
            }),
            _ => None,
        }
    }

    /// Something arrived.
    pub fn acknowledged(&mut self, s: &Sample) {
        let new_round = s.sent_delivered >= self.round_ends;
        if new_round {
            self.round_ends = s.next;
            self.rounds += 1;
            self.last_round_rtt = self.round_rtt.take().or(self.last_round_rtt);
        }
        self.round_rtt = match (self.round_rtt, s.rtt) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        match self.control {
            Control::Paced(_) => {}
            Control::Bbr => self.bbr_acknowledged(s, new_round),
            Control::Reno | Control::Cubic if s.recovering => {}
            Control::Reno | Control::Cubic if self.window < self.threshold => self.slow_start(s),
            Control::Reno => self.window += self.mss * s.newly as f64 / self.window,
            Control::Cubic => self.cubic(s),
        }
    }

    fn slow_start(&mut self, s: &Sample) {
        self.window += s.newly as f64;
        if self.control == Control::Cubic
            && self.window >= 16.0 * self.mss
            && let (Some(now), Some(before)) = (self.round_rtt, self.last_round_rtt)
        {
            let eta = (before.ns() / 8).clamp(4_000_000, 16_000_000);
            if now.ns() >= before.ns() + eta {
                self.threshold = self.window;
            }
        }
    }

    fn cubic(&mut self, s: &Sample) {
        let (begun, origin) = *self.epoch.get_or_insert((s.now, self.window));
        if self.reno_window == 0.0 {
            self.reno_window = origin;
        }
        let w_max = self.w_max.max(origin) / self.mss;
        let k = ((w_max - origin / self.mss).max(0.0) / C).cbrt();
        let t = s.now.since(begun).secs_f64() + s.min_rtt.map_or(0.0, Span::secs_f64);
        let target = (C * (t - k).powi(3) + w_max) * self.mss;
        self.reno_window += 3.0 * (1.0 - BETA) / (1.0 + BETA) * self.mss * s.newly as f64 / self.window;
        let target = target.clamp(self.window, 1.5 * self.window);
        self.window += (target - self.window) * s.newly as f64 / self.window;
        self.window = self.window.max(self.reno_window);
    }

    /// Losses were found, and none was being mended.
    pub fn congested(&mut self, _: Timestamp, in_flight: u64) {
        match self.control {
            Control::Reno => {
                self.threshold = (in_flight as f64 / 2.0).max(2.0 * self.mss);
                self.window = self.threshold;
            }
            Control::Cubic => {
                let shrinks = self.window < self.w_max;
                self.w_max = if shrinks { self.window * (1.0 + BETA) / 2.0 } else { self.window };
                self.window = (self.window * BETA).max(2.0 * self.mss);
                self.threshold = self.window;
                self.epoch = None;
                self.reno_window = 0.0;
            }
            Control::Bbr | Control::Paced(_) => {}
        }
    }

    /// Bytes were found to be lost.
    pub fn lost(&mut self, bytes: u64) {
        self.bbr.lost += bytes;
    }

    /// The time-out ran.
    pub fn timed_out(&mut self, _: u64) {
        if matches!(self.control, Control::Reno | Control::Cubic) {
            self.w_max = self.window;
            self.threshold = (self.window * BETA).max(2.0 * self.mss);
            self.window = self.mss;
            self.epoch = None;
            self.reno_window = 0.0;
        }
    }

    /// All losses are mended.
    pub fn recovered(&mut self) {
        self.epoch = None;
    }

    fn bbr_acknowledged(&mut self, s: &Sample, new_round: bool) {
        let b = &mut self.bbr;
        if let Some(rtt) = s.rtt
            && rtt <= b.min_rtt
        {
            b.min_rtt = rtt;
            b.probed_at = s.now;
        }
        let slot = (self.rounds % 10) as usize;
        if b.rates[slot].0 != self.rounds {
            b.rates[slot] = (self.rounds, 0.0);
        }
        if !s.limited || s.rate > b.bandwidth() {
            b.rates[slot].1 = b.rates[slot].1.max(s.rate);
        }
        b.long_term_rate(s, self.rounds);
        if new_round && b.mode == Mode::Startup && !s.limited {
            if b.bandwidth() >= b.full * 1.25 {
                b.full = b.bandwidth();
                b.flat = 0;
            } else {
                b.flat += 1;
                if b.flat >= 3 {
                    b.mode = Mode::Drain;
                }
            }
        }
        let bdp = b.bandwidth() * b.min_rtt.secs_f64().min(10.0);
        if b.mode == Mode::Drain && s.in_flight as f64 <= bdp {
            b.mode = Mode::Cruise(2);
            b.cycle_at = s.now;
        }
        if let Mode::Cruise(i) = b.mode {
            if s.now.since(b.cycle_at) > b.min_rtt {
                b.mode = Mode::Cruise((i + 1) % GAINS.len());
                b.cycle_at = s.now;
            }
            if s.now.since(b.probed_at) > Span::from_secs(10) {
                b.mode = Mode::Probe;
                b.probe_until = s.now + Span::from_ms(200);
            }
        }
        if b.mode == Mode::Probe && s.now >= b.probe_until {
            b.probed_at = s.now;
            b.mode = Mode::Cruise(2);
            b.cycle_at = s.now;
        }
        let target = match (b.mode, b.long_term) {
            (Mode::Probe, _) => 4.0 * self.mss,
            (_, Some((rate, _))) => (2.0 * rate * b.min_rtt.secs_f64()).max(4.0 * self.mss),
            (Mode::Startup | Mode::Drain, _) => (STARTUP_GAIN * bdp).max(INITIAL_WINDOW * self.mss),
            _ => (2.0 * bdp).max(4.0 * self.mss),
        };
        self.window = if target > self.window { target.min(self.window + s.newly as f64) } else { target };
    }
}

impl Bbr {
    fn bandwidth(&self) -> f64 {
        self.rates.iter().map(|(_, r)| *r).fold(0.0, f64::max)
    }

    /// Linux's test for a policer.
    fn long_term_rate(&mut self, s: &Sample, round: u64) {
        if let Some((_, since)) = self.long_term {
            if round - since >= 48 {
                self.long_term = None;
                self.last_rate = None;
                self.interval = None;
                self.mode = Mode::Cruise(2);
                self.cycle_at = s.now;
            }
            return;
        }
        let here = Interval { at: s.now, round, delivered: s.next, lost: self.lost };
        let Some(begun) = self.interval else {
            if s.recovering {
                self.interval = Some(here);
            }
            return;
        };
        let rounds = round - begun.round;
        if s.limited || rounds > 16 {
            self.interval = None;
            return;
        }
        let (lost, delivered) = (self.lost - begun.lost, s.next - begun.delivered);
        if rounds < 4 || (lost * 256) < delivered * 50 || delivered == 0 {
            return;
        }
        let rate = delivered as f64 / s.now.since(begun.at).secs_f64().max(1e-3);
        match self.last_rate {
            Some(last) if (rate - last).abs() <= (last / 8.0).max(500.0) => {
                self.long_term = Some((f64::midpoint(rate, last), round));
            }
            _ => self.last_rate = Some(rate),
        }
        self.interval = Some(here);
    }
}
