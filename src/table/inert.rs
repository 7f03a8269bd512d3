//! Text of a capture in a CSV cell: it may neither become a formula nor act on whoever prints the file.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::base::text::acts;

/// What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), in its full-width forms too.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// The text with every character shown that would act unseen, and an apostrophe before what would be a formula: the
/// mark by which spreadsheets know text.
pub(super) fn inert(text: Cow<'_, str>) -> Cow<'_, str> {
    if is_inert(&text) {
        return text;
    }
    let is_formula = is_formula(&text);
    let mut out = String::with_capacity(text.len() + 8);
    if is_formula {
        out.push('\'');
    }
    for c in text.chars() {
        if acts(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c)); // a string takes all
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether the text can stay as it is.
pub(super) fn is_inert(text: &str) -> bool {
    let plain = |b: &u8| (b' '..=b'~').contains(b);
    let acts = !text.as_bytes().iter().all(plain) && text.chars().any(acts);
    !acts && !is_formula(text)
}

fn is_formula(text: &str) -> bool {
    text.trim_start().starts_with(FORMULA) || text.starts_with(FORMULA)
}

/// A moment in RFC 3339, UTC, with nanoseconds; the bare number where no calendar reaches.
pub(super) fn moment(ns: i64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(ns)) {
        Ok(t) => format!("{t:.9}"),
        Err(_) => ns.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_becomes_a_formula() {
        for text in ["=cmd()", "+1", "-1", "@x", "\t=1", "\r\n=1", " =1", "＝1"] {
            assert!(inert(text.into()).starts_with('\''), "{text:?}");
        }
        assert_eq!(inert("x.com".into()), "x.com");
        assert_eq!(inert("a\u{202e}b\u{1b}[2J".into()), "a\\u{202e}b\\u{1b}[2J");
        assert_eq!(moment(1_708_128_000_123_456_789), "2024-02-17T00:00:00.123456789Z");
    }

    proptest! {
        #[test]
        fn no_text_acts(text: String) {
            let shown = inert(text.into());
            prop_assert!(!shown.chars().any(acts));
            prop_assert!(!shown.starts_with(FORMULA));
        }
    }
}
