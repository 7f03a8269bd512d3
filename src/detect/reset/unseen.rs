//! RST003: a reset that this capture cannot hold, told by what its victim does.
//!
//! A forged reset to the client never passes a capture at the server, nor one to the server a capture at the client. But
//! the system that got it, its connection gone, answers the next segments with bare resets. A system that closes or aborts a connection says so with FIN
//! or RST+ACK; it forgets one in silence only when a reset reaches it (RFC 9293 §3.10.7.4). If neither end
//! sent one, somebody else did, or the one packet that said so was lost.
//!
//! One connection is a pointer. Several of one client and server, beside others of the same two that end well, are a
//! claim: loss does not choose.

use std::collections::BTreeMap;

use crate::base::{Direction, Span};
use crate::detect::finding::{Alternative, Evidence, Finding, Level, Mechanism, Verdict, probability};
use crate::detect::weights as w;
use crate::flow::reset::Reset;
use crate::flow::{Kind, Stage};
use crate::measure::{Summary, hops};
use crate::wire::tcp::Flags;

use super::Sign;
use super::conclude::{evidence, trigger};
use super::context::Case;

/// Who talks to whom: client address, server endpoint.
type Pair = (std::net::IpAddr, crate::base::Endpoint);

/// Findings for the cases that no other rule explains. `verdicts` are those of the connections so far.
pub fn find_unseen(cases: &[Case], connections: &[Box<Summary>], verdicts: &[Verdict]) -> Vec<Finding> {
    let mut groups: BTreeMap<Pair, Vec<(&Case, &Reset)>> = BTreeMap::new();
    for case in cases.iter().filter(|c| verdicts[c.connection] == Verdict::Clean) {
        if let Some(reset) = vanished(case) {
            groups.entry((case.client.addr, case.server)).or_default().push((case, reset));
        }
    }
    let mut well: BTreeMap<Pair, u32> = BTreeMap::new();
    for (c, verdict) in connections.iter().zip(verdicts) {
        let pair = (c.client.addr, c.server);
        let ended_well = *verdict == Verdict::Clean && c.conn_state == "SF" && c.stage == Stage::Answered;
        if ended_well && groups.contains_key(&pair) {
            *well.entry(pair).or_default() += 1;
        }
    }
    let findings = groups.iter().flat_map(|(pair, group)| {
        let others = well.get(pair).copied().unwrap_or(0);
        group.iter().map(move |(case, reset)| finding(case, reset, group.len(), others))
    });
    findings.collect()
}

/// The first bare reset of an end that never said that it gave the connection up.
fn vanished(case: &Case) -> Option<&Reset> {
    let r = case.resets.first()?;
    let s = &r.sender;
    let bare = r.segment.flags == Flags::RST && r.segment.window == 0 && r.seq_echoes_ack;
    // a client that closes because no answer came may be the first to hear of it
    let unanswered = s.payload_bytes == 0 && r.direction == Direction::ToClient;
    let closes = unanswered && r.trigger.is_some_and(|t| t.kind == Kind::Fin);
    let silent =
        !s.fin && (!r.receiver.fin || closes) && case.resets.iter().all(|x| x.direction == r.direction);
    let all_seen =
        r.offset == Some(s.next) && s.missed_bytes == 0 && r.receiver.missed_bytes == 0 && s.open_holes == 0;
    let asked = (case.hello || case.request)
        && matches!(r.stage, Stage::RequestSent | Stage::RequestAcked | Stage::Answered);
    // a window or two: what may be in flight before segments are answered by resets
    let early = r.receiver.payload_bytes <= 65_536 && s.payload_bytes <= 65_536;
    // where the end itself captured, the reset that it got would be in the file
    let at_end = hops::is_initial(r.segment.ttl) && s.rtt.is_none_or(|rtt| rtt < Span::from_ms(2));
    let own = case.profiles[r.direction].ttl.count(r.segment.ttl) > 0;
    let within = if unanswered { Span::from_secs(60) } else { Span::from_secs(10) };
    let soon = s.last.is_some_and(|l| r.segment.at.since(l.at) < within);
    (bare && silent && all_seen && asked && early && own && soon && !at_end && !case.scanner).then_some(r)
}

fn finding(case: &Case, r: &Reset, alike: usize, others: u32) -> Finding {
    let answers: Vec<u64> =
        case.resets.iter().filter(|x| x.direction == r.direction).map(|x| x.segment.frame).collect();
    let (end, other) = (r.direction.sender(), r.direction.reversed().sender());
    let claim = format!(
        "the {end}'s system answers as if it had no such connection, though it sent neither FIN nor abort and the {other} sent no reset"
    );
    let weight = if r.direction == Direction::ToServer { &w::VANISHED } else { &w::SERVER_VANISHED };
    let mut signs = vec![Sign::new(weight, claim, answers)];
    if r.receiver.payload_bytes + r.sender.payload_bytes <= 8192 {
        let asked = r.trigger.map(|t| t.frame);
        let claim = "it happened right after the client's hello or request";
        signs.push(Sign::new(&w::VANISHED_AFTER_REQUEST, claim, asked));
    }
    if alike >= 2 {
        let claim = format!("it happened to {alike} connections of this client and server");
        let again = Sign::new(&w::VANISHED_AGAIN, claim, []);
        signs.push(if alike >= 3 { again.times(2.0) } else { again });
        if others >= 1 {
            let claim = format!("{others} other connections of the same two ended well");
            signs.push(Sign::new(&w::OTHERS_END_WELL, claim, []));
        }
    }
    let lost = Sign::new(&w::ABORT_LOST, "its FIN or abort may have been lost before it came here", []);
    let log_odds = w::PRIOR + signs.iter().map(|s| s.log_odds).sum::<f64>() + lost.log_odds;
    let confidence = probability(log_odds);
    // a server that answers a client's FIN only may have lost its state in that while by itself
    let at_once = r.trigger.is_none_or(|t| t.kind != Kind::Fin);
    let likely = confidence >= w::LIKELY && others >= 1 && at_once;
    let level = if likely { Level::Likely } else { Level::Possible };
    let alternatives = vec![
        Alternative {
            cause: "its FIN or abort was lost on the way",
            log_odds: lost.log_odds,
            why: lost.claim.clone(),
        },
        Alternative {
            cause: "the host, or a translator or load balancer in front of it, lost its state",
            log_odds: 0.0,
            why: "a reboot or a full table would not choose by connection".to_owned(),
        },
    ];
    let evidence: Vec<Evidence> = evidence(signs.iter().chain([&lost]));
    Finding {
        trigger: Some(trigger(case, r)),
        direction: Some(r.direction.reversed()),
        prior: w::PRIOR,
        confidence,
        level,
        evidence,
        alternatives,
        ..Finding::new("RST003", Mechanism::Injected, vec![case.connection], r.segment.at)
    }
}
