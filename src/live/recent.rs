//! The last packets, bounded in bytes: so that the packets around a finding can be saved when it is seen.

use std::collections::{HashSet, VecDeque};
use std::io::{self, Write};
use std::path::Path;

use crate::analysis::Analysis;
use crate::base::{Endpoint, Span, Timestamp};
use crate::capture::write::{BlockOption, PcapngWriter};
use crate::capture::{ByteOrder, Frame, LinkType};
use crate::detect::Finding;
use crate::wire::{Payload, decode};

/// Bytes of packets that are remembered.
const ROOM: usize = 32 << 20;
/// What a remembered packet costs besides its bytes.
const COST: usize = 64;
/// How long before a finding's first packet, and after its last, others of the same ends belong to it.
const AROUND: Span = Span::from_secs(60);

/// Packets that are remembered.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    packets: VecDeque<Kept>,
    size: usize,
}

#[derive(Clone, Debug)]
struct Kept {
    number: u64,
    at: Timestamp,
    link_type: LinkType,
    wire_len: u32,
    data: Box<[u8]>,
}

impl Recent {
    /// Remembers a packet; forgets the oldest where there is no room.
    pub fn push(&mut self, f: &Frame<'_>) {
        self.size += f.data.len() + COST;
        let (number, at, link_type, wire_len) = (f.number, f.at, f.link_type, f.wire_len);
        self.packets.push_back(Kept { number, at, link_type, wire_len, data: f.data.into() });
        while self.size > ROOM
            && let Some(oldest) = self.packets.pop_front()
        {
            self.size -= oldest.data.len() + COST;
        }
    }

    /// The number of the oldest packet that is remembered.
    pub fn oldest(&self) -> Option<u64> {
        self.packets.front().map(|p| p.number)
    }

    /// Saves the packets of a finding's connections around it to a new file; gives how many.
    ///
    /// # Errors
    /// Where none is remembered any more, or the file cannot be written.
    pub fn save(&self, f: &Finding, a: &Analysis, text: &str, path: &Path) -> io::Result<u64> {
        let ends: HashSet<[Endpoint; 2]> = f.connections.iter().filter_map(|c| ends(a, *c)).collect();
        let times = self.packets.iter().filter(|p| f.frames.contains(&p.number)).map(|p| p.at);
        let (from, to) = times.fold((f.at, f.at), |(from, to), t| (from.min(t), to.max(t)));
        let near = |p: &&Kept| from.since(p.at) <= AROUND && p.at.since(to) <= AROUND;
        let of_it: Vec<&Kept> = self
            .packets
            .iter()
            .filter(near)
            .filter(|p| p.is_of(&ends) || f.frames.contains(&p.number))
            .collect();
        let Some(first) = of_it.first() else {
            return Err(io::Error::other(
                "its packets are not remembered any more; a recording (-w) has them",
            ));
        };
        let comment = BlockOption::comment(&format!("saved by pinchpoint live: {text}"));
        let application = BlockOption::bytes(4, concat!("pinchpoint ", env!("CARGO_PKG_VERSION")));
        let mut w = PcapngWriter::with(ByteOrder::Little, &[application, comment]);
        w.interface(first.link_type, 0, &[BlockOption::tsresol(9)]);
        let mut saved = 0;
        for p in of_it.iter().filter(|p| p.link_type == first.link_type) {
            let number = BlockOption::comment(&format!("frame {} of the live capture", p.number));
            w.packet(0, u64::try_from(p.at.ns()).unwrap_or(0), &p.data, p.wire_len, &[number]);
            saved += 1;
        }
        let mut options = std::fs::OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.write(true).create_new(true).open(path)?;
        file.write_all(&w.finish())?;
        Ok(saved)
    }
}

impl Kept {
    fn is_of(&self, ends: &HashSet<[Endpoint; 2]>) -> bool {
        let (at, link_type, data) = (self.at, self.link_type, &*self.data);
        let (number, wire_len) = (self.number, self.wire_len);
        let p = decode::frame(&Frame {
            number,
            at,
            link_type,
            file: 0,
            interface: 0,
            data,
            wire_len,
            dropped_before: 0,
        });
        let (from, to) = match (p.payload, p.ip) {
            (Payload::Tcp(t), Some(ip)) => ((ip.src, t.src_port()), (ip.dst, t.dst_port())),
            (Payload::Udp(u), Some(ip)) => ((ip.src, u.src_port()), (ip.dst, u.dst_port())),
            _ => return false,
        };
        let end = |(addr, port)| Endpoint { addr, port };
        ends.contains(&in_order(end(from), end(to)))
    }
}

fn in_order(a: Endpoint, b: Endpoint) -> [Endpoint; 2] {
    if a < b { [a, b] } else { [b, a] }
}

/// The ends of the connection at a place of the list, those of QUIC behind those of TCP.
fn ends(a: &Analysis, place: usize) -> Option<[Endpoint; 2]> {
    let of_tcp = a.connections.get(place).map(|c| (c.client, c.server));
    let of_quic = || a.udp.quic.get(place.checked_sub(a.connections.len())?).map(|q| (q.client, q.server));
    of_tcp.or_else(of_quic).map(|(client, server)| in_order(client, server))
}
