//! A bounded table of things that are open: found by a keyed hash, swept by capture time, the oldest of a few given up
//! when it is full.
//!
//! The hash has a random seed, so that no capture can be made to collide; nothing in the output depends on it.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;

use crate::base::Timestamp;

/// How many slots the sweep visits at each packet.
const SWEEP: usize = 2;

/// How many slots are compared to find one to give up when the table is full.
const EVICT_AMONG: usize = 16;

/// What stands in a table.
pub(super) trait Timed {
    /// When it last changed.
    fn last(&self) -> Timestamp;
}

/// The table.
#[derive(Clone, Debug)]
pub(super) struct Slots<K, V> {
    index: HashTable<u32>,
    entries: Vec<Option<Slot<K, V>>>,
    free: Vec<u32>,
    hasher: foldhash::fast::RandomState,
    limit: usize,
    /// The slot that was looked at last.
    hand: usize,
    /// How many were given up because the table was full.
    pub(super) evicted: u64,
}

#[derive(Clone, Debug)]
struct Slot<K, V> {
    hash: u64,
    key: K,
    value: V,
}

impl<K: Hash + Eq, V: Timed> Slots<K, V> {
    /// An empty table of at most `limit` entries, at least one.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            index: HashTable::new(),
            entries: Vec::new(),
            free: Vec::new(),
            hasher: foldhash::fast::RandomState::default(),
            limit: limit.clamp(1, 1 << 30),
            hand: 0,
            evicted: 0,
        }
    }

    pub(super) fn find(&mut self, key: &K) -> Option<&mut V> {
        let hash = self.hasher.hash_one(key);
        let entries = &self.entries;
        let at = *self.index.find(hash, |i| entries[*i as usize].as_ref().is_some_and(|s| s.key == *key))?;
        self.entries[at as usize].as_mut().map(|s| &mut s.value)
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, key: &K) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let entries = &self.entries;
        let at = *self.index.find(hash, |i| entries[*i as usize].as_ref().is_some_and(|s| s.key == *key))?;
        self.take_at(at)
    }

    /// Puts in an entry whose key is not there; gives the one that had to go for it.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let gone = if self.index.len() >= self.limit { self.evict() } else { None };
        let hash = self.hasher.hash_one(&key);
        let slot = Some(Slot { hash, key, value });
        let at = if let Some(at) = self.free.pop() {
            self.entries[at as usize] = slot;
            at
        } else {
            self.entries.push(slot);
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX) // the limit is far below 2³²
        };
        let entries = &self.entries;
        self.index.insert_unique(hash, at, |i| entries[*i as usize].as_ref().map_or(0, |s| s.hash));
        gone
    }

    /// Takes out what is over among the next few.
    pub(super) fn sweep(&mut self, over: impl Fn(&V) -> bool, ended: &mut impl FnMut(V)) {
        for _ in 0..SWEEP.min(self.entries.len()) {
            self.hand = (self.hand + 1) % self.entries.len();
            if self.entries[self.hand].as_ref().is_some_and(|s| over(&s.value))
                && let Some(value) = self.take_at(u32::try_from(self.hand).unwrap_or(u32::MAX))
            {
                ended(value);
            }
        }
    }

    /// Takes out everything, in no order.
    pub(super) fn drain(&mut self) -> Vec<V> {
        self.index.clear();
        self.free.clear();
        self.entries.drain(..).filter_map(|s| Some(s?.value)).collect()
    }

    fn take_at(&mut self, at: u32) -> Option<V> {
        let slot = self.entries[at as usize].take()?;
        if let Ok(entry) = self.index.find_entry(slot.hash, |i| *i == at) {
            entry.remove();
        }
        self.free.push(at);
        Some(slot.value)
    }

    /// Gives up the entry that has been quiet longest among the next few.
    fn evict(&mut self) -> Option<V> {
        let n = self.entries.len();
        let candidates = (1..=n.min(EVICT_AMONG * 4)).map(|i| (self.hand + i) % n);
        let (_, at) = candidates
            .filter_map(|i| self.entries[i].as_ref().map(|s| (s.value.last(), i)))
            .take(EVICT_AMONG)
            .min_by_key(|(last, _)| *last)?;
        self.hand = at;
        self.evicted += 1;
        self.take_at(u32::try_from(at).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl Timed for i64 {
        fn last(&self) -> Timestamp {
            Timestamp::from_ns(*self)
        }
    }

    proptest! {
        /// Against a map, with room enough.
        #[test]
        fn finds_what_was_put_in(steps in prop::collection::vec((0u8..30, 0u8..4), 0..200)) {
            let mut slots = Slots::new(100);
            let mut truth: BTreeMap<u8, i64> = BTreeMap::new();
            for (n, (key, what)) in steps.into_iter().enumerate() {
                let n = i64::try_from(n).unwrap();
                match what {
                    0 => prop_assert_eq!(slots.take(&key), truth.remove(&key)),
                    1 => slots.sweep(|v| *v < n - 50, &mut |v| truth.retain(|_, t| *t != v)),
                    _ if truth.contains_key(&key) => prop_assert_eq!(slots.find(&key).copied(), truth.get(&key).copied()),
                    _ => {
                        prop_assert_eq!(slots.insert(key, n), None);
                        truth.insert(key, n);
                    }
                }
            }
            let mut left = slots.drain();
            left.sort_unstable();
            let mut wanted: Vec<i64> = truth.into_values().collect();
            wanted.sort_unstable();
            prop_assert_eq!(left, wanted);
        }
    }

    #[test]
    fn a_full_table_gives_up_what_is_quiet_longest() {
        let mut slots = Slots::new(4);
        for n in 0..4i64 {
            assert_eq!(slots.insert(n, 10 - n), None);
        }
        assert_eq!((slots.insert(9, 99), slots.evicted), (Some(7), 1));
        assert!(slots.find(&3).is_none() && slots.find(&9) == Some(&mut 99));
    }
}
