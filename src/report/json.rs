//! The answer for programs: `pinchpoint/1`, described by `docs/pinchpoint-1.schema.json`.
//!
//! Fields may be added; none changes its meaning without a new `schema`. What is unknown is null, never 0.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;

use super::inert_json;
use super::json_dns;
use super::json_quic::{JsonQuic, json_quic};
use super::names::{self, NameRow};
use super::quality::{Note, ended, notes, vantage};
use super::rows_json::{Json, by_serde, object};
use super::{Capture, wireshark_filter};
use crate::analysis::Analysis;
use crate::base::endpoint::PerDirection;
use crate::base::parallel::in_parallel;
use crate::base::text::Ascii;
use crate::base::{Direction, Endpoint};
use crate::detect::registry;
use crate::detect::{Alternative, Evidence, Finding, KeyedOn, Level, Trigger};
use crate::measure::Summary;
use crate::wire::tls::Alert;

/// The schema's name.
pub const SCHEMA: &str = "pinchpoint/1";

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
    fingerprints: &'static str,
}

#[derive(Default, Serialize)]
pub(super) struct Both<T> {
    to_server: T,
    to_client: T,
}

impl<T: Json> Json for Both<T> {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"to_server\":");
        self.to_server.put(out);
        out.extend_from_slice(b",\"to_client\":");
        self.to_client.put(out);
        out.push(b'}');
    }
}

impl<T> Both<T> {
    pub(super) fn new(f: impl Fn(Direction) -> T) -> Self {
        Self { to_server: f(Direction::ToServer), to_client: f(Direction::ToClient) }
    }
}

object! {
    #[derive(Serialize)]
    pub(super) struct Address {
        addr: IpAddr,
        port: u16,
    }
}

impl Default for Address {
    fn default() -> Self {
        Self { addr: Ipv4Addr::UNSPECIFIED.into(), port: 0 }
    }
}

impl From<Endpoint> for Address {
    fn from(e: Endpoint) -> Self {
        Self { addr: e.addr, port: e.port }
    }
}

/// The place of a connection among those of all captures, from 1.
#[derive(Clone, Copy, Default)]
pub(super) struct ConnectionId(usize);

impl Json for ConnectionId {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"c");
        self.0.put(out);
        out.push(b'"');
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

#[derive(Serialize)]
struct JsonCapture<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    packets: u64,
    bytes: u64,
    first_ns: Option<i64>,
    last_ns: Option<i64>,
    link_types: Vec<String>,
    snaplen: Option<u32>,
    truncated: bool,
    ended: Option<String>,
    undecoded: BTreeMap<&'static str, u64>,
    other: &'a BTreeMap<&'static str, u64>,
    limits: BTreeMap<&'static str, u64>,
    kernel_dropped: Option<u64>,
    cut_packets: u64,
    offloaded: u64,
    time_went_back: u64,
}

