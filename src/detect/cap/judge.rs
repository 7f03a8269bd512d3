//! From fits to a finding: evidence, gates, the other models as alternatives.

use super::shared::Group;
use super::signs::{self, Delay};
use crate::base::Span;
use crate::detect::finding::probability;
use crate::detect::weights::{self as w, Weight};
use crate::detect::{Alternative, Cap, Evidence, Finding, Level, Mechanism};
use crate::measure::cap::Fits;
use crate::measure::cap::policer::PolicerFit;
use crate::measure::cap::queue::QueueFit;

/// Losses from which a policer is a claim, and from which it may be confirmed.
const CLAIM_LOSSES: usize = 15;
const CONFIRM_LOSSES: usize = 30;

/// The lead over chance, beyond what the bucket's parameters cost, from which a policer is a claim and from which it may be
/// confirmed. Over fifteen base seeds of the simulated matrix (1 to 14 and 20240217), with 6412 policed transfers of 15 losses or
/// more, innocent ones reach 12.7, or 16.4 with a share of stray losses: all of them lose in long runs.
const CLAIM_LEAD: f64 = 13.0;
const CONFIRM_LEAD: f64 = 25.0;

/// The share of unexplained losses that counts against it: a tenth.
const STRAY: f64 = 0.9;
/// With a smaller share explained than this a claim takes the lead of a confirmed one: of losses in runs, one such bucket in
/// fifteen base seeds leads by 16.4; true ones lead by 20 to 80.
const FEW: f64 = 0.83;

/// The share of packets that contradict a bucket which nothing sets right, from which on a claim takes a clear lead: other traffic
/// took tokens then, or it is none. In the wide sets short queues of fast links (6 to 30 kB, 100 to 400 Mbit/s) lead by up to 43 with
/// shares of 0.25 and more.
const ASTRAY: f64 = 0.15;
const CLEAR: f64 = 60.0;

/// What is said of a group of transfers.
pub(super) fn judge(g: &Group<'_>) -> Option<Finding> {
    let f = &g.fits;
    let bucket = signs::bucket(f);
    let delay = bucket.map(|p| signs::delay(f, p));
    match (bucket, delay) {
        (Some(p), Some(Delay::Flat)) => Some(policed(g, p)),
        (Some(p), Some(Delay::Queued)) => Some(queued(g, Some(p), signs::queue(f))),
        (Some(p), _) => Some(unknown(g, p)),
        _ => signs::queue(f).map(|q| queued(g, None, Some(q))),
    }
}

/// Collects evidence.
struct Case {
    evidence: Vec<Evidence>,
}

impl Case {
    fn add(&mut self, weight: &Weight, claim: String, frames: Vec<u64>) {
        self.evidence.push(Evidence::new(weight, 1.0, claim, frames));
    }

    /// What is seen and tells nothing between the causes that are left.
    fn note(&mut self, weight: &Weight, claim: String, frames: Vec<u64>) {
        self.evidence.push(Evidence::new(weight, 0.0, claim, frames));
    }
}

