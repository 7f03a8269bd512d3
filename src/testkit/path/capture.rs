//! What a place of the path saw, as a capture file: whole, or as bad as captures are. With its truth.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::boxes::What;
use super::line::{Run, Seen};
use super::packet::Origin;
use super::scenario::START;
use super::scenario::{Capture, Direction as Only};
use crate::base::{Direction, Span};
use crate::capture::{ByteOrder, LinkType};
use crate::testkit::packet::{ethernet, seal};
use crate::testkit::pcap::{BlockOption, PcapngWriter};
use crate::testkit::rng::Rng;
use crate::wire::tcp::Flags;

/// What every capture says of itself.
pub const COMMENT: &str = "made by pinchpoint's simulated path: a simulation, no evidence of anything";

/// A capture with its truth.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The pcapng file.
    pub file: Vec<u8>,
    /// The truth.
    pub truth: Truth,
}

/// What is true of a capture.
#[derive(Clone, Debug, Default, Serialize, PartialEq)]
pub struct Truth {
    /// Each frame.
    pub frames: Vec<FrameTruth>,
    /// Each connection of which the capture has a frame, or of which something was done: by the client's port.
    pub connections: BTreeMap<u16, ConnectionTruth>,
}

/// What is true of a frame.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
pub struct FrameTruth {
    /// `frame.number`.
    pub frame: u64,
    /// The client's port.
    pub port: u16,
    /// Who sent it: `end`, `forged`, `rewritten`.
    pub origin: &'static str,
    /// Whether it is a reset.
    pub reset: bool,
    /// The place in the path of the box that forged, changed or, later, dropped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<usize>,
    /// What became of it after this place, where it did not arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<&'static str>,
}

/// What was done to a connection.
#[derive(Clone, Debug, Default, Serialize, PartialEq)]
pub struct ConnectionTruth {
    /// The name that it asks for.
    pub name: String,
    /// Frames that the capture has of it.
    pub frames: u64,
    /// Packets that each kind of deed befell, by the box's place in the path.
    pub deeds: BTreeMap<&'static str, BTreeMap<usize, u64>>,
    /// The cap that was put on it: rate in bit/s, depth in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<(f64, f64)>,
}

impl ConnectionTruth {
    /// How many packets this befell.
    pub fn count(&self, what: What) -> u64 {
        self.deeds.get(what.name()).map_or(0, |by| by.values().sum())
    }
}

impl What {
    /// The word that the truth has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forged => "forged",
            Self::Rewrote => "rewritten",
            Self::Dropped => "dropped",
            Self::Delayed => "delayed",
            Self::Refused => "refused",
            Self::Policed => "policed",
            Self::Shaped => "shaped",
            Self::Overflowed => "overflowed",
            Self::Lost => "lost",
        }
    }
}

/// What one place saw of a run. The seed decides which packets a bad capture loses.
pub fn capture(run: &Run, how: &Capture, seed: u64) -> Captured {
    let mut rng = Rng::new(seed ^ 0x0063_6170_7475_7265);
    let empty = Vec::new();
    let all = run.taps.get(&how.at).unwrap_or(&empty);
    let from = START + Span::from_ns((how.late_s * 1e9) as i64);
    let mut seen: Vec<Seen> = all
        .iter()
        .filter(|s| {
            s.at >= from
                && how.only.is_none_or(|o| (o == Only::ToServer) == (s.direction == Direction::ToServer))
        })
        .filter(|_| how.loses == 0.0 || !rng.chance(how.loses))
        .cloned()
        .collect();
    if how.merges {
        merge(&mut seen);
    }
    let gone: BTreeMap<u64, (usize, What)> = run
        .deeds
        .iter()
        .filter(|(_, d)| matches!(d.what, What::Dropped | What::Policed | What::Overflowed | What::Lost))
        .map(|(by, d)| (d.number, (*by, d.what)))
        .collect();
    let mut truth = Truth::default();
    let mut file = PcapngWriter::with(ByteOrder::Little, &[BlockOption::comment(COMMENT)]);
    file.interface(LinkType::ETHERNET, how.snaplen, &[BlockOption::tsresol(9)]);
    for (n, s) in (1u64..).zip(&seen) {
        let frame = ethernet(&s.packet.bytes);
        let kept = if how.snaplen == 0 { frame.len() } else { frame.len().min(how.snaplen as usize) };
        file.packet(0, s.at.ns() as u64, &frame[..kept], frame.len() as u32, &[]);
        let port = port(s);
        let (origin, by) = match s.packet.origin {
            Origin::End => ("end", None),
            Origin::Forged(by) => ("forged", Some(by)),
            Origin::Rewritten(by) => ("rewritten", Some(by)),
        };
        let lost = gone.get(&s.packet.number);
        truth.frames.push(FrameTruth {
            frame: n,
            port,
            origin,
            reset: s.packet.flags().has(Flags::RST),
            by: by.or(lost.map(|l| l.0)),
            lost: lost.map(|l| l.1.name()),
        });
        truth.connections.entry(port).or_default().frames += 1;
    }
    let mut counted = BTreeSet::new();
    for (by, d) in &run.deeds {
        if counted.insert((d.number, *by, d.what)) {
            let c = truth.connections.entry(d.port).or_default();
            *c.deeds.entry(d.what.name()).or_default().entry(*by).or_default() += 1;
        }
    }
    for (port, c) in &mut truth.connections {
        let caps = ["policed", "shaped"].iter().filter_map(|w| c.deeds.get(w)).flat_map(BTreeMap::keys);
        c.cap = caps.filter_map(|by| run.caps.get(by)).copied().next();
        c.name = run.connections.get(port).map(|m| m.name.clone()).unwrap_or_default();
    }
    let mut file = file.finish();
    if how.cut {
        file.truncate(file.len() - 21);
        truth.frames.pop();
    }
    Captured { file, truth }
}

fn port(s: &Seen) -> u16 {
    s.packet.ends(s.direction).0.port
}

/// Merges full segments that follow each other within a millisecond, as receive offload does.
fn merge(seen: &mut Vec<Seen>) {
    let mut out: Vec<Seen> = Vec::with_capacity(seen.len());
    for s in seen.drain(..) {
        let (at, data) = (s.packet.ip_header(), s.packet.payload_at());
        let control = Flags(Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0);
        let quiet = !s.packet.flags().any(control) && s.packet.bytes.len() > data;
        if let Some(last) = out.last_mut().filter(|l| quiet && l.direction == s.direction) {
            let same = port(last) == port(&s) && last.packet.origin == s.packet.origin;
            let l = &mut last.packet;
            let next = l.seq().wrapping_add((l.bytes.len().saturating_sub(data)) as u32) == s.packet.seq();
            let room = l.bytes.len() + s.packet.bytes.len() - data < 60_000;
            let both = l.bytes.len() > data && l.ip_header() == at;
            if same && next && room && both && s.at.since(last.at) < Span::from_ms(1) {
                l.bytes.extend(&s.packet.bytes[data..]);
                let len = if at == 20 { l.bytes.len() } else { l.bytes.len() - 40 } as u16;
                let field = if at == 20 { 2 } else { 4 };
                l.bytes[field..field + 2].copy_from_slice(&len.to_be_bytes());
                seal(&mut l.bytes);
                continue;
            }
        }
        out.push(s);
    }
    *seen = out;
}
