//! The part of an analysis that sees packets: it counts and decodes them, and hands on the connections that are over.

use crate::base::{Endpoint, Timestamp};
use crate::capture::{Frame, LinkType, Source};
use crate::flow::Segment;
use crate::flow::connection::Connection;
use crate::flow::defrag::Defragmenter;
use crate::flow::key::Key;
use crate::flow::refusal::Notice;
use crate::flow::table::{FlowTable, Limits};
use crate::flow::udp::Datagram;
use crate::measure::datagrams::Datagrams;
use crate::wire::ip::Ip;
use crate::wire::tcp::Tcp;
use crate::wire::{Packet, Payload, decode, dns};

use super::Counts;

/// A connection that is over, and how far the capture had come by then.
pub(super) type Over = (Box<Connection>, Timestamp);

/// An Ethernet frame of more payload than this was put together by the host (1500 and room for tunnels and tags;
/// jumbo frames of 9000 bytes are as rare as they are telling).
const LONGEST_SEGMENT: u32 = 1600;

/// The part that sees packets.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) table: FlowTable,
    defrag: Defragmenter,
    pub(super) datagrams: Datagrams,
    pub(super) counts: Counts,
    previous: Option<Timestamp>,
    /// Which of the connections it takes, where several share them.
    share: Option<Share>,
}

/// One of several equal shares of all connections; the first has whatever is no TCP as well.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) nth: u32,
    pub(super) of: u32,
}

