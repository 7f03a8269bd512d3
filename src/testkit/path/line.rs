//! A path and its places of capture: what happens to a packet between two hosts, whatever moves the clock.

use std::collections::BTreeMap;

use super::boxes::{self, Deed, Out, Pass};
use super::packet::{Origin, Packet};
use super::scenario::{Element, Scenario};
use crate::base::{Direction, Endpoint, Timestamp};
use crate::testkit::rng::Rng;

/// A packet as a place saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// Which way it goes.
    pub direction: Direction,
    /// The packet.
    pub packet: Packet,
}

/// A connection of a run, as it was meant.
#[derive(Clone, Debug)]
pub struct Meant {
    /// The client's end.
    pub client: Endpoint,
    /// The server's end.
    pub server: Endpoint,
    /// The name that it asks for.
    pub name: String,
}

/// What a run leaves behind.
#[derive(Debug)]
pub struct Run {
    /// What each place saw, by its name.
    pub taps: BTreeMap<String, Vec<Seen>>,
    /// The connections, by the client's port.
    pub connections: BTreeMap<u16, Meant>,
    /// What the boxes did, each by its place in the path.
    pub deeds: Vec<(usize, Deed)>,
    /// Rate in bit/s and depth in bytes of each box that caps, by its place in the path.
    pub caps: BTreeMap<usize, (f64, f64)>,
}

/// The elements of a path, and what its places have seen.
pub struct Line {
    elements: Vec<Box<dyn Pass>>,
    taps: BTreeMap<usize, String>,
    next_number: u64,
    /// What is left behind.
    pub run: Run,
}

/// What becomes of a packet on a wire.
pub enum Next {
    /// It has come to the host at that end.
    Deliver(Packet),
    /// It went into an element, and these leave it: each with its time, its wire, and its way.
    Pass(Vec<(Timestamp, usize, Direction, Packet)>),
}

impl Line {
    /// The line of a scenario.
    pub fn new(scenario: &Scenario, rng: &mut Rng) -> Self {
        let elements: Vec<Box<dyn Pass>> =
            scenario.path.iter().enumerate().map(|(n, e)| boxes::build(n, e, rng)).collect();
        let mut taps: BTreeMap<usize, String> =
            [(0, "client".to_owned()), (elements.len(), "server".to_owned())].into();
        for (n, e) in scenario.path.iter().enumerate() {
            if let Element::Tap { name } = e {
                taps.insert(n, name.clone());
            }
        }
        let run = Run {
            taps: taps.values().map(|t| (t.clone(), Vec::new())).collect(),
            connections: BTreeMap::new(),
            deeds: Vec::new(),
            caps: elements.iter().enumerate().filter_map(|(n, e)| Some((n, e.cap()?))).collect(),
        };
        Self { elements, taps, next_number: 1, run }
    }

    /// The wire at a host: the client's, or the server's; and which way its packets go.
    pub fn wire_of(&self, client: bool) -> (usize, Direction) {
        if client { (0, Direction::ToServer) } else { (self.elements.len(), Direction::ToClient) }
    }

    /// A packet that a host sends.
    pub fn packet(&mut self, bytes: Vec<u8>) -> Packet {
        self.next_number += 1;
        Packet { bytes, number: self.next_number - 1, origin: Origin::End }
    }

    /// A packet is on a wire: it is seen there, and goes into the next element or host.
    pub fn arrive(&mut self, now: Timestamp, wire: usize, direction: Direction, packet: Packet) -> Next {
        if let Some(tap) = self.taps.get(&wire) {
            let seen = Seen { at: now, direction, packet: packet.clone() };
            self.run.taps.entry(tap.clone()).or_default().push(seen);
        }
        let element = match direction {
            Direction::ToServer if wire < self.elements.len() => wire,
            Direction::ToClient if wire > 0 => wire - 1,
            _ => return Next::Deliver(packet),
        };
        let mut out = Out { next_number: self.next_number, ..Out::default() };
        self.elements[element].pass(now, direction, packet, &mut out);
        self.next_number = out.next_number;
        self.run.deeds.extend(out.deeds.into_iter().map(|d| (element, d)));
        let packets = out.packets.into_iter();
        let wire = |way| if way == Direction::ToServer { element + 1 } else { element };
        Next::Pass(packets.map(|(at, way, packet)| (at, wire(way), way, packet)).collect())
    }
}
