//! Each connection as a measurement of OONI's data formats, one JSON object a line; `docs/ooni.md` says what is filled.
//!
//! The shape is df-000 (version 0.2.0) with df-005, df-006 and df-008 inside, failures are df-007's strings. OONI's probe
//! sits in a program; a capture sees packets. What only a program knows (the certificate it accepted, what it negotiated)
//! is empty, and what only packets show, the verdict and its evidence, stands in the annotations.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{Capture, inert_json, wireshark_filter};
use crate::base::{Direction, Endpoint, Span, Timestamp};
use crate::detect::{Finding, Level, Mechanism, Verdict};
use crate::flow::Stage;
use crate::measure::quic::Outcome;
use crate::measure::stall::Silence;
use crate::measure::{QuicSummary, Summary};
use crate::trace::{Series, Trace};
use crate::wire::Quoted;

/// The version of OONI's base format.
pub const DATA_FORMAT: &str = "0.2.0";

/// df-007's strings that a capture can justify.
mod failure {
    pub(super) const RESET: &str = "connection_reset";
    pub(super) const REFUSED: &str = "connection_refused";
    pub(super) const TIMEOUT: &str = "generic_timeout_error";
    pub(super) const EOF: &str = "eof_error";
    pub(super) const HOST_UNREACHABLE: &str = "host_unreachable";
    pub(super) const NETWORK_UNREACHABLE: &str = "network_unreachable";
    pub(super) const INVALID_HOSTNAME: &str = "ssl_invalid_hostname";
    pub(super) const INVALID_CERTIFICATE: &str = "ssl_invalid_certificate";
    pub(super) const UNKNOWN_AUTHORITY: &str = "ssl_unknown_authority";
    pub(super) const NO_ANSWER: &str = "unknown_failure: no answer was captured";
    pub(super) const CLOSED: &str = "unknown_failure: closed during the handshake";
}

#[derive(Serialize)]
#[allow(clippy::struct_field_names)] // OONI's names
struct Measurement<'a> {
    data_format_version: &'static str,
    software_name: &'static str,
    software_version: &'static str,
    test_name: &'static str,
    test_version: &'static str,
    report_id: &'static str,
    probe_asn: &'static str,
    probe_cc: &'static str,
    probe_ip: String,
    input: Option<&'a str>,
    measurement_start_time: String,
    test_start_time: String,
    test_runtime: f64,
    annotations: BTreeMap<&'static str, String>,
    test_keys: TestKeys<'a>,
}

#[derive(Serialize)]
struct TestKeys<'a> {
    failure: Option<&'static str>,
    tcp_connect: Vec<TcpConnect>,
    tls_handshakes: Vec<Handshake<'a>>,
    quic_handshakes: Vec<Handshake<'a>>,
    network_events: Vec<Event>,
}

#[derive(Serialize)]
struct TcpConnect {
    conn_id: u64,
    ip: String,
    port: u16,
    status: Status,
}

#[derive(Serialize)]
struct Status {
    failure: Option<&'static str>,
    success: bool,
}

#[derive(Serialize)]
struct Handshake<'a> {
    network: &'static str,
    address: String,
    cipher_suite: &'static str,
    conn_id: u64,
    failure: Option<&'static str>,
    negotiated_protocol: &'static str,
    no_tls_verify: bool,
    peer_certificates: [(); 0],
    server_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outer_server_name: Option<&'a str>,
    t0: f64,
    t: f64,
    tags: Vec<&'static str>,
    tls_version: &'static str,
}

#[derive(Serialize)]
struct Event {
    conn_id: u64,
    operation: &'static str,
    proto: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    failure: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_bytes: Option<u64>,
    t0: f64,
    t: f64,
}

/// Writes one line a connection, those of TCP first. What a connection received is told over time where `traces` has it for its
/// capture, and else as a sum. The client's address, and the Community ID that would give it away,
/// only with `addresses`; the server's is what is measured, and always there.
///
/// # Errors
/// What writing gives.
pub fn write(
    captures: &[Capture],
    traces: &[Vec<Trace>],
    addresses: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    for (nth, capture) in captures.iter().enumerate() {
        let a = &capture.analysis;
        let traces: BTreeMap<usize, &Trace> =
            traces.get(nth).into_iter().flatten().map(|t| (t.place, t)).collect();
        let mut findings: Vec<Vec<&Finding>> = vec![Vec::new(); a.verdicts.len()];
        for f in &a.findings {
            for c in &f.connections {
                if let Some(of) = findings.get_mut(*c) {
                    of.push(f);
                }
            }
        }
        let mut judged = a.verdicts.iter().zip(&findings).zip(1..);
        for (place, s) in a.connections.iter().enumerate() {
            let Some(((verdict, findings), number)) = judged.next() else { break };
            Seen::of_tcp(s, number, findings, traces.get(&place).copied())
                .write(capture, verdict, findings, addresses, out)?;
        }
        for q in &a.udp.quic {
            let Some(((verdict, findings), number)) = judged.next() else { break };
            Seen::of_quic(q, number).write(capture, verdict, findings, addresses, out)?;
        }
    }
    Ok(())
}

