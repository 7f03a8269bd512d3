//! The answer for a person: what the capture holds, one line a name, then the findings, worst first.

use std::io::{self, Write};

use super::names::{self, NameRow};
use super::quality::notes;
use super::says::{prior, says};
use super::style::Style;
use super::units::{bits, bytes, count, frames, thousands};
use super::{Capture, wireshark_filter};
use crate::analysis::Analysis;
use crate::base::Direction;
use crate::base::text::{Own, Sentence, Untrusted};
use crate::detect::{Finding, Level, Verdict, registry};

/// How to write it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Colour and width.
    pub style: Style,
    /// Whether addresses are shown.
    pub addresses: bool,
    /// Whether every connection and finding is shown.
    pub verbose: bool,
}

/// How many findings are written out in full; the rest is counted, unless all are asked for.
const FINDINGS_SHOWN: usize = 10;
/// How many comments of the file itself are shown; `info` shows more.
const COMMENTS_SHOWN: usize = 2;
/// How many names are listed.
const NAMES_SHOWN: usize = 40;

/// Writes the answer.
///
/// # Errors
/// What writing gives.
pub fn write(captures: &[Capture], options: Options, out: &mut dyn Write) -> io::Result<()> {
    for capture in captures {
        write_head(capture, options, out)?;
        write_comments(capture, options, out)?;
        write_notes(capture, options, out)?;
        writeln!(out)?;
    }
    write_names(captures, options, out)?;
    write_verdicts(captures, options, out)?;
    for capture in captures {
        write_findings(capture, captures.len() > 1, options, out)?;
        if options.verbose {
            write_connections(capture, options, out)?;
        }
    }
    Ok(())
}

/// Writes what is in one capture and what it can show: `pinchpoint info`.
///
/// # Errors
/// What writing gives.
pub fn write_info(captures: &[Capture], options: Options, out: &mut dyn Write) -> io::Result<()> {
    for (n, capture) in captures.iter().enumerate() {
        if n > 0 {
            writeln!(out)?;
        }
        write_head(capture, options, out)?;
        write_file_facts(capture, options, out)?;
        write_notes(capture, options, out)?;
    }
    Ok(())
}

fn write_head(capture: &Capture, o: Options, out: &mut dyn Write) -> io::Result<()> {
    let c = &capture.analysis.counts;
    writeln!(out, "{}", o.style.bold(&Own(&capture.path).to_string()))?;
    let when = match (c.earliest, c.last) {
        (Some(from), Some(to)) => format!(", {} from {from}", to.since(from)),
        _ => String::new(),
    };
    let links: Vec<String> = c.link_types.iter().map(ToString::to_string).collect();
    let links = if links.is_empty() { String::new() } else { format!(", {}", links.join(" and ")) };
    writeln!(out, "  {}, {} on the wire{links}{when}", count(c.frames, "packet"), bytes(c.wire_bytes))?;
    if let Some(sha256) = &capture.sha256 {
        writeln!(out, "  SHA-256 {sha256}")?;
    }
    Ok(())
}

/// What the file says of itself: a report that leaves out "this is a simulation" would mislead.
fn write_comments(capture: &Capture, o: Options, out: &mut dyn Write) -> io::Result<()> {
    let comments = capture.analysis.files.iter().flat_map(|f| &f.comments).filter(|c| c.frame.is_none());
    for comment in comments.take(COMMENTS_SHOWN) {
        let text = format!("a comment in the file: {}", Sentence(&comment.text));
        writeln!(out, "{}", o.style.wrapped("  · ", "    ", &text))?;
    }
    Ok(())
}

fn write_notes(capture: &Capture, o: Options, out: &mut dyn Write) -> io::Result<()> {
    for note in notes(capture) {
        let mark = if note.limits { o.style.caution("!") } else { "·".to_owned() };
        // the mark may be coloured, so it does not count towards the width
        writeln!(out, "  {mark}{}", o.style.wrapped(" ", "    ", &note.text))?;
    }
    Ok(())
}

