//! The keyed generator's key on each path, where it is not the usual one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::base::Direction;
use crate::flow::reset::Reset;
use crate::measure::keyed::{self, Draw, Solution};

use super::context::Case;

/// Keys other than the usual one that the resets of a path agree on, by source and destination.
pub type Keys = BTreeMap<(Ipv4Addr, Ipv4Addr), Solution>;

/// Solves for the generator's key on every path with three resets or more that have a window.
pub fn solve_keys(cases: &[Case]) -> Keys {
    let mut draws: BTreeMap<(Ipv4Addr, Ipv4Addr), Vec<Draw>> = BTreeMap::new();
    for case in cases {
        for draw in case.resets.iter().filter_map(|r| draw(case, r)).filter(|d| d.window != 0) {
            let path = draws.entry((draw.src, draw.dst)).or_default();
            // the solver looks at no more, and searching a long list for each would take quadratic time
            if path.len() < keyed::MAX_DRAWS && !path.contains(&draw) {
                path.push(draw);
            }
        }
    }
    let solved = draws
        .into_iter()
        .filter(|(_, d)| d.len() >= 3)
        .filter_map(|(path, d)| Some((path, keyed::solve(&d)?)));
    solved.filter(|(_, s)| s.key != keyed::KEY).collect()
}

/// The fields that a keyed generator sets; `None` for IPv6, which has no identification.
pub(super) fn draw(case: &Case, r: &Reset) -> Option<Draw> {
    let (src, dst) = match r.direction {
        Direction::ToServer => (case.client, case.server),
        Direction::ToClient => (case.server, case.client),
    };
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (src.addr, dst.addr) else { return None };
    Some(Draw { src, dst, window: r.segment.window, ip_id: r.segment.ip_id?, ttl: r.segment.ttl })
}
