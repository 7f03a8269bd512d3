//! The `pinchpoint` program: everything it does is in the library.

use std::io::{BufWriter, Write, stderr, stdout};
use std::process::ExitCode;

/// Connections come and go in any order, and much of a packet's cost is memory that is given and taken back.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut out = BufWriter::with_capacity(1 << 16, stdout().lock());
    let exit = pinchpoint::cli::run_confined(std::env::args_os(), &mut out, &mut stderr());
    // what fails here is a reader that has gone
    let _ = out.flush();
    ExitCode::from(exit.code())
}
