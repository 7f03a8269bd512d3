//! The first bytes of one direction's stream, put in order: enough for a ClientHello, and to see two packets
//! disagree about the same bytes.
//!
//! The first copy of a byte wins; a later copy that differs is kept beside it as a [`Conflict`]. That is how a
//! packet which somebody injected shows when the real one follows (Weaver et al. 2009; QUANTUMINSERT).

use smallvec::SmallVec;

/// How much of a stream is kept while its hello is incomplete. A TLS record holds at most 16 KiB, and hellos of
/// two records exist; 32 KiB is twice the largest record.
pub const HELLO_LIMIT: usize = 32 * 1024;

/// How much is kept afterwards, to compare retransmitted bytes with.
pub const KEPT: usize = 2048;

/// The most pieces that may wait behind holes. A peer that makes more is hostile; what is beyond is not kept.
const MAX_PIECES: usize = 64;

/// The most conflicts recorded in one direction, and the most bytes of each.
const MAX_CONFLICTS: usize = 8;
const CONFLICT_BYTES: usize = 64;

/// Two packets that carry different bytes for the same place in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Where in the stream the first differing byte lies, from the first payload byte.
    pub offset: u32,
    /// The frame that brought the bytes first, as far as it is known: the one that was last stored before.
    pub first_frame: u64,
    /// The frame that brought other bytes.
    pub last_frame: u64,
    /// The bytes as first seen, from the first difference on.
    pub first: Vec<u8>,
    /// The bytes as last seen.
    pub last: Vec<u8>,
}

/// A stored piece: where it lies, and which frame brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: u32,
    end: u32,
    frame: u64,
}

impl Piece {
    fn new(start: usize, end: usize, frame: u64) -> Self {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX); // limits are far below 2³²
        Self { start: place(start), end: place(end), frame }
    }

    const fn start(&self) -> usize {
        self.start as usize
    }

    const fn end(&self) -> usize {
        self.end as usize
    }

    const fn len(&self) -> usize {
        self.end() - self.start()
    }
}

/// The head of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamHead {
    stored: Option<Box<Stored>>,
    /// Where the two copies of a byte differed; in most streams nowhere.
    #[allow(clippy::box_collection)]
    conflicts: Option<Box<Vec<Conflict>>>,
    /// How many contiguous bytes there were when they were given up; more are not taken then.
    given_up: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stored {
    /// The bytes of all pieces one behind the other, holes left out: two small segments far apart must not cost what
    /// lies between them.
    bytes: Vec<u8>,
    /// What is stored: sorted, disjoint; their lengths add up to that of `bytes`.
    pieces: SmallVec<[Piece; 3]>,
}

impl StreamHead {
    /// Stores the bytes that lie at `offset`, as far as they lie under `limit`.
    pub fn insert(&mut self, offset: usize, data: &[u8], frame: u64, limit: usize) {
        let room = limit.saturating_sub(offset);
        let data = &data[..data.len().min(room)];
        if data.is_empty() || self.given_up.is_some() {
            return;
        }
        let stored = self.stored.get_or_insert_default();
        stored.compare(offset, data, frame, &mut self.conflicts);
        stored.insert(offset, data, frame);
    }

    /// The bytes from the start of the stream up to the first hole.
    pub fn contiguous(&self) -> &[u8] {
        self.stored.as_ref().map_or(&[], |s| s.contiguous())
    }

    /// Where the two copies of a byte differed.
    pub fn conflicts(&self) -> &[Conflict] {
        self.conflicts.as_ref().map_or(&[], |c| c)
    }

    /// How many those are, or were.
    pub fn contiguous_len(&self) -> usize {
        self.given_up.map_or_else(|| self.contiguous().len(), |n| n as usize)
    }

    /// Gives back the memory of all that lies past [`KEPT`].
    pub fn shrink(&mut self) {
        if let Some(stored) = &mut self.stored {
            stored.shrink();
        }
    }

    /// Gives back all of the bytes; what they contradicted stays.
    pub(super) fn give_up(&mut self) {
        let len = self.contiguous_len();
        self.given_up = Some(u32::try_from(len).unwrap_or(u32::MAX));
        self.stored = None;
    }
}

impl Stored {
    /// Fills the holes between the stored pieces that the new data covers.
    fn insert(&mut self, offset: usize, data: &[u8], frame: u64) {
        let end = offset + data.len();
        let mut at = offset;
        let mut i = self.pieces.partition_point(|p| p.end() <= offset);
        let mut place: usize = self.pieces[..i].iter().map(Piece::len).sum();
        while at < end {
            let next = self.pieces.get(i).copied();
            let stop = next.map_or(end, |p| p.start().min(end));
            if at < stop {
                if self.pieces.len() >= MAX_PIECES {
                    return;
                }
                self.make_room(stop - at);
                let new = &data[at - offset..stop - offset];
                if place == self.bytes.len() {
                    self.bytes.extend_from_slice(new);
                } else {
                    self.bytes.splice(place..place, new.iter().copied());
                }
                self.pieces.insert(i, Piece::new(at, stop, frame));
                place += stop - at;
                i += 1;
            }
            let Some(piece) = next else { break };
            at = piece.end();
            place += piece.len();
            i += 1;
        }
        self.join();
    }

    /// Makes room for `more` bytes: no more than [`KEPT`] as long as that is enough.
    fn make_room(&mut self, more: usize) {
        let (len, has) = (self.bytes.len(), self.bytes.capacity());
        if len + more > has && len + more <= KEPT {
            self.bytes.reserve_exact(more.max((has * 2).min(KEPT) - len));
        }
    }

