//! What the IP headers of one sender look like over time: TTL, identification, DF.
//!
//! A forged packet has to get all of them right to look like the sender's own. Kept in a fixed few bytes.

use super::Segment;

/// The TTL values of one sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TtlSeries {
    /// The values seen, in order of first sight; a fifth value takes the place of the rarest.
    seen: [u8; 4],
    /// How often each was.
    times: [u32; 4],
    len: u8,
}

impl TtlSeries {
    /// Takes so many packets, one behind the other.
    fn push(&mut self, ttl: u8, times: u32) {
        let len = usize::from(self.len);
        if let Some(i) = self.seen[..len].iter().position(|t| *t == ttl) {
            self.times[i] = self.times[i].saturating_add(times);
        } else if len < self.seen.len() {
            (self.seen[len], self.times[len]) = (ttl, times);
            self.len += 1;
        } else if let Some(rarest) = (0..len).min_by_key(|i| self.times[*i]) {
            (self.seen[rarest], self.times[rarest]) = (ttl, times);
        }
    }

    /// The values and their counts.
    pub fn values(&self) -> impl ExactSizeIterator<Item = (u8, u32)> {
        (0..usize::from(self.len)).map(|i| (self.seen[i], self.times[i]))
    }

    /// The most frequent value; the first seen of equals.
    pub fn usual(&self) -> Option<u8> {
        let most = self.values().map(|(_, n)| n).max()?;
        self.values().find(|(_, n)| *n == most).map(|(t, _)| t)
    }

    /// How often `ttl` was seen.
    pub fn count(&self, ttl: u8) -> u32 {
        self.values().find(|(t, _)| *t == ttl).map_or(0, |(_, n)| n)
    }

    /// How many packets were seen, as far as they are still remembered.
    pub fn total(&self) -> u32 {
        self.values().fold(0, |sum, (_, n)| sum.saturating_add(n))
    }

    /// The distance of `ttl` to the nearest value seen.
    pub fn distance(&self, ttl: u8) -> Option<u8> {
        self.values().map(|(t, _)| t.abs_diff(ttl)).min()
    }
}

/// How a sender numbers its packets (IPv4 identification).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpIdHabit {
    /// Too few packets to tell.
    Unknown,
    /// Always 0, as with DF set (RFC 6864 allows it).
    Zero,
    /// A counter: small steps forward.
    Counter,
    /// One value for all.
    Constant,
    /// Neither.
    Random,
}

/// The IPv4 identifications of one sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpIdSeries {
    /// The last identification that was not 0.
    pub last: Option<u16>,
    zero: u32,
    near: u32,
    same: u32,
    far: u32,
}

/// The largest step that still counts as a counter's. Weaver et al. 2009 see benign senders step by 1 mostly; a
/// host-wide counter takes larger steps between two packets of one connection, the more so the busier it is.
pub const COUNTER_STEP: u16 = 64;

impl IpIdSeries {
    pub(super) fn push(&mut self, id: Option<u16>) {
        match (id, self.last) {
            (None, _) => {}
            (Some(0), _) => self.zero = self.zero.saturating_add(1),
            (Some(id), last) => {
                let count = match last.map(|l| id.wrapping_sub(l)) {
                    None => None,
                    Some(0) => Some(&mut self.same),
                    Some(1..=COUNTER_STEP) => Some(&mut self.near),
                    Some(_) => Some(&mut self.far),
                };
                if let Some(n) = count {
                    *n = n.saturating_add(1);
                }
                self.last = Some(id);
            }
        }
    }

    /// How the sender numbers its packets.
    pub fn habit(&self) -> IpIdHabit {
        // three counts of 32 bits, so their sums and multiples need more
        let [near, same, far] = [self.near, self.same, self.far].map(u64::from);
        let steps = near + same + far;
        if steps == 0 {
            return if self.last.is_none() && self.zero >= 2 { IpIdHabit::Zero } else { IpIdHabit::Unknown };
        }
        if near >= 2 && near * 5 >= steps * 4 {
            IpIdHabit::Counter
        } else if same >= 2 && same == steps {
            IpIdHabit::Constant
        } else if far >= 2 {
            IpIdHabit::Random
        } else {
            IpIdHabit::Unknown
        }
    }

    /// How far `id` lies after the last identification, forward.
    pub fn step_to(&self, id: u16) -> Option<u16> {
        self.last.map(|last| id.wrapping_sub(last))
    }

    /// Packets with identification 0.
    pub const fn zeros(&self) -> u32 {
        self.zero
    }
}

/// The IP header habits of one sender, learnt from its packets that are no resets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderProfile {
    /// TTL values.
    pub ttl: TtlSeries,
    /// Identification.
    pub ip_id: IpIdSeries,
    /// Packets with DF set.
    pub df_set: u32,
    /// Packets with DF clear.
    pub df_clear: u32,
    /// TTL and DF of its first SYN or SYN-ACK, where one was seen.
    pub handshake: Option<(u8, bool)>,
    /// TTL values of all that is neither SYN nor SYN-ACK.
    pub body_ttl: TtlSeries,
    /// How many of those had DF set.
    pub body_df_set: u32,
    /// Non-handshake packets with timestamps.
    pub with_timestamps: u32,
}

