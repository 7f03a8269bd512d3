//! The first handshake message of a stream, joined over the records that hold it (RFC 8446 §5.1).

use std::borrow::Cow;

use super::super::reader::Reader;
use super::NEVER;
use super::record::{HANDSHAKE, HEADER_LEN, MAX_CIPHERTEXT_TLS12, RecordHeader};

/// Length of a handshake message's header: type and 24-bit length.
pub(super) const MESSAGE_HEADER_LEN: usize = 4;

/// How many empty records are passed over. "Implementations MUST NOT send zero-length fragments of Handshake
/// types" (RFC 8446 §5.1); a limit keeps a stream of nothing else from being read again with each segment.
const MAX_EMPTY_RECORDS: usize = 32;

/// The first message, as far as it is there.
#[derive(Debug)]
pub(super) struct Message<'a> {
    /// The message after its header, at most as long as the header says. Borrowed when one record holds it.
    pub(super) body: Cow<'a, [u8]>,
    /// The length in its header.
    pub(super) length: usize,
    /// How many records were opened for it.
    pub(super) records: usize,
    /// How many more bytes of stream are needed at least: 0 when it is whole.
    pub(super) need: usize,
}

/// What [`first_message`] found.
pub(super) enum First<'a> {
    /// A message of the type asked for, whose header is there.
    Message(Message<'a>),
    /// Nothing speaks against it yet; at least so many more bytes are needed.
    Short(usize),
    /// Something else.
    Other,
}

/// Joins the first handshake message of `stream`, if its type is `kind`.
///
/// Time and memory are linear in the part of the stream that the message takes.
pub(super) fn first_message(stream: &[u8], kind: u8) -> First<'_> {
    let mut stream = Reader::new(stream);
    let mut bytes: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    let (mut records, mut empty) = (0, 0);
    loop {
        let missing = missing_from(&bytes);
        if missing == 0 {
            return done(bytes, records, 0);
        }
        let mut ahead = stream;
        let there = ahead.sub_lax(HEADER_LEN).0.rest();
        if !starts_record(there) || empty > MAX_EMPTY_RECORDS {
            // After a first fragment another kind of record, or none, ends the message for good.
            return if records == 0 { First::Other } else { done(bytes, records, NEVER) };
        }
        let Some(header) = RecordHeader::parse(there) else {
            let need = missing + headers_for(missing) - there.len();
            return done(bytes, records, need);
        };
        stream = ahead;
        let length = usize::from(header.length);
        let (mut body, whole) = stream.sub_lax(length);
        let body = body.rest();
        records += 1;
        empty += usize::from(length == 0);
        if bytes.is_empty() {
            bytes = Cow::Borrowed(body);
        } else {
            // Never more than the message needs: its length bounds what is copied.
            let wanted = body.len().min(missing_at_most(&bytes));
            bytes.to_mut().extend_from_slice(&body[..wanted]);
        }
        if bytes.first().is_some_and(|&t| t != kind) {
            return First::Other;
        }
        if !whole {
            let missing = missing_from(&bytes);
            let later = missing.saturating_sub(length - body.len());
            return done(bytes, records, if missing == 0 { 0 } else { missing + headers_for(later) });
        }
    }
}

/// A message that stands by itself, without records, as QUIC carries it (RFC 9001 §4.1.3).
pub(super) fn bare_message(bytes: &[u8], kind: u8) -> First<'_> {
    if bytes.first().is_some_and(|&t| t != kind) {
        return First::Other;
    }
    let missing = missing_from(bytes);
    done(Cow::Borrowed(bytes), 0, missing)
}

/// The result for `bytes` of message, header included.
fn done(bytes: Cow<'_, [u8]>, records: usize, need: usize) -> First<'_> {
    let Some(length) = message_length(&bytes) else {
        return if need == NEVER { First::Other } else { First::Short(need) };
    };
    let end = bytes.len().min(MESSAGE_HEADER_LEN + length);
    let body = match bytes {
        Cow::Borrowed(b) => Cow::Borrowed(&b[MESSAGE_HEADER_LEN..end]),
        Cow::Owned(mut b) => {
            b.truncate(end);
            b.drain(..MESSAGE_HEADER_LEN);
            Cow::Owned(b)
        }
    };
    First::Message(Message { body, length, records, need })
}

/// The length in the message's header, once that is there.
fn message_length(bytes: &[u8]) -> Option<usize> {
    let mut r = Reader::new(bytes);
    r.u8()?;
    r.u24().map(|n| n as usize)
}

/// How many bytes of message are missing at least.
fn missing_from(bytes: &[u8]) -> usize {
    let wanted = MESSAGE_HEADER_LEN + message_length(bytes).unwrap_or(0);
    wanted.saturating_sub(bytes.len())
}

/// How many bytes of message are missing at most.
fn missing_at_most(bytes: &[u8]) -> usize {
    message_length(bytes).map_or(usize::MAX, |n| (MESSAGE_HEADER_LEN + n).saturating_sub(bytes.len()))
}

/// Bytes of record header before `n` more bytes of message, at least.
fn headers_for(n: usize) -> usize {
    n.div_ceil(usize::from(MAX_CIPHERTEXT_TLS12)) * HEADER_LEN
}

/// Whether the up to five bytes that are there may start a handshake record.
fn starts_record(there: &[u8]) -> bool {
    match *there {
        [] => true,
        [t] => t == HANDSHAKE,
        [t, major] => t == HANDSHAKE && major == 3,
        [t, major, minor] | [t, major, minor, _] => t == HANDSHAKE && major == 3 && minor <= 4,
        _ => RecordHeader::parse(there).is_some_and(|h| h.content_type == HANDSHAKE && h.is_possible()),
    }
}
