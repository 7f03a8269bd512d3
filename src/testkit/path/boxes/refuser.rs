//! A box that answers with an ICMP error in a router's name, as a device may that is set to refuse by name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::watch::{Acts, Watch};
use super::{Out, Pass, What};
use crate::base::{Direction, Timestamp};
use crate::testkit::packet::icmp_error;
use crate::testkit::path::packet::{Origin, Packet};
use crate::testkit::path::scenario::{Draw, On, Way};
use crate::testkit::rng::Rng;

/// The box.
pub(super) struct Refuser {
    pub(super) place: usize,
    pub(super) watch: Watch,
    pub(super) on: On,
    pub(super) way: Way,
    pub(super) code: u8,
    pub(super) delay_ms: Draw,
    pub(super) quotes: usize,
    pub(super) swallows: bool,
    pub(super) rng: Rng,
}

impl Pass for Refuser {
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        let acts = self.watch.see(now, direction, &packet) != Acts::No;
        let meant = self.way.has(direction)
            && packet.is_tcp()
            && (self.on == On::Syn || !packet.payload().is_empty());
        if !acts || !meant {
            out.forward(now, direction, packet);
            return;
        }
        let quote = &packet.bytes[..packet.bytes.len().min(packet.ip_header() + self.quotes)];
        let (from, kind): (IpAddr, u8) = match packet.source().addr {
            IpAddr::V4(_) => (Ipv4Addr::new(198, 51, 100, 254).into(), 3),
            IpAddr::V6(_) => (Ipv6Addr::new(0x2001, 0xdb8, 0xfe, 0, 0, 0, 0, 1).into(), 1),
        };
        let bytes = icmp_error(from, packet.source().addr, kind, self.code, quote);
        let error = Packet { bytes, number: out.next_number, origin: Origin::Forged(self.place) };
        out.next_number += 1;
        out.did(direction, &packet, What::Refused);
        let at = now + super::ms(self.delay_ms.draw(&mut self.rng));
        out.forward(at, direction.reversed(), error);
        if !self.swallows {
            out.forward(now, direction, packet);
        }
    }
}
