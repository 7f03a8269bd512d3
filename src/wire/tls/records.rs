//! Follows the record headers of one direction, whatever order and pieces its segments come in.
//!
//! Record bodies are stepped over, never copied, so that a segment that lies inside one costs a comparison:
//!
//! ```text
//!  stream   |hdr|      body      |hdr|  body  |hdr|          body          |hdr|
//!  walker                        ^ next: nothing before it matters any more
//! ```
//!
//! A segment that starts beyond `next` leaves a hole; the walker waits for the bytes at `next`, since most holes
//! are reordering or a loss that is sent again. It gives up when those bytes have gone by (they came while an
//! earlier hole was open, or the peer acknowledged them), or when the hole has grown past [`PATIENCE`]. Then it
//! takes the next segment that starts with a plausible header, as most do whose sender writes a record at a time.

use super::record::{ALERT, APPLICATION_DATA, Alert, CHANGE_CIPHER_SPEC, HEADER_LEN, HEARTBEAT, RecordHeader};

/// How far beyond a hole a segment may end before the hole is given up: four records of the largest size, which
/// is about what a sender has in flight when it notices a loss on a usual path.
pub const PATIENCE: i64 = 64 * 1024;

/// Length of a header with the body of an alert in clear.
const ALERT_RECORD_LEN: usize = HEADER_LEN + 2;

/// Length of a TLS 1.3 record that holds an alert and no padding: two bytes, content type, and 16 bytes of tag.
const TLS13_ALERT_LEN: u16 = 19;

/// What a [`RecordWalker`] comes upon. Offsets are those of the record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordEvent {
    /// An alert in clear, whose two bytes were there. Follows the record's own event.
    Alert {
        /// Offset of the header.
        offset: i64,
        /// The two bytes, whatever they say.
        alert: Alert,
    },
    /// A record that is likely an encrypted alert, which is no certainty: type 21 with more than two bytes, or, as
    /// TLS 1.3 has it, application data of 19 bytes, the size of an alert without padding (most often
    /// `close_notify`). Follows the record's own event.
    EncryptedAlertLikely {
        /// Offset of the header.
        offset: i64,
        /// Content type, 21 or 23.
        content_type: u8,
        /// Length of the body.
        length: u16,
    },
    /// A byte at which a record starts and which no record starts with, or a header with an impossible version or
    /// length. Told once; then the walker looks for a header further on.
    NotTls {
        /// Offset of the header's first byte.
        offset: i64,
        /// That byte.
        byte: u8,
    },
    /// A record header.
    Record {
        /// Offset of the header.
        offset: i64,
        /// Content type.
        content_type: u8,
        /// `legacy_record_version`.
        version: u16,
        /// Length of the body.
        length: u16,
        /// Whether the walker had lost its place and took this for a header by its looks.
        resynced: bool,
    },
}

/// A walker along one direction's records.
#[derive(Clone, Copy, Debug)]
pub struct RecordWalker {
    /// Offset of the next record's header.
    next: i64,
    /// Range beyond `next` of which parts came while a hole was open, and are not to come again. Empty if
    /// `gone_from >= gone_to`.
    gone_from: i64,
    /// End of that range.
    gone_to: i64,
    /// The header at `next` and, for an alert in clear, its body, as far as they came.
    head: [u8; ALERT_RECORD_LEN],
    /// How many bytes of `head` are there; 7 at most, less between calls.
    have: u8,
    place: Place,
}

/// How the walker knows its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// By every record since the start or since the last resynchronisation.
    Kept,
    /// Not at all: `next` is no header.
    Lost,
    /// By looks; the next record is the first one.
    Taken,
}

impl RecordWalker {
    /// A walker that expects the first header at `offset`.
    pub const fn new(offset: i64) -> Self {
        Self {
            next: offset,
            gone_from: i64::MAX,
            gone_to: i64::MIN,
            head: [0; ALERT_RECORD_LEN],
            have: 0,
            place: Place::Kept,
        }
    }

    /// A walker for a direction whose start was not captured: it begins at the first plausible header.
    pub const fn unsynced() -> Self {
        let mut walker = Self::new(i64::MIN);
        walker.place = Place::Lost;
        walker
    }

    /// Offset of the next record's header, if the walker knows its place.
    pub fn next_header(&self) -> Option<i64> {
        (self.place != Place::Lost).then_some(self.next)
    }

