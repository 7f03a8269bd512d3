//! Web traffic: TLS over TCP, with what goes wrong on the way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

use super::{START, Talk, scaled};
use crate::base::Direction::{ToClient, ToServer};
use crate::base::{Endpoint, Span, Timestamp};
use crate::testkit::conversation::{Conversation, Forged, Peer, Recorded};
use crate::testkit::rng::Rng;
use crate::testkit::tls::{Hello, record, server_flight_13};
use crate::testkit::{dns, packet};
use crate::wire::dns::kind;
use crate::wire::tcp::Flags;

/// What the connections of a capture are like. Those without a unit are probabilities.
#[derive(Clone, Copy, Debug)]
pub(super) struct Profile {
    /// How many.
    pub(super) connections: u64,
    /// From the beginning of one to that of the next, on average.
    pub(super) gap: Span,
    /// Over IPv6.
    pub(super) ipv6: f64,
    /// With a hello that is too long for a segment.
    pub(super) post_quantum: f64,
    /// Preceded by a question to a resolver.
    pub(super) dns: f64,
    /// Cut by a reset that neither end sent.
    pub(super) injected: f64,
    /// Cut by the client.
    pub(super) aborted: f64,
    /// A segment that is lost and sent again: half of them behind the point of capture, half before it.
    pub(super) lost: f64,
    /// A frame that is captured twice.
    pub(super) twice: f64,
    /// A frame that is overtaken.
    pub(super) overtaken: f64,
    /// What follows the handshakes.
    pub(super) body: Body,
}

/// What follows the handshakes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// Nothing.
    Nothing,
    /// Full-size segments to the client: so many on average.
    Segments(f64),
    /// The same: so many, times the scale.
    Exactly(u64),
    /// Small records in both directions, each acknowledged: so many on average.
    Records(f64),
    /// Silence, a record of each end, and no end.
    Waits(Span),
}

/// As on the web; what is lost and cut is from the captures that the goals were set with.
pub(super) const WEB: Profile = Profile {
    connections: 0,
    gap: Span::from_ms(1),
    ipv6: 0.15,
    post_quantum: 0.4,
    dns: 0.0,
    injected: 0.04,
    aborted: 0.1,
    lost: 0.006,
    twice: 0.004,
    overtaken: 0.005,
    body: Body::Nothing,
};

/// The same where nothing goes wrong.
pub(super) const CLEAN: Profile =
    Profile { post_quantum: 0.0, injected: 0.0, aborted: 0.0, lost: 0.0, twice: 0.0, overtaken: 0.0, ..WEB };

/// Payload of a full segment: 1500 bytes less the headers of IPv4 or IPv6 and TCP with timestamps.
const SEGMENT: [u16; 2] = [1448, 1428];

/// Names that are asked for; some far more often than others.
const NAMES: f64 = 300.0;

