//! The page around a chart: title, what it says, key, axes, footer; and the area between the axes.

use plotters::coord::CoordTranslate;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::style::RGBColor;

use super::canvas::{Canvas, Mark, Side, UNITS, Words, ink, paint, pen};
use super::scale::ticks;
use super::words;
use crate::base::Timestamp;

/// The width of all charts in pixels: at the width of a newspaper's column (85 mm) the smallest axis text has 6 points.
pub(super) const WIDTH: f64 = 720.0;
const MARGIN: f64 = 16.0;
const TITLE: f64 = 20.0;
const SAYS: f64 = 15.0;
/// The size of axis text and labels.
pub(super) const LABEL: f64 = 15.0;
const FOOT: f64 = 11.0;

/// What stands around a chart.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    /// What is shown.
    pub(super) title: String,
    /// What it says, in a sentence or two.
    pub(super) says: String,
    /// Shapes and what they stand for.
    pub(super) key: Vec<(Mark, RGBColor, String)>,
    /// Where it comes from.
    pub(super) foot: String,
}

/// An axis.
pub(super) struct Axis<'a> {
    /// From and to.
    pub(super) range: (f64, f64),
    /// Where ticks are.
    pub(super) ticks: Vec<f64>,
    /// What a tick says.
    pub(super) says: &'a dyn Fn(f64) -> String,
    /// What is measured, with its unit.
    pub(super) label: String,
}

/// The axis of seconds after a moment, to the end of what is drawn.
pub(super) fn seconds(start: Timestamp, end: f64) -> Axis<'static> {
    Axis {
        range: (-end * 0.01, end * 1.01),
        ticks: ticks(0.0, end, 6.0),
        says: &words::number,
        label: format!("seconds after {}", words::utc(start)),
    }
}

/// The area between the axes.
pub(super) struct Plot {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
    coord: Option<Cartesian2d<RangedCoordf64, RangedCoordf64>>,
    ranges: [(f64, f64); 2],
}

/// A value, held to where whole numbers reach: at most ten areas away.
fn near(v: f64, (from, to): (f64, f64)) -> f64 {
    let far = (to - from).abs() * 10.0;
    if v.is_nan() { from } else { v.max(from - far).min(to + far) }
}

impl Plot {
    /// Where a value lies.
    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let Some(coord) = &self.coord else { return (self.left, self.top) };
        let [xs, ys] = self.ranges;
        let (px, py) = coord.translate(&(near(x, xs), near(y, ys)));
        (f64::from(px) / f64::from(UNITS), f64::from(py) / f64::from(UNITS))
    }

    /// The same, held within the area.
    pub(super) fn inside(&self, x: f64, y: f64) -> (f64, f64) {
        let (px, py) = self.at(x, y);
        (px.clamp(self.left, self.right), py.clamp(self.top, self.bottom))
    }

    /// Draws axes and grid about itself.
    pub(super) fn axes(&mut self, c: &mut Canvas<'_>, x: &Axis<'_>, y: &Axis<'_>) {
        let unit = f64::from(UNITS);
        #[allow(clippy::cast_possible_truncation)] // places on a page
        let px = |v: f64| (v * unit).round() as i32;
        self.ranges = [x.range, y.range];
        self.coord = Some(Cartesian2d::new(
            RangedCoordf64::from(x.range.0..x.range.1),
            RangedCoordf64::from(y.range.0..y.range.1),
            (px(self.left)..px(self.right), px(self.bottom)..px(self.top)),
        ));
        let quiet = Words { color: ink::QUIET, ..Words::new(LABEL) };
        for t in &y.ticks {
            let (_, at) = self.at(x.range.0, *t);
            c.line((self.left, at), (self.right, at), pen(ink::GRID, 1.0));
            let says = (y.says)(*t);
            c.text((self.left - 7.0, at + LABEL * 0.35), &says, Words { side: Side::End, ..quiet });
        }
        let mut free = f64::NEG_INFINITY;
        for t in &x.ticks {
            let (at, _) = self.at(*t, y.range.0);
            c.line((at, self.bottom), (at, self.bottom + 5.0), pen(ink::LINE, 1.0));
            let says = (x.says)(*t);
            let half = words::width(&says, LABEL, false) / 2.0;
            let middle = at.min(WIDTH - 2.0 - half); // what the last says moves in from the edge
            if middle - half > free {
                c.text((middle, self.bottom + 8.0 + LABEL), &says, Words { side: Side::Middle, ..quiet });
                free = middle + half + 8.0;
            }
        }
        c.line((self.left, self.bottom), (self.right, self.bottom), pen(ink::LINE, 1.3));
        let label = Words { side: Side::End, ..quiet };
        let below = self.bottom + 13.0 + LABEL * 2.0;
        let room = words::width(&x.label, LABEL, false).max(self.right - self.left);
        let size = if room > WIDTH - 2.0 * MARGIN { LABEL - 2.0 } else { LABEL };
        c.text((WIDTH - MARGIN, below), &x.label, Words { size, ..label });
        c.text((MARGIN, self.top - 10.0), &y.label, quiet);
    }
}

