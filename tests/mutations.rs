//! A short, seeded fuzzing run on every `cargo test`: captures of our own making, mutated, through every fuzz target.
//! The long runs are `fuzz/`'s.

#![allow(clippy::unwrap_used)]

use pinchpoint::capture::LinkType;
use pinchpoint::testkit::conversation::{Conversation, capture};
use pinchpoint::testkit::fixture::reset_after_hello;
use pinchpoint::testkit::fuzz;
use pinchpoint::testkit::pcap::PcapWriter;
use pinchpoint::testkit::rng::Rng;
use pinchpoint::testkit::scripts::{KINDS, Place};
use pinchpoint::testkit::tls::{Hello, server_flight_12, server_flight_13};
use pinchpoint::testkit::{dns, quic, udp};

/// Flips, cuts, repeats and inserts, a few at a time.
fn mutated(seed: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..rng.range(1, 9) {
        if bytes.is_empty() {
            break;
        }
        let at = usize::try_from(rng.range(0, bytes.len() as u64)).unwrap();
        let byte = u8::try_from(rng.range(0, 256)).unwrap();
        match rng.range(0, 7) {
            0 => bytes[at] = byte,
            1 => bytes[at] ^= 1 << (byte & 7),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][usize::from(byte) % 5],
            3 => bytes.truncate(at),
            4 => bytes.insert(at, byte),
            5 => {
                let end = (at + usize::from(byte)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let end = (at + usize::from(byte)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    bytes
}

fn scripts() -> Vec<u8> {
    let all: Vec<Conversation> = KINDS.iter().zip(3u64..).map(|(k, n)| k.play(n, Place::Middle)).collect();
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    for frame in capture(&all) {
        pcap.frame(frame.at, &frame.bytes);
    }
    pcap.finish()
}

#[test]
fn mutated_captures_break_nothing() {
    let mut rng = Rng::new(2024);
    for seed in [reset_after_hello(1).bytes, scripts()] {
        fuzz::program(&seed);
        for _ in 0..300 {
            let bytes = mutated(&seed, &mut rng);
            fuzz::capture(&bytes);
            fuzz::program(&bytes);
        }
    }
}

#[test]
fn mutated_frames_and_words_break_nothing() {
    let mut rng = Rng::new(2025);
    let conversation = KINDS[0].play(9, Place::Client);
    let hello = Hello::post_quantum("example.org").records(&[1, 40, 700]);
    for _ in 0..20_000 {
        let frame =
            &conversation.frames[usize::try_from(rng.range(0, conversation.frames.len() as u64)).unwrap()];
        let link = u8::try_from(rng.range(0, 256)).unwrap();
        fuzz::decode(&mutated(
            &[&[if rng.range(0, 2) == 0 { 1 } else { link }, 0], &frame.bytes[..]].concat(),
            &mut rng,
        ));
    }
    for seed in
        [hello, server_flight_12(900), server_flight_13(900), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()]
    {
        for _ in 0..3_000 {
            fuzz::tls(&mutated(&seed, &mut rng));
        }
    }
    for _ in 0..2_000 {
        let frame = &conversation.frames[3].bytes[14..];
        let len = u8::try_from(frame.len().min(255)).unwrap();
        let one = [&[len], &frame[..usize::from(len)]].concat();
        fuzz::frames(&mutated(&one.repeat(4), &mut rng));
    }
}

#[test]
fn mutated_datagrams_break_nothing() {
    let mut rng = Rng::new(2027);
    let all = udp::capture();
    let mut pcap = PcapWriter::new(LinkType::ETHERNET);
    for frame in &all {
        pcap.frame(frame.at, &frame.bytes);
    }
    let seed = pcap.finish();
    fuzz::program(&seed);
    for _ in 0..200 {
        fuzz::program(&mutated(&seed, &mut rng));
    }
    let hello = Hello::post_quantum("x.com").message();
    let piece = |at: usize| quic::crypto(at, &hello[at..at + 200]);
    let script: Vec<u8> = [0usize, 200, 400]
        .iter()
        .flat_map(|at| {
            [&[0, 8, 203 + u8::from(*at > 63), 20][..], &piece(*at), &[7, 0, 6, 20], &quic::close(0x128)]
                .concat()
        })
        .collect();
    let query = dns::query(7, "a.example", 1);
    let answer = dns::answer(
        7,
        "a.example",
        1,
        0x8180,
        &[dns::address([192, 0, 2, 1].into(), 60), dns::alias("b.example", 9)],
    );
    let message = |m: &[u8]| [&[u8::try_from(m.len()).unwrap(), 20], m].concat();
    let messages = [message(&query), message(&answer), message(&answer)].concat();
    for _ in 0..4_000 {
        fuzz::quic(&mutated(&script, &mut rng));
        fuzz::dns(&mutated(&messages, &mut rng));
        fuzz::dns(&mutated(&answer, &mut rng));
        let frame = &all[usize::try_from(rng.range(0, all.len() as u64)).unwrap()].bytes[42..];
        fuzz::quic(&mutated(frame, &mut rng));
    }
}

#[test]
fn scripts_of_any_bytes_break_nothing() {
    let mut rng = Rng::new(2026);
    for n in 0..3_000u64 {
        let bytes: Vec<u8> = (0..rng.range(1, 400)).map(|_| rng.next_u64().to_le_bytes()[3]).collect();
        fuzz::flow(&bytes);
        fuzz::quic(&bytes);
        fuzz::dns(&bytes);
        if n % 5 == 0 {
            // a handshake and a hello in each conversation, so that the rest comes to something
            let opened = [[0, 0, 0, 0], [1, 1, 0, 0], [64, 0, 0, 0], [65, 0, 0, 0]].concat();
            fuzz::script(&[&opened[..], &bytes].concat());
        }
    }
}

/// Found by the fuzzer: times far apart must not overflow.
#[test]
fn times_at_the_ends_of_what_a_file_can_say() {
    let extremes = [i64::MIN, i64::MIN / 2, -1, 0, 1, i64::MAX / 10, i64::MAX / 2, i64::MAX];
    for kind in KINDS {
        let conversation = kind.play(7, Place::Client);
        for (n, step) in extremes.iter().enumerate() {
            let mut file = pinchpoint::testkit::pcap::PcapngWriter::new();
            let option = pinchpoint::testkit::pcap::BlockOption::tsresol(9);
            file.interface(LinkType::ETHERNET, 0, &[option]);
            for (i, frame) in conversation.frames.iter().enumerate() {
                let at = if i % 3 == n % 3 { *step } else { extremes[(i + n) % extremes.len()] };
                let len = u32::try_from(frame.bytes.len()).unwrap();
                file.packet(0, at.cast_unsigned(), &frame.bytes, len, &[]);
            }
            fuzz::program(&file.finish());
        }
    }
}
