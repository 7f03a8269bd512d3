//! The program at each end: who says what, when, and how it ends.
//!
//! Both ends follow one [`Script`] of turns. An end takes its turn when all of the other's turns before it have arrived.

use super::scenario::{self, Answer, Close};
use super::stack::{Stack, State};
use crate::base::{Span, Timestamp};
use crate::testkit::rng::Rng;
use crate::testkit::tls;

/// What one end says at a stretch.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Whether the client says it.
    pub by_client: bool,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How long it waits before it says it.
    pub wait: Span,
}

/// How and by whom a connection is ended.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    by_client: bool,
    aborts: bool,
    wait: Span,
    /// Whether in the middle of the last turn, when half of it has arrived or been acknowledged.
    early: bool,
}

/// A whole conversation.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The turns, in order.
    pub turns: Vec<Turn>,
    /// The end; `None`: it stays open.
    pub ending: Option<Ending>,
    /// How long the client waits for anything to happen.
    pub patience: Span,
}

/// Longest body of a record that is sent.
const RECORD: usize = 1 << 14;

impl Script {
    /// The script of a connection to a server.
    pub fn new(c: &scenario::Connection, server: &scenario::Server, rng: &mut Rng) -> Self {
        let mut turns = Vec::new();
        let ms = |n: f64| Span::from_ns((n * 1e6) as i64);
        let mut say =
            |by_client: bool, bytes: Vec<u8>, wait: Span| turns.push(Turn { by_client, bytes, wait });
        let hello = tls::Hello::to(&c.name);
        let tls = !matches!(c.hello, scenario::Hello::Http | scenario::Hello::Opaque | scenario::Hello::Quic);
        match c.hello {
            scenario::Hello::Small => say(true, hello.record(), Span::ZERO),
            scenario::Hello::PostQuantum => {
                say(true, tls::Hello::post_quantum(&c.name).record(), Span::ZERO);
            }
            scenario::Hello::Records => say(true, hello.records(&[20, 90, 400]), Span::ZERO),
            scenario::Hello::Halves => {
                let record = hello.record();
                let (a, b) = record.split_at(record.len() / 2);
                say(true, a.to_vec(), Span::ZERO);
                say(true, b.to_vec(), Span::from_ms(5));
            }
            scenario::Hello::Http
            | scenario::Hello::Opaque
            | scenario::Hello::Quic
            | scenario::Hello::Dns => {}
        }
        let thinks = |rng: &mut Rng| ms(server.thinks_ms.draw(rng));
        let by_server =
            |aborts| Some(Ending { by_client: false, aborts, wait: Span::from_ms(1), early: false });
        let patience = ms(c.patience_s * 1e3);
        if c.hello == scenario::Hello::Dns {
            return Self { turns: Vec::new(), ending: None, patience }; // a question and its answer are the stack's
        }
        let ending = match server.answer {
            Answer::Reset | Answer::Close if tls => by_server(server.answer == Answer::Reset),
            Answer::ResetOnAccept => {
                turns.clear();
                return Self {
                    turns,
                    ending: Some(Ending { by_client: false, aborts: true, wait: Span::ZERO, early: false }),
                    patience,
                };
            }
            Answer::Silent if tls => None,
            Answer::Alert => {
                say(false, tls::alert(2, 112), thinks(rng));
                by_server(false)
            }
            _ => {
                if tls {
                    let flight = 900 + rng.range(0, 3_200) as usize;
                    say(false, tls::server_flight_13(flight), thinks(rng));
                    say(true, [tls::record(20, 0x0303, &[1]), records(64)].concat(), Span::ZERO);
                }
                let last = c.requests.len().saturating_sub(1);
                for (n, r) in c.requests.iter().enumerate() {
                    let (up, down) = (r.up.draw(rng) as usize, r.down.draw(rng) as usize);
                    let up = match c.hello {
                        scenario::Hello::Http => {
                            let filler = "x".repeat(up.saturating_sub(120));
                            format!("GET /{filler} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n\r\n", c.name)
                                .into_bytes()
                        }
                        scenario::Hello::Opaque => vec![0xa7; up.max(1)],
                        _ => records(up),
                    };
                    say(true, up, ms(r.after_ms.draw(rng)));
                    let answer = match c.hello {
                        scenario::Hello::Http => {
                            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {down}\r\n\r\n");
                            [head.into_bytes(), vec![b'.'; down]].concat()
                        }
                        scenario::Hello::Opaque => vec![0x7a; down],
                        _ => records(down),
                    };
                    let (pieces, apart) = r.pieces.unwrap_or((1, 0.0));
                    let size = answer.len().div_ceil(pieces.max(1) as usize).max(1);
                    for (i, piece) in answer.chunks(size).enumerate() {
                        say(false, piece.to_vec(), if i == 0 { thinks(rng) } else { ms(apart) });
                    }
                    if n == last && tls && c.close == Close::Client {
                        say(true, records(2), ms(c.close_after_ms.draw(rng))); // close_notify
                    }
                }
                let wait = if c.close == Close::Client { Span::ZERO } else { ms(c.close_after_ms.draw(rng)) };
                let (by_client, aborts, early) = match c.close {
                    Close::Client => (true, false, false),
                    Close::Server => (false, false, false),
                    Close::ClientAborts => (true, true, false),
                    Close::ClientAbortsEarly => (true, true, true),
                    Close::ServerAborts => (false, true, false),
                    Close::ServerAbortsEarly => (false, true, true),
                    Close::Nobody => return Self { turns, ending: None, patience },
                };
                Some(Ending { by_client, aborts, wait, early })
            }
        };
        Self { turns, ending, patience }
    }

