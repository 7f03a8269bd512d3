//! A connection's story in Zeek's letters, and its state in Zeek's words.
//!
//! Letters (Zeek `conn.log`, field `history`): `s` SYN, `h` SYN-ACK, `a` pure ACK, `d` data, `f` FIN, `r` RST, `c`
//! bad checksum, `g` content gap, `t` retransmitted payload, `w` zero window, `i` SYN with FIN or RST is an
//! inconsistent packet, `^` the direction was turned round. Upper case is the originator's. `c`, `g`, `t` and `w`
//! are written again at each tenfold count; the others once for each direction.

use crate::base::Direction;

/// The letters, at most [`History::MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    text: String,
    once: [u16; 2],
    counts: [[u32; 4]; 2],
}

const ONCE: &[u8] = b"shadfri^";
const SCALED: &[u8] = b"cgtw";

impl History {
    /// The longest history: eight letters once and four at ten powers of ten, in two directions.
    pub const MAX: usize = 2 * (ONCE.len() + SCALED.len() * 10);

    /// Writes a letter, given in lower case, of one direction.
    pub(super) fn add(&mut self, letter: u8, direction: Direction) {
        let d = direction.index();
        if let Some(i) = ONCE.iter().position(|l| *l == letter) {
            if self.once[d] & 1 << i != 0 {
                return;
            }
            self.once[d] |= 1 << i;
        } else if let Some(i) = SCALED.iter().position(|l| *l == letter) {
            let n = &mut self.counts[d][i];
            *n = n.saturating_add(1);
            if !is_power_of_ten(*n) {
                return;
            }
        }
        let letter = char::from(letter);
        self.text.push(if direction == Direction::ToServer { letter.to_ascii_uppercase() } else { letter });
    }

    /// Turns originator and responder round, as Zeek does when it finds that it guessed wrong.
    pub(super) fn flip(&mut self) {
        let swapped = self
            .text
            .chars()
            .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() });
        self.text = std::iter::once('^').chain(swapped.collect::<Vec<_>>()).collect();
        self.once.swap(0, 1);
        self.counts.swap(0, 1);
    }

    /// The letters so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a letter was written for a direction.
    pub fn has(&self, letter: u8, direction: Direction) -> bool {
        ONCE.iter().position(|l| *l == letter).is_some_and(|i| self.once[direction.index()] & 1 << i != 0)
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

/// Zeek's `conn_state`, from what the originator and the responder did.
pub fn conn_state(orig: EndState, resp: EndState, established: bool) -> &'static str {
    // Zeek keeps one state an end: a RST or FIN replaces what was before, and a RST wins over a FIN
    let (o_closed, r_closed) = (orig.closed && !orig.reset, resp.closed && !resp.reset);
    if resp.reset {
        return if orig.opened && !established && !resp.opened && resp.bytes == 0 {
            "REJ"
        } else if !orig.active {
            "RSTRH"
        } else {
            "RSTR"
        };
    }
    if orig.reset {
        return if resp.active { "RSTO" } else { "RSTOS0" };
    }
    match (o_closed, r_closed) {
        (true, true) => return "SF",
        (true, false) => return if resp.active { "S2" } else { "SH" },
        (false, true) => return if orig.active { "S3" } else { "SHR" },
        (false, false) => {}
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
    fn letters_are_written_once_and_counts_at_tenfold() {
        let mut h = History::default();
        for (l, d) in [
            (b's', ToServer),
            (b'h', ToClient),
            (b'a', ToServer),
            (b'd', ToServer),
            (b'a', ToClient),
            (b'a', ToServer),
        ] {
            h.add(l, d);
        }
        for _ in 0..150 {
            h.add(b't', ToClient);
        }
        assert_eq!(h.as_str(), "ShADattt");
        h.flip();
        assert_eq!(h.as_str(), "^sHadATTT");
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
            assert_eq!(conn_state(orig, resp, established), state, "{orig:?} {resp:?}");
        }
    }
}
