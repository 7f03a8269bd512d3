//! The keyed generator that links window, IP-ID and TTL of one family of injectors.
//!
//! Ablove et al. (USENIX Security 2026) found it in the source of Geedge's TSG and in resets of the Great
//! Firewall: a counter `v`, the two addresses and a key (13) give all three fields. One packet is enough to
//! recognise it, and the TTL that the generator chose tells how many hops the packet has travelled.
//!
//! With `s` and `d` the stream's addresses read as little-endian numbers, `w` the window, `i` the IP-ID and `k` the
//! key: `w = v + d mod k`, `i = 65535 − v·k + s mod w` (mod 2¹⁶), initial TTL `= v mod 200 + 48`.

use std::net::Ipv4Addr;

/// The key of every device seen so far (Ablove et al. 2026).
pub const KEY: u16 = 13;

/// `seed_max_val` of the generator.
const MAX: i64 = 65_535;

/// The most hops that a reset may have travelled for its TTL to be the generator's.
const MAX_HOPS: i64 = 40;

/// From this TTL on, a device that sends a fixed initial TTL of 255 is possible (the Great Firewall since 2024).
const FIXED_TTL_FROM: u8 = 200;

/// The fields of a reset that the generator sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Window field.
    pub window: u16,
    /// Identification.
    pub ip_id: u16,
    /// TTL as received.
    pub ttl: u8,
}

/// A reset that the generator made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The counter's value.
    pub counter: u16,
    /// Whether the generator's source is the packet's: the triggering packet went the same way.
    pub forward: bool,
    /// Routers between the device and the point of capture, where the TTL is the generator's.
    pub hops: Option<u8>,
}

/// Tests one reset against a key. A reset by chance matches with probability 1.3·10⁻⁵ (shuffled addresses over
/// 9,126 public resets).
pub fn matches(draw: &Draw, key: u16) -> Option<Match> {
    [true, false].into_iter().find_map(|forward| matches_one_way(draw, key, forward))
}

fn matches_one_way(draw: &Draw, key: u16, forward: bool) -> Option<Match> {
    let (s, d) = numbers(draw, forward);
    let (w, k) = (i64::from(draw.window), i64::from(key));
    if w == 0 || k == 0 {
        return None;
    }
    let v = w - d % k;
    let expected = (MAX - k * v + s % w).rem_euclid(1 << 16);
    if v < 0 || expected != i64::from(draw.ip_id) {
        return None;
    }
    let counter = u16::try_from(v).ok()?;
    let travelled = v % 200 + 48 - i64::from(draw.ttl);
    match u8::try_from(travelled) {
        Ok(hops) if i64::from(hops) <= MAX_HOPS => Some(Match { counter, forward, hops: Some(hops) }),
        _ if draw.ttl >= FIXED_TTL_FROM => Some(Match { counter, forward, hops: None }),
        _ => None,
    }
}

/// The stream's addresses as the generator reads them: network bytes loaded as a little-endian word.
fn numbers(draw: &Draw, forward: bool) -> (i64, i64) {
    let number = |a: Ipv4Addr| i64::from(u32::from_le_bytes(a.octets()));
    if forward { (number(draw.src), number(draw.dst)) } else { (number(draw.dst), number(draw.src)) }
}

/// A key that several resets of one path agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solution {
    /// The key.
    pub key: u16,
    /// Pairs of resets that give it.
    pub pairs: usize,
    /// Pairs that give the next best value.
    pub runner_up: usize,
}

/// The most resets that are paired with each other: 64 give 2,016 pairs.
pub const MAX_DRAWS: usize = 64;

/// Solves for an unknown key from the resets of one path: `k = ((i₁ − i₂) + (s mod w₂ − s mod w₁)) / (w₂ − w₁)`
/// (Ablove et al. 2026).
///
/// Two draws of different windows give one candidate. A key is accepted when at least three pairs give it and no
/// other value is given by a quarter as many: in public captures 13 stands out by 1,639 pairs to 2.
pub fn solve(draws: &[Draw]) -> Option<Solution> {
    let draws = &draws[..draws.len().min(MAX_DRAWS)];
    let mut votes = std::collections::BTreeMap::<u16, usize>::new();
    for (n, a) in draws.iter().enumerate() {
        for b in &draws[n + 1..] {
            let (w1, w2) = (i64::from(a.window), i64::from(b.window));
            if w1 == 0 || w2 == 0 || w1 == w2 || (a.src, a.dst) != (b.src, b.dst) {
                continue;
            }
            let mut candidates = [true, false].map(|forward| {
                let (s, _) = numbers(a, forward);
                candidate(i64::from(a.ip_id) - i64::from(b.ip_id) + s % w2 - s % w1, w2 - w1)
            });
            if candidates[0] == candidates[1] {
                candidates[1] = None;
            }
            for key in candidates.into_iter().flatten() {
                *votes.entry(key).or_default() += 1;
            }
        }
    }
    let (&key, &pairs) = votes.iter().max_by_key(|(key, n)| (**n, u16::MAX - **key))?;
    let runner_up = votes.iter().filter(|(k, _)| **k != key).map(|(_, n)| *n).max().unwrap_or(0);
    (pairs >= 3 && runner_up * 4 <= pairs).then_some(Solution { key, pairs, runner_up })
}

