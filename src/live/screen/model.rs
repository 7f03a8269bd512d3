//! What the screen shows, apart from how.

use std::collections::VecDeque;

use super::Settings;
use super::names::Rates;
use crate::base::Timestamp;
use crate::base::text::Sentence;
use crate::detect::{Finding, Level};
use crate::live::changes::{Change, Changes, Standing};
use crate::report::Capture;
use crate::report::json_live::Counters;
use crate::report::names::{self, NameRow};
use crate::report::says::says;
use crate::report::style::Style;
use crate::report::text::{self, Options};

/// Sentences about the recording that are kept.
const NOTICES: usize = 50;
/// Width of the evidence's text.
const WIDTH: usize = 96;

/// What the keys act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The list.
    List,
    /// The evidence of the chosen finding, from this line on.
    Evidence(u16),
    /// The filter is being typed.
    Filter,
}

/// A line of the list of findings.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Its place in the analysis; `None` where it is not in it, and not taken back yet.
    pub(super) place: Option<usize>,
    pub(super) at: Timestamp,
    pub(super) level: Level,
    /// Whether it may become a claim, if it stands.
    pub(super) provisional: bool,
    pub(super) code: &'static str,
    pub(super) says: String,
    pub(super) fresh: bool,
}

/// All that is shown.
pub(super) struct Model {
    pub(super) settings: Settings,
    pub(super) mode: Mode,
    /// Only names and findings that hold this text.
    pub(super) filter: String,
    pub(super) paused: bool,
    pub(super) capture: Option<Capture>,
    pub(super) names: Vec<NameRow>,
    /// The findings, the latest first.
    pub(super) findings: Vec<Entry>,
    pub(super) rates: Rates,
    pub(super) counters: Counters,
    pub(super) over: bool,
    /// What happened to the recording, the latest last.
    pub(super) notices: VecDeque<String>,
    /// Key of the finding that is chosen.
    pub(super) chosen: Option<String>,
    changes: Changes,
}

impl Model {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            mode: Mode::List,
            filter: String::new(),
            paused: false,
            capture: None,
            names: Vec::new(),
            findings: Vec::new(),
            rates: Rates::default(),
            counters: Counters::default(),
            over: false,
            notices: VecDeque::new(),
            chosen: None,
            changes: Changes::default(),
        }
    }

    pub(super) fn look(&mut self, capture: Capture) {
        if self.paused {
            return;
        }
        self.rates.look(&capture.analysis);
        self.names = names::rows(std::slice::from_ref(&capture));
        self.stand(capture);
    }

    /// Takes the findings as they stand.
    fn stand(&mut self, capture: Capture) {
        let told = self.changes.look(&capture.analysis, self.over);
        let a = &capture.analysis;
        let mut held = std::mem::take(&mut self.findings);
        held.retain(|e| told.held.contains(&e.key));
        for e in &mut held {
            (e.place, e.fresh) = (None, false);
        }
        let entry = |(place, (f, s)): (usize, (&Finding, Standing))| {
            let fresh = s.change == Some(Change::New);
            let says = says(f, a, self.settings.addresses);
            let Standing { key, level, provisional, .. } = s;
            Entry { key, place: Some(place), at: f.at, level, provisional, code: f.code, says, fresh }
        };
        self.findings = a.findings.iter().zip(told.standing).enumerate().map(entry).chain(held).collect();
        self.findings.sort_by(|a, b| b.at.cmp(&a.at).then(a.key.cmp(&b.key)));
        self.capture = Some(capture);
    }

    /// Whether anything has changed.
    pub(super) fn count(&mut self, counters: Counters, over: bool) -> bool {
        let changed = (self.counters, self.over) != (counters, over);
        (self.counters, self.over) = (counters, over);
        if changed
            && over
            && let Some(capture) = self.capture.take()
        {
            self.stand(capture); // nothing waits any more
        }
        changed
    }

    pub(super) fn notice(&mut self, text: &str) {
        self.notices.push_back(Sentence(text).to_string());
        if self.notices.len() > NOTICES {
            self.notices.pop_front();
        }
    }

    /// The names that pass the filter.
    pub(super) fn shown_names(&self) -> impl Iterator<Item = &NameRow> {
        self.names.iter().filter(|n| n.name.contains(&self.filter))
    }

    /// The findings that pass the filter.
    pub(super) fn shown_findings(&self) -> Vec<&Entry> {
        self.findings.iter().filter(|f| f.says.to_lowercase().contains(&self.filter)).collect()
    }

    /// Which of the findings shown is chosen: the first, where none is.
    pub(super) fn chosen(&self) -> Option<(usize, &Entry)> {
        let shown = self.shown_findings();
        let at = shown.iter().position(|f| Some(&f.key) == self.chosen.as_ref()).unwrap_or(0);
        Some((at, *shown.get(at)?))
    }

    /// Chooses the finding so many lines further on.
    pub(super) fn choose(&mut self, by: isize) {
        let at = self.chosen().map_or(0, |(at, _)| at);
        let shown = self.shown_findings();
        let to = at.saturating_add_signed(by).min(shown.len().saturating_sub(1));
        self.chosen = shown.get(to).map(|f| f.key.clone());
    }

    /// The evidence of the chosen finding, as `analyze` prints it.
    pub(super) fn evidence(&self) -> Option<String> {
        let (capture, (_, entry)) = (self.capture.as_ref()?, self.chosen()?);
        let a = &capture.analysis;
        let place = entry.place?;
        let f = a.findings.get(place)?;
        let style = Style { color: false, width: WIDTH };
        let options = Options { style, addresses: self.settings.addresses, verbose: true };
        let mut out = Vec::new();
        text::write_finding(place + 1, f, a, options, &mut out).ok()?;
        String::from_utf8(out).ok()
    }
}
