//! Tests of the whole room: files built by the testkit's writers, read back.

use super::*;
use crate::testkit::pcap::{BlockOption, PcapWriter, PcapngWriter};
use proptest::prelude::*;
use std::io::{self, Cursor, Read, Write};

/// A frame that outlives the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned(u64, i64, u16, u32, Vec<u8>, u32);

fn read_all(source: &mut impl Source) -> Vec<Owned> {
    let mut frames = Vec::new();
    while let Some(f) = source.next_frame() {
        frames.push(Owned(f.number, f.at.ns(), f.link_type.0, f.interface, f.data.to_vec(), f.wire_len));
    }
    assert!(source.next_frame().is_none());
    frames
}

fn open(bytes: &[u8]) -> Result<FileSource, Error> {
    open_reader(Box::new(Cursor::new(bytes.to_vec())))
}

fn read(bytes: &[u8]) -> (Vec<Owned>, Facts) {
    let mut source = open(bytes).unwrap();
    let frames = read_all(&mut source);
    (frames, source.facts().clone())
}

const fn at(ns: i64) -> Timestamp {
    Timestamp::from_ns(ns)
}

const T: i64 = 1_700_000_000_000_000_000;

/// Gives its bytes in pieces of changing length, with interruptions.
struct Pieces(Cursor<Vec<u8>>, Vec<usize>, usize);

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.2 += 1;
        if self.2.is_multiple_of(4) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = self.1[self.2 % self.1.len()].clamp(1, buf.len());
        Read::read(&mut self.0, &mut buf[..n])
    }
}

#[test]
fn pcap_of_every_kind() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for (magic, nanoseconds, modified) in
            [(0xa1b2_c3d4, false, false), (0xa1b2_3c4d, true, false), (0xa1b2_cd34, false, true)]
        {
            let mut file = PcapWriter::with_header(order, magic, (2, 4), 0, 1);
            file.frame(at(T + 123_456_789), b"first").cut_frame(at(T + 2_000_000_000), b"second", 1500);
            file.frame(at(T), b"");
            let (frames, facts) = read(&file.finish());
            let first = T + if nanoseconds { 123_456_789 } else { 123_456_000 };
            assert_eq!(
                frames,
                [
                    Owned(1, first, 1, 0, b"first".to_vec(), 5),
                    Owned(2, T + 2_000_000_000, 1, 0, b"second".to_vec(), 1500),
                    Owned(3, T, 1, 0, vec![], 0),
                ]
            );
            assert_eq!(facts.format, Format::Pcap { nanoseconds, order, modified });
            assert_eq!((facts.ended, facts.frames, facts.sections), (End::Complete, 3, 1));
            assert_eq!(facts.interfaces[0].snaplen, 0);
            assert_eq!(facts.link_types, [LinkType::ETHERNET]);
        }
    }
}

#[test]
fn pcap_oddities() {
    // Upper half of the link type field: a check sequence of 4 bytes.
    let mut file = PcapWriter::with_header(ByteOrder::Big, 0xa1b2_c3d4, (2, 4), 99, 0x2400_0001);
    // A fraction beyond a second, and the greatest moment there is.
    file.record(1, 2_500_000, 1, 1, b"x").record(u32::MAX, u32::MAX, 1, 1, b"x");
    let (frames, facts) = read(&file.finish());
    assert_eq!(facts.interfaces[0].fcs_len, Some(4));
    assert_eq!(frames[0].1, 3_500_000_000);
    assert_eq!(frames[1].1, 4_294_967_295_000_000_000 + 4_294_967_295_000);
    // Lengths swapped by old versions.
    for (version, lengths, expected) in
        [((2, 2), (90, 3), 90), ((2, 3), (90, 3), 90), ((2, 3), (3, 90), 90), ((2, 4), (3, 2), 2)]
    {
        let mut file = PcapWriter::with_header(ByteOrder::Little, 0xa1b2_c3d4, version, 99, 1);
        file.record(1, 0, lengths.0, lengths.1, b"abc");
        let (frames, _) = read(&file.finish());
        assert_eq!((frames[0].4.as_slice(), frames[0].5), (&b"abc"[..], expected));
    }
    let file = PcapWriter::with_header(ByteOrder::Little, 0xa1b2_c3d4, (3, 0), 99, 1).finish();
    assert!(open(&file).err().unwrap().to_string().contains("pcap version 3.0"));
}

