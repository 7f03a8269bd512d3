//! What an end of a connection is: a TCP with a byte stream in and out, driven by virtual time.
//!
//! Two kinds exist. [`super::smol`] is smoltcp: an independent TCP, for all that is about handshakes, resets and small
//! talks. It sends again from the first hole on (no SACK at the sender), has no pacing, no tail-loss probe and no BBR,
//! which hides what caps do to a modern sender; so [`super::tcp`] is a model of a Linux-like sender, for all that is
//! about rates.

use crate::base::Timestamp;

/// How far an end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not open yet.
    Opening,
    /// Open.
    Open,
    /// Over: closed by both ends, reset, or given up.
    Over,
}

/// One end of one connection.
pub trait Stack {
    /// Takes a packet from the network.
    fn input(&mut self, now: Timestamp, packet: &[u8]);

    /// Gives the packets that it sends now.
    fn output(&mut self, now: Timestamp, out: &mut Vec<Vec<u8>>);

    /// When it wants to be asked for output again, if nothing comes in before.
    fn deadline(&self) -> Option<Timestamp>;

    /// Hands it bytes to send.
    fn write(&mut self, data: &[u8]);

    /// How many bytes of the other end's stream it has delivered to its program.
    fn received(&self) -> u64;

    /// Whether the other end has closed its stream, and all of it was delivered.
    fn peer_closed(&self) -> bool;

    /// Closes its own stream, when all is sent.
    fn close(&mut self);

    /// Gives the connection up with a reset; what comes later is answered by resets.
    fn abort(&mut self);

    /// How far it has come.
    fn state(&self) -> State;
}
