//! Token buckets: one that drops what exceeds it, one that delays it. Bytes are those of IP packets.

use std::collections::BTreeMap;

use super::watch::{Acts, Watch};
use super::{Out, Pass, What};
use crate::base::{Direction, Span, Timestamp};
use crate::testkit::path::packet::Packet;
use crate::testkit::path::scenario::{Bucket, Share, Way};
use crate::testkit::rng::Rng;

#[derive(Clone, Copy)]
struct Tokens {
    left: f64,
    at: Timestamp,
    /// When the last of what waits has gone.
    free: Timestamp,
}

struct Buckets {
    watch: Watch,
    way: Way,
    share: Share,
    rate: f64,
    depth: f64,
    queue: f64,
    of: BTreeMap<(u16, bool), Tokens>,
}

impl Buckets {
    fn new(b: &Bucket, rng: &mut Rng) -> Self {
        Self {
            watch: Watch::new(&b.target),
            way: b.way,
            share: b.share,
            rate: b.rate_bps.draw(rng) / 8.0,
            depth: b.burst.draw(rng),
            queue: b.queue.draw(rng),
            of: BTreeMap::new(),
        }
    }

    /// The bucket for a packet, filled up to now; `None` if it is not meant.
    fn tokens(&mut self, now: Timestamp, direction: Direction, packet: &Packet) -> Option<&mut Tokens> {
        let acts = self.watch.see(now, direction, packet);
        if acts == Acts::No || !self.way.has(direction) {
            return None;
        }
        let port = match self.share {
            Share::Connection => packet.ends(direction).0.port,
            Share::All => 0,
        };
        let (rate, depth) = (self.rate, self.depth);
        let t = self.of.entry((port, direction == Direction::ToClient)).or_insert(Tokens {
            left: depth,
            at: now,
            free: now,
        });
        t.left = (t.left + rate * now.since(t.at).secs_f64()).min(depth);
        t.at = now.max(t.at);
        Some(t)
    }
}

/// A bucket that drops.
pub(super) struct Policer(Buckets);

impl Policer {
    pub(super) fn new(b: &Bucket, rng: &mut Rng) -> Self {
        Self(Buckets::new(b, rng))
    }
}

impl Pass for Policer {
    fn cap(&self) -> Option<(f64, f64)> {
        Some((self.0.rate * 8.0, self.0.depth))
    }

    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        let size = packet.bytes.len() as f64;
        match self.0.tokens(now, direction, &packet) {
            Some(t) if t.left < size => out.did(direction, &packet, What::Policed),
            Some(t) => {
                t.left -= size;
                out.forward(now, direction, packet);
            }
            None => out.forward(now, direction, packet),
        }
    }
}

/// A bucket that delays.
pub(super) struct Shaper(Buckets);

impl Shaper {
    pub(super) fn new(b: &Bucket, rng: &mut Rng) -> Self {
        Self(Buckets::new(b, rng))
    }
}

impl Pass for Shaper {
    fn cap(&self) -> Option<(f64, f64)> {
        Some((self.0.rate * 8.0, self.0.depth))
    }

    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        let size = packet.bytes.len() as f64;
        let (rate, queue) = (self.0.rate, self.0.queue);
        let Some(t) = self.0.tokens(now, direction, &packet) else {
            out.forward(now, direction, packet);
            return;
        };
        let waits = t.free.since(now).secs_f64().max(0.0) * rate;
        if waits <= 0.0 && t.left >= size {
            t.left -= size;
            out.forward(now, direction, packet);
            return;
        }
        if waits + size > queue {
            out.did(direction, &packet, What::Overflowed);
            return;
        }
        let span = |bytes: f64| Span::from_ns((bytes / rate * 1e9) as i64);
        let at = if waits > 0.0 { t.free + span(size) } else { now + span(size - t.left) };
        // what is earned until then is spent on what waits
        t.left = 0.0;
        t.at = at;
        t.free = at;
        out.did(direction, &packet, What::Shaped);
        out.forward(at, direction, packet);
    }
}
