//! Sequence numbers against time, as Stevens and tcptrace draw them: what was sent, what was acknowledged, how far the
//! window reached, what was sent again, lost or forged, and the line that a policer lets nothing pass.

use super::canvas::{Canvas, Mark, Side, Words, ink, pen};
use super::choose::{Claim, capped, forged, is_shared, main_direction};
use super::losses::lost;
use super::plot::{Axis, Head, LABEL, Plot, Room, page, seconds};
use super::scale::{reduced, sparse, spread, ticks};
use super::words::{self, number, utc};
use super::{Drawn, Subject};
use crate::base::{Direction, Timestamp};
use crate::detect::{Cap, Finding, Level, Mechanism};
use crate::flow::half::Arrival;
use crate::report::units::{bits, count};
use crate::trace::{Point, Trace};
use crate::wire::tcp::Flags;

/// Headers of a packet with timestamps: what a cap counts and sequence numbers do not.
const HEADERS: f64 = 52.0;

/// A line in a legend of lines: where it ends, and what it is.
struct Named {
    y: f64,
    label: String,
    color: plotters::style::RGBColor,
}

#[allow(clippy::cast_precision_loss)] // places on a page
pub(super) fn draw(s: &Subject<'_>) -> Drawn {
    let mut head =
        Head { title: "Sequence numbers against time".to_owned(), foot: s.foot(&[]), ..Head::default() };
    let Some(main) = s.choice.main else {
        return Drawn::nothing(head, "There is no connection in this capture.");
    };
    let (name, number_of) = (s.name(main), s.number(main));
    let Some(t) = s.trace(main) else {
        return Drawn::nothing(head, "The packets of this connection could not be read again.");
    };
    let finding = capped(s.analysis(), main);
    let d = finding.and_then(|f| f.direction).unwrap_or_else(|| main_direction(s.analysis(), main));
    let way = if d == Direction::ToClient { "from" } else { "to" };
    head.title = format!("Bytes {way} {name} against time ({number_of})");
    head.foot = s.foot(&[s.left_out()]);
    if !t.is_tcp {
        return Drawn::nothing(
            head,
            "QUIC encrypts its packet numbers: there is no sequence to draw. The goodput chart shows this connection.",
        );
    }
    let data: Vec<&Point> = t.points.iter().filter(|p| p.direction == d && p.len > 0).collect();
    let Some(first) = t.points.first() else {
        return Drawn::nothing(head, "No packet of this connection was captured.");
    };
    if data.is_empty() {
        return Drawn::nothing(
            head,
            "No packet with data went this way, so there is no sequence to draw. The ladder shows such a connection packet by packet.",
        );
    }
    let start = first.at;
    let time = |at: Timestamp| at.since(start).secs_f64();
    let end = t.points.iter().map(|p| time(p.at)).fold(0.0, f64::max).max(1e-3);
    let top = data.iter().map(|p| p.seq + i64::from(p.len)).max().unwrap_or(1).max(1) as f64;
    let answers: Vec<(f64, &Point)> =
        t.points.iter().filter(|p| p.direction == d.reversed()).map(|p| (time(p.at), p)).collect();
    let marks = Marks::new(s, t, &data, d);
    marks.key(&mut head);
    let again = data.iter().filter(|p| p.arrival == Arrival::Retransmission).count() as u64;
    head.says = says(finding, again, data.len() as u64, marks.lost.len());
    let description = format!(
        "{} The bytes of {} segments are drawn against time, from 0 to {} and over {} seconds from {}. {}",
        head.says,
        data.len(),
        words::bytes(top),
        number((end * 10.0).round() / 10.0),
        utc(start),
        marks.words()
    );
    let alone = finding.filter(|f| !is_shared(f));
    let line = alone.and_then(|f| f.cap).map(|cap| policer(&answers, &data, cap));
    let x = seconds(start, end);
    let y = Axis {
        range: (-top * 0.02, top * 1.06),
        ticks: ticks(0.0, top * 1.04, 5.0),
        says: &words::bytes,
        label: format!(
            "bytes since the start, sent by {}",
            if d == Direction::ToClient { "the server" } else { "the client" }
        ),
    };
    let right = if line.is_some() { 150.0 } else { 132.0 };
    let room = Room { right, height: 330.0, ..Room::default() };
    let svg = page(&head, room, |c, p| {
        p.axes(c, &x, &y);
        let mut named = Vec::new();
        window_line(c, p, &answers, &mut named);
        ack_line(c, p, &answers, &mut named);
        segments(c, p, &data, &time);
        if let Some((offset, slope, label)) = &line {
            let from = (0.0f64.max((-offset) / slope), end);
            let ends = [from.0, from.1].map(|x| p.inside(x, offset + slope * x));
            // from where it enters the area to where it leaves
            let leaves = if offset + slope * end > top * 1.06 { (top * 1.06 - offset) / slope } else { end };
            let ends = [ends[0], p.inside(leaves, offset + slope * leaves)];
            c.dashed(&ends, pen(ink::PURPLE, 2.6), 9.0, 5.0);
            named.push(Named { y: ends[1].1, label: label.clone(), color: ink::PURPLE });
        }
        marks.draw(c, p, &time);
        name_lines(c, p, named);
    });
    Drawn { head, description, svg, is_empty: false }
}

