//! Round trips between the point of capture and each end, against time.

use super::canvas::{Mark, ink};
use super::plot::{Axis, Head, Room, page, seconds};
use super::scale::{decades, sparse, ticks};
use super::words::{number, utc};
use super::{Drawn, Subject};
use crate::base::{Direction, Span, Timestamp};
use crate::trace::RoundTrip;

/// The shortest round trip that is told from none, in ms: on the capturing host itself it tells of its system.
const FLOOR: f64 = 0.1;

/// Round trips that are all shorter than this are not drawn beside ones that are much longer.
const TRIVIAL: f64 = 2.0;

pub(super) fn draw(s: &Subject<'_>) -> Drawn {
    let mut head =
        Head { title: "Round trips against time".to_owned(), foot: s.foot(&[]), ..Head::default() };
    let Some(main) = s.choice.main else {
        return Drawn::nothing(head, "There is no connection in this capture.");
    };
    head.title = format!("Round trips of the connection to {} ({})", s.name(main), s.number(main));
    let Some(t) = s.trace(main) else {
        return Drawn::nothing(head, "The packets of this connection could not be read again.");
    };
    if !t.is_tcp {
        return Drawn::nothing(
            head,
            "QUIC encrypts its acknowledgments: round trips cannot be read from this connection.",
        );
    }
    let (Some(start), false) = (t.points.first().map(|p| p.at), t.round_trips.is_empty()) else {
        return Drawn::nothing(
            head,
            "No packet of this connection was answered in a way that tells a round trip: only one end was captured, or it ended too soon.",
        );
    };
    let time = |at: Timestamp| at.since(start).secs_f64();
    let ms = |r: Span| r.secs_f64() * 1e3;
    let end = t.points.iter().map(|p| time(p.at)).fold(0.0, f64::max).max(1e-3);
    let of = |d: Direction| t.round_trips.iter().filter(move |r| r.direction == d);
    // what lies on the capturing host's own link tells nothing beside the path
    let worst = |d: Direction| of(d).map(|r| ms(r.took)).fold(0.0, f64::max);
    let trivial = |d: Direction| worst(d) < TRIVIAL && worst(d.reversed()) >= 5.0 * TRIVIAL;
    let drawn = || t.round_trips.iter().filter(|r| !trivial(r.direction));
    let shown = |r: Span| if ms(r) < FLOOR { format!("under {FLOOR} ms") } else { r.to_string() };
    let said = |d: Direction| {
        let mut all: Vec<Span> = of(d).map(|r| r.took).collect();
        all.sort_unstable();
        let [least, median, most] = [all.first()?, all.get(all.len() / 2)?, all.last()?].map(|r| shown(*r));
        Some(format!(
            "{}: {least} at least, {median} in the median, {most} at most ({} of them{})",
            if d == Direction::ToClient { "To the server" } else { "To the client" },
            all.len(),
            if trivial(d) { ", not drawn" } else { "" }
        ))
    };
    head.says = [said(Direction::ToClient), said(Direction::ToServer)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(". ")
        + ".";
    for (d, mark, color, what) in [
        (Direction::ToClient, Mark::Square, ink::GREEN, "to the server and back"),
        (Direction::ToServer, Mark::Ring, ink::BLUE, "to the client and back"),
    ] {
        if of(d).next().is_some() && !trivial(d) {
            head.key.push((mark, color, what.to_owned()));
        }
    }
    let thinned = if t.round_trips_thinned > 0 {
        format!(
            "{} round trips left out, none of them the shortest or longest of its neighbours",
            t.round_trips_thinned
        )
    } else {
        String::new()
    };
    head.foot = s.foot(&[thinned]);
    let description = format!(
        "{} Measured at the point of capture over {} seconds from {}.",
        head.says,
        number((end * 10.0).round() / 10.0),
        utc(start)
    );
    let all = || drawn().map(|r| ms(r.took));
    let (least, most) = (all().fold(f64::INFINITY, f64::min).max(FLOOR), all().fold(FLOOR, f64::max));
    let powers = most / least > 30.0;
    let scaled = |v: f64| if powers { v.max(FLOOR).log10() } else { v };
    let range = if powers { (least.log10() - 0.1, most.log10() + 0.3) } else { (0.0, most * 1.12) };
    let says: &dyn Fn(f64) -> String = &|v| match 10f64.powf(v) {
        v if powers && v <= FLOOR * 1.01 => format!("≤ {FLOOR}"),
        power if powers => number((power * 100.0).round() / 100.0),
        _ => number((v * 1000.0).round() / 1000.0),
    };
    let x = seconds(start, end);
    let y = Axis {
        range,
        ticks: if powers { decades(range.0, range.1) } else { ticks(0.0, most * 1.1, 5.0) },
        says,
        label: format!(
            "round trip from the point of capture, ms{}",
            if powers { ", logarithmic" } else { "" }
        ),
    };
    let svg = page(&head, Room { left: 64.0, height: 290.0, ..Room::default() }, |c, p| {
        p.axes(c, &x, &y);
        let place = |r: &RoundTrip| p.at(time(r.at), scaled(ms(r.took)));
        for (d, mark, color) in
            [(Direction::ToServer, Mark::Ring, ink::BLUE), (Direction::ToClient, Mark::Square, ink::GREEN)]
        {
            for at in sparse(drawn().filter(|r| r.direction == d).map(place), 2.5) {
                c.mark(mark, at, 3.0, color);
            }
        }
    });
    Drawn { head, description, svg, is_empty: false }
}
