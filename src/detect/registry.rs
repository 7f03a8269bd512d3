//! All rules: code, name, and the page that explains each.

/// A rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Code for machines; never used for anything else again.
    pub code: &'static str,
    /// Name for people.
    pub name: &'static str,
    /// What a finding of it says, in one line.
    pub summary: &'static str,
    /// The kind that the JSON has for it.
    pub kind: &'static str,
    /// Its page, the same text as in `docs/detectors/`.
    pub page: &'static str,
}

/// The rules, in the order in which they are listed.
pub static RULES: &[Rule] = &[
    Rule {
        code: "RST001",
        name: "injected-reset",
        summary: "a reset that no endpoint sent",
        kind: "injected_reset",
        page: include_str!("../../docs/detectors/injected-reset.md"),
    },
    Rule {
        code: "RST002",
        name: "rewritten-reset",
        summary: "a packet of the server, turned into a reset on its way",
        kind: "injected_reset",
        page: include_str!("../../docs/detectors/rewritten-reset.md"),
    },
    Rule {
        code: "RST003",
        name: "unseen-reset",
        summary: "a reset elsewhere on the path, told by what its victim does",
        kind: "injected_reset",
        page: include_str!("../../docs/detectors/unseen-reset.md"),
    },
    Rule {
        code: "SNI001",
        name: "hello-dropped",
        summary: "connections whose hello is never acknowledged, because of the name in it",
        kind: "sni_interference",
        page: include_str!("../../docs/detectors/hello-dropped.md"),
    },
    Rule {
        code: "SNI002",
        name: "hello-muted",
        summary: "connections whose hello is acknowledged and never answered, because of the name in it",
        kind: "sni_interference",
        page: include_str!("../../docs/detectors/hello-muted.md"),
    },
    Rule {
        code: "SNI003",
        name: "cut-off",
        summary: "connections that fall silent after the first packets or kilobytes, because of the name",
        kind: "sni_interference",
        page: include_str!("../../docs/detectors/cut-off.md"),
    },
    Rule {
        code: "SNI004",
        name: "hello-closed",
        summary: "connections that are closed in the place of an answer, because of the name",
        kind: "sni_interference",
        page: include_str!("../../docs/detectors/hello-closed.md"),
    },
    Rule {
        code: "SNI005",
        name: "name-reset",
        summary: "resets that no endpoint sent, keyed on the name",
        kind: "sni_interference",
        page: include_str!("../../docs/detectors/name-reset.md"),
    },
    Rule {
        code: "SNI006",
        name: "name-throttled",
        summary: "a cap that connections with one name have and others have not",
        kind: "sni_interference",
        page: include_str!("../../docs/detectors/name-throttled.md"),
    },
    Rule {
        code: "SNI007",
        name: "quic-silenced",
        summary: "QUIC connections that fall silent because of the name in their hello",
        kind: "sni_interference",
        page: include_str!("../../docs/detectors/quic-silenced.md"),
    },
    Rule {
        code: "SNI008",
        name: "answer-forged",
        summary: "an answer in the server's name that the server did not send",
        kind: "sni_interference",
        page: include_str!("../../docs/detectors/answer-forged.md"),
    },
    Rule {
        code: "SNI009",
        name: "payload-tampered",
        summary: "payload of which a box moved the first and the last bytes",
        kind: "sni_interference",
        page: include_str!("../../docs/detectors/payload-tampered.md"),
    },
    Rule {
        code: "SNI010",
        name: "slow-handshake",
        summary: "TLS handshakes that wait for seconds, because of the name",
        kind: "sni_interference",
        page: include_str!("../../docs/detectors/slow-handshake.md"),
    },
    Rule {
        code: "SNI011",
        name: "size-keyed",
        summary: "connections that lose all packets over some size, because of the name",
        kind: "sni_interference",
        page: include_str!("../../docs/detectors/size-keyed.md"),
    },
    Rule {
        code: "SNI012",
        name: "icmp-refused",
        summary: "connections that an ICMP error ends after their hello, because of the name",
        kind: "sni_interference",
        page: include_str!("../../docs/detectors/icmp-refused.md"),
    },
    Rule {
        code: "DNS001",
        name: "forged-answer",
        summary: "an answer of DNS that the resolver did not send",
        kind: "dns_interference",
        page: include_str!("../../docs/detectors/forged-answer.md"),
    },
    Rule {
        code: "DNS002",
        name: "name-denied",
        summary: "a name that one resolver denies and another resolves",
        kind: "dns_interference",
        page: include_str!("../../docs/detectors/name-denied.md"),
    },
    Rule {
        code: "CAP001",
        name: "policed",
        summary: "a rate held by dropping what exceeds it",
        kind: "bandwidth_cap",
        page: include_str!("../../docs/detectors/policed.md"),
    },
    Rule {
        code: "CAP002",
        name: "shaped",
        summary: "a rate held by delaying what exceeds it",
        kind: "bandwidth_cap",
        page: include_str!("../../docs/detectors/shaped.md"),
    },
    Rule {
        code: "CAP003",
        name: "rate-limited",
        summary: "a rate held by a box, or a link, that cannot be told",
        kind: "bandwidth_cap",
        page: include_str!("../../docs/detectors/rate-limited.md"),
    },
];

/// The rule with this code or name, in any case.
pub fn find(code_or_name: &str) -> Option<&'static Rule> {
    RULES
        .iter()
        .find(|r| r.code.eq_ignore_ascii_case(code_or_name) || r.name.eq_ignore_ascii_case(code_or_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The headings that every page has, in this order.
    const HEADINGS: [&str; 7] = [
        "## What it detects",
        "## Why it indicates interference",
        "## What else looks like this",
        "## Evidence given",
        "## Settings",
        "## Example",
        "## References",
    ];

    #[test]
    fn every_rule_has_a_page_with_all_headings() {
        for rule in RULES {
            assert!(rule.page.starts_with(&format!("# {}: {}\n", rule.code, rule.name)), "{}", rule.code);
            let mut from = 0;
            for heading in HEADINGS {
                let at = rule.page[from..].find(heading);
                from += at.unwrap_or_else(|| panic!("{}: no heading {heading:?} in order", rule.code));
            }
        }
    }

    #[test]
    fn codes_and_names_are_unique_and_found() {
        for rule in RULES {
            assert_eq!(find(&rule.code.to_lowercase()), Some(rule));
            assert_eq!(find(rule.name), Some(rule));
            assert_eq!(RULES.iter().filter(|r| r.code == rule.code || r.name == rule.name).count(), 1);
        }
        assert_eq!(find("RST999"), None);
    }
}
