//! How fast the connections of each name go: bytes from one analysis to the next, in capture time.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::analysis::Analysis;
use crate::base::{Direction, Timestamp};

/// Rates kept of each name: a minute of seconds.
pub(super) const KEPT: usize = 60;
/// The most names whose rates are kept; the rest are shown without.
const MAX_NAMES: usize = 4096;

/// The rates of the names.
#[derive(Debug, Default)]
pub(super) struct Rates {
    by_name: HashMap<String, Rate>,
    last: Option<Timestamp>,
}

/// The rates of one name.
#[derive(Debug, Default)]
pub(super) struct Rate {
    bytes: u64,
    /// Bits a second, the newest last.
    pub(super) bps: VecDeque<u64>,
}

impl Rates {
    /// Takes an analysis, at most once a second of capture time.
    pub(super) fn look(&mut self, a: &Analysis) {
        let Some(now) = a.counts.last else { return };
        let Some(last) = self.last else {
            // what went before cannot be spread over time
            self.last = Some(now);
            for (name, sum) in sums(a).into_iter().take(MAX_NAMES) {
                self.by_name.insert(name.to_owned(), Rate { bytes: sum, bps: VecDeque::new() });
            }
            return;
        };
        let seconds = now.since(last).secs_f64();
        if seconds < 1.0 {
            return;
        }
        self.last = Some(now);
        let sums = sums(a);
        self.by_name.retain(|name, _| sums.contains_key(name.as_str()));
        for (name, sum) in sums {
            if !self.by_name.contains_key(name) {
                if self.by_name.len() >= MAX_NAMES {
                    continue;
                }
                self.by_name.insert(name.to_owned(), Rate::default());
            }
            let Some(rate) = self.by_name.get_mut(name) else { continue };
            // fewer than before where rows were dropped
            let new = sum.saturating_sub(rate.bytes);
            rate.bytes = sum;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            rate.bps.push_back((new as f64 * 8.0 / seconds) as u64); // a rate on a screen
            if rate.bps.len() > KEPT {
                rate.bps.pop_front();
            }
        }
    }

    /// The rates of a name.
    pub(super) fn of(&self, name: &str) -> Option<&Rate> {
        self.by_name.get(name)
    }
}

impl Rate {
    /// The last rates as bars, the highest as high as can be.
    pub(super) fn sparkline(&self, width: usize) -> String {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let shown = self.bps.iter().skip(self.bps.len().saturating_sub(width));
        let most = shown.clone().copied().max().unwrap_or(0).max(1);
        let bar = |bps: &u64| match bps {
            0 => ' ',
            _ => BARS[usize::try_from(u128::from(*bps) * 7 / u128::from(most)).unwrap_or(7).min(7)],
        };
        shown.map(bar).collect()
    }
}

/// Payload bytes of each name, both ways.
fn sums(a: &Analysis) -> BTreeMap<&str, u64> {
    let mut sums = BTreeMap::new();
    let of_tcp = a
        .connections
        .iter()
        .map(|c| (c.name(), [Direction::ToServer, Direction::ToClient].map(|d| c.flows[d].bytes)));
    let of_quic = a
        .udp
        .quic
        .iter()
        .map(|q| (q.name(), [Direction::ToServer, Direction::ToClient].map(|d| q.sides[d].bytes)));
    for (name, [up, down]) in of_tcp.chain(of_quic) {
        if let Some(name) = name {
            let sum: &mut u64 = sums.entry(name).or_default();
            *sum = sum.saturating_add(up).saturating_add(down);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_rate_is_the_highest_bar() {
        let rate = Rate { bytes: 0, bps: [0, 1, 50, 100, u64::MAX].into() };
        assert_eq!(rate.sparkline(10), " ▁▁▁█");
        assert_eq!(Rate { bytes: 0, bps: [0, 25, 50, 100].into() }.sparkline(3), "▂▄█");
    }
}
