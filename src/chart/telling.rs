//! Which charts tell something of a capture.

use std::collections::BTreeSet;

use super::Kind;
use super::choose::names_forged;
use crate::analysis::Analysis;
use crate::detect::Mechanism;

/// The kinds of charts that a report of this capture has, in the order in which they are read.
pub fn telling(a: &Analysis) -> Vec<Kind> {
    let has = |test: &dyn Fn(&crate::detect::Finding) -> bool| a.findings.iter().any(test);
    let names: BTreeSet<&str> = (0..a.verdicts.len()).filter_map(|p| a.name(p)).take(1000).collect();
    let capped = has(&|f| f.cap.is_some());
    let mut kinds = Vec::new();
    if !names.is_empty() {
        kinds.push(Kind::Outcomes);
    }
    if has(&|f| f.cap.is_none() && !f.connections.is_empty()) {
        kinds.push(Kind::Ladder);
    }
    if has(&names_forged) {
        kinds.push(Kind::Ttl);
    }
    if capped {
        kinds.extend([Kind::Goodput, Kind::Sequence]);
    }
    if has(&|f| matches!(f.mechanism, Mechanism::Shaped | Mechanism::RateLimitedUnknown)) {
        kinds.push(Kind::Rtt);
    }
    if capped && names.len() > 1 {
        kinds.push(Kind::Ecdf);
    }
    kinds
}