/// A connection of either transport, as far as a line needs it.
struct Seen<'a> {
    client: Endpoint,
    community_id: String,
    stream: Option<u64>,
    first_frame: u64,
    name: Option<&'a str>,
    started: Timestamp,
    duration: Span,
    tls_offered: Option<u16>,
    answered: bool,
    /// Whether an ICMP error ended it.
    by_icmp: bool,
    keys: TestKeys<'a>,
}

impl<'a> Seen<'a> {
    fn of_tcp(s: &'a Summary, conn_id: u64, findings: &[&Finding], trace: Option<&Trace>) -> Self {
        let after = |t: Timestamp| t.since(s.started).secs_f64();
        let end = s.duration.secs_f64();
        let went = went(s, findings);
        let connected = !matches!(s.stage, Stage::SynSent);
        let connect = if connected { None } else { went };
        let later = if connected { went } else { None };
        let is_tls = s.hello_frame.is_some();
        // the handshake fails where no answer to the hello counted
        let in_handshake = !s.certificate_flight || is_reset_after_name(findings);
        let mut events = vec![Event {
            address: Some(s.server.to_string()),
            ..event(conn_id, "connect", connect, None, if connected { 0.0 } else { end })
        }];
        events.extend(s.asked.map(|m| event(conn_id, "write", None, None, after(m.at))));
        events.extend(s.answered.map(|m| event(conn_id, "read", None, None, after(m.at))));
        if let Some(failure) = later {
            events.push(event(conn_id, "read", Some(failure), None, end));
        }
        let received = |(n, t)| event(conn_id, "bytes_received_cumulative", None, Some(n), t);
        if let Some(trace) = trace {
            events.extend(cumulative(&trace.series, s.started, end).map(received));
        } else {
            let bytes = Some(s.flows.to_client.new_bytes).filter(|n| *n > 0);
            events.extend(bytes.map(|n| received((n, end))));
        }
        let handshake = is_tls.then(|| {
            let failure = later.filter(|_| in_handshake);
            let answered = s.answered.filter(|_| failure.is_none()).map(|m| after(m.at));
            Handshake {
                outer_server_name: s.sni.as_deref().filter(|_| s.ech),
                tags: if s.ech { vec!["ech_or_grease"] } else { Vec::new() },
                ..handshake("tcp", s.server, conn_id, failure, s.sni.as_deref())
                    .timed(s.asked.map_or(0.0, |m| after(m.at)), answered.unwrap_or(end))
            }
        });
        Self {
            client: s.client,
            community_id: s.community_id(),
            stream: Some(s.stream),
            first_frame: s.first_frame,
            name: s.name(),
            started: s.started,
            duration: s.duration,
            tls_offered: s.tls_version,
            answered: s.server_hello,
            by_icmp: s.refused.is_some(),
            keys: TestKeys {
                failure: went,
                tcp_connect: vec![TcpConnect {
                    conn_id,
                    ip: s.server.addr.to_string(),
                    port: s.server.port,
                    status: Status { failure: connect, success: connect.is_none() },
                }],
                tls_handshakes: handshake.into_iter().collect(),
                quic_handshakes: Vec::new(),
                network_events: events,
            },
        }
    }

    fn of_quic(q: &'a QuicSummary, conn_id: u64) -> Self {
        let end = q.duration.secs_f64();
        let failure = match q.outcome {
            Outcome::Ok | Outcome::Slow => None,
            Outcome::NoReply | Outcome::Dropped => Some(failure::TIMEOUT),
            Outcome::Closed => Some(failure::CLOSED),
            Outcome::Negotiation | Outcome::Retry | Outcome::Unknown => Some(failure::NO_ANSWER),
        };
        let ech = q.seen.hello.as_ref().is_some_and(|h| h.ech);
        let handshake = Handshake {
            outer_server_name: q.name().filter(|_| ech),
            tags: if ech { vec!["ech_or_grease"] } else { Vec::new() },
            ..handshake("udp", q.server, conn_id, failure, q.name())
                .timed(0.0, q.handshake.filter(|_| failure.is_none()).map_or(end, Span::secs_f64))
        };
        Self {
            client: q.client,
            community_id: q.community_id.clone(),
            stream: None,
            first_frame: q.first_frame,
            name: q.name(),
            started: q.started,
            duration: q.duration,
            tls_offered: q.seen.hello.as_ref().map(|h| h.version),
            answered: q.seen.sent.to_client.flights > 0,
            by_icmp: false,
            keys: TestKeys {
                failure,
                tcp_connect: Vec::new(),
                tls_handshakes: Vec::new(),
                quic_handshakes: vec![handshake],
                network_events: Vec::new(),
            },
        }
    }

