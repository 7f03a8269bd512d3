//! What each key does.

use std::path::PathBuf;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Turn;
use super::model::{Mode, Model};
use crate::live::engine::Engine;

/// Lines that a page is.
const PAGE: u16 = 10;

/// Acts on a key.
pub(super) fn press(model: &mut Model, key: KeyEvent, engine: &Engine) -> Turn {
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return Turn::Quit; // the terminal sends no signal while it is ours
    }
    match model.mode.clone() {
        Mode::Filter => type_filter(model, key.code),
        Mode::List => return list(model, key.code, engine),
        Mode::Evidence(from) => return evidence(model, key.code, from, engine),
    }
    Turn::On
}

fn list(model: &mut Model, key: KeyCode, engine: &Engine) -> Turn {
    match key {
        KeyCode::Char('q') => return Turn::Quit,
        KeyCode::Up | KeyCode::Char('k') => model.choose(-1),
        KeyCode::Down | KeyCode::Char('j') => model.choose(1),
        KeyCode::Enter if model.chosen().is_some() => {
            model.chosen = model.chosen().map(|(_, f)| f.key.clone());
            model.mode = Mode::Evidence(0);
        }
        KeyCode::Char('/') => model.mode = Mode::Filter,
        KeyCode::Esc => model.filter.clear(),
        KeyCode::Char('p') => model.paused = !model.paused,
        KeyCode::Char('s') => save(model, engine),
        _ => {}
    }
    Turn::On
}

fn evidence(model: &mut Model, key: KeyCode, from: u16, engine: &Engine) -> Turn {
    match key {
        KeyCode::Char('q') => return Turn::Quit,
        KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => model.mode = Mode::List,
        KeyCode::Up | KeyCode::Char('k') => model.mode = Mode::Evidence(from.saturating_sub(1)),
        KeyCode::Down | KeyCode::Char('j') => model.mode = Mode::Evidence(from.saturating_add(1)),
        KeyCode::PageUp => model.mode = Mode::Evidence(from.saturating_sub(PAGE)),
        KeyCode::PageDown => model.mode = Mode::Evidence(from.saturating_add(PAGE)),
        KeyCode::Char('p') => model.paused = !model.paused,
        KeyCode::Char('s') => save(model, engine),
        _ => {}
    }
    Turn::On
}

fn type_filter(model: &mut Model, key: KeyCode) {
    match key {
        KeyCode::Enter => model.mode = Mode::List,
        KeyCode::Esc => {
            model.filter.clear();
            model.mode = Mode::List;
        }
        KeyCode::Backspace => {
            model.filter.pop();
        }
        KeyCode::Char(c) if model.filter.len() < 64 && c.is_ascii_graphic() => {
            model.filter.push(c.to_ascii_lowercase());
        }
        _ => {}
    }
}

/// Saves the packets of the chosen finding into a new file of the folder that the program was started in.
fn save(model: &mut Model, engine: &Engine) {
    let Some((_, entry)) = model.chosen() else { return };
    let Some(a) = model.capture.as_ref().map(|c| &c.analysis) else { return };
    let Some(f) = entry.place.and_then(|place| a.findings.get(place)) else { return };
    let frame = f.frames.first().copied().unwrap_or(0);
    let path = PathBuf::from(format!("pinchpoint-{}-frame-{frame}.pcapng", f.code));
    let saved = engine.recent().save(f, a, &entry.says, &path);
    let text = match saved {
        Ok(n) => format!("{n} packets saved to {}", path.display()),
        Err(e) => format!("{} is not written: {e}", path.display()),
    };
    model.notice(&text);
}
