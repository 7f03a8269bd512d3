//! `pinchpoint info`.

use std::io::Write;

use super::Exit;
use super::args::{Format, Info};
use super::error::Error;
use super::input::Reading;
use super::style::style;
use crate::analysis::Settings;
use crate::report::json;
use crate::report::text::{self, Options};

pub(super) fn run(args: &Info, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, Error> {
    let reading = Reading {
        files: &args.files,
        merge: false,
        sha256: args.sha256,
        quiet: args.quiet,
        settings: Settings::default(),
    };
    let done = reading.run(err);
    match args.format {
        Format::Text => {
            let options = Options { style: style(args.color), addresses: false, verbose: args.verbose };
            text::write_info(&done.captures, options, out)?;
        }
        Format::Json => json::write_info(&done.captures, out)?,
        Format::Ndjson => json::write_info_lines(&done.captures, out)?,
    }
    out.flush()?;
    Ok(Exit::of(&done.captures, done.failed, false))
}
