//! A connection that an ICMP error ends: "unreachable", said of a SYN without an answer, or of what was sent once the handshake
//! was done.

use crate::base::Direction;
use crate::flow::refusal::Refusal;
use crate::flow::{Connection, Stage};

/// The first error that quotes the SYN, in a connection of which the server was never heard; else the first that quotes something
/// sent after the handshake, in a connection of which nothing came after it: the end that sent the quoted segment was not heard
/// any more.
pub fn refused(c: &Connection) -> Option<Refusal> {
    if c.stage() == Stage::SynSent {
        let quotes_syn = |r: &&Refusal| r.direction == Direction::ToServer && r.offset == Some(0);
        let of_syn = c.refusals.as_ref()?.first.iter().find(quotes_syn);
        return of_syn.filter(|_| c.halves.to_client.packets == 0).copied();
    }
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
