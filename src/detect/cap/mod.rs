//! Caps on the rate: by dropping (CAP001), by delaying (CAP002), or by a box that cannot be told (CAP003).
//!
//! A cap is the path's or the subscriber's capacity unless it depends on the name, which takes a control; so a finding
//! of this family leaves the verdict on its connections alone.

mod judge;
mod shared;
mod signs;

use super::Finding;
use crate::measure::cap::Transfer;

/// All findings about caps; the transfers' packets are not needed after that.
pub fn find(transfers: &mut [Transfer]) -> Vec<Finding> {
    transfers.sort_by_key(|t| (t.connection, t.direction.index()));
    let findings = shared::groups(transfers).iter().filter_map(judge::judge).collect();
    for t in transfers {
        t.series.packets = Vec::new();
    }
    findings
}
