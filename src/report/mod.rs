//! An analysis made readable: for programs and for people. Renders; decides nothing.

pub mod inert_json;
pub mod json;
mod json_dns;
pub mod json_live;
mod json_quic;
pub mod names;
pub mod ooni;
pub mod quality;
mod rows_json;
pub mod says;
pub mod style;
pub mod text;
pub mod units;

use crate::analysis::Analysis;

/// One capture of an answer: a file, or several merged.
#[derive(Debug)]
pub struct Capture {
    /// The path as the user gave it, or `-`.
    pub path: String,
    /// SHA-256 of the file, where the user asked for it.
    pub sha256: Option<String>,
    /// What was found.
    pub analysis: Analysis,
}

impl Capture {
    /// The snaplen that its interfaces share; `None` where it has none or several, or no limit.
    pub fn snaplen(&self) -> Option<u32> {
        let mut lens = self.analysis.files.iter().flat_map(|f| &f.interfaces).map(|i| i.snaplen);
        let first = lens.next()?;
        (first != 0 && lens.all(|l| l == first)).then_some(first)
    }

    /// Packets that the kernel dropped while capturing, where the capture says so.
    pub fn kernel_dropped(&self) -> Option<u64> {
        self.analysis.files.iter().filter_map(|f| f.dropped.total()).reduce(u64::saturating_add)
    }
}

/// The Wireshark display filter that selects some frames of some streams.
pub fn wireshark_filter(streams: &[u64], frames: &[u64]) -> String {
    let list = |n: &[u64]| n.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    if streams.is_empty() {
        return format!("frame.number in {{{}}}", list(frames)); // QUIC, which has no tcp.stream
    }
    let of = match streams {
        [one] => format!("tcp.stream eq {one}"),
        several => format!("tcp.stream in {{{}}}", list(several)),
    };
    if frames.is_empty() { of } else { format!("{of} && frame.number in {{{}}}", list(frames)) }
}
