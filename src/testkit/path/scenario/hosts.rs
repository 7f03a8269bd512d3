//! The ends: hosts, servers, connections.

use serde::Deserialize;

use super::Draw;
use crate::testkit::path::congestion::Control;

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
    /// The TTL of its SYN-ACKs, where something in front of it shakes hands.
    pub syn_ack_ttl: Option<u8>,
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
            syn_ack_ttl: None,
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
    /// Whether a resolver gives another address each time that it is asked.
    #[serde(default)]
    pub rotates: bool,
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
    /// Over QUIC, whatever stack the hosts have for TCP.
    Quic,
    /// No connection: a DNS query for the name, to a resolver.
    Dns,
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

pub(super) const fn no_wait() -> Draw {
    Draw::One(0.0)
}

/// Connections of the client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// The name that they ask for.
    pub name: String,
    /// The server, where several have the name.
    #[serde(default)]
    pub server: Option<std::net::IpAddr>,
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