    fn write(
        self,
        capture: &'a Capture,
        (verdict, why): &(Verdict, Option<String>),
        findings: &[&Finding],
        addresses: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut notes = BTreeMap::new();
        notes.insert("pinchpoint_capture", capture.path.clone());
        notes.insert("pinchpoint_first_frame", self.first_frame.to_string());
        notes.insert("pinchpoint_result", self.result(findings).to_owned());
        notes.insert("pinchpoint_verdict", verdict.name().to_owned());
        if let Some(stream) = self.stream {
            notes.insert("pinchpoint_tcp_stream", stream.to_string());
        }
        if let Some(why) = why {
            notes.insert("pinchpoint_why", why.clone());
        }
        if let Some(version) = self.tls_offered {
            notes.insert("pinchpoint_tls_version_offered", format!("{version:#06x}"));
        }
        if addresses {
            notes.insert("pinchpoint_community_id", self.community_id.clone());
        }
        if !findings.is_empty() {
            notes.insert("pinchpoint_findings", listed(findings));
            let own = findings.iter().filter(|f| !f.mechanism.is_of_dns());
            let frames: Vec<u64> = own.flat_map(|f| f.frames.iter().copied()).collect();
            notes.insert("pinchpoint_wireshark", wireshark_filter(self.stream.as_slice(), &frames));
        }
        if let Some(cap) = findings.iter().find_map(|f| f.cap) {
            notes.insert("pinchpoint_rate_bps", format!("{:.0}", cap.rate_bps));
        }
        let measurement = Measurement {
            data_format_version: DATA_FORMAT,
            software_name: "pinchpoint",
            software_version: env!("CARGO_PKG_VERSION"),
            test_name: "pinchpoint",
            test_version: env!("CARGO_PKG_VERSION"),
            report_id: "",
            probe_asn: "AS0",
            probe_cc: "ZZ",
            probe_ip: if addresses { self.client.addr.to_string() } else { "127.0.0.1".to_owned() },
            input: self.name,
            measurement_start_time: when(self.started),
            test_start_time: when(capture.analysis.counts.earliest.unwrap_or(self.started)),
            test_runtime: self.duration.secs_f64(),
            annotations: notes,
            test_keys: self.keys,
        };
        inert_json::to_writer(out, &measurement)?;
        out.write_all(b"\n")
    }

    /// ts-024's result: `interference` only where a finding is a claim.
    fn result(&self, findings: &[&Finding]) -> &'static str {
        let claims = findings.iter().filter(|f| f.level >= Level::Likely);
        for f in claims {
            match f.mechanism {
                Mechanism::Injected | Mechanism::RewrittenInPath | Mechanism::Reset => {
                    return "interference.reset";
                }
                Mechanism::Closed => return "interference.closed",
                Mechanism::Throttled | Mechanism::SlowHandshake => return "interference.throttled",
                Mechanism::HelloDropped
                | Mechanism::HelloMuted
                | Mechanism::DropAfterN
                | Mechanism::Freeze
                | Mechanism::SizeKeyed
                | Mechanism::QuicNoReply
                | Mechanism::QuicDropped => return "interference.timeout",
                Mechanism::Forged | Mechanism::Tampered => return "interference.tampered",
                Mechanism::Icmp => return "interference.unreachable",
                Mechanism::DnsForged => return "interference.dns",
                // a cap is the path's own unless it depends on the name, and a resolver that denies has no connection
                Mechanism::DnsDenied
                | Mechanism::Policed
                | Mechanism::Shaped
                | Mechanism::RateLimitedUnknown => {}
            }
        }
        match self.keys.failure {
            Some(failure::RESET) => "anomaly.reset",
            Some(failure::TIMEOUT) => "anomaly.timeout",
            Some(failure::EOF) => "anomaly.closed",
            Some(failure::HOST_UNREACHABLE | failure::NETWORK_UNREACHABLE) => "anomaly.unreachable",
            Some(failure::REFUSED) if self.by_icmp => "anomaly.unreachable",
            Some(failure::INVALID_HOSTNAME | failure::INVALID_CERTIFICATE) => "anomaly.invalid_certificate",
            Some(failure::UNKNOWN_AUTHORITY) => "anomaly.unknown_authority",
            Some(_) => "inconclusive",
            None if self.answered => "success.got_server_hello",
            None => "success",
        }
    }
}

