//! Code points of TLS, as the IANA registries "TLS Parameters" and "TLS `ExtensionType` Values" number them.

/// Handshake type of a `ClientHello`.
pub const CLIENT_HELLO: u8 = 1;
/// Handshake type of a `ServerHello` and, in TLS 1.3, of a `HelloRetryRequest`.
pub const SERVER_HELLO: u8 = 2;
/// Handshake type of a Certificate.
pub const CERTIFICATE: u8 = 11;
/// Handshake type of a `ServerHelloDone` (TLS 1.2 and before).
pub const SERVER_HELLO_DONE: u8 = 14;

/// Extension `server_name` (RFC 6066 §3).
pub const SERVER_NAME: u16 = 0;
/// Extension `supported_groups` (RFC 8422 §5.1.1), once `elliptic_curves`.
pub const SUPPORTED_GROUPS: u16 = 10;
/// Extension `ec_point_formats` (RFC 8422 §5.1.2).
pub const EC_POINT_FORMATS: u16 = 11;
/// Extension `signature_algorithms` (RFC 8446 §4.2.3).
pub const SIGNATURE_ALGORITHMS: u16 = 13;
/// Extension `application_layer_protocol_negotiation` (RFC 7301).
pub const ALPN: u16 = 16;
/// Extension `padding` (RFC 7685).
pub const PADDING: u16 = 21;
/// Extension `session_ticket` (RFC 5077).
pub const SESSION_TICKET: u16 = 35;
/// Extension `pre_shared_key` (RFC 8446 §4.2.11).
pub const PRE_SHARED_KEY: u16 = 41;
/// Extension `supported_versions` (RFC 8446 §4.2.1).
pub const SUPPORTED_VERSIONS: u16 = 43;
/// Extension `key_share` (RFC 8446 §4.2.8).
pub const KEY_SHARE: u16 = 51;
/// Extension `encrypted_client_hello` (RFC 9849 §5).
pub const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
/// Extension `encrypted_server_name` of the drafts that came before Encrypted Client Hello.
pub const ENCRYPTED_SERVER_NAME: u16 = 0xffce;

/// Version number of TLS 1.2, which TLS 1.3 also puts in its legacy fields.
pub const TLS12: u16 = 0x0303;
/// Version number of TLS 1.3.
pub const TLS13: u16 = 0x0304;

/// Whether a cipher suite, extension, group, version or signature algorithm is one that RFC 8701 §2 reserves for
/// "generate random extensions and sustain extensibility": `0x0a0a`, `0x1a1a` and so on to `0xfafa`.
pub const fn is_grease(code: u16) -> bool {
    let [high, low] = code.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// The name of a protocol version, as people write it.
pub const fn version_name(version: u16) -> Option<&'static str> {
    Some(match version {
        0x0002 => "SSL 2.0",
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grease_is_sixteen_values() {
        let all: Vec<u16> = (0..=u16::MAX).filter(|&c| is_grease(c)).collect();
        assert_eq!(all.len(), 16);
        assert_eq!((all[0], all[1], all[15]), (0x0a0a, 0x1a1a, 0xfafa));
    }
}
