//! A capture analysed: the only loop over packets.
//!
//! Frame, packet, connection, measures, findings: each hop is a room of its own, and here they are joined. Memory
//! is bounded by the connections that are open; of one that is over, a [`Summary`] stays, and a [`Case`] if it was
//! reset. `front` sees packets; `shares` has several threads do so.

mod front;
mod shares;

pub use shares::analyze_file;

use std::collections::BTreeMap;

use self::front::Front;
use crate::base::{Direction, Endpoint, Span, Timestamp};
use crate::capture::{End, Facts, Frame, LinkType, Source};
use crate::detect::name::{Names, compare, what};
use crate::detect::reset::{Case, Judged, Keys, Servers, conclude, find_unseen, solve_keys};
use crate::detect::{Finding, Level, Verdict};
use crate::detect::{answer, cap, dns as answers};
use crate::flow::Stage;
use crate::flow::connection::{Connection, Ended};
use crate::flow::table::Limits;
use crate::measure::cap::{Transfer, Transfers};
use crate::measure::datagrams::Rows;
use crate::measure::quic::Outcome;
use crate::measure::{QuicSummary, Summaries, Summary};
use crate::wire::Stop;

/// What an analysis may use.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Limits of the flow table.
    pub limits: Limits,
    /// Which names are compared with which.
    pub names: Names,
    /// Threads that may work on it; the result is the same for any number, and 0 is as good as 1.
    pub threads: usize,
}

/// What was found in one capture, or in several merged to one timeline.
#[derive(Debug)]
pub struct Analysis {
    /// What the files say besides their frames, and how reading them ended; one for each file.
    pub files: Vec<Facts>,
    /// What was counted.
    pub counts: Counts,
    /// The connections, in the order in which they began.
    pub connections: Summaries,
    /// The verdict on each, in the same order, and then on each QUIC connection.
    pub verdicts: Vec<(Verdict, Option<String>)>,
    /// The findings, worst first.
    pub findings: Vec<Finding>,
    /// What went over UDP: QUIC connections, other flows of the web's ports.
    pub udp: Rows,
    /// What was measured of transfers that something may have capped; their packets are gone.
    pub transfers: Vec<Transfer>,
}

/// Packets and bytes, and what became of them.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Frames read.
    pub frames: u64,
    /// Bytes that they had on the wire.
    pub wire_bytes: u64,
    /// Bytes captured of them.
    pub captured_bytes: u64,
    /// When the first was captured, in the order of the file.
    pub first: Option<Timestamp>,
    /// When the last was captured, in the order of time.
    pub last: Option<Timestamp>,
    /// The earliest time.
    pub earliest: Option<Timestamp>,
    /// Frames whose time lies before that of the frame before.
    pub time_went_back: u64,
    /// The longest step forward in time between two frames.
    pub longest_gap_ns: i64,
    /// Frames of which the capture has only the beginning.
    pub cut_frames: u64,
    /// Link types of the frames.
    pub link_types: Vec<LinkType>,
    /// TCP segments.
    pub tcp: u64,
    /// UDP datagrams.
    pub udp: u64,
    /// IP fragments.
    pub fragments: u64,
    /// Segments that came out of a tunnel.
    pub tunnelled: u64,
    /// Frames that hold neither TCP nor UDP, by what they hold.
    pub other: BTreeMap<&'static str, u64>,
    /// Frames in which nothing deeper could be read, by reason.
    pub undecoded: BTreeMap<Stop, u64>,
    /// Fragments of datagrams that were never complete.
    pub fragments_incomplete: u64,
    /// Segments longer than a link carries: segmentation offload put them together.
    pub offloaded: u64,
    /// Connections given up because too many were open.
    pub connections_evicted: u64,
    /// Ended connections that were forgotten before the capture's end.
    pub connections_forgotten: u64,
    /// Groups of names and connections beyond what is compared.
    pub not_compared: u64,
    /// Packets of transfers that were not kept for looking at their rate, as too many were.
    pub packets_not_kept: u64,
    /// Transfers that could not be tried as sharing a bucket with others, as too many packets were kept already.
    pub transfers_not_grouped: u64,
    /// Packets that the capture says it lost between frames (`epb_dropcount`).
    pub dropped_between: u64,
}

/// An analysis in progress. A copy of it can be finished while it goes on.
#[derive(Clone)]
pub struct Analyzer {
    front: Front,
    collected: Collected,
    names: Names,
}

