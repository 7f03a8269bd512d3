//! What became of connections, name by time.

use std::collections::BTreeMap;

use super::canvas::{Mark, Side, Words, ink, pen};
use super::plot::{Axis, Head, LABEL, Room, page};
use super::scale::moments;
use super::words::{self, utc};
use super::{Drawn, Subject};
use crate::analysis::Analysis;
use crate::base::{Span, Timestamp};
use crate::detect::{Level, Mechanism, Verdict};
use crate::report::units::{count, thousands};

/// Names that have a row; the others are counted.
const NAMES: usize = 20;

/// Rows kept for names that went well, where there are such: what the others are held against.
const WELL: usize = 5;

/// Columns of time.
const COLUMNS: usize = 26;

/// What became of a connection, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Clean,
    Inconclusive,
    Slowed,
    Silenced,
    Forged,
    Reset,
}

impl Fate {
    const ALL: [Self; 6] =
        [Self::Reset, Self::Forged, Self::Silenced, Self::Slowed, Self::Inconclusive, Self::Clean];

    const fn look(self) -> (Mark, plotters::style::RGBColor, &'static str) {
        match self {
            Self::Clean => (Mark::Ring, ink::GREEN, "no interference seen"),
            Self::Inconclusive => (Mark::Query, ink::QUIET, "inconclusive"),
            Self::Slowed => (Mark::Triangle, ink::ORANGE, "slowed"),
            Self::Silenced => (Mark::Square, ink::PURPLE, "cut off"),
            Self::Forged => (Mark::Diamond, ink::SKY, "answered or changed by a third party"),
            Self::Reset => (Mark::Cross, ink::VERMILLION, "reset by a third party"),
        }
    }
}

/// What the verdict and the claims say of each connection.
fn fates(a: &Analysis) -> Vec<Fate> {
    let of_verdict = |v: Verdict| if v == Verdict::Clean { Fate::Clean } else { Fate::Inconclusive };
    let mut fates: Vec<Fate> = a.verdicts.iter().map(|(v, _)| of_verdict(*v)).collect();
    for f in a.findings.iter().filter(|f| f.level >= Level::Likely) {
        let fate = match f.mechanism {
            Mechanism::Injected | Mechanism::RewrittenInPath | Mechanism::Reset => Fate::Reset,
            Mechanism::Throttled | Mechanism::SlowHandshake => Fate::Slowed,
            Mechanism::Forged | Mechanism::Tampered => Fate::Forged,
            _ if f.mechanism.is_of_dns() => continue, // said of answers, not of what followed them
            Mechanism::Policed | Mechanism::Shaped | Mechanism::RateLimitedUnknown => continue,
            _ => Fate::Silenced,
        };
        for c in &f.connections {
            if let Some(old) = fates.get_mut(*c) {
                *old = fate.max(*old);
            }
        }
    }
    fates
}

fn started(a: &Analysis, place: usize) -> Option<Timestamp> {
    a.connections.get(place).map(|c| c.started).or_else(|| Some(a.quic(place)?.started))
}

#[derive(Default)]
struct Row {
    cells: BTreeMap<usize, BTreeMap<Fate, u64>>,
    worst: Option<Fate>,
    connections: u64,
}

/// Keeps the rows that are drawn, of rows that have the worst first and those that went well last.
fn keep(rows: &mut Vec<(&str, Row)>) {
    let bad = rows.partition_point(|(_, r)| r.worst > Some(Fate::Clean));
    let well = (rows.len() - bad).min(WELL);
    if bad > NAMES - well {
        rows.drain(NAMES - well..bad);
    }
    rows.truncate(NAMES);
}

