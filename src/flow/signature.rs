//! Cloudflare's signatures of connections that end early, as a pure function of the first ten packets of one side.
//!
//! Names and stages are those of Sundara Raman et al., *Global, Passive Detection of Connection Tampering*, SIGCOMM
//! 2023, and of Cloudflare Radar: what the server received says at which stage a connection was reset or went
//! silent. A signature is a label, not a proof: browsers, scanners and lost connectivity make the same ones.

use crate::base::{Span, Timestamp};
use crate::wire::tcp::Flags;

use super::Segment;

/// How many packets of a side are looked at.
pub const OPENING_PACKETS: usize = 10;

/// Silence this long, with no FIN, counts as a timeout.
pub const SILENCE: Span = Span::from_secs(3);

/// One of the first packets of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// When it was captured.
    pub at: Timestamp,
    /// Its flags.
    pub flags: Flags,
    /// Its payload length.
    pub len: u32,
    /// Its acknowledgment number.
    pub ack: u32,
    /// Its sequence number: a retransmission repeats it.
    pub seq: u32,
}

/// The first packets of a side, as long as they may still make a signature: `None` once it closed, or spoke on, before any reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Openings(Option<Vec<Opening>>);

impl Default for Openings {
    fn default() -> Self {
        Self(Some(Vec::new()))
    }
}

impl Openings {
    /// Takes the next packet.
    pub(super) fn push(&mut self, s: &Segment) {
        let Some(first) = self.0.as_mut().filter(|f| f.len() < OPENING_PACKETS) else { return };
        let Segment { at, flags, len, .. } = *s;
        if first.len() == first.capacity() {
            first.reserve_exact(OPENING_PACKETS / 2);
        }
        first.push(Opening { at, flags, len, ack: s.ack.0, seq: s.seq.0 });
        let reset = first.iter().any(|p| p.flags.has(Flags::RST));
        if !reset && (flags.has(Flags::FIN) || first.len() == OPENING_PACKETS) {
            self.0 = None;
        }
    }

    /// The packets; none where they make no signature.
    pub fn packets(&self) -> &[Opening] {
        self.0.as_deref().unwrap_or_default()
    }

    /// What they and the time up to which the capture would have seen more amount to.
    pub fn signature(&self, seen_until: Timestamp) -> Option<Signature> {
        signature(self.packets(), seen_until)
    }
}

/// How far a connection had come, as the server saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureStage {
    /// Only a SYN.
    PostSyn,
    /// The handshake, and no data.
    PostAck,
    /// One packet with data.
    PostPsh,
    /// Several packets with data.
    Later,
}

impl SignatureStage {
    /// The name that Cloudflare Radar has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PostSyn => "post_syn",
            Self::PostAck => "post_ack",
            Self::PostPsh => "post_psh",
            Self::Later => "later",
        }
    }
}

/// A signature: stage, and name in Cloudflare's notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    /// The stage.
    pub stage: SignatureStage,
    /// What came, then what ended it; `∅` is silence.
    pub name: &'static str,
}

/// All nineteen, in the paper's order.
pub const SIGNATURES: [Signature; 19] = {
    use SignatureStage::{Later, PostAck, PostPsh, PostSyn};
    const fn s(stage: SignatureStage, name: &'static str) -> Signature {
        Signature { stage, name }
    }
    [
        s(PostSyn, "SYN → ∅"),
        s(PostSyn, "SYN → RST"),
        s(PostSyn, "SYN → RST+ACK"),
        s(PostSyn, "SYN → RST; RST+ACK"),
        s(PostAck, "SYN; ACK → ∅"),
        s(PostAck, "SYN; ACK → RST"),
        s(PostAck, "SYN; ACK → RST; RST"),
        s(PostAck, "SYN; ACK → RST+ACK"),
        s(PostAck, "SYN; ACK → RST+ACK; RST+ACK"),
        s(PostPsh, "PSH+ACK → ∅"),
        s(PostPsh, "PSH+ACK → RST"),
        s(PostPsh, "PSH+ACK → RST+ACK"),
        s(PostPsh, "PSH+ACK → RST; RST+ACK"),
        s(PostPsh, "PSH+ACK → RST+ACK; RST+ACK"),
        s(PostPsh, "PSH+ACK → RST = RST"),
        s(PostPsh, "PSH+ACK → RST ≠ RST"),
        s(PostPsh, "PSH+ACK → RST; RST₀"),
        s(Later, "PSH+ACK; Data → RST"),
        s(Later, "PSH+ACK; Data → RST+ACK"),
    ]
};

