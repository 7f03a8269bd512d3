//! `pinchpoint analyze`.

use std::io::Write;

use super::Exit;
use super::args::{Analyze, Answer, FailOn};
use super::error::Error;
use super::input::Reading;
use super::out;
use super::style::style;
use crate::detect::Level;
use crate::report::text::{self, Options};
use crate::report::{Capture, json, ooni};
use crate::trace::{Trace, that_matter};

pub(super) fn run(args: &Analyze, to: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, Error> {
    let settings = args.compared.settings();
    let threads = settings.threads;
    let sha256 = args.sha256 || args.out.is_some();
    let reading = Reading { files: &args.files, merge: args.merge, sha256, quiet: args.quiet, settings };
    let done = reading.run(err);
    if let Some(dir) = &args.out {
        out::write(dir, &done, args, err)?;
    }
    match args.format {
        Answer::Json => json::write_json(&done.captures, threads, to)?,
        Answer::Ndjson => json::write_ndjson(&done.captures, threads, to)?,
        Answer::Ooni => {
            // where the packets can be read once more, what the connections that matter received is told over time
            let carried = |n: usize| done.traces(n, &[], &that_matter(&done.captures[n].analysis));
            let traces: Vec<Vec<Trace>> = (0..done.captures.len()).map(carried).collect::<Result<_, _>>()?;
            ooni::write(&done.captures, &traces, args.show_addresses, to)?;
        }
        Answer::Text => {
            let options =
                Options { style: style(args.color), addresses: args.show_addresses, verbose: args.verbose };
            text::write(&done.captures, options, to)?;
        }
    }
    to.flush()?;
    let exit = Exit::of(&done.captures, done.failed, found(args.fail_on, &done.captures));
    std::mem::forget(done); // the process ends here, and taking a million rows apart takes time
    Ok(exit)
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
