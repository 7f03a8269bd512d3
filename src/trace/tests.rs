use std::io::Cursor;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::points::{Points, RoundTrips};
use super::series::Binning;
use super::*;
use crate::analysis::{Analysis, Settings, analyze};
use crate::base::Direction::{ToClient, ToServer};
use crate::base::endpoint::PerDirection;
use crate::capture::{FileSource, LinkType, open_reader};
use crate::testkit::conversation::{Conversation, Forged, Peer, capture};
use crate::testkit::fixture::reset_after_hello;
use crate::testkit::pcap::PcapWriter;
use crate::testkit::tls::{Hello, server_flight_13};
use crate::testkit::udp::{Fate, Talk, quic_connection};
use crate::wire::quic::Version;

const RST: Flags = Flags::RST;

fn opened(file: &[u8]) -> FileSource {
    open_reader(Box::new(Cursor::new(file.to_vec()))).unwrap()
}

fn analysed(file: &[u8]) -> Analysis {
    analyze(&mut opened(file), Settings::default(), &mut |_| {})
}

fn pcap<'a>(frames: impl IntoIterator<Item = &'a crate::testkit::conversation::Recorded>) -> Vec<u8> {
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    for frame in frames {
        pcap.frame(frame.at, &frame.bytes);
    }
    pcap.finish()
}

fn conversation(port: u16, server: u8, at_s: i64) -> Conversation {
    let client = Peer::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), port, 64, Span::from_ns(20_000));
    let server = Peer::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, server)), 443, 52, Span::from_ms(20));
    let mut c = Conversation::new(
        client,
        server,
        Timestamp::from_ns(1_708_128_000_000_000_000) + Span::from_secs(at_s),
    );
    c.handshake().wait(Span::from_ms(1));
    c
}

fn all(a: &Analysis) -> Vec<usize> {
    (0..a.verdicts.len()).collect()
}

#[test]
fn a_port_that_is_used_again_gives_two_traces_that_share_no_packet() {
    let talk = |at, name| {
        let mut c = conversation(50_000, 9, at);
        c.hello_answered(&Hello::to(name).record(), &server_flight_13(900)).close();
        c
    };
    // a SYN with another number begins the second; both ends are the same
    let (first, mut again) = (talk(0, "a.example"), talk(3, "b.example"));
    for frame in &mut again.frames {
        if frame.direction == ToServer {
            let seq = u32::from_be_bytes(frame.bytes[38..42].try_into().unwrap()).wrapping_add(90_000);
            frame.bytes[38..42].copy_from_slice(&seq.to_be_bytes());
        } else {
            let ack = u32::from_be_bytes(frame.bytes[42..46].try_into().unwrap()).wrapping_add(90_000);
            frame.bytes[42..46].copy_from_slice(&ack.to_be_bytes());
        }
    }
    let (n, m) = (first.frames.len(), again.frames.len());
    let conversations = [first, again];
    let file = pcap(capture(&conversations));
    let a = analysed(&file);
    assert_eq!(a.connections.len(), 2);
    let traces = trace(&mut opened(&file), &a, &all(&a), &[]);
    assert_eq!((traces[0].points.len(), traces[1].points.len()), (n, m));
    assert!(traces[0].points.iter().all(|p| p.frame <= n as u64));
    assert!(traces[1].points.iter().all(|p| p.frame > n as u64));
    assert_eq!(traces[1].points[0].seq, 0, "the SYN lies at 0");
}

#[test]
fn what_a_trace_says_is_what_the_analysis_counted() {
    let file = reset_after_hello(1).bytes;
    let a = analysed(&file);
    for t in trace(&mut opened(&file), &a, &all(&a), &[]) {
        let row = &a.connections[t.place];
        for d in [ToServer, ToClient] {
            let of = || t.points.iter().filter(|p| p.direction == d);
            assert_eq!(of().count() as u64, row.flows[d].packets);
            assert_eq!(of().map(|p| u64::from(p.len)).sum::<u64>(), row.flows[d].bytes);
            let bins = || t.series.bins.iter().map(|b| b.of[d]);
            assert_eq!(bins().map(|b| b.new_bytes).sum::<u64>(), row.flows[d].new_bytes);
            assert_eq!(bins().map(|b| b.retransmitted).sum::<u64>(), u64::from(row.flows[d].retransmitted));
        }
        assert!(!t.incomplete && t.thinned == 0);
        assert_eq!(t.points.last().unwrap().frame, row.last_frame);
    }
}

