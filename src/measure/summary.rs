//! A connection reduced to a row: what stays when its packets are gone.

use super::refused::refused;
use super::size::{SizeSplit, largest, split};
use super::stall::{Stall, stall};
use crate::base::endpoint::PerDirection;
use crate::base::{Direction, Endpoint, Span, Timestamp};
use crate::flow::community_id::community_id;
use crate::flow::connection::{Ended, Roles};
use crate::flow::exchange::Took;
use crate::flow::foreign::Foreign;
use crate::flow::progress::Moment;
use crate::flow::refusal::Refusal;
use crate::flow::signature::Signature;
use crate::flow::{Connection, Stage};
use crate::wire::ip::protocol;
use crate::wire::tls::{self, Ja3, Ja4};

/// The figures of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    /// Segments.
    pub packets: u64,
    /// Payload bytes on the wire.
    pub bytes: u64,
    /// Payload bytes without what was sent again.
    pub new_bytes: u64,
    /// Segments sent again.
    pub retransmitted: u32,
    /// Segments that came out of order.
    pub out_of_order: u32,
    /// Retransmissions that the receiver reported as needless.
    pub spurious: u32,
    /// Segments with a window of zero.
    pub zero_window: u32,
    /// Pure ACKs that repeat the last.
    pub duplicate_acks: u32,
    /// Keep-alive probes.
    pub keep_alive: u32,
    /// Bytes acknowledged that the capture does not have.
    pub missed_bytes: u64,
    /// The most bytes in flight.
    pub max_in_flight: u64,
    /// The largest payload that was acknowledged, as far as its packets were kept.
    pub largest: u32,
    /// Goodput in bit/s.
    pub goodput_bps: Option<f64>,
    /// Copies of packets that the capture holds twice.
    pub duplicates: u32,
    /// Wrong checksums, of the segments checked.
    pub bad_checksums: u32,
    /// Resets in this direction.
    pub resets: u32,
    /// MSS offered.
    pub mss: Option<u16>,
    /// Shortest round trip between the point of capture and the sender of this direction.
    pub rtt_min: Option<Span>,
    /// The answer time of this end to the handshake.
    pub rtt_handshake: Option<Span>,
    /// The TTL that most of its packets have.
    pub ttl: Option<u8>,
    /// Places where two packets disagree about the first bytes of the stream.
    pub conflicts: u32,
}

/// Rows, each in a place of its own: they are sorted, and there may be millions.
#[allow(clippy::vec_box)] // growing or sorting a list of a kilobyte each moves it all
pub type Summaries = Vec<Box<Summary>>;

/// A connection as a row.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Wireshark's `tcp.stream`.
    pub stream: u64,
    /// Client.
    pub client: Endpoint,
    /// Server.
    pub server: Endpoint,
    /// How the roles are known.
    pub roles: Roles,
    /// The frame that it begins with.
    pub first_frame: u64,
    /// The frame that it ends with.
    pub last_frame: u64,
    /// When it began.
    pub started: Timestamp,
    /// From its first packet to its last.
    pub duration: Span,
    /// Each direction.
    pub flows: PerDirection<Flow>,
    /// The shortest round trip between the ends: the sum of the shortest to each, where both are known.
    pub rtt_min: Option<Span>,
    /// Name asked for by SNI, in lower case.
    pub sni: Option<Box<str>>,
    /// Whether that name is the outer one of an Encrypted Client Hello.
    pub ech: bool,
    /// Name asked for by HTTP `Host`, in lower case.
    pub http_host: Option<Box<str>>,
    /// First ALPN protocol offered.
    pub alpn: Option<Box<str>>,
    /// JA3 hash.
    pub ja3: Option<Ja3>,
    /// JA4 fingerprint.
    pub ja4: Option<Ja4>,
    /// Highest TLS version offered.
    pub tls_version: Option<u16>,
    /// The frame that completed the ClientHello.
    pub hello_frame: Option<u64>,
    /// How far the server's TLS flight was seen.
    pub server_hello: bool,
    /// Whether a certificate, or in TLS 1.3 the first encrypted record, was seen.
    pub certificate_flight: bool,
    /// For which name the server's certificate is, where that is in clear and not the one that was asked for: the first of several.
    pub other_certificate: Option<Box<str>>,
    /// First alert in clear, of the client and of the server.
    pub alerts: PerDirection<Option<tls::Alert>>,
    /// Whether each end said `close_notify`: in clear, or in a record of the size of an encrypted alert.
    pub close_notify: PerDirection<bool>,
    /// Zeek's letters.
    pub history: Box<str>,
    /// Zeek's connection state.
    pub conn_state: &'static str,
    /// How far it came.
    pub stage: Stage,
    /// Cloudflare's signature.
    pub signature: Option<Signature>,
    /// What does not look like the server's own, where there is such.
    pub foreign: Option<Box<Foreign>>,
    /// The first segment of each end whose record header was moved about.
    pub swapped: PerDirection<Option<Moment>>,
    /// Whether the handshake agreed on timestamps.
    pub timestamps_agreed: bool,
    /// The first payload of the client.
    pub asked: Option<Moment>,
    /// The first payload of the server.
    pub answered: Option<Moment>,
    /// Whether the server closed.
    pub server_closed: bool,
    /// Whether it did so before the client.
    pub server_closed_first: bool,
    /// Its first exchange, timed.
    pub exchange: Took,
    /// What sizes were set apart in it, if they were.
    pub sizes: Option<SizeSplit>,
    /// The ICMP error that says that it must not, or cannot, go on, where nothing came of it.
    pub refused: Option<Box<Refusal>>,
    /// Whether an ICMP error said that one of its packets was too big.
    pub too_big: bool,
    /// How it fell silent before its end, if it did.
    pub stall: Option<Stall>,
    /// Why it is no longer followed.
    pub ended: Ended,
    /// Whether it came out of a tunnel.
    pub tunnelled: bool,
}

