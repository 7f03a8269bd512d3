//! The command line: the only room that knows arguments, prints, or chooses an exit code.

mod analyze;
mod args;
mod capture;
mod error;
mod exit;
mod explain;
mod info;
mod input;
mod live;
mod progress;
mod style;

use std::ffi::OsString;
use std::io::Write;

use clap::Parser;

pub use exit::Exit;

use args::{Args, Command};

/// Runs the program: what `main` calls, and what tests call. Data goes to `out`, all else to `err`.
pub fn run(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(e) => return exit::clap(&e, out, err),
    };
    let done = match &args.command {
        Command::Analyze(a) => analyze::run(a, out, err),
        Command::Info(i) => info::run(i, out, err),
        Command::Capture(c) => capture::run(c, out, err),
        Command::Live(l) => live::run(l, out, err),
        Command::Explain(e) => explain::run(e, out),
    };
    match done {
        Ok(exit) => exit,
        Err(e) => e.report(err),
    }
}
