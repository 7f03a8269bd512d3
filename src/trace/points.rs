//! Points and round trips within a bound: what stands out stays, of the rest every second is left out until all fit.

use std::sync::Arc;

use super::{Point, RoundTrip};
use crate::base::Direction;
use crate::base::endpoint::PerDirection;
use crate::flow::half::Arrival;
use crate::wire::tcp::Flags;

/// The points of one trace.
#[derive(Debug)]
pub(super) struct Points {
    /// Each with its number among the ordinary ones; `None` for one that stands out.
    kept: Vec<(Point, Option<u64>)>,
    most: usize,
    /// Every so many ordinary points one is kept.
    stride: u64,
    ordinary: u64,
    pub(super) thinned: u64,
    usual_ttl: PerDirection<Option<u8>>,
    telling: Arc<[u64]>,
}

impl Points {
    pub(super) fn new(most: usize, usual_ttl: PerDirection<Option<u8>>, telling: Arc<[u64]>) -> Self {
        Self { kept: Vec::new(), most, stride: 1, ordinary: 0, thinned: 0, usual_ttl, telling }
    }

    pub(super) fn push(&mut self, point: Point) {
        let number = if self.stands_out(&point) {
            None
        } else {
            self.ordinary += 1;
            if !(self.ordinary - 1).is_multiple_of(self.stride) {
                self.thinned += 1;
                return;
            }
            Some(self.ordinary - 1)
        };
        if self.kept.len() >= self.most {
            self.thin();
        }
        // where all stand out, those that findings name still do
        if self.kept.len() >= self.most && !self.is_telling(point.frame) {
            self.thinned += 1;
            return;
        }
        self.kept.push((point, number));
    }

    fn thin(&mut self) {
        let before = self.kept.len();
        while self.kept.len() > self.most / 4 * 3 && self.kept.iter().any(|(_, n)| n.is_some_and(|n| n > 0)) {
            self.stride = self.stride.saturating_mul(2);
            let stride = self.stride;
            self.kept.retain(|(_, number)| number.is_none_or(|n| n.is_multiple_of(stride)));
        }
        self.thinned += (before - self.kept.len()) as u64;
    }

    fn is_telling(&self, frame: u64) -> bool {
        self.telling.binary_search(&frame).is_ok()
    }

    fn stands_out(&self, p: &Point) -> bool {
        p.flags.any(Flags(Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0))
            || matches!(p.arrival, Arrival::Retransmission | Arrival::OutOfOrder)
            || p.gap > 0
            || p.sack.is_some()
            || p.window == Some(0)
            || self.usual_ttl[p.direction].is_some_and(|t| t != p.ttl)
            || self.is_telling(p.frame)
    }

    pub(super) fn finish(self) -> (Vec<Point>, u64) {
        (self.kept.into_iter().map(|(p, _)| p).collect(), self.thinned)
    }
}

/// Round trips of one trace: when there are too many, of each four neighbours the shortest and the longest stay.
#[derive(Debug)]
pub(super) struct RoundTrips {
    kept: Vec<RoundTrip>,
    most: usize,
    pub(super) thinned: u64,
}

impl RoundTrips {
    pub(super) const fn new(most: usize) -> Self {
        Self { kept: Vec::new(), most, thinned: 0 }
    }

    pub(super) fn push(&mut self, r: RoundTrip) {
        if self.kept.len() >= self.most {
            self.thin();
        }
        self.kept.push(r);
    }

    fn thin(&mut self) {
        let before = self.kept.len();
        let mut left: Vec<RoundTrip> = Vec::with_capacity(before);
        for direction in [Direction::ToServer, Direction::ToClient] {
            let of: Vec<&RoundTrip> = self.kept.iter().filter(|r| r.direction == direction).collect();
            for group in of.chunks(4) {
                let shortest = group.iter().min_by_key(|r| (r.took, r.frame));
                let longest = group.iter().max_by_key(|r| (r.took, r.frame));
                let mut two: Vec<RoundTrip> = shortest.into_iter().chain(longest).map(|r| **r).collect();
                two.dedup();
                left.extend(two);
            }
        }
        left.sort_by_key(|r| r.frame);
        self.thinned += (before - left.len()) as u64;
        self.kept = left;
    }

    pub(super) fn finish(self) -> (Vec<RoundTrip>, u64) {
        (self.kept, self.thinned)
    }
}
