//! What the fuzz targets drive, so that tests can replay what a fuzzer found.
//!
//! Each function takes any bytes and ends in assertions on what must hold whatever they are.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::net::IpAddr;

use super::conversation::{Conversation, Forged, Peer, capture as in_order};
use super::quic as make;
use super::tls::{Hello, alert, server_flight_12, server_flight_13};
use crate::analysis::Settings;
use crate::base::{Direction, Endpoint, SeqNum, Span, Timestamp};
use crate::capture::{Frame, LinkType, Source, merge, open_reader};
use crate::flow::dns::{self as dns_log, DnsLog, MAX_REPLIES, Transaction};
use crate::flow::half::MAX_HOLES;
use crate::flow::history::History;
use crate::flow::key::Key;
use crate::flow::quic::TIMES_KEPT;
use crate::flow::reset::MAX_RESETS;
use crate::flow::signature::OPENING_PACKETS;
use crate::flow::table::{FlowTable, Limits};
use crate::flow::udp::{Datagram, UdpFlow, UdpTable};
use crate::flow::{Connection, Segment, head};
use crate::measure::QuicSummary;
use crate::measure::dns::{answers_differ, is_odd};
use crate::report::{Capture, json, text};
use crate::wire::checksum::Checksum;
use crate::wire::quic::{self, Version};
use crate::wire::tcp::{Flags, Tcp};
use crate::wire::{Packet, Payload, decode, dns, http, tls};

/// The readers: frames are numbered upwards and lie within what was given.
pub fn capture(data: &[u8]) {
    let open = || open_reader(Box::new(Cursor::new(data.to_vec())));
    let Ok(mut source) = open() else { return };
    let mut last = 0;
    let mut frames = 0u64;
    while let Some(frame) = source.next_frame() {
        assert!(frame.number > last, "frame numbers rise");
        last = frame.number;
        frames += 1;
        assert!(frame.data.len() <= 16 << 20);
    }
    assert_eq!(source.facts().frames, frames);
    let (Ok(a), Ok(b)) = (open(), open()) else { return };
    let mut merged = merge(vec![a, b]);
    let mut both = 0u64;
    while merged.next_frame().is_some() {
        both += 1;
    }
    assert_eq!(both, frames * 2, "merging loses no frame");
}

/// The decoder: payloads lie within the frame, no captured length exceeds the one on the wire, and what is read straight is what
/// the walk reads. The first two bytes
/// choose the link type.
pub fn decode(data: &[u8]) {
    let Some((link, data)) = data.split_first_chunk::<2>() else { return };
    let frame = Frame {
        number: 1,
        at: Timestamp::from_ns(0),
        link_type: LinkType(u16::from_le_bytes(*link) % 300),
        file: 0,
        interface: 0,
        data,
        wire_len: u32::try_from(data.len()).unwrap_or(u32::MAX),
        dropped_before: 0,
    };
    let packet = decode::frame(&frame);
    if let Some((ip, tcp)) = decode::tcp_in_ipv4(&frame).or(decode::tcp_in_ipv6(&frame)) {
        assert_eq!(packet, Packet { ip: Some(ip), payload: Payload::Tcp(tcp), tunnelled: false });
    }
    match packet.payload {
        Payload::Tcp(tcp) => {
            assert!(tcp.payload.len() as u64 <= u64::from(tcp.payload_len));
            assert!(tcp.header().len() + tcp.payload.len() <= data.len());
            assert!(tcp.options().count() <= 40);
        }
        Payload::Udp(udp) => assert!(udp.payload.len() as u64 <= u64::from(udp.payload_len)),
        Payload::Fragment(bytes) => assert!(bytes.len() <= data.len()),
        Payload::Quoted { .. } | Payload::Other(_) | Payload::Stopped(_) => {}
    }
}

/// Hellos, flights, records and HTTP heads: a name is never longer than what holds it, and following records in pieces
/// is following them whole.
pub fn tls(data: &[u8]) {
    if let Some(hello) = tls::client_hello(data).into_seen() {
        assert!(hello.server_name.is_none_or(|n| n.text.len() <= data.len() * 4));
        assert!(hello.cipher_suites.len() * 2 <= data.len());
    }
    let _ = tls::client_hello_message(data);
    let flight = tls::server_flight(data);
    assert!(flight.records <= data.len());
    let _ = (http::request(data), http::response(data));
    let events = |pieces: usize| {
        let mut walker = tls::RecordWalker::new(0);
        let mut events = Vec::new();
        let mut at = 0i64;
        for piece in data.chunks(pieces.max(1)) {
            walker.feed(at, piece, &mut |e| events.push(e));
            at += i64::try_from(piece.len()).unwrap_or(0);
        }
        events
    };
    let pieces = data.first().map_or(1, |b| usize::from(*b) + 1);
    let records = |events: &[tls::RecordEvent]| {
        events.iter().take_while(|e| !matches!(e, tls::RecordEvent::NotTls { .. })).count()
    };
    assert_eq!(records(&events(pieces)), records(&events(usize::MAX)), "pieces change nothing");
}

