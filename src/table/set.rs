//! A set of tables over many captures: `DIR/TABLE/capture=ID/part.parquet` and `part.csv`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::findings::Name;
use super::{captures, connections, findings, part, series};
use crate::report::{Capture, names};
use crate::trace::Trace;

/// The tables that hold what was found; `captures` tells which captures are whole.
pub const TABLES: [&str; 5] = ["connections", "findings", "evidence", "names", "series"];
/// The table of the captures themselves.
pub const CAPTURES: &str = "captures";

/// The folder name of a capture within each table.
pub fn partition(sha256: &str) -> String {
    format!("capture={}", id(sha256))
}

/// The id of a capture with this SHA-256; never a number, so that no reader of partitions takes it for one.
fn id(sha256: &str) -> String {
    format!("sha256-{}", sha256.get(..16).unwrap_or(sha256))
}

/// A capture's place in the set.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The folder of the set.
    pub dir: &'a Path,
    /// The hash of the capture's content.
    pub sha256: &'a str,
    /// What was asked of it.
    pub settings: &'a str,
}

impl Place<'_> {
    fn folder(&self, table: &str) -> PathBuf {
        self.dir.join(table).join(partition(self.sha256))
    }

    fn last<'a>(&'a self, id: &'a str, capture: &'a Capture) -> impl Iterator<Item = captures::Row<'a>> {
        std::iter::once(captures::Row {
            capture: id,
            sha256: self.sha256,
            settings: self.settings,
            of: capture,
        })
    }

    /// Whether the capture is there as the same version and the same settings would write it.
    ///
    /// # Errors
    /// What polars gives.
    pub fn has(&self, capture: &Capture) -> io::Result<bool> {
        let (mut parquet, mut csv) = (Vec::new(), Vec::new());
        part::both(&captures::columns(), self.last(&id(self.sha256), capture), &mut parquet, &mut csv)?;
        let whole = TABLES.iter().all(|t| self.folder(t).join("part.parquet").exists());
        Ok(whole && fs::read(self.folder(CAPTURES).join("part.csv")).is_ok_and(|old| old == csv))
    }

    /// Takes the capture out of the set: until [`Self::complete`] it does not have it.
    ///
    /// # Errors
    /// What the system gives.
    pub fn clear(&self) -> io::Result<()> {
        match fs::remove_file(self.folder(CAPTURES).join("part.csv")) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Writes the tables that need no packets; gives the number of their rows.
    ///
    /// # Errors
    /// What the system gives.
    pub fn add_found(&self, capture: &Capture) -> io::Result<u64> {
        let (id, a) = (&id(self.sha256)[..], &capture.analysis);
        let names = names::rows(std::slice::from_ref(capture));
        let names = names.into_iter().map(|row| Name { capture: id, row });
        let rows =
            part::write(&self.folder("connections"), &connections::columns(), connections::rows(id, a))?
                + part::write(&self.folder("findings"), &findings::columns(), findings::rows(id, capture))?
                + part::write(
                    &self.folder("evidence"),
                    &findings::evidence_columns(),
                    findings::evidence_rows(id, capture),
                )?
                + part::write(&self.folder("names"), &findings::name_columns(), names)?;
        Ok(rows)
    }

    /// Writes what the connections that matter carried; gives the number of rows.
    ///
    /// # Errors
    /// What the system gives.
    pub fn add_series(&self, traces: &[Trace]) -> io::Result<u64> {
        let id = &id(self.sha256);
        part::write(&self.folder("series"), &series::columns(), series::rows(id, traces))
    }

    /// Says that the capture is there, once all else of it is; gives the number of rows.
    ///
    /// # Errors
    /// What the system gives.
    pub fn complete(&self, capture: &Capture) -> io::Result<u64> {
        let id = &id(self.sha256);
        part::write(&self.folder(CAPTURES), &captures::columns(), self.last(id, capture))
    }
}
