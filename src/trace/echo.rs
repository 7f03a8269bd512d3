//! Round trips by timestamp echo (RFC 7323 §4), which go on while one end only acknowledges.

use std::collections::VecDeque;

use crate::base::{Span, Timestamp};

/// The most values that wait for their echo: more are in flight on no sane path.
const WAITING: usize = 1024;

/// The values that one end sent and the other has not echoed.
#[derive(Clone, Debug, Default)]
pub(super) struct Echo {
    waiting: VecDeque<Value>,
    /// When the other end was last heard.
    heard: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Value {
    tsval: u32,
    at: Timestamp,
    /// Whether its packet asks for an answer.
    asks: bool,
}

impl Echo {
    /// Takes the value of a packet, the first time that it is sent.
    pub(super) fn sent(&mut self, value: u32, at: Timestamp, asks: bool) {
        if self.waiting.back().is_some_and(|v| value.wrapping_sub(v.tsval).cast_signed() <= 0) {
            return;
        }
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Value { tsval: value, at, asks });
    }

    /// Takes an echo; gives the round trip where it is one.
    ///
    /// An end that was silent until now may echo late for its own reasons: the echo counts only if the packet with the
    /// value asked for an answer, or if the end has been heard since.
    pub(super) fn echoed(&mut self, value: u32, at: Timestamp) -> Option<Span> {
        let heard = self.heard.replace(at);
        while let Some(first) = self.waiting.front() {
            let ahead = value.wrapping_sub(first.tsval).cast_signed();
            if ahead < 0 {
                return None;
            }
            let Value { at: since, asks, .. } = *first;
            self.waiting.pop_front();
            if ahead == 0 {
                let took = at.since(since);
                let fair = asks || heard.is_some_and(|h| h > since);
                return (fair && took >= Span::ZERO).then_some(took);
            }
        }
        None
    }
}
