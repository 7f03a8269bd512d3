//! Goodput against time: the target, a control, and the cap with its interval.

use super::canvas::{Canvas, Side, Words, ink, pen};
use super::choose::{capped, is_shared, main_direction};
use super::plot::{Axis, Head, LABEL, Plot, Room, page};
use super::scale::{decades, spread, ticks};
use super::words::{self, number, utc};
use super::{Drawn, Subject};
use crate::base::Direction;
use crate::detect::Level;
use crate::report::units::bits;
use crate::trace::Trace;

/// About how many bins are drawn of the longer connection.
const BINS: f64 = 60.0;

/// Bits that a bin holds in the mean: five full packets, so that single packets make no steps of their own.
const BIN_BITS: f64 = 58_000.0;

/// A connection's goodput in equal bins.
struct Curve {
    name: String,
    /// Seconds since the connection began, and bit/s from there on.
    steps: Vec<(f64, f64)>,
    lasts: f64,
    mean: f64,
}

pub(super) fn draw(s: &Subject<'_>) -> Drawn {
    let mut head = Head { title: "Goodput against time".to_owned(), foot: s.foot(&[]), ..Head::default() };
    let Some(main) = s.choice.main else {
        return Drawn::nothing(head, "There is no connection in this capture.");
    };
    let Some(t) = s.trace(main) else {
        return Drawn::nothing(head, "The packets of this connection could not be read again.");
    };
    let a = s.analysis();
    let finding = capped(a, main);
    let d = finding.and_then(|f| f.direction).unwrap_or_else(|| main_direction(a, main));
    head.title = format!(
        "Goodput {} {} ({})",
        if d == Direction::ToClient { "from" } else { "to" },
        s.name(main),
        s.number(main)
    );
    let control = s.choice.places.iter().skip(1).find_map(|p| s.trace(*p));
    let lasting = |t: &Trace| {
        let last = t.series.bins.iter().rev().find(|b| b.of[d].new_bytes > 0);
        last.map_or(0.0, |b| (b.start + t.series.width).since(t.series.start).secs_f64())
    };
    let lasts = lasting(t).max(control.map_or(0.0, &lasting));
    if lasting(t) <= 0.0 {
        return Drawn::nothing(
            head,
            "No data went this way on this connection, so there is no goodput to draw.",
        );
    }
    let rate = |place: usize| a.connections.get(place).and_then(|c| c.flows[d].goodput_bps);
    let least = BIN_BITS / rate(main).unwrap_or(f64::INFINITY);
    let width = (lasts / BINS).max(least.min(lasts / 8.0));
    let target = Curve::new(t, d, width, s.name(main), rate(main));
    let control = control
        .map(|c| Curve::new(c, d, width, s.name(c.place), rate(c.place)))
        .filter(|c| !c.steps.is_empty());
    let cap = finding.and_then(|f| f.cap.map(|c| (c, f.level)));
    head.says = match (&cap, &control) {
        (Some((cap, level)), control) => {
            let [low, high] = cap.interval_bps;
            let held = if *level == Level::Possible { "May be held" } else { "Held" };
            let than = control.as_ref().map_or(String::new(), |c| {
                format!(" {}, by the same client from the same network, averaged {}.", c.name, bits(c.mean))
            });
            let together = if finding.is_some_and(is_shared) { " together with others" } else { "" };
            format!(
                "{held} to {} ({} to {}){together}, counted with headers.{than}",
                bits(cap.rate_bps),
                bits(low),
                bits(high)
            )
        }
        (None, Some(c)) => {
            format!("{} averaged {}; {} averaged {}.", target.name, bits(target.mean), c.name, bits(c.mean))
        }
        (None, None) => format!(
            "It averaged {}. The capture has no control: no other name of the same client on the same network.",
            bits(target.mean)
        ),
    };
    head.foot = s.foot(&[format!("{} begins {}", target.name, utc(t.series.start))]);
    let description = format!(
        "{} Drawn in steps over {} seconds. {} carried {} on average over {} seconds.",
        head.says,
        number((lasts * 10.0).round() / 10.0),
        target.name,
        bits(target.mean),
        number((target.lasts * 10.0).round() / 10.0)
    );
    let all = || target.steps.iter().chain(control.iter().flat_map(|c| &c.steps)).map(|p| p.1);
    let most = all().fold(cap.map_or(0.0, |(c, _)| c.rate_bps), f64::max).max(1.0);
    let least = all().filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min).min(most);
    // a tenth beside a thousandfold is seen only on a scale of powers
    let powers = control.as_ref().is_some_and(|c| (c.mean / target.mean.max(1.0)).abs().log10().abs() > 1.0);
    let floor = (cap.map_or(target.mean, |(c, _)| c.rate_bps) / 10.0)
        .min(most / 100.0)
        .max(least.min(most / 2.0))
        .max(1.0);
    let scaled = |v: f64| if powers { v.max(floor).log10() } else { v };
    let range = if powers { (floor.log10() - 0.06, most.log10() + 0.12) } else { (0.0, most * 1.1) };
    let says = |v: f64| if powers { words::rate((10f64.powf(v)).round()) } else { words::rate(v) };
    let x = Axis {
        range: (0.0, lasts),
        ticks: ticks(0.0, lasts, 6.0),
        says: &number,
        label: "seconds since each connection began".to_owned(),
    };
    let y = Axis {
        range,
        ticks: if powers { decades(range.0, range.1) } else { ticks(0.0, most * 1.1, 5.0) },
        says: &says,
        label: if powers {
            "goodput (new payload bytes), logarithmic"
        } else {
            "goodput (new payload bytes)"
        }
        .to_owned(),
    };
    let svg = page(&head, Room { left: 100.0, right: 170.0, height: 300.0, ..Room::default() }, |c, p| {
        p.axes(c, &x, &y);
        let mut named: Vec<(f64, String, plotters::style::RGBColor, bool)> = Vec::new();
        if let Some((cap, _)) = &cap {
            let [low, high] = cap.interval_bps.map(|v| p.inside(0.0, scaled(v)).1);
            c.rect((p.left, high.min(low - 1.5)), (p.right, low), ink::PURPLE, 0.35);
            let y = p.inside(0.0, scaled(cap.rate_bps)).1;
            c.dashed(&[(p.left, y), (p.right, y)], pen(ink::PURPLE, 1.8), 8.0, 5.0);
            let what = if finding.is_some_and(is_shared) { "shared cap" } else { "cap" };
            named.push((y, format!("{what} {}", bits(cap.rate_bps)), ink::PURPLE, false));
        }
        let mut ends: Vec<((f64, f64), String, plotters::style::RGBColor, bool)> = Vec::new();
        if let Some(control) = &control {
            let label = format!("control: {}", words::shortened(&control.name, 20));
            ends.push((control.draw(c, p, &scaled, ink::BLUE, true), label, ink::BLUE, false));
        }
        let label = words::shortened(&target.name, 22);
        ends.push((target.draw(c, p, &scaled, ink::VERMILLION, false), label, ink::VERMILLION, true));
        for ((x, y), label, color, bold) in ends {
            // one that ends early has its label where it ends
            if x + words::width(&label, LABEL, bold) + 12.0 < p.right - 40.0 {
                let y = (y - 8.0).clamp(p.top + LABEL, p.bottom - 10.0);
                c.label((x + 9.0, y), &label, Words { color: ink::text(color), bold, ..Words::new(LABEL) });
            } else {
                named.push((y, label, color, bold));
            }
        }
        named.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut places: Vec<f64> = named.iter().map(|n| n.0).collect();
        spread(&mut places, LABEL + 5.0, p.top + 4.0, p.bottom - 4.0);
        for ((_, label, color, bold), y) in named.iter().zip(places) {
            let size = if words::width(label, LABEL, *bold) > 152.0 { LABEL - 3.0 } else { LABEL };
            c.text(
                (p.right + 8.0, y + LABEL * 0.35),
                label,
                Words { color: ink::text(*color), bold: *bold, side: Side::Start, ..Words::new(size) },
            );
        }
    });
    Drawn { head, description, svg, is_empty: false }
}

