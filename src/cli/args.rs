//! The command line as it was typed; nothing is opened here.

use std::path::PathBuf;

use crate::analysis::Settings;
use crate::detect::name::{Names, X};
use crate::flow::table::Limits;
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
    Annotate(Annotate),
    Summarize(Summarize),
    Explain(Explain),
}

/// Analyse captures: a verdict for each connection and each name.
#[derive(Debug, ClapArgs)]
pub(super) struct Analyze {
    /// Captures: pcap or pcapng, plain or compressed with gzip, zstd or xz; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t = Answer::Text)]
    pub(super) format: Answer,
    /// Also write tables (Parquet and CSV) into this folder; captures add up there.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
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
    /// Show addresses in the text, and the client's in OONI's format; without this, only names.
    #[arg(long)]
    pub(super) show_addresses: bool,
    /// Show every connection in the text, not only those with findings.
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// No progress, no notes.
    #[arg(long, short)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) compared: Compared,
}

/// What is compared, and how much is followed.
#[derive(Debug, ClapArgs)]
pub(super) struct Compared {
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

impl Compared {
    /// The target names, with the set for X written out.
    fn targets(&self) -> Vec<String> {
        let mut names = lower(&self.target);
        if let Some(at) = names.iter().position(|n| n == "x") {
            names.splice(at..=at, X.iter().map(|n| (*n).to_owned()));
        }
        names
    }

    /// What decides the answer beside the capture, in words that tell two ways apart.
    pub(super) fn words(&self) -> String {
        let (targets, controls) = (self.targets().join(" "), lower(&self.control).join(" "));
        format!("target={targets}; control={controls}; max-connections={}", self.max_connections)
    }

    /// How to analyse.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            limits: Limits { connections: self.max_connections as usize },
            names: Names { targets: self.targets(), controls: lower(&self.control) },
        }
    }
}

/// Names as they are compared.
fn lower(names: &[String]) -> Vec<String> {
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

/// Write a capture again as pcapng, with the findings as comments on the packets that decide them.
#[derive(Debug, ClapArgs)]
pub(super) struct Annotate {
    /// A capture: pcap or pcapng, plain or compressed with gzip, zstd or xz.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Where to write the copy.
    #[arg(long, short, value_name = "OUT.pcapng")]
    pub(super) output: PathBuf,
    /// Keep only the connections with findings and those they are held against, as evidence to hand on.
    #[arg(long)]
    pub(super) only_findings: bool,
    /// No progress, no notes.
    #[arg(long, short)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) compared: Compared,
}

/// Answer over all captures whose tables `analyze --out` wrote into a folder.
#[derive(Debug, ClapArgs)]
pub(super) struct Summarize {
    /// The folder.
    #[arg(value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// What the rows are.
    #[arg(long, value_enum, default_value_t = Grouped::Name)]
    pub(super) by: Grouped,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t = Shape::Text)]
    pub(super) format: Shape,
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
pub(super) enum Answer {
    /// For a person.
    Text,
    /// One JSON object (schema pinchpoint/1).
    Json,
    /// One JSON object a line.
    Ndjson,
    /// One line a connection, in OONI's data format.
    Ooni,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Grouped {
    /// Names asked for.
    Name,
    /// Networks of servers.
    Network,
    /// Hours.
    Hour,
    /// What was done.
    Mechanism,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shape {
    /// For a person.
    Text,
    /// For a spreadsheet.
    Csv,
    /// For a program.
    Json,
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
