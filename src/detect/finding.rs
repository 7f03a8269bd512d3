//! What a detector says: a finding, the evidence that it rests on, and the innocent causes that were weighed.

use super::weights::Weight;
use crate::base::{Direction, Span, Timestamp};

/// How sure a finding is. `Confirmed` and `Likely` are claims; `Possible` is a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth a look.
    Possible,
    /// A claim that one kind of hard evidence carries.
    Likely,
    /// A claim that independent kinds of hard evidence carry.
    Confirmed,
}

impl Level {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Confirmed => "confirmed",
        }
    }
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Which weight it carries: a name in [`super::weights`].
    pub key: &'static str,
    /// What was seen, in words.
    pub claim: String,
    /// Natural-log odds for (positive) or against the finding.
    pub log_odds: f64,
    /// The packets that show it.
    pub frames: Vec<u64>,
    /// Where the rule comes from.
    pub source: &'static str,
}

impl Evidence {
    /// A claim that carries a weight so many times.
    pub(super) fn new(weight: &Weight, times: f64, claim: String, frames: Vec<u64>) -> Self {
        Self { key: weight.key, claim, log_odds: weight.log_odds * times, frames, source: weight.source }
    }
}

/// An innocent cause that was weighed.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// The cause.
    pub cause: &'static str,
    /// Natural-log odds that its evidence gives it against the finding.
    pub log_odds: f64,
    /// Why it fits or does not.
    pub why: String,
}

/// What set a reset off, as far as the packets before it tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A SYN: the address or port, before any name was sent.
    Syn,
    /// The handshake, before any data.
    Handshake,
    /// A ClientHello.
    ClientHello,
    /// An HTTP request.
    HttpRequest,
    /// Other first data.
    FirstData,
    /// Something later.
    Later,
    /// The capture does not show.
    Unknown,
}

impl Trigger {
    /// The name that the JSON has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::Handshake => "handshake",
            Self::ClientHello => "client_hello",
            Self::HttpRequest => "http_request",
            Self::FirstData => "first_data",
            Self::Later => "later",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a name had been sent by then.
    pub const fn has_name(self) -> bool {
        matches!(self, Self::ClientHello | Self::HttpRequest | Self::Later)
    }

    /// When it came, in words that follow "reset".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Syn => "at its SYN, before any name was sent",
            Self::Handshake => "in or right after the TCP handshake, before any name was sent",
            Self::ClientHello => "after its ClientHello",
            Self::HttpRequest => "after its HTTP request",
            Self::FirstData => "after its first data, which is no ClientHello",
            Self::Later => "in the middle of the conversation",
            Self::Unknown => "in a connection whose start was not captured",
        }
    }
}

/// What a finding claims to have been done: the mechanisms of the JSON contract, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// A packet that no endpoint sent.
    Injected,
    /// A packet of an endpoint, rewritten on its way.
    RewrittenInPath,
    /// A cap by dropping what exceeds a token bucket.
    Policed,
    /// A cap by delaying what exceeds a rate.
    Shaped,
    /// A cap, by what kind of box cannot be told.
    RateLimitedUnknown,
    /// Reset because of the name.
    Reset,
    /// The hello, or the request, never came to the server.
    HelloDropped,
    /// The answer to it never came.
    HelloMuted,
    /// Closed in the place of an answer.
    Closed,
    /// A few packets passed, and then none.
    DropAfterN,
    /// Some kilobytes passed, and then none.
    Freeze,
    /// Slowed because of the name.
    Throttled,
    /// Slowed because of the name: not a rate, but the time that a handshake takes.
    SlowHandshake,
    /// Packets over some size never came, and smaller ones did.
    SizeKeyed,
    /// Refused by an ICMP error.
    Icmp,
    /// A QUIC hello got no reply.
    QuicNoReply,
    /// A QUIC client was not heard any more after its hello.
    QuicDropped,
    /// An answer that the server did not send.
    Forged,
    /// Payload that a box changed.
    Tampered,
    /// An answer of DNS that the resolver did not send.
    DnsForged,
    /// A resolver denies a name that another resolves.
    DnsDenied,
}

impl Mechanism {
    /// The name that the JSON has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::RewrittenInPath => "rewritten_in_path",
            Self::Policed => "policed",
            Self::Shaped => "shaped",
            Self::RateLimitedUnknown => "rate_limited_unknown",
            Self::Reset => "reset",
            Self::HelloDropped => "hello_dropped",
            Self::HelloMuted => "hello_muted",
            Self::Closed => "closed",
            Self::DropAfterN => "drop_after_n",
            Self::Freeze => "freeze",
            Self::Throttled | Self::SlowHandshake => "throttled",
            Self::SizeKeyed => "size_keyed",
            Self::Icmp => "icmp",
            Self::QuicNoReply => "quic_no_reply",
            Self::QuicDropped => "quic_dropped",
            Self::Forged => "forged",
            Self::Tampered => "tampered",
            Self::DnsForged => "dns_forged",
            Self::DnsDenied => "dns_denied",
        }
    }

    /// Whether its deciding packets are DNS, not those of its connections.
    pub const fn is_of_dns(self) -> bool {
        matches!(self, Self::DnsForged | Self::DnsDenied)
    }
}

