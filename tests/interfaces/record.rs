//! `pinchpoint capture`: all that was sent is in the file, whatever happens.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pinchpoint::capture::{End, Facts, Source, open_path};

use crate::net::{Pair, alone, ip};

/// The numbers of the datagrams in a file, and what it says besides.
fn read(path: &Path) -> (Vec<u32>, Facts) {
    let mut source = open_path(path).unwrap();
    let mut numbers = Vec::new();
    while let Some(f) = source.next_frame() {
        // Ethernet, IPv4, UDP to port 9
        if f.data.len() >= 46 && f.data[12..14] == [8, 0] && f.data[23] == 17 && f.data[36..38] == [0, 9] {
            numbers.push(u32::from_be_bytes(f.data[42..46].try_into().unwrap()));
        }
    }
    (numbers, source.facts().clone())
}

fn all(count: u32) -> Vec<u32> {
    (0..count).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_packet_sent_is_in_the_file() {
    let Some(_alone) = alone() else { return };
    let (pair, folder) = (Pair::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("a.pcapng");
    let program = pair.program(&["capture", "-i", "in", "-w", text(&file), "udp", "port", "9"]);
    // 10,000 packets a second: 10 seconds of it where it is asked for (`PINCHPOINT_SECONDS=60` in .ci/run)
    let seconds: u32 = std::env::var("PINCHPOINT_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(3);
    let sent = pair.send(10_000 * seconds, 200, Duration::from_micros(100));
    program.signal("-USR1");
    program.wait_for("packets captured");
    program.signal("-INT");
    let (code, said) = program.end();
    println!("{said}");
    let (found, facts) = read(&file);
    assert_eq!(found, all(sent), "each once, in order");
    assert!(said.contains(&format!("{sent} packets captured, {sent} received by the filter, 0 dropped by the kernel, 0 by the interface, ")), "{said}");
    // 200 bytes each, of which 64 KiB are whole and then 64 bytes
    assert!(said.contains("of payload left out (--all records it); "), "{said}");
    assert_eq!((code, &facts.ended), (Some(0), &End::Complete), "{said}");
    assert_eq!((facts.received, facts.dropped.total()), (Some(u64::from(sent)), Some(0)));
    let i = &facts.interfaces[0];
    assert_eq!(
        (i.name.as_deref(), i.filter.as_deref(), i.snaplen),
        (Some("in"), Some("udp port 9"), 262_144)
    );
    assert!(facts.application.is_some_and(|a| a.starts_with("pinchpoint ")));
}

#[test]
fn it_ends_by_itself() {
    let Some(_alone) = alone() else { return };
    let (pair, folder) = (Pair::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("a.pcapng");
    let program = pair.program(&["capture", "-i", "in", "-w", text(&file), "-c", "25", "-s", "96", "udp"]);
    pair.send(100, 500, Duration::from_millis(1));
    assert_eq!(program.end().0, Some(0));
    assert_eq!(read(&file).0, all(25));
    let (file, begun) = (folder.path().join("b.pcapng"), Instant::now());
    let args = ["capture", "-i", "in", "-w", text(&file), "--duration", "1", "--target", "x"];
    let (code, said) = pair.program(&args).end();
    assert_eq!(code, Some(0));
    assert!(
        said.contains("whole: DNS, and conversations with x.com, twitter.com, t.co, twimg.com"),
        "{said}"
    );
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert_eq!(read(&file).1.ended, End::Complete, "nothing came, and the file is whole");
}

#[test]
fn what_is_there_after_a_kill_is_read() {
    let Some(_alone) = alone() else { return };
    let (pair, folder) = (Pair::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("a.pcapng");
    let program = pair.program(&["capture", "-i", "in", "-w", text(&file), "udp"]);
    pair.send(5000, 100, Duration::from_micros(500));
    std::thread::sleep(Duration::from_secs(1));
    program.signal("-KILL");
    program.end();
    assert_eq!(read(&file).0, all(5000), "all that was sent a second before");
}

#[test]
fn a_ring_is_honoured() {
    let Some(_alone) = alone() else { return };
    let (pair, folder) = (Pair::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("ring.pcapng");
    let args = ["capture", "-i", "in", "-w", text(&file), "-C", "40000B", "-W", "3", "-s", "1500", "udp"];
    let program = pair.program(&args);
    let sizes = || -> Vec<u64> {
        let files = std::fs::read_dir(folder.path()).unwrap();
        files.filter_map(|e| Some(e.unwrap().metadata().ok()?.len())).collect()
    };
    for _ in 0..20 {
        pair.send(50, 300, Duration::from_micros(200));
        let sizes = sizes();
        assert!(sizes.len() <= 3 && sizes.iter().all(|s| *s <= 40_000), "{sizes:?}");
    }
    std::thread::sleep(Duration::from_millis(300));
    program.signal("-TERM");
    let (code, said) = program.end();
    assert_eq!(code, Some(0), "{said}");
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    let kept: usize = names.iter().map(|n| read(n).0.len()).sum();
    println!("{kept} packets in {names:?}, {:?} bytes", sizes());
    assert!(kept > 200);
    // 1000 packets of 342 bytes need ten files; each is full but for less than one packet
    assert!(sizes().iter().filter(|s| **s > 40_000 - 376).count() >= 2, "{:?}", sizes());
}

#[test]
fn an_interface_may_go_and_come_back() {
    let Some(_alone) = alone() else { return };
    let (pair, folder) = (Pair::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("a.pcapng");
    let program = pair.program(&["capture", "-i", "in", "-w", text(&file), "udp"]);
    pair.send(10, 100, Duration::from_millis(1));
    std::thread::sleep(Duration::from_millis(300));
    ip(&["-n", &pair.receiver, "link", "set", "in", "down"]);
    program.wait_for("the interface is down");
    ip(&["-n", &pair.receiver, "link", "set", "in", "up"]);
    program.wait_for("the interface is up again");
    pair.send(20, 100, Duration::from_millis(1));
    std::thread::sleep(Duration::from_millis(300));
    ip(&["-n", &pair.receiver, "link", "del", "in"]);
    program.wait_for("waiting for it to come back");
    pair.cable();
    program.wait_for("the interface is back after");
    pair.send(30, 100, Duration::from_millis(1));
    std::thread::sleep(Duration::from_millis(300));
    program.signal("-INT");
    let (code, said) = program.end();
    let (found, facts) = read(&file);
    assert_eq!((code, found), (Some(0), [all(10), all(20), all(30)].concat()), "{said}");
    let comments: Vec<_> = facts.comments.iter().map(|c| c.text.as_str()).collect();
    for text in ["the interface is down", "the interface is up again", "the interface fails", "is back after"]
    {
        assert!(comments.iter().any(|c| c.contains(text)), "{text}: {comments:?}");
    }
}

#[test]
fn a_full_disk_ends_it_cleanly() {
    let Some(_alone) = alone() else { return };
    let (pair, folder) = (Pair::new(), tempfile::tempdir().unwrap());
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none", text(folder.path())]).status();
    if !mounted.is_ok_and(|s| s.success()) {
        println!("skipped: needs the right to mount a small disk");
        return;
    }
    let file = folder.path().join("a.pcapng");
    let program = pair.program(&["capture", "-i", "in", "-w", text(&file), "udp"]);
    pair.send(3000, 300, Duration::from_micros(300));
    let (code, said) = program.end();
    let length = std::fs::metadata(&file).unwrap().len();
    let (found, facts) = read(&file);
    assert!(Command::new("umount").arg(folder.path()).status().unwrap().success());
    println!("{said}");
    assert_eq!((code, facts.ended), (Some(4), End::Complete), "{said}");
    assert!(said.contains("cannot be written any more") && said.contains("packets are whole"), "{said}");
    assert_eq!(found, all(u32::try_from(found.len()).unwrap()), "whole blocks only");
    assert!(said.contains(&format!("its {} packets are whole", found.len())), "{said}");
    assert!(found.len() > 300 && length <= 262_144, "{} packets, {length} bytes", found.len());
}

#[test]
fn rights_are_given_away() {
    let Some(_alone) = alone() else { return };
    let (pair, folder) = (Pair::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("a.pcapng");
    let program = pair.program(&["live", "--format", "ndjson", "-i", "in", "-w", text(&file)]);
    std::thread::sleep(Duration::from_millis(300));
    let mut rights = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{}/task", program.pid())).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap().trim().to_owned();
        rights.push((field("Name:"), field("CapEff:"), field("CapPrm:"), field("NoNewPrivs:")));
        // where the kernel has seccomp, what analyses is confined by it
        if field("Name:") == "analysis" && Path::new("/proc/sys/kernel/seccomp").exists() {
            assert_eq!(field("Seccomp:"), "2");
        }
    }
    program.signal("-INT");
    assert_eq!(program.end().0, Some(0));
    println!("{rights:?}");
    let net_raw = format!("{:016x}", 1 << 13);
    for (name, effective, permitted, locked) in &rights {
        let wanted =
            if ["analysis", "sync"].contains(&&**name) { format!("{:016x}", 0) } else { net_raw.clone() };
        assert_eq!((effective, permitted, &**locked), (&wanted, &wanted, "1"), "{name}");
    }
    assert!(rights.iter().any(|(name, ..)| name == "analysis"));
}

#[test]
fn each_refusal_says_what_mends_it() {
    use std::os::unix::process::CommandExt;
    let Some(_alone) = alone() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pcapng");
    // where nobody can run it: a copy outside of root's folders
    let copy = std::env::temp_dir().join(format!("pinchpoint-{}", std::process::id()));
    std::fs::copy(env!("CARGO_BIN_EXE_pinchpoint"), &copy).unwrap();
    let denied = Command::new(&copy)
        .args(["capture", "-i", "lo", "-w", "/tmp/x.pcapng"])
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    let listed = Command::new(&copy).args(["capture", "-D"]).uid(65_534).gid(65_534).output().unwrap();
    std::fs::remove_file(&copy).unwrap();
    let said = String::from_utf8(denied.stderr).unwrap();
    assert_eq!(denied.status.code(), Some(5), "{said}");
    assert!(said.contains(&format!("sudo setcap cap_net_raw+ep {}", copy.display())), "{said}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.lines().any(|l| l.starts_with("lo ") && l.contains("loopback") && l.contains("127.0.0.1")),
        "{listed}"
    );
    let here = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_pinchpoint")).args(args).output().unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    let (code, said) = here(&["capture", "-i", "nosuch0", "-w", text(&file)]);
    assert!(code == Some(2) && said.contains("pinchpoint capture -D"), "{said}");
    let (code, said) = here(&["capture", "-i", "lo", "-w", text(&file), "prot", "tcp"]);
    assert!(code == Some(2) && said.contains("man pcap-filter"), "{said}");
    let (code, said) = here(&["capture", "-i", "lo", "-w", text(&file), "-C", "1000B"]);
    assert!(code == Some(2) && said.contains("-C 262"), "{said}");
    assert!(!file.exists());
    std::fs::write(&file, b"").unwrap();
    let (code, said) = here(&["capture", "-i", "lo", "-w", text(&file)]);
    assert!(code == Some(2) && said.contains("never replaces a file"), "{said}");
}
