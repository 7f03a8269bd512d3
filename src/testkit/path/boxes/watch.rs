//! How a box knows which connections it acts upon: it reads names as they pass.

use std::collections::BTreeMap;

use crate::base::{Direction, Endpoint, Span, Timestamp};
use crate::testkit::path::packet::Packet;
use crate::testkit::path::scenario::{On, Target};
use crate::wire::dns;
use crate::wire::http::{self, HeadScan};
use crate::wire::quic;
use crate::wire::tcp::Flags;
use crate::wire::tls::{self, Scan};

/// What a box has seen of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    head: Vec<u8>,
    next: Option<u32>,
    /// When it was set off.
    pub(super) since: Option<Timestamp>,
    packets: u32,
    bytes: u64,
    /// The next sequence number of each end: the client's, the server's.
    pub(super) seq: [u32; 2],
    /// The last TTL, IP-ID and window of each end.
    pub(super) last: [(u8, u16, u16); 2],
}

/// The connections that a box sees.
pub(super) struct Watch {
    target: Target,
    flows: BTreeMap<(Endpoint, Endpoint), Flow>,
    residual: BTreeMap<Endpoint, Timestamp>,
}

/// What a packet is to a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acts {
    /// Nothing.
    No,
    /// It belongs to a connection that is acted upon.
    Yes,
    /// It is what set the box off.
    First,
}

impl Watch {
    pub(super) fn new(target: &Target) -> Self {
        Self { target: target.clone(), flows: BTreeMap::new(), residual: BTreeMap::new() }
    }

    /// Looks at a packet.
    pub(super) fn see(&mut self, now: Timestamp, direction: Direction, packet: &Packet) -> Acts {
        let ends = packet.ends(direction);
        let flags = packet.flags();
        // what opens a connection: a SYN, or the first datagram
        let first = !packet.is_tcp() && !self.flows.contains_key(&ends);
        let syn = direction == Direction::ToServer && (flags.has(Flags::SYN) || first);
        if syn {
            self.flows.insert(ends, Flow::default());
        }
        let residual = self.residual.get(&ends.1).is_some_and(|until| now < *until);
        let flow = self.flows.entry(ends).or_default();
        if packet.is_tcp() {
            flow.note(direction, packet);
        }
        let before = flow.since;
        if before.is_none() {
            let set_off = match self.target.on {
                _ if residual && syn => true,
                On::Syn => syn,
                On::Data => direction == Direction::ToServer && !packet.payload().is_empty(),
                On::Name => {
                    direction == Direction::ToServer
                        && flow.read_name(packet).is_some_and(|n| self.target.has(&n))
                }
            };
            if set_off {
                flow.since = Some(now);
                // a name starts the time; what fails meanwhile does not start it anew
                if self.target.residual_s > 0.0 && !residual {
                    self.residual.insert(ends.1, now + super::ms(self.target.residual_s * 1e3));
                }
            }
        }
        let Some(since) = flow.since else { return Acts::No };
        if before.is_some() {
            flow.packets += 1;
        }
        if direction == Direction::ToClient {
            flow.bytes += packet.payload().len() as u64;
        }
        let for_long = Span::from_ns((self.target.for_s * 1e9) as i64);
        let begun = flow.packets >= self.target.after_packets
            && (flow.bytes > self.target.after_bytes || self.target.after_bytes == 0)
            && now.since(since).secs_f64() >= self.target.after_s;
        if !begun || self.target.for_s > 0.0 && now.since(since) > for_long {
            return Acts::No;
        }
        if before.is_none() { Acts::First } else { Acts::Yes }
    }

    /// What is known of the packet's connection.
    pub(super) fn flow(&mut self, direction: Direction, packet: &Packet) -> &mut Flow {
        self.flows.entry(packet.ends(direction)).or_default()
    }
}

impl Target {
    fn has(&self, name: &str) -> bool {
        self.names.is_empty()
            || self
                .names
                .iter()
                .any(|n| name == n || name.strip_suffix(n.as_str()).is_some_and(|r| r.ends_with('.')))
    }
}

impl Flow {
    fn note(&mut self, direction: Direction, packet: &Packet) {
        let side = usize::from(direction == Direction::ToClient);
        let end = packet.seq().wrapping_add(packet.seq_len());
        if packet.flags().has(Flags::RST) {
            return;
        }
        if packet.flags().has(Flags::SYN) || end.wrapping_sub(self.seq[side]) as i32 > 0 {
            self.seq[side] = end;
        }
        self.last[side] = (packet.ttl(), packet.ip_id(), packet.window());
    }

    /// The name, once its hello or request is whole.
    fn read_name(&mut self, packet: &Packet) -> Option<String> {
        let payload = packet.payload();
        if !packet.is_tcp() {
            if packet.destination().port == dns::PORT {
                return Some(dns::message(payload)?.question?.name.to_ascii_lowercase());
            }
            return name_in_initial(payload);
        }
        if payload.is_empty() || self.head.len() > 16_384 {
            return None;
        }
        if self.next.is_some_and(|n| n != packet.seq()) {
            return None; // out of order: this box joins only what comes in order
        }
        self.head.extend(payload);
        self.next = Some(packet.seq().wrapping_add(payload.len() as u32));
        if let Scan::Complete(hello) = tls::client_hello(&self.head) {
            return hello.server_name.map(|n| n.folded);
        }
        match http::request(&self.head) {
            HeadScan::Complete(request) => request.host.map(|h| h.folded),
            _ => None,
        }
    }
}

/// The name in a client's first Initial, which this box opens by itself; hellos of several packets pass unread.
fn name_in_initial(datagram: &[u8]) -> Option<String> {
    let Some(quic::Packet::Long(long)) = quic::packets(datagram).next() else { return None };
    let keys = quic::initial_keys(long.version, long.dcid)?;
    let mut frames = Vec::new();
    keys[Direction::ToServer].open(&long, 0, &mut frames).ok()?;
    let crypto = quic::Frames::new(&frames).find_map(|f| match f {
        quic::Frame::Crypto { offset: 0, data } => Some(data),
        _ => None,
    })?;
    match tls::client_hello_message(crypto) {
        Scan::Complete(hello) => hello.server_name.map(|n| n.folded),
        _ => None,
    }
}
