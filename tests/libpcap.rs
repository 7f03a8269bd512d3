//! Our reader against libpcap's, on captures that the test writes. Built only where libpcap is (see `build.rs`).
#![cfg(libpcap)]
#![allow(clippy::cast_possible_truncation)] // numbers are cut to the width of their field on purpose

use libpcap::{Capture, Precision};
use std::path::Path;

/// Everything that both readers tell of a frame.
type Seen = (i64, u32, Vec<u8>);

/// A small generator of numbers (xorshift), so that the captures are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

fn ours(path: &Path) -> (Vec<Seen>, u16) {
    use pinchpoint::capture::Source as _;
    let mut source = pinchpoint::capture::open_path(path).expect("opens");
    let mut frames = Vec::new();
    while let Some(f) = source.next_frame() {
        frames.push((f.at.ns(), f.wire_len, f.data.to_vec()));
    }
    (frames, source.facts().interfaces[0].link_type.0)
}

fn theirs(path: &Path) -> (Vec<Seen>, u16) {
    let mut capture = Capture::from_file_with_precision(path, Precision::Nano).expect("opens");
    let link_type = u16::try_from(capture.get_datalink().0).expect("a small number");
    let mut frames = Vec::new();
    // Ends at the end of the file and, as ours, at damage.
    while let Ok(p) = capture.next_packet() {
        // In nanosecond precision the field of microseconds holds nanoseconds.
        let ns = p.header.ts.tv_sec * 1_000_000_000 + p.header.ts.tv_usec;
        frames.push((ns, p.header.len, p.data.to_vec()));
    }
    (frames, link_type)
}

/// Has both read the same file; `frames` is what was written, where that is known.
fn check(bytes: &[u8], frames: Option<usize>) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("capture");
    std::fs::write(&path, bytes).expect("writes");
    let (ours, theirs) = (ours(&path), theirs(&path));
    for (n, (a, b)) in ours.0.iter().zip(&theirs.0).enumerate() {
        assert_eq!(a, b, "frame {}", n + 1);
    }
    assert_eq!((ours.0.len(), ours.1), (theirs.0.len(), theirs.1));
    assert_eq!(frames.unwrap_or(ours.0.len()), ours.0.len());
}

/// Appends a number in the given byte order.
fn put(out: &mut Vec<u8>, big: bool, n: u32) {
    out.extend(if big { n.to_be_bytes() } else { n.to_le_bytes() });
}

// The writers of the testkit are not used on purpose: they share our reading of the format.

fn pcap(numbers: &mut Numbers, big: bool, magic: u32, frames: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, big, magic);
    out.extend(if big { [0, 2, 0, 4] } else { [2, 0, 4, 0] });
    for n in [0, 0, 65_535, 1] {
        put(&mut out, big, n);
    }
    for _ in 0..frames {
        let length = numbers.next(1600) as u32;
        let fraction = numbers.next(if magic == 0xa1b2_3c4d { 1_000_000_000 } else { 1_000_000 }) as u32;
        // Seconds stay below 2³¹: libpcap reads them as signed.
        for n in [numbers.next(1 << 31) as u32, fraction, length, length + numbers.next(3) as u32 * 700] {
            put(&mut out, big, n);
        }
        out.extend((0..length).map(|_| numbers.next(256) as u8));
    }
    out
}

fn block(out: &mut Vec<u8>, big: bool, block_type: u32, body: &[u8]) {
    let padded = body.len().next_multiple_of(4);
    let length = padded as u32 + 12;
    put(out, big, block_type);
    put(out, big, length);
    out.extend(body);
    out.resize(out.len() + padded - body.len(), 0);
    put(out, big, length);
}

fn pcapng(numbers: &mut Numbers, big: bool, tsresol: u8, frames: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = Vec::new();
    put(&mut body, big, 0x1a2b_3c4d);
    body.extend(if big { [0, 1, 0, 0] } else { [1, 0, 0, 0] });
    body.extend([0xff; 8]);
    block(&mut out, big, 0x0a0d_0d0a, &body);
    for _ in 0..2 {
        let mut body = if big { vec![0, 1, 0, 0] } else { vec![1, 0, 0, 0] };
        put(&mut body, big, 0);
        body.extend(if big { [0, 9, 0, 1] } else { [9, 0, 1, 0] });
        body.extend([tsresol, 0, 0, 0, 0, 0, 0, 0]);
        block(&mut out, big, 1, &body);
    }
    for n in 0..frames {
        let length = numbers.next(1600) as u32;
        // In milliseconds this reaches 2039.
        let ticks = numbers.next(1 << 41);
        let mut body = Vec::new();
        let wire_len = length + numbers.next(2) as u32 * 9;
        for n in [n as u32 % 2, (ticks >> 32) as u32, ticks as u32, length, wire_len] {
            put(&mut body, big, n);
        }
        body.extend((0..length).map(|_| numbers.next(256) as u8));
        block(&mut out, big, 6, &body);
        if n % 7 == 0 {
            block(&mut out, big, 0x0bad, &[1, 2, 3, 4, 5]);
        }
    }
    out
}

#[test]
fn pcap_of_both_resolutions_and_byte_orders() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for big in [false, true] {
        for magic in [0xa1b2_c3d4, 0xa1b2_3c4d] {
            check(&pcap(&mut numbers, big, magic, 3000), Some(3000));
        }
    }
}

#[test]
fn a_cut_pcap() {
    let whole = pcap(&mut Numbers(7), false, 0xa1b2_c3d4, 12);
    for cut in (24..whole.len()).step_by(97) {
        check(&whole[..cut], None);
    }
}

#[test]
fn pcapng_of_both_byte_orders_and_several_resolutions() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for big in [false, true] {
        // libpcap rounds where a unit is no whole number of nanoseconds, so only those that are one.
        for tsresol in [6, 9, 3] {
            check(&pcapng(&mut numbers, big, tsresol, 1500), Some(1500));
        }
    }
}
