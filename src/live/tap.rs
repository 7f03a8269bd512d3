//! Where packets come from while they are on their way: an interface, or what a test puts in its place.

use crate::base::Timestamp;
use crate::capture::LinkType;

/// A packet as it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken<'a> {
    /// When.
    pub at: Timestamp,
    /// The bytes captured.
    pub data: &'a [u8],
    /// Length on the wire.
    pub wire_len: u32,
}

/// What asking for the next packet gives.
#[derive(Debug)]
pub enum Next<'a> {
    /// A packet.
    Packet(Taken<'a>),
    /// None is there now.
    Nothing,
    /// No more will come.
    Over,
    /// The interface fails; it may come back.
    Failed(String),
}

/// What the kernel and the interface have counted since recording began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that passed the filter.
    pub received: u64,
    /// Packets that the kernel dropped, as its buffer was full.
    pub dropped_kernel: u64,
    /// Packets that the interface or its driver dropped.
    pub dropped_interface: u64,
}

impl Counters {
    /// What was counted since `earlier`.
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            received: self.received.saturating_sub(earlier.received),
            dropped_kernel: self.dropped_kernel.saturating_sub(earlier.dropped_kernel),
            dropped_interface: self.dropped_interface.saturating_sub(earlier.dropped_interface),
        }
    }
}

/// A source of packets that never waits.
pub trait Tap {
    /// The next packet, if one is there.
    fn next(&mut self) -> Next<'_>;

    /// Opens it again after a failure; an error says why that cannot be done now.
    ///
    /// # Errors
    /// The system's words.
    fn reopen(&mut self) -> Result<(), String>;

    /// What has been counted so far.
    fn counters(&mut self) -> Counters;

    /// Whether the interface is up, where that can be told.
    fn is_up(&mut self) -> Option<bool>;

    /// Link type of the packets.
    fn link_type(&self) -> LinkType;
}
