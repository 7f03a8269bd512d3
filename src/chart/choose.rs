//! Which connection a chart shows: the one that is asked for, or the one that tells most.

use std::collections::BTreeMap;

use super::Kind;
use crate::analysis::Analysis;
use crate::base::Direction;
use crate::detect::{Finding, Level, Mechanism, weights};
use crate::trace::that_matter;

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: the chart chooses.
    Best,
    /// Wireshark's `tcp.stream`.
    Stream(u64),
    /// A name, in lower case.
    Name(String),
}

/// What a chart is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The kind of chart.
    pub kind: Kind,
    /// The connection that it is about; `None` for a chart of all connections, and where there is none.
    pub main: Option<usize>,
    /// The connections whose packets it needs, that one first.
    pub places: Vec<usize>,
    /// Why this one, in words.
    pub why: String,
}

/// The most connections that a chart of several shows.
const SEVERAL: usize = 24;

/// Chooses for a kind of chart.
///
/// # Errors
/// Where what was asked for is not in the capture.
pub fn choose(kind: Kind, a: &Analysis, asked: &Asked) -> Result<Choice, String> {
    if !kind.is_of_one() {
        if *asked != Asked::Best {
            return Err(format!("the chart {} shows all connections, so none can be asked for", kind.name()));
        }
        return Ok(Choice { kind, main: None, places: Vec::new(), why: "all connections".to_owned() });
    }
    let (main, why) = match asked {
        Asked::Stream(stream) => match a.connections.iter().position(|c| c.stream == *stream) {
            Some(place) => (Some(place), "asked for".to_owned()),
            None => return Err(format!("no TCP connection has the stream number {stream}")),
        },
        Asked::Name(name) => {
            let of: Vec<usize> = (0..a.verdicts.len()).filter(|p| a.name(*p) == Some(name)).collect();
            if of.is_empty() {
                return Err("no connection asked for that name".to_owned());
            }
            let (place, why) = best(kind, a, &of);
            (place, format!("{why} with that name"))
        }
        Asked::Best => {
            let all: Vec<usize> = (0..a.verdicts.len()).collect();
            best(kind, a, &all)
        }
    };
    let places = match main {
        None => Vec::new(),
        Some(main) => around(kind, a, main),
    };
    Ok(Choice { kind, main, places, why })
}

/// The connection that tells most among some.
fn best(kind: Kind, a: &Analysis, among: &[usize]) -> (Option<usize>, String) {
    let fits = |f: &&Finding| match kind {
        Kind::Sequence | Kind::Goodput | Kind::Rtt => f.cap.is_some(),
        Kind::Ttl => names_forged(f),
        _ => f.cap.is_none() && !f.connections.is_empty(),
    };
    let heaviest = |of: &mut dyn Iterator<Item = usize>| {
        let of = of.filter(|p| among.binary_search(p).is_ok());
        of.max_by_key(|p| (bytes(a, *p), std::cmp::Reverse(*p)))
    };
    for claims in [true, false] {
        let level = |f: &&Finding| (f.level >= Level::Likely) == claims;
        for f in a.findings.iter().filter(level).filter(fits) {
            if let Some(place) = heaviest(&mut f.connections.iter().copied()) {
                return (
                    Some(place),
                    format!("the one with the most bytes of finding {} ({})", f.code, f.level.name()),
                );
            }
        }
    }
    let mut with_findings = a.findings.iter().flat_map(|f| f.connections.iter().copied());
    if kind == Kind::Ladder
        && let Some(place) = with_findings.find(|p| among.binary_search(p).is_ok())
    {
        return (Some(place), "the first with a finding".to_owned());
    }
    // without a cap, the line of a connection that a forged packet ended tells more than that of any other
    let mut reset = a.findings.iter().filter(|f| !f.frames.is_empty() && !f.mechanism.is_of_dns());
    if kind == Kind::Sequence
        && let Some(place) = reset.find_map(|f| heaviest(&mut f.connections.iter().copied()))
    {
        return (Some(place), "the heaviest of the first finding with packets of its own".to_owned());
    }
    let place = heaviest(&mut among.iter().copied());
    (place, if place.is_some() { "the one with the most bytes" } else { "no connection" }.to_owned())
}

