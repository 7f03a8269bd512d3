//! DNS001: an answer that the resolver did not send.

use super::habits::{Habit, Habits};
use super::{Followed, LISTED, Story};
use crate::base::Span;
use crate::detect::finding::{Mechanism, probability};
use crate::detect::weights::{self as w, Weight};
use crate::detect::{Alternative, Evidence, Finding, Level};
use crate::flow::dns::{Reply, Transaction};
use crate::measure::dns::{answers_differ, is_bogon};

/// Two answers further apart than this are no race: a forged one is sent while the query passes, and the true one follows in a
/// round trip and the time that a resolver takes (it gives up after 5 s: resolv.conf(5), `timeout`).
const RACE: Span = Span::from_secs(5);

/// A TTL this far from the sender's others is another sender's: routes differ by a hop now and then (as for resets).
const TTL_OFF: u8 = 2;

/// One race: the answer that is suspected, and the one that it contradicts.
struct Race<'a> {
    t: &'a Transaction,
    forged: &'a Reply,
    other: &'a Reply,
    /// Whether packets tell which of the two is the resolver's.
    told: bool,
}

/// Whether a transaction is worth a look: its answers contradict each other, and there are more than queries.
pub(super) fn is_suspect(t: &Transaction) -> bool {
    answers_differ(t) && t.replies.len() > t.queries.max(1) as usize
}

/// The finding about one name, if its answers carry one.
pub(super) fn judge(story: &Story<'_>, habits: &Habits, followed: &mut Followed) -> Option<Finding> {
    let habit = habits.of(story.resolver);
    let races: Vec<Race<'_>> =
        story.asked.iter().filter(|t| is_suspect(t)).filter_map(|t| race(t, habit)).collect();
    let first = races.first()?;
    let evidence = evidence(story, &races, habit, habits);
    let log_odds = w::PRIOR + evidence.iter().map(|e| e.log_odds).sum::<f64>();
    let confidence = probability(log_odds);
    if confidence < w::POSSIBLE {
        return None;
    }
    let sender = evidence.iter().filter(|e| SENDER.contains(&e.key)).count();
    let told = races.iter().all(|r| r.told);
    let level = match sender {
        2.. if told && confidence >= w::CONFIRMED => Level::Confirmed,
        1.. if told && confidence >= w::LIKELY => Level::Likely,
        _ => Level::Possible,
    };
    let mut connections: Vec<usize> =
        races.iter().flat_map(|r| followed.after(story.client, r.forged)).collect();
    connections.sort_unstable();
    connections.dedup();
    connections.truncate(LISTED);
    let frames = races.iter().map(|r| r.forged.frame).take(LISTED).collect();
    let alternatives = alternatives(&evidence, told);
    Some(Finding {
        name: Some(story.name.to_owned()),
        direction: Some(crate::base::Direction::ToClient),
        frames,
        prior: w::PRIOR,
        confidence,
        level,
        evidence,
        alternatives,
        ..Finding::new("DNS001", Mechanism::DnsForged, connections, first.forged.at)
    })
}

/// The evidence that another than the resolver sent the answer, rather than that there are two.
const SENDER: [&str; 4] =
    [w::DNS_TTL_OFF.key, w::DNS_TOO_EARLY.key, w::DNS_CASE.key, w::DNS_SAME_FOR_OTHERS.key];

/// The two answers of a transaction that contradict each other first, and which of them is not the resolver's.
fn race<'a>(t: &'a Transaction, habit: Option<&Habit>) -> Option<Race<'a>> {
    let (a, b) = t.replies.windows(2).map(|w| (&w[0], &w[1])).find(|(a, b)| contradict(a, b))?;
    if b.at.since(a.at) > RACE {
        return None;
    }
    let off = |r: &Reply| habit.and_then(|h| h.ttl_distance(r.ip_ttl)).map(|d| d >= TTL_OFF);
    let (forged, other, told) = match (off(a), off(b)) {
        (Some(false), Some(true)) => (b, a, true),
        (Some(true), Some(false)) => (a, b, true),
        _ => match (a.same_case, b.same_case) {
            (true, false) => (b, a, true),
            // who races has to be first
            _ => (a, b, a.ip_ttl.abs_diff(b.ip_ttl) >= TTL_OFF || a.same_case != b.same_case),
        },
    };
    Some(Race { t, forged, other, told })
}