fn says(finding: Option<&Finding>, again: u64, data: u64, lost: usize) -> String {
    let resent = format!("{again} of {} were sent again", count(data, "segment"));
    let resent = if lost > 0 { format!("{resent}, {lost} losses are marked") } else { resent };
    let Some((f, cap)) = finding.and_then(|f| Some((f, f.cap?))) else { return format!("{resent}.") };
    let held = if f.level == Level::Possible { "May be held" } else { "Held" };
    let how = match f.mechanism {
        _ if is_shared(f) => {
            format!(" together with {}", count(f.connections.len() as u64 - 1, "other connection"))
        }
        Mechanism::Shaped => ": what exceeds the dashed line is delayed".to_owned(),
        Mechanism::Policed => ": what would pass the dashed line is dropped".to_owned(),
        _ => String::new(),
    };
    format!("{held} to {}{how}. {resent}.", bits(cap.rate_bps))
}

/// The line that acknowledged data does not cross: the cap's rate in payload bytes, as low as the data lets it be.
#[allow(clippy::cast_precision_loss)] // places on a page
fn policer(answers: &[(f64, &Point)], data: &[&Point], cap: Cap) -> (f64, f64, String) {
    let mean = data.iter().map(|p| f64::from(p.len)).sum::<f64>() / data.len().max(1) as f64;
    let slope = (cap.rate_bps / 8.0 * mean / (mean + HEADERS)).max(1.0);
    let ends = answers.iter().filter_map(|(at, p)| Some(p.ack? as f64 - slope * at));
    let most = ends.fold(f64::NEG_INFINITY, f64::max);
    (if most.is_finite() { most } else { 0.0 }, slope, bits(cap.rate_bps))
}

/// Data segments: a stroke from the first byte to the last of each, strokes that touch in one column joined.
#[allow(clippy::cast_precision_loss)] // places on a page
fn segments(c: &mut Canvas<'_>, p: &Plot, data: &[&Point], time: &dyn Fn(Timestamp) -> f64) {
    let mut columns: std::collections::BTreeMap<i64, Vec<(f64, f64)>> = std::collections::BTreeMap::new();
    for point in data {
        let (x, high) = p.at(time(point.at), (point.seq + i64::from(point.len)) as f64);
        let (_, low) = p.at(0.0, point.seq as f64);
        #[allow(clippy::cast_possible_truncation)] // a column
        columns.entry((x * 2.0).round() as i64).or_default().push((high, low.max(high + 1.6)));
    }
    for (column, mut strokes) in columns {
        strokes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut joined: Vec<(f64, f64)> = Vec::new();
        for (high, low) in strokes {
            match joined.last_mut() {
                Some(last) if high <= last.1 + 0.5 => last.1 = last.1.max(low),
                _ => joined.push((high, low)),
            }
        }
        let x = column as f64 / 2.0;
        for (high, low) in joined {
            c.line((x, high), (x, low), pen(ink::BLUE, 2.2));
        }
    }
}

/// A staircase of values against time.
fn stairs(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = Vec::new();
    for (x, y) in points {
        if let Some(&(_, before)) = out.last() {
            out.push((x, before));
        }
        out.push((x, y));
    }
    reduced(out)
}

#[allow(clippy::cast_precision_loss)] // places on a page
fn ack_line(c: &mut Canvas<'_>, p: &Plot, answers: &[(f64, &Point)], named: &mut Vec<Named>) {
    let mut high = i64::MIN;
    let acks = answers.iter().filter_map(|(at, q)| Some((*at, q.ack?))).filter(|(_, a)| {
        let new = *a > high;
        high = high.max(*a);
        new
    });
    let line = stairs(acks.map(|(at, ack)| p.inside(at, ack as f64)));
    c.path(&line, pen(ink::GREEN, 1.6));
    if let Some((_, y)) = line.last() {
        named.push(Named { y: *y, label: "acknowledged".to_owned(), color: ink::GREEN });
    }
}

