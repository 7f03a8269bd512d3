//! Makers of the bytes that tests, benches and fixtures feed to the program; never in a release.

pub mod conversation;
pub mod dns;
pub mod fixture;
pub mod flach;
pub mod fuzz;
pub mod matrix;
pub mod packet;
pub mod path;
pub mod pcap;
pub mod quic;
pub mod rng;
pub mod scripts;
pub mod tls;
pub mod udp;