impl Curve {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bins of a page
    fn new(t: &Trace, d: Direction, width: f64, name: String, mean: Option<f64>) -> Self {
        let own = t.series.width.secs_f64();
        let width = (width / own).ceil().max(1.0) * own;
        let last = t.series.bins.iter().rev().find(|b| b.of[d].new_bytes > 0);
        let end = last.map_or(0.0, |b| (b.start + t.series.width).since(t.series.start).secs_f64());
        let n = ((end / width).ceil() as usize).min(4096);
        let mut sums = vec![0.0; n];
        for b in &t.series.bins {
            let at = (b.start.since(t.series.start).secs_f64() / width) as usize;
            if let Some(sum) = sums.get_mut(at) {
                *sum += b.of[d].new_bytes as f64;
            }
        }
        let total: f64 = sums.iter().sum();
        // what little lies behind the last whole bin goes with it
        if sums.len() > 1 && end - (sums.len() - 1) as f64 * width < width / 2.0 {
            let tail = sums.pop().unwrap_or_default();
            if let Some(last) = sums.last_mut() {
                *last += tail;
            }
        }
        // the last bin may end early, or late
        let lasted = |i: usize| if i + 1 == sums.len() { (end - i as f64 * width).max(own) } else { width };
        let steps = sums.iter().enumerate().map(|(i, b)| (i as f64 * width, b * 8.0 / lasted(i))).collect();
        Self { name, steps, lasts: end, mean: mean.unwrap_or(total * 8.0 / end.max(1e-9)) }
    }

    /// Draws it; gives the place where it ends.
    fn draw(
        &self,
        c: &mut Canvas<'_>,
        p: &Plot,
        scaled: &dyn Fn(f64) -> f64,
        color: plotters::style::RGBColor,
        dashed: bool,
    ) -> (f64, f64) {
        let mut line: Vec<(f64, f64)> = Vec::with_capacity(self.steps.len() * 2);
        for (i, (x, v)) in self.steps.iter().enumerate() {
            let until = self.steps.get(i + 1).map_or(self.lasts, |next| next.0);
            line.push(p.inside(*x, scaled(*v)));
            line.push(p.inside(until, scaled(*v)));
        }
        if dashed {
            c.dashed(&line, pen(color, 2.0), 4.0, 2.5);
        } else {
            c.path(&line, pen(color, 2.6));
        }
        let last = line.last().copied().unwrap_or((p.left, p.bottom));
        c.mark(super::canvas::Mark::Dot, last, 3.5, color);
        last
    }
}
