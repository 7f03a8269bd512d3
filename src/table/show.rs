//! An answer over many captures as text, CSV or JSON.

use std::io::{self, Write};

use polars::prelude::{AnyValue, DataFrame};
use serde_json::{Map, Value};

use super::inert::{inert, moment};
use super::summarize::Answer;
use crate::base::text::Untrusted;
use crate::base::{Span, Timestamp};
use crate::report::inert_json;
use crate::report::units::{bits, bytes, count, thousands};

/// One cell of an answer.
enum Cell {
    Null,
    Text(String),
    Count(u64),
    Whole(i64),
    Number(f64),
}

fn cell(rows: &DataFrame, column: usize, row: usize) -> Cell {
    let value = rows.columns().get(column).and_then(|c| c.get(row).ok());
    match value {
        Some(AnyValue::String(t)) => Cell::Text(t.to_owned()),
        Some(AnyValue::StringOwned(t)) => Cell::Text(t.to_string()),
        Some(AnyValue::UInt64(n)) => Cell::Count(n),
        Some(AnyValue::UInt32(n)) => Cell::Count(n.into()),
        Some(AnyValue::Int64(n)) => Cell::Whole(n),
        Some(AnyValue::Float64(n)) => Cell::Number(n),
        _ => Cell::Null,
    }
}

/// Whether a column of whole numbers holds moments.
fn is_moment(column: &str) -> bool {
    matches!(column, "first" | "last" | "hour")
}

/// Writes aligned columns for a person.
///
/// # Errors
/// What writing gives.
pub fn text(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let names: Vec<String> = answer.rows.get_column_names().iter().map(ToString::to_string).collect();
    // what is unknown of all rows is not worth a column
    let shown: Vec<usize> = (0..names.len())
        .filter(|c| (0..answer.rows.height()).any(|r| !matches!(cell(&answer.rows, *c, r), Cell::Null)))
        .collect();
    let mut lines: Vec<Vec<String>> = vec![shown.iter().map(|c| head(&names[*c])).collect()];
    for row in 0..answer.rows.height() {
        lines.push(shown.iter().map(|c| words(&names[*c], cell(&answer.rows, *c, row))).collect());
    }
    let width = |c: usize| lines.iter().map(|l| l[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..shown.len()).map(width).collect();
    writeln!(out, "{}", count(answer.captures as u64, "capture"))?;
    for line in &lines {
        let mut text = String::new();
        for (n, (value, width)) in line.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - value.chars().count());
            // names to the left, numbers to the right
            let is_text = matches!(
                names[shown[n]].as_str(),
                "name" | "network" | "hour" | "code" | "rule" | "mechanism"
            );
            let padded = if is_text { format!("{value}{pad}") } else { format!("{pad}{value}") };
            text.push_str(if n == 0 { "" } else { "  " });
            text.push_str(&padded);
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// The head of a column, without the unit that its values show.
fn head(name: &str) -> String {
    let name = name.strip_suffix("_ns").or_else(|| name.strip_suffix("_bps")).unwrap_or(name);
    name.replace('_', " ")
}

fn words(column: &str, cell: Cell) -> String {
    match cell {
        Cell::Null => "-".to_owned(),
        Cell::Text(t) => Untrusted(&t).to_string(),
        Cell::Count(n) if column.starts_with("bytes_") => bytes(n),
        Cell::Count(n) => thousands(n),
        Cell::Whole(n) if column == "hour" => {
            Timestamp::from_ns(n).to_string().chars().take(13).collect::<String>() + "h"
        }
        Cell::Whole(n) if is_moment(column) => {
            Timestamp::from_ns(n).to_string().chars().take(19).collect::<String>() + "Z"
        }
        Cell::Whole(n) => Span::from_ns(n).to_string(),
        Cell::Number(n) if column.ends_with("_bps") => bits(n),
        Cell::Number(n) => format!("{n:.4}"),
    }
}

/// Writes the rows as CSV; no cell can become a formula.
///
/// # Errors
/// What writing gives.
pub fn csv(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let names = answer.rows.get_column_names();
    writeln!(out, "{}", names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(","))?;
    for row in 0..answer.rows.height() {
        for (n, name) in names.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            match cell(&answer.rows, n, row) {
                Cell::Null => write!(out, "{comma}")?,
                Cell::Text(t) => write!(out, "{comma}\"{}\"", inert(t.into()).replace('"', "\"\""))?,
                Cell::Count(n) => write!(out, "{comma}{n}")?,
                Cell::Whole(n) if is_moment(name) => write!(out, "{comma}{}", moment(n))?,
                Cell::Whole(n) => write!(out, "{comma}{n}")?,
                Cell::Number(n) => write!(out, "{comma}{n}")?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Writes the rows as one JSON object.
///
/// # Errors
/// What writing gives.
pub fn json(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let names = answer.rows.get_column_names();
    write!(out, "{{\"schema\":\"pinchpoint-summary/1\",\"captures\":{},\n\"rows\":[", answer.captures)?;
    for row in 0..answer.rows.height() {
        let object: Map<String, Value> = names
            .iter()
            .enumerate()
            .map(|(n, name)| (name.to_string(), json_cell(name, cell(&answer.rows, n, row))))
            .collect();
        out.write_all(if row == 0 { b"\n" } else { b",\n" })?;
        inert_json::to_writer(out, &object)?;
    }
    writeln!(out, "]}}")
}

fn json_cell(column: &str, cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Text(t) => t.into(),
        Cell::Count(n) => n.into(),
        Cell::Whole(n) if is_moment(column) => moment(n).into(),
        Cell::Whole(n) => n.into(),
        Cell::Number(n) => n.into(),
    }
}
