//! Two namespaces joined by a pair of interfaces, and the program in one of them.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use std::os::fd::AsFd;

static ONE: Mutex<()> = Mutex::new(());

/// Tests of this file run one after the other: they share the machine. `None`, and the reason printed, where they cannot.
pub(crate) fn alone() -> Option<MutexGuard<'static, ()>> {
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let probe = format!("pi-probe-{}", std::process::id());
    let netns = |what: &str| Command::new("ip").args(["netns", what, &probe]).output();
    let why = if !cfg!(libpcap) {
        "needs a build with libpcap"
    } else if !rustix::process::geteuid().is_root() {
        "needs root, for network namespaces"
    } else if !Path::new("/dev/net/tun").exists() {
        "needs /dev/net/tun"
    } else if Command::new("ip").arg("-V").output().is_err() {
        "needs ip (apt-get install iproute2)"
    } else if !netns("add").is_ok_and(|o| o.status.success()) {
        "needs the right to make network namespaces"
    } else {
        let _ = netns("del");
        return Some(one);
    };
    println!("skipped: {why}");
    None
}

pub(crate) fn ip(args: &[&str]) {
    let done = Command::new("ip").args(args).output().unwrap();
    assert!(done.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&done.stderr));
}

/// A sender and a receiver, each in a namespace of its own, joined by a cable.
pub(crate) struct Pair {
    pub(crate) sender: String,
    pub(crate) receiver: String,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let [sender, receiver] = ["a", "b"].map(|side| format!("pi{side}-{}", std::process::id()));
        for name in [&sender, &receiver] {
            let _ = Command::new("ip").args(["netns", "del", name]).output();
            ip(&["netns", "add", name]);
            // no IPv6: nothing is sent that the test does not send
            ip(&["netns", "exec", name, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"]);
        }
        let pair = Self { sender, receiver };
        pair.cable();
        pair
    }

    /// Joins the two.
    pub(crate) fn cable(&self) {
        let Self { sender, receiver } = self;
        ip(&["-n", sender, "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", receiver]);
        for (name, device, address) in [(sender, "out", "192.0.2.1/24"), (receiver, "in", "192.0.2.2/24")] {
            ip(&["-n", name, "addr", "add", address, "dev", device]);
            ip(&["-n", name, "link", "set", device, "up"]);
            ip(&["-n", name, "link", "set", "lo", "up"]);
        }
    }

    /// Sends UDP datagrams, each with its number, as fast as `every` allows; gives how many.
    pub(crate) fn send(&self, count: u32, len: usize, every: Duration) -> u32 {
        let name = self.sender.clone();
        let thread = std::thread::spawn(move || {
            enter(&name);
            let socket = UdpSocket::bind("192.0.2.1:5000").unwrap();
            let mut data = vec![7; len];
            let begun = Instant::now();
            for n in 0..count {
                data[..4].copy_from_slice(&n.to_be_bytes());
                while socket.send_to(&data, "192.0.2.2:9").is_err() {} // the port is closed, and says so
                let due = every * (n + 1);
                if let Some(early) = due.checked_sub(begun.elapsed())
                    && early > Duration::from_millis(1)
                {
                    std::thread::sleep(early);
                }
            }
            count
        });
        thread.join().unwrap()
    }

    /// The program in the receiver's namespace, once it says that it records.
    pub(crate) fn program(&self, args: &[&str]) -> Program {
        Program::start(&self.receiver, args)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in [&self.sender, &self.receiver] {
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}

pub(crate) fn enter(name: &str) {
    let file = std::fs::File::open(format!("/var/run/netns/{name}")).unwrap();
    let network = Some(rustix::thread::LinkNameSpaceType::Network);
    rustix::thread::move_into_link_name_space(file.as_fd(), network).unwrap();
}

/// The program, running.
pub(crate) struct Program {
    child: Child,
    said: std::sync::Arc<Mutex<String>>,
}

impl Program {
    pub(crate) fn start(namespace: &str, args: &[&str]) -> Self {
        let program = Self::start_with(namespace, args, Stdio::null());
        program.wait_for("recording ");
        program
    }

    pub(crate) fn start_with(namespace: &str, args: &[&str], stdout: Stdio) -> Self {
        let mut child = Command::new("ip")
            .args(["netns", "exec", namespace, env!("CARGO_BIN_EXE_pinchpoint")])
            .args(args)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = std::sync::Arc::new(Mutex::new(String::new()));
        let (to, from) = (said.clone(), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                to.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, said }
    }

    pub(crate) fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().unwrap()
    }

    /// What it said so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn wait_for(&self, text: &str) {
        let begun = Instant::now();
        while !self.said().contains(text) {
            assert!(begun.elapsed() < Duration::from_secs(20), "never said {text:?}: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string() // ip execs into the program
    }

    pub(crate) fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.pid()]).status().unwrap().success());
    }

    /// Waits for its end; gives the exit code and all that it said.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                std::thread::sleep(Duration::from_millis(50)); // the last words
                return (status.code(), self.said());
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
