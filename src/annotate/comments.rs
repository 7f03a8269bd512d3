//! Which packets of a capture get which comments.

use crate::analysis::Analysis;
use crate::detect::{Finding, Level, registry};
use crate::report::says::says;
use crate::report::text::percent;
use crate::report::units::{count, thousands};
use crate::report::wireshark_filter;

/// What every comment of this program begins with.
pub const MARK: &str = "[pinchpoint]";

/// How many findings that rest on no single packet are listed on the section.
const LISTED: usize = 10;

/// The comments of a capture.
#[derive(Debug)]
pub struct Comments {
    /// On the section: the program, its version, how much was found.
    pub section: String,
    findings: Vec<Words>,
    /// Each deciding frame with the place of its finding and its rank among the frames of that, in order.
    frames: Vec<(u64, usize, usize)>,
}

/// What is said of one finding.
#[derive(Debug)]
struct Words {
    head: String,
    whole: String,
    frames: usize,
    first: u64,
}

impl Comments {
    /// The comments that an analysis gives rise to. In an `excerpt`, frames and streams have other numbers than those
    /// that the comments speak of, and the comments say so.
    pub fn new(a: &Analysis, excerpt: bool) -> Self {
        let mut frames = Vec::new();
        for (n, f) in a.findings.iter().enumerate() {
            frames.extend(f.frames.iter().enumerate().map(|(rank, frame)| (*frame, n, rank)));
        }
        frames.sort_unstable();
        let findings = a.findings.iter().map(|f| words(f, a, excerpt)).collect();
        Self { section: section(a, excerpt), findings, frames }
    }

    /// The comments on a frame, in the order of the findings.
    pub fn on(&self, frame: u64) -> Vec<String> {
        let from = self.frames.partition_point(|(f, ..)| *f < frame);
        let here = self.frames[from..].iter().take_while(|(f, ..)| *f == frame);
        here.filter_map(|&(_, n, rank)| Some(self.findings.get(n)?.on(rank))).collect()
    }

    /// How many packets have comments.
    pub fn packets(&self) -> usize {
        self.frames.chunk_by(|a, b| a.0 == b.0).count()
    }
}

impl Words {
    /// The whole statement stands on the first packet; the others point to it.
    fn on(&self, rank: usize) -> String {
        if rank == 0 {
            return self.whole.clone();
        }
        let (rank, all) = (thousands(rank as u64 + 1), thousands(self.frames as u64));
        format!("{}: packet {rank} of {all}; what is found stands at frame {}", self.head, self.first)
    }
}

fn words(f: &Finding, a: &Analysis, excerpt: bool) -> Words {
    let rule = registry::find(f.code).map_or("", |r| r.name);
    let head = format!("{MARK} {} {rule}, {}", f.code, f.level.name());
    let numbers = if excerpt { " Numbers are those of the whole capture." } else { "" };
    let whole =
        format!("{head}, probability {}: {}{numbers}", percent(f.confidence), says(f, a, false).trim_end());
    Words { head, whole, frames: f.frames.len(), first: f.frames.first().copied().unwrap_or(0) }
}

fn section(a: &Analysis, excerpt: bool) -> String {
    use std::fmt::Write as _;
    let claims = a.findings.iter().filter(|f| f.level >= Level::Likely).count() as u64;
    let mut out = format!(
        "{MARK} pinchpoint {}: {}, {claims} of them likely or confirmed.",
        env!("CARGO_PKG_VERSION"),
        count(a.findings.len() as u64, "finding")
    );
    if a.findings.iter().any(|f| !f.frames.is_empty()) {
        let _ = write!(out, " Comments that begin with {MARK} are on the packets that decide them.");
    }
    let unseen: Vec<&Finding> = a.findings.iter().filter(|f| f.frames.is_empty()).collect();
    for f in unseen.iter().take(LISTED) {
        let filter = wireshark_filter(&a.streams(f), &f.frames);
        let _ = write!(out, " {} rests on no single packet: {filter}.", f.code);
    }
    if unseen.len() > LISTED {
        let _ = write!(out, " {} more rest on no single packet.", unseen.len() - LISTED);
    }
    if excerpt {
        out.push_str(
            " This file is an excerpt: the connections with findings and those they were held against; numbers of frames and streams in the comments are those of the whole capture.",
        );
    }
    out
}
