//! Draws the model.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, Wrap};

use super::model::{Entry, Mode, Model};
use crate::base::text::{Own, Untrusted};
use crate::detect::Level;
use crate::report::names::NameRow;
use crate::report::units::{bits, thousands};

/// Width of a sparkline.
const SPARK: u16 = 20;

pub(super) fn draw(m: &mut Model, frame: &mut Frame<'_>) {
    let notices = u16::try_from(m.notices.len().min(3)).unwrap_or(3);
    let [head, body, foot, keys] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(3),
        Constraint::Length(notices),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let width = frame.area().width;
    let fitting = |lines: Vec<Line<'static>>| {
        Paragraph::new(lines.into_iter().map(|line| fitted(line, width)).collect::<Vec<_>>())
    };
    frame.render_widget(fitting(head_lines(m)), head);
    if let Mode::Evidence(from) = m.mode {
        evidence(m, from, frame, body);
    } else {
        let [names, findings] =
            Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(body);
        draw_names(m, frame, names);
        draw_findings(m, frame, findings);
    }
    let said = m.notices.iter().rev().take(3).rev().map(|n| Line::styled(n.clone(), paint(m, Color::Yellow)));
    frame.render_widget(fitting(said.collect()), foot);
    frame.render_widget(fitting(vec![key_line(m)]), keys);
}

/// A line that is no wider than this: what is cut ends in "…".
fn fitted(line: Line<'static>, width: u16) -> Line<'static> {
    let mut room = usize::from(width);
    if line.width() <= room {
        return line;
    }
    room = room.saturating_sub(1);
    let Line { spans, style, alignment } = line;
    let mut kept = Vec::new();
    for span in spans {
        let mut text = String::new();
        for c in span.content.chars() {
            let wide = Span::raw(c.to_string()).width();
            if wide > room {
                text.push('…');
                kept.push(Span::styled(text, span.style));
                return Line { spans: kept, style, alignment };
            }
            room -= wide;
            text.push(c);
        }
        kept.push(Span::styled(text, span.style));
    }
    Line { spans: kept, style, alignment }
}

fn paint(m: &Model, color: Color) -> Style {
    if m.settings.color { Style::new().fg(color) } else { Style::new() }
}

fn head_lines(m: &Model) -> Vec<Line<'static>> {
    let c = &m.counters;
    let state = match (m.paused, m.over) {
        (true, _) => " PAUSED (p goes on; recording never pauses)",
        (_, true) => " ended",
        _ => "",
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let first = Line::from(vec![
        Span::styled(format!("pinchpoint live  {}", Own(&m.settings.path)), bold),
        Span::styled(state, paint(m, Color::Yellow)),
    ]);
    let mut words = vec![format!("{} packets analysed", thousands(c.packets))];
    let mut alarm = false;
    if let (Some(captured), Some(kernel), Some(interface)) =
        (c.captured, c.dropped_kernel, c.dropped_interface)
    {
        words.push(format!("{} captured", thousands(captured)));
        words.push(format!("dropped: {kernel} by the kernel, {interface} by the interface"));
        alarm = kernel + interface > 0;
    }
    if let Some(n) = c.not_analysed.filter(|n| *n > 0) {
        words.push(format!("{} not analysed: analysis fell behind", thousands(n)));
        alarm = true;
    }
    if c.rows_forgotten > 0 {
        words.push(format!("{} old rows dropped", thousands(c.rows_forgotten)));
    }
    let style = if alarm { paint(m, Color::Red) } else { Style::new() };
    vec![first, Line::styled(words.join(" · "), style)]
}

fn title(text: String) -> Block<'static> {
    Block::new().borders(Borders::TOP).title(text)
}

fn draw_names(m: &Model, frame: &mut Frame<'_>, area: Rect) {
    let rows = m.shown_names().take(usize::from(area.height)).map(|n| name_row(m, n));
    let widths = [
        Constraint::Length(1),
        Constraint::Min(20),
        Constraint::Length(22),
        Constraint::Length(6),
        Constraint::Length(12),
        Constraint::Length(SPARK),
    ];
    let filter = if m.filter.is_empty() { String::new() } else { format!(" with “{}”", m.filter) };
    let header = Row::new(["", "name", "outcome", "conns", "rate", "last minute"])
        .style(Style::new().add_modifier(Modifier::DIM));
    let table = Table::new(rows, widths).header(header).block(title(format!("Names{filter} ")));
    frame.render_widget(table, area);
}

