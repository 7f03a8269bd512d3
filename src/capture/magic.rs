//! Tells what a file is by its first bytes; its name decides nothing.

use super::{ByteOrder, Compression, Error, Format};

/// What a file is, of what can be read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A capture.
    Capture(Format),
    /// Something compressed.
    Compressed(Compression),
}

/// Bytes that are looked at.
pub(crate) const LOOKED_AT: usize = 512;

/// Captures in formats that are not read here, which editcap converts.
const OTHER_CAPTURES: &[(&[u8], &str)] = &[
    (b"snoop\0\0\0", "a snoop capture (Solaris)"),
    (b"GMBU", "a capture of Microsoft Network Monitor 2"),
    (b"RTSS", "a capture of Microsoft Network Monitor 1"),
    (b"XCP\0", "a capture of NetXRay or Windows Sniffer"),
    (b"TRSNIFF data    \x1a", "a DOS Sniffer capture"),
    (b"btsnoop\0", "a btsnoop (Bluetooth) capture"),
    (b"\x7fver", "an EtherPeek or OmniPeek capture"),
    (b"5VW\0", "a capture of Observer or Visual Networks"),
    (b"ObserverPktBuffe", "a capture of Network Instruments Observer"),
    (b"\x1c\0\x01\xac", "an IXIA capture"),
    (b"\x1c\0\x01\xab", "an IXIA capture"),
    (b"\xac\x01\0\x1c", "an IXIA capture"),
    (b"\xab\x01\0\x1c", "an IXIA capture"),
];

/// Files that are no captures: magic, what it is, what to do.
const NO_CAPTURES: &[(&[u8], &str, &str)] = &[
    (b"PK\x03\x04", "a zip archive", "unpack it first: unzip FILE"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first: 7z x FILE"),
    (b"Rar!", "a RAR archive", "unpack it first: unrar x FILE"),
    (b"BZh", "compressed by bzip2", "decompress it first: bunzip2 FILE"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "decompress it first: lz4 -d FILE"),
    (b"\x1f\x9d", "compressed by compress", "decompress it first: uncompress FILE"),
    (b"\x5d\0\0", "an .lzma file", "decompress it first: unlzma FILE"),
    (b"%PDF", "a PDF document", "name the capture file itself"),
    (b"\x7fELF", "a program (ELF)", "name the capture file itself"),
    (b"MZ", "a Windows program", "name the capture file itself"),
    (b"\x89PNG", "a PNG image", "name the capture file itself"),
    (b"SQLite format 3\0", "an SQLite database", "name the capture file itself"),
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file it stands for",
        "fetch the file: git lfs pull",
    ),
];

/// Tells what begins with `start`, which is the whole file if it is shorter than [`LOOKED_AT`].
pub(crate) fn recognise(start: &[u8]) -> Result<Kind, Error> {
    if start.is_empty() {
        return Err(Error::Empty);
    }
    if let Some(&first) = start.first_chunk::<4>() {
        let pcap =
            |nanoseconds, order, modified| Ok(Kind::Capture(Format::Pcap { nanoseconds, order, modified }));
        match u32::from_be_bytes(first) {
            0xa1b2_c3d4 => return pcap(false, ByteOrder::Big, false),
            0xd4c3_b2a1 => return pcap(false, ByteOrder::Little, false),
            0xa1b2_3c4d => return pcap(true, ByteOrder::Big, false),
            0x4d3c_b2a1 => return pcap(true, ByteOrder::Little, false),
            0xa1b2_cd34 => return pcap(false, ByteOrder::Big, true),
            0x34cd_b2a1 => return pcap(false, ByteOrder::Little, true),
            0x0a0d_0d0a => return pcapng(start),
            0x28b5_2ffd => return Ok(Kind::Compressed(Compression::Zstd)),
            // A skippable frame, with which pzstd and seekable streams may begin: 0x184D2A50 to 0x184D2A5F.
            n if n & 0xf0ff_ffff == 0x502a_4d18 => return Ok(Kind::Compressed(Compression::Zstd)),
            _ => {}
        }
    }
    if start.starts_with(b"\x1f\x8b") {
        return Ok(Kind::Compressed(Compression::Gzip));
    }
    if start.starts_with(b"\xfd7zXZ\0") {
        return Ok(Kind::Compressed(Compression::Xz));
    }
    Err(unknown(start))
}

