//! What is kept of UDP: a row for each QUIC connection, and a short one for each other flow of the web's ports.

use crate::base::endpoint::PerDirection;
use crate::base::{Endpoint, Timestamp};
use crate::flow::udp::{Datagram, Side, UdpFlow, UdpTable};

use super::QuicSummary;

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
#[derive(Debug)]
pub struct Datagrams {
    table: UdpTable,
    rows: Rows,
}

/// What is left of flows that are over.
#[derive(Debug, Default)]
pub struct Rows {
    /// QUIC connections, in the order of their first frames once the capture is read.
    pub quic: Vec<QuicSummary>,
    /// Other flows, the first [`MAX_OTHER`] that ended.
    pub other: Vec<UdpRow>,
    /// Other flows beyond those.
    pub other_not_kept: u64,
    /// Flows given up because too many were open.
    pub evicted: u64,
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
        Self { table: UdpTable::new(limit), rows: Rows::default() }
    }

    /// Takes a datagram.
    pub fn push(&mut self, d: &Datagram<'_>) {
        let rows = &mut self.rows;
        self.table.push(d, &mut |flow| rows.take(flow));
    }

    /// The rows, with all that is still open.
    pub fn finish(mut self) -> Rows {
        let rows = &mut self.rows;
        self.table.finish(&mut |flow| rows.take(flow));
        rows.quic.sort_by_key(|q| q.first_frame); // stable: two of one frame keep the order in which they ended
        rows.other.sort_by_key(|o| o.first_frame);
        rows.evicted = self.table.evicted();
        self.rows
    }
}
