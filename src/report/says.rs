//! A finding in plain words: one function for each kind.

use super::units::{bits, bytes, count, frames};
use crate::analysis::Analysis;
use crate::base::Direction;
use crate::base::text::Untrusted;
use crate::detect::name::what;
use crate::detect::weights;
use crate::detect::{Cap, Finding, KeyedOn, Level, Mechanism, Trigger};
use crate::measure::Summary;

/// The finding in a few sentences; addresses only where asked for.
pub fn says(f: &Finding, a: &Analysis, addresses: bool) -> String {
    if f.mechanism.is_of_dns() {
        return of_dns(f, a);
    }
    if let (Mechanism::Forged | Mechanism::Tampered, Some(c)) =
        (f.mechanism, f.connections.first().and_then(|c| a.connections.get(*c)))
    {
        return of_answer(f, c, addresses);
    }
    match (f.connections.first().and_then(|c| a.connections.get(*c)), f.cap) {
        (Some(c), Some(cap)) if !f.code.starts_with("SNI") => of_cap(f, cap, c, addresses),
        (Some(c), None) if !f.code.starts_with("SNI") => of_reset(f, c, addresses),
        _ => of_name(f, a),
    }
}

/// What the probability before any evidence says.
pub fn prior(f: &Finding) -> &'static str {
    if f.mechanism.is_of_dns() {
        "before any evidence: most answers are the resolver's own"
    } else if matches!(f.mechanism, Mechanism::Forged | Mechanism::Tampered) {
        "before any evidence: most answers are the server's own"
    } else if f.code.starts_with("SNI") {
        "before any evidence: most failures have nothing to do with the name"
    } else if f.cap.is_some() {
        "before any evidence: most transfers are slowed by nothing but their path"
    } else {
        "before any evidence: most resets are an endpoint's own"
    }
}

/// What lingered after it, as a sentence.
fn lingers(f: &Finding) -> String {
    f.residual.map_or(String::new(), |r| {
        format!(
            " After resets or drops of this name, {} to the same server and port failed, whatever was asked for; it was over after {} to {}.",
            count(r.connections as u64, "connection"),
            r.at_least,
            r.at_most
        )
    })
}

/// Answers of DNS in plain words.
fn of_dns(f: &Finding, a: &Analysis) -> String {
    let name = f.name.as_deref().map_or_else(|| "a name".to_owned(), |n| Untrusted(n).to_string());
    let n = f.frames.len() as u64;
    let at = if n == 1 { "frame" } else { "frames" };
    let at = format!("{at} {}", frames(&f.frames));
    if f.mechanism == Mechanism::DnsDenied {
        return format!(
            "A resolver denied {name} ({at}), which another resolver of the same client gave public addresses for. The answer is the resolver's own: who told it to say so, the user's filter or somebody else, no packet tells."
        );
    }
    let (was, were) = (if n == 1 { "was" } else { "were" }, f.level == Level::Possible);
    let was = if were { "may not have been".to_owned() } else { format!("{was} not") };
    let led = f.connections.iter().filter(|c| **c < a.verdicts.len()).count() as u64;
    let then = match led {
        0 => String::new(),
        1 => " One connection to the address in it followed.".to_owned(),
        _ => format!(" {} to the addresses in it followed.", count(led, "connection")),
    };
    format!(
        "{} to the question for {name} ({at}) {was} sent by the resolver that was asked, which gave another answer.{then}",
        count(n, "DNS answer")
    )
}

/// An answer that is not the server's in plain words.
fn of_answer(f: &Finding, c: &Summary, addresses: bool) -> String {
    let name = c.name().map_or_else(|| "a server".to_owned(), |n| Untrusted(n).to_string());
    let between = if addresses { format!(" ({} to {})", c.client, c.server) } else { String::new() };
    let trigger = f.trigger.unwrap_or(Trigger::Unknown);
    let control = if trigger.has_name() && c.name().is_some() { held_against(f) } else { String::new() };
    let at = if f.frames.len() == 1 { "frame" } else { "frames" };
    let at = format!("stream {}, {at} {}", c.stream, frames(&f.frames));
    let may = f.level == Level::Possible;
    if f.mechanism == Mechanism::Tampered {
        let (whose, was) = match f.direction {
            Some(Direction::ToServer) => ("The client's words", if may { "may have been" } else { "were" }),
            _ => ("The server's answer", if may { "may have been" } else { "was" }),
        };
        return format!(
            "{whose} in the connection to {name}{between} ({at}) {was} changed on the way: the first bytes of a TLS record stand elsewhere than where they belong.{control}"
        );
    }
    let what = if trigger == Trigger::Syn { "A SYN-ACK" } else { "An answer" };
    let was = if may { "may not have been" } else { "was not" };
    format!(
        "{what} in the connection to {name}{between} ({at}) that names the server as its sender {was} sent by it.{control}"
    )
}

