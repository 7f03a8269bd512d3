//! The fingerprint table: families of injectors by what their packets look like.
//!
//! The rows are data, in `fingerprints.toml`; a test holds each to the packet that it must and must not match. The
//! keyed generator ([`crate::measure::keyed`]) is a fingerprint too, but needs arithmetic and stands apart.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::base::text::hex;
use crate::wire::tcp::Flags;

/// The table.
pub static TABLE: LazyLock<Table> = LazyLock::new(|| {
    // the text is part of the program and a test parses it, so it can't be wrong in a release
    toml::from_str(include_str!("fingerprints.toml")).unwrap_or_default()
});

/// The table as it stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Date of the last change.
    pub version: String,
    /// The rows, the most specific first.
    #[serde(default)]
    pub family: Vec<Family>,
}

/// One family.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// A name that stays.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// Whether a match is hard evidence.
    pub specific: bool,
    /// Who published it.
    pub source: String,
    when: When,
    #[cfg_attr(not(test), allow(dead_code))] // tried by a test
    yes: Example,
    #[cfg_attr(not(test), allow(dead_code))]
    no: Example,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct When {
    flags: Option<FlagNames>,
    flags_any: Option<Vec<FlagNames>>,
    reserved: Option<bool>,
    bare: Option<bool>,
    has_ack: Option<bool>,
    df: Option<bool>,
    ip_id: Option<u16>,
    ip_id_range: Option<[u16; 2]>,
    window: Option<u16>,
    window_not_zero: Option<bool>,
    ttl_range: Option<[u8; 2]>,
    ttl_off: Option<bool>,
    payload: Option<String>,
    payload_zeros: Option<usize>,
    seq_step: Option<i64>,
    seq_steps_any: Option<Vec<i64>>,
    seq_step_at_least: Option<i64>,
    window_and_ttl_climb: Option<bool>,
    copies_ip_id: Option<bool>,
    count: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(not(test), allow(dead_code))]
struct Example {
    flags: String,
    df: bool,
    ip_id: u16,
    window: u16,
    ttl: u8,
    ttl_off: bool,
    payload: String,
    seq_step: Option<i64>,
    window_and_ttl_climb: bool,
    copies_ip_id: bool,
    count: Option<usize>,
}

/// What a fingerprint looks at: a reset and its place in its burst.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// All twelve bits.
    pub flags: Flags,
    /// IPv4 "don't fragment".
    pub df: bool,
    /// IPv4 identification.
    pub ip_id: Option<u16>,
    /// Window field.
    pub window: u16,
    /// TTL as received.
    pub ttl: u8,
    /// Whether that TTL is unlike all of the claimed sender's.
    pub ttl_off: bool,
    /// Payload, its first bytes.
    pub payload: &'a [u8],
    /// Payload length.
    pub payload_len: usize,
    /// Sequence step between this reset and its neighbour in the burst.
    pub seq_step: Option<i64>,
    /// Whether window and TTL each go up by one within the burst.
    pub window_and_ttl_climb: bool,
    /// Whether the IP-ID is that of the packet that it answers.
    pub copies_ip_id: bool,
    /// Resets in the burst.
    pub count: usize,
}

impl Table {
    /// The first row that a reset matches.
    pub fn find(&self, look: &Look<'_>) -> Option<&Family> {
        self.family.iter().find(|f| f.when.holds(look))
    }
}

