//! A map that forgets: what was not asked for the longest goes first, a half at a time.

use std::hash::Hash;

use hashbrown::HashMap;

/// A map of at most twice `most` keys: beyond `most` younger ones, the older half is forgotten.
#[derive(Debug)]
pub struct Lately<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    most: usize,
}

impl<K: Eq + Hash, V> Lately<K, V> {
    /// An empty one.
    pub fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), most }
    }

    /// The value of a key that is there.
    pub fn get(&mut self, key: K) -> Option<&mut V> {
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key)?;
            return Some(self.put(key, value));
        }
        self.young.get_mut(&key)
    }

    /// The value of a key, and now it is a young one.
    pub fn entry(&mut self, key: K) -> &mut V
    where
        K: Clone,
        V: Default,
    {
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key).unwrap_or_default();
            return self.put(key, value);
        }
        self.young.entry(key).or_default()
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    fn put(&mut self, key: K, value: V) -> &mut V {
        if self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.entry(key).insert(value).into_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_half_is_forgotten() {
        let mut map = Lately::<u32, u32>::new(1000);
        for n in 0..300_000 {
            *map.entry(n) += 1;
            *map.entry(7) += 1;
        }
        assert!(map.young.len() + map.old.len() <= 2000);
        assert_eq!(map.get(7), Some(&mut 300_001), "what is asked for stays");
        assert_eq!(map.get(299_999), Some(&mut 1));
        assert_eq!(map.get(8), None);
        map.remove(&7);
        assert_eq!(map.get(7), None);
    }
}