/// Failures of a name in plain words.
fn of_name(f: &Finding, a: &Analysis) -> String {
    let mut names: Vec<&str> = f.connections.iter().filter_map(|c| a.name(*c)).collect();
    names.sort_unstable();
    names.dedup();
    let shown: Vec<String> = names.iter().take(5).map(|n| Untrusted(n).to_string()).collect();
    let more = if names.len() > 5 { format!(" and {} more names", names.len() - 5) } else { String::new() };
    let n = count(f.connections.len() as u64, "connection");
    let did = what(f.mechanism);
    let did = if f.connections.len() == 1 { did.replacen("were ", "was ", 1) } else { did.to_owned() };
    let held = held_against(f);
    let lingers = lingers(f);
    format!("{n} to {}{more} {did}.{held}{lingers}", shown.join(", "))
}

/// Up to this level of chance (three failures and three controls have it) "it was the name" is said without more ado.
const SIGNIFICANT: f64 = 0.0501;

/// What a finding was held against, as a sentence.
pub fn held_against(f: &Finding) -> String {
    let chance = f.p_value.map_or(String::new(), |p| format!(" (chance alone: p = {})", p_value(p)));
    match (&f.controls, f.keyed_on) {
        (Some(c), Some(KeyedOn::Sni)) => {
            let were = if c.well == 1 { "was" } else { "were" };
            let was = match f.p_value {
                Some(p) if p > SIGNIFICANT => {
                    format!(": the name is what differs, but they are few (chance alone: p = {})", p_value(p))
                }
                _ if f.level == Level::Possible => format!("{chance}: the name is what differs"),
                _ => format!("{chance}: it was the name"),
            };
            format!(
                " {} of the same client to the same network with other names {were} not{was}.",
                count(c.well as u64, "connection")
            )
        }
        (Some(c), Some(KeyedOn::AnyData)) => {
            format!(
                " So {} with other names on the same network, and connections that asked for none: any data sets it off, whatever it says.",
                count(c.failed as u64, "connection")
            )
        }
        (Some(c), Some(KeyedOn::Port)) if f.code != "SNI007" => {
            format!(
                " So {} with other names on the same network and port, and other ports of it were left alone: it was not the name.",
                count(c.failed as u64, "connection")
            )
        }
        (Some(_), Some(KeyedOn::Port)) => {
            " No name that the client asked for over QUIC got through, at any server: it was not the name."
                .to_owned()
        }
        (Some(c), Some(_)) => {
            format!(
                " So {} with other names on the same network: it was not the name alone.",
                count(c.failed as u64, "connection")
            )
        }
        (Some(c), None) if c.well + c.failed > 0 => {
            format!(
                " With other names on the same network, {} went well and {} did not: too few, or too mixed, to say that it was the name{chance}.",
                c.well, c.failed
            )
        }
        _ => " Whether the name was the cause takes a control: the same server asked for another name."
            .to_owned(),
    }
}

/// A p-value as people read it.
fn p_value(p: f64) -> String {
    if p < 0.001 { "under 0.001".to_owned() } else { format!("{p:.3}") }
}

/// An interval whose ends differ by more than this factor does not name a rate.
const VAGUE: f64 = 2.0;

/// A cap in plain words.
fn of_cap(f: &Finding, cap: Cap, c: &Summary, addresses: bool) -> String {
    let name = c.name().map_or_else(|| "a server".to_owned(), |n| Untrusted(n).to_string());
    let between = if addresses { format!(" ({} to {})", c.client, c.server) } else { String::new() };
    let what = match (f.direction, f.connections.len()) {
        (Some(Direction::ToServer), 1) => format!("The transfer to {name}{between} (stream {})", c.stream),
        (_, 1) => format!("The transfer from {name}{between} (stream {})", c.stream),
        (_, n) => format!(
            "The transfers of {n} connections, the first with {name}{between} (stream {}), {}",
            c.stream,
            if f.evidence.iter().any(|e| e.key == weights::CAP_ALIKE.key) { "each" } else { "together" }
        ),
    };
    let held = if f.level == Level::Possible { "may have been held" } else { "were held" };
    let held = if f.connections.len() == 1 { held.replace("were", "was") } else { held.to_owned() };
    let [low, high] = cap.interval_bps;
    let rate = if high > low * VAGUE {
        format!("some rate between {} and {}", bits(low), bits(high))
    } else {
        format!("{} ({} to {})", bits(cap.rate_bps), bits(low), bits(high))
    };
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
        "{what} {held} to {rate} {how}. The rate counts bytes of IP packets. {}",
        if f.keyed_on.is_some() {
            held_against(f).trim_start().to_owned()
        } else {
            "A cap is the capacity of a path or of a subscriber unless it depends on the name; whether the name was the cause takes a control: the same server asked for another name.".to_owned()
        }
    )
}

/// A reset in plain words.
fn of_reset(f: &Finding, c: &Summary, addresses: bool) -> String {
    let trigger = f.trigger.unwrap_or(Trigger::Unknown);
    let name = c.name().map_or_else(|| "a server".to_owned(), |n| Untrusted(n).to_string());
    let between = if addresses { format!(" ({} to {})", c.client, c.server) } else { String::new() };
    let control = if trigger.has_name() && c.name().is_some() { held_against(f) } else { String::new() };
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
    let lingers = lingers(f);
    format!(
        "The connection to {name}{between} ({at}) was reset {when} by {by}.{family}{hops}{control}{lingers}"
    )
}