object! {
    /// A connection of either transport; what makes no sense for one is null.
    #[derive(Default)]
    pub(super) struct JsonConnection<'a> {
        pub(super) id: ConnectionId,
        pub(super) capture: usize,
        pub(super) transport: &'static str,
        pub(super) client: Address,
        pub(super) server: Address,
        pub(super) roles: &'static str,
        pub(super) tcp_stream: Option<u64>,
        pub(super) first_frame: u64,
        pub(super) community_id: String,
        pub(super) sni: Option<&'a str>,
        pub(super) ech: bool,
        pub(super) http_host: Option<&'a str>,
        pub(super) alpn: Option<&'a str>,
        pub(super) tls_version: Option<u16>,
        pub(super) ja3: Option<&'a str>,
        pub(super) ja4: Option<&'a str>,
        pub(super) hello_frame: Option<u64>,
        pub(super) server_hello: bool,
        pub(super) certificate_flight: bool,
        pub(super) alerts: Both<Option<String>>,
        pub(super) close_notify: Both<bool>,
        pub(super) start_ns: i64,
        pub(super) duration_ns: i64,
        pub(super) packets: Both<u64>,
        pub(super) bytes: Both<u64>,
        pub(super) retransmitted: Option<Both<u64>>,
        pub(super) out_of_order: Option<Both<u64>>,
        pub(super) spurious: Option<Both<u64>>,
        pub(super) duplicate_acks: Option<Both<u64>>,
        pub(super) zero_window: Option<Both<u64>>,
        pub(super) keep_alive: Option<Both<u64>>,
        pub(super) missed_bytes: Option<Both<u64>>,
        pub(super) max_in_flight: Option<Both<u64>>,
        pub(super) resets: Option<Both<u32>>,
        pub(super) conflicts: Option<Both<u32>>,
        pub(super) mss: Option<Both<Option<u16>>>,
        pub(super) ttl: Both<Option<u8>>,
        pub(super) rtt_min_ns: Option<i64>,
        pub(super) rtt_ns: Option<Both<Option<i64>>>,
        pub(super) goodput_bps: Option<Both<Option<f64>>>,
        pub(super) history: Option<&'a str>,
        pub(super) conn_state: Option<&'static str>,
        pub(super) stage: Option<&'static str>,
        pub(super) signature: Option<Signature>,
        pub(super) tunnelled: bool,
        pub(super) quic: Option<JsonQuic>,
        pub(super) verdict: &'static str,
        pub(super) why: Option<&'a str>,
        pub(super) findings: &'a [String],
    }
}

object! {
    pub(super) struct Signature {
        stage: &'static str,
        name: &'static str,
    }
}

object! {
    #[derive(Serialize)]
    pub(super) struct JsonFinding<'a> {
        id: String,
        capture: usize,
        code: &'static str,
        name: &'static str,
        kind: &'static str,
        mechanism: &'static str,
        family: Option<&'a str>,
        looks_like: Option<&'a str>,
        connections: Vec<String>,
        sni: Option<&'a str>,
        trigger: Option<&'static str>,
        keyed_on: Option<&'static str>,
        direction: Option<&'static str>,
        frames: &'a [u64],
        at_ns: i64,
        p_value: Option<f64>,
        controls: Option<JsonControls<'a>>,
        residual_s: Option<[f64; 2]>,
        rate_bps: Option<f64>,
        rate_interval_bps: Option<[f64; 2]>,
        burst_bytes: Option<u64>,
        hops: Option<u8>,
        prior_log_odds: f64,
        confidence: f64,
        level: &'static str,
        evidence: Vec<JsonEvidence<'a>>,
        alternatives: Vec<JsonAlternative<'a>>,
        wireshark: String,
    }
}

object! {
    #[derive(Serialize)]
    struct JsonControls<'a> {
        names: &'a [String],
        well: usize,
        failed: usize,
    }
}

object! {
    #[derive(Serialize)]
    struct JsonEvidence<'a> {
        key: &'static str,
        claim: &'a str,
        log_odds: f64,
        frames: &'a [u64],
        source: &'static str,
    }
}

object! {
    #[derive(Serialize)]
    struct JsonAlternative<'a> {
        cause: &'static str,
        log_odds: f64,
        why: &'a str,
    }
}

object! {
    struct JsonName<'a> {
        name: &'a str,
        connections: u64,
        ok: u64,
        reset: u64,
        dropped: u64,
        slowed: u64,
        inconclusive: u64,
        forged: u64,
        tampered: u64,
        dns_forged: u64,
        control: &'a [String],
        p_value: Option<f64>,
        conclusion: &'static str,
        sentence: String,
    }
}

/// Names every connection and finding of an answer.
pub(super) struct Ids {
    /// For each capture, how many connections the captures before it have.
    connections_before: Vec<usize>,
    findings_before: Vec<usize>,
}

impl Ids {
    pub(super) fn new(captures: &[Capture]) -> Self {
        let before = |count: &dyn Fn(&Capture) -> usize| {
            let sums = captures.iter().scan(0, |sum, c| {
                let here = *sum;
                *sum += count(c);
                Some(here)
            });
            sums.collect()
        };
        Self {
            connections_before: before(&|c| c.analysis.connections.len() + c.analysis.udp.quic.len()),
            findings_before: before(&|c| c.analysis.findings.len()),
        }
    }

