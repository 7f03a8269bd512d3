//! Where packets were lost, as the packets of one connection show it.
//!
//! Behind the point of capture: what was sent again, unless the receiver had said that it came, or says so afterwards
//! (DSACK, RFC 2883). Before it: bytes that were jumped over, unless they were only overtaken.

use std::collections::BTreeMap;

use crate::base::{Direction, Timestamp};
use crate::flow::half::Arrival;
use crate::trace::{Point, Trace};

/// How many segments of a SACK block are looked at: it grows at its end.
const LOOKED_AT: usize = 64;

/// A sending that may have been lost.
#[derive(Clone, Copy)]
struct Sent {
    at: Timestamp,
    end: i64,
    arrived: bool,
}

/// When and at which offset packets of a direction were lost, in the order of time.
#[allow(clippy::cast_precision_loss)] // places on a page
pub(super) fn lost(t: &Trace, d: Direction) -> Vec<(Timestamp, f64)> {
    let middle = |start: i64, end: i64| (start + end) as f64 / 2.0;
    let mut out: BTreeMap<(Timestamp, i64), f64> = BTreeMap::new();
    let mut latest: BTreeMap<i64, Sent> = BTreeMap::new();
    // by where they begin: where they end, and when they were noticed
    let mut gaps: BTreeMap<i64, (i64, Timestamp)> = BTreeMap::new();
    let mut blamed: BTreeMap<i64, Timestamp> = BTreeMap::new();
    for p in &t.points {
        if p.direction != d {
            acknowledged(p, &mut latest, &mut blamed, &mut out);
            continue;
        }
        if p.len == 0 {
            continue;
        }
        let end = p.seq + i64::from(p.len);
        if p.gap > 0 {
            gaps.insert(p.seq - i64::from(p.gap), (p.seq, p.at));
        }
        if p.arrival == Arrival::OutOfOrder {
            // overtaken: all of the gap is taken to be, as what filled its parts is one burst
            let gap = gaps.range(..=p.seq).next_back().filter(|(_, (to, _))| p.seq < *to).map(|(s, _)| *s);
            if let Some(start) = gap {
                gaps.remove(&start);
            }
        }
        if p.arrival == Arrival::Retransmission {
            let again: Vec<i64> = latest.range(p.seq..end).map(|(start, _)| *start).collect();
            for start in again {
                let Some(sent) = latest.remove(&start).filter(|s| !s.arrived) else { continue };
                out.insert((sent.at, start), middle(start, sent.end));
                blamed.insert(start, sent.at);
            }
        }
        latest.insert(p.seq, Sent { at: p.at, end, arrived: false });
    }
    out.extend(gaps.into_iter().map(|(start, (end, at))| ((at, start), middle(start, end))));
    out.into_iter().map(|((at, _), place)| (at, place)).collect()
}

fn acknowledged(
    p: &Point,
    latest: &mut BTreeMap<i64, Sent>,
    blamed: &mut BTreeMap<i64, Timestamp>,
    out: &mut BTreeMap<(Timestamp, i64), f64>,
) {
    let Some(ack) = p.ack else { return };
    if let Some((left, right)) = p.sack {
        if right <= ack {
            // it came twice: the first sending was not lost
            if let Some(at) = blamed.remove(&left) {
                out.remove(&(at, left));
            }
        } else if left < right {
            for (_, sent) in latest.range_mut(left..right).rev().take(LOOKED_AT) {
                sent.arrived |= sent.end <= right;
            }
        }
    }
    // what is acknowledged needs no more looking after
    while let Some(first) = latest.first_entry().filter(|e| e.get().end <= ack) {
        first.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Direction::{ToClient, ToServer};
    use crate::base::Span;
    use crate::trace::Series;
    use crate::wire::tcp::Flags;

    const DATA: Point = Point {
        frame: 1,
        at: Timestamp::from_ns(0),
        direction: ToClient,
        seq: 1,
        len: 100,
        ack: Some(1),
        window: None,
        sack: None,
        flags: Flags::ACK,
        ttl: 52,
        arrival: Arrival::New,
        gap: 0,
    };

    fn places(points: &[Point]) -> Vec<f64> {
        let points = points.iter().zip(1..).map(|(p, n)| Point { at: Timestamp::from_ns(n), ..*p }).collect();
        let series = Series { start: Timestamp::from_ns(0), width: Span::from_ms(100), bins: Vec::new() };
        let t = Trace {
            place: 0,
            is_tcp: true,
            points,
            thinned: 0,
            round_trips: Vec::new(),
            round_trips_thinned: 0,
            series,
            incomplete: false,
        };
        lost(&t, ToClient).into_iter().map(|(_, place)| place).collect()
    }

    const AGAIN: Point = Point { arrival: Arrival::Retransmission, ..DATA };
    const ACK: Point = Point { direction: ToServer, len: 0, ack: Some(1), ..DATA };

    #[test]
    fn what_is_sent_again_was_lost_unless_it_had_come() {
        assert_eq!(places(&[DATA, Point { seq: 101, ..DATA }, AGAIN]), [51.0]);
        let sacked = Point { sack: Some((101, 201)), ..ACK };
        assert!(places(&[DATA, Point { seq: 101, ..DATA }, sacked, Point { seq: 101, ..AGAIN }]).is_empty());
        let twice = Point { ack: Some(101), sack: Some((1, 101)), ..ACK };
        assert!(places(&[DATA, AGAIN, twice]).is_empty(), "needless, as DSACK says");
    }

    #[test]
    fn a_gap_is_a_loss_unless_it_was_overtaken() {
        let beyond = Point { seq: 201, gap: 100, ..DATA };
        assert_eq!(places(&[DATA, beyond, Point { seq: 101, ..AGAIN }]), [151.0]);
        assert!(places(&[DATA, beyond, Point { seq: 101, arrival: Arrival::OutOfOrder, ..DATA }]).is_empty());
    }
}
