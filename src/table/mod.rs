//! Tables of polars: what is found in captures as Parquet and CSV, and questions over many captures. Decides nothing.
//!
//! A set of tables is a folder, `DIR/TABLE/capture=ID/part.parquet` and `part.csv`, to which each capture adds its own
//! parts; the id is the content's, so that the same capture has one place. `docs/tables.md` is the dictionary.

mod captures;
mod column;
mod connections;
pub mod dictionary;
mod findings;
mod inert;
mod part;
mod series;
pub mod set;
pub mod show;
pub mod summarize;
