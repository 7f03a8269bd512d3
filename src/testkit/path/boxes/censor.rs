//! Boxes in the path that drop, rewrite and tamper; and a translator that forgets.

use std::collections::BTreeMap;

use super::watch::{Acts, Watch};
use super::{Out, Pass, What};
use crate::base::{Direction, Endpoint, Span, Timestamp};
use crate::testkit::packet::{Segment, seal};
use crate::testkit::path::packet::{Origin, Packet};
use crate::testkit::path::scenario::Way;
use crate::wire::tcp::Flags;

/// A box that drops.
pub(super) struct Dropper {
    pub(super) watch: Watch,
    pub(super) way: Way,
    pub(super) longer_than: usize,
    pub(super) data_only: bool,
}

impl Pass for Dropper {
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        let acts = self.watch.see(now, direction, &packet) != Acts::No;
        let meant = self.way.has(direction)
            && packet.bytes.len() > self.longer_than
            && !(self.data_only && packet.is_tcp() && packet.payload().is_empty());
        if acts && meant {
            out.did(direction, &packet, What::Dropped);
        } else {
            out.forward(now, direction, packet);
        }
    }
}

/// A box that makes a reset of the server's answer.
pub(super) struct Rewriter {
    pub(super) place: usize,
    pub(super) watch: Watch,
}

impl Pass for Rewriter {
    fn pass(&mut self, now: Timestamp, direction: Direction, mut packet: Packet, out: &mut Out) {
        let acts = self.watch.see(now, direction, &packet) != Acts::No;
        let answer = direction == Direction::ToClient && !packet.payload().is_empty();
        if acts && answer {
            packet.turn_to_reset(self.place);
            out.did(direction, &packet, What::Rewrote);
        }
        out.forward(now, direction, packet);
    }
}

/// A box that spoils payloads.
pub(super) struct Tamper {
    pub(super) place: usize,
    pub(super) watch: Watch,
    pub(super) across: bool,
}

impl Pass for Tamper {
    fn pass(&mut self, now: Timestamp, direction: Direction, mut packet: Packet, out: &mut Out) {
        let acts = self.watch.see(now, direction, &packet) != Acts::No;
        let (at, len) = if packet.is_tcp() { (packet.payload_at(), packet.bytes.len()) } else { (0, 0) };
        if acts && direction == Direction::ToClient && len >= at + 8 {
            let (a, b) = if self.across { (len - 2, len - 1) } else { (at + 1, len - 1) };
            packet.bytes.swap(at, a);
            packet.bytes.swap(if self.across { at + 1 } else { len - 2 }, b);
            seal(&mut packet.bytes);
            packet.origin = Origin::Rewritten(self.place);
            out.did(direction, &packet, What::Rewrote);
        }
        out.forward(now, direction, packet);
    }
}

/// A translator that forgets connections which are silent.
pub(super) struct Nat {
    pub(super) forgets: Span,
    pub(super) resets: bool,
    pub(super) seen: BTreeMap<(Endpoint, Endpoint), Timestamp>,
}

impl Pass for Nat {
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        let ends = packet.ends(direction);
        let opens = packet.flags().has(Flags::SYN) || !packet.is_tcp() && direction == Direction::ToServer;
        let knows = self.seen.get(&ends).is_some_and(|last| now.since(*last) <= self.forgets);
        if knows || opens {
            self.seen.insert(ends, now);
            out.forward(now, direction, packet);
            return;
        }
        out.did(direction, &packet, What::Lost);
        if self.resets && packet.is_tcp() && !packet.flags().has(Flags::RST) {
            // the translator's own answer, in the name of the end that it cannot reach: an honest one in its place
            let segment =
                Segment { seq: packet.ack(), flags: Flags::RST, ttl: 64, df: true, ..Segment::default() };
            let bytes = segment.ip(packet.destination(), packet.source());
            let reset = Packet { bytes, number: out.next_number, origin: Origin::End };
            out.next_number += 1;
            out.forward(now, direction.reversed(), reset);
        }
    }
}
