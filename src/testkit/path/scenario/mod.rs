//! Scenarios as TOML, checked strictly: a word that is not known here is an error, never a default.
//!
//! A number that may vary is written as one number or as `[low, high]`, from which each seed draws its own. A file
//! may make many scenarios: `[[variant]]` tables, each of dotted places in the file with what to put there, and a `[sweep]`
//! table, whose values are lists. All combinations are run.

mod elements;
mod hosts;
mod read;

use serde::Deserialize;

pub use elements::{
    Bucket, DnsForger, Element, ForgedId, ForgedTtl, ForgedWindow, Injector, On, Queue, Share, Target, Way,
};
pub use hosts::{Answer, Close, Connection, Hello, Host, IpId, Request, Server, Stack};
pub use read::{Unreadable, read};

use crate::base::Timestamp;
use crate::testkit::rng::Rng;

/// When every run begins: the day from which X could not be reached in Pakistan, at 12:00 UTC.
pub const START: Timestamp = Timestamp::from_ns(1_708_171_200_000_000_000);

/// A number, or a range that the seed draws from.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub enum Draw {
    /// Always this.
    One(f64),
    /// From the first to below the second.
    Range([f64; 2]),
}

impl Draw {
    /// The number.
    pub fn draw(self, rng: &mut Rng) -> f64 {
        match self {
            Self::One(n) => n,
            Self::Range([low, high]) => low + (high - low) * rng.unit(),
        }
    }
}

/// What a scenario says of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// What the rule is to find is done to some of its connections.
    Positive,
    /// Innocent, and like it in one or two signs.
    NearMiss,
    /// Innocent, with a cause that analysts know.
    Benign,
}

impl Class {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::NearMiss => "near-miss",
            Self::Benign => "benign",
        }
    }
}

/// Which rule a scenario is about, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covers {
    /// The rule's code.
    pub rule: String,
    /// As what.
    pub class: Class,
}

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What happens, in a sentence or two.
    pub about: String,
    /// Whether what it does can be seen at all from some of its places: counted apart.
    #[serde(default)]
    pub hard: bool,
    /// The rules that it is about.
    pub covers: Vec<Covers>,
    /// How many seeds of it are run.
    #[serde(default = "one")]
    pub seeds: u64,
    /// The client.
    #[serde(default)]
    pub client: Host,
    /// The servers.
    pub server: Vec<Server>,
    /// The connections.
    pub connection: Vec<Connection>,
    /// What lies between client and server, from the client on.
    pub path: Vec<Element>,
    /// Where and how it is captured.
    #[serde(default = "both_ends")]
    pub capture: Vec<Capture>,
}

const fn one() -> u64 {
    1
}

fn both_ends() -> Vec<Capture> {
    ["client", "server"].map(|at| Capture { at: at.to_owned(), ..Capture::default() }).to_vec()
}

/// Where and how a run is captured.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capture {
    /// `client`, `server`, or the name of a tap.
    pub at: String,
    /// Bytes kept of a frame; 0 for all.
    pub snaplen: u32,
    /// Share of packets that the capture loses.
    pub loses: f64,
    /// Only packets of this direction.
    pub only: Option<Direction>,
    /// Whether segments that follow each other closely are merged, as receive offload does.
    pub merges: bool,
    /// Seconds from the beginning that are missing.
    pub late_s: f64,
    /// Whether the file ends in the middle of its last record.
    pub cut: bool,
}

/// A direction of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From client to server.
    ToServer,
    /// From server to client.
    ToClient,
}

impl Capture {
    /// How it is called in tables.
    pub fn name(&self) -> String {
        let mut name = self.at.clone();
        let mut add = |yes: bool, word: &str| {
            if yes {
                name.push_str(word);
            }
        };
        add(self.snaplen > 0, ", snaplen");
        add(self.loses > 0.0, ", capture loss");
        add(self.only.is_some(), ", one direction");
        add(self.merges, ", merged");
        add(self.late_s > 0.0, ", late");
        add(self.cut, ", cut");
        name
    }
}