    fn connection(&self, capture: usize, n: usize) -> ConnectionId {
        ConnectionId(self.connections_before[capture] + n + 1)
    }

    fn finding(&self, capture: usize, n: usize) -> String {
        format!("f{}", self.findings_before[capture] + n + 1)
    }
}

/// Writes the whole answer as one object; the bytes are the same for any number of threads.
///
/// # Errors
/// What writing gives.
pub fn write_json(captures: &[Capture], threads: usize, out: &mut dyn Write) -> io::Result<()> {
    let ids = Ids::new(captures);
    // written part by part, so that the answer of a large capture is not held a second time
    write!(out, "{{\"schema\":\"{SCHEMA}\",\"tool\":")?;
    inert_json::to_writer(out, &tool())?;
    list(out, "captures", 1, captures.iter().map(json_capture))?;
    let of_each = || captures.iter().enumerate();
    list(out, "connections", threads, of_each().flat_map(|(n, c)| all_connections(&ids, n, c)))?;
    list(out, "findings", threads, of_each().flat_map(|(n, c)| findings(&ids, n, c)))?;
    list(out, "dns", threads, of_each().flat_map(|(n, c)| json_dns::rows(n, c)))?;
    list(out, "names", threads, names::rows(captures).iter().map(json_name))?;
    writeln!(out, "}}")
}

/// Writes one line an object, each with the schema and its `type`: captures, connections, DNS, findings, names, run.
///
/// # Errors
/// What writing gives.
pub fn write_ndjson(captures: &[Capture], threads: usize, out: &mut dyn Write) -> io::Result<()> {
    let ids = Ids::new(captures);
    for (n, c) in captures.iter().enumerate() {
        line(out, "capture", &json_capture(c))?;
        lines(out, "connection", threads, all_connections(&ids, n, c))?;
        lines(out, "dns", threads, json_dns::rows(n, c))?;
        lines(out, "finding", threads, findings(&ids, n, c))?;
    }
    lines(out, "name", threads, names::rows(captures).iter().map(json_name))?;
    line(out, "run", &tool())
}

/// Writes only what is said of the captures: `pinchpoint info --format json`.
///
/// # Errors
/// What writing gives.
pub fn write_info(captures: &[Capture], out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{{\"schema\":\"{SCHEMA}\",\"tool\":")?;
    inert_json::to_writer(out, &tool())?;
    list(out, "captures", 1, captures.iter().map(json_info))?;
    writeln!(out, "}}")
}

/// The same, one capture a line.
///
/// # Errors
/// What writing gives.
pub fn write_info_lines(captures: &[Capture], out: &mut dyn Write) -> io::Result<()> {
    captures.iter().try_for_each(|c| line(out, "capture", &json_info(c)))
}

impl Json for JsonCapture<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        by_serde(self, out);
    }
}

impl Json for JsonInfo<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        by_serde(self, out);
    }
}

#[derive(Serialize)]
struct JsonInfo<'a> {
    #[serde(flatten)]
    capture: JsonCapture<'a>,
    vantage: &'static str,
    holds: Vec<String>,
    limited_by: Vec<String>,
}

fn json_info(c: &Capture) -> JsonInfo<'_> {
    let (limited_by, holds): (Vec<Note>, Vec<Note>) = notes(c).into_iter().partition(|n| n.limits);
    let texts = |notes: Vec<Note>| notes.into_iter().map(|n| n.text).collect();
    JsonInfo {
        capture: json_capture(c),
        vantage: vantage(c).name(),
        holds: texts(holds),
        limited_by: texts(limited_by),
    }
}

fn lines<T: Json + Send>(
    out: &mut dyn Write,
    kind: &str,
    threads: usize,
    items: impl Iterator<Item = T>,
) -> io::Result<()> {
    let begin = format!("{{\"schema\":\"{SCHEMA}\",\"type\":\"{kind}\"");
    rows(out, threads, items, |item, text| {
        let at = text.len();
        item.put(text);
        text.splice(at..=at, begin.bytes().chain(*b",")); // its brace is in the beginning
        text.push(b'\n');
    })
}

