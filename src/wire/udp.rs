//! A borrowed view of a UDP datagram (RFC 768).

use super::Stop;

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp<'a> {
    ports: [u8; 4],
    /// The captured part of the payload.
    pub payload: &'a [u8],
    /// How long the payload was on the wire.
    pub payload_len: u32,
}

impl<'a> Udp<'a> {
    /// Reads the datagram at the start of `bytes`, `wire_len` bytes long on the wire.
    ///
    /// # Errors
    /// [`Stop::UdpCut`] where fewer than eight bytes were captured.
    pub fn parse(bytes: &'a [u8], wire_len: u32) -> Result<Self, Stop> {
        let Some((h, rest)) = bytes.split_first_chunk::<8>() else { return Err(Stop::UdpCut) };
        let stated = u32::from(u16::from_be_bytes([h[4], h[5]]));
        // 0 is a jumbogram (RFC 2675) or offload; a length past the packet is cut to it
        let payload_len = match stated {
            8.. if stated <= wire_len => stated - 8,
            _ => wire_len.saturating_sub(8),
        };
        let captured = rest.len().min(usize::try_from(payload_len).unwrap_or(usize::MAX));
        Ok(Self { ports: [h[0], h[1], h[2], h[3]], payload: &rest[..captured], payload_len })
    }

    /// Source port.
    pub fn src_port(&self) -> u16 {
        u16::from_be_bytes([self.ports[0], self.ports[1]])
    }

    /// Destination port.
    pub fn dst_port(&self) -> u16 {
        u16::from_be_bytes([self.ports[2], self.ports[3]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_length_cuts_padding() {
        let b = [0, 53, 0xc0, 0, 0, 10, 0, 0, 1, 2, 0, 0];
        let udp = Udp::parse(&b, 12).unwrap();
        assert_eq!(
            (udp.src_port(), udp.dst_port(), udp.payload, udp.payload_len),
            (53, 0xc000, &[1, 2][..], 2)
        );
        assert_eq!(Udp::parse(&b[..7], 12), Err(Stop::UdpCut));
    }
}