    fn bytes(&self, by_client: bool, until: usize) -> u64 {
        self.turns[..until].iter().filter(|t| t.by_client == by_client).map(|t| t.bytes.len() as u64).sum()
    }
}

/// Application data in records.
fn records(len: usize) -> Vec<u8> {
    tls::records(23, 0x0303, &vec![0xd7; len.max(1)], &[RECORD])
}

/// The program at one end.
#[derive(Clone, Debug)]
pub struct Actor {
    is_client: bool,
    turn: usize,
    ready: Option<Timestamp>,
    ended: bool,
    moved: Timestamp,
    progress: (u64, usize, bool),
}

impl Actor {
    /// A program that has said nothing yet.
    pub fn new(is_client: bool, now: Timestamp) -> Self {
        Self { is_client, turn: 0, ready: None, ended: false, moved: now, progress: (0, 0, false) }
    }

    /// Does what there is to do now; says when it wants to be asked again.
    pub fn act(&mut self, now: Timestamp, script: &Script, stack: &mut dyn Stack) -> Option<Timestamp> {
        let open = stack.state() == State::Open;
        if stack.state() == State::Over {
            return None;
        }
        let progress = (stack.received(), self.turn, open);
        if progress != self.progress {
            self.progress = progress;
            self.moved = now;
        }
        if self.is_client && !self.ended && now.since(self.moved) >= script.patience {
            self.ended = true;
            if open {
                stack.close();
            } else {
                stack.abort();
            }
            return None;
        }
        if open
            && !self.ended
            && let Some(at) = self.talk(now, script, stack)
        {
            return Some(at);
        }
        (self.is_client && !self.ended).then(|| self.moved + script.patience)
    }

    fn talk(&mut self, now: Timestamp, script: &Script, stack: &mut dyn Stack) -> Option<Timestamp> {
        while let Some(turn) = script.turns.get(self.turn) {
            let arrived = stack.received() >= script.bytes(!self.is_client, self.turn);
            if turn.by_client != self.is_client {
                let half = stack.received() + turn.bytes.len() as u64 / 2
                    >= script.bytes(!self.is_client, self.turn + 1);
                if self.turn + 1 == script.turns.len()
                    && half
                    && let Some(e) = script.ending.filter(|e| e.early && e.by_client == self.is_client)
                {
                    self.end(e, stack);
                    return None;
                }
                if stack.received() >= script.bytes(!self.is_client, self.turn + 1) {
                    self.turn += 1;
                    continue;
                }
                break;
            }
            if !arrived {
                break;
            }
            let due = *self.ready.get_or_insert(now + turn.wait);
            if now < due {
                return Some(due);
            }
            self.ready = None;
            self.turn += 1;
            let early = script.ending.filter(|e| e.early && e.by_client == self.is_client);
            if let (Some(e), true) = (early, self.turn == script.turns.len()) {
                // the server's program dies in the middle of its last answer
                stack.write(&turn.bytes[..turn.bytes.len() / 2]);
                self.end(e, stack);
                return None;
            }
            stack.write(&turn.bytes);
        }
        let over = self.turn >= script.turns.len();
        if let Some(e) = script.ending.filter(|e| e.by_client == self.is_client && !e.early && over) {
            let due = *self.ready.get_or_insert(now + e.wait);
            if now < due {
                return Some(due);
            }
            self.end(e, stack);
        } else if stack.peer_closed() {
            self.ended = true;
            stack.close();
        }
        None
    }

    fn end(&mut self, e: Ending, stack: &mut dyn Stack) {
        self.ended = true;
        if e.aborts {
            stack.abort();
        } else {
            stack.close();
        }
    }
}
