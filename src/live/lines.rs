//! What happens live, one line at a time: NDJSON for programs, or text.

use std::io::{self, Write};

use super::changes::{Change, Changes, Standing};
use crate::report::Capture;
use crate::report::json_live::{self, Counters, Said, Withdrawn};
use crate::report::says::says;
use crate::report::text::percent;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// One JSON object a line.
    Ndjson,
    /// A sentence a line, with addresses where they are asked for.
    Text {
        /// Whether addresses are shown.
        addresses: bool,
    },
}

/// Writes what is new.
#[derive(Debug)]
pub struct Lines {
    style: Style,
    changes: Changes,
    counters: Option<Counters>,
}

impl Lines {
    /// Nothing said yet.
    pub fn new(style: Style) -> Self {
        Self { style, changes: Changes::default(), counters: None }
    }

    /// Writes the findings that came, changed or went since the last look.
    ///
    /// # Errors
    /// What writing gives.
    pub fn look(&mut self, c: &Capture, out: &mut dyn Write) -> io::Result<()> {
        let told = self.changes.look(&c.analysis, false);
        let seen = c.analysis.counts.last.unwrap_or_default();
        for (n, (f, s)) in c.analysis.findings.iter().zip(&told.standing).enumerate() {
            let &Standing { ref key, level, provisional, change: Some(change) } = s else { continue };
            match self.style {
                Style::Ndjson => {
                    let live = Said { key, change: change.name(), provisional, seen_ns: seen.ns() };
                    json_live::write_finding(c, n, level, live, out)?;
                }
                Style::Text { addresses } => {
                    let again = if change == Change::Changed { " (again)" } else { "" };
                    let so_far = if provisional { " so far" } else { "" };
                    let (level, p) = (format!("{}{so_far}", level.name()), percent(f.confidence));
                    writeln!(
                        out,
                        "{} {level} {}{again}, {p}: {}",
                        f.at,
                        f.code,
                        says(f, &c.analysis, addresses)
                    )?;
                }
            }
        }
        for key in &told.withdrawn {
            match self.style {
                Style::Ndjson => json_live::write_withdrawn(Withdrawn { key, seen_ns: seen.ns() }, out)?,
                Style::Text { .. } => {
                    writeln!(out, "{seen} taken back, as later packets speak against it: {key}")?;
                }
            }
        }
        out.flush()
    }

    /// Writes the counters where they have changed; as text they are said at the end only.
    ///
    /// # Errors
    /// What writing gives.
    pub fn count(&mut self, c: Counters, out: &mut dyn Write) -> io::Result<()> {
        if self.style != Style::Ndjson || self.counters == Some(c) {
            return Ok(());
        }
        self.counters = Some(c);
        json_live::write_counters(c, out)?;
        out.flush()
    }

    /// Writes what happened to the recording; as text it goes to standard error, which is the caller's.
    ///
    /// # Errors
    /// What writing gives.
    pub fn notice(&self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        if self.style == Style::Ndjson { json_live::write_notice(text, out) } else { Ok(()) }
    }
}
