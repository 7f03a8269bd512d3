//! Names that belong together.

use std::net::IpAddr;

/// The names of X, formerly Twitter: each with all names under it.
pub const X: &[&str] = &["x.com", "twitter.com", "t.co", "twimg.com"];

/// What the user wants compared.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Names that are one target together; none: each registrable domain is its own.
    pub targets: Vec<String>,
    /// Names that may serve as controls; none: all others.
    pub controls: Vec<String>,
}

impl Names {
    /// The group that a name belongs to.
    pub fn group<'a>(&'a self, name: &'a str) -> &'a str {
        match self.targets.first() {
            Some(first) if self.targets.iter().any(|t| is_under(name, t)) => first,
            _ => registrable(name),
        }
    }

    /// Whether connections to a name may be controls for others.
    pub fn may_control(&self, name: &str) -> bool {
        self.controls.is_empty() || self.controls.iter().any(|c| is_under(name, c))
    }

    /// Whether a group is asked about.
    pub fn is_target(&self, group: &str) -> bool {
        self.targets.first().is_none_or(|t| t == group)
    }
}

fn is_under(name: &str, parent: &str) -> bool {
    name == parent || name.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
}

/// The registrable domain of a name (public suffix list), or the name itself where it has none.
pub fn registrable(name: &str) -> &str {
    psl::domain_str(name).unwrap_or(name)
}

/// The network that a server's address stands for: /24, or /48.
pub fn network(addr: IpAddr) -> [u8; 7] {
    match addr {
        IpAddr::V4(a) => {
            let [x, y, z, _] = a.octets();
            [4, x, y, z, 0, 0, 0]
        }
        IpAddr::V6(a) => {
            let o = a.octets();
            [6, o[0], o[1], o[2], o[3], o[4], o[5]]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_under_one_domain_belong_together() {
        assert_eq!(registrable("video.twimg.com"), "twimg.com");
        assert_eq!(registrable("a.b.example.co.uk"), "example.co.uk");
        assert_eq!(registrable("localhost"), "localhost");
        let names = Names { targets: X.iter().map(|s| (*s).to_owned()).collect(), controls: Vec::new() };
        assert_eq!(names.group("abs.twimg.com"), "x.com");
        assert_eq!(names.group("notx.com"), "notx.com");
        assert!(names.is_target("x.com") && !names.is_target("example.org"));
    }
}
