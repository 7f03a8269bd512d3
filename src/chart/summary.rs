//! An answer over many captures as bars: how many connections were interfered with, of how many.

use super::canvas::{Canvas, Mark, Side, Words, ink, pen};
use super::plot::{Axis, Head, LABEL, Plot, Room, page};
use super::scale::{moments, ticks};
use super::words::{self, number, utc};
use super::{Picture, described};
use crate::base::text::Sentence;
use crate::base::{Span, Timestamp};
use crate::report::units::{count, thousands};
use crate::table::summarize::{Answer, By, Share};

/// Bars that have a row; the others are counted.
const ROWS: usize = 20;

/// Columns of time at most: with more, several hours share one.
const COLUMNS: i64 = 96;

/// An hour.
const HOUR: Span = Span::from_secs(3600);

/// How the parts of a bar look, the worst first: told apart by their shape too.
const LOOKS: [(Mark, plotters::style::RGBColor); 3] =
    [(Mark::Square, ink::VERMILLION), (Mark::Bar, ink::LINE), (Mark::Box, ink::GREEN)];

/// Draws an answer.
pub fn summary(answer: &Answer) -> Picture {
    let findings = answer.by == By::Mechanism;
    let of = match answer.by {
        By::Name => "name by name",
        By::Network => "by the server's network",
        By::Hour => "hour by hour",
        By::Mechanism => "by what was done",
    };
    let (thing, parts) = if findings {
        ("finding", ["confirmed", "likely", "possible"])
    } else {
        ("connection", ["interfered with", "inconclusive", "no interference seen"])
    };
    let shares = answer.shares();
    let sum = |n: usize| shares.iter().map(|s| s.counts[n]).sum::<u64>();
    let sums = [sum(0), sum(1), sum(2)];
    let present = || (0..3).filter(|n| sums[*n] > 0);
    let said: Vec<String> = present().map(|n| format!("{} {}", thousands(sums[n]), parts[n])).collect();
    let mut head = Head {
        title: format!("{}s of {}, {of}", capital(thing), count(answer.captures as u64, "capture")),
        says: format!("{}: {}.", count(sums.iter().sum(), thing), said.join(", ")),
        key: present().map(|n| (LOOKS[n].0, LOOKS[n].1, parts[n].to_owned())).collect(),
        foot: String::new(),
    };
    let drawn = if answer.by == By::Hour {
        hours(&mut head, &shares)
    } else {
        rows(&mut head, &shares, answer.by, thing)
    };
    let (svg, more) = drawn;
    let description = format!("{} {more}", head.says);
    let svg = described(&svg, "summary", &head.title, &description);
    Picture { svg, title: head.title, description, is_empty: shares.is_empty() }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn foot(more: &str) -> String {
    let dot = if more.is_empty() { "" } else { " · " };
    format!("pinchpoint {}{dot}{more}", env!("CARGO_PKG_VERSION"))
}

/// What a bar says in numbers: how many, and of connections how many of them were interfered with.
fn numbers(share: &Share, by: By) -> String {
    let all = share.counts.iter().sum();
    match share.counts[0] {
        bad if bad > 0 && by != By::Mechanism => format!("{} of {}", thousands(bad), thousands(all)),
        _ => thousands(all),
    }
}

/// A bar for each name, network or mechanism, the worst first; the drawing, and it in words.
#[allow(clippy::cast_precision_loss)] // places on a page
fn rows(head: &mut Head, shares: &[Share], by: By, thing: &str) -> (String, String) {
    let others = shares.len().saturating_sub(ROWS);
    let more =
        if others > 0 { format!("{} not drawn", count(others as u64, "more row")) } else { String::new() };
    head.foot = foot(&more);
    let shares = &shares[..shares.len().min(ROWS)];
    let label = |s: &Share| {
        s.label.as_deref().map_or("(no name)".to_owned(), |l| words::shortened(&Sentence(l).to_string(), 34))
    };
    let longest = shares.iter().map(|s| words::width(&label(s), LABEL, true)).fold(60.0, f64::max);
    let step = 28.0;
    let room = Room {
        left: longest + 26.0,
        right: 116.0,
        height: shares.len() as f64 * step + 8.0,
        ..Room::default()
    };
    let most = shares.iter().map(total).fold(1.0, f64::max);
    let x = Axis {
        range: (0.0, most),
        ticks: whole(ticks(0.0, most, 4.0)),
        says: &number,
        label: format!("{thing}s"),
    };
    let none = |_: f64| String::new();
    let y = Axis { range: (0.0, 1.0), ticks: Vec::new(), says: &none, label: String::new() };
    let svg = page(head, room, |c, p| {
        p.axes(c, &x, &y);
        for (n, share) in shares.iter().enumerate() {
            let middle = p.top + 4.0 + (n as f64 + 0.5) * step;
            let bold = share.counts[0] > 0;
            let style = Words { bold, ..Words::new(LABEL) };
            c.text((p.left - 10.0, middle + LABEL * 0.35), &label(share), Words { side: Side::End, ..style });
            let mut at = p.left;
            for (n, part) in share.counts.iter().enumerate().filter(|(_, part)| **part > 0) {
                // the least is seen too
                let end = (at + *part as f64 / most * (p.right - p.left)).max(at + 2.0);
                bar(c, n, (at, middle - 9.0), (end, middle + 9.0), (0.0, 5.0));
                at = end;
            }
            c.text((at + 8.0, middle + LABEL * 0.35), &numbers(share, by), style);
        }
    });
    let each: Vec<String> = shares.iter().map(|s| format!("{}: {}", label(s), numbers(s, by))).collect();
    (svg, format!("{}.", each.join("; ")))
}

/// A column for each hour, or for several; the drawing, and it in words.
#[allow(clippy::cast_precision_loss)] // places on a page
fn hours(head: &mut Head, shares: &[Share]) -> (String, String) {
    let all = || shares.iter().filter_map(|s| Some((s.at?, s.counts)));
    let (Some(first), Some(last)) = (all().map(|s| s.0).min(), all().map(|s| s.0).max()) else {
        head.foot = foot("");
        return (super::plot::nothing(head, "There is no connection in these tables."), String::new());
    };
    let slots = last.since(first).ns() / HOUR.ns() + 1;
    let each = (slots - 1) / COLUMNS + 1;
    let wide = Span::from_ns(HOUR.ns().saturating_mul(each));
    let lasts = Span::from_ns(wide.ns().saturating_mul((slots - 1) / each + 1));
    let mut columns = std::collections::BTreeMap::<i64, [u64; 3]>::new();
    for (at, counts) in all() {
        let column = columns.entry(at.since(first).ns() / wide.ns()).or_default();
        for (sum, n) in column.iter_mut().zip(counts) {
            *sum += n;
        }
    }
    let sum = |c: &[u64; 3]| c.iter().sum::<u64>() as f64;
    let most = columns.values().map(sum).fold(1.0, f64::max);
    let (at_ticks, every) = moments(first, lasts, 6);
    let says = |v: f64| {
        #[allow(clippy::cast_possible_truncation)] // a time within the captures
        let t = first + Span::from_ns(v.round() as i64);
        words::tick(t, every, lasts)
    };
    let x = Axis {
        range: (0.0, lasts.ns() as f64),
        ticks: at_ticks.iter().map(|t| t.since(first).ns() as f64).collect(),
        says: &says,
        label: format!("when the connection began, UTC, from {} on", day(first)),
    };
    let y = Axis {
        range: (0.0, most * 1.05),
        ticks: whole(ticks(0.0, most, 4.0)),
        says: &number,
        label: if each == 1 {
            "connections an hour".to_owned()
        } else {
            format!("connections in {each} hours")
        },
    };
    head.foot = foot("");
    let svg = page(head, Room { height: 260.0, ..Room::default() }, |c, p| {
        p.axes(c, &x, &y);
        for (n, counts) in &columns {
            column(c, p, *n as f64 * wide.ns() as f64, wide.ns() as f64, *counts);
        }
    });
    let worst = columns.iter().max_by_key(|(n, c)| (c[0], std::cmp::Reverse(**n)));
    let worst = worst.filter(|(_, c)| c[0] > 0).map_or_else(String::new, |(n, c)| {
        let at = first + Span::from_ns(n.saturating_mul(wide.ns()));
        format!(" Most were interfered with from {} on: {}.", utc(at), thousands(c[0]))
    });
    (svg, format!("From {} on, over {}.{worst}", utc(first), count(slots.unsigned_abs(), "hour")))
}

/// One column of time, its parts upon each other, the worst lowest.
#[allow(clippy::cast_precision_loss)] // places on a page
fn column(c: &mut Canvas<'_>, p: &Plot, from: f64, wide: f64, counts: [u64; 3]) {
    let mut sum = 0.0;
    for (n, part) in counts.iter().enumerate().filter(|(_, part)| **part > 0) {
        let (left, low) = p.at(from, sum);
        sum += *part as f64;
        let (right, high) = p.at(from + wide, sum);
        let space = ((right - left) * 0.1).min(3.0);
        let thinner = (right - left) * 0.25;
        bar(c, n, (left + space, high.min(low - 1.5)), (right - space, low), (thinner, 0.0));
    }
}

/// A part of a bar: filled, a thinner one, or only its outline.
fn bar(c: &mut Canvas<'_>, part: usize, from: (f64, f64), to: (f64, f64), thinner: (f64, f64)) {
    let Some((mark, color)) = LOOKS.get(part) else { return };
    match mark {
        Mark::Square => c.rect(from, to, *color, 1.0),
        Mark::Bar => {
            c.rect(
                (from.0 + thinner.0, from.1 + thinner.1),
                (to.0 - thinner.0, to.1 - thinner.1),
                *color,
                1.0,
            );
        }
        _ => c.frame((from.0 + 0.8, from.1 + 0.8), (to.0 - 0.8, to.1 - 0.8), pen(*color, 1.6)),
    }
}

/// Those of the ticks that are whole: there is no half connection.
fn whole(ticks: Vec<f64>) -> Vec<f64> {
    ticks.into_iter().filter(|v| v.fract().abs() < 1e-9).collect()
}

fn total(share: &Share) -> f64 {
    #[allow(clippy::cast_precision_loss)] // a length on a page
    let total = share.counts.iter().sum::<u64>() as f64;
    total
}

fn day(t: Timestamp) -> String {
    utc(t).chars().take(10).collect()
}
