//! Pictures of what was found, as SVG and PNG. Draws; decides nothing.
//!
//! Shape and colour both say what something is, so that it stays legible in grey and with every kind of colour vision
//! (palette of Okabe and Ito). Text out of a capture is inert: escaped like everywhere, shortened, and never more than text.
//! Addresses are replaced by names of our own ("client A") unless they are asked for. The same input gives the same
//! bytes.

mod canvas;
mod choose;
mod ecdf;
mod ends;
mod goodput;
mod ladder;
mod losses;
mod outcomes;
mod plot;
mod png;
mod rtt;
mod scale;
mod sequence;
#[cfg(feature = "tables")]
mod summary;
mod telling;
mod ttl;
mod words;

use clap::ValueEnum;

use crate::analysis::Analysis;
use crate::base::Direction;
use crate::base::text::Own;
use crate::report::Capture;
use crate::trace::Trace;

pub use choose::{Asked, Choice, choose};
pub use ends::Ends;
pub use png::png;
#[cfg(feature = "tables")]
pub use summary::summary;
pub use telling::telling;

use plot::Head;

/// The kinds of charts; what stands here is also the help of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// Sequence numbers against time: data, ACK line, window, what was sent again, lost or forged, and a cap's line.
    Sequence,
    /// Goodput against time, with the cap and a control.
    Goodput,
    /// TTL or hop limit against time: forged packets stand out.
    Ttl,
    /// Round trips against time.
    Rtt,
    /// Shares of connections by throughput, name by name.
    Ecdf,
    /// What became of connections, name by time.
    Outcomes,
    /// One connection, packet by packet.
    Ladder,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Sequence, Self::Goodput, Self::Ttl, Self::Rtt, Self::Ecdf, Self::Outcomes, Self::Ladder];

    /// The name on the command line, and of files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Goodput => "goodput",
            Self::Ttl => "ttl",
            Self::Rtt => "rtt",
            Self::Ecdf => "ecdf",
            Self::Outcomes => "outcomes",
            Self::Ladder => "ladder",
        }
    }

    /// Whether it shows one connection, perhaps beside others; else it shows all.
    pub const fn is_of_one(self) -> bool {
        !matches!(self, Self::Ecdf | Self::Outcomes)
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The SVG, with its title and description in it.
    pub svg: String,
    /// What is shown.
    pub title: String,
    /// What it shows, in words, for those who do not see it.
    pub description: String,
    /// Whether it is only the reason why there is no chart.
    pub is_empty: bool,
}

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The capture.
    pub capture: &'a Capture,
    /// The connections that were chosen.
    pub choice: &'a Choice,
    /// Their packets.
    pub traces: &'a [Trace],
    /// What ends are called.
    pub ends: &'a Ends,
    /// What the ids in the SVG begin with, so that several can stand on one page.
    pub tag: &'a str,
}

/// What a chart gives back: the page around it, the words for it, and the drawing.
struct Drawn {
    head: Head,
    description: String,
    svg: String,
    is_empty: bool,
}

impl Drawn {
    /// A page that says why there is no chart.
    fn nothing(head: Head, why: &str) -> Self {
        let svg = plot::nothing(&head, why);
        Self { svg, description: why.to_owned(), head, is_empty: true }
    }
}

/// Draws a chart.
pub fn draw(s: &Subject<'_>) -> Picture {
    let drawn = match s.choice.kind {
        Kind::Sequence => sequence::draw(s),
        Kind::Goodput => goodput::draw(s),
        Kind::Ttl => ttl::draw(s),
        Kind::Rtt => rtt::draw(s),
        Kind::Ecdf => ecdf::draw(s),
        Kind::Outcomes => outcomes::draw(s),
        Kind::Ladder => ladder::draw(s),
    };
    let title = drawn.head.title;
    let svg =
        described(&drawn.svg, &format!("{}{}", s.tag, s.choice.kind.name()), &title, &drawn.description);
    Picture { svg, title, description: drawn.description, is_empty: drawn.is_empty }
}

/// Puts title and description into an SVG, and lets it take the size that it is given.
fn described(svg: &str, name: &str, title: &str, description: &str) -> String {
    let Some(end) = svg.find('>') else { return svg.to_owned() };
    let (open, rest) = svg.split_at(end);
    // the drawing is in units, the picture in pixels
    let unit = canvas::UNITS.unsigned_abs();
    let pixels = |key: &str| {
        let value = open.split(&format!(" {key}=\"")).nth(1)?.split('"').next()?.parse::<u32>().ok()?;
        Some((format!(" {key}=\"{value}\""), format!(" {key}=\"{}\"", value / unit)))
    };
    let mut open = open.to_owned();
    for (from, to) in ["width", "height"].into_iter().filter_map(pixels).collect::<Vec<_>>() {
        open = open.replacen(&from, &to, 1);
    }
    let (title, description) = (escaped(title), escaped(description));
    format!(
        "{open} direction=\"ltr\" role=\"img\" aria-labelledby=\"{name}-title {name}-desc\"><title id=\"{name}-title\">{title}</title>\n<desc id=\"{name}-desc\">{description}</desc>{}",
        &rest[1..]
    )
}

/// Text as XML has it; what XML does not allow at all is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

impl<'a> Subject<'a> {
    fn analysis(&self) -> &'a Analysis {
        &self.capture.analysis
    }

    /// The trace of a connection.
    fn trace(&self, place: usize) -> Option<&'a Trace> {
        self.traces.iter().find(|t| t.place == place)
    }

    /// What a connection is called: its name, or its server.
    fn name(&self, place: usize) -> String {
        let a = self.analysis();
        match (a.name(place), a.ends(place)) {
            (Some(name), _) => words::name(name, 36),
            (None, Some((_, server))) => self.ends.server(server),
            _ => "a server".to_owned(),
        }
    }

    /// Its number, as Wireshark has it.
    fn number(&self, place: usize) -> String {
        let a = self.analysis();
        match (a.connections.get(place), a.quic(place)) {
            (Some(c), _) => format!("stream {}", c.stream),
            (_, Some(q)) => format!("QUIC from frame {}", q.first_frame),
            _ => String::new(),
        }
    }

    /// The end that sends a way, as a person calls it.
    fn sender(&self, place: usize, d: Direction) -> String {
        match (d, self.analysis().ends(place)) {
            (Direction::ToServer, Some((client, _))) => self.ends.client(client),
            (Direction::ToServer, None) => "the client".to_owned(),
            (Direction::ToClient, _) => self.name(place),
        }
    }

    /// What stands below every chart.
    fn foot(&self, more: &[String]) -> String {
        let path = &self.capture.path;
        // the folders of the user's machine are nobody's business
        let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let mut parts = vec![words::shortened(&Own(file).to_string(), 60)];
        if let Some(hash) = &self.capture.sha256 {
            parts.push(format!("SHA-256 {}…", hash.chars().take(16).collect::<String>()));
        }
        parts.push(format!("pinchpoint {}", env!("CARGO_PKG_VERSION")));
        parts.extend(more.iter().filter(|m| !m.is_empty()).cloned());
        parts.join(" · ")
    }

    /// What was left out of some traces, for the footer.
    fn left_out(&self) -> String {
        let n: u64 = self.traces.iter().map(|t| t.thinned).sum();
        let incomplete = self.traces.iter().any(|t| t.incomplete);
        match (n, incomplete) {
            (0, false) => String::new(),
            (n, false) => format!("{} ordinary packets left out", crate::report::units::thousands(n)),
            (_, true) => "the file is not the one that was analysed: packets are missing".to_owned(),
        }
    }
}
