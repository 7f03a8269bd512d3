//! Makers of the bytes that tests, benches and fixtures feed to the program; never in a release.

pub mod clock;
pub mod conversation;
pub mod dns;
pub mod fixture;
pub mod flach;
pub mod fuzz;
pub mod keyed;
pub mod matrix;
pub mod packet;
pub mod path;
pub mod pcap;
pub mod quic;
pub mod rng;
pub mod scripts;
pub mod tls;
pub mod traffic;
pub mod udp;

use crate::analysis::{Analysis, Settings, analyze};
use crate::capture::open_reader;

/// The analysis of a file in memory; `None` where it is no capture.
pub fn analyzed(file: Vec<u8>, settings: Settings) -> Option<Analysis> {
    let mut source = open_reader(Box::new(std::io::Cursor::new(file))).ok()?;
    Some(analyze(&mut source, settings, &mut |_| {}))
}