impl Summary {
    /// Reduces a connection; `seen_until` is how far the capture reached when it was given up.
    pub fn new(mut c: Box<Connection>, seen_until: Timestamp) -> Self {
        let flows = PerDirection {
            to_server: flow(&c, Direction::ToServer),
            to_client: flow(&c, Direction::ToClient),
        };
        let alerts = PerDirection {
            to_server: c.application.records.to_server.alert,
            to_client: c.application.records.to_client.alert,
        };
        let through = c.halves.to_server.rtt.through(&c.halves.to_client.rtt);
        // that to one end alone is no round trip between both
        let rtt_min =
            through.filter(|_| c.halves.to_server.rtt.is_known() && c.halves.to_client.rtt.is_known());
        let (conn_state, stage, signature) = (c.conn_state(), c.stage(), c.signature(seen_until));
        let (sizes, refused, stall) = (split(&c), refused(&c).map(Box::new), stall(&c, seen_until, through));
        let request = c.application.request().and_then(|r| r.host.as_ref());
        let http_host = request.map(|n| n.folded.as_str().into());
        let close_notify = PerDirection {
            to_server: says_close_notify(&c, Direction::ToServer),
            to_client: says_close_notify(&c, Direction::ToClient),
        };
        // what has memory of its own is moved
        let flight = c.flight.take().unwrap_or_default();
        let hello = c.application.take_hello();
        let (ech, tls_version) = (hello.as_ref().is_some_and(|h| h.ech), hello.as_ref().map(|h| h.version));
        let hello_frame = hello.as_ref().map(|h| h.frame);
        let (sni, alpn, ja3, ja4) =
            hello.map_or((None, None, None, None), |h| (h.name, h.alpn, h.ja3, h.ja4));
        Self {
            stream: c.stream,
            client: c.client,
            server: c.server,
            roles: c.roles,
            first_frame: c.first_frame,
            last_frame: c.last_frame,
            started: c.started,
            duration: c.last.since(c.started),
            flows,
            rtt_min,
            sni,
            ech,
            http_host,
            alpn,
            ja3,
            ja4,
            tls_version,
            hello_frame,
            server_hello: flight.server_hello,
            other_certificate: flight.other_name,
            certificate_flight: flight.certificate,
            alerts,
            close_notify,
            history: std::mem::take(&mut c.history).into_text(),
            conn_state,
            stage,
            signature,
            foreign: c.foreign.take(),
            swapped: PerDirection {
                to_server: c.application.records.to_server.first_swapped,
                to_client: c.application.records.to_client.first_swapped,
            },
            timestamps_agreed: [&c.halves.to_server, &c.halves.to_client]
                .iter()
                .all(|h| h.syn.is_some_and(|o| o.timestamps)),
            asked: c.progress.asked,
            answered: c.progress.answered,
            server_closed: c.progress.server_closed.is_some(),
            server_closed_first: c.progress.server_closed_first(),
            exchange: c.exchange.took(),
            sizes,
            refused,
            too_big: c.refusals.as_ref().is_some_and(|r| r.too_big > 0),
            stall,
            ended: c.ended,
            tunnelled: c.tunnelled,
        }
    }

    /// The name that the client asked for, by SNI or by `Host`.
    pub fn name(&self) -> Option<&str> {
        self.sni.as_deref().or(self.http_host.as_deref())
    }

    /// The Community ID.
    pub fn community_id(&self) -> String {
        community_id(self.client, self.server, protocol::TCP)
    }

    /// Whether packets of both ends were captured.
    pub fn is_two_sided(&self) -> bool {
        self.flows.to_server.packets > 0 && self.flows.to_client.packets > 0
    }
}

fn says_close_notify(c: &Connection, d: Direction) -> bool {
    let records = &c.application.records[d];
    records.close_notify || records.encrypted_alerts > 0 && records.alert.is_none_or(|a| !a.is_fatal())
}

fn flow(c: &Connection, d: Direction) -> Flow {
    let h = &c.halves[d];
    Flow {
        packets: h.packets,
        bytes: h.payload_bytes,
        new_bytes: h.new_bytes,
        retransmitted: h.retransmitted,
        out_of_order: h.out_of_order,
        spurious: h.spurious,
        zero_window: h.zero_window,
        duplicate_acks: h.duplicate_acks,
        keep_alive: h.keep_alive,
        missed_bytes: h.missed_bytes,
        max_in_flight: h.max_in_flight,
        largest: largest(c, d),
        goodput_bps: h.goodput_bps(),
        duplicates: h.duplicates,
        bad_checksums: h.bad_checksums,
        resets: h.resets,
        mss: h.syn.and_then(|o| o.mss),
        rtt_min: h.rtt.shortest(),
        rtt_handshake: h.rtt.handshake,
        ttl: h.profile().ttl.usual(),
        conflicts: u32::try_from(h.head.conflicts().len()).unwrap_or(u32::MAX),
    }
}
