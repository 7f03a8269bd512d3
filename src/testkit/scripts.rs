//! Labelled connections with resets: forged ones of every kind that the detector knows, near-misses, and the innocent
//! causes that look like them.
//!
//! Each [`Kind`] is a script with a seed that varies round trips, TTLs, numbering and vantage. The truth is in the
//! frames. They are scripts, not recordings: they hold what the literature and labelled captures show, and serve to
//! hold the detector to it, not to prove it on the network.

use std::net::{IpAddr, Ipv4Addr};

use super::conversation::{Conversation, Forged, Numbering, Peer};
use super::keyed::{KEY, generate};
use super::rng::Rng;
use super::tls::{Hello, server_flight_13};
use crate::base::Direction::{ToClient, ToServer};
use crate::base::{Span, Timestamp};
use crate::wire::tcp::Flags;

/// What a script is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Its resets that are not genuine are forged.
    Forged,
    /// Innocent, and close to a forged one in one or two signs.
    NearMiss,
    /// Innocent.
    Benign,
}

/// A script.
#[derive(Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub class: Class,
    script: fn(&mut Conversation, &mut Rng),
}

/// The point of capture of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the client's host.
    Client,
    /// Between the two.
    Middle,
    /// On the server's host.
    Server,
}

impl Kind {
    /// The conversation that this script makes of a seed at a point of capture.
    pub fn play(&self, seed: u64, place: Place) -> Conversation {
        let mut rng = Rng::new(seed ^ 0x70_69_6e_63_68);
        let n = u8::try_from(seed % 200).unwrap_or(0) + 1;
        let port = 32_768 + u16::try_from(seed % 28_000).unwrap_or(0);
        let (hops_near, hops_far) = (rng.byte(3, 9), rng.byte(8, 20));
        let (near, far) = (rng.ms(2, 20), rng.ms(20, 150));
        let (client_ttl, server_ttl, client_delay, server_delay) = match place {
            Place::Client => (64, 64 - hops_far, Span::from_ns(20_000), far),
            Place::Middle => (64 - hops_near, 64 - hops_far, near, far),
            Place::Server => (64 - hops_far, 64, far, Span::from_ns(20_000)),
        };
        let client = Peer::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)), port, client_ttl, client_delay);
        let mut server = Peer::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, n)), 443, server_ttl, server_delay);
        server.isn = u32::from(rng.word()) << 16 | u32::from(rng.word());
        match rng.range(0, 3) {
            0 => {}
            1 => server.numbering = Numbering::Random(rng.word()),
            _ => server.numbering = Numbering::Zero,
        }
        let mut c = Conversation::new(client, server, Timestamp::from_ns(1_708_128_000_000_000_000));
        (self.script)(&mut c, &mut rng);
        // what is injected on the path moves away from it: the far end's host never sees it
        c.frames.retain(|f| match place {
            Place::Middle => true,
            Place::Client => f.genuine || f.direction == ToClient,
            Place::Server => f.genuine || f.direction == ToServer,
        });
        c
    }
}

fn hello() -> Vec<u8> {
    Hello::to("x.com").record()
}

const RST: Flags = Flags::RST;
const RST_ACK: Flags = Flags(0x14);

fn ask(c: &mut Conversation) {
    c.handshake().wait(Span::from_ms(1)).data(ToServer, &hello());
}

/// What the real server sends to a client that a forged reset has silenced, and how the client's system answers.
fn real_answer(c: &mut Conversation) {
    c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).wait(Span::from_ms(1));
    c.data(ToClient, &server_flight_13(1200));
    c.round_trip(ToClient).reset_reply(ToServer);
}

fn forged(c: &mut Conversation, rng: &mut Rng) -> Forged {
    let usual = c.server.ttl;
    let ttl =
        if rng.range(0, 2) == 0 { usual.saturating_add(rng.byte(3, 9)) } else { usual - rng.byte(3, 6) };
    Forged { flags: RST_ACK, ttl: Some(ttl), ip_id: Some(rng.word()), df: Some(false), ..Forged::default() }
}