#[test]
fn an_absurd_length_is_damage() {
    let mut file = PcapWriter::new(LinkType::ETHERNET);
    file.frame(at(T), b"good").record(1, 1, 262_145, 262_145, &vec![0; 300_000]);
    let (frames, facts) = read(&file.finish());
    assert_eq!(frames.len(), 1);
    assert!(matches!(facts.ended, End::Damaged { offset: 44, .. }));
    // The longest that is none, and a type that may have more.
    let mut file = PcapWriter::new(LinkType::ETHERNET);
    file.frame(at(T), &vec![7; 262_144]).frame(at(T), b"z");
    assert_eq!(read(&file.finish()).0.len(), 2);
    let mut file = PcapWriter::new(LinkType::USBPCAP);
    file.frame(at(T), &vec![7; 9_000_000]).frame(at(T), b"z");
    let (frames, facts) = read(&file.finish());
    assert_eq!((frames[0].4.len(), &frames[1].4[..]), (9_000_000, &b"z"[..]));
    assert_eq!(facts.ended, End::Complete);
}

/// Every block type, two sections of opposite byte order, every option that is looked at.
fn rich(order: ByteOrder) -> PcapngWriter {
    let other = if order == ByteOrder::Big { ByteOrder::Little } else { ByteOrder::Big };
    let section = [
        BlockOption::comment("of the section"),
        BlockOption::bytes(2, "cpu"),
        BlockOption::bytes(3, "Linux\0"),
        BlockOption::bytes(4, "dumpcap"),
    ];
    let mut file = PcapngWriter::with(order, &section);
    let first = [
        BlockOption::bytes(2, "eth0"),
        BlockOption::bytes(3, "uplink"),
        BlockOption::tsresol(9),
        BlockOption::bytes(11, *b"\0tcp"),
        BlockOption::bytes(12, "Linux 6"),
        BlockOption::bytes(13, [4]),
    ];
    file.interface(LinkType::ETHERNET, 96, &first);
    file.interface(LinkType::RAW, 0, &[BlockOption::number(14, 100u64.wrapping_neg())]);
    file.other(4, &[1, 2, 3, 4]).other(10, b"keys").other(0x77, b"unknown");
    let options = [BlockOption::comment("one"), BlockOption::comment("two"), BlockOption::number(4, 7)];
    file.packet(0, T.unsigned_abs(), b"frame 1", 60, &options);
    file.packet(1, 200_000_000, b"frame 2", 7, &[]);
    file.other(0xbad, &[0; 20]);
    file.simple_packet(&[5; 100], 200);
    file.obsolete_packet(1, 3, 300_000_000, b"frame 5", 9);
    file.packet(9, 1, b"nowhere", 7, &[]);
    file.statistics(0, &[BlockOption::number(5, 2), BlockOption::number(7, 1)]);
    file.statistics(0, &[BlockOption::number(4, 99), BlockOption::number(5, 4), BlockOption::number(7, 1)]);
    file.statistics(1, &[BlockOption::number(5, 10), BlockOption::comment("of statistics")]);
    file.section(other, &[]);
    file.interface(LinkType::LINUX_SLL, 0, &[BlockOption::tsresol(0x81)]);
    file.packet(0, 3, b"frame 7", 7, &[]);
    file
}

