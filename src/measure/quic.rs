//! A QUIC connection reduced to a row, with what became of it as far as an observer without keys can tell.

use super::plateau::{Plateau, plateau};
use crate::base::endpoint::PerDirection;
use crate::base::{Endpoint, Span, Timestamp};
use crate::flow::community_id::community_id;
use crate::flow::connection::{Ended, Roles};
use crate::flow::quic::{Quic, Seen};
use crate::flow::udp::{Side, UdpFlow};
use crate::wire::ip::protocol;

/// How often a hello must have been sent for its silence to count: once and two repetitions, which RFC 9002 §6.2
/// spaces by a probe timeout that doubles.
const SENT_WITHOUT_REPLY: u32 = 3;

/// A silence that a client's packets must have outlasted to count as unanswered: the three seconds of Sundara Raman et
/// al. 2023 for TCP.
const SILENCE: Span = Span::from_secs(3);

/// A handshake that took this long is slow: target hosts in Türkiye took over 3 s where others took 0.1 s (OONI).
const SLOW: Span = Span::from_secs(3);

/// What became of a connection: a measure, no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handshake came to its end, and nothing is left unanswered.
    Ok,
    /// As [`Outcome::Ok`], but the handshake took three seconds or longer.
    Slow,
    /// The hello was sent three times or more, and the server never sent anything.
    NoReply,
    /// The server sent its flight again and again after the client's reply: that reply never came to it.
    Dropped,
    /// The server asked for another version, and nothing followed.
    Negotiation,
    /// The server asked the client to come again, and nothing followed.
    Retry,
    /// An end closed the connection in clear, which means during the handshake.
    Closed,
    /// None of these.
    Unknown,
}

impl Outcome {
    /// The name that the JSON has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Slow => "quic_slow",
            Self::NoReply => "quic_no_reply",
            Self::Dropped => "quic_dropped",
            Self::Negotiation => "version_negotiation",
            Self::Retry => "retry",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }

    /// What was seen, in words; nothing where all went well.
    pub const fn words(self) -> Option<&'static str> {
        match self {
            Self::Ok => None,
            Self::Slow => Some("its handshake took three seconds or longer"),
            Self::NoReply => {
                Some("its hello was sent again and again, and no packet of the server was captured")
            }
            Self::Dropped => Some("the server repeated its flight as if the client's reply never reached it"),
            Self::Negotiation => Some("the server asked for another version, and nothing followed"),
            Self::Retry => Some("the server asked the client to come again, and nothing followed"),
            Self::Closed => Some("an end closed it during the handshake"),
            Self::Unknown => Some("the capture does not show that its handshake came to an end"),
        }
    }
}

/// A QUIC connection as a row.
#[derive(Clone, Debug)]
pub struct QuicSummary {
    /// Client.
    pub client: Endpoint,
    /// Server.
    pub server: Endpoint,
    /// How the roles are known: `Handshake` from an Initial that opened as a client's.
    pub roles: Roles,
    /// The frame that it begins with.
    pub first_frame: u64,
    /// The frame that it ends with.
    pub last_frame: u64,
    /// When it began.
    pub started: Timestamp,
    /// From its first packet to its last.
    pub duration: Span,
    /// Its packets, its hello, and how it went on.
    pub seen: Seen,
    /// Datagrams of each end.
    pub sides: PerDirection<Side>,
    /// From the client's first packet to the server's first.
    pub answered_after: Option<Span>,
    /// From the client's first packet to its first short header, for which it needs the server's whole flight.
    pub handshake: Option<Span>,
    /// What became of it.
    pub outcome: Outcome,
    /// The rate that each end kept to, if it did.
    pub plateau: PerDirection<Option<Plateau>>,
    /// The Community ID.
    pub community_id: String,
    /// Why it is no longer followed.
    pub ended: Ended,
    /// Whether it came out of a tunnel.
    pub tunnelled: bool,
}

impl QuicSummary {
    /// Reduces a flow; `None` where no QUIC is spoken.
    pub fn new(flow: UdpFlow) -> Option<Self> {
        let quic = *flow.quic?;
        let Side { first: from, .. } = flow.sides.to_server;
        let since = |to: Option<Timestamp>| Some(to?.since(from?));
        let handshake = since(quic.seen.sent.to_server.first_short);
        let outcome = outcome(&flow.sides, &quic, handshake);
        Some(Self {
            client: flow.client,
            server: flow.server,
            roles: flow.roles,
            first_frame: flow.first_frame,
            last_frame: flow.last_frame,
            started: flow.started,
            duration: flow.last.since(flow.started),
            answered_after: since(flow.sides.to_client.first),
            handshake,
            outcome,
            plateau: PerDirection {
                to_server: plateau(&flow.volume.to_server),
                to_client: plateau(&flow.volume.to_client),
            },
            community_id: community_id(flow.client, flow.server, protocol::UDP),
            sides: flow.sides,
            seen: quic.seen,
            ended: flow.ended,
            tunnelled: flow.tunnelled,
        })
    }

    /// The name that the client asked for.
    pub fn name(&self) -> Option<&str> {
        self.seen.hello.as_ref()?.name.as_deref()
    }

    /// Whether the client's port is above the server's: the only QUIC that the Great Firewall looks at (Zohaib et al.
    /// 2025).
    pub fn client_port_is_higher(&self) -> bool {
        self.client.port > self.server.port
    }
}

