//! What a path is made of.

use serde::Deserialize;

use super::Draw;
use super::hosts::no_wait;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From client to server.
    ToServer,
    /// From server to client.
    ToClient,
    /// Either.
    Both,
}

impl Way {
    /// Whether packets of this direction are meant.
    pub fn has(self, d: crate::base::Direction) -> bool {
        match self {
            Self::Both => true,
            Self::ToServer => d == crate::base::Direction::ToServer,
            Self::ToClient => d == crate::base::Direction::ToClient,
        }
    }
}

const fn down() -> Way {
    Way::ToClient
}

const fn either() -> Way {
    Way::Both
}

/// Which connections a box acts upon, and from when.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Target {
    /// Names, each with all names under it; none: every connection.
    pub names: Vec<String>,
    /// What sets it off.
    pub on: On,
    /// Only after so many bytes to the client.
    pub after_bytes: u64,
    /// Only after so many packets after what set it off.
    pub after_packets: u32,
    /// Only so many seconds after what set it off.
    pub after_s: f64,
    /// For how long, s; 0 for good.
    pub for_s: f64,
    /// For so long after it was set off, s, all connections of the client to the same server and port are acted upon.
    pub residual_s: f64,
}

/// What sets a box off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// A ClientHello or an HTTP request with the name.
    #[default]
    Name,
    /// The SYN.
    Syn,
    /// Any first data.
    Data,
}

/// The identification of forged packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgedId {
    /// A random number.
    #[default]
    Random,
    /// That of the packet that set it off.
    Copied,
    /// The next of the sender whose name it uses.
    Continued,
    /// Of the keyed generator (Ablove et al. 2026), with its window and TTL.
    Keyed,
    /// This number.
    Fixed(u16),
    /// Ever 256 more: a counter with its bytes swapped.
    Swapped,
}

/// The TTL of forged packets, where they are made.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgedTtl {
    /// Such that it arrives like the sender's own.
    Copied,
    /// This number.
    Fixed(u8),
    /// A number between.
    Between(u8, u8),
}

impl Default for ForgedTtl {
    fn default() -> Self {
        Self::Fixed(64)
    }
}

/// The window field of forged packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgedWindow {
    /// This number.
    Fixed(u16),
    /// The last of the sender whose name it uses.
    Copied,
}

impl Default for ForgedWindow {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

/// A box that sends packets in the name of others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injector {
    /// Upon which connections.
    #[serde(default)]
    pub target: Target,
    /// To whom it sends.
    #[serde(default = "either")]
    pub to: Way,
    /// The flags, as Wireshark's letters or words joined by `+`.
    pub flags: String,
    /// How long it takes, ms.
    #[serde(default = "fast")]
    pub delay_ms: Draw,
    /// Added to the sequence number, a packet each.
    #[serde(default = "one_packet")]
    pub steps: Vec<i32>,
    /// TTL.
    #[serde(default)]
    pub ttl: ForgedTtl,
    /// IP-ID.
    #[serde(default)]
    pub ip_id: ForgedId,
    /// DF.
    #[serde(default)]
    pub df: bool,
    /// Window field.
    #[serde(default)]
    pub window: ForgedWindow,
    /// Whether window and TTL go up by one a packet.
    #[serde(default)]
    pub climbs: bool,
    /// Payload: hexadecimal.
    #[serde(default)]
    pub payload: String,
    /// Payload: text, such as a block page.
    #[serde(default)]
    pub page: String,
    /// Whether what set it off does not pass.
    #[serde(default)]
    pub swallows: bool,
    /// Whether it also acts upon every later packet of the connection that carries data.
    #[serde(default)]
    pub again: bool,
}

const fn fast() -> Draw {
    Draw::Range([0.05, 1.5])
}

fn one_packet() -> Vec<i32> {
    vec![0]
}

/// A box that answers DNS queries in the resolver's name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsForger {
    /// Which queries: those for these names.
    #[serde(default)]
    pub target: Target,
    /// How long it takes, ms.
    #[serde(default = "fast")]
    pub delay_ms: Draw,
    /// TTL.
    #[serde(default)]
    pub ttl: ForgedTtl,
    /// The addresses that it gives, one at a time; none: the name does not exist.
    #[serde(default)]
    pub answers: Vec<std::net::IpAddr>,
    /// Whether it repeats the capitals of the query.
    #[serde(default = "yes")]
    pub keeps_case: bool,
    /// Whether the query does not pass.
    #[serde(default)]
    pub swallows: bool,
}

const fn yes() -> bool {
    true
}

