//! Scenarios as TOML, checked strictly: a word that is not known here is an error, never a default.
//!
//! A number that may vary is written as one number or as `[low, high]`, from which each seed draws its own. A `[sweep]`
//! table makes many scenarios of one: its keys are dotted places in the file, its values lists of what to put there, and
//! all combinations are run.

use serde::Deserialize;
use serde::de::Error as _;

use super::congestion::Control;
use crate::testkit::rng::Rng;

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

/// How a host numbers its packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpId {
    /// A counter for each connection, as Linux has it; 0 in SYN-ACKs and in resets without a socket.
    #[default]
    Counter,
    /// One counter for the host.
    Global,
    /// Always 0.
    Zero,
    /// Random.
    Random,
}

/// The TCP of an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stack {
    /// The model of a Linux-like TCP.
    #[default]
    Model,
    /// smoltcp.
    Smoltcp,
}

/// A host.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Host {
    /// Its TCP.
    pub stack: Stack,
    /// Its congestion control.
    pub control: Control,
    /// The TTL that it sends.
    pub ttl: u8,
    /// The TTL of its resets, where something in front of it sends them.
    pub reset_ttl: Option<u8>,
    /// How it numbers packets.
    pub ip_id: IpId,
    /// DF on its packets.
    pub df: bool,
    /// Longest payload of its segments.
    pub mss: u32,
    /// Receive buffer in bytes.
    pub receive_buffer: u32,
    /// How fast its program reads, bit/s; absent: at once.
    pub reads_bps: Option<f64>,
    /// Whether it uses timestamps.
    pub timestamps: bool,
    /// Whether it uses SACK.
    pub sack: bool,
    /// Segments for which it sends one ACK.
    pub ack_every: u32,
    /// How long its ACKs may wait, ms.
    pub ack_delay_ms: f64,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            stack: Stack::Model,
            control: Control::Cubic,
            ttl: 64,
            reset_ttl: None,
            ip_id: IpId::Counter,
            df: true,
            mss: 1448,
            receive_buffer: 3 << 20,
            reads_bps: None,
            timestamps: true,
            sack: true,
            ack_every: 2,
            ack_delay_ms: 40.0,
        }
    }
}

/// What a server does with a hello or request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It answers as TLS 1.3 does, and serves.
    #[default]
    Serve,
    /// A fatal `unrecognized_name` alert, and it closes.
    Alert,
    /// It resets the connection.
    Reset,
    /// It resets the connection as soon as it is open.
    ResetOnAccept,
    /// It closes the connection.
    Close,
    /// It acknowledges, and says nothing.
    Silent,
    /// Its port is closed.
    Refuse,
    /// It is not there.
    Absent,
}

/// A server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The names that it has; the first server with a connection's name is its server.
    pub names: Vec<String>,
    /// Its address: of the ranges that RFC 5737 and RFC 3849 keep for documentation.
    pub address: std::net::IpAddr,
    /// Its port.
    #[serde(default = "https")]
    pub port: u16,
    /// What it does.
    #[serde(default)]
    pub answer: Answer,
    /// How long it thinks before it answers, ms.
    #[serde(default = "quick")]
    pub thinks_ms: Draw,
    /// The host.
    #[serde(default)]
    pub host: Host,
}

const fn https() -> u16 {
    443
}

const fn quick() -> Draw {
    Draw::Range([0.3, 3.0])
}

/// The hello of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hello {
    /// One segment.
    #[default]
    Small,
    /// A post-quantum key share and ECH: two segments.
    PostQuantum,
    /// Several records.
    Records,
    /// One record, written in two halves, 5 ms apart.
    Halves,
    /// No TLS: an HTTP/1.1 request.
    Http,
    /// Neither: bytes that name nothing.
    Opaque,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Close {
    /// The client closes.
    #[default]
    Client,
    /// The server closes.
    Server,
    /// The client gives up with a reset.
    ClientAborts,
    /// The client gives up with a reset in the middle of the last answer.
    ClientAbortsEarly,
    /// The server gives up with a reset.
    ServerAborts,
    /// The server gives up with a reset in the middle of the last answer.
    ServerAbortsEarly,
    /// Nobody, while it is watched.
    Nobody,
}

/// A request and its answer.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Bytes up.
    #[serde(default = "request_size")]
    pub up: Draw,
    /// Bytes down.
    pub down: Draw,
    /// How long the client waits before it, ms.
    #[serde(default = "no_wait")]
    pub after_ms: Draw,
    /// In how many pieces the server has the answer ready, and how far apart, ms: a program that is slower than the path.
    #[serde(default)]
    pub pieces: Option<(u32, f64)>,
}

const fn request_size() -> Draw {
    Draw::Range([300.0, 900.0])
}