/// What is drawn beside the chosen connection: for goodput a control, for TTLs all of the same finding and controls.
fn around(kind: Kind, a: &Analysis, main: usize) -> Vec<usize> {
    let mut places = vec![main];
    let matter = || that_matter(a).into_iter().filter(|p| *p != main);
    match kind {
        Kind::Goodput => {
            let same = |p: &usize| a.name(*p).is_some() && a.name(*p) != a.name(main) && near(a, *p, main);
            let is_control =
                |p: &usize| same(p) && !a.findings.iter().any(|f| f.concerns(*p) && f.cap.is_some());
            places.extend(matter().filter(is_control).max_by_key(|p| (bytes(a, *p), std::cmp::Reverse(*p))));
        }
        Kind::Ttl => places.extend(matter().filter(|p| near(a, *p, main)).take(SEVERAL - 1)),
        _ => {}
    }
    places
}

/// Whether two connections are of the same client to the same network.
fn near(a: &Analysis, p: usize, q: usize) -> bool {
    let ends = |p| a.ends(p).map(|(c, s)| (c.addr, crate::detect::name::network(s.addr)));
    ends(p) == ends(q)
}

/// Bytes that a connection carried both ways.
pub(super) fn bytes(a: &Analysis, place: usize) -> u64 {
    match (a.connections.get(place), a.quic(place)) {
        (Some(c), _) => c.flows.to_server.bytes.saturating_add(c.flows.to_client.bytes),
        (_, Some(q)) => q.sides.to_server.bytes.saturating_add(q.sides.to_client.bytes),
        _ => 0,
    }
}

/// The way that most of a connection's bytes went.
pub(super) fn main_direction(a: &Analysis, place: usize) -> Direction {
    let [up, down] = match (a.connections.get(place), a.quic(place)) {
        (Some(c), _) => [c.flows.to_server.bytes, c.flows.to_client.bytes],
        (_, Some(q)) => [q.sides.to_server.bytes, q.sides.to_client.bytes],
        _ => [0, 0],
    };
    if up > down { Direction::ToServer } else { Direction::ToClient }
}

/// What a finding says of a packet: that no end sent it, or not as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    level: Level,
    mechanism: Mechanism,
}

impl Claim {
    /// The claim in a word or two.
    pub(super) const fn words(self) -> &'static str {
        match (self.mechanism, self.level) {
            (Mechanism::RewrittenInPath, Level::Possible) => "perhaps rewritten",
            (Mechanism::RewrittenInPath, _) => "rewritten",
            (_, Level::Possible) => "perhaps forged",
            _ => "forged",
        }
    }
}

/// Whether a finding names packets that no end sent.
pub(super) fn names_forged(f: &Finding) -> bool {
    let forged = matches!(f.mechanism, Mechanism::Injected | Mechanism::RewrittenInPath | Mechanism::Forged);
    forged && !f.frames.is_empty()
}

/// The packets that findings about some connections take for forged, with that claim.
pub(super) fn forged(a: &Analysis, places: &[usize]) -> BTreeMap<u64, Claim> {
    let mut frames = BTreeMap::new();
    for f in a.findings.iter().filter(|f| names_forged(f)) {
        if places.iter().any(|p| f.concerns(*p)) {
            let claim = Claim { level: f.level, mechanism: f.mechanism };
            for frame in &f.frames {
                let here = frames.entry(*frame).or_insert(claim);
                *here = claim.max(*here);
            }
        }
    }
    frames
}

/// Whether a cap holds several connections together, so that it is none of one alone.
pub(super) fn is_shared(f: &Finding) -> bool {
    f.connections.len() > 1
        && f.code.starts_with("CAP")
        && !f.evidence.iter().any(|e| e.key == weights::CAP_ALIKE.key)
}

/// The cap that a finding states for a connection.
pub(super) fn capped(a: &Analysis, place: usize) -> Option<&Finding> {
    a.findings.iter().find(|f| f.cap.is_some() && f.concerns(place))
}
