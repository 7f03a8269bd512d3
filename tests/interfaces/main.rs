//! Recording and live analysis on real interfaces, in network namespaces that the tests make.
//!
//! Needs root, `ip`, /dev/net/tun and a build with libpcap; says so and does nothing where they are not.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]

#[path = "../kernel/hosts.rs"]
#[allow(dead_code)]
mod hosts;
mod live;
mod net;
mod record;
mod terminal;