fn list<T: Json + Send>(
    out: &mut dyn Write,
    key: &str,
    threads: usize,
    items: impl Iterator<Item = T>,
) -> io::Result<()> {
    write!(out, ",\n\"{key}\":[")?;
    rows(out, threads, items.enumerate(), |(n, item), text| {
        text.extend_from_slice(if *n == 0 { b"\n" } else { b",\n" });
        item.put(text);
    })?;
    out.write_all(b"]")
}

/// Rows that one thread writes before they go out; with several, each has as many.
const AT_ONCE: usize = 512;

/// Writes rows in their order, each by one of the threads.
fn rows<T: Send>(
    out: &mut dyn Write,
    threads: usize,
    mut items: impl Iterator<Item = T>,
    put: impl Fn(&T, &mut Vec<u8>) + Sync,
) -> io::Result<()> {
    if threads <= 1 {
        let mut text = Vec::new(); // a row in one piece: it is made of hundreds
        return items.try_for_each(|item| {
            text.clear();
            put(&item, &mut text);
            out.write_all(&text)
        });
    }
    loop {
        let pieces: Vec<Vec<T>> = (0..threads)
            .map(|_| items.by_ref().take(AT_ONCE).collect())
            .filter(|piece: &Vec<T>| !piece.is_empty())
            .collect();
        if pieces.is_empty() {
            return Ok(());
        }
        let texts = in_parallel(pieces, threads, |piece| {
            let mut text = Vec::new();
            for item in &piece {
                put(item, &mut text);
            }
            text
        });
        texts.iter().try_for_each(|text| out.write_all(text))?;
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    schema: &'static str,
    r#type: &'static str,
    #[serde(flatten)]
    item: &'a T,
}

pub(super) fn line<T: Serialize>(out: &mut dyn Write, kind: &'static str, item: &T) -> io::Result<()> {
    let mut row = Vec::new();
    inert_json::to_writer(&mut row, &Line { schema: SCHEMA, r#type: kind, item })?;
    row.push(b'\n');
    out.write_all(&row)
}

fn tool() -> Tool {
    Tool {
        name: "pinchpoint",
        version: env!("CARGO_PKG_VERSION"),
        fingerprints: &crate::detect::reset::fingerprint::TABLE.version,
    }
}

fn json_capture(c: &Capture) -> JsonCapture<'_> {
    let counts = &c.analysis.counts;
    let limits = [
        ("connections_evicted", counts.connections_evicted),
        ("connections_forgotten", counts.connections_forgotten),
        ("udp_flows_evicted", c.analysis.udp.evicted),
        ("udp_flows_not_kept", c.analysis.udp.other_not_kept),
        ("dns_evicted", c.analysis.udp.dns.evicted),
        ("dns_not_kept", c.analysis.udp.dns.not_kept),
        ("fragments_incomplete", counts.fragments_incomplete),
        ("names_not_compared", counts.not_compared),
        ("packets_not_kept", counts.packets_not_kept),
        ("transfers_not_grouped", counts.transfers_not_grouped),
    ];
    let ended: Vec<String> = c.analysis.files.iter().filter_map(|f| ended(&f.ended)).collect();
    JsonCapture {
        path: &c.path,
        sha256: c.sha256.as_deref(),
        packets: counts.frames,
        bytes: counts.wire_bytes,
        first_ns: counts.first.map(crate::base::Timestamp::ns),
        last_ns: counts.last.map(crate::base::Timestamp::ns),
        link_types: counts.link_types.iter().map(ToString::to_string).collect(),
        snaplen: c.snaplen(),
        truncated: c.analysis.is_partial(),
        ended: (!ended.is_empty()).then(|| ended.join("; ")),
        undecoded: counts.undecoded.iter().map(|(stop, n)| (stop.name(), *n)).collect(),
        other: &counts.other,
        limits: limits.into_iter().filter(|(_, n)| *n > 0).collect(),
        kernel_dropped: c.kernel_dropped(),
        cut_packets: counts.cut_frames,
        offloaded: counts.offloaded,
        time_went_back: counts.time_went_back,
    }
}

/// A connection that is written by itself, by whichever thread.
struct Row<'a> {
    id: ConnectionId,
    capture: usize,
    of: &'a Analysis,
    place: usize,
    findings: Vec<String>,
}

impl Json for Row<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { id, capture, of, place, findings } = self;
        let Some((verdict, why)) = of.verdicts.get(*place) else { return }; // each has one
        let (verdict, why) = (verdict.name(), why.as_deref());
        if let Some(s) = of.connections.get(*place) {
            json_connection(*id, *capture, s, verdict, why, findings).put(out);
        } else if let Some(q) = of.quic(*place) {
            json_quic(*id, *capture, q, verdict, why, findings).put(out);
        }
    }
}

