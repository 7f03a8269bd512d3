//! One handshake as a ladder: who sent what to whom, in order, with the packets of a third party on a line of their own.

use super::canvas::{Canvas, Mark, Side, Words, ink, pen};
use super::choose::{Claim, forged};
use super::plot::{Head, LABEL, Plot, Room, WIDTH, page};
use super::words::{self, utc};
use super::{Drawn, Subject};
use crate::base::{Direction, Span};
use crate::flow::half::Arrival;
use crate::report::units::bytes;
use crate::trace::{Point, Trace};
use crate::wire::tcp::Flags;

/// Packets drawn at most; of a longer connection those about the telling ones.
const ROWS: usize = 22;
const STEP: f64 = 33.0;

/// A rung: a packet, or packets that are left out.
enum Rung<'a> {
    Packet(&'a Point, Option<Claim>),
    Skipped(usize),
}

#[allow(clippy::cast_precision_loss)] // places on a page
pub(super) fn draw(s: &Subject<'_>) -> Drawn {
    let mut head =
        Head { title: "A connection, packet by packet".to_owned(), foot: s.foot(&[]), ..Head::default() };
    let Some(main) = s.choice.main else {
        return Drawn::nothing(head, "There is no connection in this capture.");
    };
    head.title = format!("The connection to {}, packet by packet ({})", s.name(main), s.number(main));
    let a = s.analysis();
    let Some(t) = s.trace(main) else {
        return Drawn::nothing(head, "The packets of this connection could not be read again.");
    };
    let Some(first) = t.points.first() else {
        return Drawn::nothing(head, "No packet of this connection was captured.");
    };
    let claims = forged(a, &[main]);
    let rungs = rungs(t, &|frame| claims.get(&frame).copied());
    let third = !claims.is_empty();
    let hello = a
        .connections
        .get(main)
        .and_then(|c| c.hello_frame)
        .or_else(|| Some(a.quic(main)?.seen.hello.as_ref()?.frame));
    let (verdict, why) = &a.verdicts[main];
    head.says = match a.findings.iter().find(|f| f.concerns(main)) {
        Some(f) => {
            words::lines(&crate::report::says::says(f, a, false), 15.0, false, WIDTH - 32.0, 5).join(" ")
        }
        None => why.clone().map_or_else(
            || format!("Verdict: {}.", verdict.name()),
            |w| format!("Verdict: {}, as {w}.", verdict.name()),
        ),
    };
    head.foot = s.foot(&[format!("it begins {}", utc(first.at))]);
    // a hello that is sent again is still one
    let said = t.points.iter().find(|p| Some(p.frame) == hello).map(|p| p.seq);
    let is_hello = |p: &Point| {
        Some(p.frame) == hello
            || t.is_tcp && p.direction == Direction::ToServer && p.len > 0 && Some(p.seq) == said
    };
    let label = |p: &Point, level: Option<Claim>| packet_words(s, main, p, level, is_hello(p), t.is_tcp);
    let told: Vec<String> = rungs
        .iter()
        .map(|r| match r {
            Rung::Packet(p, level) => format!(
                "{} after the start, frame {}, {} to {}: {}",
                p.at.since(first.at),
                p.frame,
                if level.is_some() { "third party" } else { p.direction.sender() },
                p.direction.reversed().sender(),
                label(p, *level)
            ),
            Rung::Skipped(n) => format!("{n} packets left out"),
        })
        .collect();
    let description = format!("{} {}.", head.says, told.join(". "));
    let height = rungs.len() as f64 * STEP + 30.0;
    let svg = page(&head, Room { left: 96.0, right: 92.0, height, below: 6.0 }, |c, p| {
        let ends = a.ends(main);
        let client = ends.map_or_else(|| "client".to_owned(), |(e, _)| s.ends.client(e));
        let server = ends.map_or_else(|| "server".to_owned(), |(_, e)| s.ends.server(e));
        let (left, right) = (p.left + 10.0, p.right - 10.0);
        let middle = left + (right - left) * 0.56;
        let top = p.top + 6.0;
        lifelines(c, p, (left, &client), (right, &server), third.then_some(middle), top);
        for (n, rung) in rungs.iter().enumerate() {
            let y = top + 34.0 + n as f64 * STEP;
            match rung {
                Rung::Skipped(n) => {
                    let text = format!("… {} left out …", crate::report::units::count(*n as u64, "packet"));
                    c.label(
                        (f64::midpoint(left, right), y + 4.0),
                        &text,
                        Words { color: ink::QUIET, side: Side::Middle, ..Words::new(LABEL - 1.0) },
                    );
                }
                Rung::Packet(point, level) => {
                    let from = if level.is_some() {
                        middle
                    } else if point.direction == Direction::ToServer {
                        left
                    } else {
                        right
                    };
                    let to = if point.direction == Direction::ToServer { right } else { left };
                    arrow(c, from, to, y, point, level.is_some());
                    let text = label(point, *level);
                    let room = right - left - 40.0;
                    let size = if words::width(&text, LABEL - 1.0, level.is_some()) > room {
                        LABEL - 3.5
                    } else {
                        LABEL - 1.0
                    };
                    let at = if level.is_some() {
                        f64::midpoint(from, to).max(left + words::width(&text, size, true) / 2.0 + 8.0)
                    } else if third {
                        f64::midpoint(left, middle).max(left + words::width(&text, size, false) / 2.0 + 8.0)
                    } else {
                        f64::midpoint(left, right)
                    };
                    c.label(
                        (at, y - 5.0),
                        &text,
                        Words {
                            bold: level.is_some(),
                            side: Side::Middle,
                            color: if level.is_some() { ink::text(ink::VERMILLION) } else { ink::TEXT },
                            ..Words::new(size)
                        },
                    );
                    let quiet = Words { color: ink::QUIET, ..Words::new(LABEL - 2.5) };
                    c.text(
                        (left - 8.0, y + 4.0),
                        &moment(point.at.since(first.at)),
                        Words { side: Side::End, ..quiet },
                    );
                    c.text((right + 8.0, y + 4.0), &format!("frame {}", point.frame), quiet);
                }
            }
        }
    });
    Drawn { head, description, svg, is_empty: false }
}