const fn no_wait() -> Draw {
    Draw::One(0.0)
}

/// Connections of the client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// The name that they ask for.
    pub name: String,
    /// How many.
    #[serde(default = "once")]
    pub count: u32,
    /// When the first begins, s.
    #[serde(default = "no_wait")]
    pub at_s: Draw,
    /// How far apart they begin, s.
    #[serde(default = "a_while")]
    pub every_s: Draw,
    /// The hello.
    #[serde(default)]
    pub hello: Hello,
    /// The requests.
    #[serde(default = "a_page")]
    pub requests: Vec<Request>,
    /// How it ends.
    #[serde(default)]
    pub close: Close,
    /// How long after the last answer it ends, ms.
    #[serde(default = "soon")]
    pub close_after_ms: Draw,
    /// How long the client waits for something to happen before it gives up, s.
    #[serde(default = "patient")]
    pub patience_s: f64,
}

const fn once() -> u32 {
    1
}

const fn a_while() -> Draw {
    Draw::Range([1.0, 3.0])
}

const fn soon() -> Draw {
    Draw::Range([50.0, 900.0])
}

const fn patient() -> f64 {
    20.0
}

fn a_page() -> Vec<Request> {
    vec![Request {
        up: request_size(),
        down: Draw::Range([3_000.0, 40_000.0]),
        after_ms: no_wait(),
        pieces: None,
    }]
}

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
    /// As CoDel does (RFC 8289).
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
    /// A box that turns the server's first answer into a reset: same header, no payload.
    Rewriter {
        /// Upon which connections.
        #[serde(default)]
        target: Target,
    },
    /// A box that swaps the first two and the last two bytes of payloads to the client.
    Tamper {
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

const fn single() -> Draw {
    Draw::One(1.0)
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

/// A scenario that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {why}")]
pub struct Unreadable {
    file: String,
    why: toml::de::Error,
}

/// The scenarios of a file, by what sets them apart: one, or as many as its `[sweep]` makes.
///
/// # Errors
/// What is wrong with the file, and where.
pub fn read(file: &str, text: &str) -> Result<Vec<(String, Scenario)>, Unreadable> {
    let wrong = |why| Unreadable { file: file.to_owned(), why };
    let mut root: toml::Table = toml::from_str(text).map_err(wrong)?;
    let sweep = match root.remove("sweep") {
        Some(toml::Value::Table(t)) => t,
        None => toml::Table::new(),
        Some(_) => return Err(wrong(toml::de::Error::custom("sweep is no table"))),
    };
    let mut variants = vec![(String::new(), toml::Value::Table(root))];
    for (place, values) in sweep {
        let toml::Value::Array(values) = values else {
            return Err(wrong(toml::de::Error::custom(format!("sweep: {place} is no list"))));
        };
        let mut next = Vec::new();
        for (label, root) in &variants {
            for value in &values {
                let mut root = root.clone();
                let mut laid = value.clone();
                if let toml::Value::Table(t) = &mut laid {
                    t.remove("label"); // for people
                }
                put(&mut root, &place, laid).map_err(wrong)?;
                let comma = if label.is_empty() { "" } else { ", " };
                next.push((format!("{label}{comma}{place}={}", short(value)), root));
            }
        }
        variants = next;
    }
    variants
        .into_iter()
        .map(|(label, root)| Ok((label, Scenario::deserialize(root).map_err(wrong)?)))
        .collect()
}

/// A value as a table shows it: its label, if it has one.
fn short(value: &toml::Value) -> String {
    let label = value.as_table().and_then(|t| t.get("label")).unwrap_or(value);
    label.to_string().replace(['"', '\n'], "")
}

/// Lays a value over what stands at a dotted place: a table over a table, unless it has a `kind` of its own; anything else in
/// the place of what is there.
fn put(at: &mut toml::Value, place: &str, value: toml::Value) -> Result<(), toml::de::Error> {
    let missing = || toml::de::Error::custom(format!("sweep: there is no place {place}"));
    if place.is_empty() {
        match (at, value) {
            (toml::Value::Table(old), toml::Value::Table(new)) if !new.contains_key("kind") => {
                old.extend(new)
            }
            (at, value) => *at = value,
        }
        return Ok(());
    }
    let (step, rest) = place.split_once('.').unwrap_or((place, ""));
    let next = match at {
        toml::Value::Table(t) => t.entry(step).or_insert_with(|| toml::Value::Table(toml::Table::new())),
        toml::Value::Array(a) => step.parse::<usize>().ok().and_then(|i| a.get_mut(i)).ok_or_else(missing)?,
        _ => return Err(missing()),
    };
    put(next, rest, value)
}