/// What interference depends on, as far as controls tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyedOn {
    /// The name: other names on the same servers were left alone.
    Sni,
    /// The server: other names on it fare the same.
    Server,
    /// The port: every server on it fares the same.
    Port,
    /// Any data, whatever it says.
    AnyData,
}

impl KeyedOn {
    /// The name that the JSON has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sni => "sni",
            Self::Server => "server",
            Self::Port => "port",
            Self::AnyData => "any_data",
        }
    }
}

/// Connections of the same client to the same networks, with other names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// The names, the first few in order.
    pub names: Vec<String>,
    /// Those that went well.
    pub well: usize,
    /// Those that met the same fate.
    pub failed: usize,
}

/// How long other connections to the same server and port failed after a name set a box off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Residual {
    /// From the last that set it off to the last that failed.
    pub at_least: Span,
    /// And to the first that went well.
    pub at_most: Span,
    /// How many failed.
    pub connections: usize,
}

/// A cap on the rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cap {
    /// The rate in bit/s of IP packets.
    pub rate_bps: f64,
    /// The interval that the rate lies in, at 95%.
    pub interval_bps: [f64; 2],
    /// How many bytes may pass at once, where it can be told.
    pub burst_bytes: Option<u64>,
}

/// A finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule: see [`super::registry`].
    pub code: &'static str,
    /// What happened.
    pub mechanism: Mechanism,
    /// The family of devices whose fingerprint it has, where the fingerprint is one family's alone.
    pub family: Option<String>,
    /// A pattern that a family is known for, but that others may send too.
    pub looks_like: Option<String>,
    /// The connections, by their places in the capture's list, those of QUIC behind those of TCP, in order; at least one, save
    /// of a finding about DNS, which has those that followed a forged answer.
    pub connections: Vec<usize>,
    /// The name that it is about, where that is not the name of its connections.
    pub name: Option<String>,
    /// What set it off, where something did.
    pub trigger: Option<Trigger>,
    /// What it depends on, where controls tell.
    pub keyed_on: Option<KeyedOn>,
    /// How likely chance alone sets target and control so far apart.
    pub p_value: Option<f64>,
    /// What it was held against, where there was something.
    pub controls: Option<Controls>,
    /// What lingered after it.
    pub residual: Option<Residual>,
    /// The cap, of a finding about one.
    pub cap: Option<Cap>,
    /// Which way the packets went; `None` for both.
    pub direction: Option<Direction>,
    /// The deciding packets, in order.
    pub frames: Vec<u64>,
    /// When the first of them was captured.
    pub at: Timestamp,
    /// Routers between the device and the point of capture, where the packets tell.
    pub hops: Option<u8>,
    /// Log-odds before any evidence.
    pub prior: f64,
    /// Probability that the claim is true, given the evidence and the prior.
    pub confidence: f64,
    /// The level, after the gates.
    pub level: Level,
    /// For and against.
    pub evidence: Vec<Evidence>,
    /// The innocent causes.
    pub alternatives: Vec<Alternative>,
}

impl Finding {
    /// A finding that says which rule it is of, what happened, to which connections and when, and nothing else yet.
    pub(super) const fn new(
        code: &'static str,
        mechanism: Mechanism,
        connections: Vec<usize>,
        at: Timestamp,
    ) -> Self {
        Self {
            code,
            mechanism,
            family: None,
            looks_like: None,
            connections,
            name: None,
            trigger: None,
            keyed_on: None,
            p_value: None,
            controls: None,
            residual: None,
            cap: None,
            direction: None,
            frames: Vec::new(),
            at,
            hops: None,
            prior: 0.0,
            confidence: 0.0,
            level: Level::Possible,
            evidence: Vec::new(),
            alternatives: Vec::new(),
        }
    }

    /// Whether it says something of this connection.
    pub fn concerns(&self, connection: usize) -> bool {
        self.connections.binary_search(&connection).is_ok()
    }
}

/// What is said of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing that needs a third party.
    Clean,
    /// A finding that is a claim.
    Interfered,
    /// It cannot be told, for a reason that stands beside it.
    Inconclusive,
}

impl Verdict {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Interfered => "interfered",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// The probability that log-odds stand for.
pub fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
