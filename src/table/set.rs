//! A set of tables over many captures: `DIR/TABLE/capture=ID/part.parquet` and `part.csv`.

use std::fs;
use std::io;
use std::path::Path;

use super::findings::Name;
use super::{captures, connections, findings, part, series};
use crate::analysis::Analysis;
use crate::report::{Capture, names};
use crate::trace::Trace;

/// The tables that hold what was found; `captures` tells which captures are whole.
pub const TABLES: [&str; 5] = ["connections", "findings", "evidence", "names", "series"];
/// The table of the captures themselves.
pub const CAPTURES: &str = "captures";

/// What adding a capture came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// Its tables were written.
    Written {
        /// Rows in all of them.
        rows: u64,
    },
    /// They were there, and the same.
    There,
}

/// The folder name of a capture within each table.
pub fn partition(sha256: &str) -> String {
    format!("capture={}", id(sha256))
}

/// The id of a capture with this SHA-256; never a number, so that no reader of partitions takes it for one.
fn id(sha256: &str) -> String {
    format!("sha256-{}", sha256.get(..16).unwrap_or(sha256))
}

/// Adds a capture to the set in `dir`, unless it is there as the same version and the same settings would write it. Only
/// if it is not are the `traces` asked for of the connections that matter: the capture is read again for them.
///
/// # Errors
/// What the system gives.
pub fn add(
    dir: &Path,
    sha256: &str,
    settings: &str,
    capture: &Capture,
    traces: impl FnOnce(&Analysis) -> io::Result<Vec<Trace>>,
) -> io::Result<Added> {
    let (id, partition) = (&id(sha256)[..], partition(sha256));
    let folder = |table: &str| dir.join(table).join(&partition);
    let last = || std::iter::once(captures::Row { capture: id, sha256, settings, of: capture });
    let (mut parquet, mut csv) = (Vec::new(), Vec::new());
    part::both(&captures::columns(), last(), &mut parquet, &mut csv)?;
    let there = TABLES.iter().all(|t| folder(t).join("part.parquet").exists());
    if there && fs::read(folder(CAPTURES).join("part.csv")).is_ok_and(|old| old == csv) {
        return Ok(Added::There);
    }
    // until the new parts are whole, the set does not have this capture
    match fs::remove_file(folder(CAPTURES).join("part.csv")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let a = &capture.analysis;
    let traces = traces(a)?;
    let names = names::rows(std::slice::from_ref(capture)).into_iter().map(|row| Name { capture: id, row });
    let rows = part::write(&folder("connections"), &connections::columns(), connections::rows(id, a))?
        + part::write(&folder("findings"), &findings::columns(), findings::rows(id, capture))?
        + part::write(
            &folder("evidence"),
            &findings::evidence_columns(),
            findings::evidence_rows(id, capture),
        )?
        + part::write(&folder("names"), &findings::name_columns(), names)?
        + part::write(&folder("series"), &series::columns(), series::rows(id, &traces))?
        + part::write(&folder(CAPTURES), &captures::columns(), last())?;
    Ok(Added::Written { rows })
}
