//! The table `captures`: one row a capture, written last, so that a set without it is not whole.

use super::column::Kind::{Count, Flag, Text, Time};
use super::column::{Column, column};
use crate::base::Timestamp;
use crate::report::Capture;

/// A row.
pub(super) struct Row<'a> {
    /// The capture's id.
    pub(super) capture: &'a str,
    /// Its SHA-256.
    pub(super) sha256: &'a str,
    /// How it was analysed.
    pub(super) settings: &'a str,
    /// What was found.
    pub(super) of: &'a Capture,
}

/// The columns.
pub(super) fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        column("capture", Text, "as in `connections`", |r| r.capture.into()),
        column("sha256", Text, "SHA-256 of the file; of several merged, that of their hashes", |r| {
            r.sha256.into()
        }),
        column("path", Text, "the path as it was given", |r| r.of.path.as_str().into()),
        column("tool_version", Text, "version of pinchpoint", |_| env!("CARGO_PKG_VERSION").into()),
        column("settings", Text, "what was compared, and the limit of connections", |r| r.settings.into()),
        column("packets", Count, "packets read", |r| r.of.analysis.counts.frames.into()),
        column("bytes", Count, "bytes that they had on the wire", |r| r.of.analysis.counts.wire_bytes.into()),
        column("first", Time, "time of the earliest packet", |r| {
            r.of.analysis.counts.earliest.map(Timestamp::ns).into()
        }),
        column("last", Time, "time of the latest", |r| r.of.analysis.counts.last.map(Timestamp::ns).into()),
        column("truncated", Flag, "whether the file is cut or damaged", |r| {
            r.of.analysis.is_partial().into()
        }),
        column("kernel_dropped", Count, "packets lost while capturing, as the file says", |r| {
            r.of.kernel_dropped().into()
        }),
        column("connections", Count, "rows in `connections`", |r| {
            (r.of.analysis.verdicts.len() as u64).into()
        }),
        column("findings", Count, "rows in `findings`", |r| (r.of.analysis.findings.len() as u64).into()),
    ]
}