/// The signature of a connection, from the first packets of its client in order and the time up to which the
/// capture would have seen more. `None` where the connection does not end early, or in none of the nineteen ways.
pub fn signature(opening: &[Opening], seen_until: Timestamp) -> Option<Signature> {
    let opening = &opening[..opening.len().min(OPENING_PACKETS)];
    let first = opening.first()?;
    if !first.flags.has(Flags::SYN) || first.flags.any(Flags(Flags::ACK.0 | Flags::RST.0)) {
        return None;
    }
    let reset_at = opening.iter().position(|p| p.flags.has(Flags::RST)).unwrap_or(opening.len());
    let (before, resets) = opening.split_at(reset_at);
    if before.iter().any(|p| p.flags.has(Flags::FIN)) {
        return None;
    }
    let mut data: Vec<u32> = before.iter().filter(|p| p.len > 0).map(|p| p.seq).collect();
    data.sort_unstable();
    data.dedup(); // a retransmission is the same data
    let acked = before.iter().any(|p| p.flags.has(Flags::ACK));
    let stage = match (data.len(), acked) {
        (0, false) => SignatureStage::PostSyn,
        (0, true) => SignatureStage::PostAck,
        (1, _) => SignatureStage::PostPsh,
        _ => SignatureStage::Later,
    };
    let name = if resets.is_empty() {
        let last = before.last()?;
        if opening.len() == OPENING_PACKETS || seen_until.since(last.at) < SILENCE {
            return None;
        }
        match stage {
            SignatureStage::PostSyn => "SYN → ∅",
            SignatureStage::PostAck => "SYN; ACK → ∅",
            SignatureStage::PostPsh => "PSH+ACK → ∅",
            SignatureStage::Later => return None,
        }
    } else {
        let resets: Vec<&Opening> = resets.iter().filter(|p| p.flags.has(Flags::RST)).collect();
        let with_ack = resets.iter().filter(|p| p.flags.has(Flags::ACK)).count();
        let bare = resets.len() - with_ack;
        match (stage, bare, with_ack) {
            (SignatureStage::PostSyn, 1.., 0) => "SYN → RST",
            (SignatureStage::PostSyn, 0, 1..) => "SYN → RST+ACK",
            (SignatureStage::PostSyn, ..) => "SYN → RST; RST+ACK",
            (SignatureStage::PostAck, 1, 0) => "SYN; ACK → RST",
            (SignatureStage::PostAck, 2.., 0) => "SYN; ACK → RST; RST",
            (SignatureStage::PostAck, 0, 1) => "SYN; ACK → RST+ACK",
            (SignatureStage::PostAck, 0, 2..) => "SYN; ACK → RST+ACK; RST+ACK",
            (SignatureStage::PostAck, ..) => return None,
            (SignatureStage::PostPsh, 1, 0) => "PSH+ACK → RST",
            (SignatureStage::PostPsh, 0, 1) => "PSH+ACK → RST+ACK",
            (SignatureStage::PostPsh, 0, 2..) => "PSH+ACK → RST+ACK; RST+ACK",
            (SignatureStage::PostPsh, 2.., 0) => two_bare(&resets),
            (SignatureStage::PostPsh, ..) => "PSH+ACK → RST; RST+ACK",
            (SignatureStage::Later, _, 0) => "PSH+ACK; Data → RST",
            (SignatureStage::Later, ..) => "PSH+ACK; Data → RST+ACK",
        }
    };
    SIGNATURES.into_iter().find(|s| s.name == name)
}

