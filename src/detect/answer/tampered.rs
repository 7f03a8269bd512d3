//! SNI009: payload of which a box moved the first and the last bytes.

use super::trigger;
use crate::base::Direction;
use crate::detect::finding::{Mechanism, probability};
use crate::detect::weights::{self as w, Weight};
use crate::detect::{Alternative, Evidence, Finding, Level};
use crate::measure::Summary;

/// The finding about a connection, if it carries one.
pub(super) fn judge(n: usize, c: &Summary) -> Option<Finding> {
    let toward = [Direction::ToClient, Direction::ToServer];
    let direction = toward.into_iter().find(|d| c.swapped[*d].is_some())?;
    let first = c.swapped[direction]?;
    let mut evidence = Vec::new();
    let mut add = |weight: &Weight, claim: &str, frames: Vec<u64>| {
        evidence.push(Evidence::new(weight, 1.0, claim.to_owned(), frames));
    };
    add(
        &w::PAYLOAD_SWAPPED,
        "where a TLS record begins, the first two bytes of its header stand in each other's place or at the segment's end",
        vec![first.frame],
    );
    let victim = direction.reversed();
    let refused = c.alerts[victim].is_some_and(crate::wire::tls::Alert::is_fatal);
    if refused {
        add(&w::PAYLOAD_REFUSED, "the receiver refused with a fatal alert", Vec::new());
    } else if c.flows[victim].resets > 0 {
        add(&w::PAYLOAD_REFUSED, "the receiver reset the connection", Vec::new());
    }
    let confidence = probability(w::PRIOR + evidence.iter().map(|e| e.log_odds).sum::<f64>());
    let level = match evidence.len() {
        2.. if confidence >= w::CONFIRMED => Level::Confirmed,
        _ if confidence >= w::LIKELY => Level::Likely,
        _ => Level::Possible,
    };
    Some(Finding {
        trigger: Some(trigger(c)),
        direction: Some(direction),
        frames: vec![first.frame],
        prior: w::PRIOR,
        confidence,
        level,
        evidence,
        alternatives: vec![Alternative {
            cause: "a broken sender, or a damaged packet",
            log_odds: -w::PAYLOAD_SWAPPED.log_odds,
            why: "chance does not put the two missing bytes where they were found".to_owned(),
        }],
        ..Finding::new("SNI009", Mechanism::Tampered, vec![n], first.at)
    })
}
