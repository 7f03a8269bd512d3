//! What the ICMP errors say that ended a name's connections.

use super::rows::{Row, first};
use crate::flow::refusal::Notice;
use crate::measure::hops::hops;

fn notices<'a>(bad: &[&'a Row<'_>]) -> impl Iterator<Item = &'a Notice> {
    bad.iter().filter_map(|r| r.s.refused.as_ref()).map(|r| &r.notice).collect::<Vec<_>>().into_iter()
}

/// Who sent them and what they say, in words.
pub(super) fn words(bad: &[&Row<'_>]) -> Option<String> {
    let senders = first(notices(bad).map(|n| n.from), usize::MAX).len();
    let reasons = first(notices(bad).map(|n| n.quoted.reason()), 3);
    let s = if senders == 1 { "" } else { "s" };
    (senders > 0).then(|| {
        format!(
            "the errors came from {senders} address{} and say: {}",
            if s.is_empty() { "" } else { "es" },
            reasons.join(", ")
        )
    })
}

/// How far their sender is, where all agree.
pub(super) fn distance(bad: &[&Row<'_>]) -> Option<u8> {
    let all = first(notices(bad).map(|n| hops(n.ttl)), 2);
    (all.len() == 1).then(|| all[0])
}
