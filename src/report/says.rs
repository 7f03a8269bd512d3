//! A finding in plain words: one function for each kind.

use super::units::{bits, bytes, frames};
use crate::analysis::Analysis;
use crate::base::Direction;
use crate::base::text::Untrusted;
use crate::detect::{Cap, Finding, Level, Mechanism, Trigger};
use crate::measure::Summary;

/// The finding in a few sentences; addresses only where asked for.
pub fn says(f: &Finding, a: &Analysis, addresses: bool) -> String {
    let c = &a.connections[f.connections[0]];
    match f.cap {
        Some(cap) => of_cap(f, cap, c, addresses),
        None => of_reset(f, c, addresses),
    }
}

/// What the probability before any evidence says.
pub fn prior(f: &Finding) -> &'static str {
    if f.cap.is_some() {
        "before any evidence: most transfers are slowed by nothing but their path"
    } else {
        "before any evidence: most resets are an endpoint's own"
    }
}

/// A cap in plain words.
fn of_cap(f: &Finding, cap: Cap, c: &Summary, addresses: bool) -> String {
    let name = c.name().map_or_else(|| "a server".to_owned(), |n| Untrusted(n).to_string());
    let between = if addresses { format!(" ({} to {})", c.client, c.server) } else { String::new() };
    let what = match (f.direction, f.connections.len()) {
        (Some(Direction::ToServer), 1) => format!("The transfer to {name}{between} (stream {})", c.stream),
        (_, 1) => format!("The transfer from {name}{between} (stream {})", c.stream),
        (_, n) => format!(
            "The transfers of {n} connections, the first with {name}{between} (stream {}), together",
            c.stream
        ),
    };
    let held = if f.level == Level::Possible { "may have been held" } else { "were held" };
    let held = if f.connections.len() == 1 { held.replace("were", "was") } else { held.to_owned() };
    let [low, high] = cap.interval_bps;
    let rate = format!("{} ({} to {})", bits(cap.rate_bps), bits(low), bits(high));
    let how = match (f.mechanism, cap.burst_bytes) {
        (Mechanism::Policed, Some(b)) => {
            format!("by dropping what exceeded it, after bursts of up to {}", bytes(b))
        }
        (Mechanism::Shaped, Some(b)) => {
            format!("by delaying what exceeded it, after bursts of up to {}", bytes(b))
        }
        _ => "by a box or a link that cannot be told from this capture".to_owned(),
    };
    format!(
        "{what} {held} to {rate} {how}. The rate counts bytes of IP packets. A cap is the capacity of a path or of a subscriber unless it depends on the name; whether the name was the cause takes a control: the same server asked for another name."
    )
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
