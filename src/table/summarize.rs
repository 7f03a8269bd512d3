//! Questions over a whole set, with polars' lazy engine.
//!
//! Each part is asked by itself and gives a few rows, and those are asked again: memory is bounded by the answer and by
//! the few columns of one part, however many captures there are.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use polars::prelude::{
    DataFrame, DataType, Expr, IntoLazy, LazyFrame, ParquetReader, PolarsResult, SerReader,
    SortMultipleOptions, UnionArgs, col, concat, len, lit,
};

use super::part::other;
use super::set::CAPTURES;
use crate::base::Timestamp;

/// Answers are put together after so many parts.
const TOGETHER: usize = 64;

/// Nanoseconds of an hour.
const HOUR: i64 = 3_600_000_000_000;

/// What the rows of the answer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Names asked for.
    Name,
    /// Networks of servers.
    Network,
    /// Hours in which connections began.
    Hour,
    /// What findings say was done.
    Mechanism,
}

/// The answer.
#[derive(Debug)]
pub struct Answer {
    /// What its rows are.
    pub by: By,
    /// Captures that it is about.
    pub captures: usize,
    /// Captures whose tables are not whole, left out.
    pub unfinished: usize,
    /// The rows, worst first; hours in order.
    pub rows: DataFrame,
}

/// What a chart shows of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The name, the network, or the code and what was done; `None` where that is not known.
    pub label: Option<String>,
    /// The hour.
    pub at: Option<Timestamp>,
    /// Connections interfered with, inconclusive and clean; of mechanisms, findings confirmed, likely and possible.
    pub counts: [u64; 3],
}

impl Answer {
    /// What a chart shows of its rows.
    pub fn shares(&self) -> Vec<Share> {
        let (labels, counts): (&[&str], _) = match self.by {
            By::Name => (&["name"], VERDICTS),
            By::Network => (&["network"], VERDICTS),
            By::Hour => (&[], VERDICTS),
            By::Mechanism => (&["code", "mechanism"], LEVELS),
        };
        let cell = |column: &str, row: usize| self.rows.column(column).and_then(|c| c.get(row));
        let text = |column: &&str, row| Some(cell(column, row).ok()?.get_str()?.replace('_', " "));
        let number = |column: &str, row| cell(column, row).ok()?.extract::<u64>();
        let share = |row| Share {
            label: labels
                .iter()
                .map(|c| text(c, row))
                .reduce(|a, b| Some(format!("{} {}", a?, b?)))
                .flatten(),
            at: cell("hour", row).ok().and_then(|c| c.extract()).map(Timestamp::from_ns),
            counts: counts.map(|c| number(c, row).unwrap_or(0)),
        };
        (0..self.rows.height()).map(share).collect()
    }
}

/// Counts of connections in an answer.
const VERDICTS: [&str; 3] = ["interfered", "inconclusive", "clean"];

/// Counts of findings in an answer.
const LEVELS: [&str; 3] = ["confirmed", "likely", "possible"];

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There are no tables.
    #[error("there are no tables in it; pinchpoint analyze --out DIR FILE… writes some")]
    Empty,
    /// A table cannot be read.
    #[error("{}: {error}", crate::base::text::Own(&path.to_string_lossy()))]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
}

/// Answers over all captures in `dir`.
///
/// # Errors
/// Where there are no tables or one cannot be read.
pub fn summarize(dir: &Path, by: By) -> Result<Answer, Error> {
    let table = if by == By::Mechanism { "findings" } else { "connections" };
    let whole = partitions(&dir.join(CAPTURES), "part.csv");
    let mut parts: Vec<DataFrame> = Vec::new();
    for partition in &whole {
        let path = dir.join(table).join(partition).join("part.parquet");
        let told = |e: io::Error| Error::Table { path: path.clone(), error: e };
        parts.push(ask(&path, by).map_err(told)?);
        if parts.len() == TOGETHER {
            parts = vec![together(parts, by).and_then(LazyFrame::collect).map_err(|e| told(other(e)))?];
        }
    }
    if parts.is_empty() {
        return Err(Error::Empty);
    }
    let rows = together(parts, by).and_then(|all| in_order(all, by).collect());
    let rows = rows.map_err(|e| Error::Table { path: dir.to_path_buf(), error: other(e) })?;
    let mut unfinished = partitions(&dir.join(table), "");
    unfinished.retain(|p| whole.binary_search(p).is_err());
    Ok(Answer { by, captures: whole.len(), unfinished: unfinished.len(), rows })
}

/// The partitions of a table that have a file, in order.
fn partitions(table: &Path, file: &str) -> Vec<OsString> {
    let Ok(entries) = fs::read_dir(table) else { return Vec::new() };
    let names = entries.filter_map(|e| Some(e.ok()?.file_name()));
    let mut all: Vec<OsString> = names
        .filter(|n| n.to_string_lossy().starts_with("capture=") && table.join(n).join(file).exists())
        .collect();
    all.sort();
    all
}

