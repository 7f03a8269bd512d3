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

use super::record::{
    ALERT, APPLICATION_DATA, Alert, CHANGE_CIPHER_SPEC, HEADER_LEN, HEARTBEAT, RecordHeader,
};

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

    /// Takes one segment of which the capture kept only `payload` and the wire had `wire_len` bytes.
    ///
    /// The rest is gone, unless it is sent again: the walker does not wait for it.
    pub fn feed_cut(
        &mut self,
        offset: i64,
        payload: &[u8],
        wire_len: usize,
        on: &mut impl FnMut(RecordEvent),
    ) {
        self.feed(offset, payload, on);
        if payload.len() >= wire_len {
            return;
        }
        let end = |n: usize| offset.saturating_add(i64::try_from(n).unwrap_or(i64::MAX));
        let (kept, end) = (end(payload.len()), end(wire_len));
        let wanted = self.wanted();
        if kept < end && wanted < end && self.place != Place::Lost {
            self.note_gone(wanted, kept.max(wanted), end);
        }
    }

    /// Notes that the peer has acknowledged everything before `offset`: what the capture does not have of it will
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
    #[inline]
    fn gather(&mut self, bytes: &[u8], on: &mut impl FnMut(RecordEvent)) {
        match bytes.first_chunk() {
            // all of a header of whose body nothing is wanted, as nearly always
            Some(header) if self.have == 0 && header[0] != ALERT => self.header(*header, on),
            _ => self.gather_pieces(bytes, on),
        }
    }

    #[inline(never)]
    fn gather_pieces(&mut self, bytes: &[u8], on: &mut impl FnMut(RecordEvent)) {
        let have = usize::from(self.have);
        let goal = if have < HEADER_LEN { HEADER_LEN } else { ALERT_RECORD_LEN };
        let taken = bytes.len().min(goal - have);
        self.head[have..have + taken].copy_from_slice(&bytes[..taken]);
        let have = have + taken;
        self.have = u8::try_from(have).unwrap_or(0); // 7 at most
        let [content_type, a, b, c, d, level, description] = self.head;
        if have == ALERT_RECORD_LEN {
            on(RecordEvent::Alert { offset: self.next, alert: Alert { level, description } });
            self.step_over(2);
        }
        if goal == ALERT_RECORD_LEN {
            return; // the header was told of before
        }
        if have == HEADER_LEN {
            self.header([content_type, a, b, c, d], on);
        } else if !matches!(content_type, CHANGE_CIPHER_SPEC..=HEARTBEAT) {
            self.lose_place(content_type, on);
        }
    }

    /// Looks for another header further on, since this byte begins none.
    #[inline(never)]
    fn lose_place(&mut self, byte: u8, on: &mut impl FnMut(RecordEvent)) {
        on(RecordEvent::NotTls { offset: self.next, byte });
        self.have = 0;
        self.place = Place::Lost;
    }

    /// Tells of the header at `next`, and goes on behind its body unless that is to be gathered.
    #[inline]
    fn header(&mut self, header: [u8; HEADER_LEN], on: &mut impl FnMut(RecordEvent)) {
        let header = RecordHeader::from_bytes(header);
        if !header.is_possible() {
            return self.lose_place(header.content_type, on);
        }
        let RecordHeader { content_type, version, length } = header;
        let offset = self.next;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::tls as make;
    use proptest::prelude::*;

    /// What a walker tells of these segments.
    fn walk(walker: &mut RecordWalker, segments: &[(i64, &[u8])]) -> Vec<RecordEvent> {
        let mut events = Vec::new();
        for (offset, payload) in segments {
            walker.feed(*offset, payload, &mut |e| events.push(e));
        }
        events
    }

    /// The oracle: the events of a stream that is all there.
    fn naive(stream: &[u8]) -> Vec<RecordEvent> {
        let mut events = Vec::new();
        let mut at = 0;
        while let Some(header) = RecordHeader::parse(&stream[at..]) {
            let offset = i64::try_from(at).unwrap();
            let RecordHeader { content_type, version, length, .. } = header;
            if !header.is_possible() {
                events.push(RecordEvent::NotTls { offset, byte: content_type });
                break;
            }
            events.push(RecordEvent::Record { offset, content_type, version, length, resynced: false });
            let end = at + HEADER_LEN + usize::from(length);
            if (content_type, length) == (ALERT, 2) {
                let alert = Alert { level: stream[end - 2], description: stream[end - 1] };
                events.push(RecordEvent::Alert { offset, alert });
            } else if content_type == ALERT && length > 2 || (content_type, length) == (APPLICATION_DATA, 19)
            {
                events.push(RecordEvent::EncryptedAlertLikely { offset, content_type, length });
            }
            at = end;
        }
        events
    }

    fn offset_of(event: RecordEvent) -> i64 {
        match event {
            RecordEvent::Alert { offset, .. }
            | RecordEvent::EncryptedAlertLikely { offset, .. }
            | RecordEvent::NotTls { offset, .. }
            | RecordEvent::Record { offset, .. } => offset,
        }
    }

    fn is_resynced(event: RecordEvent) -> bool {
        matches!(event, RecordEvent::Record { resynced: true, .. })
    }

    fn data(length: usize) -> Vec<u8> {
        make::record(APPLICATION_DATA, 0x0303, &vec![0xab; length])
    }

    #[test]
    fn the_state_is_small() {
        assert!(size_of::<RecordWalker>() <= 48);
    }

    #[test]
    fn alerts_are_told_apart() {
        let stream = [make::alert(1, 0), make::record(ALERT, 0x0303, &[9; 26]), data(19), data(20)].concat();
        let events = walk(&mut RecordWalker::new(0), &[(0, &stream)]);
        assert_eq!(events, naive(&stream));
        assert_eq!(events[1], RecordEvent::Alert { offset: 0, alert: Alert { level: 1, description: 0 } });
        assert_eq!(events[3], RecordEvent::EncryptedAlertLikely { offset: 7, content_type: 21, length: 26 });
        assert_eq!(events.len(), 7);
    }

    #[test]
    fn a_walker_waits_for_what_is_sent_again() {
        let (a, b, c) = (data(100), data(200), data(300));
        let stream = [a, b, c].concat();
        let (s, hole) = (&stream[..], 105..310);
        let mut walker = RecordWalker::new(0);
        let segments = [(0, &s[..105]), (310, &s[310..]), (105, &s[hole]), (310, &s[310..])];
        assert_eq!(walk(&mut walker, &segments), naive(&stream));
        assert_eq!(walker.next_header(), Some(615));
    }

    #[test]
    fn what_went_by_is_given_up() {
        // The third record comes while the second is missing; when that comes, the third is gone.
        let stream = [data(100), data(200), data(300), data(400)].concat();
        let s = &stream[..];
        let mut walker = RecordWalker::new(0);
        let events =
            walk(&mut walker, &[(0, &s[..105]), (310, &s[310..615]), (105, &s[105..310]), (615, &s[615..])]);
        let offsets: Vec<_> = events.iter().map(|&e| (offset_of(e), is_resynced(e))).collect();
        assert_eq!(offsets, [(0, false), (105, false), (615, true)]);
    }

    #[test]
    fn a_hole_is_given_up_in_time() {
        let mut walker = RecordWalker::new(0);
        let one = data(1000);
        let mut events = Vec::new();
        for n in 1..100 {
            walker.feed(n * 1005, &one, &mut |e| events.push(e));
        }
        assert!(is_resynced(events[0]));
        assert!((PATIENCE - 1005..PATIENCE + 1005).contains(&offset_of(events[0])));
        assert_eq!(events.iter().filter(|&&e| is_resynced(e)).count(), 1);
    }

    #[test]
    fn an_acknowledged_hole_is_given_up_at_once() {
        let (one, two) = (data(100), data(100));
        let mut walker = RecordWalker::new(0);
        assert_eq!(walk(&mut walker, &[(105, &one)]), []);
        walker.acknowledged(210);
        let events = walk(&mut walker, &[(210, &two)]);
        assert!(events.len() == 1 && is_resynced(events[0]));
    }

    #[test]
    fn what_a_snap_length_cut_is_given_up_at_once() {
        // Two records in one segment, of which the second header is cut off; the next segment starts a third.
        let stream = [data(300), data(300), data(100)].concat();
        let mut walker = RecordWalker::new(0);
        let mut events = Vec::new();
        walker.feed_cut(0, &stream[..200], 610, &mut |e| events.push(e));
        walker.feed_cut(610, &stream[610..], 105, &mut |e| events.push(e));
        let offsets: Vec<_> = events.iter().map(|&e| (offset_of(e), is_resynced(e))).collect();
        assert_eq!(offsets, [(0, false), (610, true)]);
    }

    #[test]
    fn a_foreign_byte_is_told_once() {
        let stream = [data(100), b"HTTP/1.1 403 Forbidden\r\n\r\n".to_vec()].concat();
        let mut walker = RecordWalker::new(0);
        let end = i64::try_from(stream.len()).unwrap();
        let events = walk(&mut walker, &[(0, &stream), (0, &stream), (end, b"and more")]);
        assert_eq!(events[1..], [RecordEvent::NotTls { offset: 105, byte: b'H' }]);
        assert_eq!(walker.next_header(), None);
        // The true record that was to be there, sent again, puts it back in its place.
        let events = walk(&mut walker, &[(105, &data(50))]);
        assert!(is_resynced(events[0]) && offset_of(events[0]) == 105);
    }

    #[test]
    fn a_stream_without_a_start_begins_anywhere() {
        let one = data(100);
        let mut walker = RecordWalker::unsynced();
        let events = walk(&mut walker, &[(-7, &[0xab; 50]), (1000, &one), (1105, &one)]);
        let offsets: Vec<_> = events.iter().map(|&e| (offset_of(e), is_resynced(e))).collect();
        assert_eq!(offsets, [(1000, true), (1105, false)]);
    }

    #[test]
    fn the_ends_of_the_number_line_are_survived() {
        let one = data(100);
        for at in [i64::MIN, i64::MIN + 1, -3, i64::MAX - 110, i64::MAX - 105, i64::MAX - 3, i64::MAX] {
            for start in [i64::MIN, 0, i64::MAX] {
                let mut walker = RecordWalker::new(start);
                walk(&mut walker, &[(at, &one), (at, &one), (i64::MAX - 200, &one)]);
                walker.acknowledged(at);
                walk(&mut walker, &[(at, &one)]);
            }
            walk(&mut RecordWalker::unsynced(), &[(at, &one), (at, &one)]);
        }
    }

    fn any_stream() -> impl Strategy<Value = Vec<u8>> {
        let record = prop_oneof![
            4 => (0_usize..2000).prop_map(data),
            1 => Just(data(19)),
            1 => Just(make::alert(2, 40)),
            1 => (3_usize..60).prop_map(|n| make::record(ALERT, 0x0303, &vec![0xcd; n])),
            1 => Just(make::record(CHANGE_CIPHER_SPEC, 0x0303, &[1])),
            1 => (0_usize..300).prop_map(|n| make::record(22, 0x0301, &vec![0xef; n])),
        ];
        (prop::collection::vec(record, 1..12), any::<bool>()).prop_map(|(records, foreign)| {
            let mut stream = records.concat();
            if foreign {
                stream.extend(b"GET / HTTP/1.1");
            }
            stream
        })
    }

    /// Where to cut a stream, as segments in order.
    fn cut(stream: &[u8], at: &[prop::sample::Index]) -> Vec<(usize, usize)> {
        let mut cuts: Vec<usize> = at.iter().map(|i| i.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        cuts.windows(2).map(|w| (w[0], w[1])).collect()
    }

    fn segment(stream: &[u8], (from, to): (usize, usize)) -> (i64, &[u8]) {
        (i64::try_from(from).unwrap(), &stream[from..to])
    }

    proptest! {
        /// In order, with old bytes sent again at any time and segments that overlap: as if it were one piece.
        #[test]
        fn any_segments_in_order_give_the_same(
            stream in any_stream(),
            at: Vec<prop::sample::Index>,
            again in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..8),
        ) {
            let mut walker = RecordWalker::new(0);
            let mut events = Vec::new();
            for (n, (from, to)) in cut(&stream, &at).into_iter().enumerate() {
                if let Some((a, b)) = again.get(n % 8) {
                    let start = a.index(to);
                    let end = start + b.index(to - start + 1);
                    if start <= from {
                        events.extend(walk(&mut walker, &[segment(&stream, (start, end))]));
                    }
                }
                events.extend(walk(&mut walker, &[segment(&stream, (from, to))]));
            }
            prop_assert_eq!(events, naive(&stream));
        }

        /// In any order: nothing is told that is not there, nothing twice, and a second pass in order ends in step.
        #[test]
        fn any_order_tells_nothing_false(
            stream in any_stream(),
            at in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let truth = naive(&stream);
            let pieces = cut(&stream, &at);
            let mut walker = RecordWalker::new(0);
            let mut events = Vec::new();
            for pick in order {
                events.extend(walk(&mut walker, &[segment(&stream, *pick.get(&pieces))]));
            }
            for &piece in &pieces {
                events.extend(walk(&mut walker, &[segment(&stream, piece)]));
            }
            let mut last = -1;
            for &event in &events {
                let unmarked = match event {
                    RecordEvent::Record { offset, content_type, version, length, .. } => {
                        prop_assert!(offset > last, "records are told in order, once");
                        last = offset;
                        RecordEvent::Record { offset, content_type, version, length, resynced: false }
                    }
                    other => other,
                };
                prop_assert!(truth.contains(&unmarked), "{:?} is not there", event);
            }
            let foreign = truth.iter().any(|e| matches!(e, RecordEvent::NotTls { .. }));
            prop_assert_eq!(walker.next_header().is_none(), foreign);
        }

        #[test]
        fn any_bytes_are_survived(segments in prop::collection::vec((-50_i64..200, any::<Vec<u8>>()), 0..20)) {
            let mut walker = RecordWalker::new(0);
            for (offset, payload) in &segments {
                walker.feed(*offset, payload, &mut |_| {});
            }
        }
    }
}