impl Profile {
    /// Its conversations, in the order in which they begin.
    pub(super) fn talks(mut self, scale: f64) -> impl Iterator<Item = Box<dyn Talk>> {
        let connections = if let Body::Exactly(n) = &mut self.body {
            *n = scaled(*n, scale);
            self.connections
        } else {
            scaled(self.connections, scale)
        };
        let mut rng = Rng::new(0x7465_7374);
        let mut start = START;
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // nanoseconds
        (0..connections).map(move |n| {
            start = start + Span::from_ns(rng.exponential(self.gap.ns() as f64) as i64);
            Box::new(Browsing::new(self, n, start, rng.fork())) as Box<dyn Talk>
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Begin,
    Hello,
    Body,
    End,
    Done,
}

struct Browsing {
    profile: Profile,
    conversation: Conversation,
    rng: Rng,
    step: Step,
    number: u64,
    /// What is left of the body.
    left: u64,
    /// What the server has sent of its stream of records.
    sent: usize,
}

impl Browsing {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // numbers of packets; parts of addresses
    fn new(profile: Profile, n: u64, start: Timestamp, mut rng: Rng) -> Self {
        let v6 = rng.chance(profile.ipv6);
        let addr = |v4: u32, net: u16, host: u64| {
            if v6 {
                let [.., a, b, c] = host.to_be_bytes().map(u16::from);
                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, a, b, c))
            } else {
                IpAddr::V4(Ipv4Addr::from_bits(v4 + host as u32))
            }
        };
        let name = rng.exponential(NAMES) as u64;
        let client = addr(0x0a00_0000, 1, n % 5000);
        let port = 10_000 + (n / 5000 % 50_000) as u16;
        let server = addr(0xc612_0000, 2, name * 3 + rng.range(0, 3)); // 198.18.0.0/15, RFC 2544
        let near = Span::from_ns(30_000);
        let client = Peer::new(client, port, 64, near);
        let server = Peer::new(server, 443, rng.byte(44, 58), rng.ms(8, 60));
        let left = match profile.body {
            Body::Segments(mean) | Body::Records(mean) => 1 + rng.exponential(mean) as u64,
            Body::Exactly(n) => n,
            Body::Nothing | Body::Waits(_) => 0,
        };
        let conversation = Conversation::new(client, server, start);
        Self { profile, conversation, rng, step: Step::Begin, number: name, left, sent: 0 }
    }

    fn name(&self, injected: bool) -> String {
        if injected {
            format!("blocked{}.example", self.number % 20)
        } else {
            format!("site{}.example", self.number)
        }
    }

    fn begin(&mut self) -> Step {
        let c = &mut self.conversation;
        if self.rng.chance(self.profile.dns) {
            let client = Endpoint { addr: c.client.endpoint.addr, port: self.rng.word() | 0x8000 };
            let server = c.server.endpoint.addr;
            let resolver = match client.addr {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 53)),
            };
            let resolver = Endpoint { addr: resolver, port: 53 };
            let (id, name) = (self.rng.word(), format!("site{}.example", self.number));
            let kind = if server.is_ipv4() { kind::A } else { kind::AAAA };
            let query = packet::udp(client, resolver, 64, self.rng.word(), &dns::query(id, &name, kind));
            let answer = dns::answer(id, &name, kind, 0x8180, &[dns::address(server, 300)]);
            let answer = packet::udp(resolver, client, 60, self.rng.word(), &answer);
            for (direction, bytes) in [(ToServer, query), (ToClient, answer)] {
                let bytes = packet::ethernet(&bytes);
                c.frames.push(Recorded { at: c.now, bytes, genuine: true, reset: false, direction });
                c.wait(self.rng.ms(2, 20));
            }
        }
        c.handshake();
        Step::Hello
    }

    fn hello(&mut self) -> Step {
        let injected = self.rng.chance(self.profile.injected);
        let name = self.name(injected);
        let hello = if self.rng.chance(self.profile.post_quantum) {
            Hello::post_quantum(&name)
        } else {
            Hello::to(&name)
        };
        let c = &mut self.conversation;
        if injected {
            let rst = Forged {
                flags: Flags::RST.with(Flags::ACK),
                ttl: Some(self.rng.byte(100, 128)),
                df: Some(false),
                ..Forged::default()
            };
            c.data(ToServer, &hello.record()).wait(Span::from_ms(3)).forge(ToClient, &rst);
            c.round_trip(ToServer).data(ToClient, &server_flight_13(1200)).reset_reply(ToServer);
            return Step::Done;
        }
        let encrypted = match self.profile.body {
            Body::Waits(_) => 60,
            _ => 2000 + usize::from(self.rng.word() % 2000),
        };
        c.hello_answered(&hello.record(), &server_flight_13(encrypted));
        c.wait(self.rng.ms(0, 5));
        match self.profile.body {
            Body::Nothing => Step::End,
            Body::Waits(span) => {
                c.wait(span).wait(self.rng.ms(0, 10_000));
                Step::Body
            }
            _ => Step::Body,
        }
    }

    fn body(&mut self) -> Step {
        match self.profile.body {
            Body::Nothing => return Step::End,
            Body::Waits(_) => {
                let c = &mut self.conversation;
                c.data(ToServer, &record(23, 0x0303, &[0x17; 40])).round_trip(ToServer);
                c.data(ToClient, &record(23, 0x0303, &[0x17; 60])).round_trip(ToClient);
                c.send(ToServer, Flags::ACK, &[]);
                return Step::Done;
            }
            Body::Segments(_) | Body::Exactly(_) => self.segments(),
            Body::Records(_) => self.records(),
        }
        if self.left > 0 { Step::Body } else { Step::End }
    }

    /// Two full segments and their acknowledgment; or one that is lost, three more, and what follows from that.
    fn segments(&mut self) {
        let lost = self.rng.chance(self.profile.lost * 2.0);
        let n = if lost { 4 } else { self.left.min(2) };
        self.left = self.left.saturating_sub(n);
        let size = SEGMENT[usize::from(self.conversation.client.endpoint.addr.is_ipv6())];
        let mut after = 0; // bytes behind the first segment
        for i in 0..n {
            let from = self.sent % RECORD;
            self.sent += usize::from(size);
            let c = &mut self.conversation;
            let payload = &records()[from..from + usize::from(size)];
            c.send(ToClient, Flags::ACK, payload).wait(Span::from_ns(120_000));
            if lost && i > 0 {
                after += u32::from(size);
                c.missing(ToServer, size.into(), after).wait(Span::from_ns(20_000));
            }
        }
        if lost {
            self.send_again(4);
        }
        self.conversation.wait(Span::from_ns(60_000)).send(ToServer, Flags::ACK, &[]);
        self.conversation.wait(self.rng.ms(0, 2));
    }

    /// Sends the first of this step's segments to the client again. Whether the point of capture has seen it is chance.
    fn send_again(&mut self, behind_server_frames: usize) {
        let before_capture = self.rng.chance(0.5);
        let c = &mut self.conversation;
        c.round_trip(ToServer);
        c.repeat(ToClient, behind_server_frames - 1);
        if let Some(again) = c.frames.last_mut()
            && again.bytes[12..14] == [0x08, 0]
        {
            again.bytes[18..20].copy_from_slice(&self.rng.word().to_be_bytes()); // a new IP-ID
            packet::seal_header(&mut again.bytes[14..]);
        }
        if before_capture {
            let first = c.frames.iter().position(|f| f.direction == ToClient);
            first.map(|n| c.frames.remove(n));
        }
    }

    /// A small record of one end, and its acknowledgment by the other.
    fn records(&mut self) {
        self.left -= 1;
        let (direction, c) = (if self.rng.chance(0.5) { ToServer } else { ToClient }, &mut self.conversation);
        let bytes = record(23, 0x0303, &records()[..usize::from(self.rng.byte(24, 121))]);
        c.data(direction, &bytes);
        if direction == ToClient && self.rng.chance(self.profile.lost) {
            c.round_trip(ToServer).repeat(ToClient, 0);
        }
        c.wait(self.rng.ms(0, 4));
        if self.rng.chance(0.7) {
            c.send(direction.reversed(), Flags::ACK, &[]);
        }
        c.wait(self.rng.ms(1, 30));
    }

    fn end(&mut self) -> Step {
        if self.rng.chance(self.profile.aborted) {
            self.conversation.send(ToServer, Flags::RST.with(Flags::ACK), &[]);
        } else {
            self.conversation.close();
        }
        Step::Done
    }

    /// Frames that are captured twice, or overtaken by those behind them.
    fn mishaps(&mut self, frames: &mut Vec<Recorded>) {
        let Some(last) = frames.last().map(|f| f.at) else { return };
        let mut again = Vec::new();
        for f in &mut *frames {
            if self.rng.chance(self.profile.twice) {
                again.push(Recorded { at: (f.at + Span::from_ns(15_000)).min(last), ..f.clone() });
            } else if self.rng.chance(self.profile.overtaken) {
                f.at = (f.at + Span::from_ns(300_000)).min(last);
            }
        }
        frames.extend(again);
        frames.sort_by_key(|f| f.at);
    }
}

impl Talk for Browsing {
    fn next(&self) -> Option<Timestamp> {
        (self.step != Step::Done).then_some(self.conversation.now)
    }

    fn step(&mut self) -> Vec<Recorded> {
        let now = self.step;
        self.step = match now {
            Step::Begin => self.begin(),
            Step::Hello => self.hello(),
            Step::Body => self.body(),
            Step::End => self.end(),
            Step::Done => Step::Done,
        };
        let mut frames = std::mem::take(&mut self.conversation.frames);
        if now == Step::Body {
            self.mishaps(&mut frames);
        }
        frames
    }
}

/// A TLS record of the longest kind.
const RECORD: usize = 5 + 16_384;

/// Records of application data, one after the other, as long as a segment may need from any place of the first on.
fn records() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let mut rng = Rng::new(23);
        let body: Vec<u8> = (0..RECORD - 5).map(|_| rng.byte(0, 255)).collect();
        record(23, 0x0303, &body).repeat(2)
    })
}
