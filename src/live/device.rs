//! A network interface, by libpcap: opening it, packets without waiting, counters, the list of all.

use libpcap::{Active, Capture, ConnectionStatus, Device, Error};

use super::interfaces::{Failure, Interface, State, Wanted};
use super::tap::{Counters, Next, Taken, Tap};
use crate::base::Timestamp;
use crate::capture::LinkType;

/// The kernel's buffer: two seconds of a gigabit link with headers and hellos, and no burden for a laptop.
const KERNEL_BUFFER: i32 = 32 << 20;

/// How long the kernel may hold packets back to hand over many at once, in milliseconds.
const HOLD_BACK_MS: i32 = 50;

/// An open interface.
pub struct Opened {
    wanted: Wanted,
    capture: Capture<Active>,
    link_type: LinkType,
    /// libpcap's own counters, which are of 32 bits and wrap.
    last: [u32; 3],
    sums: Counters,
}

impl Opened {
    /// Opens it.
    ///
    /// # Errors
    /// Why that cannot be, and what mends it.
    pub fn open(wanted: Wanted) -> Result<Self, Failure> {
        let (capture, link_type) = open(&wanted)?;
        Ok(Self { wanted, capture, link_type, last: [0; 3], sums: Counters::default() })
    }
}

fn open(wanted: &Wanted) -> Result<(Capture<Active>, LinkType), Failure> {
    let says = |e: Error| Failure::of(&wanted.interface, &words(&e));
    let inactive = Capture::from_device(wanted.interface.as_str()).map_err(says)?;
    let inactive = inactive
        .snaplen(i32::try_from(wanted.snaplen).unwrap_or(i32::MAX))
        .promisc(wanted.promiscuous)
        .timeout(HOLD_BACK_MS)
        .buffer_size(KERNEL_BUFFER);
    #[cfg(target_os = "linux")]
    let inactive = inactive.precision(libpcap::Precision::Nano);
    let mut capture = inactive.open().map_err(says)?;
    if !wanted.filter.is_empty() {
        capture.filter(&wanted.filter, true).map_err(|e| Failure::Filter(words(&e)))?;
    }
    let link_type = LinkType(u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX));
    let capture = capture.setnonblock().map_err(says)?;
    Ok((capture, link_type))
}

fn words(e: &Error) -> String {
    match e {
        Error::PcapError(words) => words.clone(),
        other => other.to_string(),
    }
}

/// Nanoseconds in a unit of the fraction that libpcap gives: it was asked for nanoseconds where it has them.
const FRACTION: i64 = if cfg!(target_os = "linux") { 1 } else { 1000 };

impl Tap for Opened {
    fn next(&mut self) -> Next<'_> {
        match self.capture.next_packet() {
            Ok(p) => {
                #[allow(clippy::useless_conversion)] // the two fields are of other types on other systems
                let (secs, fraction) = (i64::from(p.header.ts.tv_sec), i64::from(p.header.ts.tv_usec));
                let at = secs.saturating_mul(1_000_000_000).saturating_add(fraction.saturating_mul(FRACTION));
                Next::Packet(Taken { at: Timestamp::from_ns(at), data: p.data, wire_len: p.header.len })
            }
            Err(Error::TimeoutExpired) => Next::Nothing,
            Err(Error::NoMorePackets) => Next::Over,
            Err(e) => Next::Failed(words(&e)),
        }
    }

    fn reopen(&mut self) -> Result<(), String> {
        let (capture, link_type) = open(&self.wanted).map_err(|e| e.to_string())?;
        if link_type != self.link_type {
            return Err(format!("it came back with another link type, {link_type}"));
        }
        self.counters();
        (self.capture, self.last) = (capture, [0; 3]);
        Ok(())
    }

    fn counters(&mut self) -> Counters {
        if let Ok(s) = self.capture.stats() {
            let now = [s.received, s.dropped, s.if_dropped];
            let sums =
                [&mut self.sums.received, &mut self.sums.dropped_kernel, &mut self.sums.dropped_interface];
            for ((sum, now), last) in sums.into_iter().zip(now).zip(self.last) {
                *sum += u64::from(now.wrapping_sub(last));
            }
            self.last = now;
        }
        self.sums
    }

    fn is_up(&mut self) -> Option<bool> {
        // libpcap waits in silence for an interface that is down
        let all = Device::list().ok()?;
        all.iter().find(|d| d.name == self.wanted.interface).map(|d| d.flags.is_up())
    }

    fn link_type(&self) -> LinkType {
        self.link_type
    }
}

/// All interfaces that can be recorded from.
///
/// # Errors
/// The system's words.
pub fn list() -> Result<Vec<Interface>, Failure> {
    let all = Device::list().map_err(|e| Failure::Other(words(&e)))?;
    Ok(all.into_iter().map(described).collect())
}

fn described(d: Device) -> Interface {
    let state = match (d.flags.is_up(), &d.flags.connection_status) {
        (false, _) => State::Down,
        (true, ConnectionStatus::Disconnected) => State::Disconnected,
        _ => State::Up,
    };
    Interface {
        state,
        wireless: d.flags.is_wireless(),
        loopback: d.flags.is_loopback(),
        addresses: d.addresses.into_iter().map(|a| a.addr).collect(),
        description: d.desc,
        name: d.name,
    }
}
