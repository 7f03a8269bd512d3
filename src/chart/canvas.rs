//! Where charts draw: plotters' SVG backend with shapes, text and marks in pixels of a hundredth of an inch or so.
//!
//! plotters has whole numbers for coordinates, so the drawing is four times as large as the picture says it is.

use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, Drawable, PathElement, PointCollection, Polygon, Rectangle, Text};
use plotters::prelude::{IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, IntoFont, RGBColor, ShapeStyle, WHITE};

/// How many units of the drawing a pixel has.
pub(super) const UNITS: i32 = 4;

/// The fonts that a viewer is asked for; the first is the one that PNGs are drawn with.
const FONTS: &str = "Noto Sans, DejaVu Sans, Verdana, Arial, sans-serif";

/// The palette of Okabe and Ito (2008), told apart with every kind of colour vision, and greys.
pub(super) mod ink {
    use plotters::style::RGBColor;

    pub(in crate::chart) const BLACK: RGBColor = RGBColor(0, 0, 0);
    pub(in crate::chart) const TEXT: RGBColor = RGBColor(34, 34, 34);
    pub(in crate::chart) const QUIET: RGBColor = RGBColor(89, 89, 89);
    pub(in crate::chart) const LINE: RGBColor = RGBColor(150, 150, 150);
    pub(in crate::chart) const GRID: RGBColor = RGBColor(225, 225, 225);
    pub(in crate::chart) const ORANGE: RGBColor = RGBColor(230, 159, 0);
    pub(in crate::chart) const SKY: RGBColor = RGBColor(86, 180, 233);
    pub(in crate::chart) const GREEN: RGBColor = RGBColor(0, 158, 115);
    pub(in crate::chart) const BLUE: RGBColor = RGBColor(0, 114, 178);
    pub(in crate::chart) const VERMILLION: RGBColor = RGBColor(213, 94, 0);
    pub(in crate::chart) const PURPLE: RGBColor = RGBColor(204, 121, 167);

    /// The same hue as text, dark enough to be read on white (WCAG 2.1, 4.5 to 1).
    pub(in crate::chart) const fn text(color: RGBColor) -> RGBColor {
        match color {
            ORANGE => RGBColor(138, 92, 0),
            SKY => RGBColor(0, 102, 153),
            GREEN => RGBColor(0, 108, 79),
            VERMILLION => RGBColor(176, 66, 0),
            PURPLE => RGBColor(150, 55, 110),
            other => other,
        }
    }
}

/// A line's colour and width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pen {
    pub(super) color: RGBColor,
    pub(super) width: f64,
}

/// A pen.
pub(super) const fn pen(color: RGBColor, width: f64) -> Pen {
    Pen { color, width }
}

/// Where a text stands about its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// A shape that means something, told apart without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Dot,
    Ring,
    Square,
    Box,
    Triangle,
    Cross,
    Diamond,
    Bar,
    Query,
}

/// A drawing in progress; coordinates are pixels from the upper left.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

fn units(v: f64) -> i32 {
    #[allow(clippy::cast_possible_truncation)] // a place on a page
    let units = (v.clamp(-20_000.0, 20_000.0) * f64::from(UNITS)).round() as i32;
    units
}

fn size(v: f64) -> u32 {
    u32::try_from(units(v).max(1)).unwrap_or(1)
}

fn at((x, y): (f64, f64)) -> (i32, i32) {
    (units(x), units(y))
}