fn policed(g: &Group<'_>, p: &PolicerFit) -> Finding {
    let f = &g.fits;
    let mut case = Case { evidence: Vec::new() };
    let (empty, edge, _) = p.replay.losses();
    case.add(
        &w::CAP_LOST_AT_EMPTY,
        format!(
            "{:.0} of {} lost packets came when a bucket of {} filled at {} was empty; chance foretells the losses worse by {:.0} (natural logarithm of the likelihoods' ratio)",
            empty + edge,
            f.losses,
            kilobytes(p.bucket.depth),
            rate(p.bucket.rate),
            p.gain
        ),
        g.lost.clone(),
    );
    if p.replay.allowed() >= 0.97 {
        let share = p.replay.allowed() * 100.0;
        case.add(
            &w::CAP_PASSED_WITH_TOKENS,
            format!("{share:.1}% of the packets that passed found tokens in it"),
            vec![],
        );
    }
    if let Some(d) = &f.waiting {
        case.add(
            &w::CAP_DELAY_FLAT,
            format!(
                "packets beside lost ones took {} longer than the fastest; a queue of that size would have held them {}",
                seconds(d.at_loss - d.base),
                seconds(p.bucket.depth / p.bucket.rate)
            ),
            vec![],
        );
    }
    let [first, second] = p.by_halves;
    if first > 0.0 && second > 0.0 {
        case.add(
            &w::CAP_HALVES_AGREE,
            "the first half of the losses and the second each fit it".to_owned(),
            vec![],
        );
    } else {
        case.add(&w::CAP_HALVES_DIFFER, "only one half of the losses fits it".to_owned(), vec![]);
    }
    let n = g.transfers.len();
    match (n, g.at_once) {
        (1, _) => {}
        (_, true) => case.add(
            &w::CAP_SHARED,
            format!("one bucket explains {n} transfers better than one for each"),
            vec![],
        ),
        (_, false) => case.add(
            &w::CAP_ALIKE,
            format!("{n} transfers came one after the other, and one rate and depth explain all of them"),
            vec![],
        ),
    }
    if p.replay.explained() < STRAY {
        let stray = (1.0 - p.replay.explained()) * 100.0;
        case.add(&w::CAP_STRAY_LOSSES, format!("{stray:.0}% of the losses came when it had tokens"), vec![]);
    }
    let mut finding = finding(g, "CAP001", Mechanism::Policed, case, w::CAP_PRIOR_POLICED);
    finding.cap = Some(Cap {
        rate_bps: p.bucket.rate * 8.0,
        interval_bps: p.interval.map(|r| r * 8.0),
        burst_bytes: Some(whole(p.bucket.depth)),
    });
    let lead = p.gain - signs::cost(f);
    let gate = match f.losses {
        n if n < CLAIM_LOSSES || lead < CLAIM_LEAD || p.astray > ASTRAY && lead < CLEAR => Level::Possible,
        _ if p.replay.explained() < FEW && lead < CONFIRM_LEAD => Level::Possible,
        n if n < CONFIRM_LOSSES || lead < CONFIRM_LEAD || first <= 0.0 || second <= 0.0 => Level::Likely,
        _ => Level::Confirmed,
    };
    finding.level = finding.level.min(gate);
    finding.alternatives = alternatives(f, Some(p));
    finding
}

fn queued(g: &Group<'_>, p: Option<&PolicerFit>, q: Option<&QueueFit>) -> Finding {
    let f = &g.fits;
    let mut case = Case { evidence: Vec::new() };
    let waited = f.waiting.as_ref().map_or(0.0, |d| d.at_loss - d.base);
    let (per_second, interval) = match (q, p) {
        (Some(q), _) => (q.rate, q.interval),
        (None, Some(p)) => (p.bucket.rate, p.interval),
        (None, None) => (0.0, [0.0; 2]),
    };
    if let Some(q) = q {
        case.add(
            &w::CAP_STEADY_WHILE_WAITING,
            format!(
                "while packets waited, {:.0}% of the time, they left at {}: stretches differ by {:.1}% only",
                q.busy * 100.0,
                rate(q.rate),
                q.unsteady * 100.0
            ),
            vec![],
        );
        case.add(
            &w::CAP_DELAYS_FORETOLD,
            format!(
                "a queue emptied at that rate foretells the delays within {:.0}% of their range",
                q.misfit * 100.0
            ),
            vec![],
        );
    }
    let burst = signs::burst(f, p, q);
    if p.is_some() {
        let claim = format!(
            "packets beside lost ones had waited {}: losses come when the queue is full",
            seconds(waited)
        );
        // a link's full queue does that as well
        if burst.is_some() {
            case.add(&w::CAP_LOST_WHEN_LONG, claim, g.lost.clone());
        } else {
            case.note(&w::CAP_LOST_WHEN_LONG, claim, g.lost.clone());
        }
    }
    if burst.is_none() {
        case.add(
            &w::CAP_NO_BURST,
            "nothing shows that a burst passes before packets wait: a slow link does the same".to_owned(),
            vec![],
        );
    }
    if let Some(depth) = burst {
        case.add(
            &w::CAP_BURST_FIRST,
            format!(
                "about {} pass at once before any packet waits; a plain link delays the second",
                kilobytes(depth)
            ),
            vec![],
        );
    }
    let (code, mechanism) = if burst.is_some() {
        ("CAP002", Mechanism::Shaped)
    } else {
        ("CAP003", Mechanism::RateLimitedUnknown)
    };
    let mut finding = finding(g, code, mechanism, case, w::CAP_PRIOR_SHAPED);
    finding.cap = Some(Cap {
        rate_bps: per_second * 8.0,
        interval_bps: interval.map(|r| r * 8.0),
        burst_bytes: burst.map(whole),
    });
    finding.level = finding.level.min(if burst.is_some() { Level::Likely } else { Level::Possible });
    finding.alternatives = alternatives(f, p);
    if burst.is_none() {
        finding.alternatives.push(Alternative {
            cause: "a slow link",
            log_odds: 0.0,
            why:
                "a link of that rate delays the same way; only a control tells a shaper without burst from it"
                    .to_owned(),
        });
    }
    finding
}

