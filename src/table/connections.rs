//! The table `connections`: one row a connection, of TCP and of QUIC.

use std::net::IpAddr;

use super::column::Kind::{Count, Flag, Number, Text, Time, Whole};
use super::column::{Cell, Column, column};
use crate::analysis::Analysis;
use crate::base::Direction::{self, ToClient, ToServer};
use crate::base::text::Ascii;
use crate::base::{Endpoint, Span};
use crate::detect::Level;
use crate::measure::summary::Flow;
use crate::measure::{QuicSummary, Summary};

/// A row.
pub(super) struct Connection<'a> {
    capture: &'a str,
    number: u64,
    of: Of<'a>,
    verdict: &'a str,
    why: Option<&'a str>,
    findings: u64,
    claim: Option<&'static str>,
}

/// What the row is about.
enum Of<'a> {
    Tcp(&'a Summary),
    Quic(&'a QuicSummary),
}

/// The rows of a capture, in the order of its connections: TCP, then QUIC.
pub(super) fn rows<'a>(capture: &'a str, a: &'a Analysis) -> impl Iterator<Item = Connection<'a>> {
    let mut findings: Vec<(u64, Option<&'static str>)> = vec![(0, None); a.verdicts.len()];
    for f in &a.findings {
        for c in &f.connections {
            if let Some((n, claim)) = findings.get_mut(*c) {
                *n += 1;
                // the worst comes first, and a possible finding is no claim
                *claim = claim.or((f.level >= Level::Likely).then(|| f.mechanism.name()));
            }
        }
    }
    let all = a.connections.iter().map(|s| Of::Tcp(s)).chain(a.udp.quic.iter().map(Of::Quic));
    all.zip(&a.verdicts).zip(findings).zip(1..).map(|(((of, (verdict, why)), (findings, claim)), number)| {
        Connection { capture, number, of, verdict: verdict.name(), why: why.as_deref(), findings, claim }
    })
}

impl<'a> Connection<'a> {
    const fn tcp(&self) -> Option<&'a Summary> {
        match self.of {
            Of::Tcp(s) => Some(s),
            Of::Quic(_) => None,
        }
    }

    const fn quic(&self) -> Option<&'a QuicSummary> {
        match self.of {
            Of::Quic(q) => Some(q),
            Of::Tcp(_) => None,
        }
    }

    fn flow(&self, d: Direction) -> Option<&'a Flow> {
        self.tcp().map(|s| &s.flows[d])
    }

    fn client(&self) -> Endpoint {
        match self.of {
            Of::Tcp(s) => s.client,
            Of::Quic(q) => q.client,
        }
    }

    fn server(&self) -> Endpoint {
        match self.of {
            Of::Tcp(s) => s.server,
            Of::Quic(q) => q.server,
        }
    }

    /// One figure that both kinds have.
    fn either<T>(&self, tcp: impl Fn(&'a Summary) -> T, quic: impl Fn(&'a QuicSummary) -> T) -> T {
        match self.of {
            Of::Tcp(s) => tcp(s),
            Of::Quic(q) => quic(q),
        }
    }
}

