//! IP datagrams put together from their fragments (RFC 791 §3.2, RFC 8200 §4.5), within bounds.
//!
//! The first copy of a byte wins, as in Linux; a datagram whose fragments overlap with other bytes is still
//! delivered, as the end that it was sent to would have seen one of the two readings.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::base::{Span, Timestamp};
use crate::wire::ip::{Fragment, Ip};

/// How long fragments wait for the rest: 30 s, as in Linux (`ipfrag_time`).
pub const TIMEOUT: Span = Span::from_secs(30);

/// Datagrams in progress at one time, and bytes that they hold together.
pub const MAX_DATAGRAMS: usize = 1024;
/// Bytes held by all datagrams in progress.
pub const MAX_BYTES: usize = 4 << 20;
/// The longest datagram that IP allows.
const MAX_LEN: usize = 65_535;
/// Pieces of one datagram: 65,535 bytes in fragments of the smallest useful size are fewer.
const MAX_PIECES: usize = 256;

type Id = (IpAddr, IpAddr, u8, u32);

/// Datagrams in progress.
#[derive(Clone, Debug, Default)]
pub struct Defragmenter {
    datagrams: HashMap<Id, Datagram, foldhash::fast::RandomState>,
    /// By age, for expiry; an entry whose datagram is gone or younger is passed over.
    order: VecDeque<(Timestamp, u64, Id)>,
    /// Datagrams begun so far: tells one from a later one of the same identification.
    begun: u64,
    held: usize,
    /// Fragments of datagrams that were never completed.
    pub incomplete: u64,
}

#[derive(Clone, Debug)]
struct Datagram {
    number: u64,
    bytes: Vec<u8>,
    /// Sorted, disjoint, joined ranges that are there.
    have: Vec<(usize, usize)>,
    /// Known from the last fragment.
    total: Option<usize>,
    first: Option<Ip>,
    fragments: u64,
}

impl Defragmenter {
    /// Takes a fragment; gives the header of the first fragment and the whole payload once all are there.
    pub fn push(&mut self, at: Timestamp, ip: &Ip, fragment: Fragment, data: &[u8]) -> Option<(Ip, Vec<u8>)> {
        self.expire(at);
        let id = (ip.src, ip.dst, if ip.id.is_some() { ip.protocol } else { 0 }, fragment.id);
        let (start, end) = (fragment.offset as usize, fragment.offset as usize + data.len());
        let cut = (data.len() as u64) < u64::from(ip.payload_len);
        if end > MAX_LEN || cut || data.is_empty() {
            self.incomplete += 1;
            return None;
        }
        if !self.datagrams.contains_key(&id) {
            self.begun += 1;
            self.order.push_back((at, self.begun, id));
            self.forget_whole();
        }
        let number = self.begun;
        let d = self.datagrams.entry(id).or_insert_with(|| Datagram {
            number,
            bytes: Vec::new(),
            have: Vec::new(),
            total: None,
            first: None,
            fragments: 0,
        });
        d.fragments += 1;
        if start == 0 && d.first.is_none() {
            d.first = Some(*ip);
        }
        if !fragment.more && d.total.is_none() {
            d.total = Some(end);
        }
        let before = d.bytes.len();
        d.insert(start, data);
        self.held += d.bytes.len() - before;
        if d.is_whole() {
            let d = self.remove(&id)?;
            return d.first.map(|ip| (ip, d.bytes));
        }
        while self.held > MAX_BYTES || self.datagrams.len() > MAX_DATAGRAMS {
            let Some((_, number, id)) = self.order.pop_front() else { break };
            self.give_up(number, &id);
        }
        None
    }

    /// Counts what is still waiting as incomplete.
    pub fn finish(&mut self) {
        self.incomplete += self.datagrams.values().map(|d| d.fragments).sum::<u64>();
        self.datagrams.clear();
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((since, number, id)) = self.order.front().copied() {
            if now.since(since) <= TIMEOUT {
                break;
            }
            self.order.pop_front();
            self.give_up(number, &id);
        }
    }

    /// Drops the entries of datagrams that were completed, once they are many: time alone does not, as it may stand
    /// still or go back.
    fn forget_whole(&mut self) {
        if self.order.len() > 2 * MAX_DATAGRAMS {
            let datagrams = &self.datagrams;
            let newest = self.begun; // it is not in the map yet
            self.order.retain(|(_, number, id)| {
                *number == newest || datagrams.get(id).is_some_and(|d| d.number == *number)
            });
        }
    }

