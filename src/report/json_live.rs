//! The lines of `pinchpoint live`: findings as in `analyze --format ndjson`, with what became of them, and counters.

use std::io::{self, Write};

use serde::Serialize;

use super::Capture;
use super::json::{Ids, JsonFinding, json_finding, line};
use crate::detect::Level;

/// What a line says about a finding besides the finding.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Said<'a> {
    /// Names the finding from line to line; ids are those of the moment.
    pub key: &'a str,
    /// `new` or `changed`.
    pub change: &'static str,
    /// Whether it would be a claim, had it stood longer: its level is then `possible`.
    pub provisional: bool,
    /// How far the capture had come, in capture time.
    pub seen_ns: i64,
}

#[derive(Serialize)]
struct Finding<'a> {
    #[serde(flatten)]
    finding: JsonFinding<'a>,
    live: Said<'a>,
}

/// A finding that the packets since have taken back.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Withdrawn<'a> {
    /// The key that its lines had.
    pub key: &'a str,
    /// How far the capture had come.
    pub seen_ns: i64,
}

/// Figures of a recording and of its analysis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// How far the capture has come; null before the first packet.
    pub seen_ns: Option<i64>,
    /// Packets analysed.
    pub packets: u64,
    /// Packets taken from the interface; null where a file or pipe is read, like all that follow but the last.
    pub captured: Option<u64>,
    /// Packets that passed the filter in the kernel.
    pub received: Option<u64>,
    /// Packets dropped by the kernel.
    pub dropped_kernel: Option<u64>,
    /// Packets dropped by the interface.
    pub dropped_interface: Option<u64>,
    /// Packets recorded but not analysed, as analysis had fallen behind.
    pub not_analysed: Option<u64>,
    /// Rows of old connections that were dropped.
    pub rows_forgotten: u64,
}

#[derive(Serialize)]
struct Notice<'a> {
    text: &'a str,
}

/// Writes the line of the nth finding, at the level that it has by now.
///
/// # Errors
/// What writing gives.
pub fn write_finding(
    c: &Capture,
    n: usize,
    level: Level,
    live: Said<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(f) = c.analysis.findings.get(n) else { return Ok(()) };
    let ids = Ids::new(std::slice::from_ref(c));
    line(out, "finding", &Finding { finding: json_finding(&ids, 0, n, c, f).at_level(level), live })
}

/// Writes that a finding is no more.
///
/// # Errors
/// What writing gives.
pub fn write_withdrawn(w: Withdrawn<'_>, out: &mut dyn Write) -> io::Result<()> {
    line(out, "withdrawn", &w)
}

/// Writes the counters.
///
/// # Errors
/// What writing gives.
pub fn write_counters(c: Counters, out: &mut dyn Write) -> io::Result<()> {
    line(out, "counters", &c)
}

/// Writes what happened to the recording, in words.
///
/// # Errors
/// What writing gives.
pub fn write_notice(text: &str, out: &mut dyn Write) -> io::Result<()> {
    line(out, "notice", &Notice { text })
}
