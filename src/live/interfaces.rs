//! Network interfaces as a person knows them, and why one cannot be recorded from.

use std::fmt;
use std::net::IpAddr;

use super::tap::Tap;
use crate::base::text::Sentence;

/// How to open an interface.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name.
    pub interface: String,
    /// Most bytes of a packet.
    pub snaplen: u32,
    /// Filter in libpcap's language; empty for none.
    pub filter: String,
    /// Whether packets meant for others are taken too.
    pub promiscuous: bool,
}

/// Whether packets can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is up, and connected as far as the system knows.
    Up,
    /// It is up, and no cable or network is there.
    Disconnected,
    /// It is down.
    Down,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, as `-i` takes it.
    pub name: String,
    /// What the system says it is.
    pub description: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether packets can come.
    pub state: State,
    /// Whether it is wireless.
    pub wireless: bool,
    /// Whether it is the machine's own loop.
    pub loopback: bool,
}

impl fmt::Display for Interface {
    /// `wlan0  up, wireless  192.0.2.17, fe80::1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = vec![match self.state {
            State::Up => "up",
            State::Disconnected => "not connected",
            State::Down => "down",
        }];
        words.extend(self.wireless.then_some("wireless"));
        words.extend(self.loopback.then_some("loopback"));
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let name = Sentence(&self.name).to_string();
        let what = self.description.iter().map(|d| Sentence(d).to_string());
        let rest: Vec<String> = addresses.into_iter().chain(what).collect();
        let line = format!("{name:18} {:16} {}", words.join(", "), rest.join(", "));
        f.write_str(line.trim_end())
    }
}

/// Why an interface cannot be recorded from; each says what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This build has no libpcap.
    NoLibpcap,
    /// The system does not let this user.
    Permission(String),
    /// There is no such interface.
    NoSuch(String),
    /// The interface is down.
    Down(String),
    /// The filter cannot be compiled.
    Filter(String),
    /// Anything else, in the system's words.
    Other(String),
}

impl Failure {
    /// What libpcap's words mean.
    pub fn of(interface: &str, words: &str) -> Self {
        let says = |what: &[&str]| what.iter().any(|w| words.contains(w));
        if says(&["ermission", "not permitted", "Access denied"]) {
            Self::Permission(interface.to_owned())
        } else if says(&["No such device", "doesn't exist", "does not exist", "not found"]) {
            Self::NoSuch(interface.to_owned())
        } else if says(&["is not up", "Network is down"]) {
            Self::Down(interface.to_owned())
        } else {
            Self::Other(words.to_owned())
        }
    }
}

/// How this build can be given live capture.
pub const INSTALL: &str = "install libpcap and build again: apt install libpcap-dev | dnf install libpcap-devel | \
     brew install libpcap; then cargo install --path . (without it: tcpdump -i IF -U -w - | pinchpoint live -r -)";

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLibpcap => {
                write!(
                    f,
                    "this build has no live capture, as libpcap was missing when it was built\nhelp: {INSTALL}"
                )
            }
            Self::Permission(i) => {
                let exe = std::env::current_exe()
                    .map_or_else(|_| "$(command -v pinchpoint)".into(), |p| p.display().to_string());
                let mend = match std::env::consts::OS {
                    "linux" => format!("let this program record, once: sudo setcap cap_net_raw+ep {exe}"),
                    "macos" => {
                        "let your user record until the next start: sudo chown $(whoami) /dev/bpf*".to_owned()
                    }
                    _ => "run it as an administrator".to_owned(),
                };
                write!(f, "you may not record from {}\nhelp: {mend}", Sentence(i))
            }
            Self::NoSuch(i) => {
                write!(
                    f,
                    "there is no interface {}\nhelp: pinchpoint capture -D lists those that there are",
                    Sentence(i)
                )
            }
            Self::Down(i) => {
                let i = Sentence(i);
                write!(f, "the interface {i} is down\nhelp: sudo ip link set {i} up")
            }
            Self::Filter(words) => {
                write!(
                    f,
                    "the filter is not understood: {}\nhelp: its language is that of tcpdump: man pcap-filter",
                    Sentence(words)
                )
            }
            Self::Other(words) => write!(f, "the interface cannot be opened: {}", Sentence(words)),
        }
    }
}

/// Opens an interface.
///
/// # Errors
/// Why that cannot be, and what mends it.
#[cfg(libpcap)]
pub fn open(wanted: Wanted) -> Result<Box<dyn Tap + Send>, Failure> {
    Ok(Box::new(super::device::Opened::open(wanted)?))
}

/// Opens an interface: not in this build.
///
/// # Errors
/// Always.
#[cfg(not(libpcap))]
pub fn open(_wanted: Wanted) -> Result<Box<dyn Tap + Send>, Failure> {
    Err(Failure::NoLibpcap)
}

/// All interfaces that can be recorded from.
///
/// # Errors
/// The system's words; that this build has no libpcap.
#[cfg(libpcap)]
pub fn list() -> Result<Vec<Interface>, Failure> {
    super::device::list()
}

/// All interfaces that can be recorded from: not in this build.
///
/// # Errors
/// Always.
#[cfg(not(libpcap))]
pub const fn list() -> Result<Vec<Interface>, Failure> {
    Err(Failure::NoLibpcap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_says_what_mends_it() {
        let says = |words: &str| Failure::of("eth9", words).to_string();
        let denied = "You don't have permission to perform this capture on that device (socket: Operation not permitted)";
        assert!(says("eth9: No such device exists (No such device exists)").contains("capture -D"));
        if cfg!(target_os = "linux") {
            assert!(says(denied).contains("sudo setcap cap_net_raw+ep /"));
        }
        assert!(says("eth9: That device is not up").contains("ip link set eth9 up"));
        assert!(says("\u{1b}[2J odd").contains("\\u{1b}[2J odd"));
        assert!(Failure::NoLibpcap.to_string().contains("apt install libpcap-dev"));
    }

    #[test]
    fn an_interface_is_shown_on_one_line() {
        let i = Interface {
            name: "wlan0".into(),
            description: None,
            addresses: vec![[192, 0, 2, 17].into()],
            state: State::Up,
            wireless: true,
            loopback: false,
        };
        assert_eq!(i.to_string(), "wlan0              up, wireless     192.0.2.17");
    }
}
