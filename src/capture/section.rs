//! What a pcapng section says of itself: its header, its interfaces and their statistics.

use super::facts::{ByteOrder, Facts, InterfaceFacts, kept};
use super::options::{COMMENT, Options};
use super::{LinkType, Resolution};

/// The most interfaces of one section. No capture comes near; it bounds what a hostile one makes us remember.
pub(crate) const MOST_INTERFACES: usize = 65_536;

/// An interface, as far as its packets need it.
pub(crate) struct Interface {
    pub(crate) link_type: LinkType,
    /// Most bytes captured of each frame; 0 means "no limit".
    pub(crate) snaplen: u32,
    pub(crate) resolution: Resolution,
    pub(crate) offset_secs: i64,
    /// Index among all interfaces of the file.
    pub(crate) index: u32,
    /// The latest statistics, in the order of [`Totals`].
    counters: [u64; 3],
}

/// Sums over interfaces of `isb_ifrecv`, `isb_ifdrop` and `isb_osdrop`; `None` where no block had one.
#[derive(Default)]
pub(crate) struct Totals([Option<u128>; 3]);

/// Reads the options of a Section Header Block.
pub(crate) fn header_options(facts: &mut Facts, options: &[u8], order: ByteOrder) {
    for (code, value) in Options::new(options, order) {
        let slot = match code {
            COMMENT => {
                facts.comment(None, value);
                continue;
            }
            2 => &mut facts.hardware,
            3 => &mut facts.os,
            4 => &mut facts.application,
            _ => continue,
        };
        slot.get_or_insert_with(|| kept(value));
    }
}

/// Reads an Interface Description Block from its body, which holds at least the 8 bytes before the options.
pub(crate) fn interface(facts: &mut Facts, body: &[u8], order: ByteOrder) -> Interface {
    let mut described = InterfaceFacts {
        link_type: LinkType(order.u16(body, 0)),
        snaplen: order.u32(body, 4),
        fcs_len: None,
        name: None,
        description: None,
        filter: None,
        os: None,
        resolution: Resolution::MICROSECONDS,
        offset_secs: 0,
    };
    for (code, value) in Options::new(body.get(8..).unwrap_or_default(), order) {
        match (code, value) {
            (COMMENT, _) => facts.comment(None, value),
            (2, _) => described.name = Some(kept(value)),
            (3, _) => described.description = Some(kept(value)),
            (9, [octet, ..]) => described.resolution = Resolution::from_tsresol(*octet),
            // "The first octet of the Option Data keeps a code of the filter used (e.g. if this is a libpcap string,
            // or BPF bytecode […])": 0 is the string.
            (11, [0, text @ ..]) => described.filter = Some(kept(text)),
            (12, _) => described.os = Some(kept(value)),
            // "[…] the length of the Frame Check Sequence (in bits)"; writers give bytes as well, and no check
            // sequence has fewer than 8 bits or more than 7 bytes.
            (13, [length, ..]) => described.fcs_len = Some(if *length < 8 { *length } else { *length / 8 }),
            (14, [_, _, _, _, _, _, _, _, ..]) => {
                described.offset_secs = order.u64(value, 0).cast_signed();
            }
            _ => {}
        }
    }
    let interface = Interface {
        link_type: described.link_type,
        snaplen: described.snaplen,
        resolution: described.resolution,
        offset_secs: described.offset_secs,
        index: u32::try_from(facts.interface_count).unwrap_or(u32::MAX),
        counters: [0; 3],
    };
    facts.interface(described);
    interface
}

/// Reads an Interface Statistics Block from its body, which holds at least the 12 bytes before the options.
///
/// The counts run on, so the latest block of an interface replaces the ones before.
pub(crate) fn statistics(
    facts: &mut Facts,
    totals: &mut Totals,
    interfaces: &mut [Interface],
    body: &[u8],
    order: ByteOrder,
) {
    let interface = usize::try_from(order.u32(body, 0)).ok().and_then(|id| interfaces.get_mut(id));
    let mut counters = interface.map(|i| &mut i.counters);
    for (code, value) in Options::new(body.get(12..).unwrap_or_default(), order) {
        let which = match code {
            COMMENT => {
                facts.comment(None, value);
                continue;
            }
            4 => 0,
            5 => 1,
            7 => 2,
            _ => continue,
        };
        if let Some(counters) = counters.as_deref_mut()
            && value.len() >= 8
        {
            let latest = order.u64(value, 0);
            let sum = totals.0[which].get_or_insert(0);
            // What is taken away was added before, and fewer than 2⁶⁴ numbers below 2⁶⁴ are added at all.
            *sum = *sum - u128::from(counters[which]) + u128::from(latest);
            counters[which] = latest;
        }
    }
    let [received, by_interface, by_os] =
        totals.0.map(|sum| sum.map(|sum| u64::try_from(sum).unwrap_or(u64::MAX)));
    facts.received = received;
    facts.dropped.by_interface = by_interface;
    facts.dropped.by_os = by_os;
}