/// TCP connections, then those of QUIC.
fn all_connections<'a>(ids: &'a Ids, n: usize, c: &'a Capture) -> impl Iterator<Item = Row<'a>> {
    let of = &c.analysis;
    let mut findings = findings_of_each(ids, n, c);
    (0..of.connections.len() + of.udp.quic.len()).map(move |place| Row {
        id: ids.connection(n, place),
        capture: n,
        of,
        place,
        findings: findings.remove(&place).unwrap_or_default(),
    })
}

/// The findings about each connection, by its place.
fn findings_of_each(ids: &Ids, n: usize, c: &Capture) -> BTreeMap<usize, Vec<String>> {
    let mut of_connection: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (f, finding) in c.analysis.findings.iter().enumerate() {
        for connection in &finding.connections {
            of_connection.entry(*connection).or_default().push(ids.finding(n, f));
        }
    }
    of_connection
}

fn json_connection<'a>(
    id: ConnectionId,
    capture: usize,
    s: &'a Summary,
    verdict: &'static str,
    why: Option<&'a str>,
    findings: &'a [String],
) -> JsonConnection<'a> {
    let f: &PerDirection<_> = &s.flows;
    let ns = |t: Option<crate::base::Span>| t.map(crate::base::Span::ns);
    JsonConnection {
        id,
        capture,
        transport: "tcp",
        client: s.client.into(),
        server: s.server.into(),
        roles: s.roles.name(),
        tcp_stream: Some(s.stream),
        first_frame: s.first_frame,
        community_id: s.community_id(),
        sni: s.sni.as_deref(),
        ech: s.ech,
        http_host: s.http_host.as_deref(),
        alpn: s.alpn.as_deref(),
        tls_version: s.tls_version,
        ja3: s.ja3.as_ref().map(Ascii::as_str),
        ja4: s.ja4.as_ref().map(Ascii::as_str),
        hello_frame: s.hello_frame,
        server_hello: s.server_hello,
        certificate_flight: s.certificate_flight,
        alerts: Both::new(|d| s.alerts[d].map(alert_name)),
        close_notify: Both::new(|d| s.close_notify[d]),
        start_ns: s.started.ns(),
        duration_ns: s.duration.ns(),
        packets: Both::new(|d| f[d].packets),
        bytes: Both::new(|d| f[d].bytes),
        retransmitted: Some(Both::new(|d| f[d].retransmitted.into())),
        out_of_order: Some(Both::new(|d| f[d].out_of_order.into())),
        spurious: Some(Both::new(|d| f[d].spurious.into())),
        duplicate_acks: Some(Both::new(|d| f[d].duplicate_acks.into())),
        zero_window: Some(Both::new(|d| f[d].zero_window.into())),
        keep_alive: Some(Both::new(|d| f[d].keep_alive.into())),
        missed_bytes: Some(Both::new(|d| f[d].missed_bytes)),
        max_in_flight: Some(Both::new(|d| f[d].max_in_flight)),
        resets: Some(Both::new(|d| f[d].resets)),
        conflicts: Some(Both::new(|d| f[d].conflicts)),
        mss: Some(Both::new(|d| f[d].mss)),
        ttl: Both::new(|d| f[d].ttl),
        rtt_min_ns: ns(s.rtt_min),
        rtt_ns: Some(Both::new(|d| ns(f[d].rtt_min))),
        goodput_bps: Some(Both::new(|d| f[d].goodput_bps)),
        history: Some(&s.history),
        conn_state: Some(s.conn_state),
        stage: Some(s.stage.name()),
        signature: s.signature.map(|s| Signature { stage: s.stage.name(), name: s.name }),
        tunnelled: s.tunnelled,
        quic: None,
        verdict,
        why,
        findings,
    }
}

