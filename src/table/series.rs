//! The table `series`: goodput, round trips and loss of the connections that matter, in bins of time.

use super::column::Kind::{Count, Number, Text, Time, Whole};
use super::column::{Column, column};
use crate::base::Direction::{self, ToClient, ToServer};
use crate::base::Span;
use crate::trace::{Bin, Counted, Trace};

/// A row: one direction of a connection in one bin.
pub(super) struct Row<'a> {
    capture: &'a str,
    connection: u64,
    direction: Direction,
    width: Span,
    bin: &'a Bin,
}

impl Row<'_> {
    fn of(&self) -> &Counted {
        &self.bin.of[self.direction]
    }
}

/// The rows of some traces, connection by connection in order of time; a direction without packets in a bin has none.
pub(super) fn rows<'a>(capture: &'a str, traces: &'a [Trace]) -> impl Iterator<Item = Row<'a>> {
    traces.iter().flat_map(move |t| {
        let rows = t.series.bins.iter().flat_map(move |bin| {
            [ToServer, ToClient].map(|direction| Row {
                capture,
                connection: t.place as u64 + 1,
                direction,
                width: t.series.width,
                bin,
            })
        });
        rows.filter(|r| r.of().packets + r.of().round_trips > 0)
    })
}

/// The columns.
pub(super) fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        column("capture", Text, "as in `connections`", |r| r.capture.into()),
        column("connection", Count, "the connection, as in `connections`", |r| r.connection.into()),
        column("direction", Text, "`to_server` or `to_client`", |r| r.direction.name().into()),
        column("start", Time, "when the bin begins", |r| r.bin.start.ns().into()),
        column("width_ns", Whole, "how long it is: 100 ms, and more for connections of over a minute", |r| {
            r.width.ns().into()
        }),
        column("packets", Count, "packets", |r| r.of().packets.into()),
        column("bytes", Count, "payload bytes on the wire", |r| r.of().bytes.into()),
        column("goodput_bps", Number, "payload that came for the first time, in bit/s", |r| {
            r.bin.goodput_bps(r.direction, r.width).into()
        }),
        column("data_packets", Count, "packets with payload", |r| r.of().data_packets.into()),
        column("retransmitted", Count, "segments sent again: what was lost before", |r| {
            r.of().retransmitted.into()
        }),
        column("round_trips", Count, "round trips to the sender of this direction that ended here", |r| {
            r.of().round_trips.into()
        }),
        column("rtt_min_ns", Whole, "the shortest of them", |r| r.of().rtt_min.map(Span::ns).into()),
        column("rtt_mean_ns", Whole, "their mean", |r| r.of().rtt_mean().map(Span::ns).into()),
        column("rtt_max_ns", Whole, "the longest", |r| r.of().rtt_max.map(Span::ns).into()),
    ]
}