fn outcome(sides: &PerDirection<Side>, quic: &Quic, handshake: Option<Span>) -> Outcome {
    let (client, server) = (&quic.seen.sent.to_server, &quic.seen.sent.to_client);
    let long_of_server = server.initials > 0 || server.handshakes > 0;
    if sides.to_client.packets == 0 {
        let sent = client.flights.max(if quic.keyless() { client.initials } else { 0 });
        return if sent >= SENT_WITHOUT_REPLY { Outcome::NoReply } else { Outcome::Unknown };
    }
    if !long_of_server && server.short == 0 {
        return match (quic.seen.retry, quic.seen.negotiation) {
            (Some(_), _) => Outcome::Retry,
            (_, Some(_)) => Outcome::Negotiation,
            _ => Outcome::Unknown,
        };
    }
    // repeated after the client's reply, and not followed by packets of an open connection
    let repeats = server.flights >= 2 && server.last_flight > quic.seen.client_replied;
    if quic.seen.close.is_some() {
        Outcome::Closed
    } else if quic.seen.client_replied.is_some() && repeats && server.short_since_long < 2 {
        Outcome::Dropped
    } else if client.short > 0 && server.short > 0 && !goes_unanswered(&sides.to_server) {
        if handshake.is_some_and(|h| h >= SLOW) { Outcome::Slow } else { Outcome::Ok }
    } else {
        Outcome::Unknown
    }
}

/// Whether an end's last packets, three or more over three seconds or longer, were left without any answer.
fn goes_unanswered(side: &Side) -> bool {
    let silence = side.unanswered_since.zip(side.last).map(|(from, to)| to.since(from));
    side.unanswered >= 3 && silence.is_some_and(|s| s >= SILENCE)
}

#[cfg(test)]
mod tests {
    use super::super::datagrams::Datagrams;
    use super::*;
    use crate::base::{Direction, Span};
    use crate::flow::udp::Datagram;
    use crate::testkit::quic as make;
    use crate::testkit::udp::{Fate, Talk, quic_connection};
    use crate::wire::quic::Version;
    use crate::wire::udp::Udp;

    fn talk() -> Talk {
        let at = |host, port| Endpoint { addr: [192, 0, 2, host].into(), port };
        Talk::new(at(1, 50_000), at(2, 443), Timestamp::from_ns(0))
    }

    fn row(talk: &Talk) -> QuicSummary {
        let mut datagrams = Datagrams::new(10);
        for (frame, n) in talk.frames.iter().zip(1..) {
            let ip = crate::wire::ip::Ip::parse(&frame.bytes[14..], 9999).unwrap().0;
            let udp = Udp::parse(&frame.bytes[34..], ip.payload_len).unwrap();
            datagrams.push(&Datagram::new(n, frame.at, &ip, &udp, false));
        }
        let mut rows = datagrams.finish().quic;
        assert_eq!(rows.len(), 1);
        rows.remove(0)
    }

    fn played(fate: Fate) -> QuicSummary {
        let mut talk = talk();
        quic_connection(&mut talk, Version::V1, "x.com", fate);
        row(&talk)
    }

    #[test]
    fn what_becomes_of_a_connection() {
        assert_eq!(played(Fate::Answered).outcome, Outcome::Ok);
        assert_eq!(played(Fate::Silence).outcome, Outcome::NoReply);
        assert_eq!(played(Fate::DroppedAfterHello).outcome, Outcome::Dropped);
        assert_eq!(played(Fate::Closed).outcome, Outcome::Closed);
    }

    #[test]
    fn figures_of_a_row() {
        let q = played(Fate::Answered);
        assert_eq!(
            (q.name(), q.seen.first_initial_len, q.client_port_is_higher()),
            (Some("x.com"), 1200, true)
        );
        assert_eq!((q.answered_after, q.handshake), (Some(Span::from_ms(40)), Some(Span::from_ms(41))));
        assert_eq!((q.seen.sent.to_client.short, q.sides.to_client.packets), (6, 7));
        let q = played(Fate::Silence);
        let times: Vec<i64> = q.seen.hello_times.iter().map(|t| t.ns() / 1_000_000_000).collect();
        assert_eq!((times, q.sides.to_server.unanswered), (vec![0, 2, 6, 14], 4));
    }

    #[test]
    fn asked_to_come_again_and_gone() {
        let mut t = talk();
        quic_connection(&mut t, Version::V1, "x.com", Fate::Silence);
        t.frames.truncate(1);
        let mut retry = t.clone();
        retry.send(Direction::ToClient, &make::retry(Version::V1, &[], &[1; 8], b"token"));
        assert_eq!(row(&retry).outcome, Outcome::Retry);
        t.send(Direction::ToClient, &make::negotiation(&[], &[], &[Version::V2]));
        assert_eq!(row(&t).outcome, Outcome::Negotiation);
    }

    #[test]
    fn a_connection_that_falls_silent_or_takes_long_is_not_ok() {
        let mut t = talk();
        quic_connection(&mut t, Version::V1, "x.com", Fate::Answered);
        for _ in 0..4 {
            t.wait(Span::from_secs(2)).send(Direction::ToServer, &make::short(&[1; 4], 30));
        }
        assert_eq!(row(&t).outcome, Outcome::Unknown);
        let mut t = talk();
        quic_connection(&mut t, Version::V1, "x.com", Fate::Answered);
        for frame in &mut t.frames[1..] {
            frame.at = frame.at + Span::from_secs(4);
        }
        assert_eq!(row(&t).outcome, Outcome::Slow);
    }
}