    /// Takes one segment's payload, whose first byte lies at `offset`, and tells `on` what starts in it.
    ///
    /// Time is constant plus the number of headers in the segment.
    pub fn feed(&mut self, offset: i64, payload: &[u8], on: &mut impl FnMut(RecordEvent)) {
        let Some(end) = i64::try_from(payload.len()).ok().and_then(|n| offset.checked_add(n)) else { return };
        loop {
            let wanted = self.wanted();
            if end <= wanted {
                return;
            }
            if self.place == Place::Lost {
                if !self.take_place(offset.max(wanted), from(payload, offset, wanted)) {
                    return;
                }
            } else if offset > wanted {
                if !self.is_gone(wanted, end) || !self.take_place(offset, payload) {
                    self.note_gone(wanted, offset, end);
                    return;
                }
            } else {
                self.gather(from(payload, offset, wanted), on);
            }
        }
    }

    /// Notes that the peer has acknowledged everything before `offset`: what of it the capture does not have will
    /// not come.
    pub fn acknowledged(&mut self, offset: i64) {
        let wanted = self.wanted();
        if offset > wanted && self.place != Place::Lost {
            self.note_gone(wanted, wanted, offset);
        }
    }

    /// Offset of the first byte that is still wanted.
    fn wanted(&self) -> i64 {
        self.next.saturating_add(i64::from(self.have))
    }

    /// Whether the byte at `wanted` will not come, as seen from a segment that starts beyond it and ends at `end`.
    fn is_gone(&self, wanted: i64, end: i64) -> bool {
        (self.gone_from..self.gone_to).contains(&wanted) || end.saturating_sub(wanted) > PATIENCE
    }

    /// Notes that `start..end` came, or went by unseen, while the byte at `wanted` is awaited.
    fn note_gone(&mut self, wanted: i64, start: i64, end: i64) {
        if self.gone_to <= wanted {
            (self.gone_from, self.gone_to) = (start, end);
        } else {
            // One range for several: a hole between them then counts as gone, and at worst a record is passed over.
            self.gone_from = self.gone_from.min(start);
            self.gone_to = self.gone_to.max(end);
        }
    }

    /// Takes `bytes` for the start of a record if they look like one.
    fn take_place(&mut self, offset: i64, bytes: &[u8]) -> bool {
        let plausible = RecordHeader::parse(bytes).is_some_and(RecordHeader::is_plausible);
        if plausible {
            *self = Self { place: Place::Taken, ..Self::new(offset) };
        }
        plausible
    }

    /// Adds the bytes at `wanted` to the header, and tells of it once it is whole.
    fn gather(&mut self, bytes: &[u8], on: &mut impl FnMut(RecordEvent)) {
        let have = usize::from(self.have);
        let goal = if have < HEADER_LEN { HEADER_LEN } else { ALERT_RECORD_LEN };
        let taken = bytes.len().min(goal - have);
        self.head[have..have + taken].copy_from_slice(&bytes[..taken]);
        let have = have + taken;
        self.have = u8::try_from(have).unwrap_or(0); // 7 at most
        let offset = self.next;
        let [content_type, a, b, c, d, level, description] = self.head;
        if have == ALERT_RECORD_LEN {
            on(RecordEvent::Alert { offset, alert: Alert { level, description } });
            self.step_over(2);
            return;
        }
        let header = RecordHeader::from_bytes([content_type, a, b, c, d]);
        let known_type = matches!(content_type, CHANGE_CIPHER_SPEC..=HEARTBEAT);
        if !known_type || (have == HEADER_LEN && !header.is_possible()) {
            on(RecordEvent::NotTls { offset, byte: content_type });
            self.have = 0;
            self.place = Place::Lost;
            return;
        }
        if have < HEADER_LEN {
            return;
        }
        let RecordHeader { version, length, .. } = header;
        let resynced = self.place == Place::Taken;
        self.place = Place::Kept;
        on(RecordEvent::Record { offset, content_type, version, length, resynced });
        match (content_type, length) {
            (ALERT, 2) => return, // its body is gathered too
            (ALERT, 3..) | (APPLICATION_DATA, TLS13_ALERT_LEN) => {
                on(RecordEvent::EncryptedAlertLikely { offset, content_type, length });
            }
            _ => {}
        }
        self.step_over(length);
    }

    /// Goes on to the header after a body of `length` bytes.
    fn step_over(&mut self, length: u16) {
        self.next = self.next.saturating_add(5 + i64::from(length));
        self.have = 0;
    }
}

/// The bytes of `payload`, which starts at `offset`, from `wanted` on.
fn from(payload: &[u8], offset: i64, wanted: i64) -> &[u8] {
    let passed = usize::try_from(wanted.saturating_sub(offset)).unwrap_or(0); // negative: all of it
    payload.get(passed..).unwrap_or_default()
}
