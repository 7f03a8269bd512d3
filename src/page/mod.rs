//! One page for a reader who has no other tool: what was found in plain words, charts, evidence, limits, method.
//!
//! Renders; decides nothing: its sentences are those of the room `report`, its pictures those of `chart`. The page is whole
//! in itself: no script, nothing from elsewhere, and a policy in it that lets a browser fetch nothing. The template
//! escapes all text; only charts go in as they are, and those are of our own making.

mod finding;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;

use crate::analysis::Analysis;
use crate::base::text::{Own, Sentence, Untrusted};
use crate::chart::{Kind, Picture};
use crate::detect::{Level, Verdict};
use crate::report::Capture;
use crate::report::names::{self, NameRow};
use crate::report::quality::notes;
use crate::report::units::{bytes, count, thousands};

use finding::{Article, articles};
use words::{GLOSSARY, METHOD, NEVER_SHOWN};

/// Names that have a row.
const NAMES: usize = 200;
/// Reasons for inconclusive connections that are listed.
const REASONS: usize = 12;
/// Comments of a file that are shown.
const COMMENTS: usize = 4;

/// What goes on the page.
#[derive(Debug)]
pub struct Report<'a> {
    /// The captures.
    pub captures: &'a [Capture],
    /// The charts of each capture.
    pub pictures: &'a [Vec<(Kind, Picture)>],
    /// Inputs that could not be read at all, each with the reason.
    pub unread: &'a [(String, String)],
    /// The command that made it.
    pub command: &'a str,
    /// Whether addresses and folders are shown.
    pub addresses: bool,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: String,
    short: Vec<Line>,
    verdicts: String,
    comments: Vec<String>,
    pointers: usize,
    names: Vec<Name>,
    names_left_out: usize,
    files: Vec<File<'a>>,
    unread: Vec<(String, &'a str)>,
    without_charts: u64,
    without_findings: u64,
    without_limits: u64,
    several: bool,
    never_shown: &'static [&'static str],
    method: &'static [(&'static str, &'static str)],
    glossary: &'static [(&'static str, &'static str)],
    command: &'a str,
    version: &'static str,
    fingerprints: &'static str,
    addresses: bool,
}

/// A sentence with its mark.
struct Line {
    class: &'static str,
    mark: &'static str,
    text: String,
}

struct Name {
    text: String,
    connections: u64,
    ok: u64,
    reset: u64,
    dropped: u64,
    slowed: u64,
    forged: u64,
    inconclusive: u64,
    conclusion: String,
}

struct File<'a> {
    path: String,
    sha256: &'a str,
    facts: Vec<String>,
    limits: Vec<String>,
    reasons: Vec<(String, u64)>,
    reasons_left_out: usize,
    figures: Vec<Figure<'a>>,
    articles: Vec<Article>,
    articles_left_out: usize,
}

struct Figure<'a> {
    svg: &'a str,
    title: &'a str,
    description: &'a str,
}