#[test]
fn pcapng_of_every_kind() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let (frames, facts) = read(&rich(order).finish());
        let expected = [
            Owned(1, T, 1, 0, b"frame 1".to_vec(), 60),
            Owned(2, 100_000_000_000, 101, 1, b"frame 2".to_vec(), 7),
            Owned(4, 100_000_000_000, 1, 0, vec![5; 96], 200),
            Owned(5, 200_000_000_000, 101, 1, b"frame 5".to_vec(), 9),
            Owned(7, 1_500_000_000, 113, 2, b"frame 7".to_vec(), 7),
        ];
        assert_eq!(frames, expected);
        assert_eq!(facts.format, Format::Pcapng { order });
        assert_eq!((facts.ended, facts.sections, facts.interface_count), (End::Complete, 2, 3));
        assert_eq!((facts.without_interface, facts.without_timestamp), (1, 1));
        assert_eq!((facts.blocks_skipped_count, facts.records_without_packet), (4, 1));
        assert_eq!(facts.blocks_skipped.keys().copied().collect::<Vec<_>>(), [4, 10, 0x77, 0xbad]);
        let drops = Drops { by_interface: Some(14), by_os: Some(1), before_packets: Some(10) };
        assert_eq!((facts.dropped, facts.dropped.total(), facts.received), (drops, Some(15), Some(99)));
        let texts: Vec<_> = facts.comments.iter().map(|c| (c.frame, c.text.as_str())).collect();
        assert_eq!(
            texts,
            [(None, "of the section"), (Some(1), "one"), (Some(1), "two"), (None, "of statistics")]
        );
        let (hardware, os) = (facts.hardware.as_deref(), facts.os.as_deref());
        assert_eq!(
            (hardware, os, facts.application.as_deref()),
            (Some("cpu"), Some("Linux"), Some("dumpcap"))
        );
        let first = &facts.interfaces[0];
        assert_eq!((first.name.as_deref(), first.filter.as_deref()), (Some("eth0"), Some("tcp")));
        assert_eq!((first.snaplen, first.fcs_len, first.resolution), (96, Some(4), Resolution::NANOSECONDS));
        assert_eq!(facts.interfaces[1].offset_secs, -100);
        assert_eq!(facts.interfaces[2].resolution, Resolution::Binary(1));
        assert_eq!(facts.link_types, [LinkType::ETHERNET, LinkType::RAW, LinkType::LINUX_SLL]);
    }
}

#[test]
fn pcapng_damage_keeps_what_came_before() {
    type Spoil = fn(&mut PcapngWriter) -> &mut PcapngWriter;
    let spoils: [(Spoil, &str); 7] = [
        (|w| w.raw(&[6, 0, 0, 0, 1, 0, 0, 0]), "impossible length of 1"),
        (|w| w.raw(&[0; 64]), "type 0x0 states an impossible length of 0"),
        (|w| w.raw(&[6, 0, 0, 0, 255, 255, 255, 255]), "impossible length"),
        (|w| w.raw(&[9, 9, 0, 0, 16, 0, 0, 0, 1, 2, 3, 4, 17, 0, 0, 0, 0, 0, 0, 0]), "differ (16 and 17)"),
        (|w| w.other(6, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 1, 0, 0, 0]), "of 99 bytes"),
        (|w| w.packet(0, 0, &vec![0; 262_145], 1, &[]), "more than the 262144"),
        (|w| w.other(0x0a0d_0d0a, &[0; 16]), "byte-order magic"),
    ];
    for (spoil, reason) in spoils {
        let mut file = PcapngWriter::new();
        file.interface(LinkType::ETHERNET, 0, &[]).packet(0, 1, b"good", 4, &[]);
        let offset = file.len() as u64;
        spoil(&mut file);
        file.packet(0, 1, b"never", 5, &[]);
        let (frames, facts) = read(&file.finish());
        assert_eq!(frames.len(), 1, "{reason}");
        let End::Damaged { offset: found, why } = facts.ended else { panic!("{reason}: {:?}", facts.ended) };
        assert!(found == offset && why.contains(reason), "{why}");
    }
}

#[test]
fn a_length_without_its_padding_is_tolerated() {
    let mut file = PcapngWriter::new();
    file.interface(LinkType::ETHERNET, 0, &[]);
    let before = file.len();
    file.packet(0, 1, b"fives", 5, &[]).packet(0, 1, b"next", 4, &[]);
    let mut bytes = file.finish();
    for place in [before + 4, before + 36] {
        assert_eq!(bytes[place], 40);
        bytes[place] = 37;
    }
    let (frames, facts) = read(&bytes);
    assert_eq!((frames.len(), facts.ended), (2, End::Complete));
}

