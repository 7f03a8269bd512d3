//! The program as a process.

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