/// QUIC: the bytes as one datagram; then as a script of what two ends send, frames sealed into Initials that open.
pub fn quic(data: &[u8]) {
    assert!(quic::packets(data).count() <= data.len());
    assert!(quic::Frames::new(data).count() <= data.len());
    let ends = [50_000, 443].map(|port| Endpoint { addr: [192, 0, 2, 1].into(), port });
    let mut table = UdpTable::new(2);
    let mut rest = data;
    let (mut frame, mut at) = (0, Timestamp::from_ns(0));
    let (mut packets, mut taken) = (0u64, 0u64);
    let mut ended = |flow: UdpFlow| {
        taken += flow.sides.to_server.packets + flow.sides.to_client.packets;
        assert!(flow.last >= flow.started);
        let Some(q) = &flow.quic else { return };
        for s in [&q.seen.sent.to_server, &q.seen.sent.to_client] {
            assert!(s.opened <= s.initials && s.flights <= s.opened);
        }
        assert!(
            q.seen.hello_times.len() <= TIMES_KEPT && (q.seen.hello.is_none() || q.seen.hello_packets > 0)
        );
        let _ = QuicSummary::new(flow);
    };
    while let Some((&[what, how, len, time], after)) = rest.split_first_chunk::<4>() {
        let (bytes, after) = after.split_at(after.len().min(usize::from(len)));
        rest = after;
        let version =
            [Version::V1, Version::V2, Version::draft(29), Version::draft(22)][usize::from(how & 3)];
        let dcid = [[1; 8], [2; 8]][usize::from(how >> 2 & 1)];
        let number = u32::from(how >> 3);
        let side = usize::from(what & 1);
        let payload = match what >> 1 & 7 {
            0..=2 => {
                make::Initial { number, ..make::Initial::from_client(version, &dcid) }.with(bytes, 0).seal()
            }
            3 => make::Initial { number, ..make::Initial::from_server(version, &dcid) }.with(bytes, 0).seal(),
            4 => make::retry(version, &[], &dcid, bytes),
            5 => make::negotiation(&dcid, &[], &[version]),
            6 => make::short(&dcid, bytes.len()),
            _ => bytes.to_vec(),
        };
        (frame, at, packets) = (frame + 1, at + pause(time), packets + 1);
        let (mut src, mut dst) = (ends[side], ends[1 - side]);
        src.port = src.port.wrapping_add(u16::from(what >> 6) * u16::from(src.port != 443));
        dst.port = dst.port.wrapping_add(u16::from(what >> 6) * u16::from(dst.port != 443));
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let d =
            Datagram { frame, at, src, dst, ttl: how, ip_id: None, payload: &payload, len, tunnelled: false };
        table.push(&d, &mut ended);
    }
    table.finish(&mut ended);
    assert_eq!(taken, packets, "every datagram of a watched port belongs to one flow");
}

/// DNS: the bytes as one message, and cut into messages that go through the log.
pub fn dns(data: &[u8]) {
    if let Some(m) = dns::message(data) {
        assert!(m.answers.len() <= dns::MAX_ANSWERS && m.answers.len() <= usize::from(m.announced));
        assert!(m.question.is_none_or(|q| q.name.len() <= 4 * 255));
    }
    let end = |port| Endpoint { addr: [192, 0, 2, 1].into(), port };
    let mut log = DnsLog::default();
    let (mut rest, mut frame, mut at) = (data, 0, Timestamp::from_ns(0));
    let mut messages = 0;
    let mut seen = |t: Transaction| {
        messages += u64::from(t.queries) + t.replies.len() as u64 + u64::from(t.replies_not_kept);
        assert!(t.replies.len() <= MAX_REPLIES && t.last >= t.started);
        let _ = (is_odd(&t), answers_differ(&t));
    };
    while let Some((&[len, time], after)) = rest.split_first_chunk::<2>() {
        let (payload, after) = after.split_at(after.len().min(usize::from(len)));
        rest = after;
        (frame, at) = (frame + 1, at + pause(time));
        let transport = if time & 7 == 7 { dns_log::Transport::Tcp } else { dns_log::Transport::Udp };
        let (src, dst) = if len & 1 == 0 { (end(40_000), end(53)) } else { (end(53), end(40_000)) };
        let d = Datagram { frame, at, src, dst, ttl: time, ip_id: None, payload, len: 0, tunnelled: false };
        log.push(&d, transport, &mut seen);
    }
    log.finish(&mut seen);
    assert!(messages <= data.len() as u64);
}