#[test]
fn long_blocks_are_passed_over() {
    let mut file = PcapngWriter::new();
    file.interface(LinkType::ETHERNET, 0, &[]).other(0x99, &vec![1; 40 << 20]).packet(0, 1, b"x", 1, &[]);
    let (frames, facts) = read(&file.finish());
    assert_eq!((frames.len(), facts.ended), (1, End::Complete));
}

#[test]
fn facts_stay_small() {
    let mut file = PcapngWriter::new();
    let long = "x".repeat(5000);
    for n in 0..2000 {
        file.interface(LinkType(n), 0, &[BlockOption::bytes(2, long.as_str())]);
        file.packet(u32::from(n), 0, b"", 0, &[BlockOption::comment(&long)]);
        file.other(u32::from(n) + 0x1000, b"");
    }
    let (frames, facts) = read(&file.finish());
    assert_eq!((frames.len(), facts.interface_count, facts.comment_count), (2000, 2000, 2000));
    assert_eq!((facts.interfaces.len(), facts.comments.len()), (KEPT_INTERFACES, KEPT_COMMENTS));
    assert_eq!((facts.blocks_skipped.len(), facts.link_types.len()), (KEPT_BLOCK_TYPES, KEPT_LINK_TYPES));
    assert_eq!(facts.comments[0].text.len(), KEPT_TEXT);
    let mut file = PcapngWriter::new();
    for _ in 0..65_537 {
        file.interface(LinkType::RAW, 0, &[]);
    }
    assert!(matches!(read(&file.finish()).1.ended, End::Damaged { .. }));
}

