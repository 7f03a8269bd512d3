//! pinchpoint reads a packet capture and says what the network did to it.

pub mod analysis;
pub mod base;
pub mod capture;
pub mod cli;
pub mod detect;
pub mod flow;
pub mod measure;
pub mod report;
pub mod wire;

#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
