//! The program: as a process, and within the test.

#![allow(clippy::unwrap_used, dead_code)]

use std::process::{Child, Command, Output, Stdio};

/// The program with these arguments, not yet run.
pub(crate) fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinchpoint"));
    command.args(args).env_remove("CLICOLOR_FORCE");
    command
}

/// What it does with these arguments.
pub(crate) fn run(args: &[&str]) -> Output {
    program(args).output().unwrap()
}

/// The program at work, with pipes for what it reads and what it prints.
pub(crate) fn piped(args: &[&str]) -> Child {
    program(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// What it does within the test's own process: its exit code and both streams.
pub(crate) fn within(args: &[&str]) -> (u8, String, String) {
    let (code, out, err) = bytes_within(args);
    (code, String::from_utf8(out).unwrap(), err)
}

/// The same, of a command that may print other things than text.
pub(crate) fn bytes_within(args: &[&str]) -> (u8, Vec<u8>, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let all = std::iter::once("pinchpoint").chain(args.iter().copied());
    let exit = pinchpoint::cli::run(all, &mut out, &mut err);
    (exit.code(), out, String::from_utf8(err).unwrap())
}
