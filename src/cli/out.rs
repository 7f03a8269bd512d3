//! `--out DIR`: what `analyze` also writes as files: tables, and charts and the report where the program has them.

use std::io::Write;
use std::path::Path;

use super::args::Analyze;
use super::error::Error;
use super::input::Inputs;

/// What a build without tables says.
#[cfg(not(feature = "tables"))]
const NO_TABLES: &str = "this program was built without tables\nhelp: build it with them: cargo install --path . --features tables";

#[cfg(not(feature = "tables"))]
pub(super) fn write(_: &Path, _: &Inputs, _: &Analyze, _: &mut dyn Write) -> Result<(), Error> {
    Err(Error::Usage(NO_TABLES.to_owned()))
}

/// Writes into `dir`; each capture is read once more, for all that needs its packets.
#[cfg(feature = "tables")]
pub(super) fn write(dir: &Path, done: &Inputs, args: &Analyze, err: &mut dyn Write) -> Result<(), Error> {
    #[cfg(feature = "charts")]
    let mut pictures = Vec::new();
    for n in 0..done.captures.len() {
        #[cfg(feature = "charts")]
        {
            let plan = super::pictures::Plan::new(done, n);
            let traces = tables(dir, done, n, &plan.places(), args, err)?;
            pictures.push(plan.draw(&traces, args.show_addresses));
        }
        #[cfg(not(feature = "charts"))]
        tables(dir, done, n, &[], args, err)?;
    }
    #[cfg(feature = "charts")]
    super::pictures::write(dir, done, &pictures, &command(args, dir), args.show_addresses)?;
    Ok(())
}

/// Writes the tables of the nth capture into the set in `dir`, and gives the traces of the connections at the places `drawn`.
/// A capture without a SHA-256, as one of a pipe, is told and left out.
#[cfg(feature = "tables")]
fn tables(
    dir: &Path,
    done: &Inputs,
    n: usize,
    drawn: &[usize],
    args: &Analyze,
    err: &mut dyn Write,
) -> Result<Vec<crate::trace::Trace>, Error> {
    use crate::base::text::Own;
    use crate::table::set::{self, Place};
    use crate::trace::that_matter;

    let (Some(capture), Some(content)) = (done.captures.get(n), done.contents.get(n)) else {
        return Ok(Vec::new());
    };
    let path = Own(&capture.path).to_string();
    let Some(sha256) = content else {
        let _ = writeln!(err, "note: {path}: a pipe has no place among tables; write it to a file first");
        return Ok(Vec::new());
    };
    let settings = args.compared.words();
    let place = Place { dir, sha256, settings: &settings };
    let failed = |e| Error::file(dir, e);
    let is_there = place.has(capture).map_err(failed)?;
    let counted = if is_there { Vec::new() } else { that_matter(&capture.analysis) };
    let traces = done.traces(n, drawn, &counted)?;
    let partition = set::partition(sha256);
    if is_there {
        if !args.quiet {
            let _ = writeln!(err, "{path}: its tables are there already ({partition})");
        }
        return Ok(traces);
    }
    let rows = set::add(place, capture, &traces).map_err(failed)?;
    if !args.quiet {
        let _ = writeln!(err, "{path}: {rows} rows in {}/*/{partition}", Own(&dir.to_string_lossy()));
    }
    Ok(traces)
}

/// The command that makes the folder's report again.
#[cfg(all(feature = "charts", feature = "tables"))]
fn command(args: &Analyze, dir: &Path) -> String {
    let merge = args.merge.then_some(("--merge", None));
    super::pictures::Command {
        name: "analyze",
        files: &args.files,
        flags: merge.into_iter().chain(args.compared.named.flags()).collect(),
        output: Some(("--out", dir)),
        addresses: args.show_addresses,
    }
    .line()
}