fn name_row<'a>(m: &Model, n: &NameRow) -> Row<'a> {
    let (mark, color) = if n.is_claimed() {
        ("✗", Color::Red)
    } else if n.ok > 0 {
        ("✓", Color::Green)
    } else {
        ("?", Color::Yellow)
    };
    let rate = m.rates.of(&n.name);
    let outcome = match n.conclusion() {
        "no_interference_seen" => "ok".to_owned(),
        "slowed" => n.rate_bps.map_or_else(|| "slowed".to_owned(), |r| format!("slowed to {}", bits(r))),
        other => other.to_owned(),
    };
    #[allow(clippy::cast_precision_loss)] // a rate on a screen
    let now = rate.and_then(|r| r.bps.back()).filter(|b| **b > 0).map_or(String::new(), |b| bits(*b as f64));
    let spark = rate.map_or(String::new(), |r| r.sparkline(usize::from(SPARK)));
    Row::new([
        Cell::from(mark).style(paint(m, color)),
        Cell::from(Untrusted(&n.name).to_string()),
        Cell::from(outcome).style(paint(m, color)),
        Cell::from(thousands(n.connections)),
        Cell::from(now),
        Cell::from(spark),
    ])
}

fn draw_findings(m: &Model, frame: &mut Frame<'_>, area: Rect) {
    let (shown, chosen) = (m.shown_findings(), m.chosen().map_or(0, |(at, _)| at));
    let height = usize::from(area.height.saturating_sub(1)).max(1);
    let from = chosen.saturating_sub(height - 1);
    let lines = shown.iter().enumerate().skip(from).take(height);
    let lines = lines.map(|(n, f)| fitted(finding_line(m, f, n == chosen), area.width)).collect::<Vec<_>>();
    let block = title(format!("What was done to them: {} (times are UTC) ", shown.len()));
    let nothing = Line::from(if m.over { "nothing found" } else { "nothing found yet" });
    let text = if lines.is_empty() { vec![nothing] } else { lines };
    frame.render_widget(Paragraph::new(text).block(block), area);
}

fn finding_line(m: &Model, f: &Entry, chosen: bool) -> Line<'static> {
    let color = if f.level == Level::Possible { Color::Yellow } else { Color::Red };
    let level = if f.provisional { "so far" } else { f.level.name() };
    let time: String = f.at.to_string().chars().skip(11).take(8).collect();
    let mut style = Style::new();
    if chosen {
        style = style.add_modifier(Modifier::REVERSED);
    }
    if f.fresh {
        style = style.add_modifier(Modifier::BOLD);
    }
    Line::from(vec![
        Span::raw(if chosen { "> " } else { "  " }),
        Span::raw(format!("{time} ")),
        Span::styled(format!("{:9} {} ", level, f.code), paint(m, color)),
        Span::raw(f.says.clone()),
    ])
    .style(style)
}

fn evidence(m: &Model, from: u16, frame: &mut Frame<'_>, area: Rect) {
    let text = m.evidence().unwrap_or_else(|| {
        "later packets speak against this finding: it is taken back unless more speak for it".to_owned()
    });
    let last = u16::try_from(text.lines().count()).unwrap_or(u16::MAX).saturating_sub(1);
    let paragraph = Paragraph::new(text)
        .wrap(Wrap { trim: false })
        .scroll((from.min(last), 0))
        .block(title("Evidence ".to_owned()));
    frame.render_widget(paragraph, area);
}

fn key_line(m: &Model) -> Line<'static> {
    let text = match m.mode {
        Mode::Filter => format!("only names and findings with: {}▏  Enter keeps it, Esc clears it", m.filter),
        Mode::Evidence(_) => "↑↓ scroll · s save its packets · Esc back · q quit".to_owned(),
        Mode::List => {
            "↑↓ choose · Enter evidence · / filter · s save its packets · p pause · q quit".to_owned()
        }
    };
    Line::styled(text, Style::new().add_modifier(Modifier::DIM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so() {
        let line = || Line::from(vec![Span::raw("> 12:00:01 "), Span::raw("جواب 网络 reset")]);
        let whole = line().width();
        for width in 0..=whole {
            let cut = fitted(line(), u16::try_from(width).unwrap());
            assert!(cut.width() <= width.max(1), "{cut:?} in {width}");
            assert_eq!(cut.to_string().ends_with('…'), width < whole, "{cut:?} in {width}");
        }
    }
}
