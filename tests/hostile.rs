//! Captures made to be slow or large: none takes more than linear time, and what is bounded stays so.
//!
//! The bound on time is a coarse one, which quadratic time breaks and a busy machine does not. The cost against as many
//! ordinary packets is printed (`-- --nocapture`); `docs/accuracy.md` has the figures, some of which are far over one.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods
)]
// the tests compare times, so they look at the clock

use std::io::Cursor;
use std::time::Duration;

use pinchpoint::analysis::{Analysis, Settings, analyze};
use pinchpoint::base::Timestamp;
use pinchpoint::capture::{ByteOrder, LinkType, open_reader};
use pinchpoint::flow::table::Limits;
use pinchpoint::testkit::pcap::{BlockOption, PcapWriter, PcapngWriter};
use pinchpoint::testkit::tls::Hello;

const PACKETS: u32 = 60_000;

/// A bare IPv4 TCP packet.
fn packet(src: u32, port: u16, seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(40 + payload.len()).unwrap();
    let mut b = vec![0x45, 0];
    b.extend(len.to_be_bytes());
    b.extend([0, 7, 0x40, 0, 57, 6, 0, 0]);
    b.extend(src.to_be_bytes());
    b.extend([198, 51, 100, 7]);
    b.extend(port.to_be_bytes());
    b.extend(443u16.to_be_bytes());
    b.extend(seq.to_be_bytes());
    b.extend(1u32.to_be_bytes());
    b.extend([0x50, flags, 1, 0, 0, 0, 0, 0]);
    b.extend(payload);
    b
}

const A: u32 = 0xc000_0201;

fn capture(packets: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut pcap = PcapWriter::new(LinkType::RAW);
    for (n, bytes) in packets.enumerate() {
        pcap.frame(Timestamp::from_ns(i64::try_from(n).unwrap() * 10_000), &bytes);
    }
    pcap.finish()
}

fn analysis(bytes: &[u8], connections: usize) -> (Analysis, Duration) {
    let bytes = Cursor::new(bytes.to_vec()); // the copy is not what is timed
    let start = spent();
    let mut source = open_reader(Box::new(bytes)).unwrap();
    let settings = Settings { limits: Limits { connections }, ..Settings::default() };
    let analysis = analyze(&mut source, settings, &mut |_| {});
    (analysis, spent() - start)
}

/// The time that this thread has had of a processor: of a busy machine the clock on the wall would tell more than of us.
#[cfg(target_os = "linux")]
fn spent() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap())
}

/// The time since some moment.
#[cfg(not(target_os = "linux"))]
fn spent() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// What as many ordinary packets cost, the best of three.
fn ordinary() -> Duration {
    let ordinary =
        capture((0..PACKETS).map(|n| packet(A + n / 100, 40_000, 1 + (n % 100) * 1000, 0x18, &[0x17; 1000])));
    (0..3).map(|_| analysis(&ordinary, 1 << 18).1).min().unwrap()
}

/// `times` is how many times `PACKETS` the capture holds.
fn holds(name: &str, bytes: &[u8], ordinary: Duration, times: u32) -> Analysis {
    let allowed = (ordinary * 4 + Duration::from_millis(1500)) * times;
    let (analysis, took) = analysis(bytes, 20_000);
    let ratio = took.as_secs_f64() / (ordinary * times).as_secs_f64();
    println!("{name:46} {ratio:6.1} times ordinary, {took:?} of {allowed:?}");
    assert!(took <= allowed, "{name}: {took:?} is more than {allowed:?}, which linear time keeps");
    analysis
}

