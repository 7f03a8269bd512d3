//! Evidence added up: which resets of a connection were forged, how sure that is, and what else it may be.

use crate::base::Direction;
use crate::detect::finding::{Alternative, Evidence, Finding, Level, Mechanism, Trigger, probability};
use crate::detect::weights as w;
use crate::flow::reset::Reset;
use crate::flow::{Kind, Stage};
use crate::measure::keyed;

use super::Sign;
use super::benign::{self, Hypothesis};
use super::context::{Case, Servers};
use super::keys::Keys;
use super::rewritten::{self, Rewritten};
use super::signs;

/// What became of a case.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The finding, if there is one.
    pub finding: Option<Finding>,
    /// Why nothing can be said of the resets, where that is so.
    pub inconclusive: Option<String>,
}

/// One reset, weighed.
struct Weighed {
    n: usize,
    signs: Vec<Sign>,
    hypotheses: Vec<Hypothesis>,
    log_odds: f64,
    hard: usize,
    keyed_hops: Option<u8>,
    keyed: bool,
    family: Option<String>,
    looks_like: Option<String>,
}

impl Weighed {
    fn confidence(&self) -> f64 {
        probability(self.log_odds)
    }

    fn level(&self, case: &Case) -> Option<Level> {
        let p = self.confidence();
        let level = if p >= w::CONFIRMED && (self.keyed || self.hard >= 2) {
            Level::Confirmed
        } else if p >= w::LIKELY {
            Level::Likely
        } else if p >= w::POSSIBLE {
            Level::Possible
        } else {
            return None;
        };
        Some(level.min(ceiling(case, self)))
    }
}

/// The gates: what a capture of this kind can carry at most.
fn ceiling(case: &Case, weighed: &Weighed) -> Level {
    let one_sided = case.packets.to_server == 0 || case.packets.to_client == 0;
    let speaks_alone =
        weighed.signs.iter().any(|s| [w::KEYED_GENERATOR.key, w::FINGERPRINT.key].contains(&s.weight.key));
    if one_sided && !speaks_alone && weighed.hard < 2 { Level::Possible } else { Level::Confirmed }
}

/// Judges the resets of one connection.
pub fn conclude(case: &Case, servers: &Servers, keys: &Keys) -> Judged {
    let foreign = servers.foreign_answer(case);
    let mut weighed: Vec<Weighed> = Vec::new();
    for direction in [Direction::ToServer, Direction::ToClient] {
        let mut genuine = None;
        for burst in case.bursts(direction) {
            for &n in &burst.members {
                let identity = signs::identity(case, &burst, n, keys);
                let mut found = signs::of(case, &burst, n, &identity, genuine);
                let foreign_here = foreign.filter(|(_, body, _)| {
                    direction == Direction::ToClient && case.resets[n].segment.ttl.abs_diff(*body) <= 1
                });
                if let Some((handshake, body, others)) = foreign_here {
                    let claim = format!(
                        "the SYN-ACK has TTL {handshake}, all that followed {body} and other header bits; in {others} other connections of this server both agree"
                    );
                    let sign = Sign::new(&w::FOREIGN_ANSWER, claim, [case.resets[n].segment.frame]);
                    found.push(if others >= FEW { sign } else { sign.times(0.8) });
                }
                let hypotheses = benign::hypotheses(case, n, genuine, foreign_here.is_some());
                let for_it: f64 = found.iter().map(|s| s.log_odds).sum();
                let against: f64 = hypotheses.iter().flat_map(|h| &h.signs).map(|s| s.log_odds).sum();
                let hard =
                    found.iter().filter(|s| s.weight.hard && s.log_odds >= 0.75 * s.weight.log_odds).count();
                let log_odds = w::PRIOR + for_it + against;
                if probability(log_odds) < w::POSSIBLE {
                    genuine = genuine.or(Some(n));
                }
                weighed.push(Weighed {
                    n,
                    signs: found,
                    hypotheses,
                    log_odds,
                    hard,
                    keyed_hops: identity.keyed.and_then(|(m, _)| m.hops),
                    keyed: identity.keyed.is_some(),
                    family: match identity.keyed {
                        Some((_, key)) => Some(keyed_family(key)),
                        None => identity.family.filter(|f| f.specific).map(|f| f.name.clone()),
                    },
                    looks_like: identity.family.filter(|f| !f.specific).map(|f| f.name.clone()),
                });
            }
        }
    }
    if let Some(finding) = injected(case, &mut weighed) {
        return Judged { finding: Some(finding), inconclusive: None };
    }
    match rewritten::find(case) {
        Some(found) => rewritten(case, &found),
        None => Judged { finding: None, inconclusive: unexplained(case, &weighed) },
    }
}