impl When {
    fn holds(&self, l: &Look<'_>) -> bool {
        fn fits<T>(wanted: Option<&T>, test: impl FnOnce(&T) -> bool) -> bool {
            wanted.is_none_or(test)
        }
        let hex_payload = |wanted: &String| hex(l.payload) == *wanted && l.payload_len == l.payload.len();
        fits(self.flags.as_ref(), |f| f.0 == l.flags)
            && fits(self.flags_any.as_ref(), |any| any.iter().any(|f| l.flags.any(f.0)))
            && fits(self.reserved.as_ref(), |r| l.flags.any(Flags::RESERVED) == *r)
            && fits(self.bare.as_ref(), |b| l.flags.has(Flags::ACK) != *b)
            && fits(self.has_ack.as_ref(), |a| l.flags.has(Flags::ACK) == *a)
            && fits(self.df.as_ref(), |df| l.df == *df && l.ip_id.is_some())
            && fits(self.ip_id.as_ref(), |id| l.ip_id == Some(*id))
            && fits(self.ip_id_range.as_ref(), |[a, b]| l.ip_id.is_some_and(|id| (*a..=*b).contains(&id)))
            && fits(self.window.as_ref(), |w| l.window == *w)
            && fits(self.window_not_zero.as_ref(), |nz| (l.window != 0) == *nz)
            && fits(self.ttl_range.as_ref(), |[a, b]| (*a..=*b).contains(&l.ttl))
            && fits(self.ttl_off.as_ref(), |off| l.ttl_off == *off)
            && fits(self.payload.as_ref(), hex_payload)
            && fits(self.payload_zeros.as_ref(), |n| l.payload_len == *n && l.payload.iter().all(|b| *b == 0))
            && fits(self.seq_step.as_ref(), |s| l.seq_step == Some(*s))
            && fits(self.seq_steps_any.as_ref(), |any| l.seq_step.is_some_and(|s| any.contains(&s)))
            && fits(self.seq_step_at_least.as_ref(), |s| l.seq_step.is_some_and(|step| step >= *s))
            && fits(self.window_and_ttl_climb.as_ref(), |c| l.window_and_ttl_climb == *c)
            && fits(self.copies_ip_id.as_ref(), |c| l.copies_ip_id == *c)
            && fits(self.count.as_ref(), |n| l.count >= *n)
    }
}

/// Flags, given by their names.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct FlagNames(Flags);

impl TryFrom<String> for FlagNames {
    type Error = String;

    fn try_from(names: String) -> Result<Self, String> {
        parse_flags(&names).map(Self).ok_or_else(|| format!("no TCP flags: {names}"))
    }
}

/// Flags from their names: `RST+ACK`.
fn parse_flags(names: &str) -> Option<Flags> {
    names.split('+').try_fold(Flags::default(), |flags, name| {
        let bit = (0..12).map(|n| Flags(1 << n)).find(|f| f.to_string() == name)?;
        Some(flags.with(bit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_matches_its_example_and_not_its_near_miss() {
        let text = include_str!("fingerprints.toml");
        let table: Table = toml::from_str(text).expect("the table parses");
        assert!(table.family.len() >= 16);
        for family in &table.family {
            let id = &family.id;
            assert!(family.source.len() > 20, "{id}: no source");
            for (example, expected) in [(&family.yes, true), (&family.no, false)] {
                let payload: Vec<u8> = (0..example.payload.len() / 2)
                    .map(|i| u8::from_str_radix(&example.payload[2 * i..2 * i + 2], 16).unwrap())
                    .collect();
                let look = Look {
                    flags: parse_flags(&example.flags).unwrap(),
                    df: example.df,
                    ip_id: Some(example.ip_id),
                    window: example.window,
                    ttl: example.ttl,
                    ttl_off: example.ttl_off,
                    payload: &payload,
                    payload_len: payload.len(),
                    seq_step: example.seq_step,
                    window_and_ttl_climb: example.window_and_ttl_climb,
                    copies_ip_id: example.copies_ip_id,
                    count: example.count.unwrap_or(1),
                };
                assert_eq!(family.when.holds(&look), expected, "{id}: {example:?}");
                if expected && family.specific {
                    assert_eq!(table.find(&look).map(|f| &f.id), Some(id), "an earlier row hides {id}");
                }
            }
        }
    }

    #[test]
    fn no_specific_family_matches_an_ordinary_reset() {
        for flags in ["RST", "RST+ACK"] {
            for (ip_id, df, window) in [(0, true, 0), (4711, true, 0), (4711, true, 502), (4711, false, 0)] {
                let look = Look {
                    flags: parse_flags(flags).unwrap(),
                    df,
                    ip_id: Some(ip_id),
                    window,
                    ttl: 57,
                    ttl_off: false,
                    payload: &[],
                    payload_len: 0,
                    seq_step: Some(0),
                    window_and_ttl_climb: false,
                    copies_ip_id: false,
                    count: 3,
                };
                assert!(TABLE.find(&look).is_none_or(|f| !f.specific), "{look:?}");
            }
        }
    }
}
