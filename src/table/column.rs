//! A column: its name, its type, what it means, and how a row gives its cell. Files and dictionary are made of these.

use std::borrow::Cow;

use polars::prelude::{
    ChunkApply, Column as Filled, DataFrame, Int64Chunked, IntoColumn, IntoSeries, NamedFrom,
    NewChunkedArray, PolarsResult, Series, StringChunked, TimeUnit, TimeZone,
};

use super::inert::{inert, is_inert, moment};

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A whole number that is never negative.
    Count,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// True or false.
    Flag,
    /// A moment, in nanoseconds, UTC.
    Time,
}

impl Kind {
    /// The name that the dictionary has for it: Parquet's type, as polars writes it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Count => "uint64",
            Self::Whole => "int64",
            Self::Number => "double",
            Self::Flag => "boolean",
            Self::Time => "timestamp(ns, UTC)",
        }
    }
}

/// One cell; what is unknown is null, never 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// Unknown, or makes no sense here.
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number that is never negative.
    Count(u64),
    /// A whole number; of a [`Kind::Time`], nanoseconds since 1970.
    Whole(i64),
    /// A number.
    Number(f64),
    /// True or false.
    Flag(bool),
}

macro_rules! cells {
    ($($variant:ident from $($of:ty),+;)*) => {
        $($(impl<'a> From<$of> for Cell<'a> {
            fn from(value: $of) -> Self {
                Self::$variant(value.into())
            }
        })+)*
    };
}

cells! {
    Text from &'a str, String;
    Count from u8, u16, u32, u64;
    Whole from i64;
    Number from f64;
    Flag from bool;
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A column of rows of type `R`.
pub(super) struct Column<R> {
    /// Its name in Parquet and CSV.
    pub(super) name: &'static str,
    /// What its cells are.
    pub(super) kind: Kind,
    /// What it means, for the dictionary.
    pub(super) about: &'static str,
    /// How a row gives its cell.
    pub(super) get: for<'r> fn(&'r R) -> Cell<'r>,
}

/// A column.
pub(super) const fn column<R>(
    name: &'static str,
    kind: Kind,
    about: &'static str,
    get: for<'r> fn(&'r R) -> Cell<'r>,
) -> Column<R> {
    Column { name, kind, about, get }
}

/// Rows as a frame of polars, as Parquet has them: text and moments as they are.
pub(super) fn frame<R>(columns: &[Column<R>], rows: &[R]) -> PolarsResult<DataFrame> {
    DataFrame::new(rows.len(), columns.iter().map(|c| filled(c, rows)).collect())
}

/// The same frame as CSV has it: text inert, moments as text.
pub(super) fn as_text<R>(columns: &[Column<R>], frame: &DataFrame) -> PolarsResult<DataFrame> {
    let shown = |(column, filled): (&Column<R>, &Filled)| match column.kind {
        Kind::Text => {
            let texts = filled.str()?;
            if texts.iter().flatten().all(is_inert) {
                return Ok(filled.clone());
            }
            Ok(texts.apply_values(|t| inert(t.into())).into_column())
        }
        Kind::Time => {
            let moments = filled.datetime()?.physical().iter().map(|t| t.map(moment));
            Ok(StringChunked::from_iter_options(column.name.into(), moments).into_column())
        }
        Kind::Count | Kind::Whole | Kind::Number | Kind::Flag => Ok(filled.clone()),
    };
    let columns = columns.iter().zip(frame.columns()).map(shown).collect::<PolarsResult<_>>()?;
    DataFrame::new(frame.height(), columns)
}

fn filled<R>(column: &Column<R>, rows: &[R]) -> Filled {
    let name = column.name.into();
    let cells = rows.iter().map(column.get);
    let whole = |c| match c {
        Cell::Whole(n) => Some(n),
        _ => None,
    };
    match column.kind {
        Kind::Text => {
            let texts = cells.map(|c| match c {
                Cell::Text(t) => Some(t),
                _ => None,
            });
            StringChunked::from_iter_options(name, texts).into_series()
        }
        Kind::Count => {
            let counts = cells.map(|c| match c {
                Cell::Count(n) => Some(n),
                _ => None,
            });
            Series::new(name, counts.collect::<Vec<_>>())
        }
        Kind::Number => {
            let numbers = cells.map(|c| match c {
                Cell::Number(n) => Some(n),
                _ => None,
            });
            Series::new(name, numbers.collect::<Vec<_>>())
        }
        Kind::Flag => {
            let flags = cells.map(|c| match c {
                Cell::Flag(b) => Some(b),
                _ => None,
            });
            Series::new(name, flags.collect::<Vec<_>>())
        }
        Kind::Whole => Series::new(name, cells.map(whole).collect::<Vec<_>>()),
        Kind::Time => Int64Chunked::from_iter_options(name, cells.map(whole))
            .into_datetime(TimeUnit::Nanoseconds, Some(TimeZone::UTC))
            .into_series(),
    }
    .into_column()
}