/// A server's reset in the place of its answer: a finding if more speaks for it than its place, and otherwise
/// nothing that can be told.
fn rewritten(case: &Case, found: &Rewritten) -> Judged {
    let first = &case.resets[found.members[0]];
    let confidence = probability(w::PRIOR + found.signs.iter().map(|s| s.log_odds).sum::<f64>());
    if confidence < w::POSSIBLE {
        let frame = first.segment.frame;
        let why = format!(
            "the reset in frame {frame} came in place of the server's answer, with the server's own header: its own, or its answer rewritten on the way; the same server asked for another name would tell"
        );
        return Judged { finding: None, inconclusive: Some(why) };
    }
    let finding = Finding {
        trigger: Some(trigger(case, first)),
        direction: Some(Direction::ToClient),
        frames: found.members.iter().map(|n| case.resets[*n].segment.frame).collect(),
        prior: w::PRIOR,
        confidence,
        // without another name on the same server it stays a pointer
        level: Level::Possible,
        evidence: evidence(found.signs.iter()),
        alternatives: found.alternatives.clone(),
        ..Finding::new("RST002", Mechanism::RewrittenInPath, vec![case.connection], first.segment.at)
    };
    Judged { finding: Some(finding), inconclusive: None }
}

fn keyed_family(key: u16) -> String {
    let devices = if key == keyed::KEY {
        "Geedge TSG or Great Firewall II/III"
    } else {
        "a device with Geedge's generator"
    };
    format!("{devices} (keyed generator, key {key})")
}

fn injected(case: &Case, weighed: &mut [Weighed]) -> Option<Finding> {
    weighed.sort_by_key(|x| case.resets[x.n].segment.frame);
    let best = weighed.iter().max_by(|a, b| a.log_odds.total_cmp(&b.log_odds))?;
    let level = best.level(case)?;
    // the packets that belong to the finding: those that stand at its level by themselves or look like one that does
    let floor = if level == Level::Possible { w::POSSIBLE } else { w::LIKELY };
    let standing: Vec<&Weighed> = weighed.iter().filter(|x| x.confidence() >= floor).collect();
    let members: Vec<&Weighed> = weighed
        .iter()
        .filter(|x| {
            x.confidence() >= floor
                || x.confidence() >= w::POSSIBLE
                    && standing.iter().any(|s| alike(&case.resets[s.n], &case.resets[x.n]))
        })
        .collect();
    let frames: Vec<u64> = members.iter().map(|x| case.resets[x.n].segment.frame).collect();
    let first = &case.resets[members.first()?.n];
    let directions: Vec<Direction> = members.iter().map(|x| case.resets[x.n].direction).collect();
    let direction = directions.iter().all(|d| *d == directions[0]).then_some(directions[0]);
    let log_odds = best.log_odds;
    let evidence = evidence(best.signs.iter().chain(best.hypotheses.iter().flat_map(|h| &h.signs)));
    Some(Finding {
        family: best.family.clone(),
        looks_like: best.looks_like.clone(),
        trigger: Some(trigger(case, first)),
        direction,
        frames,
        hops: best.keyed_hops,
        prior: w::PRIOR,
        confidence: probability(log_odds),
        level,
        evidence,
        alternatives: alternatives(best),
        ..Finding::new("RST001", Mechanism::Injected, vec![case.connection], first.segment.at)
    })
}

