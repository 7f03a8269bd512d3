//! How each server answers, over all connections of a capture.

use std::collections::BTreeMap;

use crate::base::{Direction, Endpoint, Span};
use crate::measure::Summary;

/// The most servers that are remembered.
const MOST: usize = 1 << 16;

/// The habits of all servers that something odd was seen of.
pub(super) struct Servers {
    by_endpoint: BTreeMap<Endpoint, Habit>,
}

/// How one server answers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Habit {
    /// Connections whose answers have the TTL of the SYN-ACK.
    pub(super) alike: u32,
    /// Connections of which all answers have another: something in front of it shakes hands.
    pub(super) apart: u32,
    /// The shortest time from a SYN to its SYN-ACK.
    pub(super) handshake: Option<Span>,
    /// How many such times are known.
    pub(super) handshakes: u32,
}

impl Servers {
    pub(super) fn learn(connections: &[Box<Summary>]) -> Self {
        let mut by_endpoint: BTreeMap<Endpoint, Habit> = BTreeMap::new();
        for c in connections.iter().filter(|c| c.foreign.is_some()) {
            if by_endpoint.len() < MOST {
                by_endpoint.entry(c.server).or_default();
            }
        }
        if by_endpoint.is_empty() {
            return Self { by_endpoint };
        }
        for c in connections {
            let Some(habit) = by_endpoint.get_mut(&c.server) else { continue };
            if let Some(took) = c.flows[Direction::ToClient].rtt_handshake {
                habit.handshakes += 1;
                habit.handshake = Some(habit.handshake.map_or(took, |h| h.min(took)));
            }
            match &c.foreign {
                Some(f) if !f.ttl_off.is_empty() && f.own_after == 0 => habit.apart += 1,
                None if c.flows[Direction::ToClient].bytes > 0 => habit.alike += 1,
                _ => {}
            }
        }
        Self { by_endpoint }
    }

    pub(super) fn of(&self, server: Endpoint) -> Habit {
        self.by_endpoint.get(&server).copied().unwrap_or_default()
    }
}