/// The packets about the telling ones: the beginning, what findings name, and the end.
fn rungs<'a>(t: &'a Trace, claim: &dyn Fn(u64) -> Option<Claim>) -> Vec<Rung<'a>> {
    let n = t.points.len();
    let mut keep = vec![n <= ROWS; n];
    if n > ROWS {
        let telling = |p: &Point| claim(p.frame).is_some() || p.flags.any(Flags(Flags::RST.0 | Flags::SYN.0));
        let mut left = ROWS;
        let mut take = |i: usize, keep: &mut Vec<bool>| {
            if left > 0 && !keep[i] {
                keep[i] = true;
                left -= 1;
            }
        };
        (0..8).for_each(|i| take(i, &mut keep));
        for i in (0..n).filter(|i| telling(&t.points[*i])).take(8) {
            take(i.saturating_sub(1), &mut keep);
            take(i, &mut keep);
            take((i + 1).min(n - 1), &mut keep);
        }
        (n - 3..n).for_each(|i| take(i, &mut keep));
        (0..n).for_each(|i| take(i, &mut keep));
    }
    let mut out = Vec::new();
    let mut skipped = 0;
    for (p, keep) in t.points.iter().zip(keep) {
        if !keep {
            skipped += 1;
            continue;
        }
        if skipped > 0 {
            out.push(Rung::Skipped(std::mem::take(&mut skipped)));
        }
        out.push(Rung::Packet(p, claim(p.frame)));
    }
    if skipped > 0 {
        out.push(Rung::Skipped(skipped));
    }
    out
}

/// A time since the start in few characters.
fn moment(t: Span) -> String {
    let s = t.secs_f64();
    if s.abs() < 10.0 { format!("{:.1} ms", s * 1e3) } else { format!("{s:.1} s") }
}

/// What a packet is, in a few words.
fn packet_words(
    s: &Subject<'_>,
    main: usize,
    p: &Point,
    level: Option<Claim>,
    is_hello: bool,
    is_tcp: bool,
) -> String {
    if !is_tcp {
        let what = if is_hello { format!("ClientHello for {}", s.name(main)) } else { "QUIC".to_owned() };
        return format!("{what}, {}", bytes(u64::from(p.len)));
    }
    let flags = if p.len > 0 && !p.flags.any(Flags(Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0)) {
        if is_hello {
            format!("ClientHello for {}, {}", words::shortened(&s.name(main), 30), bytes(u64::from(p.len)))
        } else {
            format!("data, {}", bytes(u64::from(p.len)))
        }
    } else {
        let data = if p.len > 0 { format!(", {}", bytes(u64::from(p.len))) } else { String::new() };
        format!("{}{data}", p.flags)
    };
    let again = match p.arrival {
        Arrival::Retransmission => ", sent again",
        Arrival::OutOfOrder => ", overtaken",
        _ => "",
    };
    match level {
        Some(level) => format!("{}: {flags}, TTL {}", level.words(), p.ttl),
        None if p.flags.has(Flags::RST) => format!("{flags}, TTL {}", p.ttl),
        None => format!("{flags}{again}"),
    }
}

fn lifelines(
    c: &mut Canvas<'_>,
    p: &Plot,
    client: (f64, &str),
    server: (f64, &str),
    third: Option<f64>,
    top: f64,
) {
    let middle = Words { bold: true, side: Side::Middle, ..Words::new(LABEL) };
    for (x, name) in [client, server] {
        c.line((x, top + 8.0), (x, p.bottom - 4.0), pen(ink::LINE, 2.0));
        let half = words::width(name, LABEL, true) / 2.0;
        let x = x.clamp(half + 14.0, WIDTH - half - 14.0);
        c.text((x, top), name, middle);
    }
    if let Some(x) = third {
        c.dashed(&[(x, top + 8.0), (x, p.bottom - 4.0)], pen(ink::VERMILLION, 1.4), 3.0, 4.0);
        c.text((x, top), "third party", Words { color: ink::text(ink::VERMILLION), ..middle });
    }
}

fn arrow(c: &mut Canvas<'_>, from: f64, to: f64, y: f64, p: &Point, forged: bool) {
    let (color, width) = match (forged, p.arrival) {
        (true, _) => (ink::VERMILLION, 2.6),
        (_, Arrival::Retransmission) => (ink::ORANGE, 1.8),
        _ if p.direction == Direction::ToServer => (ink::BLUE, 1.8),
        _ => (ink::GREEN, 1.8),
    };
    let side = (to - from).signum();
    let tip = to - side * 1.5;
    if forged || p.arrival == Arrival::Retransmission {
        c.dashed(&[(from, y), (tip - side * 9.0, y)], pen(color, width), 7.0, 4.0);
    } else {
        c.line((from, y), (tip - side * 9.0, y), pen(color, width));
    }
    c.polygon(&[(tip, y), (tip - side * 10.0, y - 4.5), (tip - side * 10.0, y + 4.5)], color);
    if forged {
        c.mark(Mark::Diamond, (from, y), 5.5, ink::VERMILLION);
    }
}
