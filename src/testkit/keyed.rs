//! The keyed generator of Ablove et al. 2026, the way it runs in the device: from its three relations, and without any of the
//! code that recognises it.

use std::net::IpAddr;

/// The device's key.
pub const KEY: u16 = 13;
/// Where its counter starts again.
pub const COUNTER_FIRST: u16 = 128;
/// What identification and counter are taken from.
const SEED_MAX: u32 = 65_535;

/// The fields of a reset that the generator sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Window field.
    pub window: u16,
    /// Identification.
    pub ip_id: u16,
    /// TTL where it is sent.
    pub ttl: u8,
}

/// What the generator makes of two IPv4 addresses, in the order of the packet that set it off, and its counter.
pub fn generate(s: IpAddr, d: IpAddr, key: u16, counter: u16) -> Made {
    let number = |a: IpAddr| match a {
        IpAddr::V4(a) => u32::from_le_bytes(a.octets()),
        IpAddr::V6(_) => 0,
    };
    let (v, key) = (u32::from(counter), u32::from(key));
    let window = (v + number(d) % key).max(1);
    let id = SEED_MAX.wrapping_sub(key * v).wrapping_add(number(s) % window) & 0xffff;
    Made {
        window: u16::try_from(window).unwrap_or(u16::MAX),
        ip_id: u16::try_from(id).unwrap_or(0),
        ttl: u8::try_from(v % 200 + 48).unwrap_or(64),
    }
}

/// The counter after this one.
pub fn next(counter: u16) -> u16 {
    if (u32::from(counter) + 1) * u32::from(KEY) > SEED_MAX { COUNTER_FIRST } else { counter + 1 }
}