#[allow(clippy::cast_precision_loss)] // places on a page
pub(super) fn draw(s: &Subject<'_>) -> Drawn {
    let a = s.analysis();
    let mut head = Head {
        title: "What became of connections, name by time".to_owned(),
        foot: s.foot(&[]),
        ..Head::default()
    };
    let fates = fates(a);
    let named = || (0..fates.len()).filter_map(|p| Some((p, a.name(p)?, started(a, p)?)));
    let (Some(first), Some(last)) = (named().map(|n| n.2).min(), named().map(|n| n.2).max()) else {
        return Drawn::nothing(
            head,
            "No connection in this capture shows the name that it asked for: there is nothing to set against each other.",
        );
    };
    let lasts = last.since(first).ns().max(1_000_000);
    let column = |t: Timestamp| {
        let share = t.since(first).ns() as f64 / lasts as f64 * (COLUMNS - 1) as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a column
        let n = share.round().clamp(0.0, (COLUMNS - 1) as f64) as usize;
        n
    };
    let mut by_name: BTreeMap<&str, Row> = BTreeMap::new();
    let mut totals: BTreeMap<Fate, u64> = BTreeMap::new();
    for (place, name, at) in named() {
        let row = by_name.entry(name).or_default();
        let fate = fates[place];
        *row.cells.entry(column(at)).or_default().entry(fate).or_default() += 1;
        row.worst = row.worst.max(Some(fate));
        row.connections += 1;
        *totals.entry(fate).or_default() += 1;
    }
    let mut rows: Vec<(&str, Row)> = by_name.into_iter().collect();
    rows.sort_by(|(a, x), (b, y)| {
        y.worst.cmp(&x.worst).then(y.connections.cmp(&x.connections)).then_with(|| a.cmp(b))
    });
    let others = rows.len().saturating_sub(NAMES);
    keep(&mut rows);
    let present = |f: &Fate| totals.contains_key(f);
    head.key = Fate::ALL
        .iter()
        .filter(|f| present(f))
        .map(|f| f.look())
        .map(|(m, c, t)| (m, c, t.to_owned()))
        .collect();
    let said: Vec<String> = Fate::ALL
        .iter()
        .filter(|f| present(f))
        .map(|f| format!("{} {}", thousands(totals[f]), f.look().2))
        .collect();
    let n: u64 = totals.values().sum();
    head.says = format!("{}: {}.", count(n, "connection"), said.join(", "));
    let more =
        if others > 0 { format!("{} not drawn", count(others as u64, "more name")) } else { String::new() };
    head.foot = s.foot(&[more]);
    let each: Vec<String> = rows
        .iter()
        .map(|(name, r)| {
            let sums = Fate::ALL.iter().filter_map(|f| {
                let n: u64 = r.cells.values().filter_map(|c| c.get(f)).sum();
                (n > 0).then(|| format!("{} {}", thousands(n), f.look().2))
            });
            format!("{}: {}", words::name(name, 40), sums.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let description =
        format!("{} From {} on, over {}. {}.", head.says, utc(first), last.since(first), each.join("; "));
    let crowded = rows.iter().any(|(_, r)| r.cells.values().any(|c| c.values().sum::<u64>() > 1));
    let step = if crowded { 36.0 } else { 30.0 };
    let height = rows.len() as f64 * step + 10.0;
    let longest =
        rows.iter().map(|(n, _)| words::width(&words::name(n, 26), LABEL, false)).fold(60.0, f64::max);
    let room = Room { left: longest + 34.0, right: 34.0, height, ..Room::default() };
    // the axis counts nanoseconds from the first connection on
    let at_column = |n: f64| n / (COLUMNS - 1) as f64 * lasts as f64;
    let (ticks, every) = moments(first, Span::from_ns(lasts), 6);
    let at_tick = |v: f64| {
        #[allow(clippy::cast_possible_truncation)] // a time within the capture
        let t = first + Span::from_ns(v.round() as i64);
        words::tick(t, every, Span::from_ns(lasts))
    };
    let day: String = utc(first).chars().take(10).collect();
    let x = Axis {
        range: (at_column(-0.8), at_column((COLUMNS - 1) as f64 + 0.8)),
        ticks: ticks.iter().map(|t| t.since(first).ns() as f64).collect(),
        says: &at_tick,
        label: format!("when the connection began, UTC, {day}"),
    };
    let none = |_: f64| String::new();
    let y = Axis { range: (0.0, rows.len() as f64), ticks: Vec::new(), says: &none, label: String::new() };
    let svg = page(&head, room, |c, p| {
        p.axes(c, &x, &y);
        for (n, (name, row)) in rows.iter().enumerate() {
            let y = p.top + 4.0 + (n as f64 + 0.5) * step;
            let under = if crowded { step / 2.0 + 3.0 } else { step / 2.0 };
            c.line((p.left, y + under), (p.right, y + under), pen(ink::GRID, 1.0));
            let bad = row.worst.is_some_and(|w| w >= Fate::Slowed);
            c.text(
                (p.left - 10.0, y + LABEL * 0.35),
                &words::name(name, 26),
                Words { bold: bad, side: Side::End, ..Words::new(LABEL) },
            );
            for (column, fates) in &row.cells {
                let Some(worst) = fates.keys().next_back() else { continue };
                let (x, _) = p.at(at_column(*column as f64), 0.0);
                let (mark, color, _) = worst.look();
                let here: u64 = fates.values().sum();
                let mixed = fates.len() > 1;
                c.mark(mark, (x, y), 6.0, color);
                if here > 1 {
                    // how many of those that began here have this fate
                    let text = if mixed { format!("{}/{here}", fates[worst]) } else { format!("×{here}") };
                    c.text(
                        (x, y + 17.0),
                        &text,
                        Words { color: ink::QUIET, side: Side::Middle, ..Words::new(10.5) },
                    );
                }
            }
        }
    });
    Drawn { head, description, svg, is_empty: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_those_that_went_well_stay() {
        let rows = |bad: usize, well: usize| {
            let row = |worst| ("", Row { worst: Some(worst), ..Row::default() });
            let mut rows: Vec<_> = (0..bad).map(|_| row(Fate::Reset)).collect();
            rows.extend((0..well).map(|_| row(Fate::Clean)));
            keep(&mut rows);
            let bad = rows.iter().filter(|(_, r)| r.worst == Some(Fate::Reset)).count();
            (bad, rows.len() - bad)
        };
        assert_eq!([rows(100, 100), rows(100, 2), rows(100, 0)], [(15, 5), (18, 2), (20, 0)]);
        assert_eq!([rows(3, 100), rows(17, 5), rows(0, 0)], [(3, 17), (15, 5), (0, 0)]);
    }
}