/// Whether two answers cannot both be the resolver's: an error beside an answer, or no address in common.
fn contradict(a: &Reply, b: &Reply) -> bool {
    if a.flags.truncated() || b.flags.truncated() || !a.complete || !b.complete {
        return false;
    }
    if a.flags.rcode() != b.flags.rcode() {
        return true;
    }
    let none_in_common = a.addresses.iter().all(|x| !b.addresses.contains(x));
    (!a.addresses.is_empty() || !b.addresses.is_empty()) && none_in_common
}

fn evidence(story: &Story<'_>, races: &[Race<'_>], habit: Option<&Habit>, habits: &Habits) -> Vec<Evidence> {
    let mut all = Vec::new();
    let mut add = |weight: &Weight, times: f64, claim: String, frames: Vec<u64>| {
        if times > 0.0 {
            all.push(Evidence::new(weight, times, claim, frames));
        }
    };
    let first = &races[0]; // the caller has one at least
    let (forged, other) = (first.forged, first.other);
    let both = || vec![forged.frame.min(other.frame), forged.frame.max(other.frame)];
    let queries =
        if first.t.queries == 1 { "one query".to_owned() } else { format!("{} queries", first.t.queries) };
    let apart = other.at.since(forged.at).abs();
    let claim = format!(
        "{queries} got {} answers, and two of them, {apart} apart, have no address in common",
        first.t.replies.len() as u64 + u64::from(first.t.replies_not_kept)
    );
    add(&w::DNS_TWO_ANSWERS, 1.0, claim, both());
    let again = races.len() - 1;
    #[allow(clippy::cast_precision_loss)] // two at most
    let times = again.min(2) as f64;
    let claim = format!("so did {again} more for the same name");
    add(&w::DNS_AGAIN, times, claim, races.iter().skip(1).take(10).map(|r| r.forged.frame).collect());
    let usual = habit.and_then(Habit::usual_ttl);
    let off_habit = habit.and_then(|h| h.ttl_distance(forged.ip_ttl)).is_some_and(|d| d >= TTL_OFF);
    if off_habit {
        let n = habit.map_or(0, |h| h.single);
        let claim = format!(
            "TTL {} where {n} other answers of the resolver have {}",
            forged.ip_ttl,
            usual.unwrap_or_default()
        );
        add(&w::DNS_TTL_OFF, 1.0, claim, both());
    } else if forged.ip_ttl.abs_diff(other.ip_ttl) >= TTL_OFF {
        let claim = format!("TTL {}, and that of the other answer is {}", forged.ip_ttl, other.ip_ttl);
        add(&w::DNS_TTL_OFF, 0.6, claim, both());
    }
    let took = forged.at.since(first.t.started);
    if let Some(soonest) = habit.and_then(Habit::soonest)
        && first.t.queries == 1
        && took.ns() < soonest.ns() / 10 * 7
    {
        let claim = format!("it came after {took}; the resolver took {soonest} at least for all else");
        add(&w::DNS_TOO_EARLY, 1.0, claim, vec![first.t.first_frame, forged.frame]);
    }
    if other.same_case && !forged.same_case {
        let claim = "it does not repeat the capitals of the query, and the other answer does".to_owned();
        add(&w::DNS_CASE, 1.0, claim, both());
    }
    let others = habits.others_at(forged, story.name);
    let claim =
        format!("it gives an address that forerunners of other answers gave for {others} other names");
    add(&w::DNS_SAME_FOR_OTHERS, f64::from(u8::from(others > 0)), claim, vec![forged.frame]);
    let bogon = |r: &Reply| r.addresses.iter().any(|a| is_bogon(*a));
    let nowhere = bogon(forged) && !bogon(other);
    let claim = "its address is no public server's, and that of the other answer is".to_owned();
    add(&w::DNS_BOGON, f64::from(u8::from(nowhere)), claim, both());
    let twice = habit.is_some_and(|h| h.contradicting > 3 && h.contradicting * 2 > h.single);
    let claim =
        "the resolver contradicts itself about most names: its path may hold two resolvers".to_owned();
    add(&w::DNS_OFTEN_TWICE, f64::from(u8::from(twice)), claim, Vec::new());
    all
}

