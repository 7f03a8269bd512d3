//! DNS at the ends: a stub resolver that asks once and again, and a resolver that answers what it is asked.

use std::net::{IpAddr, Ipv4Addr};

use super::scenario::{Answer, Server};
use super::stack::{Stack, State};
use crate::base::{Endpoint, Span, Timestamp};
use crate::testkit::dns;
use crate::testkit::packet::udp;
use crate::wire::dns::{kind, message};

/// How long a stub resolver waits before it asks again, and how often it asks (resolv.conf(5): `timeout`, `attempts`).
const AGAIN: Span = Span::from_secs(5);
const ATTEMPTS: u32 = 3;

/// RD and RA set: an answer of a recursive resolver; and the same with NXDOMAIN.
const ANSWER: u16 = 0x8180;
const NO_SUCH_NAME: u16 = 0x8183;

/// The address that a name has, or the nth of those that a server with many gives: of 192.88.99.0/24, which RFC 7526 took out
/// of use, so that it is nobody's and no bogon.
fn address(name: &str, nth: u32) -> IpAddr {
    let sum = name.bytes().fold(7u32, |s, b| s.wrapping_mul(31).wrapping_add(u32::from(b | 0x20)));
    IpAddr::V4(Ipv4Addr::new(192, 88, 99, (sum.wrapping_add(nth * 85) % 251) as u8 + 1))
}

/// One end.
pub struct Dns {
    ends: (Endpoint, Endpoint),
    is_client: bool,
    query: Vec<u8>,
    asked: u32,
    timer: Option<Timestamp>,
    /// What the server has to send, and when.
    due: Vec<(Timestamp, Vec<u8>)>,
    thinks: Span,
    answer: Answer,
    rotates: bool,
    answered: u32,
    over: bool,
}

impl Dns {
    /// An end of a question for `name`; the resolver takes `thinks` to answer.
    pub fn new(
        local: Endpoint,
        remote: Endpoint,
        name: &str,
        is_client: bool,
        server: &Server,
        thinks: Span,
    ) -> Self {
        let id = (if is_client { local.port } else { remote.port }).wrapping_mul(40_503);
        // random capitals, as resolvers do that harden themselves (0x20)
        let spelled: String = (0u16..)
            .zip(name.chars())
            .map(|(n, c)| if id >> (n % 16) & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        Self {
            ends: (local, remote),
            is_client,
            query: dns::query(id, &spelled, kind::A),
            asked: 0,
            timer: None,
            due: Vec::new(),
            thinks,
            answer: server.answer,
            rotates: server.rotates,
            answered: 0,
            over: false,
        }
    }

    fn datagram(&self, payload: &[u8]) -> Vec<u8> {
        udp(self.ends.0, self.ends.1, 64, 0, payload)
    }

    fn reply(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        let asked = message(query)?;
        let question = asked.question?;
        let nth = if self.rotates { self.answered } else { 0 };
        self.answered += 1;
        Some(match self.answer {
            Answer::Refuse => dns::answer(asked.id, &question.name, question.kind, NO_SUCH_NAME, &[]),
            Answer::Silent | Answer::Absent => return None,
            _ => {
                let record = dns::address(address(&question.name, nth), 300);
                dns::answer(asked.id, &question.name, question.kind, ANSWER, &[record])
            }
        })
    }
}

impl Stack for Dns {
    fn input(&mut self, now: Timestamp, packet: &[u8]) {
        let at = if packet[0] >> 4 == 4 { 28 } else { 48 };
        let Some(payload) = packet.get(at..) else { return };
        if self.is_client {
            self.over |= message(payload).is_some_and(|m| m.flags.is_response());
        } else if let Some(reply) = self.reply(payload) {
            self.due.push((now + self.thinks, reply));
        }
    }

    fn output(&mut self, now: Timestamp, out: &mut Vec<Vec<u8>>) {
        if self.is_client {
            let due = self.timer.is_none_or(|t| t <= now);
            if self.over || !due {
                return;
            }
            self.over = self.asked >= ATTEMPTS;
            if !self.over {
                self.asked += 1;
                self.timer = Some(now + AGAIN);
                out.push(self.datagram(&self.query));
            }
            return;
        }
        let (ready, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.due).into_iter().partition(|d| d.0 <= now);
        self.due = rest;
        out.extend(ready.iter().map(|(_, reply)| self.datagram(reply)));
    }

    fn deadline(&self) -> Option<Timestamp> {
        if self.is_client { self.timer.filter(|_| !self.over) } else { self.due.iter().map(|d| d.0).min() }
    }

    fn write(&mut self, _: &[u8]) {}

    fn received(&self) -> u64 {
        0
    }

    fn peer_closed(&self) -> bool {
        false
    }

    fn close(&mut self) {
        self.over = true;
    }

    fn abort(&mut self) {
        self.over = self.is_client; // a resolver that denies still answers
    }

    fn state(&self) -> State {
        if self.over { State::Over } else { State::Opening }
    }
}
