//! The header of a TLS record and the alert that one may hold (RFC 8446 §5.1 and §6, RFC 5246 §6.2 and §7.2).

use super::super::reader::Reader;

/// Length of a record's header.
pub const HEADER_LEN: usize = 5;
/// The most that a record of plaintext holds (RFC 8446 §5.1).
pub const MAX_PLAINTEXT: u16 = 1 << 14;
/// The most that a record of TLS 1.3 holds (RFC 8446 §5.2: 2¹⁴ + 256).
pub const MAX_CIPHERTEXT: u16 = MAX_PLAINTEXT + 256;
/// The most that a record of TLS 1.2 and before holds (RFC 5246 §6.2.3: 2¹⁴ + 2048).
pub const MAX_CIPHERTEXT_TLS12: u16 = MAX_PLAINTEXT + 2048;

/// Content type of a `ChangeCipherSpec`.
pub const CHANGE_CIPHER_SPEC: u8 = 20;
/// Content type of an alert.
pub const ALERT: u8 = 21;
/// Content type of handshake messages.
pub const HANDSHAKE: u8 = 22;
/// Content type of application data; in TLS 1.3 of everything that is encrypted.
pub const APPLICATION_DATA: u8 = 23;
/// Content type of a heartbeat (RFC 6520).
pub const HEARTBEAT: u8 = 24;

/// The five bytes before each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// `ContentType`, 20 to 24 in any record that a TLS peer sends.
    pub content_type: u8,
    /// `legacy_record_version`, which says little: a TLS 1.3 record has 0x0301 or 0x0303 there.
    pub version: u16,
    /// How many bytes of record follow.
    pub length: u16,
}

impl RecordHeader {
    /// The header at the start of `bytes`, if five bytes are there, whatever they say.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let header = r.array::<HEADER_LEN>()?;
        Some(Self::from_bytes(header))
    }

    /// The header that five bytes make.
    pub const fn from_bytes([content_type, major, minor, high, low]: [u8; HEADER_LEN]) -> Self {
        Self {
            content_type,
            version: u16::from_be_bytes([major, minor]),
            length: u16::from_be_bytes([high, low]),
        }
    }

    /// Whether a TLS peer may have written this header: a known content type, SSL 3.0 to TLS 1.3, and no more
    /// than TLS 1.2 allows to follow.
    pub const fn is_possible(self) -> bool {
        matches!(self.content_type, CHANGE_CIPHER_SPEC..=HEARTBEAT)
            && matches!(self.version, 0x0300..=0x0304)
            && self.length <= MAX_CIPHERTEXT_TLS12
    }

    /// Whether five bytes out of the middle of a stream look like a header: as [`Self::is_possible`], without the
    /// kinds of record that are too rare to be guessed. Random bytes do so once in about 200 million.
    pub const fn is_plausible(self) -> bool {
        self.is_possible()
            && self.content_type != HEARTBEAT
            && self.length != 0
            && self.length <= MAX_CIPHERTEXT
            && (self.content_type != CHANGE_CIPHER_SPEC || self.length == 1)
    }
}

/// Whether a segment begins with a record header of which all is sound but the first two bytes, and these stand elsewhere: in
/// each other's place, or in that of the segment's last two. A box is known to move the first two and the last two bytes of
/// payloads (Ablove et al. 2026, the action "tamper"). Random bytes look so once in some millions.
pub fn is_swapped(payload: &[u8], wire_len: usize) -> bool {
    let [first, second, minor, high, low, .., a, b] = payload else { return false };
    let is_start =
        |kind: u8, major: u8| RecordHeader::from_bytes([kind, major, *minor, *high, *low]).is_plausible();
    let at_end = payload.len() == wire_len && is_start(*a, *b);
    !is_start(*first, *second) && (is_start(*second, *first) || at_end)
}

/// An alert in clear (RFC 8446 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alert {
    /// 1 for a warning, 2 for a fatal alert.
    pub level: u8,
    /// `AlertDescription`; [`Alert::name`] has its name.
    pub description: u8,
}

impl Alert {
    /// The alert that fills a record's body.
    ///
    /// An encrypted alert is longer than two bytes (nonce, tag, padding or content type are added), so anything but
    /// two bytes with a level that exists is none that could be read.
    pub const fn parse(body: &[u8]) -> Option<Self> {
        match *body {
            [level @ 1..=2, description] => Some(Self { level, description }),
            _ => None,
        }
    }

    /// Whether the connection ends with it.
    pub const fn is_fatal(self) -> bool {
        self.level == 2
    }

    /// The name that RFC 8446 §6 or an earlier RFC gives the description.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.description {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            21 => "decryption_failed",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            60 => "export_restriction",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            111 => "certificate_unobtainable",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            114 => "bad_certificate_hash_value",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            121 => "ech_required",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_three_fields() {
        let h = RecordHeader::parse(&[22, 3, 1, 2, 0, 99]).unwrap();
        assert_eq!(h, RecordHeader { content_type: 22, version: 0x0301, length: 512 });
        assert!(h.is_possible() && h.is_plausible());
        assert_eq!(RecordHeader::parse(&[22, 3, 1, 2]), None);
    }

    #[test]
    fn what_no_peer_writes_is_impossible() {
        for bytes in
            [[19, 3, 1, 0, 1], [25, 3, 3, 0, 1], [22, 2, 0, 0, 1], [22, 3, 5, 0, 1], [23, 3, 3, 0x48, 1]]
        {
            assert!(!RecordHeader::from_bytes(bytes).is_possible(), "{bytes:?}");
        }
        for bytes in [[23, 3, 3, 0x48, 0], [24, 3, 3, 0, 9], [20, 3, 3, 0, 2], [23, 3, 3, 0, 0]] {
            let h = RecordHeader::from_bytes(bytes);
            assert!(h.is_possible() && !h.is_plausible(), "{bytes:?}");
        }
    }

    #[test]
    fn only_a_clear_alert_is_read() {
        let alert = Alert::parse(&[2, 40]).unwrap();
        assert_eq!((alert.is_fatal(), alert.name()), (true, Some("handshake_failure")));
        assert_eq!(Alert::parse(&[1, 0]).unwrap().name(), Some("close_notify"));
        assert_eq!(Alert::parse(&[2, 200]).unwrap().name(), None);
        for body in [&[][..], &[2], &[0, 40], &[3, 40], &[2, 40, 0]] {
            assert_eq!(Alert::parse(body), None);
        }
    }
}
