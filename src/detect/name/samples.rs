//! Two small samples held against each other.
//!
//! Resampling takes its numbers from a generator with a fixed seed: the same samples give the same answer on every machine.

/// The most values of a sample that are looked at: more of one capture say no more.
pub(super) const MOST_VALUES: usize = 64;
/// How often a sample is drawn anew.
const RESAMPLES: usize = 400;
/// The fixed seed: "resample" in ASCII.
const SEED: u64 = 0x7265_7361_6d70_6c65;

/// `SplitMix64` (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    #[allow(clippy::cast_possible_truncation)] // a remainder of a usize
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % (n.max(1) as u64)) as usize
    }
}

/// The middle value; 0 of none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut all = values.to_vec();
    all.sort_unstable_by(f64::total_cmp);
    match all.len() {
        0 => 0.0,
        n if n % 2 == 1 => all[n / 2],
        n => f64::midpoint(all[n / 2 - 1], all[n / 2]),
    }
}

/// Values of a sample, evenly spread over it where there are too many.
pub(super) fn spread(values: &[f64]) -> Vec<f64> {
    let step = values.len().div_ceil(MOST_VALUES).max(1);
    values.iter().step_by(step).copied().collect()
}

/// The interval that the difference of the medians (first less second) lies in, at 95%: percentile bootstrap (Efron and
/// Tibshirani 1993, chapter 13).
pub(super) fn median_difference(a: &[f64], b: &[f64]) -> Option<[f64; 2]> {
    let (a, b) = (spread(a), spread(b));
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let mut dice = Dice(SEED);
    let mut drawn = |of: &[f64]| {
        let sample: Vec<f64> = (0..of.len()).map(|_| of[dice.below(of.len())]).collect();
        median(&sample)
    };
    let mut differences: Vec<f64> = (0..RESAMPLES).map(|_| drawn(&a) - drawn(&b)).collect();
    differences.sort_unstable_by(f64::total_cmp);
    let tail = RESAMPLES / 40;
    Some([differences[tail], differences[RESAMPLES - 1 - tail]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_none() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
        assert!(median(&[]).abs() < 1e-12);
    }

    #[test]
    fn the_interval_leaves_out_zero_only_where_samples_lie_apart() {
        let [low, high] = median_difference(&[3.0, 3.4, 2.8, 3.1], &[0.1, 0.09, 0.12, 0.1]).unwrap();
        assert!(low > 2.5 && high < 3.5, "{low} {high}");
        let [low, high] = median_difference(&[0.1, 3.0, 0.12, 0.09], &[0.1, 2.9, 0.11, 0.1]).unwrap();
        assert!(low < 0.0 && high > 0.0, "{low} {high}");
        assert_eq!(median_difference(&[], &[1.0]), None);
    }

    #[test]
    fn the_same_samples_give_the_same_interval_and_many_values_are_thinned() {
        let many: Vec<f64> = (0..10_000).map(f64::from).collect();
        assert!(spread(&many).len() <= MOST_VALUES);
        assert_eq!(median_difference(&many, &[1.0, 2.0]), median_difference(&many, &[1.0, 2.0]));
    }
}