/// A bucket, and nothing that tells whether it drops or delays.
fn unknown(g: &Group<'_>, p: &PolicerFit) -> Finding {
    let mut case = Case { evidence: Vec::new() };
    let claim = format!(
        "losses come when {} above {} are under way; whether packets wait before that cannot be told from their delays",
        kilobytes(p.bucket.depth),
        rate(p.bucket.rate)
    );
    case.add(&w::CAP_LOST_AT_EMPTY, claim, g.lost.clone());
    case.add(
        &w::CAP_WAITS_UNKNOWN,
        "the full queue of a slow link loses in the same pattern".to_owned(),
        vec![],
    );
    let mut finding = finding(g, "CAP003", Mechanism::RateLimitedUnknown, case, w::CAP_PRIOR_POLICED);
    finding.level = Level::Possible;
    finding.cap = Some(Cap {
        rate_bps: p.bucket.rate * 8.0,
        interval_bps: p.interval.map(|r| r * 8.0),
        burst_bytes: None,
    });
    finding.alternatives = alternatives(&g.fits, Some(p));
    finding
}

fn finding(g: &Group<'_>, code: &'static str, mechanism: Mechanism, case: Case, prior: f64) -> Finding {
    let sum: f64 = prior + case.evidence.iter().map(|e| e.log_odds).sum::<f64>();
    let confidence = probability(sum);
    let hard = case.evidence.iter().filter(|e| w::ALL.iter().any(|w| w.key == e.key && w.hard)).count();
    let level = if confidence >= w::CONFIRMED && hard >= 2 {
        Level::Confirmed
    } else if confidence >= w::LIKELY && hard >= 1 {
        Level::Likely
    } else {
        Level::Possible
    };
    let start = g.transfers.iter().map(|t| t.start).min().unwrap_or_default();
    let mut connections: Vec<usize> = g.transfers.iter().map(|t| t.connection).collect();
    connections.dedup();
    let direction = g.transfers[0].direction;
    #[allow(clippy::cast_possible_truncation)] // seconds of a capture
    let at = start + Span::from_ns((g.first_loss * 1e9) as i64);
    Finding {
        direction: g.transfers.iter().all(|t| t.direction == direction).then_some(direction),
        frames: if mechanism == Mechanism::Policed { g.lost.clone() } else { Vec::new() },
        prior,
        confidence,
        level,
        evidence: case.evidence,
        ..Finding::new(code, mechanism, connections, at)
    }
}

/// The other models, and how they fare on the same packets.
fn alternatives(f: &Fits, p: Option<&PolicerFit>) -> Vec<Alternative> {
    let mut out = Vec::new();
    let mut add = |cause, why| out.push(Alternative { cause, log_odds: 0.0, why });
    if let Some(p) = p {
        add("random loss", format!("chance foretells the losses worse by {:.0}", p.gain));
    }
    if let Some(d) = f.waiting.as_ref().filter(|d| d.losses > 0) {
        let rank = d.rank_at_loss * 100.0;
        add(
            "a full queue",
            format!(
                "packets beside lost ones waited longer than {rank:.0}% of all; a full queue has nearly 100"
            ),
        );
        let early = match p {
            Some(p) => format!(
                "that losses go with the delays foretells them better than chance by {:.0}, the bucket by {:.0}",
                f.early, p.gain
            ),
            None => {
                format!("that losses go with the delays foretells them better than chance by {:.0}", f.early)
            }
        };
        add("a queue that drops early (CoDel, PIE, RED)", early);
    }
    let (window, alone) = (f.window_full * 100.0, f.alone * 100.0);
    add("the receiver's window", format!("it was full at {window:.0}% of the packets"));
    add(
        "a sender with nothing to send",
        format!("{alone:.0}% of the packets were sent with nothing in flight"),
    );
    out
}

/// Bytes of a fit as a count.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative, and far below 2⁵³
fn whole(bytes: f64) -> u64 {
    bytes.max(0.0).round() as u64
}

fn kilobytes(bytes: f64) -> String {
    format!("{:.1} kB", bytes / 1e3)
}

fn seconds(s: f64) -> String {
    #[allow(clippy::cast_possible_truncation)] // seconds of a capture
    Span::from_ns((s.max(0.0) * 1e9) as i64).to_string()
}

fn rate(bytes_per_second: f64) -> String {
    let bps = bytes_per_second * 8.0;
    if bps >= 1e6 { format!("{:.2} Mbit/s", bps / 1e6) } else { format!("{:.0} kbit/s", bps / 1e3) }
}
