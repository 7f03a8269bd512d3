//! What a recording says of itself: who made it, from which interface, how, and what happened on the way.

use super::tap::Counters;
use super::trim::{SHORT, WHOLE};
use crate::base::Timestamp;
use crate::capture::write::{BlockOption, PcapngWriter};
use crate::capture::{ByteOrder, LinkType};

/// What the head of a recording states.
#[derive(Clone, Debug)]
pub struct Head {
    /// Name of the interface.
    pub interface: String,
    /// Link type of its packets.
    pub link_type: LinkType,
    /// Most bytes taken of a packet.
    pub snaplen: u32,
    /// The capture filter; empty where there is none.
    pub filter: String,
    /// Whether everything is recorded.
    pub all: bool,
    /// The names whose conversations are recorded whole.
    pub targets: Vec<String>,
}

/// Nanoseconds, as `if_tsresol` has them.
const NANOSECONDS: u8 = 9;

impl Head {
    /// The section header and the description of the interface.
    pub fn blocks(&self) -> Vec<u8> {
        let mut section = vec![
            BlockOption::bytes(3, std::env::consts::OS),
            BlockOption::bytes(4, concat!("pinchpoint ", env!("CARGO_PKG_VERSION"))),
        ];
        if !self.all {
            section.push(BlockOption::comment(&format!(
                "recorded by pinchpoint without --all: {}",
                what_is_kept(&self.targets)
            )));
        }
        let mut interface =
            vec![BlockOption::bytes(2, self.interface.as_str()), BlockOption::tsresol(NANOSECONDS)];
        if !self.filter.is_empty() {
            interface.push(BlockOption::bytes(11, [b"\0", self.filter.as_bytes()].concat()));
        }
        let mut w = PcapngWriter::with(ByteOrder::Little, &section);
        w.interface(self.link_type, self.snaplen, &interface);
        w.finish()
    }
}

/// What a recording without `--all` holds, in words.
pub fn what_is_kept(targets: &[String]) -> String {
    let whole = if targets.is_empty() {
        "DNS whole".to_owned()
    } else {
        format!(
            "whole: DNS, and conversations with {} (by hello, or by address as DNS gave it)",
            targets.join(", ")
        )
    };
    format!(
        "IP only; {whole}; of each direction of other conversations the first {} KiB of payload, then headers and {SHORT} \
         bytes of each packet",
        WHOLE >> 10
    )
}

/// Appends a note as a comment on the interface's statistics, where it does not count as a packet.
pub fn note(w: &mut PcapngWriter, at: Timestamp, text: &str) {
    w.statistics(0, &[BlockOption::comment(&format!("{at}: {text}"))]);
}

/// The block that ends a file: what was counted while it was written. Always of one length.
pub fn counters(c: Counters, from: Timestamp, to: Timestamp) -> Vec<u8> {
    let mut w = PcapngWriter::within(ByteOrder::Little);
    // start and end are two 32-bit words, the higher one first
    let time = |t: Timestamp| {
        let ns = u64::try_from(t.ns()).unwrap_or(0);
        let [high, low] = [ns >> 32, ns & 0xffff_ffff].map(|n| u32::try_from(n).unwrap_or(0).to_le_bytes());
        [high, low].concat()
    };
    w.statistics(
        0,
        &[
            BlockOption::bytes(2, time(from)),
            BlockOption::bytes(3, time(to)),
            BlockOption::number(4, c.received),
            BlockOption::number(5, c.dropped_interface),
            BlockOption::number(7, c.dropped_kernel),
        ],
    );
    w.finish()
}
