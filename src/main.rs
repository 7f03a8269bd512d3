//! The `pinchpoint` program: everything it does is in the library.

use std::io::{BufWriter, Write, stderr, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = BufWriter::with_capacity(1 << 16, stdout().lock());
    let exit = pinchpoint::cli::run_confined(std::env::args_os(), &mut out, &mut stderr());
    // what fails here is a reader that has gone
    let _ = out.flush();
    ExitCode::from(exit.code())
}
