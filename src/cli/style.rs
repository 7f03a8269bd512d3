//! Whether to colour: only on a terminal, and never against the user's word.

use std::io::IsTerminal;

use super::args::Color;
use crate::report::style::Style;

/// The style for standard output. `NO_COLOR` (no-color.org) and `TERM=dumb` turn colour off, `CLICOLOR_FORCE` on;
/// `--color` is above them all.
pub(super) fn style(color: Color) -> Style {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    let terminal = std::io::stdout().is_terminal();
    let color = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => !set("NO_COLOR") && (set("CLICOLOR_FORCE") || terminal && !dumb),
    };
    // what goes to a file has one width, so that two runs compare
    let columns = std::env::var("COLUMNS").ok().filter(|_| terminal).and_then(|c| c.parse().ok());
    Style { color, width: columns.map_or(100, |c: usize| c.clamp(60, 120)) }
}
