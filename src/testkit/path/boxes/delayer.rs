//! A box that lets packets wait: nothing is lost, and everything takes longer.

use std::collections::BTreeMap;

use super::watch::{Acts, Watch};
use super::{Out, Pass, What};
use crate::base::{Direction, Timestamp};
use crate::testkit::path::packet::Packet;
use crate::testkit::path::scenario::{Draw, Way};
use crate::testkit::rng::Rng;

/// The box.
pub(super) struct Delayer {
    watch: Watch,
    way: Way,
    delay_ms: Draw,
    data_only: bool,
    rng: Rng,
    /// When the last packet of each connection and direction left: order is kept.
    last: BTreeMap<(u16, bool), Timestamp>,
}

impl Delayer {
    pub(super) const fn new(watch: Watch, way: Way, delay_ms: Draw, data_only: bool, rng: Rng) -> Self {
        Self { watch, way, delay_ms, data_only, rng, last: BTreeMap::new() }
    }
}

impl Pass for Delayer {
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        let acts = self.watch.see(now, direction, &packet) != Acts::No;
        let meant =
            self.way.has(direction) && !(self.data_only && packet.is_tcp() && packet.payload().is_empty());
        let last =
            self.last.entry((packet.ends(direction).0.port, direction == Direction::ToClient)).or_insert(now);
        let mut at = now;
        if acts && meant {
            out.did(direction, &packet, What::Delayed);
            at = now + super::ms(self.delay_ms.draw(&mut self.rng));
        }
        at = at.max(*last);
        *last = at;
        out.forward(at, direction, packet);
    }
}
