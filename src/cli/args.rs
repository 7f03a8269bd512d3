//! The command line as it was typed; nothing is opened here.

use std::path::PathBuf;

use crate::detect::name::X;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Says what the network did to a capture: resets that no endpoint sent, with the evidence.
#[derive(Debug, Parser)]
#[command(name = "pinchpoint", version, max_term_width = 100, disable_help_subcommand = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Analyze(Analyze),
    Info(Info),
    #[cfg(feature = "charts")]
    Chart(Chart),
    #[cfg(feature = "charts")]
    Report(Report),
    Explain(Explain),
}

/// Analyse captures: a verdict for each connection and each name.
#[derive(Debug, ClapArgs)]
pub(super) struct Analyze {
    /// Captures: pcap or pcapng, plain or compressed with gzip, zstd or xz; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// Analyse all files as one timeline.
    #[arg(long)]
    pub(super) merge: bool,
    /// Exit with 1 if there is a finding at this level or above.
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(super) fail_on: Option<FailOn>,
    /// State the SHA-256 of each file.
    #[arg(long)]
    pub(super) sha256: bool,
    /// When to use colour.
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(super) color: Color,
    /// Show addresses in the text; without this, only names.
    #[arg(long)]
    pub(super) show_addresses: bool,
    /// Show every connection in the text, not only those with findings.
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// No progress, no notes.
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Take this name, and all under it, for the target; `x` stands for the names of X. Several are one target together.
    #[arg(long, value_name = "NAME")]
    pub(super) target: Vec<String>,
    /// Compare with this name only, and with those under it.
    #[arg(long, value_name = "NAME")]
    pub(super) control: Vec<String>,
    /// The most connections that are followed at one time.
    #[arg(long, default_value_t = 262_144, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    pub(super) max_connections: u32,
}

impl Analyze {
    /// The target names, with the set for X written out.
    pub(super) fn targets(&self) -> Vec<String> {
        targets(&self.target)
    }
}

/// Target names, with the set for X written out.
pub(super) fn targets(names: &[String]) -> Vec<String> {
    let mut names = lower(names);
    if let Some(at) = names.iter().position(|n| n == "x") {
        names.splice(at..=at, X.iter().map(|n| (*n).to_owned()));
    }
    names
}

/// Names as they are compared.
pub(super) fn lower(names: &[String]) -> Vec<String> {
    names.iter().map(|n| n.trim_end_matches('.').to_lowercase()).collect()
}

/// What is in a capture, and what it can and cannot show.
#[derive(Debug, ClapArgs)]
pub(super) struct Info {
    /// Captures: pcap or pcapng, plain or compressed with gzip, zstd or xz; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// State the SHA-256 of each file.
    #[arg(long)]
    pub(super) sha256: bool,
    /// When to use colour.
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(super) color: Color,
    /// Show every comment in the file.
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// No progress, no notes.
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// Draw one chart, as SVG or PNG.
#[cfg(feature = "charts")]
#[derive(Debug, ClapArgs)]
pub(super) struct Chart {
    /// A capture: pcap or pcapng, plain or compressed. It is read twice.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// What to draw.
    #[arg(long, short, value_enum)]
    pub(super) kind: ChartKind,
    /// The connection with this number (Wireshark's tcp.stream) in the place of the most telling one.
    #[arg(long, value_name = "N", conflicts_with = "name")]
    pub(super) stream: Option<u64>,
    /// The most telling connection that asked for this name.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Write to this file, which ends in .svg or .png; without it, SVG goes to standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Show addresses; without this, ends are called client A, server 1 and so on.
    #[arg(long)]
    pub(super) show_addresses: bool,
    /// No progress, no notes.
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// Write one page for readers: the findings in plain words, charts, evidence, limits; HTML that needs nothing else.
#[cfg(feature = "charts")]
#[derive(Debug, ClapArgs)]
pub(super) struct Report {
    /// Captures: pcap or pcapng, plain or compressed. Each is read twice.
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Write to this file; without it, the page goes to standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Show addresses and folders; without this, only names.
    #[arg(long)]
    pub(super) show_addresses: bool,
    /// No progress, no notes.
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Take this name, and all under it, for the target; `x` stands for the names of X.
    #[arg(long, value_name = "NAME")]
    pub(super) target: Vec<String>,
    /// Compare with this name only, and with those under it.
    #[arg(long, value_name = "NAME")]
    pub(super) control: Vec<String>,
}

/// The kinds of charts.
#[cfg(feature = "charts")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ChartKind {
    /// Sequence numbers against time: data, ACK line, window, what was sent again, lost or forged, and a cap's line.
    Sequence,
    /// Goodput against time, with the cap and a control.
    Goodput,
    /// TTL or hop limit against time: forged packets stand out.
    Ttl,
    /// Round trips against time.
    Rtt,
    /// Shares of connections by throughput, name by name.
    Ecdf,
    /// What became of connections, name by time.
    Outcomes,
    /// One connection, packet by packet.
    Ladder,
}

/// Explain a finding's code: what it means, what else looks like it, the sources.
#[derive(Debug, ClapArgs)]
pub(super) struct Explain {
    /// A code or name, as RST001 or injected-reset; without one, the list of all.
    pub(super) code: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For a person.
    Text,
    /// One JSON object (schema pinchpoint/1).
    Json,
    /// One JSON object a line.
    Ndjson,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Any finding.
    Possible,
    /// Claims.
    Likely,
    /// Claims that independent evidence carries.
    Confirmed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
