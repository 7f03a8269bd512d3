//! DNS messages made to order.

use std::net::IpAddr;

use crate::wire::dns::kind;

/// A query with RD set.
pub fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    header(id, 0x0100, name, kind, 0)
}

/// An answer with these flags and answer records.
pub fn answer(id: u16, name: &str, kind: u16, flags: u16, records: &[Vec<u8>]) -> Vec<u8> {
    [header(id, flags, name, kind, records.len()), records.concat()].concat()
}

/// An A or AAAA record for the name of the question.
pub fn address(addr: IpAddr, ttl: u32) -> Vec<u8> {
    match addr {
        IpAddr::V4(a) => record(kind::A, ttl, &a.octets()),
        IpAddr::V6(a) => record(kind::AAAA, ttl, &a.octets()),
    }
}

/// A CNAME record for the name of the question.
pub fn alias(target: &str, ttl: u32) -> Vec<u8> {
    record(kind::CNAME, ttl, &wire_name(target))
}

/// A message as TCP carries it.
///
/// # Panics
/// Panics for a message of 64 KiB or more.
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).expect("fits its length").to_be_bytes()[..], message].concat()
}

fn record(kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).expect("fits its length");
    let (kind, ttl, len) = (kind.to_be_bytes(), ttl.to_be_bytes(), len.to_be_bytes());
    [&[0xc0, 12][..], &kind, &[0, 1], &ttl, &len, data].concat()
}

fn header(id: u16, flags: u16, name: &str, kind: u16, answers: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let answers = u16::try_from(answers).expect("fits its count");
    for n in [id, flags, 1, answers, 0, 0] {
        out.extend(n.to_be_bytes());
    }
    out.extend(wire_name(name));
    out.extend(kind.to_be_bytes());
    out.extend([0, 1]);
    out
}

fn wire_name(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|l| !l.is_empty()) {
        out.push(u8::try_from(label.len()).expect("a label has at most 63 bytes"));
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}
