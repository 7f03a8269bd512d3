//! A template segment for this crate's tests: each test changes only the fields that it is about.

use crate::base::{SeqNum, Timestamp};
use crate::wire::checksum::Checksum;
use crate::wire::tcp::Flags;

use super::Segment;

/// An ACK from somewhere in the middle of a connection.
pub(crate) const SEGMENT: Segment = Segment {
    frame: 1,
    at: Timestamp::from_ns(0),
    seq: SeqNum(1000),
    ack: SeqNum(5000),
    flags: Flags::ACK,
    window: 502,
    len: 0,
    header_len: 20,
    ttl: 57,
    ip_id: Some(0x1234),
    dont_fragment: true,
    timestamps: None,
    checksum: Checksum::Good,
};

/// The header bytes of a segment, without options.
pub(crate) fn tcp_bytes(s: &Segment) -> Vec<u8> {
    let mut b = vec![0; 20];
    b[0..2].copy_from_slice(&443u16.to_be_bytes());
    b[2..4].copy_from_slice(&50_000u16.to_be_bytes());
    b[4..8].copy_from_slice(&s.seq.0.to_be_bytes());
    b[8..12].copy_from_slice(&s.ack.0.to_be_bytes());
    b[12..14].copy_from_slice(&(0x5000 | s.flags.0).to_be_bytes());
    b[14..16].copy_from_slice(&s.window.to_be_bytes());
    b
}