fn alert_name(alert: Alert) -> String {
    alert.name().map_or_else(|| format!("alert_{}", alert.description), str::to_owned)
}

fn findings<'a>(ids: &'a Ids, n: usize, c: &'a Capture) -> impl Iterator<Item = JsonFinding<'a>> {
    c.analysis.findings.iter().enumerate().map(move |(i, f)| json_finding(ids, n, i, c, f))
}

impl JsonFinding<'_> {
    /// The same at another level.
    pub(super) fn at_level(self, level: Level) -> Self {
        Self { level: level.name(), ..self }
    }
}

pub(super) fn json_finding<'a>(
    ids: &Ids,
    n: usize,
    i: usize,
    c: &'a Capture,
    f: &'a Finding,
) -> JsonFinding<'a> {
    let first = f.connections.first().filter(|_| f.name.is_none());
    let of_tcp = first.and_then(|n| c.analysis.connections.get(*n)).map(|t| t.sni.as_deref());
    let rule = registry::find(f.code);
    JsonFinding {
        id: ids.finding(n, i),
        capture: n,
        code: f.code,
        name: rule.map_or("", |r| r.name),
        kind: rule.map_or("", |r| r.kind),
        mechanism: f.mechanism.name(),
        family: f.family.as_deref(),
        looks_like: f.looks_like.as_deref(),
        connections: f.connections.iter().map(|i| ids.connection(n, *i).to_string()).collect(),
        sni: of_tcp.unwrap_or_else(|| c.analysis.name_of(f)),
        trigger: f.trigger.map(Trigger::name),
        keyed_on: f.keyed_on.map(KeyedOn::name),
        direction: f.direction.map(Direction::name),
        frames: &f.frames,
        at_ns: f.at.ns(),
        p_value: f.p_value,
        controls: f.controls.as_ref().map(|c| JsonControls {
            names: &c.names,
            well: c.well,
            failed: c.failed,
        }),
        residual_s: f.residual.map(|r| [r.at_least, r.at_most].map(|s| (s.secs_f64() * 1e3).round() / 1e3)),
        rate_bps: f.cap.map(|c| c.rate_bps),
        rate_interval_bps: f.cap.map(|c| c.interval_bps),
        burst_bytes: f.cap.and_then(|c| c.burst_bytes),
        hops: f.hops,
        prior_log_odds: f.prior,
        confidence: (f.confidence * 1e4).round() / 1e4,
        level: f.level.name(),
        evidence: f.evidence.iter().map(json_evidence).collect(),
        alternatives: f.alternatives.iter().map(json_alternative).collect(),
        wireshark: wireshark_filter(&c.analysis.streams(f), &f.frames),
    }
}

fn json_evidence(e: &Evidence) -> JsonEvidence<'_> {
    JsonEvidence { key: e.key, claim: &e.claim, log_odds: e.log_odds, frames: &e.frames, source: e.source }
}

fn json_alternative(a: &Alternative) -> JsonAlternative<'_> {
    JsonAlternative { cause: a.cause, log_odds: a.log_odds, why: &a.why }
}

fn json_name(row: &NameRow) -> JsonName<'_> {
    JsonName {
        name: &row.name,
        connections: row.connections,
        ok: row.ok,
        reset: row.reset,
        dropped: row.dropped,
        slowed: row.slowed,
        inconclusive: row.inconclusive,
        forged: row.forged,
        tampered: row.tampered,
        dns_forged: row.dns_forged,
        control: &row.control,
        p_value: row.p_value,
        conclusion: row.conclusion(),
        sentence: row.sentence(),
    }
}
