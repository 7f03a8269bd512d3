//! What a matrix makes of the weights that say how much is not known.

use super::{Outcome, Scores};
use crate::detect::finding::probability;
use crate::detect::weights::{self, Weight};
use crate::testkit::path::scenario::Class;

/// Signs that tell nothing between a box and its innocent look-alike: their weights are set so that the stated probability is
/// the share of boxes among what has the sign.
pub const SET_BY_THE_MATRIX: [&Weight; 2] = [&weights::CAP_NO_BURST, &weights::CAP_WAITS_UNKNOWN];

/// How far a weight may be from what the matrix makes of it: they are written with one digit behind the point.
const ROUNDED: f64 = 0.051;

/// No weight is larger.
const MOST: f64 = 20.0;

impl Scores {
    /// Findings with a sign that are a box's, and all of them.
    pub fn with_sign(&self, key: &str) -> (usize, usize) {
        (self.that_have(key).filter(|o| o.class == Class::Positive).count(), self.that_have(key).count())
    }

    /// Findings with a sign. Scenarios that are hard have boxes only, and are left out.
    fn that_have<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Outcome> {
        self.outcomes.iter().filter(move |o| !o.hard && o.signs.contains(&key))
    }

    /// The weight with which the stated probabilities of findings with this sign add up to the boxes among them.
    pub fn derived(&self, weight: &Weight) -> Option<f64> {
        let (boxes, all) = self.with_sign(weight.key);
        let without = |o: &Outcome| (o.confidence / (1.0 - o.confidence)).ln() - weight.log_odds;
        let others: Vec<f64> = self.that_have(weight.key).map(without).collect();
        // half a case more on each side (Jeffreys)
        let share = (boxes as f64 + 0.5) / (all as f64 + 1.0);
        let stated = |weight: f64| others.iter().map(|o| probability(o + weight)).sum::<f64>() / all as f64;
        let (mut low, mut high) = (-MOST, MOST);
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if stated(middle) < share { low = middle } else { high = middle }
        }
        (all > 0).then_some(f64::midpoint(low, high))
    }

    /// Holds the table of weights to what is derived.
    ///
    /// # Panics
    /// Panics where a weight is not what the matrix makes of it, and says what that is.
    pub fn check_weights(&self) {
        for weight in SET_BY_THE_MATRIX {
            let derived = self.derived(weight).unwrap_or(f64::NAN);
            let (key, stated) = (weight.key, weight.log_odds);
            assert!(
                (derived - stated).abs() < ROUNDED,
                "{key}: {stated} in the table, {derived:.2} by the matrix"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::matrix::{Capped, Said};

    fn outcome(class: Class, hard: bool, confidence: f64) -> Outcome {
        Outcome {
            rule: "CAP003",
            scenario: String::new(),
            variant: String::new(),
            seed: 0,
            vantage: String::new(),
            port: 0,
            hard,
            class,
            said: Said::Pointer,
            confidence,
            rate: None,
            burst: None,
            covered: None,
            signs: vec!["CAP_NO_BURST"],
            capped: Capped::default(),
        }
    }

    #[test]
    fn the_stated_probability_becomes_the_share_of_boxes() {
        let weight = &weights::CAP_NO_BURST;
        // stated as even, with the weight: without it, its opposite
        let mut outcomes = vec![outcome(Class::Benign, false, 0.5); 30];
        outcomes.extend(vec![outcome(Class::Positive, false, 0.5); 10]);
        outcomes.extend(vec![outcome(Class::Positive, true, 0.9); 50]);
        let scores = Scores { outcomes, ..Scores::default() };
        assert_eq!(scores.with_sign(weight.key), (10, 40));
        let derived = scores.derived(weight).unwrap();
        assert!((derived - weight.log_odds - (10.5f64 / 30.5).ln()).abs() < 1e-6, "{derived}");
        assert_eq!(scores.derived(&weights::CAP_WAITS_UNKNOWN), None);
    }
}
