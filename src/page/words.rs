//! What the page says on every capture: what no capture shows, the method, and the glossary.

use crate::base::text::Untrusted;
use crate::report::names::NameRow;

/// A name for the title: inert, and not longer than a line.
pub(super) fn shortened(name: &str) -> String {
    let name = Untrusted(name).to_string();
    let n = name.chars().count();
    if n <= 60 { name } else { name.chars().take(59).chain(['…']).collect() }
}

/// What befell a name, in the fewest words.
pub(super) fn fate(row: &NameRow) -> &'static str {
    match row.conclusion() {
        "reset" => "connections were reset by a third party",
        "dropped" => "connections were cut off in silence",
        "slowed" => "connections were slowed",
        "forged" => "answers were forged",
        "tampered" => "connections were changed on the way",
        "dns_forged" => "DNS answers were forged",
        _ => "interference",
    }
}

/// What no capture shows.
pub(super) const NEVER_SHOWN: &[&str] = &[
    "Who runs the device that interfered, and on whose order. Packets show what was done, and sometimes how far away.",
    "What happened at other times, on other networks, or to other people.",
    "Connections that the capture does not hold: nothing here says that they went well.",
    "Why a cap is there. A tariff, a full link and a censor may hold a transfer in the same way; only a control, another name on the same network, tells whether the name was the cause.",
];

/// The method, step by step.
pub(super) const METHOD: &[(&str, &str)] = &[
    (
        "Reading",
        "Every packet of the files was decoded and put to its connection. Only the packets' own times are used; no clock, no network, no database.",
    ),
    (
        "Measuring",
        "Each connection was measured: sequence numbers, retransmissions, round trips, TTLs, the name in its ClientHello, how it ended.",
    ),
    (
        "Weighing",
        "Each piece of evidence adds to or takes from the odds of a claim, in natural logarithms, beginning with what is likely before any evidence. Their sum is the probability. The weights stand in one table of the program, each with its source.",
    ),
    (
        "Innocent causes",
        "For each claim the causes that need no interference were weighed by the same packets. They stand in the evidence below it.",
    ),
    (
        "Levels",
        "“Confirmed” and “likely” are claims. “Possible” is a pointer: look at the packets yourself. A claim that the name was the cause takes a control: the same client asking the same network for another name. The levels are capped by what a capture of this kind can show.",
    ),
    ("Inconclusive", "Where the packets do not decide, the page says so and why; it never guesses."),
    (
        "Checking",
        "Each finding has a filter for Wireshark that selects exactly the packets it rests on, and the frame numbers here are Wireshark’s.",
    ),
];

/// Words of the trade.
pub(super) const GLOSSARY: &[(&str, &str)] = &[
    (
        "ClientHello",
        "The first message of an encrypted connection. It carries the name of the site in clear (SNI), so a device on the way can read it.",
    ),
    (
        "Control",
        "A connection of the same client to the same network with another name, against which a name is held.",
    ),
    ("Frame", "A captured packet; its number is its place in the file, as in Wireshark."),
    (
        "Goodput",
        "Bytes of content that came for the first time, by time; without headers and what was sent again.",
    ),
    (
        "Log-odds",
        "The natural logarithm of the odds. 0 is even, +3 about 20 to 1 for a claim, −3 about 20 to 1 against it.",
    ),
    ("Policer", "A device that drops what exceeds a rate. It lets a burst pass first."),
    (
        "QUIC",
        "The transport of HTTP/3, over UDP. Its first packets can be read by anybody, the rest is encrypted.",
    ),
    (
        "Reset (RST)",
        "A TCP packet that ends a connection at once. An end sends it for its own reasons; a third party may forge it in the name of an end.",
    ),
    ("Round trip (RTT)", "The time from a packet to its answer."),
    (
        "SHA-256",
        "A fingerprint of a file: another file with the same one cannot be made, so it proves which file was read.",
    ),
    ("Shaper", "A device that delays what exceeds a rate, in a queue."),
    ("SNI", "Server Name Indication: the name of the site, in the ClientHello."),
    ("Third party", "Neither of the two ends of a connection: a device on the way."),
    (
        "TTL, hop limit",
        "A number in each packet that every router lowers by one. Packets of one sender arrive with the same number; a forged one often has another.",
    ),
];
