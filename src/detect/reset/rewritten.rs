//! RST002: a packet of the server, turned into a reset on its way.
//!
//! A box in the path, rather than beside it, need not forge: Russia's TSPU cuts the server's answer short and sets
//! RST and ACK in it (Xue et al. 2022), so TTL, IP-ID and sequence number are the server's own. One such packet looks
//! like a server that refuses. What gives it away is what a server's own reset never does: it comes again at the
//! server's retransmission times, or still has the flags or payload of the answer.

use crate::base::{Direction, Span};
use crate::detect::finding::Alternative;
use crate::detect::weights as w;
use crate::flow::Stage;
use crate::flow::reset::Reset;
use crate::wire::tcp::Flags;

use super::Sign;
use super::context::Case;

/// The shortest retransmission time-out of Linux, less a tenth for the path's jitter.
const RETRANSMITTED_AFTER: Span = Span::from_ms(180);

/// A server's reset in the place of its answer to a ClientHello or request, whose header is the server's own.
pub(super) struct Rewritten {
    /// The resets, as indices into [`Case::resets`].
    pub(super) members: Vec<usize>,
    /// What speaks for it.
    pub(super) signs: Vec<Sign>,
    /// What else it may be.
    pub(super) alternatives: Vec<Alternative>,
}

/// Looks for one among the resets that were not found to be forged.
pub(super) fn find(case: &Case) -> Option<Rewritten> {
    let members: Vec<usize> =
        (0..case.resets.len()).filter(|n| in_place_of_answer(case, &case.resets[*n])).collect();
    let first = &case.resets[*members.first()?];
    let frames: Vec<u64> = members.iter().map(|n| case.resets[*n].segment.frame).collect();
    let mut signs = vec![Sign::new(
        &w::IN_PLACE_OF_ANSWER,
        format!("a RST+ACK with the server's own TTL {} came when its answer was due", first.segment.ttl),
        [first.segment.frame],
    )];
    let answer = first.segment.flags.has(Flags::PSH) || first.segment.len > 0;
    if answer {
        let claim = format!(
            "it still has what an answer has: flags {}, {} bytes of payload",
            first.segment.flags, first.segment.len
        );
        signs.push(Sign::new(&w::STILL_AN_ANSWER, claim, [first.segment.frame]));
    }
    if repeats_like_a_retransmission(case, &members) {
        let claim = "it came again at a retransmission's distance with nothing sent to the server between; a system that has reset retransmits nothing";
        signs.push(Sign::new(&w::RESET_RETRANSMITTED, claim, frames));
    }
    let alternatives = vec![Alternative {
        cause: "the server itself refused",
        log_odds: 0.0,
        why: "a server that aborts after the ClientHello sends the same packet once; the same server asked for another name would tell"
            .to_owned(),
    }];
    Some(Rewritten { members, signs, alternatives })
}

fn in_place_of_answer(case: &Case, r: &Reset) -> bool {
    let waiting = matches!(r.stage, Stage::RequestSent | Stage::RequestAcked);
    let own_header = case.profiles.to_client.ttl.count(r.segment.ttl) > 0;
    let acknowledges = r.ack_offset == Some(r.receiver.next);
    let due = match (r.trigger, r.sender.rtt) {
        (Some(t), Some(rtt)) => !r.segment.at.since(t.at).is_under(0.7, rtt),
        _ => true,
    };
    let server = r.direction == Direction::ToClient && (case.hello || case.request) && !case.server_alert;
    server && waiting && own_header && acknowledges && due && !r.sender.fin && !r.receiver.fin
}

fn repeats_like_a_retransmission(case: &Case, members: &[usize]) -> bool {
    // an answer of several segments comes again segment by segment
    let before = |i: usize| members[..i].iter().rev().map(|n| &case.resets[*n]);
    members.iter().enumerate().any(|(i, n)| {
        let b = &case.resets[*n];
        let Some(a) = before(i).find(|a| a.segment.seq == b.segment.seq) else { return false };
        let asked_again = b.trigger.is_some_and(|t| t.at > a.segment.at)
            || case.resets.iter().any(|r| {
                r.direction == Direction::ToServer && (a.segment.at..b.segment.at).contains(&r.segment.at)
            });
        b.segment.at.since(a.segment.at) >= RETRANSMITTED_AFTER && !asked_again
    })
}
