//! The command line as it was typed; nothing is opened here.

use std::path::PathBuf;
use std::time::Duration;

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
    #[cfg(feature = "tables")]
    Summarize(Summarize),
    #[cfg(feature = "charts")]
    Chart(super::picture_args::Chart),
    #[cfg(feature = "charts")]
    Report(super::picture_args::Report),
    Capture(Capture),
    Live(Live),
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

/// Which names are compared.
#[derive(Debug, ClapArgs)]
pub(super) struct Named {
    /// Take this name, and all under it, for the target; `x` stands for the names of X. Several are one target together.
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// Compare with this name only, and with those under it.
    #[arg(long, value_name = "NAME")]
    control: Vec<String>,
}

impl Named {
    /// The names as they are compared.
    pub(super) fn names(&self) -> Names {
        Names { targets: targets(&self.target), controls: lower(&self.control) }
    }

    /// The flags that say them again.
    #[cfg(feature = "charts")]
    pub(super) fn flags(&self) -> Vec<(&'static str, Option<String>)> {
        let targets = self.target.iter().map(|n| ("--target", Some(n.clone())));
        targets.chain(self.control.iter().map(|n| ("--control", Some(n.clone())))).collect()
    }
}

/// What is compared, and how much is followed.
#[derive(Debug, ClapArgs)]
pub(super) struct Compared {
    #[command(flatten)]
    pub(super) named: Named,
    /// The most connections that are followed at one time.
    #[arg(long, default_value_t = 262_144, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    pub(super) max_connections: u32,
    /// Threads that work; the answer is the same for any number [default: as many as there are processors].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: Option<u16>,
}

impl Compared {
    /// What decides the answer beside the capture, in words that tell two ways apart.
    #[cfg(feature = "tables")]
    pub(super) fn words(&self) -> String {
        let Names { targets, controls } = self.named.names();
        let (targets, controls) = (targets.join(" "), controls.join(" "));
        format!("target={targets}; control={controls}; max-connections={}", self.max_connections)
    }

    /// How to analyse.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            limits: Limits { connections: self.max_connections as usize },
            names: self.named.names(),
            threads: self.threads.map_or_else(processors, usize::from),
        }
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The target names, with the set for X written out.
fn targets(names: &[String]) -> Vec<String> {
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
#[cfg(feature = "tables")]
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
    /// Also draw it as bars into this file, which ends in .svg or .png.
    #[cfg(feature = "charts")]
    #[arg(long, value_name = "FILE")]
    pub(super) chart: Option<PathBuf>,
}

/// What is recorded, and how; the letters are those of tcpdump.
#[derive(Debug, ClapArgs)]
pub(super) struct Recording {
    /// Record from this interface.
    #[arg(short, long, value_name = "IF")]
    pub(super) interface: Option<String>,
    /// Take at most this many bytes of each packet.
    #[arg(short, long, value_name = "BYTES", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(64..=262_144))]
    pub(super) snaplen: u32,
    /// End after this many packets.
    #[arg(short, long, value_name = "N")]
    pub(super) count: Option<u64>,
    /// End after this time, as 90, 90s, 5m, 2h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) duration: Option<Duration>,
    /// Begin another file before one grows beyond this: millions of bytes, or with k, M, G (of 1,024) or B for bytes.
    #[arg(short = 'C', long, value_name = "SIZE", value_parser = file_size)]
    pub(super) file_size: Option<u64>,
    /// Begin another file after this time.
    #[arg(short = 'G', long, value_name = "TIME", value_parser = duration)]
    pub(super) rotate: Option<Duration>,
    /// Keep the newest files only, this many (with -C or -G).
    #[arg(short = 'W', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) files: Option<u32>,
    /// Record everything: all protocols, all payload up to the snaplen. Without this, only IP, of each direction of a
    /// conversation the first 64 KiB of payload, and of what follows the headers and 64 bytes.
    #[arg(long)]
    pub(super) all: bool,
    /// Take packets that are meant for other hosts too.
    #[arg(long)]
    pub(super) promiscuous: bool,
    /// Take only packets of this host: what happens without --promiscuous; here for those who type it.
    #[arg(short = 'p', conflicts_with = "promiscuous")]
    pub(super) not_promiscuous: bool,
    /// List the interfaces.
    #[arg(short = 'D', long)]
    pub(super) list_interfaces: bool,
    /// Which packets: tcpdump's filter language (man pcap-filter).
    #[arg(value_name = "FILTER")]
    pub(super) filter: Vec<String>,
}

