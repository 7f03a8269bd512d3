//! Answers that the server did not send, or that did not arrive as it sent them.
//!
//! One finding for each connection, from what its row says of packets in the server's name. Whether it was the name is for
//! [`super::name`] to say.

mod certificate;
mod forged;
mod servers;
mod tampered;

use super::{Finding, Trigger};
use crate::measure::Summary;
use servers::Servers;

/// Looks at all connections of a capture.
pub fn find(connections: &[Box<Summary>]) -> Vec<Finding> {
    let servers = Servers::learn(connections);
    let answer = |n, c| forged::judge(n, c, &servers).or_else(|| certificate::judge(n, c));
    let forged = connections.iter().enumerate().filter_map(|(n, c)| answer(n, c));
    let tampered = connections.iter().enumerate().filter_map(|(n, c)| tampered::judge(n, c));
    forged.chain(tampered).collect()
}

/// What the client had sent before its first answer.
fn trigger(c: &Summary) -> Trigger {
    match (&c.sni, &c.http_host, c.asked) {
        (Some(_), ..) => Trigger::ClientHello,
        (None, Some(_), _) => Trigger::HttpRequest,
        (.., Some(_)) => Trigger::FirstData,
        _ => Trigger::Unknown,
    }
}
