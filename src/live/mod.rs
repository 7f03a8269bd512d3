//! Recording packets, and analysing them as they come.
//!
//! A thread of its own takes packets from a [`tap::Tap`] and writes them in whole blocks; nothing that analyses can
//! hold it up. Analysis reads the same blocks behind a bounded queue, by the reader and the analyzer that files have:
//! so what is said live is what the recorded file says later.

pub mod changes;
pub mod clock;
pub mod comment;
pub mod confine;
#[cfg(libpcap)]
pub mod device;
pub mod engine;
pub mod feed;
pub mod interfaces;
pub mod lately;
pub mod lines;
pub mod recent;
pub mod record;
pub mod rights;
pub mod screen;
pub mod signals;
pub mod store;
pub mod tap;
pub mod targets;
pub mod trim;