/// A token bucket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Upon which connections.
    #[serde(default)]
    pub target: Target,
    /// Rate of IP bytes, bit/s.
    pub rate_bps: Draw,
    /// Depth, bytes.
    pub burst: Draw,
    /// What waits at most, bytes; for a shaper.
    #[serde(default = "queue")]
    pub queue: Draw,
    /// Which way.
    #[serde(default = "down")]
    pub way: Way,
    /// What shares a bucket.
    #[serde(default)]
    pub share: Share,
}

const fn queue() -> Draw {
    Draw::One(256_000.0)
}

/// What shares a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// Each connection has its own.
    #[default]
    Connection,
    /// All that it acts upon.
    All,
}

/// How a queue that is not full drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Not at all.
    #[default]
    DropTail,
    /// As `CoDel` does (RFC 8289).
    Codel,
    /// With a probability that rises with the queue.
    Red,
}

/// What a path is made of.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Element {
    /// Routers: TTL and time.
    Hops {
        /// How many.
        count: Draw,
        /// One-way delay of all, ms.
        delay_ms: Draw,
        /// Mean of what is added at random, ms; order is kept.
        #[serde(default = "no_wait")]
        jitter_ms: Draw,
    },
    /// A place to capture at.
    Tap {
        /// Its name.
        name: String,
    },
    /// Loss at random.
    Loss {
        /// Share of packets.
        rate: Draw,
        /// Mean length of a run of losses.
        #[serde(default = "single")]
        run: Draw,
        /// Which way.
        #[serde(default = "either")]
        way: Way,
    },
    /// Packets that are overtaken.
    Reorder {
        /// Share of packets.
        rate: Draw,
        /// By how much, ms.
        by_ms: Draw,
        /// Which way.
        #[serde(default = "either")]
        way: Way,
    },
    /// Packets that come twice.
    Duplicate {
        /// Share of packets.
        rate: Draw,
        /// How much later, ms.
        after_ms: Draw,
    },
    /// A link slower than the others, with a queue that others use as well.
    Bottleneck {
        /// Rate of IP bytes, bit/s.
        rate_bps: Draw,
        /// Length of the queue, bytes.
        queue: Draw,
        /// How it drops.
        #[serde(default)]
        drops: Queue,
        /// Share of the rate that other traffic takes, in bursts.
        #[serde(default = "no_wait")]
        cross: Draw,
        /// Which way.
        #[serde(default = "down")]
        way: Way,
    },
    /// A token bucket that drops.
    Policer(Bucket),
    /// A token bucket that delays.
    Shaper(Bucket),
    /// A box that forges.
    Injector(Injector),
    /// A box that forges DNS.
    DnsForger(DnsForger),
    /// A box that drops.
    Dropper {
        /// Upon which connections.
        #[serde(default)]
        target: Target,
        /// Which way.
        way: Way,
        /// Only packets longer than this.
        #[serde(default)]
        longer_than: u32,
        /// Whether only packets with payload.
        #[serde(default)]
        data_only: bool,
    },
    /// A box that lets packets wait.
    Delayer {
        /// Upon which connections.
        #[serde(default)]
        target: Target,
        /// Which way.
        way: Way,
        /// How long each waits, ms; order is kept.
        delay_ms: Draw,
        /// Whether only packets with payload.
        #[serde(default)]
        data_only: bool,
    },
    /// A box that answers packets with payload, or SYNs, with an ICMP "destination unreachable" in a router's name.
    Refuser {
        /// Upon which connections.
        #[serde(default)]
        target: Target,
        /// Which packets: those that go this way.
        way: Way,
        /// The code.
        code: u8,
        /// How long it takes, ms.
        #[serde(default = "fast")]
        delay_ms: Draw,
        /// How many bytes behind the IP header it quotes.
        #[serde(default = "as_much_as_routers_must")]
        quotes: usize,
        /// Whether what it answers does not pass.
        #[serde(default)]
        swallows: bool,
    },
    /// A box that turns the server's first answer into a reset: same header, no payload.
    Rewriter {
        /// Upon which connections.
        #[serde(default)]
        target: Target,
    },
    /// A box that moves the first two and the last two bytes of payloads to the client: each pair into its own other order, or
    /// one pair into the place of the other.
    Tamper {
        /// Whether one pair goes into the place of the other.
        #[serde(default)]
        across: bool,
        /// Upon which connections.
        #[serde(default)]
        target: Target,
    },
    /// A translator that forgets.
    Nat {
        /// After so many seconds of silence.
        forgets_s: f64,
        /// Whether it answers what it does not know with a reset.
        resets: bool,
    },
    /// A link that is down for a while: a sleeping laptop, a handover.
    Outage {
        /// From when, s.
        at_s: Draw,
        /// For how long, s.
        for_s: Draw,
    },
}

const fn as_much_as_routers_must() -> usize {
    8 // RFC 792
}

const fn single() -> Draw {
    Draw::One(1.0)
}
