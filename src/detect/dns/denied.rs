//! DNS002: a name that one resolver denies and another resolves.
//!
//! A pointer and no more: the answer is the resolver's own, and who told it to lie (a court, an office, a parent) no packet
//! says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{LISTED, Story};
use crate::base::{Span, Timestamp};
use crate::detect::finding::{Mechanism, probability};
use crate::detect::weights as w;
use crate::detect::{Alternative, Evidence, Finding};
use crate::flow::dns::{Reply, Transaction};
use crate::measure::dns::is_bogon;
use crate::wire::dns::{kind, rcode};

/// Answers are compared within an hour: names come and go.
const WITHIN: Span = Span::from_secs(3600);

/// REFUSED (RFC 1035 §4.1.1): a resolver that will not answer about this name.
const REFUSED: u8 = 5;

/// What a resolver said of a name.
struct Said<'a> {
    reply: &'a Reply,
    resolver: IpAddr,
}

/// One finding for each client, resolver and name; `forged` are frames that are no resolver's.
pub(super) fn find(stories: &[Story<'_>], forged: &BTreeSet<u64>) -> Vec<Finding> {
    let mut resolved: BTreeMap<(&str, IpAddr), Vec<Said<'_>>> = BTreeMap::new();
    for s in stories {
        for reply in replies(s).filter(|r| !forged.contains(&r.frame) && resolves(r)) {
            resolved.entry((s.name, s.client)).or_default().push(Said { reply, resolver: s.resolver });
        }
    }
    stories.iter().filter_map(|s| denied(s, resolved.get(&(s.name, s.client))?, forged)).collect()
}

fn denied(s: &Story<'_>, elsewhere: &[Said<'_>], forged: &BTreeSet<u64>) -> Option<Finding> {
    psl::domain_str(s.name)?; // a name of a local network is known to one resolver only
    let no: Vec<&Reply> = replies(s).filter(|r| !forged.contains(&r.frame) && denies(r)).collect();
    let first = no.first()?;
    let yes: Vec<&Said<'_>> =
        elsewhere.iter().filter(|e| e.resolver != s.resolver && near(e.reply.at, first.at)).collect();
    let other = yes.first()?;
    let how = match first.flags.rcode() {
        rcode::NXDOMAIN => "says that the name does not exist",
        REFUSED => "refuses to answer about the name",
        _ => "gives an address that is no public server's",
    };
    let n = no.len();
    let mut evidence = vec![Evidence::new(
        &w::DNS_DENIED,
        1.0,
        format!("the resolver {how}, and another resolver gives public addresses"),
        vec![first.frame, other.reply.frame],
    )];
    if n > 1 {
        let claim = format!("it does so {n} times");
        evidence.push(Evidence::new(
            &w::DNS_AGAIN,
            1.0,
            claim,
            no.iter().map(|r| r.frame).take(10).collect(),
        ));
    }
    let confidence = probability(w::PRIOR + evidence.iter().map(|e| e.log_odds).sum::<f64>());
    let why = |text: &str| text.to_owned();
    Some(Finding {
        name: Some(s.name.to_owned()),
        direction: Some(crate::base::Direction::ToClient),
        frames: no.iter().map(|r| r.frame).take(LISTED).collect(),
        prior: w::PRIOR,
        confidence,
        evidence,
        alternatives: vec![
            Alternative {
                cause: "a filter of the user's own, or of the network's owner",
                log_odds: 0.0,
                why: why("ad blockers, parental filters and office resolvers deny names the same way"),
            },
            Alternative {
                cause: "a name that is answered differently inside a network",
                log_odds: 0.0,
                why: why("a resolver of an organisation knows other addresses than the world does"),
            },
        ],
        ..Finding::new("DNS002", Mechanism::DnsDenied, Vec::new(), first.at)
    })
}

fn near(a: Timestamp, b: Timestamp) -> bool {
    a.since(b).abs() < WITHIN
}

/// Answers to questions about addresses.
fn replies<'a>(s: &Story<'a>) -> impl Iterator<Item = &'a Reply> + use<'a> {
    let asked: Vec<&'a Transaction> = s.asked.clone();
    asked.into_iter().filter(|t| matches!(t.kind, kind::A | kind::AAAA)).flat_map(|t| &t.replies)
}

fn resolves(r: &Reply) -> bool {
    r.flags.rcode() == rcode::NOERROR && !r.addresses.is_empty() && r.addresses.iter().all(|a| !is_bogon(*a))
}

fn denies(r: &Reply) -> bool {
    match r.flags.rcode() {
        rcode::NXDOMAIN | REFUSED => true,
        rcode::NOERROR => r.addresses.iter().any(|a| is_bogon(*a)),
        _ => false,
    }
}
