//! DNS transactions: a query with all answers that came for it, each with the circumstances that tell who sent it.
//!
//! An injector cannot stop the resolver's own answer and need not copy its habits, so that two answers to one query,
//! with their TTL and IP-ID, are what to look at (Anonymous 2012, Duan et al. 2012: "Hold-On").

use std::net::IpAddr;

use crate::base::{Endpoint, Span, Timestamp};
use crate::wire::dns::{self, Data, Flags};

use super::slots::{Slots, Timed};
use super::udp::Datagram;

/// How long after its last message a transaction is kept open. Resolvers in `resolv.conf` are asked again after 5 s,
/// twice; a forged answer and the true one lie less than a second apart.
pub const EXPIRY: Span = Span::from_secs(30);

/// Transactions open at one time.
const MAX_OPEN: usize = 1 << 16;

/// The most answers kept of a transaction.
pub const MAX_REPLIES: usize = 6;

/// The most addresses kept of an answer.
pub const MAX_ADDRESSES: usize = 8;

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP, messages that lie in one segment.
    Tcp,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its frame.
    pub frame: u64,
    /// When it was captured.
    pub at: Timestamp,
    /// TTL of its packet.
    pub ip_ttl: u8,
    /// IP-ID of its packet.
    pub ip_id: Option<u16>,
    /// Flags of its header.
    pub flags: Flags,
    /// Addresses, the first [`MAX_ADDRESSES`].
    pub addresses: Vec<IpAddr>,
    /// The last alias that it gives.
    pub alias: Option<String>,
    /// The shortest time for which its records may be kept, in seconds.
    pub record_ttl: Option<u32>,
    /// How many answer records it announces.
    pub records: u16,
    /// Whether it repeats the name with the capitals of the query.
    pub same_case: bool,
    /// Whether all of its answers could be read.
    pub complete: bool,
    /// Length of the message.
    pub len: u32,
}

/// A query and what came for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The name as asked for, without its final dot. Untrusted.
    pub name: String,
    /// The record type asked for.
    pub kind: u16,
    /// Identifier.
    pub id: u16,
    /// Who asks.
    pub client: Endpoint,
    /// Who is asked.
    pub resolver: Endpoint,
    /// What carries it.
    pub transport: Transport,
    /// Its first frame.
    pub first_frame: u64,
    /// When that was captured.
    pub started: Timestamp,
    /// When the last message was captured.
    pub last: Timestamp,
    /// How often the query was captured; 0 where only answers were.
    pub queries: u32,
    /// The answers, the first [`MAX_REPLIES`].
    pub replies: Vec<Reply>,
    /// Answers beyond those.
    pub replies_not_kept: u32,
}

impl Transaction {
    /// The name to group by: in lower case.
    pub fn folded(&self) -> String {
        self.name.to_ascii_lowercase()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    client: Endpoint,
    resolver: Endpoint,
    transport: Transport,
    id: u16,
    kind: u16,
    /// In lower case.
    name: Box<str>,
}

impl Timed for Transaction {
    fn last(&self) -> Timestamp {
        self.last
    }
}

/// The transactions that are open.
#[derive(Clone, Debug)]
pub struct DnsLog {
    open: Slots<Key, Transaction>,
    now: Timestamp,
    /// Messages that could not be read.
    pub unread: u64,
}

impl Default for DnsLog {
    fn default() -> Self {
        Self { open: Slots::new(MAX_OPEN), now: Timestamp::FIRST, unread: 0 }
    }
}

impl DnsLog {
    /// Takes a packet of port 53; `ended` gets every transaction that is over by now.
    pub fn push(&mut self, d: &Datagram<'_>, transport: Transport, ended: &mut impl FnMut(Transaction)) {
        self.now = self.now.max(d.at);
        match transport {
            Transport::Udp => self.message(d, d.payload, transport, ended),
            Transport::Tcp => {
                for bytes in dns::framed(d.payload) {
                    self.message(d, bytes, transport, ended);
                }
            }
        }
        let now = self.now;
        self.open.sweep(|t| is_over(t, now), ended);
    }

    /// Ends all transactions that are left.
    pub fn finish(&mut self, ended: &mut impl FnMut(Transaction)) {
        let mut left = self.open.drain();
        left.sort_unstable_by(|a, b| (a.first_frame, a.id, &a.name).cmp(&(b.first_frame, b.id, &b.name)));
        left.into_iter().for_each(ended);
    }

    /// Transactions given up because too many were open.
    pub fn evicted(&self) -> u64 {
        self.open.evicted
    }

