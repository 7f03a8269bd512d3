//! Where a name's story starts: answers of DNS that no resolver sent, and names that one resolver denies.
//!
//! Works on [`Transaction`]s, once the whole capture is known. An injector cannot stop the resolver's own answer and does
//! not know its habits; a resolver that lies is silent about who told it to.

mod denied;
mod forged;
mod habits;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Finding;
use crate::base::{Endpoint, Span, Timestamp};
use crate::flow::dns::{Reply, Transaction};
use crate::measure::{QuicSummary, Summary};
use habits::Habits;

/// The most names of which answers are looked at closely; a hostile capture may have one for each packet.
const MOST_NAMES: usize = 4096;

/// The most frames that one finding lists.
const LISTED: usize = 1000;

/// How long after a forged answer a connection to its address is taken for its consequence: stub resolvers and browsers keep
/// an answer for a minute, whatever it says (Chromium's host cache).
const LED_ASTRAY: Span = Span::from_secs(60);

/// What one client asked one resolver for one name.
struct Story<'a> {
    client: IpAddr,
    resolver: IpAddr,
    name: &'a str,
    asked: Vec<&'a Transaction>,
}

/// Findings about answers of DNS.
#[derive(Debug, Default)]
pub struct Found {
    /// The findings.
    pub findings: Vec<Finding>,
    /// Names beyond those that are looked at.
    pub not_compared: u64,
}

/// Looks at the answers of a capture; connections of QUIC are numbered behind those of TCP.
pub fn find(transactions: &[Transaction], connections: &[Box<Summary>], quic: &[QuicSummary]) -> Found {
    let names: Vec<String> = transactions.iter().map(Transaction::folded).collect();
    let mut by_name: BTreeMap<(&str, IpAddr, IpAddr), Vec<&Transaction>> = BTreeMap::new();
    for (t, name) in transactions.iter().zip(&names) {
        by_name.entry((name.as_str(), t.client.addr, t.resolver.addr)).or_default().push(t);
    }
    let stories: Vec<Story<'_>> = by_name
        .into_iter()
        .map(|((name, client, resolver), asked)| Story { client, resolver, name, asked })
        .collect();
    let habits = Habits::learn(transactions);
    let mut out = Found::default();
    let suspects: Vec<&Story<'_>> =
        stories.iter().filter(|s| s.asked.iter().any(|t| forged::is_suspect(t))).collect();
    let mut followed =
        if suspects.is_empty() { Followed::default() } else { Followed::new(connections, quic) };
    for (n, story) in suspects.into_iter().enumerate() {
        if n < MOST_NAMES {
            out.findings.extend(forged::judge(story, &habits, &mut followed));
        } else {
            out.not_compared += 1;
        }
    }
    let forged: BTreeSet<u64> = out.findings.iter().flat_map(|f| &f.frames).copied().collect();
    out.findings.extend(denied::find(&stories, &forged));
    out
}

/// Which connections went to an address, to see who followed a forged answer.
#[derive(Default)]
struct Followed {
    by_ends: BTreeMap<(IpAddr, IpAddr), Vec<(Timestamp, usize)>>,
}

impl Followed {
    fn new(connections: &[Box<Summary>], quic: &[QuicSummary]) -> Self {
        let mut by_ends: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let tcp = connections.iter().map(|c| (c.client, c.server, c.started));
        let ends = tcp.chain(quic.iter().map(|q| (q.client, q.server, q.started)));
        for (n, (client, server, started)) in ends.enumerate() {
            let (client, server): (Endpoint, Endpoint) = (client, server);
            by_ends.entry((client.addr, server.addr)).or_default().push((started, n));
        }
        Self { by_ends }
    }

    /// The connections that a client opened to the addresses of an answer soon after it.
    fn after(&self, client: IpAddr, reply: &Reply) -> Vec<usize> {
        let to = |a: &IpAddr| self.by_ends.get(&(client, *a)).into_iter().flatten();
        let soon = |at: Timestamp| at >= reply.at && at.since(reply.at) <= LED_ASTRAY;
        reply.addresses.iter().flat_map(to).filter(|(at, _)| soon(*at)).map(|(_, n)| *n).collect()
    }
}