/// What the client had received by the end of each bin in which something came, and when that was, in seconds from the
/// connection's start.
fn cumulative(series: &Series, start: Timestamp, end: f64) -> impl Iterator<Item = (u64, f64)> {
    let came = series.bins.iter().filter(|bin| bin.of.to_client.new_bytes > 0);
    came.scan(0, move |sum, bin| {
        *sum += bin.of.to_client.new_bytes;
        Some((*sum, ((bin.start + series.width).since(start).secs_f64()).min(end)))
    })
}

/// How a TCP connection failed for its client, as far as its packets show; `None` where it did not.
fn went(s: &Summary, findings: &[&Finding]) -> Option<&'static str> {
    let to_client = &s.flows.to_client;
    if s.stage == Stage::SynSent {
        return Some(match (to_client.resets, &s.refused, s.flows.to_server.packets) {
            (1.., ..) => failure::REFUSED,
            (0, Some(r), _) => unreachable(&r.notice.quoted),
            (0, None, 0..=1) => failure::NO_ANSWER, // the capture may have ended
            _ => failure::TIMEOUT,
        });
    }
    if is_reset_after_name(findings) || to_client.resets > 0 && !s.certificate_flight {
        return Some(failure::RESET);
    }
    if let Some(r) = s.refused.as_ref().filter(|r| r.direction == Direction::ToServer) {
        return Some(unreachable(&r.notice.quoted));
    }
    if let Some(stall) = s.stall {
        // the other end's program may just have kept silent
        return (stall.proven || stall.silence != Silence::CutOff).then_some(failure::TIMEOUT);
    }
    match s.alerts.to_server.filter(|a| a.is_fatal()).map(|a| a.description) {
        Some(48) => return Some(failure::UNKNOWN_AUTHORITY), // RFC 8446 §6: unknown_ca
        Some(42 | 46) if s.other_certificate.is_some() => return Some(failure::INVALID_HOSTNAME),
        Some(42 | 43 | 45 | 46) => return Some(failure::INVALID_CERTIFICATE), // bad, unsupported, expired, unknown
        _ => {}
    }
    if s.asked.is_some() && s.answered.is_none() {
        return Some(if s.server_closed { failure::EOF } else { failure::NO_ANSWER });
    }
    None
}

/// What an ICMP error says, as Linux tells it to a program.
fn unreachable(icmp: &Quoted) -> &'static str {
    match (icmp.v6, icmp.kind, icmp.code) {
        (false, 3, 3) | (true, 1, 4) => failure::REFUSED,
        (false, 3, 0 | 6 | 9 | 11) | (true, 1, 0) => failure::NETWORK_UNREACHABLE,
        _ => failure::HOST_UNREACHABLE,
    }
}

/// Whether a claim says that the client was reset by a packet of no endpoint.
fn is_reset_after_name(findings: &[&Finding]) -> bool {
    findings.iter().any(|f| {
        f.level >= Level::Likely && matches!(f.mechanism, Mechanism::Injected | Mechanism::RewrittenInPath)
    })
}

/// `RST001 injected confirmed 0.9997; …`
fn listed(findings: &[&Finding]) -> String {
    let one =
        |f: &&Finding| format!("{} {} {} {:.4}", f.code, f.mechanism.name(), f.level.name(), f.confidence);
    findings.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn event(
    conn_id: u64,
    operation: &'static str,
    failure: Option<&'static str>,
    num_bytes: Option<u64>,
    t: f64,
) -> Event {
    Event { conn_id, operation, proto: "tcp", address: None, failure, num_bytes, t0: t, t }
}

fn handshake<'a>(
    network: &'static str,
    server: Endpoint,
    conn_id: u64,
    failure: Option<&'static str>,
    server_name: Option<&'a str>,
) -> Handshake<'a> {
    Handshake {
        network,
        address: server.to_string(),
        cipher_suite: "",
        conn_id,
        failure,
        negotiated_protocol: "",
        no_tls_verify: false,
        peer_certificates: [],
        server_name,
        outer_server_name: None,
        t0: 0.0,
        t: 0.0,
        tags: Vec::new(),
        tls_version: "",
    }
}

impl Handshake<'_> {
    fn timed(self, t0: f64, t: f64) -> Self {
        Self { t0, t, ..self }
    }
}

/// A moment as OONI writes it: seconds, UTC.
fn when(t: Timestamp) -> String {
    let text = t.to_string();
    let seconds = text.split('.').next().unwrap_or(&text);
    seconds.replace('T', " ")
}
