//! The one place of this room that looks at clocks, and what their disagreement tells: the machine slept, or somebody
//! set its clock.

#![allow(clippy::disallowed_methods)] // recording is timed; analysis is not

use std::time::{Duration, Instant};

use crate::base::{Span, Timestamp};

/// Less than this between two looks is no step: NTP slews by half a millisecond a second, and a look takes time.
const LEAST_STEP: Span = Span::from_secs(1);

/// All clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Wall-clock time.
    pub wall: Timestamp,
    /// Time since some moment, without sleep.
    pub awake: Span,
    /// Time since some moment, with sleep; only where the system has such a clock.
    pub with_sleep: Option<Span>,
}

impl Reading {
    /// Reads them.
    #[cfg(target_os = "linux")]
    pub fn now() -> Self {
        use rustix::time::{ClockId, clock_gettime};
        let read = |id| {
            let t = clock_gettime(id);
            t.tv_sec.saturating_mul(1_000_000_000).saturating_add(t.tv_nsec)
        };
        Self {
            wall: Timestamp::from_ns(read(ClockId::Realtime)),
            awake: Span::from_ns(read(ClockId::Monotonic)),
            with_sleep: Some(Span::from_ns(read(ClockId::Boottime))),
        }
    }

    /// Reads them.
    #[cfg(not(target_os = "linux"))]
    pub fn now() -> Self {
        use std::time::{SystemTime, UNIX_EPOCH};
        static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        let ns = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let awake = FIRST.get_or_init(Instant::now).elapsed();
        Self { wall: Timestamp::from_ns(ns(wall)), awake: Span::from_ns(ns(awake)), with_sleep: None }
    }
}

/// Now, for measuring how long something takes.
pub fn now() -> Instant {
    Instant::now()
}

/// Waits.
pub fn sleep(d: Duration) {
    std::thread::sleep(d);
}

/// Compares each reading of the clocks with the one before.
#[derive(Debug)]
pub struct Watch(Reading);

/// What two readings tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The machine slept for so long.
    Slept(Span),
    /// The wall clock was set, forward or back.
    Set(Span),
    /// The wall clock jumped, and this system does not tell which of the two it was.
    Jumped(Span),
}

impl Watch {
    /// A watch that begins with a reading.
    pub const fn new(first: Reading) -> Self {
        Self(first)
    }

    /// Takes the next reading; gives what happened since the last.
    pub fn see(&mut self, r: Reading) -> Vec<Step> {
        let before = std::mem::replace(&mut self.0, r);
        let minus = |a: Span, b: Span| Span::from_ns(a.ns().saturating_sub(b.ns()));
        let wall = r.wall.since(before.wall);
        let awake = minus(r.awake, before.awake);
        let mut steps = Vec::new();
        if let (Some(now), Some(then)) = (r.with_sleep, before.with_sleep) {
            let passed = minus(now, then);
            let (slept, set) = (minus(passed, awake), minus(wall, passed));
            steps.extend((slept >= LEAST_STEP).then_some(Step::Slept(slept)));
            steps.extend((set.abs() >= LEAST_STEP).then_some(Step::Set(set)));
        } else {
            let jump = minus(wall, awake);
            steps.extend((jump.abs() >= LEAST_STEP).then_some(Step::Jumped(jump)));
        }
        steps
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let way = |s: Span| if s.ns() < 0 { "back" } else { "forward" };
        match *self {
            Self::Slept(s) => write!(f, "the machine slept for {s}: nothing was recorded meanwhile"),
            Self::Set(s) => write!(
                f,
                "the clock was set {} by {}: times before and after do not compare",
                way(s),
                s.abs()
            ),
            Self::Jumped(s) => write!(
                f,
                "the clock jumped {} by {}: the machine slept, or its clock was set",
                way(s),
                s.abs()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, awake: i64, with_sleep: Option<i64>) -> Reading {
        let wall = Timestamp::from_ns(wall * 1_000_000_000);
        Reading { wall, awake: Span::from_secs(awake), with_sleep: with_sleep.map(Span::from_secs) }
    }

    #[test]
    fn sleep_and_a_set_clock_are_told_apart() {
        let mut w = Watch::new(at(1000, 10, Some(20)));
        assert_eq!(w.see(at(1005, 15, Some(25))), []);
        assert_eq!(w.see(at(1106, 16, Some(126))), [Step::Slept(Span::from_secs(100))]);
        assert_eq!(w.see(at(1007, 17, Some(127))), [Step::Set(Span::from_secs(-100))]);
        let both = [Step::Slept(Span::from_secs(30)), Step::Set(Span::from_secs(3600))];
        assert_eq!(w.see(at(4638, 18, Some(158))), both);
        let mut w = Watch::new(at(1000, 10, None));
        assert_eq!(w.see(at(1400, 11, None)), [Step::Jumped(Span::from_secs(399))]);
    }

    #[test]
    fn two_readings_in_a_row_tell_nothing() {
        let mut w = Watch::new(Reading::now());
        assert_eq!(w.see(Reading::now()), []);
    }
}
