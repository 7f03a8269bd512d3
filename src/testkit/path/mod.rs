//! A network path in virtual time, with a TCP at both ends: captures whose truth is known packet by packet.
//!
//! A [`scenario::Scenario`] says who talks to whom, what lies between, and where it is captured; [`world::play`] plays it,
//! event by event, the same from the same seed; [`capture`] writes what a place saw as a capture file, with its
//! [`capture::Truth`]. `docs/simulation.md` says what is modelled and what is not.

// a simulator computes with floats and truncates sequence numbers all the time; none of it is in the program
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::cast_lossless
)]

pub mod actor;
pub mod boxes;
pub mod capture;
pub mod congestion;
pub mod dns;
pub mod line;
pub mod packet;
pub mod quic;
pub mod scenario;
pub mod smol;
pub mod stack;
pub mod tcp;
pub mod world;
