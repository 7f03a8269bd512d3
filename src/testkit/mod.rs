//! Makers of the bytes that tests, benches and fixtures feed to the program; never in a release.

pub mod conversation;
pub mod fixture;
pub mod fuzz;
pub mod pcap;
pub mod scenario;
pub mod tls;
