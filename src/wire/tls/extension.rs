//! The extension block of a hello, and the bodies of the extensions that are read (RFC 8446 §4.2).

use super::super::reader::Reader;
use super::client_hello::{Numbers, Protocols};

/// One extension, as far as it is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension<'a> {
    /// `ExtensionType`.
    pub(super) kind: u16,
    /// Its body, cut where the bytes end.
    pub(super) body: Reader<'a>,
}

/// Calls `each` with the extensions of `block` in wire order. Answers whether they fill it exactly.
///
/// Bodies are not looked into, so that an odd extension hides none that follows.
pub(super) fn walk<'a>(mut block: Reader<'a>, mut each: impl FnMut(Extension<'a>)) -> bool {
    while !block.is_empty() {
        let Some(kind) = block.u16() else { return false };
        // The type alone is worth knowing, even where the length is cut off.
        let (body, whole) = match block.u16() {
            Some(length) => block.sub_lax(usize::from(length)),
            None => (Reader::new(&[]), false),
        };
        each(Extension { kind, body });
        if !whole {
            return false;
        }
    }
    true
}

/// The first host name of a `server_name` extension (RFC 6066 §3), if all its bytes are there.
pub(super) fn host_name(mut body: Reader<'_>) -> Option<&[u8]> {
    const HOST_NAME: u8 = 0;
    let length = body.u16()?;
    let mut list = body.sub_lax(usize::from(length)).0;
    loop {
        // No other NameType was ever defined; all of them are taken to have a 16-bit length, as the RFC demands
        // of future ones.
        let kind = list.u8()?;
        let length = list.u16()?;
        let name = list.take(usize::from(length))?;
        if kind == HOST_NAME {
            return (!name.is_empty()).then_some(name);
        }
    }
}

/// The protocols of an `application_layer_protocol_negotiation` extension (RFC 7301 §3.1), at most `most`.
pub(super) fn protocols(mut body: Reader<'_>, most: usize) -> Protocols {
    let Some(length) = body.u16() else { return Protocols::new() };
    let mut list = body.sub_lax(usize::from(length)).0;
    let mut found = Protocols::new();
    while found.len() < most {
        let Some(length) = list.u8() else { break };
        let Some(protocol) = list.take(usize::from(length)) else { break };
        found.push(protocol.into());
    }
    found
}

/// The numbers of a list that has a 16-bit length before it, as far as they are there.
pub(super) fn list16(mut body: Reader<'_>) -> Numbers {
    let length = body.u16().unwrap_or(0);
    numbers(body.sub_lax(usize::from(length)).0)
}

/// The numbers of a list that has an 8-bit length before it, as far as they are there.
pub(super) fn list8(mut body: Reader<'_>) -> Numbers {
    let length = body.u8().unwrap_or(0);
    numbers(body.sub_lax(usize::from(length)).0)
}

/// The groups for which a client's `key_share` extension has a key (RFC 8446 §4.2.8).
pub(super) fn key_share_groups(mut body: Reader<'_>) -> Numbers {
    let length = body.u16().unwrap_or(0);
    let mut shares = body.sub_lax(usize::from(length)).0;
    let mut groups = Numbers::new();
    while let Some(group) = shares.u16() {
        groups.push(group);
        let Some(length) = shares.u16() else { break };
        if shares.take(usize::from(length)).is_none() {
            break;
        }
    }
    groups
}

/// All 16-bit numbers that are left.
pub(super) fn numbers(mut list: Reader<'_>) -> Numbers {
    list.rest().as_chunks::<2>().0.iter().map(|b| u16::from_be_bytes(*b)).collect()
}