#[test]
fn round_trips_are_those_of_the_path() {
    let mut c = conversation(50_000, 9, 0);
    c.hello_answered(&Hello::to("a.example").record(), &server_flight_13(900)).close();
    let file = pcap(capture(&[c]));
    let a = analysed(&file);
    let t = &trace(&mut opened(&file), &a, &[0], &[])[0];
    let to_server: Vec<i64> =
        t.round_trips.iter().filter(|r| r.direction == ToClient).map(|r| r.took.ns() / 1_000_000).collect();
    assert!(to_server.len() >= 2 && to_server.iter().all(|ms| (40..=42).contains(ms)), "{to_server:?}");
}

#[test]
fn quic_is_followed_too() {
    let ends = |host, port| Endpoint { addr: [192, 0, 2, host].into(), port };
    let mut talk = Talk::new(ends(1, 50_000), ends(2, 443), Timestamp::from_ns(0));
    quic_connection(&mut talk, Version::V1, "x.com", Fate::Answered);
    let file = pcap(&talk.frames);
    let a = analysed(&file);
    let t = &trace(&mut opened(&file), &a, &all(&a), &[])[0];
    assert!(!t.is_tcp);
    assert_eq!(t.points.len(), talk.frames.len());
    let row = &a.udp.quic[0];
    let last = t.points.iter().rfind(|p| p.direction == ToClient).unwrap();
    assert_eq!((last.seq + i64::from(last.len)).cast_unsigned(), row.sides.to_client.bytes);
    assert_eq!(last.frame, row.last_frame);
}

#[test]
fn another_file_or_a_cut_one_is_said_to_be_incomplete() {
    let mut c = conversation(50_000, 9, 0);
    c.hello_answered(&Hello::to("a.example").record(), &server_flight_13(900)).close();
    let file = pcap(capture(&[c]));
    let a = analysed(&file);
    let cut = &file[..file.len() / 2];
    let t = &trace(&mut opened(cut), &a, &[0], &[])[0];
    assert!(t.incomplete && !t.points.is_empty());
    // analysed as it is, the cut file is whole as far as it goes
    let a = analysed(cut);
    let t = &trace(&mut opened(cut), &a, &[0], &[])[0];
    assert!(!t.incomplete && !t.points.is_empty());
}

/// Counts the frames that are read.
struct Counting(FileSource, u64);

impl Source for Counting {
    fn next_frame(&mut self) -> Option<crate::capture::Frame<'_>> {
        self.1 += 1;
        self.0.next_frame()
    }
    fn files(&self) -> Vec<&crate::capture::Facts> {
        self.0.files()
    }
    fn position(&self) -> u64 {
        self.0.position()
    }
}

#[test]
fn what_is_only_counted_has_the_same_bins_and_no_points() {
    let file = reset_after_hello(7).bytes;
    let a = analysed(&file);
    let drawn = trace(&mut opened(&file), &a, &all(&a), &[]);
    let counted = trace(&mut opened(&file), &a, &[0], &all(&a));
    assert_eq!(counted.len(), drawn.len());
    assert_eq!(counted[0].points, drawn[0].points);
    for (c, d) in counted.iter().zip(&drawn) {
        assert_eq!((c.place, &c.series), (d.place, &d.series));
    }
    assert!(counted[1..].iter().all(|t| t.points.is_empty() && t.round_trips.is_empty()));
}

#[test]
fn reading_stops_behind_the_last_frame_that_matters() {
    let file = reset_after_hello(1).bytes;
    let a = analysed(&file);
    let mut source = Counting(opened(&file), 0);
    let traces = trace(&mut source, &a, &[1, 1, 99], &[]);
    assert_eq!(traces.len(), 1, "twice is once, and a place that is not there has no trace");
    assert_eq!(source.1, a.connections[1].last_frame);
    let mut source = Counting(opened(&file), 0);
    assert!(trace(&mut source, &a, &[], &[]).is_empty());
    assert_eq!(source.1, 0);
}

#[test]
fn what_matters_is_findings_and_what_they_are_held_against() {
    let a = analysed(&reset_after_hello(1).bytes);
    let places = that_matter(&a);
    let resets: Vec<usize> = a.findings.iter().flat_map(|f| f.connections.clone()).collect();
    assert!(resets.iter().all(|r| places.contains(r)));
    assert!(places.iter().any(|p| !resets.contains(p)), "controls are there");
    let mut once = places.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), places.len());
    let mut calm = conversation(50_000, 9, 0);
    calm.hello_answered(&Hello::to("a.example").record(), &server_flight_13(900)).close();
    assert!(that_matter(&analysed(&pcap(capture(&[calm])))).is_empty());
}