#[test]
fn hostile_captures_take_linear_time() {
    let ordinary = ordinary();
    let scrambled = |n: u32| n.wrapping_mul(2_654_435_761);

    let a = holds(
        "SYNs from as many hosts",
        &capture((0..PACKETS).map(|n| packet(n, 40_000, n, 0x02, &[]))),
        ordinary,
        1,
    );
    assert_eq!(a.connections.len(), PACKETS as usize);
    assert_eq!(
        a.counts.connections_evicted,
        u64::from(PACKETS) - 20_000,
        "the table is bounded, and says so"
    );

    let overlaps = (0..PACKETS).map(|n| packet(A, 40_000, scrambled(n) % 30_000, 0x18, &[n as u8; 300]));
    holds("overlapping segments in any order", &capture(overlaps), ordinary, 1);

    let holes = (0..PACKETS).map(|n| packet(A, 40_000, n * 2, 0x18, &[1]));
    holds("a hole between any two bytes", &capture(holes), ordinary, 1);

    let backwards = (0..PACKETS).map(|n| packet(A, 40_000, 1_000_000 - n * 2, 0x18, &[1]));
    holds("a stream sent backwards", &capture(backwards), ordinary, 1);

    let a = holds(
        "nothing but resets",
        &capture((0..PACKETS).map(|n| packet(A, 40_000, scrambled(n), 0x14, &[]))),
        ordinary,
        1,
    );
    assert!(a.connections.len() == 1 && a.findings.len() <= 1);

    let each = (0..PACKETS).map(|n| packet(A + n % 5000, 40_000, scrambled(n), 0x04, &[]));
    holds("resets in five thousand connections", &capture(each), ordinary, 1);

    // four times as many packets: what is quadratic shows
    let drawn = (0..PACKETS * 4).map(|n| {
        let mut b = packet(A, 1024 + (n % 64_000) as u16, n, 0x04, &[]);
        b[4..6].copy_from_slice(&((scrambled(n) >> 16) as u16).to_be_bytes());
        b[34..36].copy_from_slice(&((n % 65_535 + 1) as u16).to_be_bytes());
        b
    });
    holds("resets of one path, no two alike", &capture(drawn), ordinary, 4);

    let far = (0..PACKETS).map(|n| packet(A + n / 2, 40_000, 1 + (n % 2) * 32_700, 0x18, &[0x16]));
    holds("the first byte of a stream and one far off", &capture(far), ordinary, 1);

    let reuse = (0..PACKETS).map(|n| packet(A, 40_000, scrambled(n), 0x02, &[]));
    let a = holds("a new connection on the same port each time", &capture(reuse), ordinary, 1);
    assert_eq!(a.connections.len(), PACKETS as usize);

    let hello = Hello::to("example.org").records(&[1; 400]);
    let bytewise = (0..PACKETS).map(|n| {
        let at = n as usize % hello.len();
        packet(A + n / hello.len() as u32, 40_000, 1 + at as u32, 0x18, &hello[at..=at])
    });
    let a = holds("hellos in records and segments of one byte", &capture(bytewise), ordinary, 1);
    assert!(a.connections.iter().filter(|c| c.sni.as_deref() == Some("example.org")).count() > 20);

    let fragments = (0..PACKETS).map(|n| {
        let mut b = packet(A, 40_000, n, 0x18, &[0; 8]);
        b[4..6].copy_from_slice(&(n as u16).to_be_bytes());
        b[6..8].copy_from_slice(&(0x2000 | (n as u16 & 0xff)).to_be_bytes());
        b
    });
    let a = holds("fragments that never end", &capture(fragments), ordinary, 1);
    assert!(a.counts.fragments_incomplete > u64::from(PACKETS) / 2);

    let far = (0..PACKETS).map(|n| {
        let mut b = packet(A, 40_000, n, 0x18, &[]);
        b.truncate(28);
        b[2..4].copy_from_slice(&28u16.to_be_bytes());
        b[4..6].copy_from_slice(&(n as u16).to_be_bytes());
        b[6..8].copy_from_slice(&(0x2000u16 | 0x1ffd).to_be_bytes());
        b
    });
    holds("fragments at the end of the longest datagram", &capture(far), ordinary, 1);

    let nested = (0..PACKETS / 4).map(|n| {
        (0..30).fold(packet(A, 40_000, n, 0x10, &[]), |inner, _| {
            let mut b = packet(A, 0, 0, 0, &[])[..20].to_vec();
            b[9] = 4;
            b[2..4].copy_from_slice(&u16::try_from(20 + inner.len()).unwrap().to_be_bytes());
            [b, inner].concat()
        })
    });
    let a = holds("tunnels thirty deep", &capture(nested), ordinary, 1);
    assert_eq!(a.connections.len(), 0);
}

#[test]
fn hostile_files_take_linear_time() {
    let ordinary = ordinary();
    let mut blocks = PcapngWriter::with(ByteOrder::Little, &[]);
    blocks.interface(LinkType::RAW, 0, &[]);
    for _ in 0..PACKETS * 4 {
        blocks.other(0x0bad_f00d, &[]);
    }
    let a = holds("blocks of no known type", &blocks.finish(), ordinary, 1);
    assert_eq!(a.files[0].blocks_skipped_count, u64::from(PACKETS) * 4);

    let comment = "c".repeat(30_000);
    let mut comments = PcapngWriter::with(ByteOrder::Little, &[]);
    comments.interface(LinkType::RAW, 0, &[]);
    let bytes = packet(A, 40_000, 1, 0x18, &[1]);
    let len = u32::try_from(bytes.len()).unwrap();
    for n in 0..u64::from(PACKETS / 20) {
        comments.packet(0, n, &bytes, len, &[BlockOption::comment(&comment)]);
    }
    let a = holds("a long comment on each packet", &comments.finish(), ordinary, 1);
    assert_eq!(a.files[0].comment_count, u64::from(PACKETS / 20));
    assert!(a.files[0].comments.len() <= 100, "and only the first are kept");
}

#[test]
fn losses_beyond_all_numbers_are_added_up() {
    let mut file = PcapngWriter::with(ByteOrder::Little, &[]);
    file.interface(LinkType::RAW, 0, &[]);
    for _ in 0..2 {
        file.packet(0, 1, &[0x45], 1, &[BlockOption::number(4, u64::MAX)]);
    }
    file.statistics(0, &[BlockOption::number(5, u64::MAX)]);
    let open = || open_reader(Box::new(Cursor::new(file.finish()))).unwrap();
    let mut both = pinchpoint::capture::merge(vec![open(), open()]);
    let analysis = analyze(&mut both, Settings::default(), &mut |_| {});
    assert_eq!(analysis.counts.dropped_between, u64::MAX);
    let capture = pinchpoint::report::Capture { path: "merged".to_owned(), sha256: None, analysis };
    assert_eq!(capture.kernel_dropped(), Some(u64::MAX));
}
