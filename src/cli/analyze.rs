//! `pinchpoint analyze`.

use std::io::Write;

use super::Exit;
use super::args::{Analyze, FailOn, Format, lower, targets};
use super::error::Error;
use super::input::Reading;
use super::style::style;
use crate::analysis::Settings;
use crate::detect::Level;
use crate::detect::name::Names;
use crate::flow::table::Limits;
use crate::report::text::{self, Options};
use crate::report::{Capture, json};

pub(super) fn run(args: &Analyze, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, Error> {
    let settings = Settings {
        limits: Limits { connections: args.max_connections as usize },
        names: Names { targets: targets(&args.target), controls: lower(&args.control) },
    };
    let reading =
        Reading { files: &args.files, merge: args.merge, sha256: args.sha256, quiet: args.quiet, settings };
    let done = reading.run(err);
    match args.format {
        Format::Json => json::write_json(&done.captures, out)?,
        Format::Ndjson => json::write_ndjson(&done.captures, out)?,
        Format::Text => {
            let options =
                Options { style: style(args.color), addresses: args.show_addresses, verbose: args.verbose };
            text::write(&done.captures, options, out)?;
        }
    }
    out.flush()?;
    Ok(Exit::of(&done.captures, done.failed, found(args.fail_on, &done.captures)))
}

/// Whether there is a finding at the level that `--fail-on` names, or above.
pub(super) fn found(fail_on: Option<FailOn>, captures: &[Capture]) -> bool {
    let floor = fail_on.map(|l| match l {
        FailOn::Possible => Level::Possible,
        FailOn::Likely => Level::Likely,
        FailOn::Confirmed => Level::Confirmed,
    });
    floor.is_some_and(|floor| captures.iter().flat_map(|c| &c.analysis.findings).any(|f| f.level >= floor))
}
