//! Shares of connections by throughput, name by name: an empirical distribution of goodput to the client.

use std::collections::BTreeMap;

use super::canvas::{Mark, Side, Words, ink, pen};
use super::plot::{Axis, Head, LABEL, Room, page};
use super::scale::decades;
use super::words::{self, number};
use super::{Drawn, Subject};
use crate::report::units::{bits, count};

/// Names drawn; the others are counted.
const NAMES: usize = 6;

/// Bytes from which a connection tells a throughput: ten full packets.
const LEAST_BYTES: u64 = 14_600;

const LOOKS: [(Mark, plotters::style::RGBColor, f64); NAMES] = [
    (Mark::Dot, ink::VERMILLION, 0.0),
    (Mark::Box, ink::BLUE, 7.0),
    (Mark::Triangle, ink::GREEN, 3.5),
    (Mark::Diamond, ink::PURPLE, 12.0),
    (Mark::Ring, ink::ORANGE, 2.0),
    (Mark::Cross, ink::BLACK, 5.0),
];

struct Row {
    name: String,
    rates: Vec<f64>,
    slowed: bool,
}

#[allow(clippy::cast_precision_loss)] // shares
pub(super) fn draw(s: &Subject<'_>) -> Drawn {
    let a = s.analysis();
    let mut head = Head {
        title: "Throughput of connections, name by name".to_owned(),
        foot: s.foot(&[]),
        ..Head::default()
    };
    let mut by_name: BTreeMap<&str, Row> = BTreeMap::new();
    for (place, c) in a.connections.iter().enumerate() {
        let (Some(name), Some(rate)) = (c.name(), c.flows.to_client.goodput_bps) else { continue };
        if c.flows.to_client.new_bytes < LEAST_BYTES || rate <= 0.0 {
            continue;
        }
        let row = by_name.entry(name).or_insert_with(|| Row {
            name: words::name(name, 28),
            rates: Vec::new(),
            slowed: false,
        });
        row.rates.push(rate);
        let _ = place;
    }
    for f in a.findings.iter().filter(|f| f.cap.is_some()) {
        for name in f.connections.iter().filter_map(|c| a.name(*c)) {
            if let Some(row) = by_name.get_mut(name) {
                row.slowed = true;
            }
        }
    }
    let mut rows: Vec<Row> = by_name.into_values().collect();
    rows.sort_by(|a, b| {
        (b.slowed, b.rates.len()).cmp(&(a.slowed, a.rates.len())).then_with(|| a.name.cmp(&b.name))
    });
    let others = rows.len().saturating_sub(NAMES);
    rows.truncate(NAMES);
    if rows.is_empty() {
        return Drawn::nothing(
            head,
            "No connection with a name carried enough data to the client (ten full packets) to tell its throughput.",
        );
    }
    for row in &mut rows {
        row.rates.sort_unstable_by(f64::total_cmp);
    }
    let median = |r: &Row| r.rates[r.rates.len() / 2];
    let n: usize = rows.iter().map(|r| r.rates.len()).sum();
    let said: Vec<String> =
        rows.iter().take(3).map(|r| format!("{}: {} in the median", r.name, bits(median(r)))).collect();
    head.says = format!(
        "{}. {} that carried ten full packets or more.",
        said.join("; "),
        count(n as u64, "connection")
    );
    let more = if others > 0 { format!("{} not drawn", count(others as u64, "name")) } else { String::new() };
    let when = a.counts.earliest.map_or(String::new(), |t| format!("the capture begins {}", words::utc(t)));
    head.foot = s.foot(&[more, when]);
    let all: Vec<String> = rows
        .iter()
        .map(|r| {
            format!(
                "{}: {}, {} in the median",
                r.name,
                count(r.rates.len() as u64, "connection"),
                bits(median(r))
            )
        })
        .collect();
    let description = format!("Empirical distribution of goodput to the client. {}.", all.join("; "));
    let all = || rows.iter().flat_map(|r| r.rates.iter().copied());
    let (least, most) = (all().fold(f64::INFINITY, f64::min).log10(), all().fold(1.0, f64::max).log10());
    let range = (least - 0.25, most.max(least + 0.5) + 0.25);
    let x_says = |v: f64| words::rate(10f64.powf(v).round());
    let y_says = |v: f64| format!("{}%", number(v * 100.0));
    let x = Axis {
        range,
        ticks: decades(range.0, range.1),
        says: &x_says,
        label: "goodput to the client, whole connection, logarithmic".to_owned(),
    };
    let y = Axis {
        range: (0.0, 1.06),
        ticks: vec![0.0, 0.25, 0.5, 0.75, 1.0],
        says: &y_says,
        label: "connections this slow or slower".to_owned(),
    };
    let svg = page(&head, Room { left: 66.0, right: 190.0, height: 290.0, ..Room::default() }, |c, p| {
        p.axes(c, &x, &y);
        for (n, (row, (mark, color, space))) in rows.iter().zip(LOOKS).enumerate() {
            let mut line = vec![p.at(range.0, 0.0)];
            let mut share = 0.0;
            for (i, rate) in row.rates.iter().enumerate() {
                line.push(p.at(rate.log10(), share));
                share = (i + 1) as f64 / row.rates.len() as f64;
                line.push(p.at(rate.log10(), share));
            }
            line.push(p.at(range.1, 1.0));
            // lines that lie on each other at 0 and 1 are told apart by their marks
            let line = super::scale::reduced(line);
            if space > 0.0 {
                c.dashed(&line, pen(color, 2.0), space + 3.0, 3.0);
            } else {
                c.path(&line, pen(color, 2.4));
            }
            let steps = row
                .rates
                .iter()
                .enumerate()
                .map(|(i, r)| p.at(r.log10(), (i + 1) as f64 / row.rates.len() as f64));
            for at in super::scale::sparse(steps, 6.0) {
                c.mark(mark, at, 4.2, color);
            }
            let y = p.top + 12.0 + n as f64 * (LABEL * 2.0 + 8.0);
            c.mark(mark, (p.right + 14.0, y - 4.0), 5.0, color);
            let size = if words::width(&row.name, LABEL, row.slowed) > 160.0 { LABEL - 3.0 } else { LABEL };
            c.text(
                (p.right + 24.0, y),
                &row.name,
                Words { bold: row.slowed, side: Side::Start, ..Words::new(size) },
            );
            let what = format!(
                "median {}, {}",
                bits(median(row)),
                count(row.rates.len() as u64, "connection")
                    .replace("connections", "conn.")
                    .replace("connection", "conn.")
            );
            c.text(
                (p.right + 24.0, y + LABEL + 1.0),
                &what,
                Words { color: ink::QUIET, ..Words::new(LABEL - 3.0) },
            );
        }
    });
    Drawn { head, description, svg, is_empty: false }
}
