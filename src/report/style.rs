//! Colour on a terminal, and lines of a length that can be read.

/// Which escape sequences to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to use colour at all.
    pub color: bool,
    /// Columns to fill.
    pub width: usize,
}

impl Style {
    /// No colour, a hundred columns: what goes to a file.
    pub const PLAIN: Self = Self { color: false, width: 100 };

    fn sgr(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.sgr("1", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.sgr("2", text)
    }

    /// A claim.
    pub fn alarm(self, text: &str) -> String {
        self.sgr("1;31", text)
    }

    /// A pointer, or a limit.
    pub fn caution(self, text: &str) -> String {
        self.sgr("33", text)
    }

    /// What is well.
    pub fn good(self, text: &str) -> String {
        self.sgr("32", text)
    }

    /// Wraps `text` to the width: the first line after `first`, the others after `rest`.
    pub fn wrapped(self, first: &str, rest: &str, text: &str) -> String {
        let width = self.width.max(40);
        let mut out = String::from(first);
        let mut column = first.chars().count();
        let indent = rest.chars().count();
        let mut fresh = true;
        for word in text.split(' ') {
            let len = word.chars().count();
            if !fresh && column + 1 + len > width {
                out.push('\n');
                out.push_str(rest);
                column = indent;
                fresh = true;
            }
            if !fresh {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += len;
            fresh = false;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_at_words() {
        let style = Style { color: false, width: 40 };
        let text = style.wrapped("- ", "  ", "one two three four five six seven eight nine ten eleven");
        assert_eq!(
            text,
            "- one two three four five six seven eight\n  nine ten eleven"
                .replace("seven eight\n  nine", "seven\n  eight nine")
        );
        assert!(text.lines().all(|l| l.chars().count() <= 40));
    }
}
