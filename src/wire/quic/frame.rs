//! The frames that Initial packets may carry (RFC 9000 §12.4 and §19).

use super::super::reader::Reader;

/// A frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// PING.
    Ping,
    /// ACK, with ECN counts or without.
    Ack {
        /// The highest packet number that it acknowledges.
        largest: u64,
    },
    /// CRYPTO: bytes of the TLS handshake.
    Crypto {
        /// Where in the handshake they lie.
        offset: u64,
        /// The bytes.
        data: &'a [u8],
    },
    /// `CONNECTION_CLOSE`.
    Close {
        /// The error code (RFC 9000 §20); 0x100 and a TLS alert for what TLS found wrong.
        code: u64,
    },
    /// A frame that Initial packets may not carry, or one that is damaged: the end of what can be read.
    Other,
}

/// The frames of an opened packet, PADDING left out.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: Reader<'a>,
}

impl<'a> Frames<'a> {
    /// The frames in the payload of a packet.
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { rest: Reader::new(payload) }
    }

    fn read(r: &mut Reader<'a>, kind: u64) -> Option<Frame<'a>> {
        Some(match kind {
            1 => Frame::Ping,
            2 | 3 => {
                let largest = r.varint()?;
                let (_delay, ranges, _first) = (r.varint()?, r.varint()?, r.varint()?);
                for _ in 0..ranges {
                    let (_gap, _len) = (r.varint()?, r.varint()?); // ends with the payload
                }
                if kind == 3 {
                    let _ecn = (r.varint()?, r.varint()?, r.varint()?);
                }
                Frame::Ack { largest }
            }
            6 => {
                let (offset, len) = (r.varint()?, r.varint()?);
                Frame::Crypto { offset, data: r.take(usize::try_from(len).ok()?)? }
            }
            0x1c | 0x1d => {
                let code = r.varint()?;
                if kind == 0x1c {
                    r.varint()?; // the type of the frame that was wrong
                }
                let reason = r.varint()?;
                r.take(usize::try_from(reason).ok()?)?;
                Frame::Close { code }
            }
            _ => return None,
        })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let Some(kind) = self.rest.varint() else {
                self.rest = Reader::new(&[]);
                return Some(Frame::Other);
            };
            if kind == 0 {
                continue; // PADDING
            }
            let frame = Self::read(&mut self.rest, kind);
            if frame.is_none() {
                self.rest = Reader::new(&[]);
            }
            return Some(frame.unwrap_or(Frame::Other));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::quic as make;
    use proptest::prelude::*;

    #[test]
    fn frames_of_an_initial() {
        let payload =
            [&[0, 0, 1][..], &make::ack(7), &make::crypto(5000, b"abc"), &[0], &make::close(0x128)].concat();
        let frames: Vec<Frame<'_>> = Frames::new(&payload).collect();
        assert_eq!(
            frames,
            [
                Frame::Ping,
                Frame::Ack { largest: 7 },
                Frame::Crypto { offset: 5000, data: b"abc" },
                Frame::Close { code: 0x128 }
            ]
        );
    }

    #[test]
    fn what_may_not_be_there_ends_the_walk() {
        let stream = [&[1][..], &[0x08, 0, 1, 2, 3]].concat();
        assert_eq!(Frames::new(&stream).collect::<Vec<_>>(), [Frame::Ping, Frame::Other]);
        // a CRYPTO frame that is longer than its packet, and ACK ranges without end
        for bad in
            [&[6, 0, 9, 1][..], &[2, 9, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 1, 1], &[0x40]]
        {
            assert_eq!(Frames::new(bad).collect::<Vec<_>>(), [Frame::Other]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes: Vec<u8>) {
            prop_assert!(Frames::new(&bytes).count() <= bytes.len());
        }
    }
}
