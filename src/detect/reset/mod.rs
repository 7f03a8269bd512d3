//! Resets that no endpoint sent.
//!
//! [`Case`] is a connection with resets, kept when its packets are gone. `signs` and `benign` turn each reset into evidence;
//! [`conclude()`] adds it up, once the whole capture is known, and makes findings of what stands.

mod benign;
mod conclude;
mod context;
pub mod fingerprint;
mod keys;
mod rewritten;
mod signs;
mod unseen;

pub use conclude::{Judged, conclude};
pub use context::{Burst, Case, Servers};
pub use keys::{Keys, solve_keys};
pub use unseen::find_unseen;

use crate::detect::weights::Weight;

/// A sign that was seen on a reset: its weight, and what was seen.
#[derive(Clone, Debug)]
pub struct Sign {
    /// Which weight.
    pub weight: &'static Weight,
    /// Log-odds; less than the weight's where the sign is faint.
    pub log_odds: f64,
    /// What was seen.
    pub claim: String,
    /// The packets that show it.
    pub frames: Vec<u64>,
}

impl Sign {
    fn new(weight: &'static Weight, claim: impl Into<String>, frames: impl IntoIterator<Item = u64>) -> Self {
        Self { weight, log_odds: weight.log_odds, claim: claim.into(), frames: frames.into_iter().collect() }
    }

    /// The same sign, but faint.
    fn times(mut self, factor: f64) -> Self {
        self.log_odds *= factor;
        self
    }
}
