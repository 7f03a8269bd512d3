//! `pinchpoint live` on real hosts: a TLS client and server of the machine's own kernel, with a middlebox between them
//! that resets, drops and polices. It is found within a second, and is the same in the file afterwards.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pinchpoint::testkit::path::scenario::{Scenario, read};
use serde_json::Value;

use crate::hosts;
use crate::net::{Pair, Program, alone};

/// x.com is reset, video.twimg.com policed, www.twitter.com dropped; example.org is left alone.
pub(crate) const SCENARIO: &str = r#"
about = "Three names, and what is done to each; a fourth that is left alone."

[[covers]]
rule = "RST001"
class = "positive"

[[server]]
names = ["x.com", "example.org", "www.twitter.com", "video.twimg.com"]
address = "203.0.113.80"

[[connection]]
name = "example.org"
at_s = 0.5
count = 5
every_s = 2
requests = [{ down = 60000 }]

[[connection]]
name = "x.com"
at_s = 1
count = 4
every_s = 2

[[connection]]
name = "www.twitter.com"
at_s = 1.2
count = 4
every_s = 1
patience_s = 6

[[connection]]
name = "video.twimg.com"
at_s = 1.5
count = 2
every_s = 6
requests = [{ down = 110000 }]
patience_s = 8

[[path]]
kind = "hops"
count = 4
delay_ms = 6

[[path]]
kind = "injector"
target = { names = ["x.com"] }
flags = "RST+AE+R3"
ttl = { fixed = 64 }
delay_ms = [0.4, 2.5]

[[path]]
kind = "dropper"
target = { names = ["twitter.com"] }
way = "to_server"

[[path]]
kind = "policer"
target = { names = ["twimg.com"] }
rate_bps = 150000
burst = 12000

[[path]]
kind = "hops"
count = 9
delay_ms = 30

[[capture]]
at = "client"
"#;

pub(crate) fn scenario() -> Scenario {
    read("live", SCENARIO).unwrap().remove(0).1
}

fn now_ns() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// A line, and when it came.
struct Line {
    at_ns: i64,
    json: Value,
}

#[test]
fn what_a_box_does_is_said_within_a_second_and_stays_true() {
    let Some(_alone) = alone() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pcapng");
    let path = file.to_str().unwrap();
    let (to, lines) = channel();
    let mut program = None;
    hosts::play_watched(90, &scenario(), 7, |namespace| {
        let args = ["live", "-i", namespace, "-w", path, "--format", "ndjson"];
        let mut started = Program::start_with(namespace, &args, Stdio::piped());
        started.wait_for("recording ");
        let stdout = started.stdout();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let line = Line { at_ns: now_ns(), json: serde_json::from_str(&line).unwrap() };
                if to.send(line).is_err() {
                    return;
                }
            }
        });
        program = Some(started);
    });
    let program = program.unwrap();
    program.signal("-INT");
    let (code, said) = program.end();
    println!("{said}");
    assert!(matches!(code, Some(0)), "{code:?}: {said}");
    assert!(said.contains("0 dropped by the kernel") && !said.contains("not analysed"), "{said}");
    std::thread::sleep(Duration::from_millis(200));
    let lines: Vec<Line> = lines.try_iter().collect();
    let live: Vec<&Line> = lines.iter().filter(|l| l.json["live"].is_object()).collect();

    // soon: the line comes within a second of the last packet that it rests on
    for l in &live {
        let after = (l.at_ns - l.json["live"]["seen_ns"].as_i64().unwrap()) as f64 / 1e9;
        println!(
            "{:5.2} s after its last packet: {} {} {} {}",
            after, l.json["live"]["change"], l.json["level"], l.json["code"], l.json["sni"]
        );
        assert!(after < 1.0, "{} came after {after} s", l.json);
    }
    let resets = live.iter().filter(|l| {
        l.json["code"] == "RST001" && l.json["sni"] == "x.com" && l.json["live"]["change"] == "new"
    });
    let mut soon = 0;
    for l in resets {
        let after = (l.at_ns - l.json["at_ns"].as_i64().unwrap()) as f64 / 1e9;
        assert!(after < 1.0, "a reset was said after {after} s");
        soon += 1;
    }
    assert!(soon >= 3, "{soon} of four resets were said as they happened");

    // the same: the lines at the end are those of the recorded file
    let whole = Command::new(env!("CARGO_BIN_EXE_pinchpoint"))
        .args(["analyze", "--format", "ndjson", path])
        .output()
        .unwrap();
    let whole = String::from_utf8(whole.stdout).unwrap();
    let whole: Vec<Value> = whole.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let end = lines.iter().position(|l| l.json["type"] == "capture").unwrap();
    let end: Vec<&Value> = lines[end..].iter().map(|l| &l.json).collect();
    assert_eq!(end, whole.iter().collect::<Vec<_>>());

    // and right
    let name = |n: &str| whole.iter().find(|l| l["type"] == "name" && l["name"] == n).unwrap().clone();
    for n in ["x.com", "www.twitter.com", "video.twimg.com", "example.org"] {
        println!("{}", name(n)["sentence"]);
    }
    assert!(name("x.com")["reset"].as_u64() >= Some(3));
    assert!(name("www.twitter.com")["dropped"].as_u64() >= Some(3));
    // how sure a policer is depends on how the machine was loaded: what is said at the end is held to `analyze` above
    assert!(live.iter().any(|l| l.json["code"] == "CAP001" && l.json["sni"] == "video.twimg.com"));
    assert_eq!(name("example.org")["conclusion"], "no_interference_seen");
}

#[test]
fn a_reader_that_goes_away_leaves_the_recording_whole() {
    let Some(_alone) = alone() else { return };
    let (pair, folder) = (Pair::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("a.pcapng");
    let args = ["live", "-i", "in", "-w", file.to_str().unwrap(), "--format", "ndjson"];
    let mut program = Program::start_with(&pair.receiver, &args, Stdio::piped());
    program.wait_for("recording ");
    drop(program.stdout());
    let sent = pair.send(3000, 100, Duration::from_millis(1));
    let (code, said) = program.end();
    assert_eq!(code, Some(0), "{said}");
    let out =
        Command::new(env!("CARGO_BIN_EXE_pinchpoint")).args(["info", "--format", "json"]).arg(&file).output();
    let info: Value = serde_json::from_slice(&out.unwrap().stdout).unwrap();
    assert_eq!(info["captures"][0]["truncated"], false);
    let packets = info["captures"][0]["packets"].as_u64().unwrap();
    println!("{packets} of {sent} packets recorded until it ended");
    assert!(packets > 0);
}