/// What is left of connections that are over.
#[derive(Clone, Default)]
struct Collected {
    summaries: Summaries,
    cases: Vec<Case>,
    servers: Servers,
    transfers: Transfers,
    packets_not_kept: u64,
}

impl Collected {
    fn take(&mut self, c: Box<Connection>, seen_until: Timestamp) {
        self.servers.learn(&c);
        let unkept = |d: Direction| c.halves[d].bulk.not_kept;
        self.packets_not_kept += unkept(Direction::ToServer) + unkept(Direction::ToClient);
        self.transfers.take(&c, self.summaries.len());
        self.cases.extend(Case::new(&c, self.summaries.len()));
        self.summaries.push(Box::new(Summary::new(c, seen_until)));
    }

    /// Takes over what another collected of other connections; `number` gives a stream its number.
    fn join(&mut self, mut other: Self, number: impl Fn(u64) -> u64) {
        let before = self.summaries.len();
        other.summaries.iter_mut().for_each(|s| s.stream = number(s.stream));
        other.cases.iter_mut().for_each(|c| c.connection += before);
        self.summaries.append(&mut other.summaries);
        self.cases.append(&mut other.cases);
        self.servers.join(other.servers);
        self.transfers.join(other.transfers, before);
        self.packets_not_kept += other.packets_not_kept;
    }

    /// Drops the rows that `drop` names, in the order in which they were taken.
    fn forget(&mut self, mut drop: impl FnMut(usize, &Summary) -> bool) {
        let mut kept = 0;
        let mut n = 0;
        let mut places = Vec::with_capacity(self.summaries.len());
        self.summaries.retain(|s| {
            let keep = !drop(n, s);
            places.push(keep.then_some(kept));
            (n, kept) = (n + 1, kept + usize::from(keep));
            keep
        });
        self.cases.retain_mut(|c| {
            places[c.connection].is_some_and(|place| {
                c.connection = place;
                true
            })
        });
        self.transfers.retain(|place| places[place]);
    }
}

/// The longest time that a detector compares over: connections with other names within an hour.
const LONGEST_WINDOW: Span = Span::from_secs(3600);

impl Analyzer {
    /// An analysis that has seen nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self { front: Front::new(settings.limits), collected: Collected::default(), names: settings.names }
    }

    /// Takes one frame.
    pub fn push(&mut self, frame: &Frame<'_>) {
        let collected = &mut self.collected;
        self.front.push(frame, &mut |(c, now)| collected.take(c, now));
    }

    /// The same without caps on the rate, whose fits take nearly all the time of a look.
    pub fn without_caps(mut self) -> Self {
        self.collected.transfers = Transfers::off();
        self
    }

    /// Drops rows once there are more than `most`: first those older than any detector compares over, then the oldest
    /// until half are left. For captures that have no end. Gives how many were dropped.
    pub fn forget(&mut self, most: usize) -> u64 {
        let rows = |a: &Self| a.collected.summaries.len() + a.front.datagrams.rows();
        let before = rows(self);
        if before <= most {
            return 0;
        }
        let old = self.front.counts.last.unwrap_or_default() + Span::from_ns(-LONGEST_WINDOW.ns());
        self.collected.forget(|_, s| s.started + s.duration < old);
        self.front.datagrams.forget(old);
        if rows(self) > most / 4 * 3 {
            let surplus = self.collected.summaries.len().saturating_sub(most / 4);
            self.collected.forget(|n, _| n < surplus);
            self.front.datagrams.keep_newest(most / 4);
        }
        (before - rows(self)) as u64
    }

    /// Ends the analysis: judges what is left, with the whole capture known.
    pub fn finish(mut self, files: Vec<Facts>) -> Analysis {
        let collected = &mut self.collected;
        self.front.end(&mut |(c, now)| collected.take(c, now));
        self.judge(files)
    }

    fn judge(self, files: Vec<Facts>) -> Analysis {
        let Self { front: Front { mut counts, datagrams, .. }, collected, names } = self;
        let Collected { summaries, mut cases, servers, transfers, packets_not_kept } = collected;
        let (mut transfers, not_grouped) = transfers.finish();
        counts.packets_not_kept = packets_not_kept;
        counts.transfers_not_grouped = not_grouped;
        let connections = in_order(summaries, &mut cases, &mut transfers);
        let keys = solve_keys(&cases);
        let udp = datagrams.finish();
        let mut verdicts: Vec<_> = connections.iter().map(|s| without_resets(s)).collect();
        let mut findings = Vec::new();
        for case in &cases {
            judge(case, &servers, &keys, &mut verdicts, &mut findings);
        }
        verdicts.extend(udp.quic.iter().map(of_quic));
        let so_far: Vec<Verdict> = verdicts.iter().map(|(v, _)| *v).collect();
        for finding in find_unseen(&cases, &connections, &so_far) {
            verdicts[finding.connections[0]] = verdict_of(&finding);
            findings.push(finding);
        }
        for finding in answer::find(&connections) {
            let verdict = &mut verdicts[finding.connections[0]];
            if verdict.0 != Verdict::Interfered {
                *verdict = verdict_of(&finding);
            }
            findings.push(finding);
        }
        findings.extend(cap::find(&mut transfers));
        let compared = compare(&connections, &udp.quic, &findings, &names);
        counts.not_compared = compared.not_compared;
        for (n, keyed) in compared.keyed {
            let f = &mut findings[n];
            (f.keyed_on, f.p_value, f.controls) = (Some(keyed.on), keyed.p_value, Some(keyed.controls));
        }
        for (n, residual) in compared.lingered {
            findings[n].residual = Some(residual);
        }
        let dns = answers::find(&udp.dns.rows, &connections, &udp.quic);
        counts.not_compared += dns.not_compared;
        for finding in compared.findings.into_iter().chain(dns.findings) {
            note_name(&finding, &mut verdicts);
            findings.push(finding);
        }
        findings.sort_by(|a, b| {
            b.level
                .cmp(&a.level)
                .then(b.confidence.total_cmp(&a.confidence))
                .then(a.frames.first().cmp(&b.frames.first()))
        });
        Analysis { files, counts, connections, verdicts, findings, udp, transfers }
    }
}

