//! The innocent causes of a reset, each as a named hypothesis with its own evidence.

use crate::base::{Direction, Span};
use crate::detect::weights as w;
use crate::flow::reset::Reset;
use crate::flow::{Kind, Stage};
use crate::measure::hops;
use crate::wire::tcp::Flags;

use super::Sign;
use super::context::Case;
use super::signs::{before_accept, continues_counter};

/// How long a connection has to be silent before a translator that forgot it is a likely cause.
const FORGOTTEN_AFTER: Span = Span::from_secs(60);

/// An innocent cause, and what speaks for it.
pub(super) struct Hypothesis {
    /// The cause, in words.
    pub(super) cause: &'static str,
    /// What speaks for it.
    pub(super) signs: Vec<Sign>,
}

/// All innocent causes for which something speaks. `genuine_before` is whether an earlier reset of the same sender
/// was judged to be its own.
pub(super) fn hypotheses(
    case: &Case,
    n: usize,
    genuine_before: Option<usize>,
    foreign: bool,
) -> Vec<Hypothesis> {
    let r = &case.resets[n];
    let usual_ttl = case.profiles[r.direction].ttl.count(r.segment.ttl) > 0 && !foreign;
    let all = [
        ("the endpoint itself sent it", endpoint(case, n, usual_ttl, foreign)),
        ("the capturing host's own system sent it", local(case, r, usual_ttl).into_iter().collect()),
        ("the port is closed", closed_port(r).into_iter().collect()),
        ("late data met a connection that was being closed", closing(r, foreign)),
        (
            "the endpoint had reset the connection before",
            follow_up(case, n, genuine_before).into_iter().collect(),
        ),
        ("a translator or firewall had forgotten the idle connection", idle(r).into_iter().collect()),
        ("the server refused the TLS handshake", alert(case, r, usual_ttl).into_iter().collect()),
        ("a scanner made the connection", scanner(case, r).into_iter().collect()),
    ];
    all.into_iter()
        .filter(|(_, s): &(_, Vec<Sign>)| !s.is_empty())
        .map(|(cause, signs)| Hypothesis { cause, signs })
        .collect()
}

fn endpoint(case: &Case, n: usize, usual_ttl: bool, foreign: bool) -> Vec<Sign> {
    let r = &case.resets[n];
    let (s, p) = (&r.segment, &case.profiles[r.direction]);
    let mut signs = Vec::new();
    // what comes before the server can have had a segment answers none
    let may_answer = !(before_accept(r) && r.sender.payload_bytes == 0);
    let faint = if p.packets() == 1 { 0.5 } else { 1.0 };
    if usual_ttl && continues_counter(case, n) {
        let claim = format!(
            "TTL {} and IP-ID {:#06x} continue the {}'s own series",
            s.ttl,
            s.ip_id.unwrap_or(0),
            r.direction.sender()
        );
        signs.push(Sign::new(&w::CONTINUES_SERIES, claim, [s.frame]));
    } else if usual_ttl {
        let claim = format!("TTL {} is the {}'s usual one", s.ttl, r.direction.sender());
        signs.push(Sign::new(&w::USUAL_TTL, claim, [s.frame]).times(faint));
        let like_linux = s.ip_id == Some(0)
            && s.dont_fragment
            && p.df_clear == 0
            && !s.flags.has(Flags::ACK)
            && s.window == 0;
        if like_linux && may_answer {
            signs.push(Sign::new(
                &w::LIKE_LINUX,
                "IP-ID 0 with DF set and no window, as Linux answers without a socket",
                [s.frame],
            ));
        }
    }
    if !s.flags.has(Flags::ACK) && r.seq_echoes_ack && s.window == 0 && !foreign && may_answer {
        let claim = "its sequence number is the other side's ACK number, as an answer to that segment has";
        signs.push(Sign::new(&w::ANSWERS_SEGMENT, claim, r.trigger.map(|t| t.frame)));
    }
    signs
}

