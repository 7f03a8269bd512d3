//! A box that answers DNS queries in the resolver's name.

use super::watch::{Acts, Watch};
use super::{Out, Pass, What};
use crate::base::{Direction, Timestamp};
use crate::testkit::dns;
use crate::testkit::packet::udp;
use crate::testkit::path::packet::{Origin, Packet};
use crate::testkit::path::scenario::{DnsForger, ForgedTtl};
use crate::testkit::rng::Rng;
use crate::wire::dns::message;

pub(super) struct Forger {
    place: usize,
    watch: Watch,
    spec: DnsForger,
    rng: Rng,
}

impl Forger {
    pub(super) fn new(place: usize, spec: &DnsForger, rng: Rng) -> Self {
        Self { place, watch: Watch::new(&spec.target), spec: spec.clone(), rng }
    }

    fn answer(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        let asked = message(query).filter(|m| !m.flags.is_response())?;
        let question = asked.question?;
        let name = if self.spec.keeps_case { question.name } else { question.name.to_ascii_lowercase() };
        let n = self.rng.range(0, self.spec.answers.len().max(1) as u64) as usize;
        let Some(pool) = self.spec.answers.get(n) else {
            return Some(dns::answer(asked.id, &name, question.kind, 0x8183, &[]));
        };
        Some(dns::answer(asked.id, &name, question.kind, 0x8180, &[dns::address(*pool, 300)]))
    }
}

impl Pass for Forger {
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        let acts = self.watch.see(now, direction, &packet);
        let query = direction == Direction::ToServer && acts != Acts::No;
        if query && let Some(payload) = self.answer(packet.payload()) {
            let ttl = match self.spec.ttl {
                ForgedTtl::Copied => packet.ttl(),
                ForgedTtl::Fixed(n) => n,
                ForgedTtl::Between(low, high) => self.rng.byte(low, high),
            };
            let mut forged = Packet {
                bytes: udp(packet.destination(), packet.source(), ttl, self.rng.word(), &payload),
                number: out.next_number,
                origin: Origin::Forged(self.place),
            };
            forged.set_id(self.rng.word(), false);
            out.next_number += 1;
            let at = now + super::ms(self.spec.delay_ms.draw(&mut self.rng));
            out.did(Direction::ToClient, &forged, What::Forged);
            out.forward(at, Direction::ToClient, forged);
        }
        if query && self.spec.swallows {
            out.did(direction, &packet, What::Dropped);
        } else {
            out.forward(now, direction, packet);
        }
    }
}