/// The whole program: its JSON parses, and what it refers to is there.
pub fn program(data: &[u8]) {
    let Some(analysis) = analyzed(data) else { return };
    assert_eq!(analysis.connections.len() + analysis.udp.quic.len(), analysis.verdicts.len());
    for c in &analysis.connections {
        assert!(c.flows.to_server.new_bytes <= c.flows.to_server.bytes);
        assert!(c.flows.to_client.new_bytes <= c.flows.to_client.bytes);
    }
    let frames = analysis.counts.frames;
    for f in &analysis.findings {
        assert!(f.connections.is_sorted() && f.connections.iter().all(|c| *c < analysis.verdicts.len()));
        // what was done to DNS has a name and frames, and connections only where some followed
        assert!(!f.connections.is_empty() || f.name.is_some() && !f.frames.is_empty());
        assert!((0.0..=1.0).contains(&f.confidence));
        assert!(f.frames.windows(2).all(|w| w[0] < w[1]) && f.frames.len() as u64 <= frames);
    }
    let captures = [Capture { path: "fuzzed".to_owned(), sha256: None, analysis }];
    let mut out = Vec::new();
    let written = json::write_json(&captures, 1, &mut out);
    assert!(written.is_ok() && serde_json::from_slice::<serde_json::Value>(&out).is_ok());
    if let Some(analysis) = analyzed(data) {
        let again = [Capture { path: "fuzzed".to_owned(), sha256: None, analysis }];
        let mut second = Vec::new();
        assert!(
            json::write_json(&again, 1, &mut second).is_ok() && out == second,
            "the hash decides nothing"
        );
    }
    let _ = captures[0].kernel_dropped();
    let style = crate::report::style::Style::PLAIN;
    out.clear();
    let written = text::write(&captures, text::Options { style, addresses: true, verbose: true }, &mut out);
    assert!(written.is_ok());
    let shown = String::from_utf8_lossy(&out);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "nothing of a capture acts on a terminal");
}

/// Few connections at a time, so that a small input reaches the limit.
fn analyzed(data: &[u8]) -> Option<crate::analysis::Analysis> {
    super::analyzed(data.to_vec(), Settings { limits: Limits { connections: 8 }, ..Settings::default() })
}

/// The whole program on what is surely a capture: the bytes become frames of a pcap file, of lengths that they choose.
pub fn frames(data: &[u8]) {
    let mut file = super::pcap::PcapWriter::new(LinkType::RAW);
    let mut rest = data;
    let mut at = 0i64;
    while let Some((&len, after)) = rest.split_first() {
        let (frame, after) = after.split_at(after.len().min(usize::from(len)));
        at += i64::from(len) * 1_000_003;
        file.frame(Timestamp::from_ns(at), frame);
        rest = after;
    }
    program(&file.finish());
}

