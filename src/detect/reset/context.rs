//! What a reset is judged by: its connection, its burst, and how its server behaves elsewhere.

use std::collections::HashMap;

use crate::base::endpoint::PerDirection;
use crate::base::{Direction, Endpoint, Span, Timestamp};
use crate::flow::reset::Reset;
use crate::flow::series::SenderProfile;
use crate::flow::{Connection, Stage};
use crate::measure::hops;

/// Resets of one direction that follow each other within this time are one burst (Khattak's constant for Weaver's
/// `RST_SEQ_CHANGE`).
pub(super) const BURST_GAP: Span = Span::from_secs(2);

/// A connection with resets, reduced to what judging them needs.
#[derive(Clone, Debug)]
pub struct Case {
    /// The connection, by its place in the capture's list.
    pub connection: usize,
    /// Client.
    pub client: Endpoint,
    /// Server.
    pub server: Endpoint,
    /// The resets, in order.
    pub resets: Vec<Reset>,
    /// Header habits at the end of the connection.
    pub profiles: PerDirection<SenderProfile>,
    /// Whether a ClientHello was seen.
    pub hello: bool,
    /// Whether an HTTP request was seen.
    pub request: bool,
    /// Whether the server sent a fatal alert in clear, or what is likely an encrypted alert.
    pub server_alert: bool,
    /// Packets of each end, resets included.
    pub packets: PerDirection<u64>,
    /// When its last packet came.
    pub last: Timestamp,
    /// The SYN of the client was a scanner's.
    pub scanner: bool,
    /// How far it came.
    pub stage: Stage,
}

impl Case {
    /// The case of a connection, if it has resets.
    pub fn new(c: &Connection, connection: usize) -> Option<Self> {
        if c.resets.is_empty() {
            return None;
        }
        let (client, server) = (&c.halves.to_server, &c.halves.to_client);
        let records = &c.application.records.to_client;
        Some(Self {
            connection,
            client: c.client,
            server: c.server,
            resets: c.resets.clone(),
            profiles: PerDirection { to_server: client.profile(), to_client: server.profile() },
            hello: c.application.hello().is_some(),
            request: c.application.request().is_some(),
            server_alert: records.alert.is_some_and(crate::wire::tls::record::Alert::is_fatal),
            packets: PerDirection { to_server: client.packets, to_client: server.packets },
            last: c.last,
            scanner: client.profile().ip_id.last == Some(ZMAP_IP_ID) && client.payload_bytes == 0
                || client.syn.is_some_and(|o| o.kinds[0] == 0)
                    && client.payload_bytes == 0
                    && server.payload_bytes == 0,
            stage: c.stage(),
        })
    }

    /// The bursts of a direction, as ranges of indices into [`Case::resets`] of that direction.
    pub fn bursts(&self, direction: Direction) -> Vec<Burst> {
        let mut bursts: Vec<Burst> = Vec::new();
        for (i, r) in self.resets.iter().enumerate().filter(|(_, r)| r.direction == direction) {
            match bursts.last_mut() {
                Some(b) if r.segment.at.since(self.resets[b.last()].segment.at) <= BURST_GAP => {
                    b.members.push(i);
                }
                _ => bursts.push(Burst { members: vec![i] }),
            }
        }
        bursts
    }
}

/// The fixed identification that `ZMap` gives its probes.
const ZMAP_IP_ID: u16 = 54_321;

/// Resets of one direction close to each other: indices into [`Case::resets`].
#[derive(Clone, Debug)]
pub struct Burst {
    /// The resets, in order; at least one.
    pub members: Vec<usize>,
}

impl Burst {
    fn last(&self) -> usize {
        self.members[self.members.len() - 1] // never empty
    }
}

/// The most servers that are remembered.
const MAX_SERVERS: usize = 1 << 16;

/// How servers answer in all connections of the capture: whether the handshake and the rest come from one sender.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    by_endpoint: HashMap<Endpoint, Habit, foldhash::fast::RandomState>,
}

/// How one server answers.
#[derive(Clone, Copy, Debug, Default)]
struct Habit {
    /// Connections whose answer has the TTL of the handshake, within one hop.
    alike: u32,
    /// Connections whose answer has another.
    apart: u32,
}

impl Servers {
    /// Learns from a connection.
    pub fn learn(&mut self, c: &Connection) {
        let Some(apart) = answers_apart(&c.halves.to_client.profile()) else { return };
        if self.by_endpoint.len() >= MAX_SERVERS && !self.by_endpoint.contains_key(&c.server) {
            return;
        }
        let habit = self.by_endpoint.entry(c.server).or_default();
        if apart.is_some() {
            habit.apart += 1;
        } else {
            habit.alike += 1;
        }
    }

    /// Takes over what others were learnt from.
    pub fn join(&mut self, other: Self) {
        #[allow(clippy::iter_over_hash_type)] // sums
        for (server, habit) in other.by_endpoint {
            let ours = self.by_endpoint.entry(server).or_default();
            ours.alike += habit.alike;
            ours.apart += habit.apart;
        }
    }

    /// Whether what several learnt fits into one.
    pub fn fit_one(several: &[&Self]) -> bool {
        several.iter().map(|s| s.by_endpoint.len()).sum::<usize>() < MAX_SERVERS
    }

    /// If a server's answer in this case came from another sender than its handshake, and in most of its other
    /// connections it did not: the TTL of the handshake, that of the answer, and how many other connections say so.
    pub fn foreign_answer(&self, case: &Case) -> Option<(u8, u8, u32)> {
        let (handshake, body) = answers_apart(&case.profiles.to_client)??;
        let habit = self.by_endpoint.get(&case.server)?;
        (habit.alike >= 2 && habit.alike > 2 * (habit.apart - 1)).then_some((handshake, body, habit.alike))
    }
}

/// Whether all that a server sent after the handshake has another TTL than its SYN-ACK, by two hops or more, and DF
/// unlike it: `Some(None)` if it agrees, `None` if it cannot be told.
#[allow(clippy::option_option)] // told apart on purpose
fn answers_apart(server: &SenderProfile) -> Option<Option<(u8, u8)>> {
    let (handshake, df) = server.handshake?;
    let body = server.body_ttl.usual()?;
    let far = server.body_ttl.distance(handshake)? >= 2 && !hops::same_distance(handshake, body);
    let df_differs = if df { server.body_df_set == 0 } else { server.body_df_set == server.body_ttl.total() };
    match (far, df_differs) {
        (true, true) => Some(Some((handshake, body))),
        (false, _) => Some(None),
        (true, false) => None,
    }
}
