//! DNS messages (RFC 1035 §4): question and addresses, read laxly.
//!
//! Own code, as little is needed and it must be total: a compression pointer must point before the name that it is in,
//! so that no name loops; what is cut or damaged ends the walk, and what was read before stands.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::reader::Reader;
use crate::base::text::lossless;

/// The port of DNS over UDP and TCP.
pub const PORT: u16 = 53;

/// The longest name on the wire, length bytes and root included (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

/// The most answer records that are kept. Answers over UDP hold a few dozen at most.
pub const MAX_ANSWERS: usize = 32;

/// The most answer records that are walked.
const MAX_WALKED: u16 = 512;

/// Record types that are told apart (IANA).
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// Another name of the same thing.
    pub const CNAME: u16 = 5;
    /// An IPv6 address (RFC 3596).
    pub const AAAA: u16 = 28;
    /// Service binding for the web, which may carry ECH keys (RFC 9460).
    pub const HTTPS: u16 = 65;
}

/// Response codes that are told apart (RFC 1035 §4.1.1).
pub mod rcode {
    /// No error.
    pub const NOERROR: u8 = 0;
    /// The name does not exist.
    pub const NXDOMAIN: u8 = 3;
}

/// The flags word of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// QR: a response.
    pub const fn is_response(self) -> bool {
        self.0 & 0x8000 != 0
    }

    /// The kind of query; 0 is the usual one.
    pub const fn opcode(self) -> u16 {
        self.0 >> 11 & 15
    }

    /// AA: the answer is authoritative.
    pub const fn authoritative(self) -> bool {
        self.0 & 0x0400 != 0
    }

    /// TC: the answer was cut to fit a datagram.
    pub const fn truncated(self) -> bool {
        self.0 & 0x0200 != 0
    }

    /// RA: the resolver offers recursion.
    pub const fn recursion_available(self) -> bool {
        self.0 & 0x0080 != 0
    }

    /// RCODE, without what EDNS adds to it.
    pub const fn rcode(self) -> u8 {
        self.0.to_be_bytes()[1] & 15
    }
}

/// The question of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name as sent, without its final dot; what is not text as `\xNN`, a dot within a label as `\.`. Untrusted.
    pub name: String,
    /// Its type.
    pub kind: u16,
}

/// An answer record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Seconds for which it may be kept.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// What an answer record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(String),
    /// A record of another type.
    Other(u16),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Identifier, which an answer copies from its query.
    pub id: u16,
    /// Flags.
    pub flags: Flags,
    /// The first question, where it could be read.
    pub question: Option<Question>,
    /// How many answer records the header announces.
    pub announced: u16,
    /// Answer records, the first [`MAX_ANSWERS`] of them.
    pub answers: Vec<Answer>,
    /// Whether question and answers were there and could be read to their end.
    pub complete: bool,
}

/// Reads a message; `None` where not even its header is there, or the header is no DNS header: more than one question,
/// or a query with answers.
pub fn message(bytes: &[u8]) -> Option<Message> {
    let mut r = Reader::new(bytes);
    let (id, flags) = (r.u16()?, Flags(r.u16()?));
    let (questions, announced) = (r.u16()?, r.u16()?);
    let (_authorities, _additional) = (r.u16()?, r.u16()?);
    if questions > 1 || !flags.is_response() && (announced > 0 || questions == 0) {
        return None;
    }
    let mut message = Message { id, flags, question: None, announced, answers: Vec::new(), complete: false };
    if questions == 1 {
        message.question = question(bytes, &mut r);
        if message.question.is_none() {
            return Some(message);
        }
    }
    message.complete = announced <= MAX_WALKED;
    for _ in 0..announced.min(MAX_WALKED) {
        let Some(answer) = answer(bytes, &mut r) else {
            message.complete = false;
            break;
        };
        if message.answers.len() < MAX_ANSWERS {
            message.answers.push(answer);
        }
    }
    Some(message)
}

fn question<'a>(message: &'a [u8], r: &mut Reader<'a>) -> Option<Question> {
    let name = name(message, r)?;
    let kind = r.u16()?;
    r.u16()?; // class
    Some(Question { name, kind })
}

fn answer<'a>(message: &'a [u8], r: &mut Reader<'a>) -> Option<Answer> {
    skip_name(r)?;
    let (kind, _class, ttl) = (r.u16()?, r.u16()?, r.u32()?);
    let len = r.u16()?;
    let mut body = r.sub(usize::from(len))?;
    let data = match (kind, len) {
        (kind::A, 4) => Data::Address(Ipv4Addr::from(body.array::<4>()?).into()),
        (kind::AAAA, 16) => Data::Address(Ipv6Addr::from(body.array::<16>()?).into()),
        (kind::CNAME, _) => name(message, &mut body).map_or(Data::Other(kind), Data::Alias),
        _ => Data::Other(kind),
    };
    Some(Answer { ttl, data })
}

