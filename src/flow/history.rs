//! A connection's story in Zeek's letters, and its state in Zeek's words.
//!
//! Letters (Zeek `conn.log`, field `history`): `s` SYN, `h` SYN-ACK, `a` pure ACK, `d` payload, `f` FIN, `r` RST, `c`
//! bad checksum, `g` content gap, `t` retransmitted payload, `w` zero window, `i` FIN with RST, `q` SYN with FIN or RST,
//! `^` the first packet came from the responder. Upper case is the originator's. `a`, `d`, `i`, `q` and `^` are written
//! once for each direction; `s`, `h`, `f` and `r` again when the sequence number differs from the last of their kind;
//! `c`, `g`, `t` and `w` at each tenfold count.

use crate::base::{Direction, SeqNum};

/// The letters, at most [`History::MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    text: String,
    /// Which letters were written that are written once, a bit each.
    once: [u8; 2],
    /// Which of [`BY_SEQ`] were written, a bit each, and with which sequence number.
    written: [u8; 2],
    last: [[SeqNum; 4]; 2],
    counts: [[u32; 4]; 2],
}

const BY_SEQ: &[u8] = b"shfr";
const SCALED: &[u8] = b"cgtw";

impl History {
    /// The longest history. Zeek has no such bound; a hostile connection could make one letter of every packet.
    pub const MAX: usize = 100;

    /// Writes a letter, given in lower case, for a packet of one direction.
    #[inline(always)]
    pub(super) fn add(&mut self, letter: u8, direction: Direction, seq: SeqNum) {
        let bit = match letter {
            b'a' => 1,
            b'd' => 2,
            b'i' => 4,
            b'q' => 8,
            b'^' => 16,
            _ => return self.write(letter, direction, seq),
        };
        let once = &mut self.once[direction.index()];
        if *once & bit == 0 {
            *once |= bit;
            self.write(letter, direction, seq);
        }
    }

    #[inline(never)]
    fn write(&mut self, letter: u8, direction: Direction, seq: SeqNum) {
        let d = direction.index();
        let place = |of: &[u8]| of.iter().position(|l| *l == letter);
        if let Some(i) = place(BY_SEQ) {
            let same = std::mem::replace(&mut self.last[d][i], seq) == seq;
            if same && self.written[d] & 1 << i != 0 {
                return;
            }
            self.written[d] |= 1 << i;
        } else if let Some(i) = place(SCALED) {
            let n = &mut self.counts[d][i];
            *n = n.saturating_add(1);
            if !is_power_of_ten(*n) {
                return;
            }
        }
        if self.text.len() < Self::MAX {
            if self.text.is_empty() {
                self.text.reserve_exact(16); // most have no more
            }
            let upper = direction == Direction::ToServer;
            self.text.push(char::from(if upper { letter.to_ascii_uppercase() } else { letter }));
        }
    }

    /// Turns originator and responder round: whoever sent first is the other one now.
    pub(super) fn flip(&mut self) {
        let letters = self.text.strip_prefix('^');
        let turned: String = letters
            .unwrap_or(&self.text)
            .chars()
            .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect();
        self.text = if letters.is_some() { turned } else { format!("^{turned}") };
        self.once.swap(0, 1);
        self.written.swap(0, 1);
        self.last.swap(0, 1);
        self.counts.swap(0, 1);
    }

    /// The letters, and nothing else.
    pub fn into_text(self) -> Box<str> {
        self.text.into_boxed_str()
    }

    /// The letters so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_power_of_ten(n: u32) -> bool {
    n > 0 && 10u32.pow(n.ilog10()) == n
}

/// What one end had done when the connection ended, in the terms that [`conn_state`] needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndState {
    /// It sent a SYN (the originator) or a SYN-ACK (the responder).
    pub opened: bool,
    /// It sent anything at all.
    pub active: bool,
    /// It sent a FIN.
    pub closed: bool,
    /// It sent a RST.
    pub reset: bool,
    /// Payload bytes.
    pub bytes: u64,
}

