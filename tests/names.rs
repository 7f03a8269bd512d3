//! SNI010 and SNI011 on conversations packet by packet: what makes a claim, a pointer, or nothing of a wait; and which sizes came.

#![allow(clippy::unwrap_used)]

use pinchpoint::analysis::Settings;
use pinchpoint::base::Direction::{ToClient, ToServer};
use pinchpoint::base::{Span, Timestamp};
use pinchpoint::capture::LinkType;
use pinchpoint::detect::{KeyedOn, Level};
use pinchpoint::measure::size::SizeSplit;
use pinchpoint::testkit::analyzed;
use pinchpoint::testkit::conversation::{Conversation, Peer, capture};
use pinchpoint::testkit::pcap::PcapWriter;
use pinchpoint::testkit::tls::{Hello, server_flight_13};
use pinchpoint::wire::tcp::Flags;

/// A handshake as the client's host captures it.
struct Handshake {
    name: &'static str,
    /// Last byte of the server's address, and the way there, ms.
    server: u8,
    away: i64,
    /// How long the acknowledgment of the hello waits, and how long the answer after it, ms.
    held: i64,
    thinks: i64,
}

const QUICK: Handshake = Handshake { name: "example.org", server: 9, away: 20, held: 0, thinks: 1 };
const SLOW: Handshake = Handshake { name: "x.com", held: 3_000, ..QUICK };

fn play(n: u16, h: &Handshake) -> Conversation {
    let client = Peer::new([192, 0, 2, 7].into(), 40_000 + n, 64, Span::from_ns(20_000));
    let server = Peer::new([198, 51, 100, h.server].into(), 443, 52, Span::from_ms(h.away));
    let start = Timestamp::from_ns(1_708_128_000_000_000_000 + i64::from(n) * 10_000_000_000);
    let mut c = Conversation::new(client, server, start);
    c.handshake().wait(Span::from_ms(1)).data(ToServer, &Hello::to(h.name).record());
    c.round_trip(ToServer).wait(Span::from_ms(h.held)).send(ToClient, Flags::ACK, &[]);
    c.wait(Span::from_ms(h.thinks)).data(ToClient, &server_flight_13(1200));
    c.round_trip(ToClient).send(ToServer, Flags::ACK, &[]).data(ToServer, &[0x17; 80]);
    c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).close();
    c
}

/// The finding that connections of these kinds, in turn, make.
fn found(turns: usize, kinds: &[Handshake]) -> Option<(Level, Option<KeyedOn>)> {
    let all: Vec<_> = (0u16..).zip((0..turns).flat_map(|_| kinds)).map(|(n, h)| play(n, h)).collect();
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    for frame in capture(&all) {
        pcap.frame(frame.at, &frame.bytes);
    }
    let a = analyzed(pcap.finish(), Settings::default()).unwrap();
    assert!(a.findings.iter().all(|f| f.code == "SNI010"), "{:?}", a.findings);
    a.findings.first().map(|f| (f.level, f.keyed_on))
}

#[test]
fn three_that_wait_between_three_that_do_not_are_a_claim() {
    assert_eq!(found(3, &[QUICK, SLOW]), Some((Level::Likely, Some(KeyedOn::Sni))));
    assert_eq!(found(2, &[QUICK, SLOW]), Some((Level::Possible, Some(KeyedOn::Sni))), "two are few");
    assert_eq!(found(6, &[QUICK, SLOW]), Some((Level::Confirmed, Some(KeyedOn::Sni))));
}

#[test]
fn a_program_that_thinks_is_a_pointer_at_most() {
    let thinking = Handshake { held: 0, thinks: 3_000, ..SLOW };
    assert_eq!(found(3, &[QUICK, thinking]), Some((Level::Possible, Some(KeyedOn::Sni))));
}

#[test]
fn a_server_that_is_far_or_alone_is_a_pointer_at_most() {
    let far = Handshake { away: 400, ..SLOW };
    assert_eq!(found(3, &[QUICK, far]), Some((Level::Possible, Some(KeyedOn::Sni))));
    let alone = Handshake { server: 77, ..SLOW };
    assert_eq!(found(3, &[QUICK, alone]), Some((Level::Possible, Some(KeyedOn::Sni))));
}

#[test]
fn where_all_wait_or_the_wait_is_short_nothing_is_said() {
    let slow_control = Handshake { name: "example.org", ..SLOW };
    assert_eq!(found(3, &[slow_control, SLOW]), None);
    let short = Handshake { held: 600, ..SLOW };
    assert_eq!(found(3, &[QUICK, short]), None, "under a second");
    let in_proportion = Handshake { held: 1_200, ..SLOW };
    let half = Handshake { held: 500, ..QUICK };
    assert_eq!(found(3, &[half, in_proportion]), None, "not three times as long");
}

/// What the client's side sees where the first segment of an answer never comes, and the second does, twice, so far apart.
fn lost_and_came(lost: usize, came: usize, apart: Span) -> Option<SizeSplit> {
    let client = Peer::new([192, 0, 2, 7].into(), 40_000, 64, Span::from_ns(20_000));
    let server = Peer::new([198, 51, 100, 9].into(), 443, 52, Span::from_ms(20));
    let mut c = Conversation::new(client, server, Timestamp::from_ns(1_708_128_000_000_000_000));
    c.handshake().data(ToServer, &Hello::to("x.com").record()).round_trip(ToServer);
    c.send(ToClient, Flags::ACK, &[]).send(ToClient, Flags::ACK, &vec![0x17; lost]);
    c.frames.pop();
    c.send(ToClient, Flags::ACK, &vec![0x17; came]).wait(apart).repeat(ToClient, 0);
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    for frame in capture(&[c]) {
        pcap.frame(frame.at, &frame.bytes);
    }
    let a = analyzed(pcap.finish(), Settings::default()).unwrap();
    a.connections[0].sizes
}

#[test]
fn a_gap_that_stays_beside_smaller_packets_tells_sizes_apart() {
    let s = lost_and_came(1400, 95, Span::from_secs(4)).unwrap();
    assert_eq!((s.direction, s.passed, s.vain, s.missing), (ToClient, 95, None, 1400));
    assert_eq!(s.as_large(), 1_200);
}

#[test]
fn a_gap_that_is_young_or_smaller_than_what_came_does_not() {
    assert_eq!(lost_and_came(1400, 95, Span::from_secs(2)), None);
    assert_eq!(lost_and_came(95, 1400, Span::from_secs(4)), None);
}