/// Several resets without ACK: told apart by their acknowledgment fields.
fn two_bare(resets: &[&Opening]) -> &'static str {
    let zero = resets.iter().filter(|p| p.ack == 0).count();
    if zero > 0 && zero < resets.len() {
        "PSH+ACK → RST; RST₀"
    } else if resets.iter().all(|p| p.ack == resets[0].ack) {
        "PSH+ACK → RST = RST"
    } else {
        "PSH+ACK → RST ≠ RST"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn opening(packets: &[(Flags, u32, u32)]) -> Vec<Opening> {
        let mut seq = 100;
        let open = packets.iter().enumerate().map(|(i, &(flags, len, ack))| {
            let at = Timestamp::from_ns(i64::try_from(i).unwrap() * 1_000_000);
            let p = Opening { at, flags, len, ack, seq };
            seq += len + 1;
            p
        });
        open.collect()
    }

    fn segment(p: &Opening) -> Segment {
        let (seq, ack) = (crate::base::SeqNum(p.seq), crate::base::SeqNum(p.ack));
        Segment { at: p.at, flags: p.flags, len: p.len, seq, ack, ..super::super::testing::SEGMENT }
    }

    proptest! {
        /// What is given up early would have made no signature.
        #[test]
        fn openings_make_the_signature_of_all_packets(
            packets in prop::collection::vec((prop::sample::select(vec![2u16, 16, 24, 17, 4, 20, 18]), 0u32..3, 0u32..2), 0..14),
        ) {
            let packets: Vec<_> = packets.into_iter().map(|(f, len, ack)| (Flags(f), len, ack)).collect();
            let all = opening(&packets);
            let mut kept = Openings::default();
            for p in &all {
                kept.push(&segment(p));
            }
            let later = Timestamp::from_ns(100_000_000_000);
            prop_assert_eq!(kept.signature(later), signature(&all, later));
        }
    }

    const SYN: (Flags, u32, u32) = (Flags::SYN, 0, 0);
    const ACK: (Flags, u32, u32) = (Flags::ACK, 0, 7);
    const PSH: (Flags, u32, u32) = (Flags(0x18), 517, 7);
    const RST: (Flags, u32, u32) = (Flags::RST, 0, 7);
    const RST_ACK: (Flags, u32, u32) = (Flags(0x14), 0, 7);

    #[test]
    fn every_one_of_the_nineteen_has_an_example() {
        let rst = |ack| (Flags::RST, 0, ack);
        let examples: [&[(Flags, u32, u32)]; 19] = [
            &[SYN],
            &[SYN, RST],
            &[SYN, RST_ACK],
            &[SYN, RST, RST_ACK],
            &[SYN, ACK],
            &[SYN, ACK, RST],
            &[SYN, ACK, RST, RST],
            &[SYN, ACK, RST_ACK],
            &[SYN, ACK, RST_ACK, RST_ACK],
            &[SYN, ACK, PSH],
            &[SYN, ACK, PSH, RST],
            &[SYN, ACK, PSH, RST_ACK],
            &[SYN, ACK, PSH, RST, RST_ACK],
            &[SYN, ACK, PSH, RST_ACK, RST_ACK],
            &[SYN, ACK, PSH, rst(5), rst(5)],
            &[SYN, ACK, PSH, rst(5), rst(6)],
            &[SYN, ACK, PSH, rst(5), rst(0)],
            &[SYN, ACK, PSH, PSH, RST],
            &[SYN, ACK, PSH, PSH, RST_ACK],
        ];
        let later = Timestamp::from_ns(60_000_000_000);
        for (example, expected) in examples.iter().zip(SIGNATURES) {
            assert_eq!(signature(&opening(example), later), Some(expected), "{expected:?}");
        }
    }

    #[test]
    fn what_ends_well_or_is_still_young_has_none() {
        let later = Timestamp::from_ns(60_000_000_000);
        let fin = (Flags(0x11), 0, 7);
        assert_eq!(signature(&opening(&[SYN, ACK, PSH, fin, RST]), later), None);
        assert_eq!(signature(&opening(&[ACK, PSH, RST]), later), None, "no SYN, no stage");
        assert_eq!(signature(&opening(&[SYN, ACK]), Timestamp::from_ns(2_000_000_000)), None);
        assert_eq!(signature(&[], later), None);
    }

    #[test]
    fn a_retransmitted_hello_is_still_one_packet_of_data() {
        let mut packets = opening(&[SYN, ACK, PSH, PSH, PSH]);
        let first = packets[2].seq;
        for p in &mut packets[3..] {
            p.seq = first;
        }
        assert_eq!(signature(&packets, Timestamp::from_ns(60_000_000_000)).unwrap().name, "PSH+ACK → ∅");
    }
}
