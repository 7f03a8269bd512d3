//! What the fuzz targets drive, so that tests can replay what a fuzzer found.
//!
//! Each function takes any bytes and ends in assertions on what must hold whatever they are.

use std::io::Cursor;

use crate::analysis::{Settings, analyze};
use crate::base::Timestamp;
use crate::capture::{Frame, LinkType, Source, merge, open_reader};
use crate::report::{Capture, json, text};
use crate::wire::{Payload, decode, http, tls};

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

/// The decoder: payloads lie within the frame, and no captured length exceeds the one on the wire. The first two bytes
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

/// The whole program: its JSON parses, and what it refers to is there.
pub fn program(data: &[u8]) {
    let Ok(mut source) = open_reader(Box::new(Cursor::new(data.to_vec()))) else { return };
    let analysis = analyze(&mut source, Settings::default(), &mut |_| {});
    assert_eq!(analysis.connections.len(), analysis.verdicts.len());
    for c in &analysis.connections {
        assert!(c.flows.to_server.new_bytes <= c.flows.to_server.bytes);
        assert!(c.flows.to_client.new_bytes <= c.flows.to_client.bytes);
    }
    let frames = analysis.counts.frames;
    for f in &analysis.findings {
        assert!(f.connection < analysis.connections.len());
        assert!((0.0..=1.0).contains(&f.confidence));
        assert!(f.frames.windows(2).all(|w| w[0] < w[1]) && f.frames.len() as u64 <= frames);
    }
    let captures = [Capture { path: "fuzzed".to_owned(), sha256: None, analysis }];
    let mut out = Vec::new();
    let written = json::write_json(&captures, &mut out);
    assert!(written.is_ok() && serde_json::from_slice::<serde_json::Value>(&out).is_ok());
    let style = crate::report::style::Style::PLAIN;
    out.clear();
    let written = text::write(&captures, text::Options { style, addresses: true, verbose: true }, &mut out);
    assert!(written.is_ok());
    let shown = String::from_utf8_lossy(&out);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "nothing of a capture acts on a terminal");
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
