//! Virtual time: hosts, packets on their way, and who is to be woken when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::actor::{Actor, Script};
use super::boxes;
use super::dns::Dns;
use super::line::{Line, Meant, Next, Run};
use super::packet::Packet;
use super::quic::Quic;
use super::scenario::{Answer, Hello, Host, IpId, START, Scenario, Stack as StackKind};
use super::smol::Smol;
use super::stack::Stack;
use super::tcp::{Tcp, Tuning};
use crate::base::{Direction, Endpoint, Span, Timestamp};
use crate::testkit::rng::Rng;
use crate::wire::tcp::Flags;

/// No run is longer than this.
const LONGEST: Span = Span::from_secs(1200);

/// No run has more events than this.
const MOST_EVENTS: u64 = 5_000_000;

/// A host's network card sends a gigabit a second: packets of one moment are 12 µs apart, not at one time.
const CARD: f64 = 125e6;

enum Event {
    /// Side of a connection: client 0, server 1.
    Wake(usize, usize),
    /// A packet on a wire of the path.
    Arrive(usize, Direction, Packet),
}

struct End {
    stack: Box<dyn Stack>,
    actor: Actor,
    host: Host,
    counter: u16,
    reset_ids: u16,
    absent: bool,
    woken: Option<Timestamp>,
}

struct Conversation {
    ends: [End; 2],
    script: Script,
    opens: Timestamp,
}

struct World {
    now: Timestamp,
    events: BinaryHeap<Reverse<(Timestamp, u64)>>,
    bodies: BTreeMap<u64, Event>,
    serial: u64,
    conversations: Vec<Conversation>,
    of_port: BTreeMap<u16, usize>,
    line: Line,
    cards: BTreeMap<(usize, IpAddr), Timestamp>,
    counters: BTreeMap<IpAddr, u16>,
    rng: Rng,
}

/// Plays a scenario: the same seed gives the same run.
pub fn play(scenario: &Scenario, seed: u64) -> Run {
    let mut rng = Rng::new(seed ^ 0x7069_6e63_6870_7469);
    let line = Line::new(scenario, &mut rng);
    let mut world = World {
        now: START,
        events: BinaryHeap::new(),
        bodies: BTreeMap::new(),
        serial: 0,
        conversations: Vec::new(),
        of_port: BTreeMap::new(),
        line,
        cards: BTreeMap::new(),
        counters: BTreeMap::new(),
        rng,
    };
    world.set_up(scenario);
    world.go();
    world.line.run
}

fn tuning(h: &Host) -> Tuning {
    Tuning {
        mss: h.mss,
        control: h.control,
        receive_buffer: h.receive_buffer,
        reads: h.reads_bps.map(|b| b / 8.0),
        timestamps: h.timestamps,
        sack: h.sack,
        ack_every: h.ack_every,
        ack_delay: boxes::ms(h.ack_delay_ms),
    }
}

fn end(h: &Host, local: Endpoint, remote: Endpoint, rng: &mut Rng, opens: bool, at: Timestamp) -> End {
    let stack: Box<dyn Stack> = match h.stack {
        StackKind::Model => Box::new(Tcp::new(tuning(h), local, remote, rng.next_u64() as u32, opens)),
        StackKind::Smoltcp => Box::new(Smol::new(tuning(h), local, remote, rng.next_u64(), opens)),
    };
    End {
        stack,
        actor: Actor::new(opens, at),
        host: h.clone(),
        counter: rng.word(),
        reset_ids: rng.word(),
        absent: false,
        woken: None,
    }
}