/// Zeek's `conn_state`, from what the originator and the responder did. `closed_before_reset` is whether both had sent
/// a FIN before the first RST came, which then changes nothing.
pub fn conn_state(
    orig: EndState,
    resp: EndState,
    established: bool,
    closed_before_reset: bool,
) -> &'static str {
    if orig.closed && resp.closed && (closed_before_reset || !orig.reset && !resp.reset) {
        return "SF";
    }
    // a SYN that no SYN-ACK answered: a bare ACK of the responder makes it no more active
    let answered = established || resp.opened || !orig.opened;
    if resp.reset {
        return match (orig.active, answered || resp.bytes > 0) {
            (true, false) => "REJ",
            (false, _) => "RSTRH",
            (true, true) => "RSTR",
        };
    }
    if orig.reset {
        return match (answered && resp.active, orig.opened && orig.bytes == 0 && !orig.closed) {
            (true, _) => "RSTO",
            (false, true) => "RSTOS0",
            (false, false) => "OTH",
        };
    }
    match (orig.closed, resp.closed) {
        (true, false) => return if answered && resp.active { "S2" } else { "SH" },
        (false, true) => return if orig.active { "S3" } else { "SHR" },
        _ => {}
    }
    if orig.opened && !resp.active {
        "S0"
    } else if established {
        "S1"
    } else {
        "OTH"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{ToClient, ToServer};

    #[test]
    fn letters_are_written_once_by_number_or_at_tenfold() {
        let mut h = History::default();
        let letters = [
            (b's', ToServer, 1),
            (b's', ToServer, 1),
            (b'h', ToClient, 9),
            (b'a', ToServer, 2),
            (b'd', ToServer, 2),
            (b'a', ToClient, 10),
            (b'a', ToServer, 3),
            (b'r', ToClient, 10),
            (b'r', ToClient, 1470),
            (b'r', ToClient, 1470),
        ];
        for (letter, direction, seq) in letters {
            h.add(letter, direction, SeqNum(seq));
        }
        for _ in 0..150 {
            h.add(b't', ToClient, SeqNum(0));
        }
        assert_eq!(h.as_str(), "ShADarrttt");
        h.flip();
        assert_eq!(h.as_str(), "^sHadARRTTT");
        h.flip();
        assert_eq!(h.as_str(), "ShADarrttt", "turned round twice is as it was");
        for n in 0..1000 {
            h.add(b'r', ToClient, SeqNum(n));
        }
        assert_eq!(h.as_str().len(), History::MAX);
    }

    #[test]
    fn states_are_zeeks() {
        let no = EndState::default();
        let open = EndState { opened: true, active: true, ..no };
        let fin = EndState { closed: true, ..open };
        let rst = EndState { reset: true, ..open };
        let bare_rst = EndState { active: true, reset: true, ..no };
        let cases = [
            (open, no, false, "S0"),
            (open, open, true, "S1"),
            (fin, fin, true, "SF"),
            (open, bare_rst, false, "REJ"),
            (fin, open, true, "S2"),
            (open, fin, true, "S3"),
            (rst, open, true, "RSTO"),
            (open, rst, true, "RSTR"),
            (rst, no, false, "RSTOS0"),
            (no, rst, false, "RSTRH"),
            (fin, no, false, "SH"),
            (no, fin, false, "SHR"),
            (EndState { active: true, ..no }, EndState { active: true, ..no }, false, "OTH"),
        ];
        for (orig, resp, established, state) in cases {
            assert_eq!(conn_state(orig, resp, established, false), state, "{orig:?} {resp:?}");
        }
    }

    /// States of Zeek's own test traces (zeek/zeek, testing/btest, tcp).
    #[test]
    fn half_answered_handshakes_are_zeeks() {
        let no = EndState::default();
        let syn_rst = EndState { opened: true, active: true, reset: true, ..no };
        let ack = EndState { active: true, ..no };
        assert_eq!(conn_state(syn_rst, no, false, false), "RSTOS0", "syn-then-rst");
        assert_eq!(conn_state(syn_rst, ack, false, false), "RSTOS0", "syn-then-ack-then-rst");
        let stuff = EndState { closed: true, ..syn_rst };
        assert_eq!(conn_state(stuff, ack, false, false), "OTH", "syn-then-stuff-then-rst");
        let done = EndState { opened: true, active: true, closed: true, ..no };
        let late = EndState { reset: true, ..done };
        assert_eq!(conn_state(late, done, true, true), "SF", "a RST after both FINs");
        assert_eq!(conn_state(late, done, true, false), "RSTO");
    }
}