    fn give_up(&mut self, number: u64, id: &Id) {
        if self.datagrams.get(id).is_some_and(|d| d.number == number)
            && let Some(d) = self.remove(id)
        {
            self.incomplete += d.fragments;
        }
    }

    fn remove(&mut self, id: &Id) -> Option<Datagram> {
        let d = self.datagrams.remove(id)?;
        self.held -= d.bytes.len();
        Some(d)
    }
}

impl Datagram {
    fn insert(&mut self, start: usize, data: &[u8]) {
        let end = start + data.len();
        if self.have.len() >= MAX_PIECES {
            return;
        }
        if self.bytes.is_empty() {
            self.bytes = vec![0; end]; // memory that comes zeroed: the first fragment may be the last of a long datagram
        } else if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let mut at = start;
        let i = self.have.partition_point(|r| r.1 < start);
        let mut j = i;
        let (mut low, mut high) = (start, end);
        while let Some(&(s, e)) = self.have.get(j) {
            if s > end {
                break;
            }
            if at < s {
                self.bytes[at..s].copy_from_slice(&data[at - start..s - start]);
            }
            at = at.max(e);
            (low, high) = (low.min(s), high.max(e));
            j += 1;
        }
        if at < end {
            self.bytes[at..end].copy_from_slice(&data[at - start..]);
        }
        self.have.splice(i..j, [(low, high)]);
    }

    fn is_whole(&self) -> bool {
        match (self.total, &self.have[..]) {
            (Some(total), &[(0, end)]) => end >= total,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(len: usize) -> Ip {
        Ip {
            src: IpAddr::from([192, 0, 2, 1]),
            dst: IpAddr::from([198, 51, 100, 7]),
            ttl: 57,
            protocol: 6,
            id: Some(7),
            dont_fragment: false,
            fragment: None,
            payload_len: u32::try_from(len).unwrap(),
            length_guessed: false,
        }
    }

    proptest! {
        #[test]
        fn any_order_and_overlap_gives_the_datagram(payload in prop::collection::vec(any::<u8>(), 9..600), cuts in prop::collection::vec((0usize..75, 1usize..30), 0..20), seed: u64) {
            // pieces at multiples of eight, with overlaps, that cover all; then shuffled
            let mut pieces: Vec<(usize, usize)> = (0..payload.len()).step_by(8).map(|s| (s, (s + 8).min(payload.len()))).collect();
            pieces.extend(cuts.iter().map(|(s, n)| (s * 8, (s * 8 + n * 8).min(payload.len()))).filter(|(s, e)| s < e));
            let mut order = seed;
            pieces.sort_by_cached_key(|_| { order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1); order });
            let mut d = Defragmenter::default();
            let mut got = None;
            for (s, e) in pieces {
                if got.is_some() { break; }
                let f = Fragment { id: 7, offset: u32::try_from(s).unwrap(), more: e < payload.len() };
                got = d.push(Timestamp::from_ns(0), &ip(e - s), f, &payload[s..e]);
            }
            prop_assert_eq!(got.map(|(_, bytes)| bytes), Some(payload));
            prop_assert_eq!(d.held, 0);
        }
    }

    #[test]
    fn what_waits_too_long_or_is_too_much_is_given_up_and_counted() {
        let mut d = Defragmenter::default();
        for n in 0..5000u32 {
            let f = Fragment { id: n, offset: 0, more: true };
            d.push(Timestamp::from_ns(i64::from(n)), &ip(1480), f, &[0; 1480]);
        }
        assert!(d.datagrams.len() <= MAX_DATAGRAMS && d.held <= MAX_BYTES);
        let f = Fragment { id: 9999, offset: 0, more: true };
        d.push(Timestamp::from_ns(60_000_000_000), &ip(8), f, &[0; 8]);
        assert_eq!((d.datagrams.len(), d.incomplete), (1, 5000));
    }

    #[test]
    fn whole_datagrams_leave_nothing_behind_though_time_stands_still() {
        let mut d = Defragmenter::default();
        for n in 0..100_000u32 {
            let f = |offset, more| Fragment { id: n % 3, offset, more };
            assert_eq!(d.push(Timestamp::from_ns(0), &ip(8), f(0, true), &[0; 8]), None);
            assert!(d.push(Timestamp::from_ns(0), &ip(8), f(8, false), &[0; 8]).is_some());
        }
        assert!(d.order.len() <= 2 * MAX_DATAGRAMS, "{} entries", d.order.len());
    }
}
