//! One table of one capture: `part.parquet` and `part.csv`, written in batches of rows.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use polars::prelude::{CsvWriter, ParquetCompression, ParquetWriter, SerWriter};

use super::column::{Column, as_text, frame};
use crate::base::replace::write_whole;

/// Rows that are turned into columns at once: a row group of Parquet.
const BATCH: usize = 1 << 14;

/// Writes both files into a folder, which is made.
pub(super) fn write<R>(
    folder: &Path,
    columns: &[Column<R>],
    rows: impl Iterator<Item = R>,
) -> io::Result<u64> {
    fs::create_dir_all(folder)?;
    let mut written = 0;
    write_whole(&folder.join("part.parquet"), |parquet| {
        write_whole(&folder.join("part.csv"), |csv| {
            written = both(columns, rows, parquet, csv)?;
            Ok(())
        })
    })?;
    Ok(written)
}

/// The rows as Parquet and as CSV.
pub(super) fn both<R>(
    columns: &[Column<R>],
    mut rows: impl Iterator<Item = R>,
    parquet: impl Write + Send,
    mut csv: impl Write,
) -> io::Result<u64> {
    let schema = frame(columns, &[]).map_err(other)?;
    let mut parquet = ParquetWriter::new(parquet)
        .with_compression(ParquetCompression::Zstd(None))
        .set_parallel(false)
        .batched(schema.schema())
        .map_err(other)?;
    let (mut batch, mut first, mut written) = (Vec::new(), true, 0);
    loop {
        batch.clear();
        batch.extend(rows.by_ref().take(BATCH));
        if batch.is_empty() && !first {
            break;
        }
        written += batch.len() as u64;
        let cells = frame(columns, &batch).map_err(other)?;
        let mut text = as_text(columns, &cells).map_err(other)?;
        CsvWriter::new(&mut csv).include_header(first).n_threads(1).finish(&mut text).map_err(other)?;
        parquet.write_batch(&cells).map_err(other)?;
        first = false;
    }
    parquet.finish().map_err(other)?;
    Ok(written)
}

/// An error of polars, where one of the system is told.
pub(super) fn other(e: polars::prelude::PolarsError) -> io::Error {
    match e {
        polars::prelude::PolarsError::IO { error, .. } => io::Error::new(error.kind(), error.to_string()),
        e => io::Error::other(e.to_string()),
    }
}
