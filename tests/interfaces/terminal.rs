//! The screen of `pinchpoint live`, driven by tmux and read back.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::hosts;
use crate::live::scenario;
use crate::net::alone;

/// A terminal of tmux, with a program in it.
struct Terminal {
    name: String,
}

impl Terminal {
    fn start(folder: &Path, command: &str) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            println!("skipped: needs tmux (apt-get install tmux)");
            return None;
        }
        let name = format!("pp-{}", std::process::id());
        let done = Command::new("tmux")
            .args(["-L", &name, "new-session", "-d", "-x", "120", "-y", "32", "-c", folder.to_str().unwrap()])
            .arg(format!("{command}; echo ended with $?; sleep 30"))
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Some(Self { name })
    }

    fn tmux(&self, args: &[&str]) -> String {
        let out = Command::new("tmux").args(["-L", &self.name]).args(args).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Waits until the screen shows a text; gives the screen.
    fn shows(&self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "the screen never shows {text:?}:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn the_screen_shows_what_was_done_and_why() {
    let Some(_alone) = alone() else { return };
    let folder = tempfile::tempdir().unwrap();
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pakistan-2024/capture.pcapng");
    let command = format!("{} live -r {}", env!("CARGO_BIN_EXE_pinchpoint"), capture.display());
    let Some(t) = Terminal::start(folder.path(), &command) else { return };
    let list = t.shows("RST001");
    println!("{list}");
    for text in
        ["662 packets analysed", "✗ x.com", "✓ example.org", "slowed to 1", "confirmed RST001", "q quit"]
    {
        assert!(list.contains(text), "{text:?} is missing:\n{list}");
    }
    t.press(&["Down", "Enter"]);
    let evidence = t.shows("Evidence");
    println!("{evidence}");
    assert!(evidence.contains("prior") && evidence.contains("Wireshark: tcp.stream"), "{evidence}");
    t.press(&["s"]);
    t.shows("packets saved to pinchpoint-");
    t.press(&["Escape"]);
    t.shows("What was done to them");
    t.press(&["/", "x", ".", "c", "o", "m", "Enter"]);
    let filtered = t.shows("with “x.com”");
    assert!(filtered.contains("✗ x.com") && !filtered.contains("example.org  "), "{filtered}");
    t.press(&["Escape", "p"]);
    t.shows("PAUSED");
    t.press(&["q"]);
    t.shows("ended with 0");
    let text = t.tmux(&["capture-pane", "-p", "-S", "-200"]);
    assert!(text.contains("Verdict on 9 connections"), "the answer stays on the terminal:\n{text}");
    let saved: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(saved.len(), 1, "{saved:?}");
    let again =
        Command::new(env!("CARGO_BIN_EXE_pinchpoint")).arg("analyze").arg(&saved[0]).output().unwrap();
    let again = String::from_utf8(again.stdout).unwrap();
    assert!(again.contains("saved by pinchpoint live"), "{again}");
}

#[test]
fn the_screen_follows_real_hosts() {
    let Some(_alone) = alone() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = None;
    hosts::play_watched(91, &scenario(), 7, |namespace| {
        let program = env!("CARGO_BIN_EXE_pinchpoint");
        let command = format!("ip netns exec {namespace} {program} live -i {namespace} -w x.pcapng");
        terminal = Terminal::start(folder.path(), &command);
        if let Some(t) = &terminal {
            t.shows("packets analysed");
        }
    });
    let Some(t) = terminal else { return };
    let screen = t.shows("✗ www.twitter.com");
    println!("{screen}");
    for text in
        ["✗ x.com", "✓ example.org", "dropped: 0 by the kernel, 0 by the interface", "RST001", "SNI001"]
    {
        assert!(screen.contains(text), "{text:?} is missing:\n{screen}");
    }
    assert!(screen.contains('█') && screen.contains("bit/s"), "rates and sparklines:\n{screen}");
    t.press(&["q"]);
    t.shows("ended with 0");
    let text = t.tmux(&["capture-pane", "-p", "-S", "-300"]);
    let whole = Command::new(env!("CARGO_BIN_EXE_pinchpoint"))
        .arg("analyze")
        .arg("x.pcapng")
        .current_dir(&folder)
        .output();
    let whole = String::from_utf8(whole.unwrap().stdout).unwrap();
    for line in whole.lines().filter(|l| l.contains("connections to")) {
        assert!(text.contains(line.trim_end()), "{line:?} is missing at the end:\n{text}");
    }
}
