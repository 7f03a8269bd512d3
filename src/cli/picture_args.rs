//! The arguments of the commands that draw.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::args::Named;
use crate::chart::Kind;

/// Draw one chart, as SVG or PNG.
#[derive(Debug, ClapArgs)]
pub(super) struct Chart {
    /// A capture: pcap or pcapng, plain or compressed. It is read twice.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// What to draw.
    #[arg(long, short, value_enum)]
    pub(super) kind: Kind,
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
    #[command(flatten)]
    pub(super) named: Named,
}