fn alternatives(evidence: &[Evidence], told: bool) -> Vec<Alternative> {
    let against = |key| evidence.iter().filter(|e| e.key == key).map(|e| -e.log_odds).sum::<f64>();
    let sender = evidence.iter().filter(|e| SENDER.contains(&e.key)).map(|e| e.log_odds).sum::<f64>();
    let mut all = vec![
        Alternative {
            cause: "the query was sent twice, and the capture has it once",
            log_odds: -sender,
            why: "a resolver with many addresses may give others the second time; the sender's signs speak against it"
                .to_owned(),
        },
        Alternative {
            cause: "two resolvers behind one address",
            log_odds: against(w::DNS_OFTEN_TWICE.key) - sender,
            why: "then other names would get two answers as well".to_owned(),
        },
    ];
    if !told {
        let why = "neither TTL nor spelling tells which of the two is the resolver's; who races comes first"
            .to_owned();
        all.push(Alternative { cause: "the other of the two answers is the forged one", log_odds: 0.0, why });
    }
    all.sort_by(|a, b| a.log_odds.total_cmp(&b.log_odds));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Endpoint, Timestamp};
    use crate::flow::dns::Transport;
    use crate::wire::dns::{Flags, kind};

    fn reply(frame: u64, ms: i64, ttl: u8, flags: u16, address: Option<[u8; 4]>) -> Reply {
        Reply {
            frame,
            at: Timestamp::from_ns(ms * 1_000_000),
            ip_ttl: ttl,
            ip_id: Some(7),
            flags: Flags(flags),
            addresses: address.into_iter().map(Into::into).collect(),
            alias: None,
            record_ttl: Some(60),
            records: 1,
            same_case: true,
            complete: true,
            len: 60,
        }
    }

    fn asked(name: &str, at: u64, queries: u32, replies: Vec<Reply>) -> Transaction {
        let end = |host, port| Endpoint { addr: [192, 0, 2, host].into(), port };
        Transaction {
            name: name.to_owned(),
            kind: kind::A,
            id: 1,
            client: end(1, 40_000),
            resolver: end(53, 53),
            transport: Transport::Udp,
            first_frame: at,
            started: Timestamp::from_ns(0),
            last: Timestamp::from_ns(0),
            queries,
            replies,
            replies_not_kept: 0,
        }
    }

    fn found(race: Transaction) -> Vec<Finding> {
        let honest =
            |n| asked("example.org", n, 1, vec![reply(n + 1, 40, 50, 0x8180, Some([192, 88, 99, 1]))]);
        crate::detect::dns::find(&[honest(1), honest(3), honest(5), race], &[], &[]).findings
    }

    #[test]
    fn the_answer_with_the_foreign_ttl_is_the_forged_one_whichever_came_first() {
        let forged = reply(8, 5, 99, 0x8180, Some([192, 31, 196, 1]));
        let own = reply(9, 41, 50, 0x8180, Some([192, 88, 99, 7]));
        let late = Reply { at: Timestamp::from_ns(60_000_000), ..forged.clone() };
        for (replies, level) in [(vec![forged, own.clone()], Level::Likely), (vec![own, late], Level::Likely)]
        {
            let findings = found(asked("x.com", 7, 1, replies));
            assert_eq!(findings.len(), 1);
            assert_eq!((findings[0].code, &findings[0].frames[..]), ("DNS001", &[8][..]));
            assert_eq!(findings[0].level, level, "{:?}", findings[0].evidence);
        }
    }

    #[test]
    fn what_one_resolver_may_say_twice_is_no_claim() {
        let one = reply(8, 41, 50, 0x8180, Some([192, 88, 99, 7]));
        let other = Reply { frame: 9, addresses: vec![[192, 88, 99, 8].into()], ..one.clone() };
        // two queries, two answers
        assert!(found(asked("x.com", 7, 2, vec![one.clone(), other.clone()])).is_empty());
        // one query in the capture: a pointer, as the other may be lost
        let findings = found(asked("x.com", 7, 1, vec![one.clone(), other.clone()]));
        assert!(findings.iter().all(|f| f.level == Level::Possible), "{findings:?}");
        // an answer that was cut, a copy, and one a minute later
        let cut = Reply { flags: Flags(0x8380), ..other.clone() };
        let later = Reply { at: Timestamp::from_ns(60_000_000_000), ..other };
        for second in [cut, one.clone(), later] {
            assert!(found(asked("x.com", 7, 1, vec![one.clone(), second])).is_empty());
        }
    }
}
