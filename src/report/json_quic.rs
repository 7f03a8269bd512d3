//! A QUIC connection in the JSON: a [`JsonConnection`] with `quic` for what is its own.

use serde::Serialize;

use super::json::{Both, ConnectionId, JsonConnection};
use super::rows_json::{Json, by_serde};
use crate::base::text::Ascii;
use crate::base::{Span, Timestamp};
use crate::measure::QuicSummary;

#[derive(Serialize)]
pub(super) struct JsonQuic {
    version: Option<String>,
    outcome: &'static str,
    first_initial_bytes: Option<u32>,
    client_port_higher: bool,
    hello_bytes: Option<usize>,
    hello_packets: Option<u32>,
    hello_complete: Option<bool>,
    hello_sent: u32,
    hello_times_ns: Vec<i64>,
    initials: Both<u32>,
    opened: Both<u32>,
    handshakes: Both<u32>,
    zero_rtt: Both<u32>,
    short: Both<u32>,
    flights: Both<u32>,
    unanswered: Both<u32>,
    last_ns: Both<Option<i64>>,
    answered_after_ns: Option<i64>,
    handshake_ns: Option<i64>,
    retry_frame: Option<u64>,
    version_negotiation_frame: Option<u64>,
    close: Option<JsonClose>,
    plateau: Both<Option<JsonPlateau>>,
    not_initials: u32,
    cut_initials: u32,
    untried_initials: u32,
}

impl Json for JsonQuic {
    fn put(&self, out: &mut Vec<u8>) {
        by_serde(self, out); // most rows have none
    }
}

#[derive(Serialize)]
struct JsonClose {
    direction: &'static str,
    code: u64,
    frame: u64,
}

#[derive(Serialize)]
struct JsonPlateau {
    rate_bps: f64,
    start_ns: i64,
    duration_ns: i64,
    share: f64,
}

pub(super) fn json_quic<'a>(
    id: ConnectionId,
    capture: usize,
    q: &'a QuicSummary,
    verdict: &'static str,
    why: Option<&'a str>,
    findings: &'a [String],
) -> JsonConnection<'a> {
    let hello = q.seen.hello.as_deref();
    JsonConnection {
        id,
        capture,
        transport: "quic",
        client: q.client.into(),
        server: q.server.into(),
        roles: q.roles.name(),
        first_frame: q.first_frame,
        community_id: q.community_id.clone(),
        sni: q.name(),
        ech: hello.is_some_and(|h| h.ech),
        alpn: hello.and_then(|h| h.alpn.as_deref()),
        tls_version: hello.map(|h| h.version),
        ja3: hello.and_then(|h| h.ja3.as_ref().map(Ascii::as_str)),
        ja4: hello.and_then(|h| h.ja4.as_ref().map(Ascii::as_str)),
        hello_frame: hello.map(|h| h.frame),
        server_hello: q.seen.sent.to_client.flights > 0,
        certificate_flight: q.seen.sent.to_client.handshakes > 0,
        start_ns: q.started.ns(),
        duration_ns: q.duration.ns(),
        packets: Both::new(|d| q.sides[d].packets),
        bytes: Both::new(|d| q.sides[d].bytes),
        ttl: Both::new(|d| q.sides[d].ttl),
        tunnelled: q.tunnelled,
        quic: Some(details(q)),
        verdict,
        why,
        findings,
        ..JsonConnection::default()
    }
}

fn details(q: &QuicSummary) -> JsonQuic {
    let hello = q.seen.hello.as_deref();
    JsonQuic {
        version: (q.seen.version.0 != 0).then(|| q.seen.version.to_string()),
        outcome: q.outcome.name(),
        first_initial_bytes: (q.seen.first_initial_len > 0).then_some(q.seen.first_initial_len),
        client_port_higher: q.client_port_is_higher(),
        hello_bytes: hello.map(|h| h.len),
        hello_packets: hello.map(|_| q.seen.hello_packets),
        hello_complete: hello.map(|h| h.complete),
        hello_sent: q.seen.sent.to_server.flights,
        hello_times_ns: q.seen.hello_times.iter().map(|t| t.ns()).collect(),
        initials: Both::new(|d| q.seen.sent[d].initials),
        opened: Both::new(|d| q.seen.sent[d].opened),
        handshakes: Both::new(|d| q.seen.sent[d].handshakes),
        zero_rtt: Both::new(|d| q.seen.sent[d].zero_rtt),
        short: Both::new(|d| q.seen.sent[d].short),
        flights: Both::new(|d| q.seen.sent[d].flights),
        unanswered: Both::new(|d| q.sides[d].unanswered),
        last_ns: Both::new(|d| q.sides[d].last.map(Timestamp::ns)),
        answered_after_ns: q.answered_after.map(Span::ns),
        handshake_ns: q.handshake.map(Span::ns),
        retry_frame: q.seen.retry,
        version_negotiation_frame: q.seen.negotiation,
        close: q.seen.close.map(|c| JsonClose {
            direction: c.direction.name(),
            code: c.code,
            frame: c.frame,
        }),
        plateau: Both::new(|d| {
            q.plateau[d].map(|p| JsonPlateau {
                rate_bps: p.rate_bps.round(),
                start_ns: p.started.ns(),
                duration_ns: p.duration.ns(),
                share: (p.share * 1e4).round() / 1e4,
            })
        }),
        not_initials: q.seen.refused,
        cut_initials: q.seen.cut,
        untried_initials: q.seen.untried,
    }
}
