//! `--out DIR`: what `analyze` also writes as files.

use std::io::Write;
use std::path::Path;

use super::error::Error;
use super::input::Inputs;

/// What a build without tables says.
#[cfg(not(feature = "tables"))]
const NO_TABLES: &str = "this program was built without tables\nhelp: build it with them: cargo install --path . --features tables";

#[cfg(not(feature = "tables"))]
pub(super) fn write(_: &Path, _: &Inputs, _: &str, _: bool, _: &mut dyn Write) -> Result<(), Error> {
    Err(Error::Usage(NO_TABLES.to_owned()))
}

/// Writes the tables of each capture into the set in `dir`. Captures without a SHA-256, as those of a pipe, are told and
/// left out.
#[cfg(feature = "tables")]
pub(super) fn write(
    dir: &Path,
    done: &Inputs,
    settings: &str,
    quiet: bool,
    err: &mut dyn Write,
) -> Result<(), Error> {
    use std::io;

    use crate::analysis::Analysis;
    use crate::base::text::Own;
    use crate::table::set::{self, Added};
    use crate::trace::{that_matter, trace};

    for (n, (capture, content)) in done.captures.iter().zip(&done.contents).enumerate() {
        let path = Own(&capture.path).to_string();
        let Some(sha256) = content else {
            let _ = writeln!(err, "note: {path}: a pipe has no place among tables; write it to a file first");
            continue;
        };
        let traces = |a: &Analysis| {
            let wanted = that_matter(a);
            let mut source = done.again(n).map_err(io::Error::other)?;
            Ok(trace(&mut *source, a, &wanted))
        };
        let added = set::add(dir, sha256, settings, capture, traces).map_err(|e| Error::file(dir, e))?;
        if quiet {
            continue;
        }
        let place = set::partition(sha256);
        let _ = match added {
            Added::Written { rows } => {
                writeln!(err, "{path}: {rows} rows in {}/*/{place}", Own(&dir.to_string_lossy()))
            }
            Added::There => writeln!(err, "{path}: its tables are there already ({place})"),
        };
    }
    Ok(())
}
