//! Numbers to places: ticks, and how many points become few without losing those that stand out.

use std::collections::BTreeSet;

use crate::base::{Span, Timestamp};

/// Round values in a range, about `n` of them.
pub(super) fn ticks(lo: f64, hi: f64, n: f64) -> Vec<f64> {
    let span = hi - lo;
    if !span.is_finite() || span <= 0.0 {
        return Vec::new();
    }
    let raw = span / n;
    let power = 10f64.powf(raw.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw * 0.999).unwrap_or(raw);
    let first = (lo / step - 1e-9).ceil();
    (0..64u32).map(|i| (first + f64::from(i)) * step).take_while(|v| *v <= hi + step * 1e-6).collect()
}

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// How far ticks of a clock may be apart: so many of a unit, in milliseconds.
const CLOCK: [(i64, &[i64]); 5] = [
    (1, &[1, 2, 5, 10, 20, 50, 100, 200, 500]),
    (1_000, &[1, 2, 5, 10, 15, 30]),
    (60_000, &[1, 2, 5, 10, 15, 30]),
    (3_600_000, &[1, 2, 3, 6, 12]),
    (DAY, &[1]),
];

/// Round moments of UTC from `first` on, `n` of them at most, and how far apart they are.
pub(super) fn moments(first: Timestamp, lasts: Span, n: u32) -> (Vec<Timestamp>, Span) {
    let fits = |step: &Span| step.ns().saturating_mul(n.into()) >= lasts.ns();
    let clock = CLOCK.iter().flat_map(|(unit, of)| of.iter().map(move |n| n * unit));
    let weeks = (0..16).map(|power| (7 * DAY) << power);
    let Some(step) = clock.chain(weeks).map(Span::from_ms).find(fits) else {
        return (Vec::new(), lasts);
    };
    let past = first.ns().rem_euclid(step.ns());
    let begin = if past == 0 { 0 } else { step.ns() - past };
    let all = (0..=i64::from(n)).map_while(|i| i.checked_mul(step.ns())?.checked_add(begin));
    let all = all.take_while(|at| *at <= lasts.ns());
    (all.map(|at| first + Span::from_ns(at)).collect(), step)
}

/// Decades of a range of decimal logarithms, with their halves (2 and 5) where there are few.
pub(super) fn decades(lo: f64, hi: f64) -> Vec<f64> {
    let steps: &[f64] = if hi - lo > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    #[allow(clippy::cast_possible_truncation)] // logarithms
    let (from, to) = (lo.floor() as i32, hi.ceil() as i32);
    let all = (from..=to).flat_map(|d| steps.iter().map(move |s| f64::from(d) + s.log10()));
    all.filter(|v| *v >= lo - 1e-9 && *v <= hi + 1e-9).collect()
}

/// A line of any number of points as one of at most four a column of pixels: first, lowest, highest, last (Jugel et al.
/// 2014, M4), which draws the same pixels.
pub(super) fn reduced(points: impl IntoIterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut out = Vec::new();
    let mut column: Option<[(f64, f64); 4]> = None;
    for p in points {
        match &mut column {
            Some([first, low, high, last]) if half(first.0) == half(p.0) => {
                if p.1 < low.1 {
                    *low = p;
                }
                if p.1 > high.1 {
                    *high = p;
                }
                *last = p;
            }
            _ => {
                flush(column.take(), &mut out);
                column = Some([p; 4]);
            }
        }
    }
    flush(column, &mut out);
    out
}

/// The half pixel that a place lies in.
fn half(x: f64) -> i64 {
    #[allow(clippy::cast_possible_truncation)] // a place on a page
    let half = (x * 2.0).floor() as i64;
    half
}

fn flush(column: Option<[(f64, f64); 4]>, out: &mut Vec<(f64, f64)>) {
    let Some([first, a, b, last]) = column else { return };
    let (a, b) = if a.0 <= b.0 { (a, b) } else { (b, a) };
    for p in [first, a, b, last] {
        if out.last() != Some(&p) {
            out.push(p);
        }
    }
}