/// The whole program on what is surely conversations: bytes as a script of what three pairs of ends and a forger send,
/// with right lengths and checksums, so that what lies deep is reached.
pub fn script(data: &[u8]) {
    let mut talks: Vec<Conversation> = (1..=3u8)
        .map(|n| {
            let peer = |net, port, ttl, ms| {
                let addr = IpAddr::from([192, 0, net, n]);
                Peer::new(addr, port, ttl, Span::from_ms(ms))
            };
            let start = Timestamp::from_ns(1_700_000_000_000_000_000 + i64::from(n));
            // two of the three ask one server
            let mut server = peer(2, 443, 50, 40);
            server.endpoint.addr = [198, 51, 100, n / 2].into();
            Conversation::new(peer(2, 40_000 + u16::from(n), 64, 1), server, start)
        })
        .collect();
    let mut rest = data;
    let mut cut = usize::MAX;
    while let Some((&[what, how, more, value], after)) = rest.split_first_chunk::<4>() {
        let (payload, after) = after.split_at(after.len().min(usize::from(more & 31)));
        rest = after;
        let c = &mut talks[usize::from(what >> 6) % 3];
        let d = if what & 32 == 0 { Direction::ToServer } else { Direction::ToClient };
        match what & 15 {
            0 => c.handshake(),
            1 => c.data(
                Direction::ToServer,
                &Hello::to(if how & 1 == 0 { "example.org" } else { "x.com" }).record(),
            ),
            2 => c.data(
                Direction::ToServer,
                &Hello::post_quantum("x.com").records(&[usize::from(how) + 1, usize::from(value) + 1]),
            ),
            3 => c.data(Direction::ToClient, &server_flight_13(usize::from(how) * 8)),
            4 => c.data(Direction::ToClient, &server_flight_12(usize::from(how) * 8)),
            5 => c.data(Direction::ToServer, b"GET / HTTP/1.1\r\nHost: x.com\r\n\r\n"),
            6 => c.data(d, payload),
            7 => c.send(d, Flags(u16::from(how) | u16::from(value & 1) << 8), payload),
            8 => c.repeat(d, usize::from(how & 7)),
            9 => c.round_trip(d),
            10 => c.wait(pause(how)),
            11 => c.reset_reply(d),
            12 => c.close(),
            13 => c.data(d, &alert(how & 3, value)),
            14 => {
                cut = 40 + usize::from(how);
                c
            }
            _ => {
                let offset = i32::from(value.cast_signed()) << (how & 15);
                c.forge(
                    d,
                    &Forged {
                        flags: Flags(if how & 16 == 0 { 4 } else { 20 } | u16::from(more & 1) << 8),
                        seq_offset: offset,
                        ack_offset: offset / 2,
                        ttl: (more & 64 != 0).then_some(value),
                        ip_id: (more & 32 != 0).then(|| u16::from_be_bytes([value, how])),
                        df: (more & 128 != 0).then_some(how & 64 == 0),
                        window: u16::from(how >> 5) * 77,
                        payload: payload.to_vec(),
                    },
                )
            }
        };
    }
    let mut file = super::pcap::PcapWriter::new(LinkType::ETHERNET);
    for frame in in_order(&talks) {
        let len = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
        file.cut_frame(frame.at, &frame.bytes[..frame.bytes.len().min(cut)], len);
    }
    program(&file.finish());
}

/// Bytes of one step of a script.
const STEP: usize = 9;

/// Connections: bytes as a script of segments on four pairs of ends: each nine bytes are ends and direction, flags, sequence
/// number, acknowledgment number, length, header habits and time.
pub fn flow(data: &[u8]) {
    let [first, script @ ..] = data else { return };
    let limits = Limits { connections: 1 + usize::from(first % 5) };
    let mut table = FlowTable::new(limits);
    let mut seen = Ended::default();
    let mut at = Timestamp::from_ns(1_700_000_000_000_000_000);
    let mut pushed = 0;
    for (n, step) in script.chunks_exact(STEP).enumerate() {
        let &[ends, flags, s0, s1, a0, a1, len, options, time] = step else { continue };
        at = at + pause(time);
        let (client, server) = pair(ends & 3);
        let (src, dst) = if ends & 4 == 0 { (client, server) } else { (server, client) };
        let payload = words(ends, len, script, n * STEP);
        let wire = u32::try_from(payload.len()).unwrap_or(0) + if len >= 250 { 1 << (len - 225) } else { 0 };
        let flags = Flags(u16::from(flags) | u16::from(options & 1) << 8);
        let bytes = tcp_header(
            src,
            dst,
            number(ends & 4 == 0, s0, s1),
            number(ends & 4 != 0, a0, a1),
            flags,
            options,
        );
        let bytes = [&bytes[..], payload].concat();
        let header_len = u32::try_from(bytes.len() - payload.len()).unwrap_or(0);
        let Ok(tcp) = Tcp::parse(&bytes, header_len + wire) else { continue };
        let segment = Segment {
            frame: n as u64 + 1,
            at,
            seq: tcp.seq(),
            ack: tcp.ack(),
            flags,
            window: tcp.window(),
            len: wire,
            header_len: tcp.header_len(),
            ttl: 64 - (options >> 6),
            ip_id: (options & 2 == 0).then_some(u16::from(time) * 7),
            dont_fragment: options & 4 != 0,
            timestamps: None,
            checksum: Checksum::Unknown,
        };
        table.push(&segment, Key::new(src, dst), &tcp, ends & 0x80 != 0, &mut |c| seen.take(&c));
        pushed += 1;
        assert!(table.open_connections() <= limits.connections);
    }
    table.finish(&mut |c| seen.take(&c));
    assert_eq!(seen.packets, pushed, "every segment belongs to one connection");
}

/// Connections that are over.
#[derive(Default)]
struct Ended {
    streams: BTreeSet<u64>,
    first_frames: BTreeSet<u64>,
    packets: u64,
}

