//! pinchpoint reads a packet capture and says what the network did to it.

pub mod base;
pub mod capture;
pub mod flow;
pub mod wire;

#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
