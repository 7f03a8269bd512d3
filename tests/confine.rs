//! A process that reads captures opens what it was told and nothing else, reaches nobody, and still does all that it is for.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

mod program;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pinchpoint::live::confine::{Confined, Needs, confine};

use program::{piped, program, run};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pakistan-2024/capture.pcapng")
}

#[test]
fn nothing_else_is_opened_and_nobody_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (input, secret, out, own) = (at("in.pcap"), at("secret"), at("out"), at("own"));
    for file in [&input, &secret] {
        fs::write(file, "x").unwrap();
    }
    for dir in [&out, &own] {
        fs::create_dir(dir).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = listener.local_addr().unwrap();
    let mut open_before = File::open(&secret).unwrap();
    let needs =
        Needs { read: vec![input.clone(), at("missing")], write: vec![out.clone()], own: vec![own.clone()] };
    // a thread is confined for good, and its threads with it; the others are not
    let confined = std::thread::spawn(move || {
        let confined = confine(&needs);
        assert_eq!(fs::read(&input).unwrap(), b"x", "what it was told can be read");
        let mut before = Vec::new();
        std::io::Read::read_to_end(&mut open_before, &mut before).unwrap();
        assert_eq!(before, b"x", "and what was open stays open");
        assert_eq!(File::open(at_missing(&input)).unwrap_err().kind(), ErrorKind::NotFound);
        fs::write(out.join("a.part"), "y").unwrap();
        fs::rename(out.join("a.part"), out.join("a")).unwrap();
        fs::create_dir_all(own.join("b/c")).unwrap();
        fs::write(own.join("b/c/d"), "z").unwrap();
        assert_eq!(fs::read(own.join("b/c/d")).unwrap(), b"z");
        if confined.files {
            let inherited = std::thread::spawn(move || {
                let denied = |e: std::io::Error| assert_eq!(e.kind(), ErrorKind::PermissionDenied, "{e}");
                denied(File::open(&secret).unwrap_err());
                denied(File::open("/etc/passwd").unwrap_err());
                denied(fs::write(&secret, "w").unwrap_err());
                denied(fs::read_dir("/").unwrap_err());
                denied(fs::write(&input, "w").unwrap_err());
                denied(fs::read(out.join("a")).unwrap_err());
                denied(fs::create_dir(out.join("dir")).unwrap_err());
            });
            inherited.join().unwrap();
        }
        if confined.calls {
            let denied = |e: std::io::Error| assert_eq!(e.kind(), ErrorKind::PermissionDenied, "{e}");
            denied(TcpStream::connect(peer).unwrap_err());
            denied(UdpSocket::bind("127.0.0.1:0").unwrap_err());
            denied(program(&[]).spawn().unwrap_err());
        }
        confined
    });
    let confined = confined.join().unwrap();
    match confined {
        Confined { files: true, calls: true } => {}
        Confined { files, calls } => {
            println!("skipped: this kernel has Landlock: {files}, seccomp: {calls}");
        }
    }
    assert!(File::open("/etc/passwd").is_ok() && TcpStream::connect(peer).is_ok(), "other threads go on");
}

fn at_missing(input: &Path) -> PathBuf {
    input.with_file_name("missing")
}

/// What the kernel says of a process that waits for its input.
#[test]
fn the_program_is_confined_before_it_reads() {
    let mut child = piped(&["analyze", "-"]);
    let status = format!("/proc/{}/status", child.id());
    let begun = std::time::Instant::now();
    let confined = std::thread::spawn(|| confine(&Needs::default())).join().unwrap();
    let wanted = if confined.calls { "Seccomp:\t2" } else { "Seccomp:\t" };
    while !fs::read_to_string(&status).unwrap().contains(wanted) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", fs::read_to_string(&status).unwrap());
        std::thread::sleep(Duration::from_millis(10));
    }
    child.stdin.take().unwrap().write_all(&fs::read(fixture()).unwrap()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(String::from_utf8(out.stdout).unwrap().contains("x.com"), "and it reads a pipe as ever");
}

/// Every command that is confined does what it does without: the whole is compared with files, pipes and named pipes.
#[test]
fn every_command_works_confined() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let file = fixture();
    let file = file.to_str().unwrap();
    let ok = |args: &[&str]| {
        let out = run(args);
        assert_eq!(out.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    let whole = ok(&["analyze", file]);
    assert!(!ok(&["info", file, "--sha256"]).is_empty());
    ok(&["annotate", file, "-o", &path("copy.pcapng")]);
    assert!(fs::metadata(path("copy.pcapng")).unwrap().len() > 100_000);
    let shell = |line: &str| {
        let out = Command::new("bash").args(["-c", line]).current_dir(folder.path()).output().unwrap();
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let program = env!("CARGO_BIN_EXE_pinchpoint");
    let whole = String::from_utf8(whole).unwrap();
    let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    for line in [
        format!("{program} analyze - < {file}"),
        format!("cat {file} | {program} analyze -"),
        format!("{program} analyze /dev/stdin < {file}"),
        format!("{program} analyze <(cat {file})"),
        format!("mkfifo named && (cat {file} > named &) && {program} analyze named"),
        format!("cp {file} here.pcapng && ln -s here.pcapng link.pcapng && {program} analyze link.pcapng"),
    ] {
        assert_eq!(lines(&shell(&line)), lines(&whole), "{line}");
    }
    shell(&format!("{program} annotate here.pcapng -o again.pcapng --only-findings"));
    #[cfg(feature = "charts")]
    {
        shell(&format!("{program} chart here.pcapng --kind sequence -o s.png && test -s s.png"));
        shell(&format!(
            "{program} report here.pcapng -o deep/../report.html || {program} report here.pcapng -o report.html"
        ));
        assert!(fs::metadata(path("report.html")).unwrap().len() > 10_000);
    }
    #[cfg(feature = "tables")]
    {
        let out = path("a/b/out");
        ok(&["analyze", file, "--out", &out]);
        assert!(Path::new(&out).join("connections").is_dir());
        assert!(!ok(&["summarize", &out]).is_empty());
        #[cfg(feature = "charts")]
        shell(&format!("{program} summarize {out} --chart s.svg && test -s s.svg"));
        ok(&["analyze", file, "--out", &out]);
    }
    let missing = run(&["analyze", "/no/such/file"]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(
        String::from_utf8(missing.stderr).unwrap().contains("No such file"),
        "the reason stays the reason"
    );
}
