//! The screen of `pinchpoint live`: names and how they fare, what was just done to them and why.
//!
//! It shows what an analysis says and asks for nothing of its own; every text of the capture is escaped.

mod draw;
mod keys;
mod model;
mod names;

use std::io;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::engine::Engine;
use crate::report::Capture;
use crate::report::json_live::Counters;
use model::Model;

/// What the screen is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is captured.
    pub path: String,
    /// Whether addresses are shown.
    pub addresses: bool,
    /// Whether there is colour.
    pub color: bool,
}

/// What the user wants after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// To go on.
    On,
    /// To end.
    Quit,
}

/// The screen; the terminal is as it was when this is dropped.
pub struct Screen {
    terminal: DefaultTerminal,
    model: Model,
    /// Whether something has changed since it was drawn.
    stale: bool,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// Where there is none.
    pub fn new(settings: Settings) -> io::Result<Self> {
        Ok(Self { terminal: ratatui::try_init()?, model: Model::new(settings), stale: true })
    }

    /// Takes what is to be said by now.
    pub fn look(&mut self, capture: Capture) {
        self.model.look(capture);
        self.stale = true;
    }

    /// Takes the counters, and whether the capture is over.
    pub fn count(&mut self, counters: Counters, over: bool) {
        self.stale |= self.model.count(counters, over);
    }

    /// Takes a sentence about the recording.
    pub fn notice(&mut self, text: &str) {
        self.model.notice(text);
        self.stale = true;
    }

    /// Draws if something has changed, and waits for a key for as long as `rest`.
    ///
    /// # Errors
    /// What the terminal gives.
    pub fn turn(&mut self, rest: Duration, engine: &Engine) -> io::Result<Turn> {
        if self.stale {
            let model = &mut self.model;
            self.terminal.draw(|frame| draw::draw(model, frame))?;
            self.stale = false;
        }
        if !event::poll(rest)? {
            return Ok(Turn::On);
        }
        self.stale = true;
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                Ok(keys::press(&mut self.model, key, engine))
            }
            _ => Ok(Turn::On),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = ratatui::try_restore(); // a terminal that is gone needs none
    }
}