/// A packet of the keyed generator, some hops behind the device.
fn keyed(c: &Conversation, counter: u16, hops: u8) -> Forged {
    let made = generate(c.client.endpoint.addr, c.server.endpoint.addr, KEY, counter);
    Forged {
        flags: RST_ACK,
        ttl: Some(made.ttl - hops),
        ip_id: Some(made.ip_id),
        df: Some(true),
        window: made.window,
        ..Forged::default()
    }
}

/// All scripts.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "keyed_triple",
        class: Class::Forged,
        script: |c, rng| {
            ask(c);
            let packet = keyed(c, 128 + u16::try_from(rng.range(0, 4000)).unwrap_or(0), rng.byte(2, 12));
            c.wait(rng.ms(3, 30));
            for _ in 0..3 {
                c.forge(ToClient, &packet).wait(Span::from_ns(90_000));
            }
            real_answer(c);
        },
    },
    Kind {
        name: "pakistan_ae_reserved",
        class: Class::Forged,
        script: |c, rng| {
            ask(c);
            c.wait(rng.ms(2, 12));
            let f = forged(c, rng);
            let flags = Flags(RST.0 | Flags::AE.0 | 0x800);
            let to_server = Forged { flags, ttl: Some(c.client.ttl - 2), ..f.clone() };
            c.forge(ToClient, &Forged { flags, ..f }).forge(ToServer, &to_server);
            real_answer(c);
        },
    },
    Kind {
        name: "one_reset_other_ttl",
        class: Class::Forged,
        script: |c, rng| {
            ask(c);
            c.wait(rng.ms(2, 12));
            let f = forged(c, rng);
            c.forge(ToClient, &f);
            real_answer(c);
        },
    },
    Kind {
        name: "one_reset_same_header_too_early",
        class: Class::Forged,
        script: |c, rng| {
            ask(c);
            c.wait(Span::from_ns(c.server.delay.ns() / 8 + rng.ms(0, 1).ns()));
            c.forge(ToClient, &Forged { flags: RST_ACK, ..Forged::default() });
            real_answer(c);
        },
    },
    Kind {
        name: "stepped_triple",
        class: Class::Forged,
        script: |c, rng| {
            ask(c);
            c.wait(rng.ms(2, 12));
            let f = forged(c, rng);
            for seq_offset in [0, 1460, 4380] {
                c.forge(ToClient, &Forged { seq_offset, ..f.clone() }).wait(Span::from_ns(20_000));
            }
            real_answer(c);
        },
    },
    Kind {
        name: "sandvine_pair",
        class: Class::Forged,
        script: |c, rng| {
            ask(c);
            c.wait(rng.ms(2, 12));
            let f = Forged { flags: RST, ..forged(c, rng) };
            c.forge(ToClient, &f)
                .wait(Span::from_ns(30_000))
                .forge(ToClient, &Forged { seq_offset: 12_503, ..f });
            real_answer(c);
        },
    },
    Kind {
        name: "late_after_data",
        class: Class::Forged,
        script: |c, rng| {
            ask(c);
            c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).data(ToClient, &server_flight_13(1200));
            c.round_trip(ToClient).send(ToServer, Flags::ACK, &[]);
            let f = forged(c, rng);
            c.wait(rng.ms(4, 9)).forge(ToClient, &Forged { seq_offset: -1329, ..f });
            c.wait(rng.ms(5, 40)).data(ToClient, &[0x17; 2800]);
            c.round_trip(ToClient).send(ToServer, Flags::ACK, &[]).data(ToClient, &[0x17; 1400]);
        },
    },
    Kind {
        name: "syn_answered_twice",
        class: Class::Forged,
        script: |c, rng| {
            c.send(ToServer, Flags::SYN, &[]).wait(rng.ms(2, 8));
            let f = forged(c, rng);
            c.forge(ToClient, &Forged { window: 64_240, ..f });
            c.round_trip(ToServer).send(ToClient, Flags::SYN.with(Flags::ACK), &[]);
            c.round_trip(ToClient).send(ToServer, Flags::ACK, &[]);
        },
    },
    Kind {
        name: "window_16_id_242",
        class: Class::Forged,
        script: |c, rng| {
            ask(c);
            c.wait(rng.ms(1, 4));
            let ttl = Some(c.client.ttl.saturating_sub(3));
            c.forge(
                ToServer,
                &Forged {
                    flags: RST_ACK,
                    window: 16,
                    ip_id: Some(242),
                    df: Some(false),
                    ttl,
                    ..Forged::default()
                },
            );
            c.wait(rng.ms(4, 12)).send(ToServer, Flags::ACK, &[]);
            c.round_trip(ToServer).data(ToClient, &server_flight_13(1200));
        },
    },
    Kind {
        name: "both_ends",
        class: Class::Forged,
        script: |c, rng| {
            ask(c);
            c.wait(rng.ms(2, 12));
            let f = forged(c, rng);
            c.forge(ToClient, &f).wait(Span::from_ns(50_000));
            let ttl = Some(c.client.ttl.saturating_sub(4));
            c.forge(ToServer, &Forged { ttl, ip_id: Some(rng.word()), ..f });
        },
    },
    Kind {
        name: "bare_reset_to_both_ends",
        class: Class::Forged,
        script: |c, rng| {
            // as the Great Firewall's first kind: no ACK, DF clear, IP-ID 0; both ends fall silent
            ask(c);
            c.wait(Span::from_ns(c.server.delay.ns() / 4));
            let ttl = Some(c.server.ttl.saturating_add(rng.byte(4, 20)));
            c.forge(ToClient, &Forged { flags: RST, ttl, df: Some(false), ..Forged::default() });
            let ttl = Some(c.client.ttl.saturating_sub(rng.byte(3, 9)));
            c.forge(ToServer, &Forged { flags: RST, ttl, df: Some(false), ..Forged::default() });
        },
    },
    Kind {
        name: "syn_with_rst",
        class: Class::Forged,
        script: |c, rng| {
            ask(c);
            c.wait(rng.ms(2, 12));
            let f = forged(c, rng);
            c.forge(ToClient, &Forged { flags: Flags::SYN.with(RST), seq_offset: 9_000, ..f });
            real_answer(c);
        },
    },
    Kind {
        name: "near_server_resets_on_accept",
        class: Class::NearMiss,
        script: |c, _| {
            // a server that accepts and aborts at once, whatever it is asked
            ask(c);
            c.wait(Span::from_ns((c.server.delay.ns() * 2 - 1_200_000).max(0)));
            c.send(ToClient, RST_ACK, &[]);
        },
    },
    Kind {
        name: "near_load_balancer_ttl",
        class: Class::NearMiss,
        script: |c, rng| {
            ask(c);
            c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).data(ToClient, &server_flight_13(1200));
            c.round_trip(ToClient).send(ToServer, Flags::ACK, &[]).wait(rng.ms(500, 900)).close();
            // a front end of another distance answers what comes after the close
            c.wait(rng.ms(5, 20)).send(ToServer, Flags::ACK, b"late").round_trip(ToServer);
            let usual = c.server.ttl;
            c.server.ttl = usual - 11;
            c.server.numbering = Numbering::Zero;
            c.reset_reply(ToClient);
        },
    },
    Kind {
        name: "near_own_kernel_after_forged",
        class: Class::NearMiss,
        script: |c, rng| {
            // only what the client's system does when its program is gone, without any forged packet
            ask(c);
            c.wait(rng.ms(3, 8)).send(ToServer, RST_ACK, &[]);
            c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).data(ToClient, &server_flight_13(1200));
            c.round_trip(ToClient).reset_reply(ToServer).reset_reply(ToServer);
        },
    },
    Kind {
        name: "near_server_aborts_after_hello",
        class: Class::NearMiss,
        script: |c, _| {
            ask(c);
            c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).wait(Span::from_ms(1));
            c.send(ToClient, RST_ACK, &[]);
        },
    },
    Kind {
        name: "near_overtaken_reset",
        class: Class::NearMiss,
        script: |c, _| {
            // reordering: the reset overtakes the last data by a millisecond
            ask(c);
            c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).data(ToClient, &server_flight_13(1200));
            c.round_trip(ToClient).send(ToServer, Flags::ACK, &[]).wait(Span::from_ms(200));
            c.send(ToClient, Flags::ACK.with(Flags::PSH), &[0x17; 500]);
            c.wait(Span::from_ns(40_000)).send(ToClient, RST_ACK, &[]);
            let n = c.frames.len();
            let at = c.frames[n - 2].at;
            c.frames.swap(n - 2, n - 1);
            c.frames[n - 2].at = at;
            c.frames[n - 1].at = at + Span::from_ms(1);
        },
    },
    Kind {
        name: "near_key_by_chance",
        class: Class::NearMiss,
        script: |c, rng| {
            // an endpoint's abort with a window, as far from the generator as one number
            ask(c);
            c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).data(ToClient, &server_flight_13(1200));
            c.round_trip(ToClient).send(ToServer, Flags::ACK, &[]).wait(rng.ms(10, 90));
            let window = c.server.window;
            c.server.window = window + 1;
            c.send(ToClient, RST_ACK, &[]);
        },
    },
    Kind {
        name: "closed_port",
        class: Class::Benign,
        script: |c, _| {
            c.send(ToServer, Flags::SYN, &[]).round_trip(ToServer);
            c.server.window = 0;
            c.server.isn = 0;
            c.server.timestamps = false;
            c.send(ToClient, RST_ACK, &[]);
        },
    },
    Kind {
        name: "client_aborts_download",
        class: Class::Benign,
        script: |c, rng| {
            ask(c);
            c.round_trip(ToServer).data(ToClient, &[0x17; 14_000]);
            c.round_trip(ToClient).send(ToServer, Flags::ACK, &[]).wait(rng.ms(5, 50)).send(
                ToServer,
                RST_ACK,
                &[],
            );
            c.data(ToClient, &[0x17; 4_200]).round_trip(ToClient);
            c.reset_reply(ToServer).reset_reply(ToServer).reset_reply(ToServer);
        },
    },
    Kind {
        name: "server_resets_in_download",
        class: Class::Benign,
        script: |c, rng| {
            ask(c);
            c.round_trip(ToServer).data(ToClient, &[0x17; 14_000]);
            c.round_trip(ToClient).send(ToServer, Flags::ACK, &[]).wait(rng.ms(5, 50)).send(
                ToClient,
                RST_ACK,
                &[],
            );
            c.wait(Span::from_ms(1))
                .send(ToServer, Flags::ACK, &[])
                .round_trip(ToServer)
                .reset_reply(ToClient);
        },
    },
    Kind {
        name: "late_data_after_close",
        class: Class::Benign,
        script: |c, _| {
            ask(c);
            c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).data(ToClient, &server_flight_13(1200));
            c.round_trip(ToClient).send(ToServer, Flags::FIN.with(Flags::ACK), &[]);
            c.data(ToClient, &[0x17; 2800]).round_trip(ToClient).reset_reply(ToServer);
        },
    },
    Kind {
        name: "forgotten_by_a_translator",
        class: Class::Benign,
        script: |c, rng| {
            ask(c);
            c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).data(ToClient, &server_flight_13(1200));
            c.round_trip(ToClient).send(ToServer, Flags::ACK, &[]).wait(Span::from_secs(400));
            c.send(ToServer, Flags::ACK.with(Flags::PSH), &[0x17; 80]).wait(rng.ms(1, 3));
            let usual = c.server.ttl;
            c.server.ttl = usual.saturating_add(7);
            c.server.numbering = Numbering::Zero;
            c.reset_reply(ToClient);
        },
    },
    Kind {
        name: "tls_alert_then_reset",
        class: Class::Benign,
        script: |c, _| {
            ask(c);
            c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).data(ToClient, &super::tls::alert(2, 112));
            c.send(ToClient, RST_ACK, &[]);
        },
    },
];