#[allow(clippy::cast_precision_loss)] // places on a page
fn window_line(c: &mut Canvas<'_>, p: &Plot, answers: &[(f64, &Point)], named: &mut Vec<Named>) {
    let edges = answers.iter().filter_map(|(at, q)| Some((*at, q.ack? + i64::from(q.window?))));
    let places: Vec<(f64, f64)> = stairs(edges.map(|(at, edge)| p.at(at, edge as f64)));
    // as far as it runs within the area
    let line: Vec<(f64, f64)> = places.into_iter().take_while(|q| q.1 >= p.top - 1.0).collect();
    if line.len() < 2 {
        named.push(Named { y: p.top - 4.0, label: "window: above".to_owned(), color: ink::QUIET });
        return;
    }
    c.path(&line, pen(ink::ORANGE, 1.4));
    let y = line.last().map_or(p.top, |q| q.1).max(p.top);
    named.push(Named { y, label: "window's edge".to_owned(), color: ink::ORANGE });
}

/// Labels at the right end of the lines.
fn name_lines(c: &mut Canvas<'_>, p: &Plot, mut named: Vec<Named>) {
    named.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut places: Vec<f64> = named.iter().map(|n| n.y).collect();
    spread(&mut places, LABEL + 4.0, p.top - 2.0, p.bottom - 4.0);
    for (n, y) in named.iter().zip(places) {
        if n.y >= p.top {
            c.line((p.right + 3.0, n.y), (p.right + 9.0, y), pen(n.color, 1.2));
        }
        c.text(
            (p.right + 12.0, y + LABEL * 0.35),
            &n.label,
            Words { color: ink::text(n.color), side: Side::Start, ..Words::new(LABEL) },
        );
    }
}

/// What is marked: sent again, lost, forged.
struct Marks {
    again: Vec<(Timestamp, f64)>,
    lost: Vec<(Timestamp, f64)>,
    forged: Vec<(Timestamp, f64, &'static str, u64, Claim)>,
}

impl Marks {
    #[allow(clippy::cast_precision_loss)] // places on a page
    fn new(s: &Subject<'_>, t: &Trace, data: &[&Point], d: Direction) -> Self {
        let middle = |p: &Point| p.seq as f64 + f64::from(p.len) / 2.0;
        let again = data.iter().filter(|p| p.arrival == Arrival::Retransmission);
        let claims = forged(s.analysis(), &[t.place]);
        let of_claims = t.points.iter().filter_map(|p| Some((p, *claims.get(&p.frame)?)));
        let height = |p: &Point| if p.direction == d { p.seq } else { p.ack.unwrap_or(0) } as f64;
        let what = |p: &Point| if p.flags.has(Flags::RST) { "reset" } else { "packet" };
        Self {
            again: again.map(|p| (p.at, middle(p))).collect(),
            lost: lost(t, d),
            forged: of_claims.map(|(p, level)| (p.at, height(p), what(p), p.frame, level)).collect(),
        }
    }

    fn key(&self, head: &mut Head) {
        head.key.push((Mark::Bar, ink::BLUE, "data".to_owned()));
        if !self.again.is_empty() {
            head.key.push((Mark::Triangle, ink::ORANGE, "sent again".to_owned()));
        }
        if !self.lost.is_empty() {
            head.key.push((Mark::Cross, ink::VERMILLION, "lost".to_owned()));
        }
        if let Some((_, _, what, _, level)) = self.forged.first() {
            head.key.push((Mark::Diamond, ink::VERMILLION, format!("{} {what}", level.words())));
        }
    }

    fn words(&self) -> String {
        let frames: Vec<String> = self.forged.iter().map(|(.., f, _)| f.to_string()).take(10).collect();
        let forged = if frames.is_empty() {
            String::new()
        } else {
            format!(" Forged packets are marked: frames {}.", frames.join(", "))
        };
        format!(
            "{} segments sent again and {} lost ones are marked.{forged}",
            self.again.len(),
            self.lost.len()
        )
    }

    fn draw(&self, c: &mut Canvas<'_>, p: &Plot, time: &dyn Fn(Timestamp) -> f64) {
        let places = |of: &[(Timestamp, f64)]| -> Vec<(f64, f64)> {
            sparse(of.iter().map(|(at, y)| p.inside(time(*at), *y)), 3.0)
        };
        for place in places(&self.again) {
            c.mark(Mark::Triangle, place, 3.6, ink::ORANGE);
        }
        for place in places(&self.lost) {
            c.mark(Mark::Cross, place, 3.8, ink::VERMILLION);
        }
        let mut labels = 0;
        for (at, y, what, frame, level) in &self.forged {
            let place = p.inside(time(*at), *y);
            c.mark(Mark::Diamond, place, 6.5, ink::VERMILLION);
            if labels < 3 {
                let side = if place.0 > f64::midpoint(p.left, p.right) { Side::End } else { Side::Start };
                let dx = if side == Side::End { -13.0 } else { 13.0 };
                let label = format!("{} {what}, frame {frame}", level.words());
                let y = if place.1 > p.bottom - 20.0 { place.1 - 8.0 } else { place.1 + 5.0 };
                c.label((place.0 + dx, y), &label, Words { bold: true, side, ..Words::new(LABEL) });
                labels += 1;
            }
        }
    }
}
