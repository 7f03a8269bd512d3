//! The report page: whole in itself, well-formed, readable by a screen reader; and in a browser where there is one.

#![cfg(feature = "charts")]
#![allow(clippy::unwrap_used)]

mod program;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use pinchpoint::capture::LinkType;
use pinchpoint::testkit::pcap::PcapWriter;

use program::within;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pakistan-2024/capture.pcapng")
}

fn page(more: &[&str]) -> String {
    let file = fixture();
    let (code, page, err) = within(&[&["report", file.to_str().unwrap()], more].concat());
    assert_eq!((code, err), (0, String::new()));
    page
}

/// The attribute's values, in order.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let open = format!(" {attribute}=\"");
    page.split(&open).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn it_says_what_was_found_why_and_what_was_not_seen() {
    let page = page(&[]);
    for part in [
        "3 of 3 connections to x.com were reset",
        "video.twimg.com were slowed to about 1",
        "a simulation, no evidence of anything",
        "tcp.stream eq 1",
        "What no capture shows",
        "Log-odds",
        "pinchpoint report capture.pcapng",
        "the endpoint itself sent it",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let hash = {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(std::fs::read(fixture()).unwrap());
        pinchpoint::base::text::hex(&digest)
    };
    assert!(page.contains(&hash));
    assert!(page.matches("<svg").count() >= 5);
    assert_eq!(page, self::page(&[]), "the same input gives the same page");
}

#[test]
fn what_could_not_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (random, empty) = (folder.path().join("<b>random.pcap"), folder.path().join("empty.pcap"));
    std::fs::write(&random, [7; 900]).unwrap();
    std::fs::write(&empty, "").unwrap();
    let (random, empty) = (random.to_str().unwrap(), empty.to_str().unwrap());
    let file = fixture();
    let (code, page, _) = within(&["report", file.to_str().unwrap(), random, empty]);
    assert_eq!(code, 3);
    assert!(page.contains("2 of 3 files could not be read"), "in short");
    assert!(page.contains("&#60;b&#62;random.pcap</bdi>: it is neither pcap nor pcapng"), "and why");
    // nothing is no report that nothing was found
    let out = folder.path().join("report.html");
    assert_eq!(within(&["report", random, empty, "-o", out.to_str().unwrap()]).0, 3);
    assert!(!out.exists());
    #[cfg(feature = "tables")]
    {
        let folder = folder.path().to_str().unwrap();
        assert_eq!(within(&["analyze", random, empty, "--out", folder]).0, 3);
        assert!(!out.exists());
    }
}

#[test]
fn many_captures_make_no_long_page_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let nothing: Vec<String> = (0..30).map(|n| format!("{}/{n}.pcap", folder.path().display())).collect();
    for file in &nothing {
        std::fs::write(file, PcapWriter::new(LinkType::ETHERNET).finish()).unwrap();
    }
    let file = fixture();
    let mut files: Vec<&str> = nothing.iter().map(String::as_str).collect();
    files.push(file.to_str().unwrap()); // twice, and it says once what it says of itself
    let page = page(&files);
    assert_eq!(page.matches("a simulation, no evidence of anything</p>").count(), 1);
    assert_eq!(page.matches("17.pcap").count(), 3, "in limits, inputs and the command");
    for part in ["30 of 32 captures have nothing that a chart", "No finding in 30 of 32 captures"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn it_needs_nothing_else_and_runs_nothing() {
    let page = page(&[]);
    assert!(page.contains("default-src 'none'"));
    for part in [
        "<script",
        "javascript:",
        "@import",
        "url(",
        "<iframe",
        "<object",
        "<link rel=\"stylesheet\"",
        " style=\"",
        " onload",
    ] {
        assert!(!page.contains(part), "{part}");
    }
    // the only address is a name of XML
    let addresses: BTreeSet<&str> = page
        .split("http")
        .map(|r| r.split('"').next().unwrap())
        .filter(|r| r.starts_with([':', 's']))
        .collect();
    assert_eq!(addresses.into_iter().collect::<Vec<_>>(), ["://www.w3.org/2000/svg"]);
    assert!(values(&page, "href").iter().all(|h| h.starts_with('#') || *h == "data:,"));
    assert!(values(&page, "src").is_empty());
}

#[test]
fn addresses_and_folders_are_left_out_unless_asked_for() {
    let hidden = page(&[]);
    for part in ["192.0.2.", "198.51.100.", "203.0.113.", "fixtures/"] {
        assert!(!hidden.contains(part), "{part}");
    }
    let shown = page(&["--show-addresses"]);
    assert!(shown.contains("192.0.2.") && shown.contains("fixtures/") && shown.contains("--show-addresses"));
}

#[test]
fn a_screen_reader_finds_its_way() {
    let page = page(&[]);
    assert!(page.contains("<html lang=\"en\" dir=\"ltr\">"));
    for landmark in ["<header", "<main", "<footer"] {
        assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
    }
    let mut level = 0;
    for rest in page.split("<h").skip(1) {
        let Some(n) = rest.chars().next().and_then(|c| c.to_digit(10)) else { continue };
        assert!(n <= level + 1, "a heading of level {n} behind one of level {level}");
        level = n;
    }
    assert_eq!(page.matches("<h1").count(), 1);
    assert_eq!(page.matches("<th ").count(), values(&page, "scope").len());
    assert!(!page.contains("<th>"));
    assert_eq!(page.matches("<table").count(), page.matches("<caption").count());
    let ids = values(&page, "id");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "ids are unique");
    for reference in values(&page, "aria-labelledby").iter().flat_map(|v| v.split(' ')) {
        assert!(ids.contains(&reference), "{reference}");
    }
    // left and right are said nowhere, so that it can be turned round
    let css = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    for word in ["left", "right", "margin-top", "padding-top"] {
        assert!(!css.contains(word), "{word}");
    }
}

