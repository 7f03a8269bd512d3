//! SNI008: an answer in the server's name that the server did not send.

use super::servers::{Habit, Servers};
use super::trigger;
use crate::base::{Direction, Span};
use crate::detect::finding::{Mechanism, probability};
use crate::detect::weights::{self as w, Weight};
use crate::detect::{Alternative, Evidence, Finding, Level, Trigger};
use crate::flow::foreign::{Contradiction, Foreign, Seen};
use crate::measure::{Summary, hops};

/// What comes in less than this share of the shortest handshake was not sent by who shook hands.
const SOONER: f64 = 0.7;
/// Handshakes shorter than this tell nothing: machines take milliseconds to answer.
const SHORTEST: Span = Span::from_ms(5);

/// What is suspected, and what contradicts it.
struct Suspect<'a> {
    /// Segments that are not the server's.
    forged: Vec<Seen>,
    /// The first of two that contradict each other, where there are two.
    contradiction: Option<&'a Contradiction>,
    /// Whether the contradiction is one of initial sequence numbers.
    handshake: bool,
}

/// The finding about a connection, if it carries one.
pub(super) fn judge(n: usize, c: &Summary, servers: &Servers) -> Option<Finding> {
    let foreign = c.foreign.as_ref()?;
    let habit = servers.of(c.server);
    let suspect = suspect(c, foreign);
    let first = suspect.forged.first()?;
    let evidence = evidence(c, foreign, &suspect, habit);
    let log_odds = w::PRIOR + evidence.iter().map(|e| e.log_odds).sum::<f64>();
    let confidence = probability(log_odds);
    if confidence < w::POSSIBLE {
        return None;
    }
    let has = |w: &Weight| evidence.iter().any(|e| e.key == w.key);
    let sender = [&w::ANSWER_TTL_OFF, &w::ANSWER_TOO_EARLY, &w::ANSWER_NO_TIMESTAMPS]
        .into_iter()
        .filter(|k| has(k))
        .count();
    let two = has(&w::ANSWER_TWO_CONTENTS);
    let level = match (two, sender) {
        (true, 2..) if confidence >= w::CONFIRMED => Level::Confirmed,
        (true, 1..) | (false, 2..) if confidence >= w::LIKELY => Level::Likely,
        _ => Level::Possible,
    };
    let frames: Vec<u64> = suspect.forged.iter().map(|s| s.frame).collect();
    let at = first.at;
    let alternatives = alternatives(&evidence, habit);
    Some(Finding {
        trigger: Some(if suspect.handshake { Trigger::Syn } else { trigger(c) }),
        direction: Some(Direction::ToClient),
        frames,
        prior: w::PRIOR,
        confidence,
        level,
        evidence,
        alternatives,
        ..Finding::new("SNI008", Mechanism::Forged, vec![n], at)
    })
}

/// Which segments are not the server's, as far as can be told.
fn suspect<'a>(c: &Summary, f: &'a Foreign) -> Suspect<'a> {
    let handshake = f.contents.is_empty() && !f.numbers.is_empty();
    let list = if handshake { &f.numbers } else { &f.contents };
    let contradiction = list.first();
    let mut forged: Vec<Seen> = Vec::new();
    for pair in list {
        let odd = |s: &Seen| f.ttl_off.iter().any(|o| o.frame == s.frame) || lacks_timestamps(c, s);
        match pair.first {
            // the later one is the server's again, or the earlier one was
            Some(first) if odd(&pair.later) && !odd(&first) => forged.push(pair.later),
            Some(first) => forged.push(first), // who races has to be first
            None => forged.push(pair.later),
        }
    }
    // what is odd by its TTL alone counts where the server's own packets came as well
    if f.own_after > 0 || !list.is_empty() {
        forged.extend(&f.ttl_off);
    } else if list.is_empty() {
        forged.extend(f.ttl_off.iter().take(1));
    }
    forged.sort_by_key(|s| s.frame);
    forged.dedup_by_key(|s| s.frame);
    Suspect { forged, contradiction, handshake }
}

/// Whether a segment lacks the timestamps that the handshake agreed on.
fn lacks_timestamps(c: &Summary, s: &Seen) -> bool {
    c.timestamps_agreed && !s.timestamps
}

