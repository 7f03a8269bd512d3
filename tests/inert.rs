//! What a hostile capture puts into names, comments and its own file name appears inert in every output: nothing acts on a
//! terminal, a browser, a spreadsheet or a reader's eye.

#![allow(clippy::unwrap_used)]

#[cfg(feature = "tables")]
mod csv;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use pinchpoint::base::Direction::{ToClient, ToServer};
use pinchpoint::base::text::acts;
use pinchpoint::base::{Span, Timestamp};
use pinchpoint::capture::{ByteOrder, LinkType};
use pinchpoint::testkit::conversation::{Conversation, Forged, Peer, capture};
use pinchpoint::testkit::pcap::{BlockOption, PcapngWriter};
use pinchpoint::testkit::tls::{Hello, server_flight_13};
use pinchpoint::wire::tcp::Flags;
use serde_json::Value;

/// Names that try to get out of every place in which they are shown. The first half are reset.
const NAMES: [&str; 12] = [
    "<script>alert(1)</script>",
    "\u{202e}moc.x\u{2066}\u{200f}",
    "\"><img src=x onerror=alert(1)>&amp;]]>",
    "\u{1b}[2J\u{1b}]0;x\u{7}\0\r\n=cmd|'/c calc'!A1",
    "=HYPERLINK(\"http://x.example\",\"x\")",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "＝1＋1",
    "{{7*7}}{% raw %}",
    "\u{9b}2J\u{2028}\u{feff}\u{e0041}\u{ad}",
    LABEL,
];

/// A name whose first label has 255 bytes, four times what DNS allows.
const LABEL: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example";

const COMMENT: &str = "<b>\u{202e}\u{1b}[31m=1+1\0";

/// A conversation for each name, by TLS or else by HTTP.
fn hostile(folder: &Path) -> PathBuf {
    let mut all = Vec::new();
    for (n, name) in (0u16..).zip(NAMES.into_iter().chain(NAMES)) {
        let by_http = usize::from(n) >= NAMES.len();
        let client =
            Peer::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 40_000 + n, 64, Span::from_ns(20_000));
        let port = if by_http { 80 } else { 443 };
        let server = Peer::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9)), port, 52, Span::from_ms(40));
        let start = Timestamp::from_ns(1_708_128_000_000_000_000 + i64::from(n) * 2_000_000_000);
        let mut c = Conversation::new(client, server, start);
        let hello = if by_http {
            format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n").into_bytes()
        } else {
            Hello::to(name).record()
        };
        c.handshake().wait(Span::from_ms(1)).data(ToServer, &hello);
        if usize::from(n) % NAMES.len() < NAMES.len() / 2 {
            let flags = Flags(Flags::RST.0 | Flags::AE.0 | 0x200);
            let forged =
                Forged { flags, ttl: Some(60), ip_id: Some(7), df: Some(false), ..Forged::default() };
            c.wait(Span::from_ms(5)).forge(ToClient, &forged);
            c.round_trip(ToServer).send(ToClient, Flags::ACK, &[]).wait(Span::from_ms(1));
            c.data(ToClient, &server_flight_13(1200)).round_trip(ToClient).reset_reply(ToServer);
        } else {
            c.round_trip(ToServer).data(ToClient, &server_flight_13(30_000));
            c.round_trip(ToClient).send(ToServer, Flags::ACK, &[]);
        }
        all.push(c);
    }
    let mut file = PcapngWriter::with(ByteOrder::Little, &[BlockOption::comment(COMMENT)]);
    let options = [BlockOption::tsresol(9), BlockOption::comment(COMMENT), BlockOption::bytes(2, COMMENT)];
    file.interface(LinkType::ETHERNET, 0, &options);
    for frame in capture(&all) {
        let len = u32::try_from(frame.bytes.len()).unwrap();
        file.packet(0, frame.at.ns().unsigned_abs(), &frame.bytes, len, &[BlockOption::comment(COMMENT)]);
    }
    let path = folder.join("=a<b>\u{202e}&\u{1b}.pcapng");
    fs::write(&path, file.finish()).unwrap();
    path
}

/// Standard output and standard error of a command that works.
fn run(args: &[&str]) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = pinchpoint::cli::run(std::iter::once(&"pinchpoint").chain(args), &mut out, &mut err);
    let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
    assert_eq!(exit.code(), 0, "{args:?}: {err}");
    assert_inert(&err, "standard error");
    out
}

fn assert_inert(text: &str, what: &str) {
    let bad = text.char_indices().find(|(_, c)| acts(*c) && *c != '\n');
    assert!(
        bad.is_none(),
        "{what}: {bad:?} in …{}",
        text.get(bad.unwrap().0.saturating_sub(40)..).unwrap_or("")
    );
    assert!(!text.contains(&"a".repeat(300)), "{what}: a name takes no more room than a line or two");
}

#[test]
fn text_for_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = hostile(folder.path());
    let file = file.to_str().unwrap();
    for args in
        [&["analyze", "-v", "--show-addresses"][..], &["info", "-v"], &["live", "--format", "text", "-r"]]
    {
        let text = run(&[args, &[file]].concat());
        assert_inert(&text, args[0]);
        assert!(args[0] == "info" || text.contains("alert(1)") && text.contains("\\u{202e}moc.x"), "{text}");
    }
}

