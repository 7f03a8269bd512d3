//! Packets made to be slow to analyse, or to fill what is kept: raw IPv4, of which the number makes the packet.

use crate::testkit::tls::Hello;

/// Makes so many packets.
pub type Maker = fn(u32) -> Box<dyn Iterator<Item = Vec<u8>>>;

/// A kind of hostile traffic.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name in benches and their records.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Makes its packets.
    pub packets: Maker,
}

/// All of them, after `ordinary`, which the others are held against.
pub const CASES: [Case; 14] = [
    case("ordinary", "ordinary packets: connections of a hundred", |n| {
        each(n, |n| packet(A + n / 100, 40_000, 1 + (n % 100) * 1000, 0x18, &[0x17; 1000]))
    }),
    case("hostile-syns", "SYNs from as many hosts", |n| each(n, |n| packet(n, 40_000, n, 0x02, &[]))),
    case("hostile-overlaps", "overlapping segments in any order", |n| {
        each(n, |n| packet(A, 40_000, scrambled(n) % 30_000, 0x18, &[n.to_be_bytes()[3]; 300]))
    }),
    case("hostile-gaps", "a hole between any two bytes", |n| {
        each(n, |n| packet(A, 40_000, n * 2, 0x18, &[1]))
    }),
    case("hostile-backwards", "a stream sent backwards", |n| {
        each(n, |n| packet(A, 40_000, 1_000_000u32.wrapping_sub(n * 2), 0x18, &[1]))
    }),
    case("hostile-resets", "nothing but resets", |n| each(n, |n| packet(A, 40_000, scrambled(n), 0x14, &[]))),
    case("hostile-resets-each", "resets in five thousand connections", |n| {
        each(n, |n| packet(A + n % 5000, 40_000, scrambled(n), 0x04, &[]))
    }),
    case("hostile-resets-drawn", "resets of one path, no two alike", |n| {
        each(n, |n| {
            let port = 1024 + u16::try_from(n % 64_000).unwrap_or(0);
            let mut b = packet(A, port, n, 0x04, &[]);
            b[4..6].copy_from_slice(&scrambled(n).to_be_bytes()[..2]);
            b[34..36].copy_from_slice(&u16::try_from(n % 65_535 + 1).unwrap_or(1).to_be_bytes());
            b
        })
    }),
    case("hostile-far", "the first byte of a stream and one far off", |n| {
        each(n, |n| packet(A + n / 2, 40_000, 1 + (n % 2) * 32_700, 0x18, &[0x16]))
    }),
    case("hostile-reuse", "a new connection on the same port each time", |n| {
        each(n, |n| packet(A, 40_000, scrambled(n), 0x02, &[]))
    }),
    case("hostile-bytewise", "hellos in records and segments of one byte", |packets| {
        let hello = Hello::to("example.org").records(&[1; 400]);
        let len = u32::try_from(hello.len()).unwrap_or(u32::MAX);
        Box::new((0..packets).map(move |n| {
            let at = n as usize % hello.len();
            packet(A + n / len, 40_000, 1 + n % len, 0x18, &hello[at..=at])
        }))
    }),
    case("hostile-fragments", "fragments that never end", |n| {
        each(n, |n| fragment(packet(A, 40_000, n, 0x18, &[0; 8]), n, 0x2000 | (n & 0xff)))
    }),
    case("hostile-fragments-far", "fragments at the end of the longest datagram", |n| {
        each(n, |n| {
            let mut b = packet(A, 40_000, n, 0x18, &[]);
            b.truncate(28);
            b[2..4].copy_from_slice(&28u16.to_be_bytes());
            fragment(b, n, 0x2000 | 0x1ffd)
        })
    }),
    case("hostile-tunnels", "tunnels thirty deep", |n| {
        each(n, |n| {
            (0..30).fold(packet(A, 40_000, n, 0x10, &[]), |inner, _| {
                let mut b = packet(A, 0, 0, 0, &[])[..20].to_vec();
                b[9] = 4;
                b[2..4].copy_from_slice(&u16::try_from(20 + inner.len()).unwrap_or(0).to_be_bytes());
                [b, inner].concat()
            })
        })
    }),
];

const fn case(name: &'static str, about: &'static str, packets: Maker) -> Case {
    Case { name, about, packets }
}

fn each(packets: u32, make: fn(u32) -> Vec<u8>) -> Box<dyn Iterator<Item = Vec<u8>>> {
    Box::new((0..packets).map(make))
}

/// The address of a client.
const A: u32 = 0xc000_0201;

fn scrambled(n: u32) -> u32 {
    n.wrapping_mul(2_654_435_761)
}

/// A bare IPv4 TCP packet from this address and port to one server; its checksums are not set.
fn packet(src: u32, port: u16, seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(40 + payload.len()).unwrap_or(u16::MAX);
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

/// The packet as a fragment, with these 16 bits of flags and offset.
fn fragment(mut packet: Vec<u8>, id: u32, flags: u32) -> Vec<u8> {
    packet[4..6].copy_from_slice(&id.to_be_bytes()[2..]);
    packet[6..8].copy_from_slice(&flags.to_be_bytes()[2..]);
    packet
}
