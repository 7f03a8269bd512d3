//! Captures made to be slow or large: none takes more than linear time, and what is bounded stays so.
//!
//! The bound on time is a coarse one, which quadratic time breaks and a busy machine does not. The cost against as many
//! ordinary packets is printed (`-- --nocapture`); `docs/benchmarks/speed.md` has the figures of longer runs.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_possible_truncation)]

use std::io::Cursor;
use std::time::Duration;

use pinchpoint::analysis::{Analysis, Settings, analyze};
use pinchpoint::base::Timestamp;
use pinchpoint::capture::{ByteOrder, LinkType, open_reader};
use pinchpoint::flow::table::Limits;
use pinchpoint::testkit::clock::spent;
use pinchpoint::testkit::pcap::{BlockOption, PcapWriter, PcapngWriter};
use pinchpoint::testkit::traffic::hostile::CASES;

const PACKETS: u32 = 60_000;

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
    (analysis, spent().saturating_sub(start))
}

/// The packets of a case of `testkit::traffic`.
fn case(name: &str, packets: u32) -> Vec<u8> {
    let case = CASES.iter().find(|c| c.name == name).unwrap();
    capture((case.packets)(packets))
}

/// What as many ordinary packets cost, the best of three.
fn ordinary() -> Duration {
    let ordinary = case("ordinary", PACKETS);
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
    for c in CASES {
        // no two resets alike: four times as many packets, so that what is quadratic shows
        let times = if c.name == "hostile-resets-drawn" { 4 } else { 1 };
        let a = holds(c.about, &case(c.name, PACKETS * times), ordinary, times);
        match c.name {
            "hostile-syns" => {
                assert_eq!(a.connections.len(), PACKETS as usize);
                let evicted = u64::from(PACKETS) - 20_000;
                assert_eq!(a.counts.connections_evicted, evicted, "the table is bounded, and says so");
            }
            "hostile-resets" => assert!(a.connections.len() == 1 && a.findings.len() <= 1),
            "hostile-reuse" => assert_eq!(a.connections.len(), PACKETS as usize),
            "hostile-bytewise" => {
                let read = a.connections.iter().filter(|c| c.sni.as_deref() == Some("example.org")).count();
                assert!(read > 20, "{read} names read");
            }
            "hostile-fragments" => assert!(a.counts.fragments_incomplete > u64::from(PACKETS) / 2),
            "hostile-tunnels" => assert_eq!(a.connections.len(), 0),
            _ => {}
        }
    }
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
    let bytes = [0x45; 41];
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