/// Renders the page.
///
/// # Errors
/// What the template gives; it gives none unless memory ends.
pub fn html(r: &Report<'_>) -> Result<String, String> {
    let rows = names::rows(r.captures);
    let claimed: Vec<&NameRow> = rows.iter().filter(|n| n.is_claimed()).collect();
    let mut short = short(r.captures, &rows);
    if !r.unread.is_empty() {
        let (unread, all) = (r.unread.len(), r.unread.len() + r.captures.len());
        let text = format!("{unread} of {all} files could not be read; nothing here is about them.");
        short.push(Line { class: "note", mark: "!", text });
    }
    let title = match &claimed[..] {
        [] => "No interference is claimed".to_owned(),
        [one] => format!("{}: {}", words::shortened(&one.name), words::fate(one)),
        [first, ..] => format!(
            "Interference with {} and {}",
            words::shortened(&first.name),
            count(claimed.len() as u64 - 1, "other name")
        ),
    };
    let files: Vec<File<'_>> =
        r.captures.iter().zip(r.pictures).map(|(c, p)| file(c, p, r.addresses)).collect();
    let without = |what: fn(&File<'_>) -> bool| files.iter().filter(|f| what(f)).count() as u64;
    let possible = |c: &Capture| c.analysis.findings.iter().filter(|f| f.level == Level::Possible).count();
    let page = Page {
        title,
        short,
        verdicts: verdicts(r.captures),
        comments: comments(r.captures),
        pointers: r.captures.iter().map(possible).sum(),
        names_left_out: rows.len().saturating_sub(NAMES),
        names: rows.iter().take(NAMES).map(name).collect(),
        without_charts: without(|f| f.figures.is_empty()),
        without_findings: without(|f| f.articles.is_empty()),
        without_limits: without(|f| f.limits.is_empty() && f.reasons.is_empty()),
        files,
        unread: r.unread.iter().map(|(path, why)| (shown(path, r.addresses), why.as_str())).collect(),
        several: r.captures.len() > 1,
        never_shown: NEVER_SHOWN,
        method: METHOD,
        glossary: GLOSSARY,
        command: r.command,
        version: env!("CARGO_PKG_VERSION"),
        fingerprints: &crate::detect::reset::fingerprint::TABLE.version,
        addresses: r.addresses,
    };
    page.render().map_err(|e| e.to_string())
}

/// The page's first words: a sentence a name with a claim, or that there is none.
fn short(captures: &[Capture], rows: &[NameRow]) -> Vec<Line> {
    let claimed = rows.iter().filter(|r| r.is_claimed());
    let mut lines: Vec<Line> =
        claimed.take(8).map(|r| Line { class: "bad", mark: "✗", text: r.sentence() + "." }).collect();
    // what is claimed and has no name: caps of whole paths, resets without a hello
    let caps = captures
        .iter()
        .flat_map(|c| &c.analysis.findings)
        .filter(|f| f.level >= Level::Likely && f.code.starts_with("CAP") && f.keyed_on.is_none());
    let caps = caps.count() as u64;
    if caps > 0 {
        let text = format!(
            "{} of transfers that were held to a rate; a cap alone is no censorship, as a tariff or a full link look the same.",
            count(caps, "finding")
        );
        lines.push(Line { class: "note", mark: "•", text });
    }
    let nameless = captures.iter().map(|c| nameless(&c.analysis)).sum();
    if nameless > 0 {
        let text = format!(
            "{} that a third party interfered, on connections that show no name.",
            count(nameless, "claim")
        );
        lines.push(Line { class: "bad", mark: "✗", text });
    }
    if lines.is_empty() {
        let text = "Nothing in these packets carries the claim that somebody interfered. That is not proof that nobody did: see the limits below.".to_owned();
        lines.push(Line { class: "good", mark: "✓", text });
    }
    let well = rows.iter().filter(|r| !r.is_claimed() && r.ok > 0);
    lines.extend(well.take(4).map(|r| Line { class: "good", mark: "✓", text: capital(&r.sentence()) + "." }));
    lines
}

/// Claims of interference that no row of a name has.
fn nameless(a: &Analysis) -> u64 {
    let claims = a.findings.iter().filter(|f| f.level >= Level::Likely && !f.code.starts_with("CAP"));
    claims.filter(|f| f.name.is_none() && f.connections.iter().all(|c| a.name(*c).is_none())).count() as u64
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
}

fn verdicts(captures: &[Capture]) -> String {
    let of = |v: Verdict| {
        captures.iter().flat_map(|c| &c.analysis.verdicts).filter(|(w, _)| *w == v).count() as u64
    };
    let [bad, open, clean] = [Verdict::Interfered, Verdict::Inconclusive, Verdict::Clean].map(of);
    format!(
        "{}: {} interfered with, {} inconclusive, {} clean.",
        count(bad + open + clean, "connection"),
        thousands(bad),
        thousands(open),
        thousands(clean)
    )
}

/// What files say of themselves: a page that leaves out "this is a simulation" would mislead.
fn comments(captures: &[Capture]) -> Vec<String> {
    let files = captures.iter().flat_map(|c| &c.analysis.files);
    let comments = files.flat_map(|f| &f.comments).filter(|c| c.frame.is_none());
    let mut seen = BTreeSet::new(); // files of one making say the same
    let each = comments.filter(|c| seen.insert(c.text.as_str()));
    each.take(COMMENTS).map(|c| Sentence(&c.text).to_string()).collect()
}

fn name(row: &NameRow) -> Name {
    Name {
        text: Untrusted(&row.name).to_string(),
        connections: row.connections,
        ok: row.ok,
        reset: row.reset,
        dropped: row.dropped,
        slowed: row.slowed,
        forged: row.forged + row.tampered + row.dns_forged,
        inconclusive: row.inconclusive,
        conclusion: row.conclusion().replace('_', " "),
    }
}

fn file<'a>(c: &'a Capture, pictures: &'a [(Kind, Picture)], addresses: bool) -> File<'a> {
    let counts = &c.analysis.counts;
    let links: Vec<String> = counts.link_types.iter().map(ToString::to_string).collect();
    let mut facts = vec![format!(
        "{}, {} on the wire, {}",
        count(counts.frames, "packet"),
        bytes(counts.wire_bytes),
        links.join(" and ")
    )];
    if let (Some(from), Some(to)) = (counts.earliest, counts.last) {
        facts.push(format!("{} from {from}", to.since(from)));
    }
    let (limits, holds): (Vec<_>, Vec<_>) = notes(c).into_iter().partition(|n| n.limits);
    facts.extend(holds.into_iter().map(|n| n.text));
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, why) in c.analysis.verdicts.iter().filter(|(v, _)| *v == Verdict::Inconclusive) {
        *reasons.entry(why.as_deref().unwrap_or("no reason is stated")).or_default() += 1;
    }
    let mut reasons: Vec<(String, u64)> = reasons.into_iter().map(|(why, n)| (why.to_owned(), n)).collect();
    reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let reasons_left_out = reasons.len().saturating_sub(REASONS);
    reasons.truncate(REASONS);
    let (articles, articles_left_out) = articles(&c.analysis, addresses);
    File {
        path: shown(&c.path, addresses),
        sha256: c.sha256.as_deref().unwrap_or("not known: the input was a pipe"),
        facts,
        limits: limits.into_iter().map(|n| n.text).collect(),
        reasons,
        reasons_left_out,
        figures: pictures
            .iter()
            .filter(|(_, p)| !p.is_empty)
            .map(|(_, p)| Figure { svg: &p.svg, title: &p.title, description: &p.description })
            .collect(),
        articles,
        articles_left_out,
    }
}

/// A path as the page shows it: without its folders, which are nobody's business, unless addresses are shown too.
pub fn shown(path: &str, addresses: bool) -> String {
    let file = if addresses { path } else { path.rsplit(['/', '\\']).next().unwrap_or(path) };
    Own(file).to_string()
}
