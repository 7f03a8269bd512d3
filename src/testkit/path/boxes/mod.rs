//! What a path is made of: links, queues, buckets, and boxes that forge, drop and rewrite.

mod bucket;
mod censor;
mod delayer;
mod forger;
mod injector;
mod link;
mod refuser;
mod watch;

use std::collections::BTreeMap;

use super::packet::Packet;
use super::scenario::Element;
use crate::base::{Direction, Span, Timestamp};
use crate::testkit::rng::Rng;

/// An element of a path.
pub trait Pass {
    /// Takes a packet that goes `direction`, and says what leaves, when, and which way.
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out);

    /// The rate in bit/s that it holds traffic to and the bytes that may exceed it, if it is a cap.
    fn cap(&self) -> Option<(f64, f64)> {
        None
    }
}

/// What leaves an element.
#[derive(Debug, Default)]
pub struct Out {
    /// Packets, each with its time and its way.
    pub packets: Vec<(Timestamp, Direction, Packet)>,
    /// What was done.
    pub deeds: Vec<Deed>,
    /// The number for the next forged packet.
    pub next_number: u64,
}

/// Something that a box did to a packet or with one.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    /// The client's port, which tells the connection.
    pub port: u16,
    /// The packet.
    pub number: u64,
    /// What.
    pub what: What,
}

/// What a box may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It sent a packet in the name of an end.
    Forged,
    /// It changed one.
    Rewrote,
    /// It dropped one because of the name, or of what else sets it off.
    Dropped,
    /// It let one wait.
    Delayed,
    /// It answered one with an ICMP error.
    Refused,
    /// Its token bucket was empty: dropped.
    Policed,
    /// Its token bucket was empty: delayed.
    Shaped,
    /// Its queue was full, or its manager chose: dropped.
    Overflowed,
    /// Lost without reason.
    Lost,
}

impl Out {
    /// Lets a packet go on after `delay`.
    pub fn forward(&mut self, at: Timestamp, direction: Direction, packet: Packet) {
        self.packets.push((at, direction, packet));
    }

    /// Takes note of what was done.
    pub fn did(&mut self, direction: Direction, packet: &Packet, what: What) {
        let port = packet.ends(direction).0.port;
        self.deeds.push(Deed { port, number: packet.number, what });
    }
}

/// The element that a scenario asks for, at its place in the path.
pub fn build(place: usize, element: &Element, rng: &mut Rng) -> Box<dyn Pass> {
    let mut own = rng.fork();
    match element {
        Element::Hops { count, delay_ms, jitter_ms } => Box::new(link::Hops::new(
            count.draw(&mut own).round() as u8,
            ms(delay_ms.draw(&mut own)),
            jitter_ms.draw(&mut own),
            own,
        )),
        Element::Tap { .. } => Box::new(link::Wire),
        Element::Loss { rate, run, way } => {
            Box::new(link::Loss::new(rate.draw(&mut own), run.draw(&mut own), *way, own))
        }
        Element::Reorder { rate, by_ms, way } => Box::new(link::Reorder {
            rate: rate.draw(&mut own),
            by: ms(by_ms.draw(&mut own)),
            way: *way,
            rng: own,
        }),
        Element::Duplicate { rate, after_ms } => Box::new(link::Duplicate {
            rate: rate.draw(&mut own),
            after: ms(after_ms.draw(&mut own)),
            rng: own,
        }),
        Element::Outage { at_s, for_s } => {
            let from = super::scenario::START + ms(at_s.draw(&mut own) * 1e3);
            Box::new(link::Outage { from, until: from + ms(for_s.draw(&mut own) * 1e3) })
        }
        Element::Bottleneck { rate_bps, queue, drops, cross, way } => Box::new(link::Bottleneck::new(
            rate_bps.draw(&mut own),
            queue.draw(&mut own),
            *drops,
            cross.draw(&mut own),
            *way,
            own,
        )),
        Element::Policer(b) => Box::new(bucket::Policer::new(b, &mut own)),
        Element::Shaper(b) => Box::new(bucket::Shaper::new(b, &mut own)),
        Element::Injector(i) => Box::new(injector::Injector::new(place, i, own)),
        Element::DnsForger(f) => Box::new(forger::Forger::new(place, f, own)),
        Element::Dropper { target, way, longer_than, data_only } => Box::new(censor::Dropper {
            watch: watch::Watch::new(target),
            way: *way,
            longer_than: *longer_than as usize,
            data_only: *data_only,
        }),
        Element::Delayer { target, way, delay_ms, data_only } => {
            Box::new(delayer::Delayer::new(watch::Watch::new(target), *way, *delay_ms, *data_only, own))
        }
        Element::Refuser { target, way, code, delay_ms, quotes, swallows } => Box::new(refuser::Refuser {
            place,
            watch: watch::Watch::new(target),
            on: target.on,
            way: *way,
            code: *code,
            delay_ms: *delay_ms,
            quotes: *quotes,
            swallows: *swallows,
            rng: own,
        }),
        Element::Rewriter { target } => {
            Box::new(censor::Rewriter { place, watch: watch::Watch::new(target) })
        }
        Element::Tamper { target, across } => {
            Box::new(censor::Tamper { place, watch: watch::Watch::new(target), across: *across })
        }
        Element::Nat { forgets_s, resets } => {
            Box::new(censor::Nat { forgets: ms(forgets_s * 1e3), resets: *resets, seen: BTreeMap::new() })
        }
    }
}

/// Milliseconds as a span.
pub(super) fn ms(ms: f64) -> Span {
    Span::from_ns((ms * 1e6).round() as i64)
}
