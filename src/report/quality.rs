//! What a capture holds, and what it can and cannot show, in sentences.

use super::Capture;
use crate::base::{Direction, Span};
use crate::capture::End;
use crate::measure::hops;
use crate::report::units::{bytes, count, thousands};

/// Where the capture was taken, as far as TTLs and round trips tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vantage {
    /// On the clients' host or link.
    Client,
    /// On the servers' host or link.
    Server,
    /// Somewhere between.
    Middle,
    /// It cannot be told.
    Unknown,
}

impl Vantage {
    /// The name that the JSON has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Middle => "middle",
            Self::Unknown => "unknown",
        }
    }
}

/// A judgement about the capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether it limits what can be concluded.
    pub limits: bool,
    /// The sentence.
    pub text: String,
}

/// Guesses where a capture was taken: most connections with packets of both ends have one end whose TTL is an initial
/// one and which answers within a millisecond or two.
pub fn vantage(capture: &Capture) -> Vantage {
    let mut votes = [0usize; 3];
    for c in capture.analysis.connections.iter().filter(|c| c.is_two_sided()) {
        let near = |d: Direction| {
            let f = &c.flows[d];
            f.ttl.is_some_and(hops::is_initial) && f.rtt_min.is_none_or(|r| r < Span::from_ms(2))
        };
        match (near(Direction::ToServer), near(Direction::ToClient)) {
            (true, false) => votes[0] += 1,
            (false, true) => votes[1] += 1,
            (false, false) => votes[2] += 1,
            (true, true) => {} // both ends on one link, or on one host
        }
    }
    let total: usize = votes.iter().sum();
    let named = [Vantage::Client, Vantage::Server, Vantage::Middle];
    let most = (0..3).max_by_key(|i| votes[*i]).filter(|i| total > 0 && votes[*i] * 3 > total * 2);
    most.map_or(Vantage::Unknown, |i| named[i])
}