/// The answer that one part gives.
fn ask(path: &Path, by: By) -> io::Result<DataFrame> {
    let columns = match by {
        By::Mechanism => &FINDING_COLUMNS[..],
        By::Name => &["name", "verdict", "start", "bytes_to_server", "bytes_to_client", "rtt_min_ns"],
        By::Network => {
            &["server_network", "verdict", "start", "bytes_to_server", "bytes_to_client", "rtt_min_ns"]
        }
        By::Hour => &["verdict", "start", "bytes_to_server", "bytes_to_client", "rtt_min_ns"],
    };
    let columns = columns.iter().map(|c| (*c).to_owned()).collect();
    let reader = ParquetReader::new(File::open(path)?).with_columns(Some(columns));
    let part = reader.finish().map_err(other)?.lazy();
    let asked = match by {
        By::Mechanism => part.group_by(keys(by)).agg(of_findings()),
        By::Name => part.group_by([col("name")]).agg(of_connections()),
        By::Network => part.group_by([col("server_network").alias("network")]).agg(of_connections()),
        By::Hour => part.group_by([hour().alias("hour")]).agg(of_connections()),
    };
    asked.collect().map_err(other)
}

const FINDING_COLUMNS: [&str; 9] =
    ["code", "rule", "mechanism", "level", "confidence", "connections", "rate_bps", "hops", "at"];

/// The columns that tell the rows of an answer apart.
fn keys(by: By) -> Vec<Expr> {
    match by {
        By::Name => vec![col("name")],
        By::Network => vec![col("network")],
        By::Hour => vec![col("hour")],
        By::Mechanism => vec![col("code"), col("rule"), col("mechanism")],
    }
}

/// The hour that a connection began in, as nanoseconds.
fn hour() -> Expr {
    let start = || col("start").cast(DataType::Int64);
    start() - start() % lit(HOUR)
}

fn count(of: Expr) -> Expr {
    of.cast(DataType::UInt64)
}

fn of_connections() -> Vec<Expr> {
    let [interfered, inconclusive, clean] = VERDICTS.map(|v| count(col("verdict").eq(lit(v)).sum()).alias(v));
    vec![
        count(len()).alias("connections"),
        interfered,
        inconclusive,
        clean,
        count(lit(1u32)).first().alias("captures"),
        count(col("bytes_to_server")).sum(),
        count(col("bytes_to_client")).sum(),
        col("rtt_min_ns").min(),
        col("start").cast(DataType::Int64).min().alias("first"),
        col("start").cast(DataType::Int64).max().alias("last"),
    ]
}

fn of_findings() -> Vec<Expr> {
    let [confirmed, likely, possible] = LEVELS.map(|l| count(col("level").eq(lit(l)).sum()).alias(l));
    vec![
        count(len()).alias("findings"),
        confirmed,
        likely,
        possible,
        count(lit(1u32)).first().alias("captures"),
        count(col("connections")).sum(),
        col("confidence").max(),
        col("rate_bps").min().alias("rate_min_bps"),
        col("rate_bps").max().alias("rate_max_bps"),
        col("hops").min().alias("hops_min"),
        col("hops").max().alias("hops_max"),
        col("at").cast(DataType::Int64).min().alias("first"),
        col("at").cast(DataType::Int64).max().alias("last"),
    ]
}

/// Answers of several parts as one.
fn together(parts: Vec<DataFrame>, by: By) -> PolarsResult<LazyFrame> {
    // an answer of answers has their columns in their order, so that it can be put together with further ones
    let columns: Vec<Expr> =
        parts.first().into_iter().flat_map(DataFrame::get_column_names).map(|c| col(c.clone())).collect();
    let parts: Vec<LazyFrame> = parts.into_iter().map(IntoLazy::lazy).collect();
    let (sums, least, most): (&[&str], &[&str], &[&str]) = match by {
        By::Mechanism => (
            &["findings", "confirmed", "likely", "possible", "captures", "connections"],
            &["rate_min_bps", "hops_min", "first"],
            &["confidence", "rate_max_bps", "hops_max", "last"],
        ),
        _ => (
            &[
                "connections",
                "interfered",
                "inconclusive",
                "clean",
                "captures",
                "bytes_to_server",
                "bytes_to_client",
            ],
            &["rtt_min_ns", "first"],
            &["last"],
        ),
    };
    let sums = sums.iter().map(|c| col(*c).sum());
    let least = least.iter().map(|c| col(*c).min());
    let most = most.iter().map(|c| col(*c).max());
    let all = concat(parts, UnionArgs::default())?;
    Ok(all.group_by(keys(by)).agg(sums.chain(least).chain(most).collect::<Vec<_>>()).select(columns))
}

/// Worst first; hours as they came.
fn in_order(all: LazyFrame, by: By) -> LazyFrame {
    let (columns, descending) = match by {
        By::Hour => (vec!["hour"], vec![false]),
        By::Name => (vec!["interfered", "connections", "name"], vec![true, true, false]),
        By::Network => (vec!["interfered", "connections", "network"], vec![true, true, false]),
        By::Mechanism => (vec!["connections", "code", "mechanism"], vec![true, false, false]),
    };
    let order = SortMultipleOptions::default().with_order_descending_multi(descending).with_nulls_last(true);
    all.sort(columns, order)
}
