//! Links: delay, loss, order, and the queue of a slow one.

use super::{Out, Pass, What};
use crate::base::{Direction, Span, Timestamp};
use crate::testkit::path::packet::Packet;
use crate::testkit::path::scenario::{Queue, Way};
use crate::testkit::rng::Rng;

/// Nothing at all: a place to capture at.
pub(super) struct Wire;

impl Pass for Wire {
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        out.forward(now, direction, packet);
    }
}

/// Routers.
pub(super) struct Hops {
    count: u8,
    delay: Span,
    jitter_ms: f64,
    rng: Rng,
    last: [Timestamp; 2],
}

impl Hops {
    pub(super) fn new(count: u8, delay: Span, jitter_ms: f64, rng: Rng) -> Self {
        Self { count, delay, jitter_ms, rng, last: [Timestamp::from_ns(0); 2] }
    }
}

impl Pass for Hops {
    fn pass(&mut self, now: Timestamp, direction: Direction, mut packet: Packet, out: &mut Out) {
        let Some(ttl) = packet.ttl().checked_sub(self.count).filter(|t| *t > 0) else {
            out.did(direction, &packet, What::Lost);
            return;
        };
        packet.set_ttl(ttl);
        let mut at = now + self.delay;
        if self.jitter_ms > 0.0 {
            at = at + super::ms(self.rng.exponential(self.jitter_ms));
        }
        let last = &mut self.last[usize::from(direction == Direction::ToClient)];
        *last = at.max(*last);
        out.forward(*last, direction, packet);
    }
}

/// Loss, in runs of a mean length (Gilbert).
pub(super) struct Loss {
    enter: f64,
    leave: f64,
    losing: [bool; 2],
    way: Way,
    rng: Rng,
}

impl Loss {
    pub(super) fn new(rate: f64, run: f64, way: Way, rng: Rng) -> Self {
        let leave = 1.0 / run.max(1.0);
        Self { enter: rate * leave / (1.0 - rate).max(1e-9), leave, losing: [false; 2], way, rng }
    }
}

impl Pass for Loss {
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        let losing = &mut self.losing[usize::from(direction == Direction::ToClient)];
        *losing = if *losing { !self.rng.chance(self.leave) } else { self.rng.chance(self.enter) };
        if *losing && self.way.has(direction) {
            out.did(direction, &packet, What::Lost);
        } else {
            out.forward(now, direction, packet);
        }
    }
}

/// Some packets take longer.
pub(super) struct Reorder {
    pub(super) rate: f64,
    pub(super) by: Span,
    pub(super) way: Way,
    pub(super) rng: Rng,
}

impl Pass for Reorder {
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        let late = self.way.has(direction) && self.rng.chance(self.rate);
        out.forward(if late { now + self.by } else { now }, direction, packet);
    }
}

/// Some packets come twice.
pub(super) struct Duplicate {
    pub(super) rate: f64,
    pub(super) after: Span,
    pub(super) rng: Rng,
}

impl Pass for Duplicate {
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        if self.rng.chance(self.rate) {
            out.forward(now + self.after, direction, packet.clone());
        }
        out.forward(now, direction, packet);
    }
}

/// A link that is down for a while.
pub(super) struct Outage {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Pass for Outage {
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        if (self.from..self.until).contains(&now) {
            out.did(direction, &packet, What::Lost);
        } else {
            out.forward(now, direction, packet);
        }
    }
}

/// A slow link with one queue, in the ways that it is for; the other way is free.
pub(super) struct Bottleneck {
    rate: f64,
    queue: f64,
    drops: Queue,
    way: Way,
    rng: Rng,
    cross: Option<Cross>,
    lanes: [Lane; 2],
}

/// What else uses the link: bursts of twenty packets on average, at random times.
struct Cross {
    every: f64,
    next: [Timestamp; 2],
}

#[derive(Clone, Copy, Default)]
struct Lane {
    free: Timestamp,
    above_since: Option<Timestamp>,
    next_drop: Timestamp,
    count: u32,
    dropping: bool,
}

const CROSS_PACKETS: f64 = 20.0;
const CODEL_TARGET: Span = Span::from_ms(5);
const CODEL_INTERVAL: Span = Span::from_ms(100);

impl Bottleneck {
    pub(super) fn new(rate_bps: f64, queue: f64, drops: Queue, cross: f64, way: Way, rng: Rng) -> Self {
        let rate = rate_bps / 8.0;
        let cross = (cross > 0.0).then(|| Cross {
            every: CROSS_PACKETS * 1500.0 / (rate * cross),
            next: [crate::testkit::path::scenario::START; 2],
        });
        Self { rate, queue, drops, way, rng, cross, lanes: [Lane::default(); 2] }
    }

    fn seconds(&self, bytes: f64) -> Span {
        Span::from_ns((bytes / self.rate * 1e9) as i64)
    }

    fn backlog(&self, lane: usize, now: Timestamp) -> f64 {
        self.lanes[lane].free.since(now).secs_f64().max(0.0) * self.rate
    }

    fn cross_until(&mut self, lane: usize, now: Timestamp) {
        let Some(mut cross) = self.cross.take() else { return };
        while cross.next[lane] <= now {
            let at = cross.next[lane];
            let packets = self.rng.exponential(CROSS_PACKETS).ceil();
            let room = (self.queue - self.backlog(lane, at)).max(0.0);
            let bytes = (packets * 1500.0).min(room);
            self.lanes[lane].free = self.lanes[lane].free.max(at) + self.seconds(bytes);
            cross.next[lane] = at + super::ms(self.rng.exponential(cross.every) * 1e3);
        }
        self.cross = Some(cross);
    }

    fn manager_drops(&mut self, lane: usize, now: Timestamp, backlog: f64) -> bool {
        match self.drops {
            Queue::DropTail => false,
            Queue::Red => {
                let fill = (backlog / self.queue - 0.25) / 0.75;
                fill > 0.0 && self.rng.chance(0.1 * fill)
            }
            Queue::Codel => self.lanes[lane].codel(now, self.seconds(backlog)),
        }
    }
}

impl Lane {
    fn codel(&mut self, now: Timestamp, sojourn: Span) -> bool {
        if sojourn < CODEL_TARGET {
            self.above_since = None;
            self.dropping = false;
            return false;
        }
        let since = *self.above_since.get_or_insert(now);
        if !self.dropping {
            if now.since(since) < CODEL_INTERVAL {
                return false;
            }
            self.dropping = true;
            self.count = if now.since(self.next_drop) < CODEL_INTERVAL {
                self.count.saturating_sub(2).max(1)
            } else {
                1
            };
            self.next_drop = now + self.pause();
            return true;
        }
        if now >= self.next_drop {
            self.count += 1;
            self.next_drop = self.next_drop + self.pause();
            return true;
        }
        false
    }

    fn pause(&self) -> Span {
        Span::from_ns((CODEL_INTERVAL.ns() as f64 / f64::from(self.count.max(1)).sqrt()) as i64)
    }
}

impl Pass for Bottleneck {
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        if !self.way.has(direction) {
            out.forward(now, direction, packet);
            return;
        }
        let lane = usize::from(direction == Direction::ToClient);
        self.cross_until(lane, now);
        let backlog = self.backlog(lane, now);
        let size = packet.bytes.len() as f64;
        if backlog + size > self.queue || self.manager_drops(lane, now, backlog) {
            out.did(direction, &packet, What::Overflowed);
            return;
        }
        let takes = self.seconds(size);
        self.lanes[lane].free = self.lanes[lane].free.max(now) + takes;
        out.forward(self.lanes[lane].free, direction, packet);
    }
}