const POINT: Point = Point {
    frame: 0,
    at: Timestamp::from_ns(0),
    direction: ToClient,
    seq: 1,
    len: 1000,
    ack: Some(1),
    window: Some(9000),
    sack: None,
    flags: Flags::ACK,
    ttl: 52,
    arrival: Arrival::New,
    gap: 0,
};

#[test]
fn points_are_bounded_and_outliers_stay() {
    let usual = PerDirection { to_server: Some(64), to_client: Some(52) };
    let mut points = Points::new(1000, usual, Arc::from([77_777]));
    for frame in 1..=1_000_000 {
        let odd = frame % 100_003 == 0;
        points.push(Point {
            frame,
            ttl: if odd { 60 } else { 52 },
            flags: if odd { RST } else { Flags::ACK },
            ..POINT
        });
    }
    let (kept, thinned) = points.finish();
    assert!((500..=1000).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.len() as u64 + thinned, 1_000_000);
    assert_eq!(kept.iter().filter(|p| p.flags == RST).count(), 9);
    assert!(kept.iter().any(|p| p.frame == 77_777), "a frame that a finding names");
    assert!(kept.iter().rev().take(3).any(|p| p.frame > 990_000), "the end is there");
    assert!(kept.windows(2).all(|w| w[0].frame < w[1].frame));
}

#[test]
fn a_flood_of_outliers_is_bounded_too() {
    let mut points = Points::new(100, PerDirection::default(), Arc::from([9_999]));
    for frame in 1..=10_000 {
        points.push(Point { frame, flags: RST, ..POINT });
    }
    let (kept, thinned) = points.finish();
    assert_eq!((kept.len(), thinned), (101, 9_899));
    assert_eq!(kept.last().unwrap().frame, 9_999);
}

#[test]
fn the_longest_round_trip_of_a_million_stays() {
    let mut trips = RoundTrips::new(1000);
    for frame in 0..1_000_000u64 {
        let ms = if frame == 654_321 { 900 } else { 40 + i64::try_from(frame % 5).unwrap() };
        let at = Timestamp::from_ns(i64::try_from(frame).unwrap());
        trips.push(RoundTrip { frame, at, direction: ToClient, took: Span::from_ms(ms) });
    }
    let (kept, thinned) = trips.finish();
    assert!(kept.len() <= 1000 && kept.len() as u64 + thinned == 1_000_000);
    assert!(kept.iter().any(|r| r.took == Span::from_ms(900)));
}

#[test]
fn a_long_connection_has_wider_bins_and_bins_are_sparse() {
    let widths = [5, 60, 300, 86_400, 10_000_000]
        .map(|s| Binning::new(Timestamp::from_ns(0), Span::from_secs(s)).finish().width);
    let tenths = widths.map(|w| w.ns() / 100_000_000);
    assert_eq!(tenths, [1, 1, 5, 53, 6104]);
    let mut s = Binning::new(Timestamp::from_ns(0), Span::from_secs(60));
    for at in [0, 30, 5, 59] {
        s.at(Timestamp::from_ns(at * 1_000_000_000), ToClient).new_bytes += 1000;
    }
    let s = s.finish();
    assert_eq!(s.bins.len(), 4);
    assert!(s.bins.windows(2).all(|w| w[0].start < w[1].start), "the clock went back");
    assert!((s.bins[0].goodput_bps(ToClient, s.width) - 80_000.0).abs() < 1e-6);
}

#[test]
fn a_forged_packet_is_a_point_and_moves_nothing() {
    let mut c = conversation(50_000, 9, 0);
    c.data(ToServer, &Hello::to("x.com").record()).wait(Span::from_ms(3));
    c.forge(ToClient, &Forged { flags: RST, seq_offset: 5000, ttl: Some(60), ..Forged::default() });
    c.wait(Span::from_ms(40)).send(ToClient, Flags::ACK, &[]);
    c.data(ToClient, &server_flight_13(900));
    let file = pcap(capture(&[c]));
    let a = analysed(&file);
    let t = &trace(&mut opened(&file), &a, &[0], &[])[0];
    let reset = t.points.iter().find(|p| p.flags.has(RST)).unwrap();
    assert_eq!((reset.seq, reset.ttl, reset.window), (5001, 60, None));
    assert!(t.points.iter().filter(|p| p.direction == ToClient && p.len > 0).all(|p| p.gap == 0));
}
