//! IEEE 802.11 data frames, bare or behind a capture header (radiotap, Prism, AVS).

use super::Stop;
use super::next::{Header, Next, be32, byte, le16};
use crate::capture::LinkType;

/// Frame control: a data frame has type 2; subtypes with bit 2 carry no data, those with bit 3 carry `QoS`.
const TYPE_DATA: u8 = 2;

/// Radiotap: a little-endian length at byte 2.
pub(super) fn radiotap(b: &[u8]) -> Header {
    let len = usize::from(le16(b, 2)?);
    // version, pad, length, and at least one word of presence bits
    if len < 8 { Err(Stop::LinkCut) } else { Ok((len, Next::Link(LinkType::IEEE802_11))) }
}

/// Prism: a fixed 144 bytes, or an AVS header under the same link type.
pub(super) fn prism(b: &[u8]) -> Header {
    if be32(b, 0)? & 0xffff_f000 == 0x8021_1000 {
        avs(b)
    } else {
        Ok((144, Next::Link(LinkType::IEEE802_11)))
    }
}

/// AVS: big-endian magic, then length.
pub(super) fn avs(b: &[u8]) -> Header {
    let len = usize::try_from(be32(b, 4)?).map_err(|_| Stop::LinkCut)?;
    if len < 8 { Err(Stop::LinkCut) } else { Ok((len, Next::Link(LinkType::IEEE802_11))) }
}

/// The MAC header of a data frame: 24 bytes, plus a fourth address, `QoS` control and HT control where they are.
pub(super) fn frame(b: &[u8]) -> Header {
    let (control, flags) = (byte(b, 0)?, byte(b, 1)?);
    let (kind, subtype) = (control >> 2 & 3, control >> 4);
    if kind != TYPE_DATA {
        return Ok((0, Next::Other(if kind == 0 { "wifi_management" } else { "wifi_control" })));
    }
    if subtype & 4 != 0 {
        return Ok((0, Next::Other("wifi_no_data")));
    }
    if flags & 0x40 != 0 {
        return Err(Stop::WifiEncrypted);
    }
    let four_addresses = flags & 3 == 3;
    let qos = subtype & 8 != 0;
    let mut len = 24 + if four_addresses { 6 } else { 0 };
    if qos {
        if byte(b, len)? & 0x80 != 0 {
            return Ok((0, Next::Other("wifi_a_msdu")));
        }
        len += 2 + if flags & 0x80 != 0 { 4 } else { 0 };
    }
    Ok((len, Next::Llc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_frames_of_every_header_length_lead_to_llc() {
        let mut b = [0u8; 40];
        b[0] = 0x08;
        assert_eq!(frame(&b), Ok((24, Next::Llc)));
        b[0] = 0x88;
        assert_eq!(frame(&b), Ok((26, Next::Llc)));
        b[1] = 0x83;
        assert_eq!(frame(&b), Ok((36, Next::Llc)));
    }

    #[test]
    fn encrypted_and_empty_frames_are_told_apart() {
        assert_eq!(frame(&[0x08, 0x40]), Err(Stop::WifiEncrypted));
        assert_eq!(frame(&[0x48, 0x01]), Ok((0, Next::Other("wifi_no_data"))));
        assert_eq!(frame(&[0x80, 0x00]), Ok((0, Next::Other("wifi_management"))));
    }
}