impl Front {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            table: FlowTable::new(limits),
            defrag: Defragmenter::default(),
            datagrams: Datagrams::new(limits.connections),
            counts: Counts::default(),
            previous: None,
            share: None,
        }
    }

    /// One that takes only a share of the connections.
    pub(super) fn of_share(limits: Limits, share: Share) -> Self {
        Self { table: FlowTable::unnumbered(limits), share: Some(share), ..Self::new(limits) }
    }

    /// Reads a source to its end.
    pub(super) fn read<S: Source + ?Sized>(
        &mut self,
        source: &mut S,
        progress: &mut dyn FnMut(u64),
        over: &mut impl FnMut(Over),
    ) {
        let mut n = 0u32;
        while let Some(frame) = source.next_frame() {
            self.push(&frame, over);
            n = n.wrapping_add(1);
            if n.trailing_zeros() >= 14 {
                progress(source.position());
            }
        }
        self.end(over);
    }

    /// Whether it is the one of several that takes what is no TCP.
    fn is_first(&self) -> bool {
        self.share.is_none_or(|s| s.nth == 0)
    }

    /// Whether a connection is its own to take.
    #[inline]
    fn takes(&self, key: &Key) -> bool {
        self.share.is_none_or(|s| key.share(s.of) == s.nth)
    }

    /// Takes one frame; `over` gets the connections that are over by now.
    #[inline(always)]
    pub(super) fn push(&mut self, frame: &Frame<'_>, over: &mut impl FnMut(Over)) {
        self.count(frame);
        self.table.clock(frame.at);
        if let Some((ip, tcp)) = decode::tcp_in_ipv4(frame) {
            self.push_tcp(frame, &ip, &tcp, false, over);
        } else if let Some((ip, tcp)) = decode::tcp_in_ipv6(frame) {
            self.push_tcp(frame, &ip, &tcp, false, over);
        } else {
            self.push_packet(frame, &decode::frame(frame), over);
        }
    }

    #[inline(always)]
    fn push_tcp(
        &mut self,
        frame: &Frame<'_>,
        ip: &Ip,
        tcp: &Tcp<'_>,
        tunnelled: bool,
        over: &mut impl FnMut(Over),
    ) {
        self.counts.tcp += 1;
        self.counts.tunnelled += u64::from(tunnelled);
        self.counts.offloaded += u64::from(tcp.payload_len > LONGEST_SEGMENT);
        let src = Endpoint { addr: ip.src, port: tcp.src_port() };
        let dst = Endpoint { addr: ip.dst, port: tcp.dst_port() };
        if src.port == dns::PORT || dst.port == dns::PORT {
            self.push_dns_over_tcp(frame, ip, tcp);
        }
        let ends = Key::new(src, dst);
        if self.takes(&ends.0) {
            let segment = Segment::new(frame.number, frame.at, ip, tcp);
            let now = self.counts.last.unwrap_or(frame.at);
            self.table.push(&segment, ends, tcp, tunnelled, &mut |c| over((c, now)));
        }
    }

    #[cold]
    fn push_dns_over_tcp(&mut self, frame: &Frame<'_>, ip: &Ip, tcp: &Tcp<'_>) {
        if self.is_first() && !tcp.payload.is_empty() {
            let segment = Segment::new(frame.number, frame.at, ip, tcp);
            let src = Endpoint { addr: ip.src, port: tcp.src_port() };
            let dst = Endpoint { addr: ip.dst, port: tcp.dst_port() };
            self.datagrams.push_dns_over_tcp(&Datagram::of_tcp(&segment, src, dst, tcp));
        }
    }

    /// Takes what a frame holds, whatever it is.
    #[inline(never)]
    fn push_packet(&mut self, frame: &Frame<'_>, packet: &Packet<'_>, over: &mut impl FnMut(Over)) {
        match (packet.payload, &packet.ip) {
            (Payload::Tcp(tcp), Some(ip)) => self.push_tcp(frame, ip, &tcp, packet.tunnelled, over),
            (Payload::Fragment(data), Some(ip)) => {
                self.counts.fragments += 1;
                let whole = ip.fragment.and_then(|f| self.defrag.push(frame.at, ip, f, data));
                let Some((ip, payload)) = whole else { return };
                let packet = decode::reassembled(ip, &payload);
                if !matches!(packet.payload, Payload::Fragment(_)) {
                    self.push_packet(frame, &packet, over); // a fragment in a fragment is none that is looked at
                }
            }
            (Payload::Udp(udp), Some(ip)) => {
                self.counts.udp += 1;
                if !self.is_first() {
                    return;
                }
                self.datagrams.push(&Datagram::new(frame.number, frame.at, ip, &udp, packet.tunnelled));
            }
            (Payload::Quoted(quoted), ip) => {
                if let Some(ip) = ip
                    && self.takes(&Key::new(quoted.src, quoted.dst).0)
                {
                    let (frame, at) = (frame.number, frame.at);
                    self.table.quoted(Notice { frame, at, from: ip.src, ttl: ip.ttl, quoted });
                }
                *self.counts.other.entry("icmp_error").or_default() += 1;
            }
            (Payload::Stopped(stop), _) => *self.counts.undecoded.entry(stop).or_default() += 1,
            (Payload::Other(name), _) => *self.counts.other.entry(name).or_default() += 1,
            (Payload::Fragment(_) | Payload::Tcp(_) | Payload::Udp(_), _) => {} // these always have IP
        }
    }

    #[inline]
    fn count(&mut self, frame: &Frame<'_>) {
        let c = &mut self.counts;
        c.frames += 1;
        c.wire_bytes += u64::from(frame.wire_len);
        c.captured_bytes += frame.data.len() as u64;
        c.cut_frames += u64::from((frame.data.len() as u64) < u64::from(frame.wire_len));
        c.dropped_between = c.dropped_between.saturating_add(frame.dropped_before); // a file may claim anything
        if c.link_types.last() != Some(&frame.link_type) {
            note_link_type(&mut c.link_types, frame.link_type);
        }
        let Some(previous) = self.previous.replace(frame.at) else {
            (c.first, c.last, c.earliest) = (Some(frame.at), Some(frame.at), Some(frame.at));
            return;
        };
        let step = frame.at.since(previous).ns();
        c.longest_gap_ns = c.longest_gap_ns.max(step);
        if step < 0 {
            c.time_went_back += 1;
            c.earliest = c.earliest.min(Some(frame.at));
        } else {
            c.last = c.last.max(Some(frame.at));
        }
    }

    /// Ends all connections that are left.
    pub(super) fn end(&mut self, over: &mut impl FnMut(Over)) {
        let now = self.counts.last.unwrap_or_default();
        self.table.finish(&mut |c| over((c, now)));
        self.defrag.finish();
        self.counts.fragments_incomplete = self.defrag.incomplete;
        self.counts.connections_evicted = self.table.evicted;
        self.counts.connections_forgotten = self.table.forgotten();
    }
}

/// Puts a link type on the list, if it is not there.
#[cold]
fn note_link_type(list: &mut Vec<LinkType>, link_type: LinkType) {
    if list.len() < 64 && !list.contains(&link_type) {
        list.push(link_type);
    }
}
