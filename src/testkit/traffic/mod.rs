//! Captures of any size for benches: traffic of several kinds, made packet by packet, the same from run to run.
//!
//! Made as it is written, so that it can go through a pipe without an end: memory is that of the conversations that are
//! going on. What the traffic is like follows the captures that the goals were set with (`docs/benchmarks/peers.md`).

pub mod hostile;
mod throttled;
mod tls;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use super::conversation::Recorded;
use super::path::scenario::START;
use super::pcap::PcapWriter;
use crate::base::{Span, Timestamp};
use crate::capture::LinkType;
use tls::{Body, Profile};

/// A kind of traffic.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The name that benches and their records use.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    make: Make,
}

#[derive(Clone, Copy, Debug)]
enum Make {
    Tls(Profile),
    Throttled { runs: u32 },
    Hostile { packets: u32, each: hostile::Maker },
}

/// All kinds but the hostile ones.
pub const KINDS: [Kind; 7] = [
    Kind {
        name: "big",
        about: "web traffic in full-size packets: 1 GB, 50,000 connections",
        make: Make::Tls(Profile {
            connections: 50_000,
            gap: Span::from_ns(6_000_000),
            dns: 0.3,
            body: Body::Segments(9.7),
            ..tls::WEB
        }),
    },
    Kind {
        name: "small",
        about: "records of 24 to 120 bytes, most acknowledged at once: 12,000 connections",
        make: Make::Tls(Profile {
            connections: 12_000,
            gap: Span::from_ns(25_000_000),
            dns: 0.3,
            body: Body::Records(150.0),
            ..tls::WEB
        }),
    },
    Kind {
        name: "many",
        about: "short connections, more than a cache holds: 200,000 connections",
        make: Make::Tls(Profile {
            connections: 200_000,
            gap: Span::from_ns(1_000_000),
            dns: 0.3,
            body: Body::Records(1.6),
            ..tls::WEB
        }),
    },
    Kind {
        name: "open",
        about: "a million connections, all open at one time, each with a few packets",
        make: Make::Tls(Profile {
            connections: 1_000_000,
            gap: Span::from_ns(20_000),
            body: Body::Waits(Span::from_secs(30)),
            ..tls::CLEAN
        }),
    },
    Kind {
        name: "one",
        about: "one connection of a million full-size packets",
        make: Make::Tls(Profile {
            connections: 1,
            body: Body::Exactly(1_000_000),
            lost: 0.002,
            ..tls::CLEAN
        }),
    },
    Kind {
        name: "handshakes",
        about: "handshakes of TCP and TLS, and nothing after: 200,000 connections",
        make: Make::Tls(Profile {
            connections: 200_000,
            gap: Span::from_ns(1_000_000),
            body: Body::Nothing,
            ..tls::CLEAN
        }),
    },
    Kind {
        name: "throttled",
        about: "transfers through policers and shapers, from the simulated path",
        make: Make::Throttled { runs: 300 },
    },
];

/// How many packets a hostile kind has.
const HOSTILE: u32 = 400_000;

fn kind(name: &str) -> Option<Kind> {
    let hostile = |case: hostile::Case| {
        let make = Make::Hostile { packets: HOSTILE, each: case.packets };
        Kind { name: case.name, about: case.about, make }
    };
    KINDS
        .into_iter()
        .find(|k| k.name == name)
        .or_else(|| hostile::CASES.into_iter().find(|c| c.name == name).map(hostile))
}

/// The names of all kinds.
pub fn names() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().map(|k| k.name).chain(hostile::CASES.into_iter().map(|c| c.name))
}

/// A capture to be made.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// What is in it.
    pub kind: Kind,
    /// How many times as large as its description says.
    pub scale: f64,
}

impl Input {
    /// The input that `words` names: a kind, or a kind and a scale as in `big@0.1`.
    pub fn named(words: &str) -> Option<Self> {
        let (name, scale) = words.split_once('@').unwrap_or((words, "1"));
        Some(Self { kind: kind(name)?, scale: scale.parse().ok()? })
    }

    /// Its file in `folder`, which is made if it is not there yet. The same input is the same bytes.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn file(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(format!("{}@{}.pcap", self.kind.name, self.scale));
        if !path.exists() {
            fs::create_dir_all(folder)?;
            let unfinished = path.with_extension("part");
            self.write(&mut fs::File::create(&unfinished)?)?;
            fs::rename(&unfinished, &path)?;
        }
        Ok(path)
    }

    /// Writes it, and gives the number of packets.
    ///
    /// # Errors
    /// Where `out` cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<u64> {
        match self.kind.make {
            Make::Tls(profile) => merge(profile.talks(self.scale), out),
            Make::Throttled { runs } => merge(throttled::talks(scaled(runs.into(), self.scale)), out),
            Make::Hostile { packets, each } => {
                let packets = scaled(packets.into(), self.scale);
                let mut file = File::begin(LinkType::RAW, out)?;
                let mut at = START;
                for packet in each(u32::try_from(packets).unwrap_or(u32::MAX)) {
                    file.frame(at, &packet)?;
                    at = at + Span::from_ns(10_000);
                }
                file.finish()
            }
        }
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // sizes of benches
fn scaled(n: u64, scale: f64) -> u64 {
    (n as f64 * scale).round() as u64
}