/// Sorts the rows by first frame where they lie, and points cases and transfers to their new places.
fn in_order(mut summaries: Summaries, cases: &mut [Case], transfers: &mut [Transfer]) -> Summaries {
    let key = |s: &Summary| (s.first_frame, s.stream);
    let all = || cases.iter().map(|c| c.connection).chain(transfers.iter().map(|t| t.connection));
    let keys: Vec<(u64, u64)> = all().map(|place| key(&summaries[place])).collect();
    summaries.sort_unstable_by_key(|s| key(s)); // no two connections begin with one frame
    let places =
        cases.iter_mut().map(|c| &mut c.connection).chain(transfers.iter_mut().map(|t| &mut t.connection));
    for (place, wanted) in places.zip(keys) {
        if let Ok(now) = summaries.binary_search_by_key(&wanted, |s| key(s)) {
            *place = now;
        }
    }
    cases.sort_unstable_by_key(|c| c.connection);
    transfers.sort_unstable_by_key(|t| (t.connection, t.direction));
    summaries
}

/// What is said of a QUIC connection by itself.
fn of_quic(q: &QuicSummary) -> (Verdict, Option<String>) {
    let verdict = if q.outcome == Outcome::Ok { Verdict::Clean } else { Verdict::Inconclusive };
    (verdict, q.outcome.words().map(str::to_owned))
}

fn judge(
    case: &Case,
    servers: &Servers,
    keys: &Keys,
    verdicts: &mut [(Verdict, Option<String>)],
    findings: &mut Vec<Finding>,
) {
    let Judged { finding, inconclusive } = conclude(case, servers, keys);
    if let Some(finding) = finding {
        verdicts[case.connection] = verdict_of(&finding);
        findings.push(finding);
    } else if let Some(why) = inconclusive {
        verdicts[case.connection] = (Verdict::Inconclusive, Some(why));
    }
}

/// What a finding about a name makes of its connections; one about DNS, of those that followed its answer.
fn note_name(f: &Finding, verdicts: &mut [(Verdict, Option<String>)]) {
    for c in &f.connections {
        let verdict = &mut verdicts[*c];
        if f.level >= Level::Likely {
            *verdict = (Verdict::Interfered, None);
        } else if verdict.0 == Verdict::Clean {
            let why = format!(
                "it and others like it {}, but the evidence does not carry a claim",
                what(f.mechanism)
            );
            *verdict = (Verdict::Inconclusive, Some(why));
        }
    }
}