/// What a profile counts of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Header {
    ttl: u8,
    dont_fragment: bool,
    handshake: bool,
    timestamps: bool,
}

impl Header {
    #[inline]
    fn of(s: &Segment) -> Self {
        Self {
            ttl: s.ttl,
            dont_fragment: s.dont_fragment,
            handshake: s.flags.has(crate::wire::tcp::Flags::SYN),
            timestamps: s.timestamps.is_some(),
        }
    }
}

impl SenderProfile {
    /// Takes so many packets, one behind the other.
    fn push(&mut self, h: Header, times: u32) {
        let counted = |n: &mut u32, yes: bool| *n = n.saturating_add(if yes { times } else { 0 });
        self.ttl.push(h.ttl, times);
        counted(&mut self.df_set, h.dont_fragment);
        counted(&mut self.df_clear, !h.dont_fragment);
        if h.handshake {
            self.handshake = self.handshake.or(Some((h.ttl, h.dont_fragment)));
        } else {
            self.body_ttl.push(h.ttl, times);
            counted(&mut self.body_df_set, h.dont_fragment);
            counted(&mut self.with_timestamps, h.timestamps);
        }
    }

    /// Learns from a packet that the flow room left out: a reset that proved to be the sender's own.
    pub fn learn(&mut self, s: &Segment) {
        self.push(Header::of(s), 1);
        self.ip_id.push(s.ip_id);
    }

    /// How many packets the habits were learnt from.
    pub const fn packets(&self) -> u32 {
        self.df_set.saturating_add(self.df_clear)
    }
}

/// A profile in the making: nearly all packets of a sender have the same header, so they are counted before they are told apart.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Learning {
    profile: SenderProfile,
    /// The last header, and how many packets in a row had it that are not in the profile yet.
    last: Header,
    run: u32,
}

impl Learning {
    #[inline]
    pub(super) fn push(&mut self, s: &Segment) {
        self.profile.ip_id.push(s.ip_id);
        let header = Header::of(s);
        if header == self.last && self.run < u32::MAX {
            self.run += 1;
        } else {
            self.profile = self.profile();
            (self.last, self.run) = (header, 1);
        }
    }

    /// The profile as of now.
    pub(super) fn profile(&self) -> SenderProfile {
        let mut profile = self.profile;
        if self.run > 0 {
            profile.push(self.last, self.run);
        }
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::SEGMENT;
    use super::*;
    use crate::wire::tcp::Flags;
    use proptest::prelude::*;

    #[test]
    fn the_usual_ttl_is_the_most_frequent() {
        let mut s = TtlSeries::default();
        for ttl in [57, 52, 52, 61, 52, 9, 200] {
            s.push(ttl, 1);
        }
        assert_eq!(s.usual(), Some(52));
        assert_eq!(s.count(52), 3);
        assert_eq!(s.values().len(), 4, "a fifth value replaces a rare one");
        assert_eq!(s.distance(54), Some(2));
    }

    proptest! {
        /// Counting runs of equal headers comes to what counting packets does.
        #[test]
        fn learning_by_runs_is_learning(packets in prop::collection::vec((0u8..7, 0u8..8, 0u16..5), 0..60)) {
            let (mut by_packet, mut by_run) = (SenderProfile::default(), Learning::default());
            for (ttl, bits, id) in packets {
                let s = Segment {
                    ttl,
                    dont_fragment: bits & 1 != 0,
                    timestamps: (bits & 2 != 0).then_some((1, 1)),
                    flags: if bits == 4 { Flags::SYN } else { Flags::ACK },
                    ip_id: (id > 0).then_some(id),
                    ..SEGMENT
                };
                by_packet.learn(&s);
                by_run.push(&s);
                prop_assert_eq!(by_run.profile(), by_packet);
            }
        }
    }

    #[test]
    fn habits_of_numbering() {
        let habit = |ids: &[u16]| {
            let mut s = IpIdSeries::default();
            for id in ids {
                s.push(Some(*id));
            }
            s.habit()
        };
        assert_eq!(habit(&[0, 0, 0]), IpIdHabit::Zero);
        assert_eq!(habit(&[0, 7, 8, 10]), IpIdHabit::Counter);
        assert_eq!(habit(&[65_534, 65_535, 1, 2]), IpIdHabit::Counter, "it wraps, and skips 0");
        assert_eq!(habit(&[5, 5, 5]), IpIdHabit::Constant);
        assert_eq!(habit(&[5, 40_000, 17, 9_000]), IpIdHabit::Random);
        assert_eq!(habit(&[5]), IpIdHabit::Unknown);
        let long = IpIdSeries {
            last: Some(1),
            near: u32::MAX,
            same: u32::MAX,
            far: u32::MAX,
            ..IpIdSeries::default()
        };
        assert_eq!(long.habit(), IpIdHabit::Random, "counts of a connection that never ends");
    }
}
