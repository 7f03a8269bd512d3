//! A finding in plain words: one function for each kind.

use super::units::frames;
use crate::analysis::Analysis;
use crate::base::Direction;
use crate::base::text::Untrusted;
use crate::detect::{Finding, Level, Trigger};
use crate::measure::Summary;

/// The finding in a few sentences; addresses only where asked for.
pub fn says(f: &Finding, a: &Analysis, addresses: bool) -> String {
    of_reset(f, &a.connections[f.connections[0]], addresses)
}

/// What the probability before any evidence says.
pub fn prior(_: &Finding) -> &'static str {
    "before any evidence: most resets are an endpoint's own"
}

/// A reset in plain words.
fn of_reset(f: &Finding, c: &Summary, addresses: bool) -> String {
    let trigger = f.trigger.unwrap_or(Trigger::Unknown);
    let name = c.name().map_or_else(|| "a server".to_owned(), |n| Untrusted(n).to_string());
    let between = if addresses { format!(" ({} to {})", c.client, c.server) } else { String::new() };
    let control = if trigger.has_name() && c.name().is_some() {
        " Whether the name was the cause takes a control: the same server asked for another name."
    } else {
        ""
    };
    let when = trigger.words();
    let at = match &f.frames[..] {
        [] => format!("stream {}", c.stream),
        [one] => format!("stream {}, frame {one}", c.stream),
        several => format!("stream {}, frames {}", c.stream, frames(several)),
    };
    match f.code {
        "RST002" => {
            return format!(
                "The connection to {name}{between} ({at}) was reset {when} by a packet that may be the server's answer, turned into a reset on its way.{control}"
            );
        }
        "RST003" => {
            let (victim, other) = match f.direction {
                Some(Direction::ToServer) => ("server", "client"),
                _ => ("client", "server"),
            };
            let was = if f.level == Level::Possible { "may have been" } else { "was" };
            return format!(
                "The {victim} of the connection to {name}{between} ({at}) {was} sent a reset {when} that the {other} did not send. The packet itself did not pass this point of capture; what that end did next shows it.{control}"
            );
        }
        _ => {}
    }
    let n = f.frames.len();
    let packets = if n == 1 { "a packet".to_owned() } else { format!("{n} packets") };
    let claims = if n == 1 { "claims" } else { "claim" };
    let (origin, it) = match f.direction {
        Some(d) => (format!("the {}", d.sender()), "it"),
        None => ("either end".to_owned(), "them"),
    };
    let was = match (f.level, n) {
        (Level::Possible, _) => "may not have been",
        (_, 1) => "was not",
        _ => "were not",
    };
    let by = format!("{packets} that {claims} to come from {origin} and {was} sent by {it}");
    let family = match (&f.family, &f.looks_like) {
        (Some(name), _) => format!(" Family: {name}."),
        (None, Some(name)) => format!(" The pattern is known from: {name}; others may send it too."),
        (None, None) => String::new(),
    };
    let hops = f.hops.map_or(String::new(), |h| {
        format!(" Their TTL places the device about {h} hops from the point of capture.")
    });
    format!("The connection to {name}{between} ({at}) was reset {when} by {by}.{family}{hops}{control}")
}
