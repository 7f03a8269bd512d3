//! pinchpoint reads a packet capture and says what the network did to it.

pub mod base;
pub mod capture;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
