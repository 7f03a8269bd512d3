//! A connection that an ICMP error ends: "unreachable", said of what was sent once the handshake was done.

use crate::base::Direction;
use crate::flow::refusal::Refusal;
use crate::flow::{Connection, Stage};

/// The first error that quotes something sent after the handshake, in a connection of which nothing came after it: the end that sent
/// the quoted segment was not heard any more.
pub fn refused(c: &Connection) -> Option<Refusal> {
    if c.stage() < Stage::RequestSent || !c.application.is_request() {
        return None;
    }
    let asked = c.progress.asked?;
    let r = c
        .refusals
        .as_ref()?
        .first
        .iter()
        .find(|r| r.notice.at >= asked.at && r.offset.is_some_and(|o| o >= 1))?;
    let ended = match r.direction {
        Direction::ToServer => c.progress.answered.is_none_or(|a| a.at < r.notice.at && !heard_since(c, r)),
        Direction::ToClient => c.halves.to_client.acked <= 1,
    };
    ended.then_some(*r)
}

/// Whether the server brought or acknowledged something new after the error.
fn heard_since(c: &Connection, r: &Refusal) -> bool {
    c.progress.heard.to_client.is_some_and(|m| m.at > r.notice.at)
}