fn write_file_facts(capture: &Capture, o: Options, out: &mut dyn Write) -> io::Result<()> {
    for f in &capture.analysis.files {
        let compression = f.compression.map_or(String::new(), |c| format!(", {}", c.name()));
        writeln!(out, "  {}{compression}, {}", f.format, count(f.sections, "section"))?;
        for i in &f.interfaces {
            let name = i.name.as_deref().map_or(String::new(), |n| format!(" {}", Untrusted(n)));
            let snaplen =
                if i.snaplen == 0 { "no snaplen".to_owned() } else { format!("snaplen {}", i.snaplen) };
            let filter = i.filter.as_deref().map_or(String::new(), |f| format!(", filter {}", Sentence(f)));
            writeln!(out, "  interface{name}: {}, {snaplen}{filter}", i.link_type)?;
        }
        let said = [("hardware", &f.hardware), ("system", &f.os), ("made by", &f.application)];
        for (what, text) in said.iter().filter_map(|(w, t)| Some((w, t.as_deref()?))) {
            writeln!(out, "  {what}: {}", Sentence(text))?;
        }
        if f.comment_count > 0 {
            writeln!(out, "  {}:", count(f.comment_count, "comment"))?;
            for comment in f.comments.iter().take(if o.verbose { usize::MAX } else { 5 }) {
                let at = comment.frame.map_or(String::new(), |n| format!("frame {n}: "));
                writeln!(out, "    {at}{}", Sentence(&comment.text))?;
            }
        }
        if f.blocks_skipped_count > 0 {
            writeln!(out, "  {} of types that hold no packets", count(f.blocks_skipped_count, "block"))?;
        }
    }
    Ok(())
}

fn write_names(captures: &[Capture], o: Options, out: &mut dyn Write) -> io::Result<()> {
    let rows = names::rows(captures);
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", o.style.bold("Names"))?;
    let shown = if o.verbose { rows.len() } else { NAMES_SHOWN };
    for row in rows.iter().take(shown) {
        writeln!(out, "  {}{}", name_mark(row, o.style), o.style.wrapped(" ", "    ", &row.sentence()))?;
    }
    if rows.len() > shown {
        writeln!(out, "  … and {} (--verbose shows them)", count((rows.len() - shown) as u64, "name"))?;
    }
    writeln!(out)
}

fn name_mark(row: &NameRow, style: Style) -> String {
    if row.is_claimed() {
        style.alarm("✗")
    } else if row.ok > 0 {
        style.good("✓")
    } else {
        style.caution("?")
    }
}

fn write_verdicts(captures: &[Capture], o: Options, out: &mut dyn Write) -> io::Result<()> {
    let mut n = [0u64; 3];
    let all = captures.iter().flat_map(|c| &c.analysis.verdicts);
    for (verdict, _) in all {
        n[match verdict {
            Verdict::Interfered => 0,
            Verdict::Inconclusive => 1,
            Verdict::Clean => 2,
        }] += 1;
    }
    let total: u64 = n.iter().sum();
    if total == 0 {
        return Ok(());
    }
    let says = format!(
        "{} interfered with, {} inconclusive, {} clean",
        thousands(n[0]),
        thousands(n[1]),
        thousands(n[2])
    );
    writeln!(out, "{}: {says}", o.style.bold(&format!("Verdict on {}", count(total, "connection"))))?;
    writeln!(out)
}

fn write_findings(capture: &Capture, several: bool, o: Options, out: &mut dyn Write) -> io::Result<()> {
    let findings = &capture.analysis.findings;
    if findings.is_empty() {
        return Ok(());
    }
    let of = if several { format!(" in {}", Own(&capture.path)) } else { String::new() };
    writeln!(out, "{}", o.style.bold(&format!("Findings{of}, worst first")))?;
    let shown = if o.verbose { findings.len() } else { FINDINGS_SHOWN };
    for (n, f) in findings.iter().take(shown).enumerate() {
        write_finding(n + 1, f, &capture.analysis, o, out)?;
    }
    if findings.len() > shown {
        let rest = &findings[shown..];
        let claims = rest.iter().filter(|f| f.level >= Level::Likely).count() as u64;
        writeln!(out, "… and {} more, {claims} of them claims (--verbose shows them)\n", rest.len())?;
    }
    Ok(())
}