/// The name that `r` stands at, which is in `message`; `r` is left behind it.
fn name<'a>(message: &'a [u8], r: &mut Reader<'a>) -> Option<String> {
    let mut out = String::new();
    let mut len = 1; // the root
    // how much of the message lies before what is read now: a pointer must go below it
    let mut before = message.len().checked_sub(r.remaining())?;
    let mut jumped: Option<Reader<'_>> = None;
    loop {
        let from = jumped.as_mut().unwrap_or(r);
        let first = from.u8()?;
        match first {
            0 => return Some(out),
            1..0x40 => {
                let label = from.take(usize::from(first))?;
                len += 1 + label.len();
                if len > MAX_NAME {
                    return None;
                }
                if !out.is_empty() {
                    out.push('.');
                }
                push_label(&mut out, label);
            }
            0xc0.. => {
                let at = usize::from(first & 0x3f) << 8 | usize::from(from.u8()?);
                if at >= before {
                    return None; // forwards or in a circle
                }
                before = at;
                jumped = Some(Reader::new(message.get(at..)?));
            }
            _ => return None, // reserved
        }
    }
}

fn push_label(out: &mut String, label: &[u8]) {
    let text = lossless(label);
    if text.contains('.') {
        out.push_str(&text.replace('.', "\\."));
    } else {
        out.push_str(&text);
    }
}

/// Steps over a name, compressed or not.
fn skip_name(r: &mut Reader<'_>) -> Option<()> {
    loop {
        match r.u8()? {
            0 => return Some(()),
            n @ 1..0x40 => {
                r.take(usize::from(n))?;
            }
            0xc0.. => return r.u8().map(|_| ()),
            _ => return None,
        }
    }
}

/// The messages of a TCP segment that begins with one: each with two bytes of length before it (RFC 1035 §4.2.2). The
/// last may be cut.
pub fn framed(segment: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut r = Reader::new(segment);
    std::iter::from_fn(move || {
        let len = r.u16()?;
        Some(r.sub_lax(usize::from(len)).0.rest())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::dns as make;
    use proptest::prelude::*;

    #[test]
    fn a_query_and_its_answer() {
        let query = message(&make::query(0x1234, "x.COM", kind::A)).unwrap();
        assert_eq!((query.id, query.flags.is_response(), query.complete), (0x1234, false, true));
        assert_eq!(query.question, Some(Question { name: "x.COM".into(), kind: kind::A }));
        let records = [
            make::alias("www.x.com", 60),
            make::address([192, 0, 2, 7].into(), 300),
            make::address("2001:db8::7".parse().unwrap(), 300),
        ];
        let answer = message(&make::answer(0x1234, "x.com", kind::A, 0x8180, &records)).unwrap();
        assert!(answer.flags.is_response() && answer.flags.recursion_available() && answer.complete);
        assert!(!answer.flags.authoritative() && !answer.flags.truncated());
        let data: Vec<&Data> = answer.answers.iter().map(|a| &a.data).collect();
        assert_eq!(data[0], &Data::Alias("www.x.com".into()));
        assert_eq!(data[1], &Data::Address([192, 0, 2, 7].into()));
        assert_eq!((answer.answers.len(), answer.answers[1].ttl, answer.flags.rcode()), (3, 300, 0));
    }

    #[test]
    fn a_name_that_does_not_exist() {
        let m = message(&make::answer(1, "no.example", kind::AAAA, 0x8183, &[])).unwrap();
        assert_eq!((m.flags.rcode(), m.answers.len(), m.complete), (rcode::NXDOMAIN, 0, true));
    }

    #[test]
    fn every_shorter_length_is_read_up_to_there() {
        let records = [make::address([192, 0, 2, 7].into(), 300), make::address([192, 0, 2, 8].into(), 300)];
        let whole = make::answer(7, "a.example", kind::A, 0x8180, &records);
        for len in 0..whole.len() {
            match message(&whole[..len]) {
                None => assert!(len < 12),
                Some(m) => assert!(!m.complete && m.answers.len() < 2, "{len}"),
            }
        }
    }

    /// Pointers to themselves, forwards, and a chain.
    #[test]
    fn no_name_loops() {
        let header = [0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0];
        for (tail, name) in [
            (&[0xc0, 12, 0, 1, 0, 1][..], None),
            (&[0xc0, 14, 0xc0, 12, 0, 1, 0, 1], None),
            (&[1, b'a', 0xc0, 12, 0, 1, 0, 1], None),
            (&[0x80, 0, 0, 1, 0, 1], None),
            (&[1, b'.', 1, 0xff, 0, 0, 1, 0, 1], Some("\\..\\xff")),
        ] {
            let m = message(&[&header[..], tail].concat()).unwrap();
            assert_eq!(m.question.map(|q| q.name).as_deref(), name);
        }
    }

    #[test]
    fn what_is_no_dns() {
        assert_eq!(message(&[0; 12]), None, "a query without a question");
        assert_eq!(message(&[0xff; 40]), None);
        assert_eq!(framed(&[0, 2, 1, 2, 0, 9, 3]).collect::<Vec<_>>(), [&[1, 2][..], &[3]]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(mut bytes: Vec<u8>, announced: u16) {
            if bytes.len() >= 12 {
                bytes[2] |= 0x80;
                bytes[4..6].copy_from_slice(&[0, 1]);
                bytes[6..8].copy_from_slice(&announced.to_be_bytes());
            }
            if let Some(m) = message(&bytes) {
                prop_assert!(m.answers.len() <= MAX_ANSWERS);
                prop_assert!(m.question.is_none_or(|q| q.name.len() <= MAX_NAME * 4));
            }
        }

        #[test]
        fn names_are_read_as_they_were_written(labels in prop::collection::vec("[a-zA-Z0-9_-]{1,20}", 1..8)) {
            let name = labels.join(".");
            let m = message(&make::query(1, &name, kind::HTTPS)).unwrap();
            prop_assert_eq!(m.question.unwrap().name, name);
        }
    }
}
