//! What a name's connections and their controls say of sizes: whether it is the path's MTU, or the name.

use super::fate::Fate;
use super::rows::Row;
use crate::base::Direction;
use crate::detect::Alternative;
use crate::detect::finding::Mechanism;

/// Whether a control can speak: where sizes were set apart, a packet as large as those that vanished came through the same way. Of any
/// other kind of failure every control can.
pub(super) fn speaks(mechanism: Mechanism, bad: &[&Row<'_>], control: &Row<'_>) -> bool {
    let as_large = |d: Direction| {
        bad.iter().filter_map(|r| r.s.sizes).filter(|s| s.direction == d).map(|s| s.as_large()).max()
    };
    mechanism != Mechanism::SizeKeyed
        || [Direction::ToServer, Direction::ToClient]
            .into_iter()
            .all(|d| as_large(d).is_none_or(|size| control.s.flows[d].largest >= size))
}

/// What came and what did not, in words.
pub(super) fn words(bad: &[&Row<'_>]) -> Option<String> {
    let splits: Vec<_> = bad.iter().filter_map(|r| r.s.sizes).collect();
    let passed = splits.iter().map(|s| s.passed).max()?;
    let vain = splits.iter().filter_map(|s| s.vain).min();
    Some(match vain {
        Some(vain) => format!("payloads of up to {passed} bytes came through, those of {vain} bytes never"),
        None => format!(
            "payloads of up to {passed} bytes came through, and gaps stayed where larger ones should have been"
        ),
    })
}

/// How many of them an ICMP error told that a packet was too big.
pub(super) fn too_big(bad: &[&Row<'_>]) -> usize {
    bad.iter().filter(|r| r.s.too_big).count()
}

/// A path that takes only smaller packets, as an innocent cause.
pub(super) fn small_mtu(bad: &[&Row<'_>], controls: &[&Row<'_>], log_odds: f64) -> Option<Alternative> {
    bad.iter().any(|r| r.fate == Fate::Bad(Mechanism::SizeKeyed)).then(|| {
        let same = controls.iter().filter(|c| bad.iter().any(|b| b.s.server.addr == c.s.server.addr)).count();
        let why = match (too_big(bad), same) {
            (1.., _) => "an ICMP error says that a packet was too big".to_owned(),
            (_, 0) => "no control moved a packet as large at an address of theirs: one would settle it".to_owned(),
            (_, n) => format!("{n} with other names moved packets as large at the same address, and a path does not know names"),
        };
        Alternative { cause: "a hole in the path's MTU", log_odds, why }
    })
}
