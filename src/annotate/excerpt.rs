//! Which packets are evidence: those of the connections that matter, and those that a finding names.

use std::net::IpAddr;

use crate::analysis::Analysis;
use crate::base::Endpoint;
use crate::capture::Frame;
use crate::trace::{Wanted, that_matter};
use crate::wire::{Payload, decode};

/// The packets that an excerpt keeps.
#[derive(Debug)]
pub struct Excerpt {
    index: Wanted,
    /// Frames that findings and their evidence name: an answer of DNS is part of no connection.
    told: Vec<u64>,
    /// Pairs of addresses, the smaller first: a later fragment has no ports.
    pairs: Vec<(IpAddr, IpAddr)>,
}

impl Excerpt {
    /// The connections with findings and their controls, bounded as [`that_matter`] says.
    pub fn new(a: &Analysis) -> Self {
        let places = that_matter(a);
        let named =
            a.findings.iter().flat_map(|f| f.frames.iter().chain(f.evidence.iter().flat_map(|e| &e.frames)));
        let mut told: Vec<u64> = named.copied().collect();
        told.sort_unstable();
        told.dedup();
        let ends = places.iter().filter_map(|p| a.ends(*p));
        let mut pairs: Vec<_> = ends.map(|(client, server)| pair(client.addr, server.addr)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        Self { index: Wanted::new(a, &places), told, pairs }
    }

    /// Whether a packet is kept.
    pub fn wants(&self, frame: &Frame<'_>) -> bool {
        if self.told.binary_search(&frame.number).is_ok() {
            return true;
        }
        if !self.index.may_have(frame.number) {
            return false;
        }
        let packet = decode::frame(frame);
        let Some(ip) = packet.ip else { return false };
        let of =
            |is_tcp, src: Endpoint, dst: Endpoint| self.index.find(is_tcp, src, dst, frame.number).is_some();
        let end = |addr, port| Endpoint { addr, port };
        match packet.payload {
            Payload::Tcp(t) => of(true, end(ip.src, t.src_port()), end(ip.dst, t.dst_port())),
            Payload::Udp(u) => of(false, end(ip.src, u.src_port()), end(ip.dst, u.dst_port())),
            Payload::Quoted { src, dst } => of(true, src, dst) || of(false, src, dst),
            Payload::Fragment(_) => self.pairs.binary_search(&pair(ip.src, ip.dst)).is_ok(),
            Payload::Other(_) | Payload::Stopped(_) => false,
        }
    }
}

fn pair(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    (a.min(b), a.max(b))
}