impl World {
    fn set_up(&mut self, s: &Scenario) {
        let mut port = 32_768 + u16::try_from(self.rng.range(0, 20_000)).unwrap_or(0);
        let near = u8::try_from(self.rng.range(2, 250)).unwrap_or(2);
        for c in &s.connection {
            let mut at = START + boxes::ms(c.at_s.draw(&mut self.rng) * 1e3);
            let has = |v: &&super::scenario::Server| {
                v.names.contains(&c.name) && c.server.is_none_or(|address| address == v.address)
            };
            let server = s.server.iter().find(has).unwrap_or_else(|| {
                panic!("no server has the name {}", c.name) // a scenario that says so is of no use
            });
            for _ in 0..c.count {
                port += 1 + u16::try_from(self.rng.range(0, 5)).unwrap_or(0);
                let addr = match server.address {
                    IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, near)),
                    IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, near.into())),
                };
                let client = Endpoint { addr, port };
                let there = Endpoint { addr: server.address, port: server.port };
                let script = Script::new(c, server, &mut self.rng);
                let mut ends = [
                    end(&s.client, client, there, &mut self.rng, true, at),
                    end(&server.host, there, client, &mut self.rng, false, at),
                ];
                if c.hello == Hello::Quic {
                    ends[0].stack = Box::new(Quic::new(client, there, &c.name, true));
                    ends[1].stack = Box::new(Quic::new(there, client, &c.name, false));
                }
                if c.hello == Hello::Dns {
                    let thinks = boxes::ms(server.thinks_ms.draw(&mut self.rng));
                    ends[0].stack = Box::new(Dns::new(client, there, &c.name, true, server, thinks));
                    ends[1].stack = Box::new(Dns::new(there, client, &c.name, false, server, thinks));
                }
                ends[1].absent = server.answer == Answer::Absent;
                if server.answer == Answer::Refuse {
                    ends[1].stack.abort(); // nobody listens
                    ends[1].stack.output(at, &mut Vec::new());
                }
                let n = self.conversations.len();
                self.conversations.push(Conversation { ends, script, opens: at });
                self.of_port.insert(port, n);
                let meant = Meant { client, server: there, name: c.name.clone() };
                self.line.run.connections.insert(port, meant);
                self.at(at, Event::Wake(n, 0));
                at = at + boxes::ms(c.every_s.draw(&mut self.rng) * 1e3);
            }
        }
    }

    fn at(&mut self, at: Timestamp, event: Event) {
        self.serial += 1;
        self.events.push(Reverse((at, self.serial)));
        self.bodies.insert(self.serial, event);
    }

    fn go(&mut self) {
        let mut events = 0;
        while let Some(Reverse((at, serial))) = self.events.pop() {
            let Some(event) = self.bodies.remove(&serial) else { continue };
            if at.since(START) > LONGEST {
                return;
            }
            events += 1;
            assert!(events < MOST_EVENTS, "the simulation turns on the spot at {at}");
            self.now = at;
            match event {
                Event::Wake(n, side) => {
                    let end = &mut self.conversations[n].ends[side];
                    if end.woken.is_some_and(|w| w <= at) {
                        end.woken = None;
                    }
                    self.wake(n, side);
                }
                Event::Arrive(wire, direction, packet) => {
                    match self.line.arrive(at, wire, direction, packet) {
                        Next::Deliver(packet) => self.deliver(direction, &packet),
                        Next::Pass(packets) => {
                            for (at, wire, way, packet) in packets {
                                self.at(at, Event::Arrive(wire, way, packet));
                            }
                        }
                    }
                }
            }
        }
    }

    fn deliver(&mut self, direction: Direction, packet: &Packet) {
        let (client, _) = packet.ends(direction);
        let Some(&n) = self.of_port.get(&client.port) else { return };
        let side = usize::from(direction == Direction::ToServer);
        let end = &mut self.conversations[n].ends[side];
        if end.absent || packet.is_icmp() {
            return; // an error about an open connection is a hint at most (RFC 1122 §4.2.3.9)
        }
        end.stack.input(self.now, &packet.bytes);
        self.wake(n, side);
    }

    fn wake(&mut self, n: usize, side: usize) {
        let now = self.now;
        let conversation = &mut self.conversations[n];
        if now < conversation.opens {
            return;
        }
        let End { stack, actor, .. } = &mut conversation.ends[side];
        let mut packets = Vec::new();
        stack.output(now, &mut packets);
        let wants = actor.act(now, &conversation.script, &mut **stack);
        stack.output(now, &mut packets);
        let next = [wants, stack.deadline()].into_iter().flatten().min();
        for bytes in packets {
            self.send(n, side, bytes);
        }
        if let Some(next) = next {
            let end = &mut self.conversations[n].ends[side];
            // one wake-up that is early enough will do
            if end.woken.is_none_or(|w| w > next) {
                let next = next.max(now + Span::from_ns(1));
                end.woken = Some(next);
                self.at(next, Event::Wake(n, side));
            }
        }
    }

    /// A host sends: its card takes time, and its system writes TTL and IP-ID.
    fn send(&mut self, n: usize, side: usize, bytes: Vec<u8>) {
        let (wire, direction) = self.line.wire_of(side == 0);
        let mut packet = self.line.packet(bytes);
        let source = packet.source().addr;
        let flags = packet.flags();
        let end = &mut self.conversations[n].ends[side];
        let reset = flags.has(Flags::RST);
        let without_socket = flags.has(Flags::SYN.with(Flags::ACK)) || flags == Flags::RST;
        let id = match end.host.ip_id {
            IpId::Zero => 0,
            IpId::Counter if without_socket => 0,
            IpId::Counter => {
                end.counter = end.counter.wrapping_add(1);
                end.counter
            }
            IpId::Global => {
                let c = self.counters.entry(source).or_insert(end.reset_ids);
                *c = c.wrapping_add(1);
                *c
            }
            IpId::Random => self.rng.word(),
        };
        let front = end.host.reset_ttl.filter(|_| reset);
        let front = front.or(end.host.syn_ack_ttl.filter(|_| flags.has(Flags::SYN)));
        packet.set_ttl(front.unwrap_or(end.host.ttl));
        packet.set_id(if front.is_some() { 0 } else { id }, end.host.df);
        let card = self.cards.entry((side, source)).or_insert(START);
        let at = self.now.max(*card);
        *card = at + Span::from_ns((packet.bytes.len() as f64 / CARD * 1e9) as i64 + 300);
        self.at(at, Event::Arrive(wire, direction, packet));
    }
}