impl Ended {
    fn take(&mut self, c: &Connection) {
        assert!(self.first_frames.insert(c.first_frame), "a connection ends once");
        assert_eq!(self.streams.insert(c.stream), !c.resumed, "a stream number is new, or is continued");
        assert!(c.resets.len() <= MAX_RESETS && c.history.as_str().len() <= History::MAX);
        assert!(c.last >= c.started);
        for d in [Direction::ToServer, Direction::ToClient] {
            let h = &c.halves[d];
            self.packets += h.packets + u64::from(h.duplicates);
            assert!(h.open_holes() <= MAX_HOLES);
            assert!(h.next >= h.acked, "what is acknowledged was sent, seen or not");
            assert!(h.new_bytes <= h.payload_bytes);
            assert!(c.opening[d].packets().len() <= OPENING_PACKETS);
            assert!(h.head.contiguous().len() <= head::HELLO_LIMIT && h.head.conflicts().len() <= 8);
            let _ = (h.goodput_bps(), h.profile().ip_id.habit(), h.profile().ttl.usual());
        }
        let kept = c.resets.len() as u64 + u64::from(c.resets_not_kept);
        assert_eq!(kept, u64::from(c.halves.to_server.resets) + u64::from(c.halves.to_client.resets));
        let _ = (c.stage(), c.conn_state(), c.signature(c.last));
    }
}

/// Time steps from nothing over hours to years, some of them back.
fn pause(time: u8) -> Span {
    let ns = 1i64 << (time & 0x3f).min(62);
    Span::from_ns(match time >> 6 {
        0 => 0,
        1 => ns >> 20,
        2 => ns,
        _ => -(ns >> 16),
    })
}

fn pair(n: u8) -> (Endpoint, Endpoint) {
    let at = |host, port| Endpoint { addr: IpAddr::from([192, 0, 2, host]), port };
    match n {
        0 => (at(1, 50_000), at(2, 443)),
        1 => (at(1, 50_001), at(2, 443)),
        2 => (at(3, 443), at(2, 443)), // which of the two is the server is not plain
        _ => (at(4, 80), at(4, 80)),   // both ends are one (a "land" packet)
    }
}

/// A sequence number: near the start of its direction, or anywhere.
fn number(of_client: bool, a: u8, b: u8) -> u32 {
    let start = if of_client { 0xffff_ff00u32 } else { 0x1000 };
    match a {
        0xf0.. => u32::from_be_bytes([b, a, 0, b]),
        0xe0.. => start.wrapping_add(u32::from(b) << (a & 0xf)),
        _ => start.wrapping_add(u32::from(a) * 8 + u32::from(b & 7)),
    }
}

/// A payload: a piece of a `ClientHello`, of an HTTP request, or of the script itself.
fn words(ends: u8, len: u8, script: &[u8], at: usize) -> &[u8] {
    const HTTP: &[u8] = b"GET /a/b HTTP/1.1\r\nHost: example.org\r\n\r\n";
    const HELLO: &[u8] = b"\x16\x03\x01\x00\x31\x01\x00\x00\x2d\x03\x03................................\x00\x00\x02\x13\x01\x01\x00";
    let from = match ends >> 4 & 7 {
        0 | 1 => HELLO,
        2 => HTTP,
        3 => &HELLO[usize::from(len % 16)..],
        4 => &HTTP[usize::from(len % 16)..],
        _ => &script[at..],
    };
    if len == 0 || len >= 250 { &[] } else { &from[..from.len().min(usize::from(len))] }
}

fn tcp_header(src: Endpoint, dst: Endpoint, seq: u32, ack: u32, flags: Flags, options: u8) -> Vec<u8> {
    let (seq, ack) = (SeqNum(seq), SeqNum(ack));
    let options: &[u8] = match options >> 3 & 7 {
        1 => &[2, 4, 5, 0xb4, 3, 3, 14, 1],
        2 => &[8, 10, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1],
        3 => &[5, 10, 0, 0, 0x10, 1, 0, 0, 0x10, 9, 1, 1],
        4 => &[3, 3, 255, 1, 4, 2, 1, 1],
        _ => &[],
    };
    let words = u16::try_from(5 + options.len() / 4).unwrap_or(5);
    let mut b = Vec::with_capacity(60);
    b.extend(src.port.to_be_bytes());
    b.extend(dst.port.to_be_bytes());
    b.extend(seq.0.to_be_bytes());
    b.extend(ack.0.to_be_bytes());
    b.extend((words << 12 | flags.0 & 0xfff).to_be_bytes());
    b.extend([1, 0xf6, 0, 0, 0, 0]);
    b.extend(options);
    b
}
