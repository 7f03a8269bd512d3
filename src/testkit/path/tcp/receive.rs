//! What comes in: data in order and out of it, SYNs, resets.

use super::{Header, Phase, Tcp};
use crate::base::{Span, Timestamp};
use crate::wire::tcp::{Flags, TcpOption};

impl Tcp {
    pub(super) fn take_data(&mut self, now: Timestamp, h: &Header<'_>) {
        let at =
            h.seq().0.wrapping_sub(self.peer_isn.wrapping_add(1).wrapping_add(self.received as u32)) as i32;
        let from = self.received as i64 + i64::from(at);
        let len = i64::from(h.payload_len);
        let to = from + len;
        if len == 0 && !h.flags().has(Flags::FIN) {
            self.ack_now |= at < 0; // a keep-alive or a window probe
            return;
        }
        if h.flags().has(Flags::FIN) && to >= 0 {
            self.peer_fin = Some(to as u64);
            self.ack_now = true;
        }
        if len == 0 {
            return;
        }
        if to <= self.received as i64
            || from < 0
            || (to as u64) > self.received + u64::from(self.tuning.receive_buffer)
        {
            if from >= 0 && to <= self.received as i64 {
                self.duplicate = Some((from as u64, to as u64));
            }
            self.ack_now = true;
            return;
        }
        let (from, to) = (from as u64, to as u64);
        if from <= self.received {
            let had = self.received;
            self.received = self.received.max(to);
            while let Some(&(l, r)) = self.islands.first() {
                if l > self.received {
                    break;
                }
                self.received = self.received.max(r);
                self.islands.remove(0);
                self.ack_now = true;
            }
            self.ack_now |= !self.islands.is_empty();
            if self.tuning.reads.is_some() {
                let _ = self.window(now);
                self.unread += (self.received - had) as f64;
            }
            self.ack_waiting += 1;
            if self.quick > 0 {
                self.quick -= 1;
                self.ack_now |= self.ack_waiting >= 2 || h.flags().has(Flags::PSH);
            }
            if self.ack_waiting >= self.tuning.ack_every {
                self.ack_now = true;
            } else {
                self.ack_at = self.ack_at.or(Some(now + self.tuning.ack_delay));
            }
        } else {
            let mut island = (from, to);
            if self.islands.iter().any(|(l, r)| *l <= from && to <= *r) {
                self.duplicate = Some(island);
            }
            self.islands.retain(|(l, r)| {
                let touches = *l <= island.1 && island.0 <= *r;
                if touches {
                    island = (island.0.min(*l), island.1.max(*r));
                }
                !touches
            });
            let i = self.islands.partition_point(|(l, _)| *l < island.0);
            self.islands.insert(i, island);
            self.recent = Some(island);
            self.ack_now = true;
        }
    }

    pub(super) fn take_syn(&mut self, h: &Header<'_>) {
        self.peer_isn = h.seq().0;
        for option in h.options() {
            match option {
                TcpOption::WindowScale(s) => self.peer_scale = s.min(14),
                TcpOption::SackPermitted => self.peer_sack = self.tuning.sack,
                TcpOption::Timestamps { val, .. } => {
                    self.peer_timestamps = self.tuning.timestamps;
                    self.ts_recent = val;
                }
                _ => {}
            }
        }
        self.peer_window = u64::from(h.window());
    }

    pub(super) fn is_obeyed(&mut self, now: Timestamp, h: &Header<'_>) -> bool {
        if self.phase == Phase::SynSent {
            return h.flags().has(Flags::ACK) && h.ack().0 == self.wire_seq(self.next);
        }
        let offset = h.seq().0.wrapping_sub(self.wire_ack()) as i32;
        if offset == 0 {
            return true;
        }
        // in the window, but not exactly: a challenge (RFC 5961 §3.2), of which Linux sends few
        let window = self.window(now);
        if offset > 0 && (offset as u64) < window && now.since(self.challenged) > Span::from_ms(500) {
            self.challenged = now;
            self.ack_now = true;
        }
        false
    }
}