/// The network that controls are looked for in: /24, or /48.
fn network(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(a) => {
            let [a, b, c, _] = a.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(a) => {
            let [a, b, c, ..] = a.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

fn ns<'a>(span: Option<Span>) -> Cell<'a> {
    span.map(Span::ns).into()
}

/// The columns.
pub(super) fn columns<'a>() -> Vec<Column<Connection<'a>>> {
    vec![
        column("capture", Text, "the capture: `sha256-` and the first 16 digits of its SHA-256", |c| {
            c.capture.into()
        }),
        column("connection", Count, "number within the capture, TCP first, from 1 on", |c| c.number.into()),
        column("transport", Text, "`tcp` or `quic`", |c| c.either(|_| "tcp", |_| "quic").into()),
        column("client_addr", Text, "address of the client", |c| c.client().addr.to_string().into()),
        column("client_port", Count, "its port", |c| c.client().port.into()),
        column("server_addr", Text, "address of the server", |c| c.server().addr.to_string().into()),
        column("server_port", Count, "its port", |c| c.server().port.into()),
        column("server_network", Text, "the server's network: /24 of IPv4, /48 of IPv6", |c| {
            network(c.server().addr).into()
        }),
        column("roles", Text, "how it is known which end is the client", |c| {
            c.either(|s| s.roles.name(), |q| q.roles.name()).into()
        }),
        column("tcp_stream", Count, "Wireshark's `tcp.stream`", |c| c.tcp().map(|s| s.stream).into()),
        column("first_frame", Count, "frame that it begins with", |c| {
            c.either(|s| s.first_frame, |q| q.first_frame).into()
        }),
        column("community_id", Text, "Community ID, version 1, seed 0", |c| {
            c.either(Summary::community_id, |q| q.community_id.clone()).into()
        }),
        column("name", Text, "the name asked for, by SNI or else by HTTP `Host`, in lower case", |c| {
            c.either(Summary::name, QuicSummary::name).into()
        }),
        column("sni", Text, "the name in the ClientHello", |c| {
            c.either(|s| s.sni.as_deref(), QuicSummary::name).into()
        }),
        column("ech", Flag, "whether that is the outer name of an Encrypted Client Hello", |c| {
            c.either(|s| s.ech, |q| q.seen.hello.as_ref().is_some_and(|h| h.ech)).into()
        }),
        column("http_host", Text, "the name in the HTTP request", |c| {
            c.tcp().and_then(|s| s.http_host.as_deref()).into()
        }),
        column("alpn", Text, "first protocol offered", |c| {
            c.either(|s| s.alpn.as_deref(), |q| q.seen.hello.as_ref().and_then(|h| h.alpn.as_deref())).into()
        }),
        column("tls_version", Count, "highest TLS version offered, as the number on the wire", |c| {
            c.either(|s| s.tls_version, |q| q.seen.hello.as_ref().map(|h| h.version)).into()
        }),
        column("ja3", Text, "JA3 of the ClientHello", |c| {
            c.either(
                |s| s.ja3.as_ref().map(Ascii::as_str),
                |q| q.seen.hello.as_ref().and_then(|h| h.ja3.as_ref().map(Ascii::as_str)),
            )
            .into()
        }),
        column("ja4", Text, "JA4 of the ClientHello", |c| {
            c.either(
                |s| s.ja4.as_ref().map(Ascii::as_str),
                |q| q.seen.hello.as_ref().and_then(|h| h.ja4.as_ref().map(Ascii::as_str)),
            )
            .into()
        }),
        column("hello_frame", Count, "frame that completed the ClientHello", |c| {
            c.either(|s| s.hello_frame, |q| q.seen.hello.as_ref().map(|h| h.frame)).into()
        }),
        column("server_hello", Flag, "whether the server's answer to it was seen", |c| {
            c.either(|s| s.server_hello, |q| q.seen.sent.to_client.flights > 0).into()
        }),
        column("start", Time, "time of its first packet", |c| {
            c.either(|s| s.started, |q| q.started).ns().into()
        }),
        column("duration_ns", Whole, "from its first packet to its last", |c| {
            c.either(|s| s.duration, |q| q.duration).ns().into()
        }),
        column("packets_to_server", Count, "packets of the client", |c| {
            c.either(|s| s.flows.to_server.packets, |q| q.sides.to_server.packets).into()
        }),
        column("packets_to_client", Count, "packets of the server", |c| {
            c.either(|s| s.flows.to_client.packets, |q| q.sides.to_client.packets).into()
        }),
        column("bytes_to_server", Count, "payload bytes of the client, on the wire", |c| {
            c.either(|s| s.flows.to_server.bytes, |q| q.sides.to_server.bytes).into()
        }),
        column("bytes_to_client", Count, "payload bytes of the server, on the wire", |c| {
            c.either(|s| s.flows.to_client.bytes, |q| q.sides.to_client.bytes).into()
        }),
        column("retransmitted_to_server", Count, "segments that the client sent again", |c| {
            c.flow(ToServer).map(|f| f.retransmitted).into()
        }),
        column("retransmitted_to_client", Count, "segments that the server sent again", |c| {
            c.flow(ToClient).map(|f| f.retransmitted).into()
        }),
        column("resets_to_server", Count, "resets that go to the server", |c| {
            c.flow(ToServer).map(|f| f.resets).into()
        }),
        column("resets_to_client", Count, "resets that go to the client", |c| {
            c.flow(ToClient).map(|f| f.resets).into()
        }),
        column("missed_bytes_to_server", Count, "bytes acknowledged that the capture does not have", |c| {
            c.flow(ToServer).map(|f| f.missed_bytes).into()
        }),
        column("missed_bytes_to_client", Count, "the same of the server's", |c| {
            c.flow(ToClient).map(|f| f.missed_bytes).into()
        }),
        column("ttl_to_server", Count, "TTL or hop limit that most packets of the client have", |c| {
            c.either(|s| s.flows.to_server.ttl, |q| q.sides.to_server.ttl).into()
        }),
        column("ttl_to_client", Count, "the same of the server's", |c| {
            c.either(|s| s.flows.to_client.ttl, |q| q.sides.to_client.ttl).into()
        }),
        column("rtt_min_ns", Whole, "shortest round trip between the ends", |c| {
            c.tcp().map_or(Cell::Null, |s| ns(s.rtt_min))
        }),
        column("goodput_bps_to_server", Number, "goodput of the client in bit/s", |c| {
            c.flow(ToServer).and_then(|f| f.goodput_bps).into()
        }),
        column("goodput_bps_to_client", Number, "goodput of the server in bit/s", |c| {
            c.flow(ToClient).and_then(|f| f.goodput_bps).into()
        }),
        column("history", Text, "Zeek's letters of what was seen", |c| {
            c.tcp().map(|s| &s.history[..]).into()
        }),
        column("conn_state", Text, "Zeek's state of the connection", |c| {
            c.tcp().map(|s| s.conn_state).into()
        }),
        column("stage", Text, "how far it came", |c| c.tcp().map(|s| s.stage.name()).into()),
        column("signature", Text, "Cloudflare's signature of how it ended", |c| {
            c.tcp().and_then(|s| s.signature.map(|s| s.name)).into()
        }),
        column("quic_version", Text, "version of QUIC", |c| {
            c.quic().filter(|q| q.seen.version.0 != 0).map(|q| q.seen.version.to_string()).into()
        }),
        column("quic_outcome", Text, "what became of a QUIC connection", |c| {
            c.quic().map(|q| q.outcome.name()).into()
        }),
        column("tunnelled", Flag, "whether it came out of a tunnel", |c| {
            c.either(|s| s.tunnelled, |q| q.tunnelled).into()
        }),
        column("verdict", Text, "`clean`, `interfered` or `inconclusive`", |c| c.verdict.into()),
        column("why", Text, "why it is inconclusive", |c| c.why.into()),
        column(
            "mechanism",
            Text,
            "what was done to it: of the worst finding that is likely or confirmed",
            |c| c.claim.into(),
        ),
        column("findings", Count, "how many findings are about it", |c| c.findings.into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_those_of_controls() {
        assert_eq!(network([198, 51, 100, 9].into()), "198.51.100.0/24");
        assert_eq!(network("2001:db8:1:2::3".parse().unwrap()), "2001:db8:1::/48");
    }
}
