//! How each resolver answers, over all names of a capture: what a forged answer would have to copy.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::base::Span;
use crate::detect::name::registrable;
use crate::flow::dns::{Reply, Transaction};
use crate::measure::dns::answers_differ;

/// The most addresses of which it is remembered who is said to be there.
const MOST_ADDRESSES: usize = 1 << 16;

/// The habits of all resolvers.
pub(super) struct Habits {
    by_resolver: BTreeMap<IpAddr, Habit>,
    /// For the first of contradicting answers: the registrable domains said to be at each of its addresses.
    said_to_be_at: BTreeMap<IpAddr, BTreeSet<String>>,
}

/// How one resolver answers queries that have one answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Habit {
    /// TTLs of its packets, and how many have each.
    ttls: BTreeMap<u8, u32>,
    /// The soonest that it answered.
    soonest: Option<Span>,
    /// Queries with one answer, or several that agree.
    pub(super) single: u32,
    /// Queries with answers that contradict each other.
    pub(super) contradicting: u32,
}

impl Habit {
    /// How far a TTL is from all that this resolver's packets have, once two at least are known.
    pub(super) fn ttl_distance(&self, ttl: u8) -> Option<u8> {
        (self.single >= 2).then(|| self.ttls.keys().map(|t| t.abs_diff(ttl)).min()).flatten()
    }

    /// The TTL that most of its packets have.
    pub(super) fn usual_ttl(&self) -> Option<u8> {
        self.ttls.iter().max_by_key(|(_, n)| **n).map(|(t, _)| *t)
    }

    /// The soonest that it answered, once three answers at least are known.
    pub(super) fn soonest(&self) -> Option<Span> {
        self.soonest.filter(|_| self.single >= 3)
    }
}

impl Habits {
    pub(super) fn learn(transactions: &[Transaction]) -> Self {
        let mut by_resolver: BTreeMap<IpAddr, Habit> = BTreeMap::new();
        let mut said_to_be_at: BTreeMap<IpAddr, BTreeSet<String>> = BTreeMap::new();
        for t in transactions {
            let habit = by_resolver.entry(t.resolver.addr).or_default();
            if answers_differ(t) {
                habit.contradicting += 1;
                for a in t.replies.first().into_iter().flat_map(|r| &r.addresses) {
                    if said_to_be_at.len() < MOST_ADDRESSES || said_to_be_at.contains_key(a) {
                        said_to_be_at.entry(*a).or_default().insert(registrable(&t.folded()).to_owned());
                    }
                }
                continue;
            }
            for reply in &t.replies {
                habit.single += 1;
                *habit.ttls.entry(reply.ip_ttl).or_default() += 1;
                if t.queries == 1 {
                    let took = reply.at.since(t.started);
                    habit.soonest = Some(habit.soonest.map_or(took, |s| s.min(took)));
                }
            }
        }
        Self { by_resolver, said_to_be_at }
    }

    pub(super) fn of(&self, resolver: IpAddr) -> Option<&Habit> {
        self.by_resolver.get(&resolver)
    }

    /// How many other domains the first of contradicting answers puts at one of this answer's addresses.
    pub(super) fn others_at(&self, reply: &Reply, name: &str) -> usize {
        let domain = registrable(name);
        let others = |a| self.said_to_be_at.get(a).map_or(0, |d| d.iter().filter(|d| **d != domain).count());
        reply.addresses.iter().map(others).max().unwrap_or(0)
    }
}
