//! The data dictionary, `docs/tables.md`, out of the columns themselves.

use std::fmt::Write as _;

use super::column::Column;
use super::{captures, connections, findings, series};

/// The dictionary in Markdown; a test holds the file to it.
pub fn markdown() -> String {
    let mut out = String::from(HEAD);
    table(
        &mut out,
        "captures",
        "One row a capture, written last: a capture that is not here is not whole.",
        &captures::columns(),
    );
    table(&mut out, "connections", "One row a connection.", &connections::columns());
    table(&mut out, "findings", "One row a finding.", &findings::columns());
    table(
        &mut out,
        "evidence",
        "One row for everything that was weighed for or against a finding.",
        &findings::evidence_columns(),
    );
    table(&mut out, "names", "One row a name that was asked for.", &findings::name_columns());
    table(
        &mut out,
        "series",
        "One row a direction and bin of time, of the connections that matter: those with findings and those they are held against (4,096 at most).",
        &series::columns(),
    );
    out
}

const HEAD: &str = "# Tables

`pinchpoint analyze --out DIR FILE…` writes what it finds as Parquet (zstd, repeated text as a dictionary) and CSV, the
same columns in both: `DIR/TABLE/capture=ID/part.parquet` and `part.csv`. Captures add up in one `DIR`: each has its place
by its content, and one that is there already is left alone. `pinchpoint summarize DIR` asks questions over all of them;
polars, DuckDB, pandas and Spark read the folders as partitioned tables.

What is unknown is null, never 0. Moments are nanoseconds in UTC, in CSV as RFC 3339. Frames and streams are Wireshark's
numbers within the capture. The tables have addresses: treat them like the capture itself. In CSV, text that a spreadsheet
would take for a formula has an apostrophe before it, and characters that act unseen are written as `\\u{…}`; Parquet has
them as they were.

This page is made from the code (`cargo test --test tables` compares; with `PINCHPOINT_BLESS=1` it writes).
";

fn table<R>(out: &mut String, name: &str, about: &str, columns: &[Column<R>]) {
    let _ = write!(out, "\n## {name}\n\n{about}\n\n| column | type | meaning |\n|---|---|---|\n");
    for c in columns {
        let _ = writeln!(out, "| `{}` | {} | {} |", c.name, c.kind.name(), c.about); // a string takes all
    }
}