#[test]
fn json_and_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = hostile(folder.path());
    let file = file.to_str().unwrap();
    for args in [
        &["analyze", "--format", "json"][..],
        &["analyze", "--format", "ndjson"],
        &["analyze", "--format", "ooni"],
        &["info", "--format", "json"],
        &["info", "--format", "ndjson"],
        &["live", "-q", "--format", "ndjson", "-r"],
    ] {
        let args: Vec<&str> = args.iter().copied().filter(|a| *a != "-q").collect();
        let text = run(&[&args[..], &[file]].concat());
        assert_inert(&text, &args.join(" "));
        let values: Vec<Value> =
            serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>().unwrap();
        // a program gets the name as it was on the wire, in lower case
        let has = |v: &Value| v.to_string().contains("\u{202e}moc.x\u{2066}\u{200f}");
        assert!(args[0] == "info" || values.iter().any(has), "{args:?}");
    }
}

/// The comments that are ours in a pcapng file, as they stand in it: options with code 1 that begin so.
fn comments(bytes: &[u8]) -> Vec<String> {
    let starts = bytes.windows(12).enumerate().filter(|(_, w)| *w == b"[pinchpoint]").map(|(at, _)| at);
    let comment = |at: usize| {
        let [code, len] = [4, 2].map(|back| u16::from_le_bytes([bytes[at - back], bytes[at - back + 1]]));
        (code == 1).then(|| String::from_utf8(bytes[at..at + usize::from(len)].to_vec()).unwrap())
    };
    starts.filter_map(comment).collect()
}

#[test]
fn comments_of_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let file = hostile(folder.path());
    let copy = folder.path().join("copy.pcapng");
    for more in [&[][..], &["--only-findings"]] {
        run(&[&["annotate", file.to_str().unwrap(), "-o", copy.to_str().unwrap()], more].concat());
        let comments = comments(&fs::read(&copy).unwrap());
        assert!(comments.iter().any(|c| c.contains("alert(1)")), "{comments:?}");
        assert!(comments.len() > NAMES.len(), "{comments:?}");
        for comment in comments {
            assert_inert(&comment, "a comment");
        }
    }
}

#[cfg(feature = "charts")]
#[test]
fn charts_and_the_page() {
    use pinchpoint::chart::{Kind, png};

    let folder = tempfile::tempdir().unwrap();
    let file = hostile(folder.path());
    let file = file.to_str().unwrap();
    for kind in Kind::ALL {
        let picture = run(&["chart", file, "--kind", kind.name()]);
        assert_inert(&picture, kind.name());
        assert!(!picture.contains("<script") && !picture.contains("<img"), "{}", kind.name());
        assert!(png(&picture, 1.0).unwrap().len() > 1000, "{}: well-formed", kind.name());
    }
    let page = run(&["report", file]);
    assert_inert(&page, "the page");
    assert!(page.contains("alert(1)"), "the name is there");
    assert!(!page.contains("<script") && !page.contains("<img"));
    assert!(page.contains("{{7*7}}"), "what looks like a template's is text too");
}

#[cfg(feature = "tables")]
#[test]
fn tables_and_answers() {
    use polars::prelude::{ParquetReader, SerReader};

    let folder = tempfile::tempdir().unwrap();
    let file = hostile(folder.path());
    let dir = folder.path().join("set");
    let set = dir.to_str().unwrap();
    run(&["analyze", "--out", set, file.to_str().unwrap()]);
    let part = |table: &str, file: &str| {
        let mut parts = fs::read_dir(dir.join(table)).unwrap();
        parts.next().unwrap().unwrap().path().join(file)
    };
    let tables = ["captures", "connections", "evidence", "findings", "names", "series"];
    let mut texts = tables.map(|t| (t, fs::read_to_string(part(t, "part.csv")).unwrap())).to_vec();
    texts.push(("summarize", run(&["summarize", set, "--format", "csv"])));
    for (table, text) in &texts {
        let bad = text.chars().find(|c| acts(*c) && *c != '\n');
        assert!(bad.is_none(), "{table}: {bad:?}");
        for cell in csv::cells(text).iter().flatten() {
            let is_number = cell.parse::<f64>().is_ok();
            assert!(is_number || !cell.starts_with(['=', '+', '-', '@', '＝', '＋']), "{table}: {cell}");
        }
    }
    assert!(texts.iter().filter(|(_, t)| t.contains("moc.x")).count() >= 3, "the name is there");
    for by in ["name", "network", "hour", "mechanism"] {
        assert_inert(&run(&["summarize", set, "--by", by]), by);
        assert_inert(&run(&["summarize", set, "--by", by, "--format", "json"]), by);
        #[cfg(feature = "charts")]
        {
            let chart = folder.path().join("chart.svg");
            run(&["summarize", set, "--by", by, "--chart", chart.to_str().unwrap()]);
            let picture = fs::read_to_string(chart).unwrap();
            assert_inert(&picture, by);
            assert!(!picture.contains("<script") && pinchpoint::chart::png(&picture, 1.0).is_ok(), "{by}");
        }
    }
    // data is data: Parquet has the name as it was
    let names = ParquetReader::new(fs::File::open(part("names", "part.parquet")).unwrap()).finish().unwrap();
    assert!(names.column("name").unwrap().str().unwrap().iter().flatten().any(|n| n.contains('\u{202e}')));
}
