//! An end whose TCP is smoltcp: an implementation that none of us wrote.
//!
//! Without timestamps: smoltcp 0.12 does not count the option when it fills a segment, and drops what is then too long.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State as TcpState};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpListenEndpoint};

use super::congestion::Control;
use super::stack::{Stack, State};
use super::tcp::Tuning;
use crate::base::{Endpoint, Timestamp};

/// A network card that is two queues.
struct Card {
    inbox: VecDeque<Vec<u8>>,
    outbox: VecDeque<Vec<u8>>,
    mtu: usize,
}

struct Incoming(Vec<u8>);
struct Outgoing<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let r = f(&mut packet);
        self.0.push_back(packet);
        r
    }
}

impl Device for Card {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let packet = self.inbox.pop_front()?;
        Some((Incoming(packet), Outgoing(&mut self.outbox)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.outbox))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

/// One end of a connection.
pub struct Smol {
    card: Card,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    local: Endpoint,
    remote: Endpoint,
    opens: bool,
    started: bool,
    unsent: VecDeque<u8>,
    received: u64,
    closing: bool,
    aborting: bool,
    wake: Option<Timestamp>,
}

impl Smol {
    /// An end that opens the connection when it is first asked for output, or one that waits for a SYN.
    ///
    /// # Panics
    /// Panics where an address is not IPv4: smoltcp is built for that alone here.
    pub fn new(tuning: Tuning, local: Endpoint, remote: Endpoint, seed: u64, opens: bool) -> Self {
        let mtu = tuning.mss as usize + 52;
        let mut card = Card { inbox: VecDeque::new(), outbox: VecDeque::new(), mtu };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut card, Instant::ZERO);
        let (here, gateway) = (v4(local.addr), v4(remote.addr));
        interface.update_ip_addrs(|a| {
            let _ = a.push(IpCidr::new(IpAddress::Ipv4(here), 24));
        });
        let _ = interface.routes_mut().add_default_ipv4_route(gateway);
        let buffer = |n: usize| SocketBuffer::new(vec![0; n]);
        let mut socket = Socket::new(buffer(tuning.receive_buffer as usize), buffer(1 << 18));
        socket.set_congestion_control(match tuning.control {
            Control::Reno => CongestionControl::Reno,
            Control::Cubic | Control::Bbr | Control::Paced(_) => CongestionControl::Cubic,
        });
        let ack_delay = u64::try_from(tuning.ack_delay.ns() / 1000).unwrap_or(0);
        socket.set_ack_delay((ack_delay > 0).then(|| Duration::from_micros(ack_delay)));
        socket.set_nagle_enabled(false);
        let mut sockets = SocketSet::new(Vec::new());
        let socket = sockets.add(socket);
        Self {
            card,
            interface,
            sockets,
            socket,
            local,
            remote,
            opens,
            started: false,
            unsent: VecDeque::new(),
            received: 0,
            closing: false,
            aborting: false,
            wake: None,
        }
    }

    fn start(&mut self) {
        self.started = true;
        let socket = self.sockets.get_mut::<Socket>(self.socket);
        let port = self.local.port;
        let here = IpListenEndpoint { addr: Some(IpAddress::Ipv4(v4(self.local.addr))), port };
        if self.opens {
            let there = (IpAddress::Ipv4(v4(self.remote.addr)), self.remote.port);
            let _ = socket.connect(self.interface.context(), there, here);
        } else {
            let _ = socket.listen(here);
        }
    }

    fn work(&mut self) {
        let socket = self.sockets.get_mut::<Socket>(self.socket);
        while socket.can_send() && !self.unsent.is_empty() {
            let (first, _) = self.unsent.as_slices();
            let Ok(n) = socket.send_slice(first) else { break };
            if n == 0 {
                break;
            }
            self.unsent.drain(..n);
        }
        while socket.can_recv() {
            let Ok(n) = socket.recv(|b| (b.len(), b.len())) else { break };
            self.received += n as u64;
        }
        if self.closing && self.unsent.is_empty() {
            socket.close();
        }
    }
}

fn v4(addr: IpAddr) -> Ipv4Addr {
    match addr {
        IpAddr::V4(a) => a,
        IpAddr::V6(_) => panic!("smoltcp is built for IPv4 here; use the model for IPv6"),
    }
}

fn instant(now: Timestamp) -> Instant {
    Instant::from_micros(now.ns() / 1000)
}

impl Stack for Smol {
    fn input(&mut self, _: Timestamp, packet: &[u8]) {
        self.card.inbox.push_back(packet.to_vec());
    }

    fn output(&mut self, now: Timestamp, out: &mut Vec<Vec<u8>>) {
        let at = instant(now);
        if !self.started {
            // the clock is set first; what came in meanwhile waits for the socket
            let early = std::mem::take(&mut self.card.inbox);
            self.interface.poll(at, &mut self.card, &mut self.sockets);
            self.start();
            self.card.inbox = early;
        }
        // input, the program, output, until nothing changes
        for _ in 0..16 {
            self.interface.poll(at, &mut self.card, &mut self.sockets);
            if self.aborting {
                self.aborting = false;
                self.sockets.get_mut::<Socket>(self.socket).abort();
                continue;
            }
            let before = (self.received, self.unsent.len());
            self.work();
            let nothing = before == (self.received, self.unsent.len());
            if nothing && self.card.inbox.is_empty() {
                self.interface.poll(at, &mut self.card, &mut self.sockets);
                break;
            }
        }
        out.extend(self.card.outbox.drain(..));
        let wake = self.interface.poll_at(at, &self.sockets);
        // never earlier than the next microsecond, or time would stand still
        self.wake = wake.map(|w| Timestamp::from_ns(w.total_micros().max(at.total_micros() + 1) * 1000));
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.wake
    }

    fn write(&mut self, data: &[u8]) {
        self.unsent.extend(data);
    }

    fn received(&self) -> u64 {
        self.received
    }

    fn peer_closed(&self) -> bool {
        let socket = self.sockets.get::<Socket>(self.socket);
        matches!(
            socket.state(),
            TcpState::CloseWait | TcpState::LastAck | TcpState::Closing | TcpState::TimeWait
        )
    }

    fn close(&mut self) {
        self.closing = true;
    }

    fn abort(&mut self) {
        self.aborting = true;
    }

    fn state(&self) -> State {
        if !self.started {
            return State::Opening;
        }
        match self.sockets.get::<Socket>(self.socket).state() {
            TcpState::Closed | TcpState::TimeWait => State::Over,
            TcpState::Listen | TcpState::SynSent | TcpState::SynReceived => State::Opening,
            _ => State::Open,
        }
    }
}