/// Marks that would cover each other, once each: one a cell of so many pixels.
pub(super) fn sparse(points: impl IntoIterator<Item = (f64, f64)>, cell: f64) -> Vec<(f64, f64)> {
    let mut seen = BTreeSet::new();
    #[allow(clippy::cast_possible_truncation)] // places on a page
    let mut fresh = |p: &(f64, f64)| seen.insert(((p.0 / cell).floor() as i32, (p.1 / cell).floor() as i32));
    points.into_iter().filter(|p| fresh(p)).collect()
}

/// Moves labels apart so that they stand at least `gap` from each other, within a range, in the order that they have.
pub(super) fn spread(places: &mut [f64], gap: f64, lo: f64, hi: f64) {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
    let mut least = lo;
    for i in &order {
        places[*i] = places[*i].max(least);
        least = places[*i] + gap;
    }
    let mut most = hi;
    for i in order.iter().rev() {
        places[*i] = places[*i].min(most);
        most = places[*i] - gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(0.0, 10.0, 5.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(3.0, 47.0, 4.0), [20.0, 40.0]);
        assert!(ticks(1.0, 1.0, 4.0).is_empty() && ticks(0.0, f64::INFINITY, 4.0).is_empty());
        assert_eq!(decades(0.0, 3.0), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(decades(0.0, 1.0).len(), 4);
    }

    #[test]
    fn moments_are_round_in_utc() {
        let shown = |first: i64, lasts: Span| {
            let (all, every) = moments(Timestamp::from_ns(first), lasts, 6);
            all.iter().map(|t| crate::chart::words::tick(*t, every, lasts)).collect::<Vec<_>>()
        };
        let noon = 1_708_171_200_000_000_000;
        let seconds = ["12:00:00", "12:00:05", "12:00:10", "12:00:15", "12:00:20", "12:00:25"];
        assert_eq!(shown(noon, Span::from_secs(27)), seconds);
        assert_eq!(
            shown(noon + 1_300_000_000, Span::from_ms(400)),
            ["12:00:01.3", "12:00:01.4", "12:00:01.5", "12:00:01.6", "12:00:01.7"]
        );
        assert_eq!(
            shown(noon + 61_000_000_000, Span::from_secs(3 * 3600)),
            ["12:30", "13:00", "13:30", "14:00", "14:30", "15:00"]
        );
        assert_eq!(
            shown(noon, Span::from_secs(36 * 3600)),
            [
                "02-17 12:00",
                "02-17 18:00",
                "02-18 00:00",
                "02-18 06:00",
                "02-18 12:00",
                "02-18 18:00",
                "02-19 00:00"
            ]
        );
        assert_eq!(shown(noon, Span::from_secs(5 * 86_400)).len(), 5);
        assert!(shown(i64::MIN, Span::from_ns(i64::MAX)).len() < 8);
    }

    #[test]
    fn ten_million_points_become_few_and_the_outlier_stays() {
        let n = 10_000_000u32;
        let all = (0..n).map(|i| {
            let y = if i == 7_654_321 { 990.0 } else { f64::from(i % 7) };
            (f64::from(i) * 600.0 / f64::from(n), y)
        });
        let few = reduced(all.clone());
        assert!(few.len() <= 4 * 1200 + 4, "{}", few.len());
        assert!(few.iter().any(|p| (p.1 - 990.0).abs() < 1e-9));
        assert!(few.windows(2).all(|w| w[0].0 <= w[1].0));
        let marks = sparse(all, 2.0);
        assert!(marks.len() < 1500 && marks.iter().any(|p| (p.1 - 990.0).abs() < 1e-9), "{}", marks.len());
    }

    #[test]
    fn labels_do_not_meet() {
        let mut places = [50.0, 52.0, 51.0, 95.0];
        spread(&mut places, 10.0, 0.0, 100.0);
        let mut sorted = places;
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|w| w[1] - w[0] >= 9.99), "{places:?}");
        assert!(places[0] < places[2] && places[2] < places[1]);
    }
}