    fn message(
        &mut self,
        d: &Datagram<'_>,
        bytes: &[u8],
        transport: Transport,
        ended: &mut impl FnMut(Transaction),
    ) {
        let Some((message, question)) = dns::message(bytes).and_then(|mut m| {
            let question = m.question.take()?;
            Some((m, question))
        }) else {
            self.unread += 1;
            return;
        };
        if message.flags.opcode() != 0 {
            return; // UPDATE, NOTIFY and the like resolve nothing
        }
        let response = message.flags.is_response();
        let (client, resolver) = if response { (d.dst, d.src) } else { (d.src, d.dst) };
        let name = question.name.to_ascii_lowercase().into_boxed_str();
        let key = Key { client, resolver, transport, id: message.id, kind: question.kind, name };
        if self.open.find(&key).is_some_and(|t| is_over(t, d.at))
            && let Some(old) = self.open.take(&key)
        {
            ended(old);
        }
        if self.open.find(&key).is_none() {
            let new = Transaction {
                name: question.name.clone(),
                kind: question.kind,
                id: message.id,
                client,
                resolver,
                transport,
                first_frame: d.frame,
                started: d.at,
                last: d.at,
                queries: 0,
                replies: Vec::new(),
                replies_not_kept: 0,
            };
            if let Some(old) = self.open.insert(key.clone(), new) {
                ended(old);
            }
        }
        let Some(t) = self.open.find(&key) else { return };
        t.last = t.last.max(d.at);
        if !response {
            t.queries = t.queries.saturating_add(1);
        } else if t.replies.len() < MAX_REPLIES {
            t.replies.push(reply(d, bytes, &message, question.name == t.name));
        } else {
            t.replies_not_kept = t.replies_not_kept.saturating_add(1);
        }
    }
}

fn is_over(t: &Transaction, now: Timestamp) -> bool {
    now.since(t.last) > EXPIRY
}

fn reply(d: &Datagram<'_>, bytes: &[u8], m: &dns::Message, same_case: bool) -> Reply {
    let addresses = m.answers.iter().filter_map(|a| match a.data {
        Data::Address(addr) => Some(addr),
        _ => None,
    });
    let alias = m.answers.iter().rev().find_map(|a| match &a.data {
        Data::Alias(name) => Some(name.clone()),
        _ => None,
    });
    Reply {
        frame: d.frame,
        at: d.at,
        ip_ttl: d.ttl,
        ip_id: d.ip_id,
        flags: m.flags,
        addresses: addresses.take(MAX_ADDRESSES).collect(),
        alias,
        record_ttl: m.answers.iter().map(|a| a.ttl).min(),
        records: m.announced,
        same_case,
        complete: m.complete,
        len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::dns as make;
    use crate::wire::dns::kind;

    fn log(messages: &[(bool, i64, u8, Vec<u8>)]) -> (Vec<Transaction>, u64) {
        let at = |host, port| Endpoint { addr: [192, 0, 2, host].into(), port };
        let mut log = DnsLog::default();
        let mut rows = Vec::new();
        for ((response, secs, ttl, payload), frame) in messages.iter().zip(1..) {
            let (client, resolver) = (at(1, 40_000), at(53, 53));
            let (src, dst) = if *response { (resolver, client) } else { (client, resolver) };
            let at = Timestamp::from_ns(0) + Span::from_secs(*secs);
            let len = u32::try_from(payload.len()).unwrap();
            let d =
                Datagram { frame, at, src, dst, ttl: *ttl, ip_id: Some(7), payload, len, tunnelled: false };
            log.push(&d, Transport::Udp, &mut |t| rows.push(t));
        }
        log.finish(&mut |t| rows.push(t));
        (rows, log.unread)
    }

    fn answer(a: [u8; 4]) -> Vec<u8> {
        make::answer(9, "x.com", kind::A, 0x8180, &[make::address(a.into(), 300)])
    }

    #[test]
    fn both_answers_of_a_race_are_kept() {
        let (rows, unread) = log(&[
            (false, 0, 64, make::query(9, "X.com", kind::A)),
            (true, 0, 57, answer([10, 10, 34, 36])),
            (true, 1, 50, answer([104, 244, 42, 1])),
            (true, 1, 50, vec![1, 2, 3]),
        ]);
        assert_eq!((rows.len(), unread), (1, 1));
        let t = &rows[0];
        assert_eq!((t.name.as_str(), t.folded().as_str(), t.queries), ("X.com", "x.com", 1));
        let seen: Vec<(u64, u8, IpAddr, bool)> =
            t.replies.iter().map(|r| (r.frame, r.ip_ttl, r.addresses[0], r.same_case)).collect();
        assert_eq!(seen, [(2, 57, [10, 10, 34, 36].into(), false), (3, 50, [104, 244, 42, 1].into(), false)]);
    }

    #[test]
    fn a_late_query_is_another_and_floods_are_counted() {
        let query = make::query(9, "x.com", kind::A);
        let (rows, _) =
            log(&[(false, 0, 64, query.clone()), (false, 5, 64, query.clone()), (false, 60, 64, query)]);
        assert_eq!(rows.iter().map(|t| t.queries).collect::<Vec<_>>(), [2, 1]);
        let (rows, _) = log(&vec![(true, 0, 50, answer([192, 0, 2, 1])); 20]);
        assert_eq!((rows[0].queries, rows[0].replies.len(), rows[0].replies_not_kept), (0, MAX_REPLIES, 14));
    }

    #[test]
    fn messages_over_tcp_are_read_where_they_lie_in_one_segment() {
        let mut log = DnsLog::default();
        let end = Endpoint { addr: [192, 0, 2, 1].into(), port: 53 };
        let two = [make::query(1, "a.example", kind::A), make::query(2, "b.example", kind::AAAA)];
        let payload = &two.map(|m| make::framed(&m)).concat();
        let at = Timestamp::from_ns(0);
        let d = Datagram {
            frame: 1,
            at,
            src: end,
            dst: end,
            ttl: 64,
            ip_id: None,
            payload,
            len: 0,
            tunnelled: false,
        };
        let mut names = Vec::new();
        log.push(&d, Transport::Tcp, &mut |_| ());
        log.finish(&mut |t| names.push(t.name));
        assert_eq!(names, ["a.example", "b.example"]);
    }
}