impl<'a> Canvas<'a> {
    fn draw<E>(&mut self, element: &E)
    where
        for<'b> &'b E: PointCollection<'b, (i32, i32)>,
        E: Drawable<SVGBackend<'a>>,
    {
        let _ = self.area.draw(element); // a string takes all
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), p: Pen) {
        self.path(&[from, to], p);
    }

    pub(super) fn path(&mut self, points: &[(f64, f64)], p: Pen) {
        if points.len() > 1 {
            let points: Vec<(i32, i32)> = points.iter().map(|p| at(*p)).collect();
            self.draw(&PathElement::new(points, p.color.stroke_width(size(p.width))));
        }
    }

    /// A path of strokes and spaces of these lengths.
    pub(super) fn dashed(&mut self, points: &[(f64, f64)], p: Pen, stroke: f64, space: f64) {
        let (mut left, mut on) = (stroke, true);
        let mut part: Vec<(f64, f64)> = points.first().copied().into_iter().collect();
        for w in points.windows(2) {
            let ((x0, y0), (x1, y1)) = (w[0], w[1]);
            let len = (x1 - x0).hypot(y1 - y0);
            let mut gone = 0.0;
            while len - gone > left {
                gone += left;
                let here = (x0 + (x1 - x0) * gone / len, y0 + (y1 - y0) * gone / len);
                if on {
                    part.push(here);
                    self.path(&part, p);
                }
                part = vec![here];
                on = !on;
                left = if on { stroke } else { space };
            }
            left -= len - gone;
            part.push((x1, y1));
        }
        if on {
            self.path(&part, p);
        }
    }

    pub(super) fn rect(&mut self, from: (f64, f64), to: (f64, f64), color: RGBColor, alpha: f64) {
        self.draw(&Rectangle::new([at(from), at(to)], color.mix(alpha).filled()));
    }

    pub(super) fn frame(&mut self, from: (f64, f64), to: (f64, f64), p: Pen) {
        self.path(&[from, (to.0, from.1), to, (from.0, to.1), from], p);
    }

    pub(super) fn polygon(&mut self, points: &[(f64, f64)], color: RGBColor) {
        let points: Vec<(i32, i32)> = points.iter().map(|p| at(*p)).collect();
        self.draw(&Polygon::new(points, color));
    }

    fn circle(&mut self, center: (f64, f64), radius: f64, style: ShapeStyle) {
        self.draw(&Circle::new(at(center), size(radius), style));
    }

    pub(super) fn text(&mut self, place: (f64, f64), text: &str, s: Words) {
        // plotters' sizes are 1.24 times those of SVG
        let font = (FONTS, s.size * f64::from(UNITS) * 1.24).into_font();
        let font = if s.bold { font.style(plotters::style::FontStyle::Bold) } else { font };
        let font = if s.upright { font.transform(FontTransform::Rotate270) } else { font };
        let side = match s.side {
            Side::Start => HPos::Left,
            Side::Middle => HPos::Center,
            Side::End => HPos::Right,
        };
        let style = font.color(&s.color).pos(Pos::new(side, VPos::Bottom));
        // that anchor lies half an x-height above the baseline
        let place = (place.0, place.1 + s.size * 0.26);
        self.draw(&Text::new(text.to_owned(), at(place), style));
    }

    /// Text with a white ground, so that lines behind it do not cross it.
    pub(super) fn label(&mut self, place: (f64, f64), text: &str, s: Words) {
        let width = super::words::width(text, s.size, s.bold);
        let left = match s.side {
            Side::Start => place.0,
            Side::Middle => place.0 - width / 2.0,
            Side::End => place.0 - width,
        };
        self.rect(
            (left - 2.0, place.1 - s.size * 0.95),
            (left + width + 2.0, place.1 + s.size * 0.3),
            WHITE_INK,
            0.86,
        );
        self.text(place, text, s);
    }

    /// A mark of about this size about a point.
    pub(super) fn mark(&mut self, mark: Mark, (x, y): (f64, f64), r: f64, color: RGBColor) {
        let by = |dx: f64, dy: f64| (x + dx * r, y + dy * r);
        match mark {
            Mark::Dot => self.circle((x, y), r, color.filled()),
            Mark::Ring => self.circle((x, y), r, color.stroke_width(size(r * 0.45))),
            Mark::Square => self.rect(by(-0.9, -0.9), by(0.9, 0.9), color, 1.0),
            Mark::Box => self.frame(by(-0.9, -0.9), by(0.9, 0.9), pen(color, r * 0.45)),
            Mark::Triangle => self.polygon(&[by(0.0, -1.15), by(1.05, 0.85), by(-1.05, 0.85)], color),
            Mark::Cross => {
                self.line(by(-1.0, -1.0), by(1.0, 1.0), pen(color, r * 0.55));
                self.line(by(-1.0, 1.0), by(1.0, -1.0), pen(color, r * 0.55));
            }
            Mark::Diamond => {
                self.polygon(&[by(0.0, -1.5), by(1.3, 0.0), by(0.0, 1.5), by(-1.3, 0.0)], ink::BLACK);
                self.polygon(&[by(0.0, -1.0), by(0.85, 0.0), by(0.0, 1.0), by(-0.85, 0.0)], color);
            }
            Mark::Bar => self.rect(by(-0.35, -1.1), by(0.35, 1.1), color, 1.0),
            Mark::Query => {
                let s = Words { bold: true, color, side: Side::Middle, ..Words::new(r * 2.4) };
                self.text((x, y + r * 0.85), "?", s);
            }
        }
    }
}

const WHITE_INK: RGBColor = RGBColor(255, 255, 255);

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) color: RGBColor,
    pub(super) side: Side,
    pub(super) upright: bool,
}

impl Words {
    pub(super) const fn new(size: f64) -> Self {
        Self { size, bold: false, color: ink::TEXT, side: Side::Start, upright: false }
    }
}

/// Draws a picture of this size on white.
pub(super) fn paint(width: u32, height: u32, draw: impl FnOnce(&mut Canvas<'_>)) -> String {
    let mut svg = String::new();
    let unit = UNITS.unsigned_abs();
    {
        let area = SVGBackend::with_string(&mut svg, (width * unit, height * unit)).into_drawing_area();
        let mut canvas = Canvas { area };
        let _ = canvas.area.fill(&WHITE); // a string takes all
        draw(&mut canvas);
        let _ = canvas.area.present();
    }
    svg
}