fn evidence(c: &Summary, f: &Foreign, suspect: &Suspect<'_>, habit: Habit) -> Vec<Evidence> {
    let mut all = Vec::new();
    let mut add = |weight: &Weight, times: f64, claim: String, frames: Vec<u64>| {
        if times > 0.0 {
            all.push(Evidence::new(weight, times, claim, frames));
        }
    };
    let first = &suspect.forged[0]; // the caller has one at least
    if let Some(pair) = suspect.contradiction {
        let apart = pair.first.map_or(String::new(), |f| format!(", {} apart", pair.later.at.since(f.at)));
        let claim = if suspect.handshake {
            format!("two SYN-ACKs with different initial sequence numbers answered{apart}")
        } else {
            format!("two packets carry different bytes for the same place in the server's stream{apart}")
        };
        let again = suspect.handshake && c.flows.to_server.retransmitted > 0;
        // a SYN that was sent again may have come to another machine
        add(
            &w::ANSWER_TWO_CONTENTS,
            if again { 0.5 } else { 1.0 },
            claim,
            vec![pair.first_frame, pair.later.frame],
        );
    }
    let other = f.own.or(suspect
        .contradiction
        .and_then(|p| [p.first, Some(p.later)].into_iter().flatten().find(|s| s.frame != first.frame)));
    let off = (f.ttl_off.iter().any(|o| o.frame == first.frame)
        || suspect.handshake && other.is_some_and(|o| o.ttl.abs_diff(first.ttl) >= 2))
        && other.is_none_or(|o| !hops::same_distance(o.ttl, first.ttl));
    // where all answers of a server lie apart from its handshake, something in front of it shakes hands
    let habitual = habit.apart > habit.alike;
    if off {
        let (own, why) = match (other, habit.alike) {
            (Some(o), _) => {
                (Some(o), format!("TTL {} where the server's other packets have {}", first.ttl, o.ttl))
            }
            (None, 2..) => (
                None,
                format!(
                    "TTL {} is not that of the SYN-ACK, and in {} other connections it is",
                    first.ttl, habit.alike
                ),
            ),
            _ => (None, format!("TTL {} is not that of the SYN-ACK", first.ttl)),
        };
        let times = match (own, habit.alike) {
            (Some(_), _) => 1.0,
            (None, 2..) => 0.8,
            _ => 0.4,
        };
        let frames = own
            .map_or_else(|| vec![first.frame], |o| vec![first.frame.min(o.frame), first.frame.max(o.frame)]);
        add(&w::ANSWER_TTL_OFF, times, why, frames);
    }
    if let (Some(asked), Some(handshake)) = (c.asked, habit.handshake)
        && !suspect.handshake
        && handshake >= SHORTEST
        && first.at >= asked.at
    {
        let took = first.at.since(asked.at);
        #[allow(clippy::cast_precision_loss)] // nanoseconds of a round trip
        let sooner = (took.ns() as f64) < handshake.ns() as f64 * SOONER;
        let claim = format!(
            "it came {took} after the request; the server never shook hands in less than {handshake}"
        );
        // one handshake may have waited: a SYN that was lost behind the point of capture, a machine that was busy
        let times = if habit.handshakes >= 2 { 1.0 } else { 0.5 };
        add(&w::ANSWER_TOO_EARLY, if sooner { times } else { 0.0 }, claim, vec![asked.frame, first.frame]);
    }
    let lacks = lacks_timestamps(c, first) && !suspect.handshake;
    let claim = "it has no timestamps option, which the handshake agreed on".to_owned();
    add(&w::ANSWER_NO_TIMESTAMPS, f64::from(u8::from(lacks)), claim, vec![first.frame]);
    let claim = format!(
        "all answers of this server have another TTL than its handshakes, in {} connections",
        habit.apart
    );
    add(&w::ANSWER_SYN_PROXY, f64::from(u8::from(off && habitual)), claim, Vec::new());
    all
}

fn alternatives(evidence: &[Evidence], habit: Habit) -> Vec<Alternative> {
    let weight = |key| evidence.iter().filter(|e| e.key == key).map(|e| e.log_odds).sum::<f64>();
    let two = weight(w::ANSWER_TWO_CONTENTS.key);
    let mut all = vec![
        Alternative {
            cause: "something in front of the server shakes hands for it",
            log_odds: -weight(w::ANSWER_SYN_PROXY.key) - weight(w::ANSWER_TOO_EARLY.key),
            why: match habit.alike {
                0 => "no other connection to it tells".to_owned(),
                n => format!("{n} other connections to it do not show that"),
            },
        },
        Alternative {
            cause: "a route that changed in between",
            log_odds: -two - weight(w::ANSWER_TOO_EARLY.key),
            why: "a TTL moves with the route; contents, times and options do not".to_owned(),
        },
        Alternative {
            cause: "a server, or a proxy of it, that made another answer the second time",
            log_odds: -weight(w::ANSWER_TTL_OFF.key) - weight(w::ANSWER_NO_TIMESTAMPS.key),
            why: "a TCP repeats its bytes as they were (RFC 9293 §3.8.1); machines that take over from another may not".to_owned(),
        },
    ];
    if habit.alike == 0 {
        let why =
            "no answer of the server's own is in the capture; a portal answers every name so".to_owned();
        all.push(Alternative { cause: "a captive portal, or the network's own proxy", log_odds: 0.0, why });
    }
    all.sort_by(|a, b| a.log_odds.total_cmp(&b.log_odds));
    all
}
