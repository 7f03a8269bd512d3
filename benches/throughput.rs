//! How fast a whole analysis is: a synthetic capture of full-size packets, from file to findings.
//!
//! `cargo bench --bench throughput [-- MEGABYTES]` makes the capture under `target/`, analyses it several times, and
//! prints bytes and packets a second, as a ratio to reading the same file, and the program's peak of memory. Ratios
//! hold within one run only. It fails under the floor that the project promises.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, clippy::disallowed_methods)]
// a bench is there to look at the clock

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use pinchpoint::analysis::{Settings, analyze};
use pinchpoint::base::Direction::{ToClient, ToServer};
use pinchpoint::base::{Span, Timestamp};
use pinchpoint::capture::{LinkType, open_path};
use pinchpoint::testkit::conversation::{Conversation, Forged, Peer, Recorded};
use pinchpoint::testkit::pcap::PcapWriter;
use pinchpoint::testkit::tls::{Hello, server_flight_13};
use pinchpoint::wire::tcp::Flags;

/// Bytes a second that one thread must reach, and memory that it may use.
const FLOOR_GB_S: f64 = 1.5;
const CEILING_MB: f64 = 200.0;

/// The argument with which the bench calls itself to make the capture.
const MAKE: &str = "--make-capture";

/// Connections that are open at one time.
const OPEN: usize = 400;

fn main() {
    let megabytes = std::env::args().skip(1).find_map(|a| a.parse::<u64>().ok()).unwrap_or(1000);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("throughput-{megabytes}.pcap"));
    if std::env::args().any(|a| a == MAKE) {
        make_capture(&path, megabytes);
        return;
    }
    if !path.exists() {
        // in a process of its own, so that this one's peak of memory is the analysis's
        let made =
            Command::new(std::env::current_exe().unwrap()).args([MAKE, &megabytes.to_string()]).status();
        assert!(made.unwrap().success());
    }
    let len = std::fs::metadata(&path).unwrap().len();
    let (mut read, mut whole) = (Vec::new(), Vec::new());
    let (mut packets, mut connections, mut claims) = (0, 0, 0);
    for _ in 0..5 {
        let start = Instant::now();
        read_all(&path);
        read.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let mut source = open_path(&path).unwrap();
        let analysis = analyze(&mut source, Settings::default(), &mut |_| {});
        whole.push(start.elapsed().as_secs_f64());
        packets = analysis.counts.frames;
        connections = analysis.connections.len();
        claims = analysis.findings.len();
    }
    read.sort_by(f64::total_cmp);
    whole.sort_by(f64::total_cmp);
    let (read, whole) = (read[2], whole[2]);
    let speed = len as f64 / whole / 1e9;
    println!(
        "capture: {:.0} MB, {packets} packets, {connections} connections, {claims} with findings",
        len as f64 / 1e6
    );
    println!("read only      {read:.3} s  {:.2} GB/s", len as f64 / read / 1e9);
    println!(
        "whole analysis {whole:.3} s  {speed:.2} GB/s  {:.0} ns a packet  {:.2} times the read",
        whole * 1e9 / packets as f64,
        whole / read
    );
    let memory = peak_memory_mb();
    println!(
        "peak memory    {}",
        memory.map_or_else(|| "unknown on this system".to_owned(), |m| format!("{m:.0} MB"))
    );
    assert!(claims > 0, "the capture holds forged resets, and none was found");
    assert!(speed >= FLOOR_GB_S, "{speed:.2} GB/s is under the floor of {FLOOR_GB_S}");
    assert!(memory.is_none_or(|m| m <= CEILING_MB), "memory is over {CEILING_MB} MB");
}

fn read_all(path: &Path) {
    let mut file = File::open(path).unwrap();
    let mut block = vec![0; 1 << 20];
    let mut sum = 0usize;
    loop {
        match file.read(&mut block).unwrap() {
            0 => break,
            n => sum += n,
        }
    }
    std::hint::black_box(sum);
}

/// The program's peak resident set, from Linux.
fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kb| kb / 1000.0)
}

fn conversation(n: usize, start: Timestamp) -> Conversation {
    let b = |x: usize| u8::try_from(x % 250 + 1).unwrap();
    let client = Peer::new(
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, b(n))),
        20_000 + u16::try_from(n % 40_000).unwrap(),
        64,
        Span::from_ns(30_000),
    );
    let server =
        Peer::new(IpAddr::V4(Ipv4Addr::new(198, 51, b(n / 250), b(n / 3))), 443, 52, Span::from_ms(20));
    let mut c = Conversation::new(client, server, start);
    c.handshake();
    if n % 25 == 7 {
        c.data(ToServer, &Hello::post_quantum("blocked.example").record()).wait(Span::from_ms(3));
        c.forge(
            ToClient,
            &Forged {
                flags: Flags::RST.with(Flags::ACK),
                ttl: Some(57),
                df: Some(false),
                ..Forged::default()
            },
        );
        c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).data(ToClient, &server_flight_13(1200));
        return c;
    }
    c.hello_answered(&Hello::to("example.org").record(), &server_flight_13(3000));
    let block = vec![0x17; 1400];
    for _ in 0..180 {
        for _ in 0..2 {
            c.send(ToClient, Flags::ACK, &block).wait(Span::from_ns(120_000));
        }
        c.send(ToServer, Flags::ACK, &[]).wait(Span::from_ns(300_000));
    }
    c.close();
    c
}

/// Makes the capture: batches of connections that overlap in time.
fn make_capture(path: &Path, megabytes: u64) {
    let unfinished = path.with_extension("part");
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&unfinished).unwrap());
    file.write_all(&PcapWriter::new(LinkType::ETHERNET).finish()).unwrap();
    let (mut written, mut n) = (0u64, 0);
    let mut start = Timestamp::from_ns(1_708_128_000_000_000_000);
    while written < megabytes * 1_000_000 {
        let batch: Vec<Conversation> = (0..OPEN)
            .map(|i| conversation(n + i, start + Span::from_ns(i64::try_from(i).unwrap() * 170_000)))
            .collect();
        n += OPEN;
        let frames: Vec<&Recorded> = pinchpoint::testkit::conversation::capture(&batch);
        let mut pcap = PcapWriter::new(LinkType::ETHERNET);
        let header = pcap.len();
        for frame in frames {
            pcap.frame(frame.at, &frame.bytes);
            start = start.max(frame.at);
        }
        let bytes = pcap.finish();
        file.write_all(&bytes[header..]).unwrap();
        written += bytes.len() as u64;
    }
    file.flush().unwrap();
    drop(file);
    std::fs::rename(&unfinished, path).unwrap();
}