/// Record packets into a pcapng file, or into a ring of them.
///
/// Ends with -c, --duration, SIGINT or SIGTERM; SIGUSR1 prints the counters. A file that is there is never written over.
#[derive(Debug, ClapArgs)]
pub(super) struct Capture {
    /// Write to this file; `-` is standard output. With -C or -G, numbers go before its extension.
    #[arg(short, long, value_name = "FILE", required_unless_present = "list_interfaces")]
    pub(super) write: Option<PathBuf>,
    #[command(flatten)]
    pub(super) recording: Recording,
}

/// Record and analyse at once: findings as they happen, on a screen or as lines, and at the end what `analyze` says.
///
/// With -i, packets come from an interface; with -r, from a file or from a pipe: tcpdump -i IF -U -w - | pinchpoint live -r -
#[derive(Debug, ClapArgs)]
pub(super) struct Live {
    /// Read packets from this capture instead; `-` is standard input.
    #[arg(short, long, value_name = "FILE", conflicts_with = "interface", required_unless_present_any = ["interface", "list_interfaces"])]
    pub(super) read: Option<PathBuf>,
    /// Write what is recorded to this file too.
    #[arg(short, long, value_name = "FILE", requires = "interface")]
    pub(super) write: Option<PathBuf>,
    /// How to print; without this, a screen on a terminal with text at the end, and NDJSON elsewhere.
    #[arg(long, value_enum)]
    pub(super) format: Option<LiveFormat>,
    /// Exit with 1 if there is a finding at this level or above at the end.
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(super) fail_on: Option<FailOn>,
    /// When to use colour.
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(super) color: Color,
    /// Show addresses in the text; without this, only names.
    #[arg(long)]
    pub(super) show_addresses: bool,
    /// Show every connection in the text at the end.
    #[arg(long, short)]
    pub(super) verbose: bool,
    #[command(flatten)]
    pub(super) named: Named,
    /// The most connections that are followed at one time.
    #[arg(long, default_value_t = 65_536, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    pub(super) max_connections: u32,
    #[command(flatten)]
    pub(super) recording: Recording,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LiveFormat {
    /// A screen; at the end, text.
    Screen,
    /// A line of text a finding; at the end, text.
    Text,
    /// One JSON object a line.
    Ndjson,
}

/// A time: seconds, or a number with s, m, h or d.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix(|c: char| c.is_ascii_alphabetic()) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("units are s, m, h and d".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "it is no number with s, m, h or d".to_owned())?;
    // longer than a thousand years is as good as for ever
    match number.checked_mul(seconds) {
        Some(s @ 1..=31_536_000_000) => Ok(Duration::from_secs(s)),
        _ => Err("it must be at least a second, and less than a thousand years".to_owned()),
    }
}

/// The size of a file: tcpdump's units, and B for bytes.
fn file_size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix(|c: char| c.is_ascii_alphabetic()) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "millions"),
    };
    let unit = match unit {
        "millions" => 1_000_000,
        "B" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return Err("units are k, M, G, and B for bytes; without one, millions of bytes".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "it is no whole number with k, M, G or B".to_owned())?;
    number
        .checked_mul(unit)
        .filter(|n| *n > 0)
        .ok_or_else(|| "it must lie between 1 byte and 16 EiB".to_owned())
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

#[cfg(feature = "tables")]
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

#[cfg(feature = "tables")]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read() {
        assert_eq!(
            ["10", "64k", "2M", "65536B"].map(|t| file_size(t).unwrap()),
            [10_000_000, 65_536, 2 << 20, 65_536]
        );
        assert_eq!(["90", "5m", "2h"].map(|t| duration(t).unwrap().as_secs()), [90, 300, 7200]);
        for wrong in ["", "k", "1.5", "-1", "0", "7x", "99999999999999999999G", "5é"] {
            assert!(file_size(wrong).is_err() && duration(wrong).is_err(), "{wrong}");
        }
    }
}