/// A capture that is being written.
struct File<'a> {
    pcap: PcapWriter,
    out: &'a mut dyn Write,
    frames: u64,
}

impl<'a> File<'a> {
    fn begin(link_type: LinkType, out: &'a mut dyn Write) -> io::Result<Self> {
        let mut pcap = PcapWriter::new(link_type);
        pcap.drain(out)?;
        Ok(Self { pcap, out, frames: 0 })
    }

    fn frame(&mut self, at: Timestamp, bytes: &[u8]) -> io::Result<()> {
        self.pcap.frame(at, bytes);
        self.frames += 1;
        if self.pcap.len() >= 1 << 18 { self.pcap.drain(self.out) } else { Ok(()) }
    }

    fn finish(mut self) -> io::Result<u64> {
        self.pcap.drain(self.out)?;
        self.out.flush()?;
        Ok(self.frames)
    }
}

/// A conversation that is made a step at a time.
trait Talk {
    /// When its next step begins; `None` where there is none.
    fn next(&self) -> Option<Timestamp>;

    /// The frames of the next step, in order of time.
    fn step(&mut self) -> Vec<Recorded>;
}

struct Live {
    talk: Box<dyn Talk>,
    frames: IntoIter<Recorded>,
}

impl Live {
    /// When there is something to do for it.
    fn due(&self) -> Option<Timestamp> {
        self.frames.as_slice().first().map(|f| f.at).or_else(|| self.talk.next())
    }
}

/// Writes conversations as one capture of Ethernet frames, in order of time. They come in the order in which they begin.
fn merge(talks: impl Iterator<Item = Box<dyn Talk>>, out: &mut dyn Write) -> io::Result<u64> {
    let mut file = File::begin(LinkType::ETHERNET, out)?;
    let mut live: Vec<Option<Live>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut due: BinaryHeap<Reverse<(Timestamp, usize)>> = BinaryHeap::new();
    let mut talks = talks.peekable();
    loop {
        let next = due.peek().map(|d| d.0.0);
        let begins = talks.peek().and_then(|t| t.next());
        if let Some(begins) = begins
            && next.is_none_or(|n| begins <= n)
            && let Some(talk) = talks.next()
        {
            let slot = free.pop().unwrap_or(live.len());
            if slot == live.len() {
                live.push(None);
            }
            live[slot] = Some(Live { talk, frames: Vec::new().into_iter() });
            due.push(Reverse((begins, slot)));
            continue;
        }
        let Some(Reverse((_, slot))) = due.pop() else { break };
        let Some(of) = &mut live[slot] else { continue };
        match of.frames.next() {
            Some(frame) => file.frame(frame.at, &frame.bytes)?,
            None => of.frames = of.talk.step().into_iter(),
        }
        if let Some(at) = of.due() {
            due.push(Reverse((at, slot)));
        } else {
            live[slot] = None;
            free.push(slot);
        }
    }
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Settings;
    use crate::flow::connection::Ended;
    use crate::testkit::analyzed;

    fn made(name: &str, scale: f64) -> Vec<u8> {
        let mut file = Vec::new();
        Input { kind: kind(name).unwrap(), scale }.write(&mut file).unwrap();
        file
    }

    #[test]
    fn a_capture_is_the_same_from_run_to_run_and_in_order_of_time() {
        for name in ["big", "small", "many"] {
            let file = made(name, 0.002);
            assert!(file == made(name, 0.002), "{name}");
            let analysis = analyzed(file, Settings::default()).unwrap();
            assert_eq!(analysis.counts.time_went_back, 0, "{name}");
            assert_eq!(analysis.counts.undecoded.len(), 0, "{name}");
        }
    }

    #[test]
    fn big_is_what_it_is_said_to_be() {
        let analysis = analyzed(made("big", 0.02), Settings::default()).unwrap();
        assert_eq!(analysis.connections.len(), 1000);
        let count = |what: fn(&crate::measure::Summary) -> bool| {
            analysis.connections.iter().filter(|c| what(c)).count()
        };
        let v6 = count(|c| c.client.addr.is_ipv6());
        assert!((100..200).contains(&v6), "{v6} of IPv6");
        assert_eq!(count(|c| c.sni.is_some()), 1000);
        let sent_again = count(|c| c.flows.to_client.retransmitted > 0);
        assert!(sent_again > 20, "{sent_again} with retransmissions");
        let claimed = analysis.findings.iter().filter(|f| f.code.starts_with("RST")).count();
        assert!((20..80).contains(&claimed), "{claimed} injected resets found");
    }

    #[test]
    fn open_stays_open() {
        let analysis = analyzed(made("open", 0.0002), Settings::default()).unwrap();
        assert_eq!(analysis.connections.len(), 200);
        assert!(analysis.connections.iter().all(|c| c.ended == Ended::CaptureEnd));
    }

    #[test]
    fn throttled_transfers_are_found_to_be() {
        let analysis = analyzed(made("throttled", 0.01), Settings::default()).unwrap();
        assert!(analysis.findings.iter().any(|f| f.cap.is_some()));
    }
}
