//! Builders of test input: for tests, fixtures, fuzzing and benches; never part of a release.
#![allow(clippy::must_use_candidate)] // nobody builds test input and drops it

pub mod pcap;
