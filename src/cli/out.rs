//! `--out DIR`: what `analyze` also writes as files: tables, and charts and the report where the program has them.

use std::io::Write;
use std::path::Path;

use super::args::Analyze;
use super::error::Error;
use super::input::Inputs;
#[cfg(feature = "tables")]
use crate::base::text::Own;
#[cfg(feature = "tables")]
use crate::table::set::{self, Place};
#[cfg(feature = "tables")]
use crate::trace::{Trace, that_matter};

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
            let draw = |traces: &[Trace]| plan.draw(traces, args.show_addresses);
            pictures.push(tables(dir, done, n, &plan.places(), draw, args, err)?);
        }
        #[cfg(not(feature = "charts"))]
        tables(dir, done, n, &[], |_| (), args, err)?;
    }
    #[cfg(feature = "charts")]
    super::pictures::write(dir, done, &pictures, &command(args, dir), args.show_addresses)?;
    Ok(())
}

/// Writes the tables of the nth capture into the set in `dir`, and gives what `draw` makes of the traces of the connections at
/// the places `drawn`. What needs no packets is written by another thread, while this one reads them.
/// A capture without a SHA-256, as one of a pipe, is told and has no tables.
#[cfg(feature = "tables")]
fn tables<T>(
    dir: &Path,
    done: &Inputs,
    n: usize,
    drawn: &[usize],
    draw: impl FnOnce(&[Trace]) -> T,
    args: &Analyze,
    err: &mut dyn Write,
) -> Result<T, Error> {
    let capture = &done.captures[n];
    let path = Own(&capture.path).to_string();
    let Some(sha256) = done.contents.get(n).and_then(Option::as_ref) else {
        let _ = writeln!(err, "note: {path}: a pipe has no place among tables; write it to a file first");
        return Ok(draw(&[]));
    };
    let settings = args.compared.words();
    let place = Place { dir, sha256, settings: &settings };
    let failed = |e| Error::file(dir, e);
    let partition = set::partition(sha256);
    if place.has(capture).map_err(failed)? {
        if !args.quiet {
            let _ = writeln!(err, "{path}: its tables are there already ({partition})");
        }
        return Ok(draw(&done.traces(n, drawn, &[])?));
    }
    place.clear().map_err(failed)?;
    let (made, rows) = std::thread::scope(|scope| -> Result<_, Error> {
        let found = scope.spawn(|| place.add_found(capture));
        let traces = done.traces(n, drawn, &that_matter(&capture.analysis))?;
        let series = place.add_series(&traces).map_err(failed)?;
        let made = draw(&traces);
        let found = found.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((made, series + found.map_err(failed)?))
    })?;
    let rows = rows + place.complete(capture).map_err(failed)?;
    if !args.quiet {
        let _ = writeln!(err, "{path}: {rows} rows in {}/*/{partition}", Own(&dir.to_string_lossy()));
    }
    Ok(made)
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