/// Room at the sides of the area: for what ticks and labels say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) left: f64,
    pub(super) right: f64,
    /// Height of the area.
    pub(super) height: f64,
    /// Height of the axis below it.
    pub(super) below: f64,
}

impl Default for Room {
    fn default() -> Self {
        Self { left: 78.0, right: MARGIN, height: 300.0, below: 52.0 }
    }
}

/// Draws a page with a chart on it, as SVG.
pub(super) fn page(head: &Head, room: Room, draw: impl FnOnce(&mut Canvas<'_>, &mut Plot)) -> String {
    let wide = WIDTH - 2.0 * MARGIN;
    let title = words::lines(&head.title, TITLE, true, wide, 2);
    let says = words::lines(&head.says, SAYS, false, wide, 6);
    let foot = words::lines(&head.foot, FOOT, false, wide, 3);
    let key = rows(&head.key, wide);
    let mut y = MARGIN;
    let down = |n: usize, size: f64| {
        #[allow(clippy::cast_precision_loss)] // a few lines
        let n = n as f64;
        n * size * 1.32
    };
    let top = y + down(title.len(), TITLE) + down(says.len(), SAYS) + down(key.len(), LABEL * 1.1) + 34.0;
    let bottom = top + room.height;
    let height = bottom + room.below + down(foot.len(), FOOT) + 12.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a page
    let (w, h) = (WIDTH as u32, height.clamp(100.0, 20_000.0).ceil() as u32);
    paint(w, h, |c| {
        for line in &title {
            y += TITLE * 1.32;
            c.text((MARGIN, y - 5.0), line, Words { bold: true, ..Words::new(TITLE) });
        }
        for line in &says {
            y += SAYS * 1.32;
            c.text((MARGIN, y - 3.0), line, Words::new(SAYS));
        }
        for row in &key {
            y += LABEL * 1.1 * 1.32;
            for (x, (mark, color, label)) in row {
                c.mark(*mark, (MARGIN + x + 6.0, y - 5.0), 5.0, *color);
                c.text((MARGIN + x + 17.0, y), label, Words::new(LABEL - 1.0));
            }
        }
        let mut plot = Plot {
            left: room.left,
            top,
            right: WIDTH - room.right,
            bottom,
            coord: None,
            ranges: [(0.0, 1.0); 2],
        };
        draw(c, &mut plot);
        let mut y = bottom + room.below + 4.0;
        for line in &foot {
            y += FOOT * 1.32;
            c.text((MARGIN, y), line, Words { color: ink::QUIET, ..Words::new(FOOT) });
        }
    })
}

/// A page that says why there is no chart.
pub(super) fn nothing(head: &Head, why: &str) -> String {
    let head = Head { says: String::new(), key: Vec::new(), ..head.clone() };
    let text = words::lines(why, LABEL + 1.0, false, WIDTH - 120.0, 8);
    page(&head, Room { height: 150.0, below: 10.0, ..Room::default() }, |c, p| {
        c.frame((MARGIN, p.top - 20.0), (WIDTH - MARGIN, p.bottom), pen(ink::GRID, 1.5));
        for (n, line) in text.iter().enumerate() {
            #[allow(clippy::cast_precision_loss)] // a few lines
            let y = p.top + 20.0 + n as f64 * 22.0;
            c.text((WIDTH / 2.0, y), line, Words { side: Side::Middle, ..Words::new(LABEL + 1.0) });
        }
    })
}

type Placed<'a> = Vec<(f64, &'a (Mark, RGBColor, String))>;

/// The key's rows, each item with its place.
fn rows(key: &[(Mark, RGBColor, String)], wide: f64) -> Vec<Placed<'_>> {
    let mut out: Vec<Placed<'_>> = Vec::new();
    let mut x = f64::INFINITY;
    for item in key {
        let w = words::width(&item.2, LABEL - 1.0, false) + 17.0;
        if x + w > wide {
            out.push(Vec::new());
            x = 0.0;
        }
        if let Some(row) = out.last_mut() {
            row.push((x, item));
        }
        x += w + 18.0;
    }
    out
}
