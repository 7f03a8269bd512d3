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

/// How likely samples of one distribution lie as far apart as these (Kolmogorov and Smirnov, two-sided, exact by the paths of
/// Hodges 1958; ties make it larger). `None` of an empty sample.
#[allow(clippy::cast_precision_loss)] // counts under a hundred
pub(super) fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> Option<f64> {
    let sorted = |of: &[f64]| {
        let mut all = spread(of);
        all.sort_unstable_by(f64::total_cmp);
        all
    };
    let (a, b) = (sorted(a), sorted(b));
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (n, m) = (a.len() as f64, b.len() as f64);
    let below = |of: &[f64], x: f64| of.partition_point(|v| *v <= x) as f64;
    let apart = |x: &f64| (below(&a, *x) / n - below(&b, *x) / m).abs();
    let most = a.iter().chain(&b).map(apart).fold(0.0, f64::max);
    // the chance that a random order of all values never goes as far apart
    let mut row = vec![0.0; b.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            let (x, y) = (i as f64, j as f64);
            let came = match (i, j) {
                (0, 0) => 1.0,
                (0, _) => row[j - 1],
                (_, 0) => row[0],
                _ => (row[j] * x + row[j - 1] * y) / (x + y),
            };
            row[j] = if (x / n - y / m).abs() >= most - 1e-9 { 0.0 } else { came };
        }
    }
    Some((1.0 - row[b.len()]).clamp(0.0, 1.0))
}

/// The mean; 0 of none.
#[allow(clippy::cast_precision_loss)] // counts under a hundred
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// By how much the second sample's mean lies over the first's, as a share of the larger (Wehe's area test); negative where it lies under.
pub(super) fn area(low: &[f64], high: &[f64]) -> f64 {
    let (low, high) = (mean(low), mean(high));
    let larger = low.max(high);
    if larger > 0.0 { (high - low) / larger } else { 0.0 }
}

/// In which share of a hundred halves of both samples the area test says the same as of the whole (`NetPolice` and Wehe resample so).
#[allow(clippy::cast_precision_loss)] // a hundred
pub(super) fn agreement(low: &[f64], high: &[f64], over: f64) -> f64 {
    const HALVES: usize = 100;
    let (low, high) = (spread(low), spread(high));
    let whole = area(&low, &high) > over;
    let mut dice = Dice(SEED);
    let mut half = |of: &[f64]| {
        let mut left = of.to_vec();
        for i in 0..left.len() {
            left.swap(i, i + dice.below(of.len() - i));
        }
        left.truncate(of.len().div_ceil(2));
        left
    };
    let same = (0..HALVES).filter(|_| (area(&half(&low), &half(&high)) > over) == whole).count();
    same as f64 / HALVES as f64
}

/// How far values lie from their mean, as a share of it.
#[allow(clippy::cast_precision_loss)] // counts under a hundred
pub(super) fn variation(values: &[f64]) -> f64 {
    let middle = mean(values);
    let squares: f64 = values.iter().map(|v| (v - middle).powi(2)).sum();
    let spread = (squares / values.len().saturating_sub(1).max(1) as f64).sqrt();
    if middle > 0.0 { spread / middle } else { 0.0 }
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
    #[test]
    fn kolmogorov_and_smirnov_are_exact_for_few() {
        let p = |a: &[f64], b: &[f64]| kolmogorov_smirnov(a, b).unwrap();
        // apart as far as can be: 2 of the orders of n + m values (2 / 20, 2 / 70)
        assert!((p(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]) - 0.1).abs() < 1e-9);
        assert!((p(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]) - 2.0 / 70.0).abs() < 1e-9);
        assert!(p(&[1.0, 3.0, 5.0], &[2.0, 4.0, 6.0]) > 0.9);
        assert!((p(&[1.0, 1.0], &[1.0, 1.0]) - 1.0).abs() < 1e-9, "ties");
        assert_eq!(kolmogorov_smirnov(&[], &[1.0]), None);
    }

    #[test]
    fn areas_agree_in_halves_only_where_samples_lie_apart() {
        let (low, high) = ([1.0, 1.1, 0.9, 1.0], [4.0, 3.0, 5.0, 4.5]);
        assert!(area(&low, &high) > 0.7 && agreement(&low, &high, 0.1) > 0.99);
        let mixed = [1.0, 5.0, 1.2, 4.0];
        assert!(agreement(&mixed, &[1.1, 4.9, 4.8, 1.0], 0.1) < 0.95);
        assert!(area(&high, &low) < 0.0);
    }

    #[test]
    fn a_plateau_varies_little() {
        assert!(variation(&[100.0, 102.0, 98.0]) < 0.03 && variation(&[100.0, 300.0, 200.0]) > 0.4);
    }
}