/// The first bytes of a Section Header Block: the byte-order magic decides.
fn pcapng(start: &[u8]) -> Result<Kind, Error> {
    let capture = |order| Ok(Kind::Capture(Format::Pcapng { order }));
    match start.get(8..12) {
        Some(b"\x1a\x2b\x3c\x4d") => capture(ByteOrder::Big),
        Some(b"\x4d\x3c\x2b\x1a") => capture(ByteOrder::Little),
        Some(_) => Err(Error::Header { why: "the byte-order magic 1a2b3c4d is missing".to_owned() }),
        None => Err(Error::CutHeader { format: "pcapng", length: start.len() }),
    }
}

/// The best that can be said of a file that is neither capture nor compressed.
fn unknown(start: &[u8]) -> Error {
    if let Some(&(_, found)) = OTHER_CAPTURES.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Error::OtherCapture { found };
    }
    if let Some(&(_, found, advice)) = NO_CAPTURES.iter().find(|(magic, ..)| start.starts_with(magic)) {
        return Error::NoCapture { found, advice };
    }
    if start.get(257..262) == Some(b"ustar") {
        return Error::NoCapture { found: "a tar archive", advice: "unpack it first: tar xf FILE" };
    }
    let text = start.iter().all(|&b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e));
    let lower = start.get(..start.len().min(64)).unwrap_or_default().to_ascii_lowercase();
    let trimmed = lower.trim_ascii_start();
    if [&b"<!doctype html"[..], b"<html"].iter().any(|tag| trimmed.starts_with(tag)) {
        let advice = "the download gave a page in place of the file; fetch the file itself";
        return Error::NoCapture { found: "a web page (HTML)", advice };
    }
    if text && start.len() >= 4 {
        let advice = "if it is a hex dump, convert it: text2pcap IN OUT";
        return Error::NoCapture { found: "text", advice };
    }
    if start.iter().all(|&b| b == 0) {
        let advice = "the file was reserved but never written; copy it again";
        return Error::NoCapture { found: "nothing but zero bytes", advice };
    }
    let start: Vec<String> = start.iter().take(8).map(|b| format!("{b:02x}")).collect();
    Error::Unknown { start: start.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_finds() {
        let says = |start: &[u8]| recognise(start).unwrap_err().to_string();
        assert!(says(b"").contains("empty"));
        assert!(says(b"snoop\0\0\0\0\0\0\x02").contains("editcap -F pcap IN OUT"));
        assert!(says(b"GMBU\0\x02").contains("Network Monitor 2"));
        assert!(says(b"PK\x03\x04\x14").contains("unzip"));
        assert!(says(b"  <!DOCTYPE html><p>\xc3").contains("web page"));
        assert!(says(b"12:00:01 IP a > b\n").contains("text2pcap"));
        assert!(says(&[0; 40]).contains("zero bytes"));
        assert!(says(b"\xde\xad\xbe\xef\x01\x02\x03\x04\x05").ends_with("de ad be ef 01 02 03 04"));
        assert!(says(b"\x0a\x0d\x0d\x0a\0\0").contains("ends after 6 bytes"));
        assert!(says(b"\x0a\x0d\x0d\x0a\0\0\0\x1c\0\0\0\0").contains("byte-order magic"));
        assert!(says(b"BZh91AY").contains("bunzip2"));
        let mut tar = vec![1; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(says(&tar).contains("tar xf"));
    }
}