/// Every truncation gives exactly the frames that lie before it, and says what is cut.
#[test]
fn every_truncation() {
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    let mut ends = vec![pcap.len()];
    for n in 0..5u8 {
        pcap.frame(at(T), &vec![n; usize::from(n) * 7]);
        ends.push(pcap.len());
    }
    let whole = pcap.finish();
    let all = read(&whole).0;
    for cut in 0..=whole.len() {
        match open(&whole[..cut]) {
            Err(e) => {
                assert!(cut < 24);
                let expected = match cut {
                    0 => "empty",
                    1..=3 => "neither",
                    _ => "within the file header",
                };
                assert!(e.to_string().contains(expected), "{cut}: {e}");
            }
            Ok(mut source) => {
                let complete = ends.iter().filter(|&&end| end <= cut).count() - 1;
                assert_eq!(read_all(&mut source), all[..complete]);
                let last = ends[complete];
                match &source.facts().ended {
                    End::Complete => assert_eq!(last, cut),
                    End::Truncated { offset, .. } => assert!(*offset == last as u64 && last < cut),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    let whole = rich(ByteOrder::Big).finish();
    let all = read(&whole).0;
    let mut complete = 0;
    let mut wholes = 0;
    for cut in 0..=whole.len() {
        let Ok(mut source) = open(&whole[..cut]) else {
            assert!(cut < 92, "{cut}");
            continue;
        };
        let frames = read_all(&mut source);
        assert!(frames == all[..frames.len()] && frames.len() >= complete);
        complete = frames.len();
        match &source.facts().ended {
            End::Complete => wholes += 1,
            End::Truncated { offset, .. } => assert!(*offset < cut as u64),
            other => panic!("{other:?}"),
        }
    }
    // As many places to cut without harm as there are blocks.
    assert_eq!((complete, wholes), (all.len(), 18));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn noise(length: u32) -> Vec<u8> {
    #[allow(clippy::cast_possible_truncation)]
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 21) as u8 & 0x3f).collect()
}

fn many_frames(frames: u32) -> Vec<u8> {
    let mut file = PcapWriter::new(LinkType::ETHERNET);
    for n in 0..frames {
        file.frame(at(T + i64::from(n) * 1000), &noise(n % 1500));
    }
    file.finish()
}

/// A file compressed in two members or frames, by every method.
fn compressed(bytes: &[u8]) -> Vec<(Compression, Vec<u8>)> {
    let (a, b) = bytes.split_at(bytes.len() / 3);
    // A skippable frame of three bytes first and between.
    let skippable = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9].to_vec();
    let xz = |bytes: &[u8]| {
        let mut out = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    vec![
        (Compression::Gzip, [gzip(a), gzip(b)].concat()),
        (Compression::Zstd, [skippable.clone(), zstd(a), skippable, zstd(b)].concat()),
        (Compression::Xz, [xz(a), xz(b)].concat()),
    ]
}

#[test]
fn compressed_captures() {
    let plain = many_frames(3000);
    let expected = read(&plain).0;
    for (compression, bytes) in compressed(&plain) {
        let mut source = open(&bytes).unwrap();
        assert_eq!(source.facts().compression, Some(compression));
        assert!(read_all(&mut source) == expected, "{compression:?}");
        assert_eq!(source.facts().ended, End::Complete);
        assert_eq!(source.position(), bytes.len() as u64);

        // Cut: what comes before is there (of xz, all but the chunk that is cut, at most 2 MiB).
        let mut source = open(&bytes[..bytes.len() / 4 * 3]).unwrap();
        let frames = read_all(&mut source);
        assert!(
            frames == expected[..frames.len()] && frames.len() > 1000,
            "{compression:?} {}",
            frames.len()
        );
        let End::Truncated { what, .. } = &source.facts().ended else { panic!("{:?}", source.facts().ended) };
        assert!(what.contains(compression.name()));

        // Damaged: no frame is lost that was whole when the damage was found, and it is said.
        let mut spoilt = bytes.clone();
        let place = bytes.len() / 2;
        spoilt[place..place + 64].fill(0xff);
        let mut source = open(&spoilt).unwrap();
        let frames = read_all(&mut source);
        assert!(frames.len() > 900, "{compression:?} {}", frames.len());
        assert!(
            matches!(source.facts().ended, End::Damaged { .. } | End::Truncated { .. }),
            "{:?}",
            source.facts().ended
        );
        let twice = gzip(&bytes);
        assert!(matches!(open(&twice), Err(Error::Nested { outer: Compression::Gzip, .. })));
    }
    assert!(matches!(open(&gzip(b"hello there")), Err(Error::NoCapture { .. })));
    assert!(matches!(open(b"\x1f\x8b\x08\0\0"), Err(Error::Compressed { .. })));
}

/// A reader that fails after its bytes.
struct Fails(Cursor<Vec<u8>>);

impl Read for Fails {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match Read::read(&mut self.0, buf)? {
            0 => Err(io::Error::other("the disk is on fire")),
            n => Ok(n),
        }
    }
}

#[test]
fn errors_of_the_system_are_told() {
    let plain = many_frames(100);
    for bytes in [plain.clone(), gzip(&plain), zstd(&plain)] {
        let mut source = open_reader(Box::new(Fails(Cursor::new(bytes)))).unwrap();
        assert!(read_all(&mut source).len() >= 99);
        let End::Io { error, .. } = &source.facts().ended else { panic!("{:?}", source.facts().ended) };
        assert!(error.contains("on fire"), "{error}");
    }
    assert!(matches!(open_reader(Box::new(Fails(Cursor::new(vec![])))), Err(Error::Read(_))));
    assert!(matches!(open_path(std::path::Path::new("/no/such/file")), Err(Error::Open(_))));
    assert!(matches!(open_path(std::path::Path::new("/")), Err(Error::Read(_) | Error::Open(_))));
}

#[test]
fn the_limits_of_decompression_hold() {
    // A zstd frame that asks for a window of 1 GiB: descriptor 0, window exponent 20, one empty raw block.
    let huge = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 1, 0, 0];
    let Err(Error::Compressed { why, .. }) = open(&huge) else { panic!() };
    assert!(why.contains("zstd"), "{why}");
}

fn merged_of(files: &[Vec<(i64, u8)>]) -> Vec<(u64, u32, i64, u8)> {
    let sources = files
        .iter()
        .map(|frames| {
            let mut file = PcapWriter::with(ByteOrder::Little, true, LinkType::RAW);
            for (ns, mark) in frames {
                file.frame(at(*ns), &[*mark]);
            }
            open(&file.finish()).unwrap()
        })
        .collect();
    let mut merged = merge(sources);
    let mut out = Vec::new();
    while let Some(f) = merged.next_frame() {
        out.push((f.number, f.file, f.at.ns(), f.data[0]));
    }
    assert!(merged.files().iter().all(|facts| facts.ended == End::Complete));
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The merge equals a stable sort of the files one after the other.
    #[test]
    fn merging_is_a_stable_sort(mut files in prop::collection::vec(prop::collection::vec((0i64..50, any::<u8>()), 0..20), 0..5)) {
        for file in &mut files {
            file.sort_by_key(|f| f.0);
        }
        let mut truth: Vec<(u32, i64, u8)> = (0u32..)
            .zip(&files)
            .flat_map(|(n, file)| file.iter().map(move |&(ns, mark)| (n, ns, mark)))
            .collect();
        truth.sort_by_key(|f| f.1);
        let truth: Vec<_> = (1u64..).zip(truth).map(|(n, (file, ns, mark))| (n, file, ns, mark)).collect();
        prop_assert_eq!(merged_of(&files), truth);
    }

    #[test]
    fn pcap_is_read_as_written(
        frames in prop::collection::vec((0i64..4_000_000_000_000_000_000, prop::collection::vec(any::<u8>(), 0..3000), any::<u32>()), 0..40),
        pieces in prop::collection::vec(1usize..5000, 1..6),
        big: bool,
    ) {
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let mut file = PcapWriter::with(order, true, LinkType(300));
        let mut ng = PcapngWriter::with(order, &[]);
        ng.interface(LinkType(300), 0, &[BlockOption::tsresol(9)]);
        for (ns, data, wire_len) in &frames {
            file.cut_frame(at(*ns), data, *wire_len);
            ng.packet(0, ns.unsigned_abs(), data, *wire_len, &[]);
        }
        let truth: Vec<_> =
            (1..).zip(&frames).map(|(n, (ns, data, len))| Owned(n, *ns, 300, 0, data.clone(), *len)).collect();
        for bytes in [file.finish(), ng.finish()] {
            let reader = Pieces(Cursor::new(bytes), pieces.clone(), 0);
            let mut source = open_reader(Box::new(reader)).unwrap();
            prop_assert!(read_all(&mut source) == truth);
            prop_assert_eq!(&source.facts().ended, &End::Complete);
        }
    }

    /// Any bytes behind any magic number end without a panic, and what is given out lies within the file.
    #[test]
    fn any_bytes_end(start in 0usize..8, bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let starts: [&[u8]; 8] = [
            b"", b"\xd4\xc3\xb2\xa1\x02\0\x04\0", b"\xa1\xb2\xcd\x34\0\x02\0\x04",
            b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\0\0\0\0\0\0\0\0\x1c\0\0\0",
            b"\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\x01\0\0",
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0",
        ];
        let bytes = [starts[start], &bytes].concat();
        if let Ok(mut source) = open(&bytes) {
            let total: usize = read_all(&mut source).iter().map(|f| f.4.len()).sum();
            prop_assert!(source.facts().compression.is_some() || total <= bytes.len());
            prop_assert!(source.facts().ended != End::Open);
        }
    }

    /// Small changes to sound files, which reach further than noise does.
    #[test]
    fn any_change_ends(which in 0usize..5, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = match which {
            0 => rich(ByteOrder::Little).finish(),
            1 => many_frames(20),
            n => compressed(&many_frames(60)).swap_remove(n - 2).1,
        };
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(mut source) = open(&bytes) {
            read_all(&mut source);
            prop_assert!(source.facts().ended != End::Open);
        }
    }
}
