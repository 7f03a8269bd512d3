//! RST002 and RST003: what takes several packets or several connections to see.

#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};

use pinchpoint::analysis::{Analysis, Settings};
use pinchpoint::base::Direction::{ToClient, ToServer};
use pinchpoint::base::{Span, Timestamp};
use pinchpoint::capture::LinkType;
use pinchpoint::detect::{Level, Mechanism, Verdict};
use pinchpoint::testkit::analyzed;
use pinchpoint::testkit::conversation::{Conversation, Peer, capture};
use pinchpoint::testkit::pcap::PcapWriter;
use pinchpoint::testkit::tls::{Hello, server_flight_13};
use pinchpoint::wire::tcp::Flags;

const RST_ACK: Flags = Flags(0x14);

/// A conversation of one client and server, the `n`th, as the server's host captures it, or the client's.
fn conversation(n: u16, at_server: bool) -> Conversation {
    let (near, far) = (Span::from_ns(20_000), Span::from_ms(40));
    let (client, server) = if at_server { ((52, far), (64, near)) } else { ((64, near), (52, far)) };
    let client = Peer::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 40_000 + n, client.0, client.1);
    let server = Peer::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9)), 443, server.0, server.1);
    let start = Timestamp::from_ns(1_708_128_000_000_000_000 + i64::from(n) * 2_000_000_000);
    let mut c = Conversation::new(client, server, start);
    c.handshake().wait(Span::from_ms(1));
    c
}

/// The client's system has lost the connection without a word, and answers the server's flight with bare resets.
fn vanishing(n: u16) -> Conversation {
    let mut c = conversation(n, true);
    c.data(ToServer, &Hello::to("x.com").record()).send(ToClient, Flags::ACK, &[]);
    c.data(ToClient, &server_flight_13(1200))
        .round_trip(ToClient)
        .reset_reply(ToServer)
        .reset_reply(ToServer);
    c
}

fn well(n: u16, name: &str) -> Conversation {
    let mut c = conversation(n, true);
    c.hello_answered(&Hello::to(name).record(), &server_flight_13(1200)).wait(Span::from_ms(200)).close();
    c
}

fn analysis(conversations: &[Conversation]) -> Analysis {
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    for frame in capture(conversations) {
        pcap.frame(frame.at, &frame.bytes);
    }
    analyzed(pcap.finish(), Settings::default()).unwrap()
}

#[test]
fn several_clients_that_vanish_beside_others_that_end_well_are_a_claim() {
    let a = analysis(&[vanishing(0), well(1, "example.org"), vanishing(2), well(3, "example.org")]);
    let verdicts: Vec<Verdict> = a.verdicts.iter().map(|(v, _)| *v).collect();
    assert_eq!(verdicts, [Verdict::Interfered, Verdict::Clean, Verdict::Interfered, Verdict::Clean]);
    let (resets, names): (Vec<_>, Vec<_>) = a.findings.iter().partition(|f| f.code == "RST003");
    assert_eq!((resets.len(), names.len()), (2, 1));
    // one name vanishes and another on the same server does not
    assert_eq!((names[0].code, names[0].connections.len()), ("SNI005", 2));
    for f in resets {
        assert_eq!((f.code, f.level, f.direction), ("RST003", Level::Likely, Some(ToClient)));
        assert!(f.frames.is_empty(), "the packet is not in this capture");
        assert!(f.evidence[0].frames.len() == 2);
    }
}

#[test]
fn one_that_vanishes_is_a_pointer_since_its_abort_may_be_lost() {
    let a = analysis(&[vanishing(0), well(1, "example.org")]);
    assert_eq!(a.findings.len(), 1);
    assert_eq!(a.findings[0].level, Level::Possible);
    assert_eq!(a.verdicts[0].0, Verdict::Inconclusive);
}

#[test]
fn several_that_vanish_with_nothing_to_compare_are_no_claim() {
    let a = analysis(&[vanishing(0), vanishing(1), vanishing(2)]);
    assert!(a.findings.iter().all(|f| f.level == Level::Possible));
}

#[test]
fn a_client_that_aborts_is_no_victim() {
    let mut c = conversation(0, true);
    c.data(ToServer, &Hello::to("x.com").record()).send(ToServer, RST_ACK, &[]);
    c.send(ToClient, Flags::ACK, &[]).data(ToClient, &server_flight_13(1200));
    c.round_trip(ToClient).reset_reply(ToServer);
    let a = analysis(&[c, well(1, "example.org")]);
    assert_eq!((a.findings.len(), a.verdicts[0].0), (0, Verdict::Clean));
}

/// The server's abort in place of its answer, `times` over at a retransmission's distance.
fn refused(n: u16, times: usize) -> Conversation {
    let mut c = conversation(n, false);
    c.data(ToServer, &Hello::to("x.com").record()).round_trip(ToServer);
    for i in 0..times {
        c.wait(Span::from_ms(if i == 0 { 1 } else { 220 << i })).send(ToClient, RST_ACK, &[]);
    }
    c
}

#[test]
fn a_reset_that_is_retransmitted_was_an_answer_once() {
    let a = analysis(&[refused(0, 3)]);
    assert_eq!(a.findings.len(), 1);
    let f = &a.findings[0];
    assert_eq!((f.code, f.mechanism, f.level), ("RST002", Mechanism::RewrittenInPath, Level::Possible));
    assert_eq!(f.frames.len(), 3);
}

#[test]
fn one_refusal_with_the_servers_own_header_is_inconclusive() {
    let a = analysis(&[refused(0, 1)]);
    assert!(a.findings.is_empty());
    let (verdict, why) = &a.verdicts[0];
    assert_eq!(*verdict, Verdict::Inconclusive);
    assert!(why.as_ref().unwrap().contains("the same server asked for another name would tell"));
}
