//! Builders of test input: for tests, fixtures, fuzzing and benches; never part of a release.

pub mod pcap;