/// Writes one finding with all that speaks for and against it.
///
/// # Errors
/// What writing gives.
pub fn write_finding(n: usize, f: &Finding, a: &Analysis, o: Options, out: &mut dyn Write) -> io::Result<()> {
    let s = o.style;
    let rule = registry::find(f.code).map_or("", |r| r.name);
    let level = match f.level {
        Level::Possible => s.caution(f.level.name()),
        _ => s.alarm(f.level.name()),
    };
    writeln!(out, "{n}. {level} {} {rule}, probability {}", f.code, percent(f.confidence))?;
    writeln!(out, "{}", s.wrapped("   ", "   ", &says(f, a, o.addresses)))?;
    let prior = prior(f);
    writeln!(out, "{}", s.wrapped(&format!("   prior   {:+5.1}  ", f.prior), "                  ", prior))?;
    for e in f.evidence.iter().filter(|e| e.log_odds > 0.0) {
        let at =
            if e.frames.is_empty() { String::new() } else { format!(" [{}]", frames(&sorted(&e.frames))) };
        writeln!(
            out,
            "{}",
            s.wrapped(
                &format!("   for     {:+5.1}  ", e.log_odds),
                "                  ",
                &format!("{}{at}", e.claim)
            )
        )?;
    }
    for a in f.alternatives.iter().filter(|a| a.log_odds < 0.0) {
        let text = format!("{}: {}", a.cause, a.why);
        writeln!(
            out,
            "{}",
            s.wrapped(&format!("   against {:+5.1}  ", a.log_odds), "                  ", &text)
        )?;
    }
    for a in f.alternatives.iter().filter(|a| a.log_odds >= 0.0) {
        let text = format!("{}: {}", a.cause, a.why);
        writeln!(out, "{}", s.wrapped("   against   0.0  ", "                  ", &text))?;
    }
    let filter = wireshark_filter(&a.streams(f), &f.frames);
    writeln!(out, "   {}", s.dim(&format!("Wireshark: {filter}")))?;
    writeln!(out)
}

fn sorted(frames: &[u64]) -> Vec<u64> {
    let mut v = frames.to_vec();
    v.sort_unstable();
    v.dedup();
    v
}

/// A probability as people read it; never a certainty.
pub fn percent(p: f64) -> String {
    match p {
        0.999.. => "over 99.9%".to_owned(),
        0.99.. => format!("{:.1}%", (p * 1000.0).floor() / 10.0),
        _ => format!("{:.0}%", (p * 100.0).min(99.0)),
    }
}

fn coloured(verdict: Verdict, style: Style) -> String {
    match verdict {
        Verdict::Clean => style.good(verdict.name()),
        Verdict::Interfered => style.alarm(verdict.name()),
        Verdict::Inconclusive => style.caution(verdict.name()),
    }
}

fn write_connections(capture: &Capture, o: Options, out: &mut dyn Write) -> io::Result<()> {
    let a = &capture.analysis;
    writeln!(out, "{}", o.style.bold("Connections"))?;
    for (c, (verdict, why)) in a.connections.iter().zip(&a.verdicts) {
        let name = c.name().map_or_else(|| "-".to_owned(), |n| Untrusted(n).to_string());
        let ends = if o.addresses { format!(" {} > {}", c.client, c.server) } else { String::new() };
        let verdict = coloured(*verdict, o.style);
        let rtt = c.rtt_min.map_or_else(|| "-".to_owned(), |r| r.to_string());
        let up = bytes(c.flows.to_server.bytes);
        let down = bytes(c.flows.to_client.bytes);
        let signature = c.signature.map_or(String::new(), |s| format!(", {}", s.name));
        writeln!(
            out,
            "  stream {}{ends} {name}: {verdict}, {} {}, {up} up, {down} down, RTT {rtt}, {}{signature}",
            c.stream,
            c.conn_state,
            c.history,
            c.stage.name()
        )?;
        if let Some(why) = why {
            writeln!(out, "{}", o.style.wrapped("      ", "      ", why))?;
        }
    }
    for (q, (verdict, _)) in a.udp.quic.iter().zip(a.verdicts.iter().skip(a.connections.len())) {
        let name = q.name().map_or_else(|| "-".to_owned(), |n| Untrusted(n).to_string());
        let ends = if o.addresses { format!(" {} > {}", q.client, q.server) } else { String::new() };
        let (up, down) = (bytes(q.sides.to_server.bytes), bytes(q.sides.to_client.bytes));
        let first = q.first_frame;
        let version = q.seen.version;
        let outcome = q.outcome.name();
        let verdict = coloured(*verdict, o.style);
        writeln!(
            out,
            "  QUIC {version} from frame {first}{ends} {name}: {verdict}, {outcome}, {up} up, {down} down"
        )?;
        for (d, p) in
            [Direction::ToServer, Direction::ToClient].into_iter().filter_map(|d| Some((d, q.plateau[d]?)))
        {
            let (rate, took) = (bits(p.rate_bps), p.duration);
            let text = format!(
                "the {} kept to {rate} for {took}: a plateau only, whose cause QUIC does not show",
                d.sender()
            );
            writeln!(out, "{}", o.style.wrapped("      ", "      ", &text))?;
        }
    }
    writeln!(out)
}
