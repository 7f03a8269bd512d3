//! The captures in `fixtures/`, made from their recipes: the same bytes from the same seed.

use std::net::{IpAddr, Ipv4Addr};

use super::conversation::{Conversation, Forged, Peer, capture};
use super::pcap::{BlockOption, PcapngWriter};
use super::rng::Rng;
use super::tls::{Hello, server_flight_13};
use crate::base::Direction::{ToClient, ToServer};
use crate::base::{Span, Timestamp};
use crate::capture::LinkType;
use crate::wire::tcp::Flags;

/// A capture with its truth.
#[derive(Debug)]
pub struct Fixture {
    /// The pcapng file.
    pub bytes: Vec<u8>,
    /// Frames that no endpoint sent.
    pub forged: Vec<u64>,
}

/// `fixtures/reset-after-hello`: a laptop asks two servers of one provider for three names. Connections to `x.com`
/// are reset after their ClientHello by a box some hops away, with AE and a reserved bit set and DF clear, as the
/// literature describes the Pakistani box of 2026; others are not. Documentation addresses throughout (RFC 5737).
///
/// It is a script, no recording: nobody may take it for evidence.
pub fn reset_after_hello(seed: u64) -> Fixture {
    let mut rng = Rng::new(seed);
    let mut conversations = Vec::new();
    // 17 February 2024, the day from which X was unreachable in Pakistan
    let start = Timestamp::from_ns(1_708_164_000_000_000_000);
    let names =
        ["example.org", "x.com", "www.example.com", "x.com", "example.org", "x.com", "www.example.com"];
    for (n, name) in names.into_iter().enumerate() {
        let n = u8::try_from(n).unwrap_or(0);
        let client = Peer::new(
            IpAddr::V4(Ipv4Addr::new(192, 0, 2, 17)),
            49_152 + u16::from(n) * 3,
            64,
            Span::from_ns(25_000),
        );
        let delay = Span::from_ns(i64::try_from(rng.range(58_000_000, 63_000_000)).unwrap_or(0));
        let server = Peer::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 80 + n / 2 % 2)), 443, 51, delay);
        let mut c = Conversation::new(client, server, start + Span::from_ms(i64::from(n) * 1_900));
        c.handshake().wait(Span::from_ms(1));
        if name == "x.com" {
            c.data(ToServer, &Hello::post_quantum(name).record());
            c.wait(Span::from_ns(i64::try_from(rng.range(4_000_000, 9_000_000)).unwrap_or(0)));
            let flags = Flags(Flags::RST.0 | Flags::AE.0 | 0x200);
            let ip_id = u16::try_from(rng.range(1, 65_535)).ok();
            c.forge(ToClient, &Forged { flags, ttl: Some(60), ip_id, df: Some(false), ..Forged::default() });
            // the real server knows nothing of it and answers; the client's system has no connection any more
            c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).wait(Span::from_ms(1));
            c.data(ToClient, &server_flight_13(1200)).round_trip(ToClient).reset_reply(ToServer);
        } else {
            c.hello_answered(&Hello::to(name).record(), &server_flight_13(1200));
            for _ in 0..4 {
                c.wait(Span::from_ms(20))
                    .data(ToServer, &[0x17; 90])
                    .round_trip(ToServer)
                    .data(ToClient, &[0x17; 2_800]);
                c.round_trip(ToClient).send(ToServer, Flags::ACK, &[]);
            }
            c.wait(Span::from_ms(300)).close();
        }
        conversations.push(c);
    }
    let comment = "made by pinchpoint's testkit: a simulation, no evidence of anything";
    let mut file = PcapngWriter::with(crate::capture::ByteOrder::Little, &[BlockOption::comment(comment)]);
    file.interface(LinkType::ETHERNET, 0, &[BlockOption::tsresol(9)]);
    let mut forged = Vec::new();
    for (n, frame) in capture(&conversations).into_iter().enumerate() {
        file.frame(0, true, frame.at, &frame.bytes);
        if !frame.genuine {
            forged.push(n as u64 + 1);
        }
    }
    Fixture { bytes: file.finish(), forged }
}
