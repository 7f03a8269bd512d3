//! Several captures as one timeline, as mergecap would write it but for frames of the same moment.

use super::{Facts, FileSource, Frame, Located, Source};
use crate::base::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Several captures as one: always the earliest of their next frames, the earlier file where two are equal.
///
/// A file that is not in order of time is not sorted; its frames keep their order, as with mergecap. Of frames of the
/// same moment mergecap 4.0 takes that of the later file first; named in reverse order, the files give the same there.
pub struct Merged {
    files: Vec<FileSource>,
    /// The next frame of each file.
    heads: Vec<Option<Located>>,
    /// The files that have a next frame, by its time.
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The file whose frame was given out last; it is read on only when the next frame is asked for.
    given: Option<usize>,
    started: bool,
    number: u64,
}

/// Merges captures into one timeline with frame numbers of its own.
#[must_use]
pub fn merge(files: Vec<FileSource>) -> Merged {
    let heads = files.iter().map(|_| None).collect();
    Merged { files, heads, queue: BinaryHeap::new(), given: None, started: false, number: 0 }
}

impl Merged {
    fn read_on(&mut self, file: usize) {
        let Some(source) = self.files.get_mut(file) else { return };
        let head = source.advance();
        if let Some(located) = &head {
            self.queue.push(Reverse((located.at, file)));
        }
        if let Some(slot) = self.heads.get_mut(file) {
            *slot = head;
        }
    }
}

impl Source for Merged {
    fn next_frame(&mut self) -> Option<Frame<'_>> {
        if self.started {
            if let Some(file) = self.given.take() {
                self.read_on(file);
            }
        } else {
            self.started = true;
            for file in 0..self.files.len() {
                self.read_on(file);
            }
        }
        let Reverse((_, file)) = self.queue.pop()?;
        self.given = Some(file);
        self.number += 1;
        let frame = self.files.get(file)?.frame(self.heads.get(file)?.as_ref()?);
        Some(Frame { number: self.number, file: u32::try_from(file).unwrap_or(u32::MAX), ..frame })
    }

    fn files(&self) -> Vec<&Facts> {
        self.files.iter().map(FileSource::facts).collect()
    }

    fn position(&self) -> u64 {
        self.files.iter().map(Source::position).sum()
    }
}
