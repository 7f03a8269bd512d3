//! How much memory `pinchpoint live` takes while connections come and go: of the process, as the system counts it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::io::Write;
use std::process::{Command, Stdio};

use pinchpoint::base::{Direction, Span, Timestamp};
use pinchpoint::capture::write::{BlockOption, PcapngWriter};
use pinchpoint::capture::{ByteOrder, LinkType};
use pinchpoint::testkit::conversation::{Conversation, Peer};
use pinchpoint::testkit::tls::{Hello, server_flight_13};

/// A short TLS connection: the nth, with ports and servers that come again only after tens of thousands.
fn conversation(n: u32, at: Timestamp) -> Conversation {
    let port = u16::try_from(20_000 + n % 40_000).unwrap();
    let client = Peer::new([10, 0, 0, 1].into(), port, 64, Span::from_ns(20_000));
    let server = Peer::new([203, 0, 113, u8::try_from(n % 200).unwrap()].into(), 443, 52, Span::from_ms(40));
    let mut c = Conversation::new(client, server, at);
    c.handshake().data(Direction::ToServer, &Hello::to("example.org").record());
    c.round_trip(Direction::ToServer).data(Direction::ToClient, &server_flight_13(1200));
    if n.is_multiple_of(20) {
        c.reset_reply(Direction::ToServer); // some are reset, and cost more
    } else {
        c.close();
    }
    c
}

/// Kilobytes of memory that a process has.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Plays so many connections over so long a time into `live -r -`; gives the memory at twenty moments, in kilobytes.
fn play(connections: u32, time: Span) -> Vec<u64> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pinchpoint"))
        .args(["live", "-r", "-", "--format", "ndjson"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut w = PcapngWriter::with(ByteOrder::Little, &[]);
    w.interface(LinkType::ETHERNET, 0, &[BlockOption::tsresol(9)]);
    stdin.write_all(&w.finish()).unwrap();
    let step = time.ns() / i64::from(connections);
    let mut memory = Vec::new();
    for n in 0..connections {
        let at = Timestamp::from_ns(1_708_128_000_000_000_000 + i64::from(n) * step);
        let mut block = PcapngWriter::within(ByteOrder::Little);
        for f in &conversation(n, at).frames {
            let len = u32::try_from(f.bytes.len()).unwrap();
            block.packet(0, f.at.ns().unsigned_abs(), &f.bytes, len, &[]);
        }
        stdin.write_all(&block.finish()).unwrap();
        if (n + 1) % (connections / 20) == 0 {
            memory.push(resident(child.id()));
        }
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    memory
}

/// Ten minutes at 50 connections a second, and two days in which as many come. `PINCHPOINT_CONNECTIONS` plays more: beyond
/// 131,072 the rows are bounded too.
#[test]
fn memory_does_not_grow_but_by_rows() {
    let asked = std::env::var("PINCHPOINT_CONNECTIONS").ok().and_then(|n| n.parse().ok());
    let connections = asked.unwrap_or(30_000);
    for (what, time) in [("10 minutes", Span::from_secs(600)), ("2 days", Span::from_secs(2 * 86_400))] {
        let memory = play(connections, time);
        let megabytes = |kb: u64| (kb / 1024).to_string();
        let all: Vec<String> = memory.iter().map(|m| megabytes(*m)).collect();
        println!("{connections} connections over {what}, MB of memory at each twentieth: {}", all.join(" "));
        // A row is 1 kB, of a reset connection 3 kB more, and a connection that is open, or closed for less than half a minute,
        // some 3 kB; a look copies all of them, and on a busy machine it is still there when the next memory is read. The last
        // packets take 32 MiB.
        let most = *memory.iter().max().unwrap();
        let lingering = (i64::from(connections) * 120_000_000_000 / time.ns()).min(65_536).unsigned_abs();
        let rows = u64::from(connections.min(1 << 17));
        let bound = 80_000 + lingering * 16 + rows * 4;
        assert!(most < bound, "{most} kB at most, {bound} kB expected at most");
        // beyond the limits it is flat
        if connections >= 1 << 18 {
            let median = |of: &[u64]| {
                let mut of = of.to_vec();
                of.sort_unstable();
                of[of.len() / 2] // a look copies all for a moment, and may fall on one of these
            };
            assert!(median(&memory[15..]) * 5 < median(&memory[5..10]) * 6, "{memory:?}");
        }
    }
}
