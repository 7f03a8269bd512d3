//! Which conversations are those of the target names, by what the capture itself says.
//!
//! The name in a conversation's hello or request decides. Where none was read, as in a conversation that began before the
//! recording, the address decides: those that DNS gave for the target while it was recorded.

use std::net::IpAddr;

use super::lately::Lately;
use crate::base::SeqNum;
use crate::detect::name::Names;
use crate::flow::head::{HELLO_LIMIT, StreamHead};
use crate::wire::dns::{self, Data};
use crate::wire::http;
use crate::wire::quic::{Frame, Frames, Keys, Kind, Packet, initial_keys, packets};
use crate::wire::tls::{self, Scan};

/// Addresses remembered, twice.
const SERVERS: usize = 1 << 12;
/// Conversations whose hello is not whole yet, twice; each keeps 32 KiB of it at most.
const HELLOS: usize = 1 << 7;

/// The target names, and what was learnt of them.
#[derive(Debug)]
pub struct Targets {
    names: Names,
    servers: Lately<IpAddr, ()>,
    hellos: Lately<u64, Hello>,
    scratch: Vec<u8>,
}

/// A hello that is not whole yet.
#[derive(Debug, Default)]
struct Hello {
    first: Option<SeqNum>,
    keys: Option<Keys>,
    head: StreamHead,
    /// How many bytes there must be before it is looked at again.
    ask_at: usize,
}

impl Targets {
    /// The names, in lower case; each stands for all under it.
    pub fn new(names: Vec<String>) -> Self {
        Self {
            names: Names { targets: names, controls: Vec::new() },
            servers: Lately::new(SERVERS),
            hellos: Lately::new(HELLOS),
            scratch: Vec::new(),
        }
    }

    /// Whether there are none: then nothing needs to be asked.
    pub const fn is_empty(&self) -> bool {
        self.names.targets.is_empty()
    }

    fn has(&self, name: &str) -> bool {
        self.names.is_target(self.names.group(name))
    }

    /// Whether DNS gave this address for one of the names.
    pub fn is_server(&mut self, addr: IpAddr) -> bool {
        self.servers.get(addr).is_some()
    }

    /// Learns addresses from a DNS message.
    pub fn learn(&mut self, message: &[u8]) {
        let Some(message) = dns::message(message).filter(|m| m.flags.is_response()) else { return };
        if !message.question.is_some_and(|q| self.has(&q.name.to_ascii_lowercase())) {
            return;
        }
        for answer in message.answers {
            if let Data::Address(addr) = answer.data {
                self.servers.entry(addr);
            }
        }
    }

    /// Whether the first words of a TCP conversation name a target; `None` as long as no name was read. `key` is the
    /// conversation's.
    pub fn names_in_stream(&mut self, key: u64, seq: SeqNum, payload: &[u8]) -> Option<bool> {
        let read = tls::client_hello(payload);
        if matches!(read, Scan::NotTls) {
            if let Some(request) = http::request(payload).into_seen() {
                return request.host.map(|name| self.has(&name.folded));
            }
            self.hellos.get(key)?; // the rest of a hello, or nothing of interest
        } else if let Some(name) = read.into_seen().and_then(|h| h.server_name) {
            return Some(self.has(&name.folded));
        }
        let hello = self.hellos.entry(key);
        let first = *hello.first.get_or_insert(seq);
        let offset = usize::try_from(first.distance(seq)).ok()?; // what lies before it is nothing of it
        hello.head.insert(offset, payload, 0, HELLO_LIMIT);
        self.read(key, tls::client_hello)
    }

    /// Whether the hello in the Initials of a QUIC conversation names a target; `None` as long as no name was read.
    pub fn names_in_initials(&mut self, key: u64, datagram: &[u8]) -> Option<bool> {
        for packet in packets(datagram) {
            let Packet::Long(long) = packet else { continue };
            if long.kind != Kind::Initial || !long.whole {
                continue;
            }
            let known = self.hellos.get(key).and_then(|h| h.keys);
            let own = || Some(initial_keys(long.version, long.dcid)?.to_server);
            let mut opens = |keys: &Keys| keys.open(&long, 0, &mut self.scratch).is_ok();
            let Some(keys) = known.filter(&mut opens).or_else(|| own().filter(opens)) else {
                continue; // the server's
            };
            let hello = self.hellos.entry(key);
            hello.keys = Some(keys);
            for frame in Frames::new(&self.scratch) {
                if let Frame::Crypto { offset, data } = frame {
                    hello.head.insert(usize::try_from(offset).unwrap_or(usize::MAX), data, 0, HELLO_LIMIT);
                }
            }
            let named = self.read(key, tls::client_hello_message);
            if named.is_some() {
                return named;
            }
        }
        None
    }

    /// Looks for the name in what has gathered.
    fn read(&mut self, key: u64, scan: fn(&[u8]) -> Scan<tls::ClientHello>) -> Option<bool> {
        let hello = self.hellos.entry(key);
        let head = hello.head.contiguous();
        if head.len() < hello.ask_at {
            return None;
        }
        let scanned = scan(head);
        hello.ask_at = match scanned {
            Scan::Incomplete { need, .. } => head.len().saturating_add(need.max(1)),
            _ => usize::MAX,
        };
        let name = scanned.into_seen()?.server_name?;
        self.hellos.remove(&key);
        Some(self.has(&name.folded))
    }
}