/// Signs as evidence, the weightiest first.
pub(super) fn evidence<'a>(signs: impl Iterator<Item = &'a Sign>) -> Vec<Evidence> {
    let mut evidence: Vec<Evidence> = signs
        .map(|s| Evidence {
            log_odds: round(s.log_odds),
            ..Evidence::new(s.weight, 1.0, s.claim.clone(), s.frames.clone())
        })
        .collect();
    evidence.sort_by(|a, b| b.log_odds.total_cmp(&a.log_odds));
    evidence
}

fn alike(a: &Reset, b: &Reset) -> bool {
    a.direction == b.direction
        && a.segment.flags == b.segment.flags
        && a.segment.ttl.abs_diff(b.segment.ttl) <= 8
        && a.segment.dont_fragment == b.segment.dont_fragment
        && (a.segment.window == 0) == (b.segment.window == 0)
}

pub(super) fn trigger(case: &Case, r: &Reset) -> Trigger {
    match r.stage {
        Stage::MidFlow => Trigger::Unknown,
        Stage::SynSent => Trigger::Syn,
        Stage::SynAck | Stage::Established => Trigger::Handshake,
        Stage::RequestSent | Stage::RequestAcked if case.hello => Trigger::ClientHello,
        Stage::RequestSent | Stage::RequestAcked if case.request => Trigger::HttpRequest,
        Stage::RequestSent | Stage::RequestAcked => Trigger::FirstData,
        // an answer that was on its way when the reset overtook it
        Stage::Answered => match r.trigger.map(|t| t.kind) {
            Some(Kind::ClientHello) => Trigger::ClientHello,
            Some(Kind::HttpRequest) => Trigger::HttpRequest,
            _ if r.direction == Direction::ToServer && case.hello && r.receiver.payload_bytes <= 4096 => {
                Trigger::ClientHello
            }
            _ if r.direction == Direction::ToServer && case.request && r.receiver.payload_bytes <= 4096 => {
                Trigger::HttpRequest
            }
            _ => Trigger::Later,
        },
    }
}

/// The innocent causes that were weighed: those for which something speaks, and the endpoint itself always.
fn alternatives(best: &Weighed) -> Vec<Alternative> {
    let mut all: Vec<Alternative> = best
        .hypotheses
        .iter()
        .map(|h| Alternative {
            cause: h.cause,
            log_odds: round(h.signs.iter().map(|s| s.log_odds).sum()),
            why: h.signs.iter().map(|s| s.claim.as_str()).collect::<Vec<_>>().join("; "),
        })
        .collect();
    if !all.iter().any(|a| a.cause == "the endpoint itself sent it") {
        all.push(Alternative {
            cause: "the endpoint itself sent it",
            log_odds: 0.0,
            why: "nothing of its header or timing speaks for it".to_owned(),
        });
    }
    all.sort_by(|a, b| a.log_odds.total_cmp(&b.log_odds));
    all
}

/// Whether resets that make no finding are still no clear endpoint's.
fn unexplained(case: &Case, weighed: &[Weighed]) -> Option<String> {
    let odd = weighed
        .iter()
        .filter(|x| x.confidence() > UNEXPLAINED)
        .max_by(|a, b| a.log_odds.total_cmp(&b.log_odds))?;
    let frame = case.resets[odd.n].segment.frame;
    let signs: Vec<&str> = odd.signs.iter().map(|s| s.claim.as_str()).collect();
    let one_sided = case.packets.to_server == 0 || case.packets.to_client == 0;
    let settle = if one_sided { "a capture of both directions" } else { "a capture at the other end" };
    Some(format!(
        "the reset in frame {frame} is odd ({}) but the endpoint may have sent it; {settle} would tell",
        signs.join("; ")
    ))
}

/// Fewer other connections than these say less about a server's habit.
const FEW: u32 = 5;

/// From this probability on a reset is not called an endpoint's, though nothing is claimed.
const UNEXPLAINED: f64 = 0.2;

/// Two decimals are more than a weight has.
fn round(x: f64) -> f64 {
    (x * 100.0).round() / 100.0
}