/// What a finding makes of its connection.
fn verdict_of(f: &Finding) -> (Verdict, Option<String>) {
    if f.level >= Level::Likely {
        return (Verdict::Interfered, None);
    }
    let which = match f.frames.first() {
        Some(frame) if f.code.starts_with("SNI") => {
            format!("the answer in frame {frame} may not be the server's own")
        }
        Some(frame) => format!("the reset in frame {frame} may not be the endpoint's own"),
        None => "its end looks like that of a reset which this capture cannot hold".to_owned(),
    };
    (Verdict::Inconclusive, Some(format!("{which}, but the evidence does not carry a claim")))
}

/// The verdict on a connection as far as resets do not decide it.
fn without_resets(s: &Summary) -> (Verdict, Option<String>) {
    let why = if s.ended == Ended::Limit {
        Some("too many connections were open, and this one was given up before its end".to_owned())
    } else if s.flows.to_client.packets == 0 && s.stage == Stage::SynSent && s.flows.to_client.resets == 0 {
        Some("its SYN was never answered: a dead host, a filter and a lost packet look alike".to_owned())
    } else if !s.is_two_sided() {
        let seen = if s.flows.to_server.packets > 0 { "client" } else { "server" };
        Some(format!("only packets of the {seen} were captured; a capture of both directions would tell"))
    } else if s.stage == Stage::RequestSent && s.flows.to_server.retransmitted >= 2 {
        Some(format!(
            "its request was sent again {} times and never acknowledged: a drop on the path and a server that died look alike",
            s.flows.to_server.retransmitted
        ))
    } else if s.flows.to_client.conflicts > 0 {
        Some(format!(
            "{} of its answer came with two contents: one of them may not be the server's",
            if s.flows.to_client.conflicts == 1 { "a part" } else { "parts" }
        ))
    } else {
        None
    };
    (if why.is_some() { Verdict::Inconclusive } else { Verdict::Clean }, why)
}

impl Analysis {
    /// Wireshark's numbers of the streams that a finding's packets belong to.
    pub fn streams(&self, f: &Finding) -> Vec<u64> {
        if f.mechanism.is_of_dns() {
            return Vec::new(); // its packets are those of DNS
        }
        f.connections.iter().filter_map(|c| Some(self.connections.get(*c)?.stream)).collect()
    }

    /// Client and server of the connection at a place of the list, those of QUIC behind those of TCP.
    pub fn ends(&self, place: usize) -> Option<(Endpoint, Endpoint)> {
        match self.connections.get(place) {
            Some(c) => Some((c.client, c.server)),
            None => self.quic(place).map(|q| (q.client, q.server)),
        }
    }

    /// The first frame and the last of the connection at a place of the list.
    pub fn frames(&self, place: usize) -> Option<(u64, u64)> {
        match self.connections.get(place) {
            Some(c) => Some((c.first_frame, c.last_frame)),
            None => self.quic(place).map(|q| (q.first_frame, q.last_frame)),
        }
    }

    /// The QUIC connection at a place of the list; `None` where one of TCP is there, or none.
    pub fn quic(&self, place: usize) -> Option<&QuicSummary> {
        self.udp.quic.get(place.checked_sub(self.connections.len())?)
    }

    /// The name that the connection at a place of the list asked for, those of QUIC behind those of TCP.
    pub fn name(&self, place: usize) -> Option<&str> {
        match self.connections.get(place) {
            Some(c) => c.name(),
            None => self.quic(place)?.name(),
        }
    }

    /// The name that a finding is about, where there is one.
    pub fn name_of<'a>(&'a self, f: &'a Finding) -> Option<&'a str> {
        f.name.as_deref().or_else(|| self.name(*f.connections.first()?))
    }

    /// Whether some input could not be read to its end.
    pub fn is_partial(&self) -> bool {
        self.files.iter().any(|f| !matches!(f.ended, End::Complete | End::Open))
    }
}

/// Analyses a source from its beginning to its end. `progress` is told now and then how far reading has come.
pub fn analyze<S: Source + ?Sized>(
    source: &mut S,
    settings: Settings,
    progress: &mut dyn FnMut(u64),
) -> Analysis {
    let mut collected = Collected { transfers: Transfers::new(settings.threads), ..Collected::default() };
    let mut front = Front::new(settings.limits);
    front.read(source, progress, &mut |(c, now)| collected.take(c, now));
    let files = source.files().into_iter().cloned().collect();
    Analyzer { front, collected, names: settings.names }.judge(files)
}