fn local(case: &Case, r: &Reset, usual_ttl: bool) -> Option<Sign> {
    let s = &r.segment;
    let all_initial = case.profiles[r.direction].ttl.usual() == Some(s.ttl);
    (usual_ttl && all_initial && hops::is_initial(s.ttl)).then(|| {
        let claim = format!(
            "TTL {} is an initial one, as of its sender's other packets: it crossed no router",
            s.ttl
        );
        Sign::new(&w::LOCAL, claim, [s.frame])
    })
}

fn closed_port(r: &Reset) -> Option<Sign> {
    let f = r.segment.flags;
    let answers_syn = r.trigger.is_some_and(|t| t.kind == Kind::Syn) && r.stage == Stage::SynSent;
    let right_ack = r.ack_offset == Some(r.receiver.next);
    // a server that goes on to accept the same SYN is there
    let accepts = r.after.sender_went_on.is_some() && r.after.receiver_syn.is_none();
    if r.direction != Direction::ToClient || !answers_syn || !right_ack || !f.has(Flags::ACK) || accepts {
        return None;
    }
    let sign = Sign::new(&w::CLOSED_PORT, "it answers the SYN as a closed port does", [r.segment.frame]);
    let plain = r.segment.window == 0 && f.0 == (Flags::RST.0 | Flags::ACK.0);
    Some(if plain { sign } else { sign.times(0.3) })
}

fn closing(r: &Reset, foreign: bool) -> Vec<Sign> {
    let mut signs = Vec::new();
    // if the FIN came from another sender than the handshake did, it explains nothing
    let sender_fin = r.sender.fin && !(foreign && r.direction == Direction::ToClient);
    if sender_fin && r.seq_echoes_ack {
        let claim = format!(
            "the {} had sent a FIN, and the reset answers a segment that came after",
            r.direction.sender()
        );
        signs.push(Sign::new(&w::LATE_DATA, claim, r.trigger.map(|t| t.frame)));
    } else if sender_fin || r.receiver.fin && !foreign {
        signs.push(Sign::new(&w::CLOSING, "one end had sent a FIN before it", r.trigger.map(|t| t.frame)));
    }
    signs
}

fn follow_up(case: &Case, n: usize, genuine_before: Option<usize>) -> Option<Sign> {
    let r = &case.resets[n];
    let before = &case.resets[genuine_before?];
    let same_header = before.segment.ttl.abs_diff(r.segment.ttl) <= 1
        && before.segment.dont_fragment == r.segment.dont_fragment;
    let frame = before.segment.frame;
    if same_header {
        let claim = format!("its sender had reset the connection in frame {frame} with the same header");
        return Some(Sign::new(&w::FOLLOW_UP, claim, [frame]));
    }
    // a closed port opened nothing, so its reset ended nothing
    (before.stage >= Stage::Established).then(|| {
        let claim = format!("the {} had itself reset the connection in frame {frame}", r.direction.sender());
        Sign::new(&w::AFTER_ABORT, claim, [frame])
    })
}

fn idle(r: &Reset) -> Option<Sign> {
    let (trigger, previous) = (r.trigger?, r.previous?);
    let before_trigger = r.sender.last.map_or(trigger.at, |l| l.at);
    let silence = trigger.at.since(before_trigger).max(r.segment.at.since(previous.at));
    (silence >= FORGOTTEN_AFTER && r.stage == Stage::Answered).then(|| {
        Sign::new(&w::IDLE_TIMEOUT, format!("the connection had been silent for {silence}"), [trigger.frame])
    })
}

fn alert(case: &Case, r: &Reset, usual_ttl: bool) -> Option<Sign> {
    (case.server_alert && r.direction == Direction::ToClient && usual_ttl).then(|| {
        Sign::new(&w::AFTER_ALERT, "the server had sent a fatal TLS alert", r.sender.last.map(|l| l.frame))
    })
}

fn scanner(case: &Case, r: &Reset) -> Option<Sign> {
    (case.scanner && r.direction == Direction::ToServer).then(|| {
        Sign::new(
            &w::SCANNER,
            "the connection is a scanner's: no TCP options, no data",
            r.trigger.map(|t| t.frame),
        )
    })
}
