//! Transfers through policers and shapers: runs of the simulated path, laid over one another.

use std::net::Ipv4Addr;

use super::Talk;
use crate::base::{Direction, Span, Timestamp};
use crate::testkit::conversation::Recorded;
use crate::testkit::packet::{ethernet, seal};
use crate::testkit::path::scenario::{START, Scenario, read};
use crate::testkit::path::{line::Seen, world::play};

/// From the beginning of one run to that of the next.
const GAP: Span = Span::from_ms(700);

/// A run that is played when its time has come.
struct Played {
    scenario: Scenario,
    number: u32,
    done: bool,
}

impl Talk for Played {
    fn next(&self) -> Option<Timestamp> {
        (!self.done).then(|| START + Span::from_ns(GAP.ns() * i64::from(self.number)))
    }

    fn step(&mut self) -> Vec<Recorded> {
        let later = self.next().map_or(Span::default(), |at| at.since(START));
        self.done = true;
        let mut run = play(&self.scenario, self.number.into());
        let place = if self.number.is_multiple_of(3) { "client" } else { "server" };
        let seen = run.taps.remove(place).unwrap_or_default();
        seen.into_iter().map(|s| self.recorded(s, later)).collect()
    }
}

impl Played {
    /// The packet with an address of the client that no other run has.
    fn recorded(&self, seen: Seen, later: Span) -> Recorded {
        let mut ip = seen.packet.bytes;
        let client = Ipv4Addr::from_bits(0x0a00_0001 + self.number).octets();
        let field = if seen.direction == Direction::ToServer { 12..16 } else { 16..20 };
        ip[field].copy_from_slice(&client);
        seal(&mut ip);
        Recorded {
            at: seen.at + later,
            bytes: ethernet(&ip),
            genuine: true,
            reset: false,
            direction: seen.direction,
        }
    }
}

/// So many runs, in the order in which they begin.
///
/// # Panics
/// Panics if the project's own scenarios cannot be read.
pub(super) fn talks(runs: u64) -> impl Iterator<Item = Box<dyn Talk>> {
    let policed = include_str!("../../../fixtures/scenarios/cap-policed.toml");
    let shaped = include_str!("../../../fixtures/scenarios/cap-shaped.toml");
    let mut all = Vec::new();
    for (name, text) in [("cap-policed", policed), ("cap-shaped", shaped)] {
        let scenarios = read(name, text).expect("the project's own scenario");
        all.extend(scenarios.into_iter().map(|(_, s)| s));
    }
    (0..u32::try_from(runs).unwrap_or(u32::MAX)).map(move |number| {
        let which = number as usize * 7 % all.len(); // in an order in which policers and shapers mix
        Box::new(Played { scenario: all[which].clone(), number, done: false }) as Box<dyn Talk>
    })
}
