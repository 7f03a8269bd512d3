//! The command line: the only room that knows arguments, prints, or chooses an exit code.

mod analyze;
mod annotate;
mod args;
mod capture;
#[cfg(feature = "charts")]
mod chart;
mod error;
mod exit;
mod explain;
mod info;
mod input;
mod live;
mod needs;
mod out;
#[cfg(feature = "charts")]
mod picture_args;
#[cfg(feature = "charts")]
mod pictures;
mod progress;
#[cfg(feature = "charts")]
mod report;
mod style;
#[cfg(feature = "tables")]
mod summarize;

use std::ffi::OsString;
use std::io::Write;

use clap::Parser;

pub use exit::Exit;

use crate::live::confine::confine;
use args::{Args, Command};

/// Runs the program: what tests call. Data goes to `out`, all else to `err`.
pub fn run(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    run_with(args, false, out, err)
}

/// Runs the program in a process that has nothing else to do, and gives up what the command does not need of it: what
/// `main` calls.
pub fn run_confined(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    run_with(args, true, out, err)
}

fn run_with(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    confined: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(e) => return exit::clap(&e, out, err),
    };
    if let Some(needs) = needs::of(&args.command).filter(|_| confined) {
        confine(&needs);
    }
    let done = match &args.command {
        Command::Analyze(a) => analyze::run(a, out, err),
        Command::Info(i) => info::run(i, out, err),
        Command::Annotate(a) => annotate::run(a, err),
        #[cfg(feature = "tables")]
        Command::Summarize(s) => summarize::run(s, out, err),
        #[cfg(feature = "charts")]
        Command::Chart(c) => chart::run(c, out, err),
        #[cfg(feature = "charts")]
        Command::Report(r) => report::run(r, out, err),
        Command::Capture(c) => capture::run(c, out, err),
        Command::Live(l) => live::run(l, out, err),
        Command::Explain(e) => explain::run(e, out),
    };
    match done {
        Ok(exit) => exit,
        Err(e) => e.report(err),
    }
}
