//! What is kept of UDP: a row for each QUIC connection, a short one for each other flow of the web's ports, and the DNS
//! transactions, those over TCP too.

use crate::base::endpoint::PerDirection;
use crate::base::{Endpoint, Timestamp};
use crate::flow::dns::{DnsLog, Transport};
use crate::flow::udp::{Datagram, Side, UdpFlow, UdpTable};

use super::QuicSummary;
use super::dns::DnsRows;
use crate::wire::dns::PORT;

/// The most rows of flows that speak no QUIC.
pub const MAX_OTHER: usize = 1 << 16;

/// A flow of port 80 or 443 that speaks no QUIC: whether other UDP comes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpRow {
    /// The end with the higher port.
    pub client: Endpoint,
    /// The other end.
    pub server: Endpoint,
    /// The frame that it begins with.
    pub first_frame: u64,
    /// When it began.
    pub started: Timestamp,
    /// What each end sent.
    pub sides: PerDirection<Side>,
}

/// The UDP of a capture, as it is read.
#[derive(Clone, Debug)]
pub struct Datagrams {
    table: UdpTable,
    dns: DnsLog,
    rows: Rows,
}

/// What is left of flows that are over.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// QUIC connections, in the order of their first frames once the capture is read.
    pub quic: Vec<QuicSummary>,
    /// Other flows, the first [`MAX_OTHER`] that ended.
    pub other: Vec<UdpRow>,
    /// Other flows beyond those.
    pub other_not_kept: u64,
    /// Flows given up because too many were open.
    pub evicted: u64,
    /// DNS transactions.
    pub dns: DnsRows,
}

impl Rows {
    fn take(&mut self, flow: UdpFlow) {
        if flow.quic.is_some() {
            self.quic.extend(QuicSummary::new(flow));
        } else if self.other.len() < MAX_OTHER {
            let UdpFlow { client, server, first_frame, started, sides, .. } = flow;
            self.other.push(UdpRow { client, server, first_frame, started, sides });
        } else {
            self.other_not_kept += 1;
        }
    }
}

impl Datagrams {
    /// Nothing read yet; at most `limit` flows are followed at one time.
    pub fn new(limit: usize) -> Self {
        Self { table: UdpTable::new(limit), dns: DnsLog::default(), rows: Rows::default() }
    }

    /// Takes a datagram.
    pub fn push(&mut self, d: &Datagram<'_>) {
        let rows = &mut self.rows;
        if d.src.port == PORT || d.dst.port == PORT {
            self.dns.push(d, Transport::Udp, &mut |t| rows.dns.take(t));
        } else {
            self.table.push(d, &mut |flow| rows.take(flow));
        }
    }

    /// Takes the payload of a TCP segment of port 53.
    pub fn push_dns_over_tcp(&mut self, d: &Datagram<'_>) {
        let rows = &mut self.rows;
        self.dns.push(d, Transport::Tcp, &mut |t| rows.dns.take(t));
    }

    /// Rows of flows and transactions that are over.
    pub fn rows(&self) -> usize {
        self.rows.quic.len() + self.rows.other.len() + self.rows.dns.rows.len()
    }

    /// Drops the rows of what was over by `before`.
    pub fn forget(&mut self, before: Timestamp) {
        let rows = &mut self.rows;
        rows.quic.retain(|q| q.started + q.duration >= before);
        rows.other.retain(|o| o.started >= before);
        rows.dns.forget(before);
    }

    /// Drops all but the newest rows, `most` or a few less.
    pub fn keep_newest(&mut self, most: usize) {
        let (rows, each) = (&mut self.rows, most / 3);
        rows.quic.drain(..rows.quic.len().saturating_sub(each));
        rows.other.drain(..rows.other.len().saturating_sub(each));
        rows.dns.keep_newest(each);
    }

    /// The rows, with all that is still open.
    pub fn finish(mut self) -> Rows {
        let rows = &mut self.rows;
        self.table.finish(&mut |flow| rows.take(flow));
        rows.quic.sort_by_key(|q| q.first_frame); // stable: two of one frame keep the order in which they ended
        rows.other.sort_by_key(|o| o.first_frame);
        rows.evicted = self.table.evicted();
        self.dns.finish(&mut |t| rows.dns.take(t));
        rows.dns.sort();
        (rows.dns.evicted, rows.dns.unread) = (self.dns.evicted(), self.dns.unread);
        self.rows
    }
}
