//! Text of charts: how wide it is, how it is broken and shortened, and moments and numbers as axes show them.

use crate::base::text::Untrusted;
use crate::base::{Span, Timestamp};

/// About how wide a text is in Noto Sans of this size.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let em: f64 = text.chars().map(em).sum();
    em * size * if bold { 1.07 } else { 1.0 }
}

fn em(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' | 'I' | ' ' | '·' => 0.28,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' | '{' | '}' => 0.36,
        'm' | 'w' | 'M' | 'W' | '…' | '%' | '@' => 0.9,
        'A'..='Z' => 0.66,
        's' | 'c' | 'z' | 'x' | 'k' | 'v' | 'y' => 0.51,
        _ => 0.59,
    }
}

/// Breaks a text at spaces into lines of at most this width, and within words where one is longer; at most `most` lines.
pub(super) fn lines(text: &str, size: f64, bold: bool, room: f64, most: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word.to_owned();
        loop {
            let longer = if line.is_empty() { word.clone() } else { format!("{line} {word}") };
            if width(&longer, size, bold) <= room {
                line = longer;
                break;
            }
            if !line.is_empty() {
                out.push(std::mem::take(&mut line));
                continue;
            }
            // one word longer than a line
            let mut cut = String::new();
            for c in word.chars() {
                if !cut.is_empty() && width(&cut, size, bold) + em(c) * size > room {
                    break;
                }
                cut.push(c);
            }
            word = word.chars().skip(cut.chars().count()).collect();
            out.push(cut);
            if word.is_empty() {
                break;
            }
        }
    }
    if !line.is_empty() {
        out.push(line);
    }
    if out.len() > most {
        out.truncate(most);
        if let Some(last) = out.last_mut() {
            while width(last, size, bold) > room - size && last.pop().is_some() {}
            last.push('…');
        }
    }
    out
}

/// A name out of a capture, inert and of at most `most` characters: the middle is left out.
pub(super) fn name(name: &str, most: usize) -> String {
    shortened(&Untrusted(name).to_string(), most)
}

/// A text with its middle left out where it is longer than `most` characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let n = text.chars().count();
    if n <= most {
        return text.to_owned();
    }
    let half = most.saturating_sub(1) / 2;
    let (head, tail): (String, String) =
        (text.chars().take(half).collect(), text.chars().skip(n - half).collect());
    format!("{head}…{tail}")
}

/// A moment in UTC to the millisecond.
pub(super) fn utc(t: Timestamp) -> String {
    let s = t.to_string();
    match s.split_once('T') {
        Some((day, time)) => {
            let time: String = time.trim_end_matches('Z').chars().take(12).collect();
            format!("{day} {time} UTC")
        }
        None => s,
    }
}

/// A tick of a clock in UTC, where ticks are `every` so far apart on an axis of this length.
pub(super) fn tick(t: Timestamp, every: Span, lasts: Span) -> String {
    let s = t.to_string();
    let Some((date, time)) = s.split_once('T') else { return s };
    let day: String = date.chars().skip(date.chars().count().saturating_sub(5)).collect();
    let clock = |n: usize| time.chars().take(n).collect::<String>();
    let from = |unit: Span| every >= unit;
    match () {
        () if from(Span::from_secs(86_400)) => day,
        () if lasts >= Span::from_secs(86_400) => format!("{day} {}", clock(5)),
        () if from(Span::from_secs(60)) => clock(5),
        () if from(Span::from_secs(1)) => clock(8),
        () if from(Span::from_ms(100)) => clock(10),
        () if from(Span::from_ms(10)) => clock(11),
        () => clock(12),
    }
}

/// A number without needless digits.
pub(super) fn number(v: f64) -> String {
    let s = format!("{v:.6}");
    let s = s.trim_end_matches('0').trim_end_matches('.');
    if s == "-0" { "0".to_owned() } else { s.to_owned() }
}

/// A number of bytes on an axis.
pub(super) fn bytes(v: f64) -> String {
    match v.abs() {
        1e9.. => format!("{} GB", number(v / 1e9)),
        1e6.. => format!("{} MB", number(v / 1e6)),
        1e3.. => format!("{} kB", number(v / 1e3)),
        _ => format!("{} B", number(v)),
    }
}

/// A rate on an axis.
pub(super) fn rate(v: f64) -> String {
    match v.abs() {
        1e9.. => format!("{} Gbit/s", number(v / 1e9)),
        1e6.. => format!("{} Mbit/s", number(v / 1e6)),
        1e3.. => format!("{} kbit/s", number(v / 1e3)),
        _ => format!("{} bit/s", number(v)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_and_shortens() {
        let text = "one two three four";
        assert_eq!(lines(text, 10.0, false, 1000.0, 3), [text]);
        assert!(lines(text, 10.0, false, 60.0, 9).len() > 1);
        let long = lines(&"a".repeat(255), 10.0, false, 100.0, 3);
        assert_eq!(long.len(), 3);
        assert!(long[2].ends_with('…') && long.iter().all(|l| width(l, 10.0, false) <= 100.0));
        assert_eq!(name("<b>\u{202e}", 40), "<b>\\u{202e}");
        assert_eq!(name(&"abc".repeat(80), 11), "abcab…bcabc");
    }

    #[test]
    fn numbers_and_moments() {
        assert_eq!([number(0.5), number(1200.0), number(-0.0)], ["0.5", "1200", "0"]);
        assert_eq!([bytes(1500.0), rate(2e6)], ["1.5 kB", "2 Mbit/s"]);
        let t = Timestamp::from_ns(1_708_128_000_123_456_789);
        assert_eq!(utc(t), "2024-02-17 00:00:00.123 UTC");
    }
}