/// All notes on a capture: first what it holds, then what limits it.
pub fn notes(capture: &Capture) -> Vec<Note> {
    let (a, c) = (&capture.analysis, &capture.analysis.counts);
    let mut notes = Vec::new();
    let mut holds = |text: String| notes.push(Note { limits: false, text });
    let two_sided = a.connections.iter().filter(|c| c.is_two_sided()).count();
    if !a.connections.is_empty() {
        let handshakes = a.connections.iter().filter(|c| c.history.contains(['S', 'h'])).count();
        holds(format!(
            "{}, {} with the start of the handshake, {} with packets of both ends",
            count(a.connections.len() as u64, "TCP connection"),
            thousands(handshakes as u64),
            thousands(two_sided as u64)
        ));
    }
    match vantage(capture) {
        Vantage::Client => holds("taken at the clients, as TTLs and round trips tell".to_owned()),
        Vantage::Server => holds("taken at the servers, as TTLs and round trips tell".to_owned()),
        Vantage::Middle => {
            holds("taken between clients and servers, as TTLs and round trips tell".to_owned());
        }
        Vantage::Unknown => {}
    }
    let quic = a.udp.quic.len() as u64;
    let seen: Vec<String> =
        [("QUIC connection", quic), ("UDP datagram", c.udp), ("IP fragment", c.fragments)]
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(what, n)| count(n, what))
            .chain(c.other.iter().map(|(name, n)| format!("{} {}", thousands(*n), name.replace('_', " "))))
            .collect();
    if !seen.is_empty() {
        holds(format!("besides TCP: {}", seen.join(", ")));
    }
    let mut limits = |text: String| notes.push(Note { limits: true, text });
    for file in &a.files {
        if let Some(how) = ended(&file.ended) {
            limits(format!("{how}; everything before was analysed"));
        }
        if file.without_timestamp > 0 {
            limits(format!("{} without a time of their own", count(file.without_timestamp, "packet")));
        }
        if file.without_interface > 0 {
            limits(format!(
                "{} of an interface that the file does not describe, left out",
                count(file.without_interface, "packet")
            ));
        }
    }
    if a.verdicts.is_empty() {
        let dns = if a.udp.dns.rows.is_empty() { "" } else { " but answers of DNS" };
        limits(format!("no connection of TCP or QUIC, so nothing to judge{dns}"));
    }
    match capture.kernel_dropped() {
        Some(0) | None => {}
        Some(n) => limits(format!(
            "{} lost while capturing, as the file says: silence and loss in it prove nothing",
            count(n, "packet")
        )),
    }
    if c.cut_frames > 0 {
        let to = capture.snaplen().map_or(String::new(), |s| format!(" (snaplen {s})"));
        limits(format!(
            "{} cut{to}: lengths are right, payload is not all there",
            count(c.cut_frames, "packet")
        ));
    }
    let one_sided = a
        .connections
        .iter()
        .filter(|s| !s.is_two_sided() && s.flows.to_server.packets + s.flows.to_client.packets > 3);
    let one_sided = one_sided.count();
    if one_sided > 0 {
        limits(format!(
            "{one_sided} connections with packets of one end only: what the other end did is not known"
        ));
    }
    let missed: u64 =
        a.connections.iter().map(|c| c.flows.to_server.missed_bytes + c.flows.to_client.missed_bytes).sum();
    if missed > 0 {
        limits(format!("{} acknowledged that the capture does not have: it lost packets", bytes(missed)));
    }
    if c.offloaded > 0 {
        limits(format!(
            "{} longer than a link carries: the host put them together (GRO/TSO), so counts of packets are too low",
            count(c.offloaded, "segment")
        ));
    }
    let bad: u64 = a
        .connections
        .iter()
        .map(|c| u64::from(c.flows.to_server.bad_checksums) + u64::from(c.flows.to_client.bad_checksums))
        .sum();
    if bad > 0 {
        limits(format!(
            "{} with a wrong checksum: on the sending host that is offload, elsewhere damage; none was left out",
            count(bad, "control segment")
        ));
    }
    let duplicates: u64 = a
        .connections
        .iter()
        .map(|c| u64::from(c.flows.to_server.duplicates) + u64::from(c.flows.to_client.duplicates))
        .sum();
    if duplicates > 0 {
        limits(format!("{} captured twice and counted once", count(duplicates, "segment")));
    }
    if c.time_went_back > 0 {
        limits(format!(
            "time goes back {}: the clock was set, or packets are out of order",
            count(c.time_went_back, "time")
        ));
    }
    if c.longest_gap_ns > 60_000_000_000 {
        limits(format!(
            "no packet at all for {}: a pause, or the machine slept",
            Span::from_ns(c.longest_gap_ns)
        ));
    }
    for (stop, n) in &c.undecoded {
        limits(format!("{} not decoded: {}", count(*n, "packet"), stop.words()));
    }
    if c.fragments_incomplete > 0 {
        limits(format!(
            "{} of datagrams that are not all there",
            count(c.fragments_incomplete, "IP fragment")
        ));
    }
    if c.connections_evicted > 0 {
        limits(format!(
            "{} given up because too many were open (--max-connections raises the limit)",
            count(c.connections_evicted, "connection")
        ));
    }
    if c.connections_forgotten > 0 {
        limits(format!(
            "{} forgotten: a late packet of theirs has a stream number of its own",
            count(c.connections_forgotten, "ended connection")
        ));
    }
    notes
}

/// How reading ended, in words; `None` for a capture that was read to its end.
pub fn ended(end: &End) -> Option<String> {
    match end {
        End::Open | End::Complete => None,
        End::Truncated { offset, what } => Some(format!("it ends within {what} at byte {offset}")),
        End::Damaged { offset, why } => Some(format!("it is damaged at byte {offset}: {why}")),
        End::Io { offset, error } => Some(format!("it could not be read past byte {offset}: {error}")),
    }
}
