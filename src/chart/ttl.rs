//! TTL, or hop limit, against time: packets of a third party stand out where its distance differs.

use super::canvas::{Mark, Side, Words, ink, pen};
use super::choose::forged;
use super::plot::{Axis, Head, LABEL, Room, page};
use super::scale::{sparse, spread, ticks};
use super::words::{number, utc, width};
use super::{Drawn, Subject};
use crate::base::{Direction, Timestamp};
use crate::trace::Point;
use crate::wire::tcp::Flags;

#[allow(clippy::cast_precision_loss)] // places on a page
pub(super) fn draw(s: &Subject<'_>) -> Drawn {
    let mut head = Head { title: "TTL against time".to_owned(), foot: s.foot(&[]), ..Head::default() };
    let Some(main) = s.choice.main else {
        return Drawn::nothing(head, "There is no connection in this capture.");
    };
    let places: Vec<usize> = s.traces.iter().map(|t| t.place).collect();
    let points: Vec<&Point> = s.traces.iter().flat_map(|t| &t.points).collect();
    let v6 = s.analysis().ends(main).is_some_and(|(c, _)| c.addr.is_ipv6());
    let what = if v6 { "Hop limit" } else { "TTL" };
    head.title = match places.len() {
        0 | 1 => format!("{what} of the packets to and from {} ({})", s.name(main), s.number(main)),
        n => format!("{what} of the packets of {n} connections to the network of {}", s.name(main)),
    };
    head.foot = s.foot(&[s.left_out()]);
    let Some(start) = points.iter().map(|p| p.at).min() else {
        return Drawn::nothing(head, "No packet of this connection was captured.");
    };
    let claims = forged(s.analysis(), &places);
    let time = |at: Timestamp| at.since(start).secs_f64();
    let end = points.iter().map(|p| time(p.at)).fold(0.0, f64::max).max(1e-3);
    let (low, high) = points.iter().fold((u8::MAX, 0), |(l, h), p| (l.min(p.ttl), h.max(p.ttl)));
    let odd: Vec<&&Point> = points.iter().filter(|p| claims.contains_key(&p.frame)).collect();
    let level = claims.values().max().copied();
    let usual = |d: Direction| {
        let mut n = [0u32; 256];
        for p in points.iter().filter(|p| p.direction == d && !claims.contains_key(&p.frame)) {
            n[usize::from(p.ttl)] += 1;
        }
        (0..=255u8).rev().max_by_key(|t| n[usize::from(*t)]).filter(|t| n[usize::from(*t)] > 0)
    };
    let (client, server) = (usual(Direction::ToServer), usual(Direction::ToClient));
    let whose = |t: Option<u8>, d| t.map(|t| format!("packets of {} have {t}", s.sender(main, d)));
    let usual_words: Vec<String> = whose(client, Direction::ToServer)
        .into_iter()
        .chain(if places.len() > 1 {
            server.map(|t| format!("packets of the servers have {t}"))
        } else {
            whose(server, Direction::ToClient)
        })
        .collect();
    let odd_words = match (odd.first(), level) {
        (Some(_), Some(level)) => {
            let n = odd.len();
            let packets = if n == 1 { "the".to_owned() } else { format!("the {n}") };
            let have = values(&odd, " to ");
            let resets = odd.iter().all(|p| p.flags.has(Flags::RST));
            let what = if resets { "reset" } else { "packet" };
            let plural = if n == 1 { format!("{what} has") } else { format!("{what}s have") };
            format!("{packets} {} {plural} {have}", level.words())
        }
        _ => "no packet is taken for forged".to_owned(),
    };
    let usual_text = Some(usual_words.join(", ")).filter(|t| !t.is_empty());
    let mut says = usual_text.into_iter().chain([odd_words]).collect::<Vec<_>>().join("; ");
    if let Some(first) = says.get(0..1) {
        says = first.to_uppercase() + &says[1..];
    }
    head.says = says + ".";
    let key = [
        (client, Mark::Ring, ink::BLUE, "packet of the client"),
        (server, Mark::Square, ink::GREEN, "packet of the server"),
    ];
    head.key = key
        .iter()
        .filter(|k| k.0.is_some())
        .map(|(_, mark, color, t)| (*mark, *color, (*t).to_owned()))
        .collect();
    if let Some(level) = level {
        head.key.push((Mark::Diamond, ink::VERMILLION, format!("{} packet", level.words())));
    }
    let frames: Vec<String> =
        odd.iter().take(20).map(|p| format!("{} ({what} {})", p.frame, p.ttl)).collect();
    let listed =
        if frames.is_empty() { String::new() } else { format!(" Forged: frames {}.", frames.join(", ")) };
    let description = format!(
        "{} {} packets over {} seconds from {}.{listed}",
        head.says,
        points.len(),
        number((end * 10.0).round() / 10.0),
        utc(start)
    );
    let range = (f64::from(low) - 4.5, f64::from(high) + 4.5);
    let mut y_ticks = ticks(range.0, range.1, 6.0);
    y_ticks.retain(|t| t.fract().abs() < 1e-9);
    let x = Axis {
        range: (-end * 0.02, end * 1.02),
        ticks: ticks(0.0, end, 6.0),
        says: &number,
        label: format!("seconds after {}", utc(start)),
    };
    let y = Axis {
        range,
        ticks: y_ticks,
        says: &number,
        label: if v6 { "hop limit on arrival" } else { "TTL on arrival (hops left)" }.to_owned(),
    };
    // what stands at the right: whose TTL, and how large the letters are
    let mut named: Vec<(u8, String, plotters::style::RGBColor, f64)> = Vec::new();
    for (t, label, color) in [(client, "client", ink::BLUE), (server, "server", ink::GREEN)] {
        named.extend(t.map(|t| (t, format!("{label}: {t}"), color, LABEL)));
    }
    if let (Some(first), Some(level)) = (odd.first(), level) {
        let label = format!("{}: {}", level.words(), values(&odd, "–"));
        named.push((first.ttl, label, ink::VERMILLION, LABEL - 1.5));
    }
    let widest = named.iter().map(|n| width(&n.1, n.3, n.2 == ink::VERMILLION)).fold(0.0, f64::max);
    let room = Room { left: 60.0, right: (widest + 26.0).max(124.0), height: 290.0, ..Room::default() };
    let svg = page(&head, room, |c, p| {
        p.axes(c, &x, &y);
        for (d, mark, color, r) in [
            (Direction::ToServer, Mark::Ring, ink::BLUE, 3.4),
            (Direction::ToClient, Mark::Square, ink::GREEN, 3.6),
        ] {
            let of = points.iter().filter(|q| q.direction == d && !claims.contains_key(&q.frame));
            for place in sparse(of.map(|q| p.at(time(q.at), f64::from(q.ttl))), 2.5) {
                c.mark(mark, place, r, color);
            }
        }
        for q in &odd {
            c.mark(Mark::Diamond, p.at(time(q.at), f64::from(q.ttl)), 6.5, ink::VERMILLION);
        }
        let from = |ttl: u8| p.at(0.0, f64::from(ttl)).1;
        let mut places: Vec<f64> = named.iter().map(|n| from(n.0)).collect();
        spread(&mut places, LABEL + 4.0, p.top, p.bottom);
        for ((ttl, label, color, size), y) in named.iter().zip(places) {
            c.line((p.right + 2.0, from(*ttl)), (p.right + 8.0, y), pen(*color, 1.2));
            let bold = *color == ink::VERMILLION;
            c.text(
                (p.right + 10.0, y + LABEL * 0.35),
                label,
                Words { bold, color: ink::text(*color), side: Side::Start, ..Words::new(*size) },
            );
        }
    });
    Drawn { head, description, svg, is_empty: false }
}

/// The TTLs of some packets: one, or the least and the most.
fn values(of: &[&&Point], to: &str) -> String {
    let least = of.iter().map(|p| p.ttl).min().unwrap_or_default();
    let most = of.iter().map(|p| p.ttl).max().unwrap_or_default();
    if least == most { least.to_string() } else { format!("{least}{to}{most}") }
}