    /// Records where `data` differs from what is stored already.
    #[allow(clippy::box_collection)]
    fn compare(&self, offset: usize, data: &[u8], frame: u64, conflicts: &mut Option<Box<Vec<Conflict>>>) {
        let end = offset + data.len();
        let mut place = 0;
        for piece in &self.pieces {
            let stored = &self.bytes[place..place + piece.len()];
            place += piece.len();
            if piece.start() >= end || piece.end() <= offset {
                continue;
            }
            let (from, to) = (piece.start().max(offset), piece.end().min(end));
            let old = &stored[from - piece.start()..to - piece.start()];
            let new = &data[from - offset..to - offset];
            let Some(differs) = old.iter().zip(new).position(|(a, b)| a != b) else { continue };
            let conflicts = conflicts.get_or_insert_default();
            if conflicts.len() < MAX_CONFLICTS {
                let take = |b: &[u8]| b[differs..].iter().copied().take(CONFLICT_BYTES).collect();
                conflicts.push(Conflict {
                    offset: u32::try_from(from + differs).unwrap_or(u32::MAX),
                    first_frame: piece.frame,
                    last_frame: frame,
                    first: take(old),
                    last: take(new),
                });
            }
        }
    }

    /// Joins pieces of one frame that touch; pieces of several frames stay apart, to know who brought what,
    /// until there are many.
    fn join(&mut self) {
        if self.pieces.len() > MAX_PIECES / 2 {
            self.pieces.dedup_by(|next, kept| {
                let touches = kept.end == next.start;
                if touches {
                    kept.end = next.end;
                }
                touches
            });
        }
    }

    fn contiguous(&self) -> &[u8] {
        let mut end = 0;
        for p in &self.pieces {
            if p.start() > end {
                break;
            }
            end = p.end();
        }
        &self.bytes[..end]
    }

    fn shrink(&mut self) {
        self.pieces.retain_mut(|p| {
            p.end = Piece::new(0, p.end().min(KEPT), 0).end;
            p.start < p.end
        });
        self.bytes.truncate(self.pieces.iter().map(Piece::len).sum());
        self.bytes.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn stored(head: &StreamHead) -> &Stored {
        head.stored.as_ref().unwrap()
    }

    #[test]
    fn what_is_given_up_is_remembered_by_its_length_alone() {
        let mut head = StreamHead::default();
        head.insert(0, b"hello", 1, KEPT);
        head.give_up();
        head.insert(0, b"other", 2, KEPT);
        assert_eq!((head.contiguous(), head.contiguous_len(), head.conflicts().len()), (&[][..], 5, 0));
    }

    #[test]
    fn a_second_opinion_about_the_same_bytes_is_kept() {
        let mut head = StreamHead::default();
        head.insert(0, b"HTTP/1.1 302 Found", 5, KEPT);
        head.insert(0, b"HTTP/1.1 200 OK\r\nServer", 8, KEPT);
        assert_eq!(head.contiguous(), b"HTTP/1.1 302 Founderver", "the first copy wins");
        assert_eq!(head.conflicts().len(), 1);
        let c = &head.conflicts()[0];
        assert_eq!((c.offset, c.first_frame, c.last_frame), (9, 5, 8));
        assert_eq!((&c.first[..], &c.last[..]), (&b"302 Found"[..], &b"200 OK\r\nS"[..]));
    }

    #[test]
    fn many_tiny_pieces_stay_bounded() {
        let mut head = StreamHead::default();
        for i in 0..20_000 {
            head.insert(i * 2, &[1], i as u64, HELLO_LIMIT);
        }
        assert!(stored(&head).pieces.len() <= MAX_PIECES && stored(&head).bytes.len() <= HELLO_LIMIT);
    }

    #[test]
    fn a_byte_far_ahead_costs_a_byte() {
        let mut head = StreamHead::default();
        head.insert(HELLO_LIMIT - 9, &[1], 1, HELLO_LIMIT);
        head.insert(0, &[2], 2, HELLO_LIMIT);
        assert!(stored(&head).bytes.capacity() <= 64, "{} bytes", stored(&head).bytes.capacity());
        assert_eq!(head.contiguous(), [2]);
    }

    proptest! {
        /// Against a map of offset to first byte that nobody could get wrong.
        #[test]
        fn keeps_the_first_copy_of_every_byte(pieces in prop::collection::vec((0usize..300, prop::collection::vec(any::<u8>(), 0..40)), 0..30)) {
            let mut head = StreamHead::default();
            let mut truth = BTreeMap::new();
            let mut conflict = false;
            for (frame, (offset, data)) in pieces.iter().enumerate() {
                head.insert(*offset, data, frame as u64, KEPT);
                for (i, b) in data.iter().enumerate() {
                    conflict |= truth.get(&(offset + i)).is_some_and(|old| old != b);
                    truth.entry(offset + i).or_insert(*b);
                }
            }
            let expected: Vec<u8> = (0..).map_while(|i| truth.get(&i).copied()).collect();
            prop_assert_eq!(head.contiguous(), expected);
            prop_assert_eq!(!head.conflicts().is_empty(), conflict);
            head.shrink();
            prop_assert!(head.stored.as_ref().is_none_or(|s| s.bytes.len() <= KEPT));
            let expected: Vec<u8> = (0..KEPT).map_while(|i| truth.get(&i).copied()).collect();
            prop_assert_eq!(head.contiguous(), expected);
        }
    }
}
