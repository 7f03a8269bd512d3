//! Silence after a request, told apart by where it begins: the outcomes C1, C2, C6 and C7 of the design.
//!
//! A measure: it says what was not answered, for how long and how often it was tried, not why.

use crate::base::{Direction, Span, Timestamp};
use crate::flow::progress::Moment;
use crate::flow::{Connection, Stage};

/// At which point a conversation fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Silence {
    /// The handshake was answered; nothing of the request was ever acknowledged.
    RequestUnacked,
    /// A part of the request was acknowledged, and the rest never.
    RequestPartly,
    /// All of the request was acknowledged, and no answer came.
    NoAnswer,
    /// The answer began, and then neither end heard the other any more.
    CutOff,
}

/// A conversation that fell silent before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Where.
    pub silence: Silence,
    /// Who is not heard: the direction that the missing packets would have had, as far as this capture shows.
    pub unheard: Direction,
    /// Whether packets show that something was sent which never came, rather than nothing was: tries in vain, or a sequence
    /// number beyond all bytes seen. Without it the other end's program may have kept silent.
    pub proven: bool,
    /// Payload bytes of the server until then.
    pub bytes: u64,
}

/// How often a segment must have been sent in vain (once and two repetitions), and for how long. Linux sends a segment
/// again after 0.2 to 0.3 s, then 0.6 s, 1.2 s, 2.4 s; three seconds are those of Sundara Raman et al. 2023.
const TRIES: u32 = 3;
const FOR: Span = Span::from_secs(3);
/// How long an end must have waited that has nothing to send again, and how many round trips.
const WAITED: Span = Span::from_secs(5);
const ROUND_TRIPS: i64 = 10;

/// How the connection fell silent, if it did; `seen_until` is how far the capture reached.
pub fn stall(c: &Connection, seen_until: Timestamp, rtt: Option<Span>) -> Option<Stall> {
    let p = &c.progress;
    let asked = p.asked?;
    let (client, server) = (&c.halves.to_server, &c.halves.to_client);
    if server.resets > 0 || !c.application.is_request() {
        return None;
    }
    let rtt = rtt.unwrap_or(Span::from_ms(200));
    let patience = Span::from_ns(WAITED.ns().max(rtt.ns().saturating_mul(ROUND_TRIPS)));
    let bytes = server.new_bytes;
    // a server that sent bytes which this capture has not, and says so by its sequence numbers
    let unseen = server.payload_bytes == 0 && server.next > 2;
    let make = |silence, unheard, tries| {
        let proven = tries >= TRIES || unseen;
        Some(Stall { silence, unheard, proven, bytes })
    };
    let tried = p.tries.to_server;
    let stage = c.stage();
    if stage == Stage::RequestSent && p.acked.is_none() {
        let last = p.asked_last.unwrap_or(asked);
        let (tries, waited) = (p.asked_again + 1, last.at.since(asked.at));
        let enough = tries >= TRIES && waited >= FOR || tries > TRIES && waited >= Span::from_secs(2);
        return if enough && client.missed_bytes == 0 {
            make(Silence::RequestUnacked, Direction::ToClient, tries)
        } else {
            None
        };
    }
    let client_first = |s: Moment| p.client_closed.is_some_and(|c| c.at < s.at);
    if p.server_closed.is_some_and(|s| !client_first(s)) {
        return None; // it closed, and said so
    }
    let heard = p.heard.to_client.filter(|h| h.at >= asked.at).unwrap_or(asked);
    if stage == Stage::RequestSent {
        let (first, last) = (tried.first?, tried.last?);
        let waited = last.at.since(first.at);
        return if tried.count >= TRIES && waited >= FOR {
            make(Silence::RequestPartly, Direction::ToClient, tried.count)
        } else {
            None
        };
    }
    // the server tries, and the client is not heard
    let answers = p.tries.to_client;
    if let (Some(first), Some(last)) = (answers.first, answers.last) {
        let waited = last.at.since(first.at);
        // a client that closes at once needs no answer any more
        let wanted = p.client_closed.is_none_or(|m| m.at.since(p.answered.unwrap_or(first).at) >= FOR)
            && client.resets == 0;
        let repeated = answers.count >= TRIES && waited >= FOR && wanted;
        if repeated && server.acked < server.next {
            let silence = if server.acked <= 1 { Silence::NoAnswer } else { Silence::CutOff };
            return make(silence, Direction::ToServer, answers.count);
        }
    }
    // the client tries, or waits, and the server is not heard
    let gave_up = c.resets.first().filter(|r| r.direction == Direction::ToServer);
    let gave_up = gave_up.map(|r| Moment { frame: r.segment.frame, at: r.segment.at });
    let last = tried.last.or(gave_up).filter(|m| m.at >= heard.at).unwrap_or(heard);
    let closed = p.client_closed.or(gave_up).filter(|m| m.at >= heard.at);
    let waited = closed.map_or(seen_until.since(heard.at), |m| m.at.max(last.at).since(heard.at));
    let tries_for = match (tried.first, tried.last) {
        (Some(first), Some(last)) => last.at.since(first.at),
        _ => Span::ZERO,
    };
    let in_vain = tried.count >= TRIES && tries_for >= FOR;
    // who closes at once does not wait for an answer
    let waits = closed.is_none_or(|m| m.at.since(heard.at) >= patience) && waited >= patience;
    match stage {
        Stage::RequestAcked if half_a_hello(c) && waited >= patience => {
            make(Silence::RequestPartly, Direction::ToServer, 1)
        }
        Stage::RequestAcked if in_vain || waits => make(Silence::NoAnswer, Direction::ToClient, tried.count),
        Stage::Answered if in_vain && client.acked < client.next => {
            make(Silence::CutOff, Direction::ToClient, tried.count)
        }
        // of an excerpt nothing is known after its last packet: the client must be seen to have been there still
        Stage::Answered
            if waits && closed.is_some() && c.application.in_record(Direction::ToClient, server.next - 1) =>
        {
            make(Silence::CutOff, Direction::ToClient, tried.count)
        }
        _ => None,
    }
}

/// Whether the capture has all that came of the hello, and that is not all of it: the rest was lost before.
fn half_a_hello(c: &Connection) -> bool {
    let client = &c.halves.to_server;
    let whole = c.application.hello().is_none_or(|h| h.complete);
    !whole && u64::try_from(client.head.contiguous_len()).is_ok_and(|n| n == client.new_bytes)
}