/// A browser, where there is one.
fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("PINCHPOINT_BROWSER").map(PathBuf::from);
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = ["chromium", "chromium-browser", "google-chrome"];
    let found =
        || std::env::split_paths(&paths).flat_map(|dir| found.map(|f| dir.join(f))).find(|p| p.exists());
    named.or_else(found)
}

/// What Chromium asks for by itself, whatever it shows; the page names no address at all, as another test has it.
fn is_browsers_own(address: &str) -> bool {
    ["google.com/", "googleapis.com/", "gvt1.com/"].iter().any(|own| address.contains(own))
}

/// What a browser says of a file: its messages, and the addresses that it asked for.
fn browsed(browser: &Path, folder: &Path, file: &Path) -> (String, Vec<String>, String) {
    let log = folder.join("net.json");
    let out = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-default-apps"])
        .args(["--enable-logging=stderr", "--dump-dom", "--virtual-time-budget=20000"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let addresses =
        log.split("\"url\":\"").skip(1).map(|r| r.split('"').next().unwrap().to_owned()).collect();
    (said, addresses, String::from_utf8_lossy(&out.stdout).into_owned())
}

#[test]
fn a_browser_shows_it_without_a_word_or_a_request() {
    let Some(browser) = browser() else {
        println!("skipped: no chromium here (apt install chromium, or name one with PINCHPOINT_BROWSER)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    std::fs::write(&file, page(&[])).unwrap();
    let (said, addresses, dom) = browsed(&browser, folder.path(), &file);
    if !dom.contains("In short") {
        println!("skipped: the browser does not run here: {}", said.lines().last().unwrap_or_default());
        return;
    }
    let messages: Vec<&str> = said.lines().filter(|l| l.contains("CONSOLE")).collect();
    assert!(messages.is_empty(), "{messages:?}");
    let fetched = |a: &&String| (a.starts_with("http") || a.starts_with("ws")) && !is_browsers_own(a);
    let asked: Vec<&String> = addresses.iter().filter(fetched).collect();
    assert!(asked.is_empty(), "{asked:?}");
    // a second reader: axe-core, where PINCHPOINT_AXE names its axe.min.js
    let Some(axe) = std::env::var_os("PINCHPOINT_AXE") else { return };
    let axe = std::fs::read_to_string(axe).unwrap();
    let run = "axe.run().then(r => { document.body.innerHTML = ''; const p = document.createElement('pre'); \
               p.textContent = 'AXE ' + JSON.stringify(r.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 120))])) + ' END'; \
               document.body.append(p); })";
    // the page's own policy forbids scripts, so the copy that is looked at goes without it
    let open = page(&[]).replace("http-equiv=\"Content-Security-Policy\"", "name=\"policy\"");
    let file = folder.path().join("axe.html");
    std::fs::write(
        &file,
        open.replace("</body>", &format!("<script>{axe}</script><script>{run}</script></body>")),
    )
    .unwrap();
    let (_, _, dom) = browsed(&browser, folder.path(), &file);
    let found = dom.rsplit("AXE ").next().unwrap().split(" END").next().unwrap().to_owned();
    assert_eq!(found, "[]", "axe-core found something");
}
