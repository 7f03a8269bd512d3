//! A box that sends packets in the name of the ends.

use super::watch::{Acts, Flow, Watch};
use super::{Out, Pass, What};
use crate::base::{Direction, Span, Timestamp};
use crate::testkit::keyed;
use crate::testkit::packet::Segment;
use crate::testkit::path::packet::{Origin, Packet};
use crate::testkit::path::scenario::{self, ForgedId, ForgedTtl, ForgedWindow};
use crate::testkit::rng::Rng;
use crate::wire::tcp::Flags;

pub(super) struct Injector {
    place: usize,
    watch: Watch,
    spec: scenario::Injector,
    flags: Flags,
    payload: Vec<u8>,
    rng: Rng,
    counter: u16,
}

impl Injector {
    pub(super) fn new(place: usize, spec: &scenario::Injector, mut rng: Rng) -> Self {
        let payload =
            if spec.page.is_empty() { bytes(&spec.payload) } else { spec.page.clone().into_bytes() };
        let counter = keyed::COUNTER_FIRST + rng.word() % 4_000;
        Self {
            place,
            watch: Watch::new(&spec.target),
            spec: spec.clone(),
            flags: flags(&spec.flags),
            payload,
            rng,
            counter,
        }
    }

    fn forge(&mut self, now: Timestamp, direction: Direction, packet: &Packet, to: Direction, out: &mut Out) {
        let flow = self.watch.flow(direction, packet).clone();
        let (client, server) = packet.ends(direction);
        let (src, dst, side) = match to {
            Direction::ToClient => (server, client, 1),
            Direction::ToServer => (client, server, 0),
        };
        let (seq, ack) = numbers(&flow, packet, direction, to);
        let (ttl, sender_id, sender_window) = flow.last[side];
        let made = keyed::generate(client.addr, server.addr, keyed::KEY, self.counter);
        self.counter = keyed::next(self.counter);
        let base = match self.spec.ttl {
            _ if self.spec.ip_id == ForgedId::Keyed => made.ttl,
            ForgedTtl::Copied => ttl,
            ForgedTtl::Fixed(n) => n,
            ForgedTtl::Between(low, high) => self.rng.byte(low, high),
        };
        let mut at = now + super::ms(self.spec.delay_ms.draw(&mut self.rng));
        let random = self.rng.word();
        for (n, step) in (0u8..).zip(self.spec.steps.clone()) {
            let ip_id = match self.spec.ip_id {
                ForgedId::Random => random.wrapping_add(u16::from(n) * 257),
                ForgedId::Copied => packet.ip_id(),
                ForgedId::Continued => sender_id.wrapping_add(1 + u16::from(n)),
                ForgedId::Keyed => made.ip_id,
                ForgedId::Fixed(id) => id,
                ForgedId::Swapped => random.wrapping_add(u16::from(n) * 256),
            };
            let climb = if self.spec.climbs { n } else { 0 };
            let window = match self.spec.ip_id {
                ForgedId::Keyed => made.window,
                _ => match self.spec.window {
                    ForgedWindow::Fixed(n) => n,
                    ForgedWindow::Copied => sender_window,
                },
            };
            let segment = Segment {
                seq: seq.wrapping_add_signed(step),
                ack: if self.flags.has(Flags::ACK) { ack } else { 0 },
                flags: self.flags,
                ttl: base.wrapping_add(climb),
                ip_id,
                df: self.spec.df,
                window: window.wrapping_add(u16::from(climb)),
                options: Vec::new(),
                payload: &self.payload,
            };
            let forged = Packet {
                bytes: segment.ip(src, dst),
                number: out.next_number,
                origin: Origin::Forged(self.place),
            };
            out.next_number += 1;
            out.did(to, &forged, What::Forged);
            out.forward(at, to, forged);
            at = at + Span::from_ns(20_000);
        }
    }
}

/// Sequence and acknowledgment number that the end would use in whose name a packet goes `to`.
fn numbers(flow: &Flow, packet: &Packet, direction: Direction, to: Direction) -> (u32, u32) {
    let after = packet.seq().wrapping_add(packet.seq_len());
    if to == direction.reversed() && packet.flags().has(Flags::ACK) {
        return (packet.ack(), after); // the answer to this packet
    }
    match to {
        Direction::ToClient => (flow.seq[1], flow.seq[0]),
        Direction::ToServer => (flow.seq[0], flow.seq[1]),
    }
}

impl Pass for Injector {
    fn pass(&mut self, now: Timestamp, direction: Direction, packet: Packet, out: &mut Out) {
        let acts = self.watch.see(now, direction, &packet);
        let again = self.spec.again && acts == Acts::Yes && !packet.payload().is_empty();
        if packet.is_tcp() && (acts == Acts::First || again) {
            for to in [Direction::ToClient, Direction::ToServer] {
                if self.spec.to.has(to) {
                    self.forge(now, direction, &packet, to, out);
                }
            }
        }
        if self.spec.swallows && acts != Acts::No {
            out.did(direction, &packet, What::Dropped);
        } else {
            out.forward(now, direction, packet);
        }
    }
}

/// Flags by their names, joined with `+`; `R1` to `R3` are the reserved bits.
///
/// # Panics
/// Panics at a name that is none: a scenario with one is of no use.
fn flags(names: &str) -> Flags {
    names.split('+').fold(Flags::default(), |f, name| {
        f.with(match name.trim() {
            "FIN" => Flags::FIN,
            "SYN" => Flags::SYN,
            "RST" => Flags::RST,
            "PSH" => Flags::PSH,
            "ACK" => Flags::ACK,
            "URG" => Flags::URG,
            "ECE" => Flags::ECE,
            "CWR" => Flags::CWR,
            "AE" => Flags::AE,
            "R1" => Flags(0x800),
            "R2" => Flags(0x400),
            "R3" => Flags(0x200),
            other => panic!("{other} is no TCP flag"),
        })
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hexadecimal digits"))
        .collect()
}
