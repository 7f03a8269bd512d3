//! Numbers as people read them: one formatter for all output.

/// A number with thousands separated: `1,234,567`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

/// A count with its noun: `1 packet`, `2,000 packets`.
pub fn count(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n), if n == 1 { "" } else { "s" })
}

/// Bytes in the unit that a person would choose, in powers of ten as networks count: `142.6 kB`.
#[allow(clippy::cast_precision_loss)] // three digits are shown
pub fn bytes(n: u64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.into_iter().find(|(size, _)| n as f64 >= *size) {
        Some((size, unit)) => {
            let value = n as f64 / size;
            let digits = usize::from(value < 100.0);
            format!("{value:.digits$} {unit}")
        }
        None => format!("{n} bytes"),
    }
}

/// A rate in bits a second, to three digits: `1.48 Mbit/s`.
pub fn bits(bps: f64) -> String {
    let units = [(1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")];
    let (size, unit) = units.into_iter().find(|(size, _)| bps >= *size).unwrap_or((1.0, "bit/s"));
    let value = bps / size;
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

/// Frame numbers, neighbours joined: `79–81, 90`; after twelve ranges the rest is counted.
pub fn frames(list: &[u64]) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &f in list {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == f => *to = f,
            _ => ranges.push((f, f)),
        }
    }
    let shown = ranges.iter().take(12).map(|(a, b)| match b - a {
        0 => a.to_string(),
        1 => format!("{a}, {b}"),
        _ => format!("{a}–{b}"),
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if ranges.len() > 12 {
        let rest: u64 = ranges[12..].iter().map(|(a, b)| b - a + 1).sum();
        text = format!("{text} and {rest} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([thousands(7), thousands(1234), thousands(1_234_567)], ["7", "1,234", "1,234,567"]);
        assert_eq!([count(1, "packet"), count(0, "packet")], ["1 packet", "0 packets"]);
        assert_eq!([bytes(999), bytes(142_624), bytes(1_500_000_000)], ["999 bytes", "143 kB", "1.5 GB"]);
        assert_eq!(frames(&[79, 80, 81, 90, 91, 100]), "79–81, 90, 91, 100");
    }
}