/// The key that solves `key · step ≡ numerator (mod 2¹⁶)` as an integer of a plausible size.
fn candidate(numerator: i64, step: i64) -> Option<u16> {
    // the identification wraps: of the numerators that are congruent, take those that divide
    [-2i64, -1, 0, 1, 2].into_iter().find_map(|turn| {
        let n = numerator + turn * (1 << 16);
        let key = n / step;
        (n % step == 0 && (2..=1000).contains(&key)).then(|| u16::try_from(key).ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn generate(s: Ipv4Addr, d: Ipv4Addr, key: u16, v: u16) -> Draw {
        let made = crate::testkit::keyed::generate(s.into(), d.into(), key, v);
        Draw { src: s, dst: d, window: made.window, ip_id: made.ip_id, ttl: made.ttl }
    }

    /// Vectors from public captures, as published with the evaluation of this test.
    #[test]
    fn published_resets_match() {
        let draw = |src: [u8; 4], dst: [u8; 4], window, ip_id, ttl| Draw {
            src: src.into(),
            dst: dst.into(),
            window,
            ip_id,
            ttl,
        };
        let a = draw([222, 138, 4, 221], [141, 212, 123, 145], 1503, 47_371, 128);
        assert_eq!(matches(&a, KEY), Some(Match { counter: 1496, forward: false, hops: Some(16) }));
        let b = draw([123, 206, 27, 192], [104, 17, 210, 9], 1867, 42_315, 96);
        assert_eq!(matches(&b, KEY), Some(Match { counter: 1855, forward: true, hops: Some(7) }));
        assert_eq!(matches(&Draw { ip_id: 42_316, ..b }, KEY), None);
        assert_eq!(matches(&Draw { window: 0, ..b }, KEY), None);
    }

    proptest! {
        #[test]
        fn the_generator_is_recognised_from_either_side(s: [u8; 4], d: [u8; 4], v in 128u16..5000, hops in 0u8..30, key in prop::sample::select(vec![13u16, 17, 19])) {
            let made = generate(s.into(), d.into(), key, v);
            let received = Draw { ttl: made.ttl - hops, ..made };
            let found = matches(&received, key).unwrap();
            prop_assert_eq!(found.hops.is_some() || received.ttl >= FIXED_TTL_FROM, true);
            let answer = Draw { src: received.dst, dst: received.src, ..received };
            prop_assert!(matches(&answer, key).is_some());
        }

        #[test]
        fn no_input_panics(src: [u8; 4], dst: [u8; 4], window: u16, ip_id: u16, ttl: u8, key: u16) {
            let _ = matches(&Draw { src: src.into(), dst: dst.into(), window, ip_id, ttl }, key);
        }
    }

    /// Seeded, so that every run asks the same: on chance paths a few abstain, and none may be wrong.
    #[test]
    fn an_unknown_key_is_solved_from_a_few_resets() {
        let mut rng = crate::testkit::rng::Rng::new(13);
        let mut address = || {
            let [a, b, c, d, ..] = rng.next_u64().to_le_bytes();
            Ipv4Addr::new(a, b, c, d)
        };
        let mut solved = 0;
        for n in 0..600u16 {
            let (s, d, key) = (address(), address(), [17, 19, 23][usize::from(n % 3)]);
            let draws: Vec<Draw> = (0..6).map(|i| generate(s, d, key, 128 + n * 4 + i * 7)).collect();
            if let Some(solution) = solve(&draws) {
                assert_eq!(solution.key, key);
                solved += 1;
            }
        }
        assert!(solved >= 590, "{solved} of 600 paths solved");
    }

    #[test]
    fn random_resets_solve_to_nothing_that_matches() {
        let mut rng = crate::testkit::rng::Rng::new(17);
        let mut word = || u16::try_from(rng.range(1, 65_536)).unwrap();
        let mut claimed = 0;
        for _ in 0..2_000 {
            let (src, dst) = ([192, 0, 2, 1].into(), [198, 51, 100, 7].into());
            let draws: Vec<Draw> =
                (0..10).map(|_| Draw { src, dst, window: word(), ip_id: word(), ttl: 57 }).collect();
            // pairs may agree by chance on a key; the resets themselves then do not match it
            claimed +=
                solve(&draws).map_or(0, |s| draws.iter().filter(|d| matches(d, s.key).is_some()).count());
        }
        assert_eq!(claimed, 0);
    }
}
