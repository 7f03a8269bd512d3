//! Two hosts of the machine's own kernel, and the line between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use pinchpoint::base::{Direction, Endpoint, Span, Timestamp};
use pinchpoint::testkit::path::congestion::Control;
use pinchpoint::testkit::path::line::{Line, Meant, Next, Run};
use pinchpoint::testkit::path::packet::Packet;
use pinchpoint::testkit::path::scenario::START;
use pinchpoint::testkit::path::scenario::{Answer, Close, Scenario};
use pinchpoint::testkit::rng::Rng;

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 17);

/// Namespaces and devices, gone when this is dropped.
struct Net {
    names: [String; 2],
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}

fn ip(args: &[&str]) {
    let done = Command::new("ip").args(args).output().unwrap();
    assert!(done.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&done.stderr));
}

/// A host: its namespace, and the device that its packets come out of.
fn host(name: &str, addresses: &[IpAddr]) -> tun::Device {
    let mut config = tun::Configuration::default();
    config.tun_name(name).mtu(1500);
    let device = tun::create(&config).unwrap();
    let _ = Command::new("ip").args(["netns", "del", name]).output();
    ip(&["netns", "add", name]);
    ip(&["link", "set", name, "netns", name]);
    for a in addresses {
        ip(&["-n", name, "addr", "add", &format!("{a}/32"), "dev", name]);
    }
    ip(&["-n", name, "link", "set", "lo", "up"]);
    ip(&["-n", name, "link", "set", name, "up"]);
    ip(&["-n", name, "route", "add", "default", "dev", name]);
    device
}

fn enter(name: &str) {
    let file = File::open(format!("/var/run/netns/{name}")).unwrap();
    let network = Some(rustix::thread::LinkNameSpaceType::Network);
    rustix::thread::move_into_link_name_space(file.as_fd(), network).unwrap();
}

/// Plays a scenario with real hosts, in real time.
pub(crate) fn play(n: usize, scenario: &Scenario, seed: u64) -> Run {
    play_watched(n, scenario, seed, |_| ())
}

/// The same; `ready` is told the client's namespace, and its device of the same name, before the clients begin.
pub(crate) fn play_watched(n: usize, scenario: &Scenario, seed: u64, ready: impl FnOnce(&str)) -> Run {
    let net = Net { names: ["c", "s"].map(|side| format!("pp{side}{n}-{}", std::process::id())) };
    let servers: Vec<IpAddr> = scenario
        .server
        .iter()
        .map(|s| s.address)
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let devices = [host(&net.names[0], &[IpAddr::V4(CLIENT)]), host(&net.names[1], &servers)];
    let (to_line, from_hosts) = channel();
    let mut writers = Vec::new();
    for (side, device) in devices.into_iter().enumerate() {
        let (mut reader, writer) = device.split();
        writers.push(writer);
        let to_line: Sender<(usize, Vec<u8>)> = to_line.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(len) = reader.read(&mut buffer) {
                if len > 20
                    && buffer[0] >> 4 == 4
                    && buffer[9] == 6
                    && to_line.send((side, buffer[..len].to_vec())).is_err()
                {
                    return;
                }
            }
        });
    }
    let connections: Arc<Mutex<BTreeMap<u16, Meant>>> = Arc::default();
    let identity = identity(scenario);
    serve(&net.names[1], scenario, &identity.server);
    ready(&net.names[0]);
    let clients = connect(&net.names[0], scenario, seed, &identity.client, &connections);
    let mut run = carry(scenario, seed, &from_hosts, &mut writers, &clients);
    run.connections = std::mem::take(&mut *connections.lock().unwrap());
    run
}

/// Carries packets between the hosts until the clients are done, and two seconds longer.
fn carry(
    scenario: &Scenario,
    seed: u64,
    from_hosts: &Receiver<(usize, Vec<u8>)>,
    writers: &mut [tun::Writer],
    clients: &[std::thread::JoinHandle<()>],
) -> Run {
    let mut line = Line::new(scenario, &mut Rng::new(seed ^ 0x7069_6e63_6870_7469));
    let begun = Instant::now();
    let now = || START + Span::from_ns(i64::try_from(begun.elapsed().as_nanos()).unwrap());
    let mut due: BinaryHeap<Reverse<(Timestamp, u64)>> = BinaryHeap::new();
    let mut waiting: BTreeMap<u64, (usize, Direction, Packet)> = BTreeMap::new();
    let mut serial = 0;
    let mut over: Option<Instant> = None;
    loop {
        if over.is_none() && clients.iter().all(std::thread::JoinHandle::is_finished) {
            over = Some(Instant::now());
        }
        if over.is_some_and(|o| o.elapsed() > Duration::from_secs(2))
            || begun.elapsed() > Duration::from_secs(90)
        {
            return line.run;
        }
        let wait = due.peek().map_or(Duration::from_millis(20), |Reverse((at, _))| {
            Duration::from_nanos(u64::try_from(at.since(now()).ns()).unwrap_or(0))
                .min(Duration::from_millis(20))
        });
        let mut arrivals = Vec::new();
        match from_hosts.recv_timeout(wait) {
            Ok((side, bytes)) => {
                let (wire, direction) = line.wire_of(side == 0);
                arrivals.push((now(), wire, direction, line.packet(bytes)));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return line.run,
        }
        while let Some(Reverse((at, id))) = due.peek().copied() {
            if at > now() {
                break;
            }
            due.pop();
            if let Some((wire, direction, packet)) = waiting.remove(&id) {
                arrivals.push((now().max(at), wire, direction, packet));
            }
        }
        for (at, wire, direction, packet) in arrivals {
            match line.arrive(at, wire, direction, packet) {
                Next::Deliver(packet) => {
                    let side = usize::from(direction == Direction::ToServer);
                    let _ = writers[side].write(&packet.bytes);
                }
                Next::Pass(packets) => {
                    for (at, wire, way, packet) in packets {
                        serial += 1;
                        due.push(Reverse((at, serial)));
                        waiting.insert(serial, (wire, way, packet));
                    }
                }
            }
        }
    }
}

struct Identity {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

/// A certificate for all names of the scenario, and a client that trusts it.
fn identity(scenario: &Scenario) -> Identity {
    let names: Vec<String> = scenario.server.iter().flat_map(|s| s.names.clone()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let certificate = made.cert.der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Identity { server: Arc::new(server), client: Arc::new(client) }
}

fn control(socket: &Socket, control: Control) {
    let name: &[u8] = match control {
        Control::Reno => b"reno",
        Control::Bbr => b"bbr",
        Control::Cubic | Control::Paced(_) => b"cubic",
    };
    let _ = socket.set_tcp_congestion(name); // a kernel without BBR keeps its default
}

/// Starts the servers of a scenario. They end with the process.
fn serve(namespace: &str, scenario: &Scenario, config: &Arc<ServerConfig>) {
    for server in scenario.server.clone() {
        let (namespace, config) = (namespace.to_owned(), config.clone());
        let (ready, is_ready) = channel();
        std::thread::spawn(move || {
            enter(&namespace);
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
            socket.set_reuse_address(true).unwrap();
            control(&socket, server.host.control);
            socket.bind(&SockAddr::from(SocketAddr::new(server.address, server.port))).unwrap();
            socket.listen(64).unwrap();
            ready.send(()).unwrap();
            while let Ok((accepted, _)) = socket.accept() {
                let (answer, config) = (server.answer, config.clone());
                std::thread::spawn(move || answer_one(accepted, answer, config));
            }
        });
        is_ready.recv().unwrap();
    }
}

fn answer_one(socket: Socket, answer: Answer, config: Arc<ServerConfig>) {
    if answer != Answer::Serve {
        // the hello is read, so that a close is a FIN unless a reset is meant
        let mut stream: TcpStream = socket.into();
        let _ = stream.read(&mut [0; 4096]);
        if answer == Answer::Reset {
            let _ = Socket::from(stream).set_linger(Some(Duration::ZERO));
        }
        return;
    }
    let mut stream: TcpStream = socket.into();
    let Ok(mut tls) = ServerConnection::new(config) else { return };
    let mut tls = rustls::Stream::new(&mut tls, &mut stream);
    let mut head = [0; 16];
    while tls.read_exact(&mut head).is_ok() {
        let up = u64::from_be_bytes(head[..8].try_into().unwrap());
        let down = u64::from_be_bytes(head[8..].try_into().unwrap());
        let _ = std::io::copy(&mut (&mut tls).take(up.saturating_sub(16)), &mut std::io::sink());
        if std::io::copy(&mut std::io::repeat(0xd7).take(down), &mut tls).is_err() {
            return;
        }
        let _ = tls.flush();
    }
}

/// Starts the clients of a scenario, each in a thread of its own.
fn connect(
    namespace: &str,
    scenario: &Scenario,
    seed: u64,
    config: &Arc<ClientConfig>,
    connections: &Arc<Mutex<BTreeMap<u16, Meant>>>,
) -> Vec<std::thread::JoinHandle<()>> {
    let mut rng = Rng::new(seed);
    let mut threads = Vec::new();
    for c in &scenario.connection {
        let server = scenario.server.iter().find(|s| s.names.contains(&c.name)).unwrap();
        let there = Endpoint { addr: server.address, port: server.port };
        let mut at = c.at_s.draw(&mut rng);
        for _ in 0..c.count {
            let (namespace, config, connections) =
                (namespace.to_owned(), config.clone(), connections.clone());
            let name = c.name.clone();
            let requests: Vec<[u64; 2]> = c
                .requests
                .iter()
                .map(|r| [r.up.draw(&mut rng) as u64, r.down.draw(&mut rng) as u64])
                .collect();
            let (close, patience) = (c.close, Duration::from_secs_f64(c.patience_s.min(8.0)));
            threads.push(std::thread::spawn(move || {
                enter(&namespace);
                std::thread::sleep(Duration::from_secs_f64(at));
                let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
                socket.bind(&SockAddr::from(SocketAddr::new(IpAddr::V4(CLIENT), 0))).unwrap();
                let port = socket.local_addr().unwrap().as_socket().unwrap().port();
                let client = Endpoint { addr: IpAddr::V4(CLIENT), port };
                let meant = Meant { client, server: there, name: name.clone() };
                connections.lock().unwrap().insert(port, meant);
                let to = SockAddr::from(SocketAddr::new(there.addr, there.port));
                if socket.connect_timeout(&to, patience).is_err() {
                    return;
                }
                socket.set_read_timeout(Some(patience)).unwrap();
                let mut stream: TcpStream = socket.into();
                let name = ServerName::try_from(name).unwrap();
                let mut tls = ClientConnection::new(config, name).unwrap();
                ask(&mut tls, &mut stream, &requests, close);
            }));
            at += c.every_s.draw(&mut rng);
        }
    }
    threads
}

fn ask(tls: &mut ClientConnection, stream: &mut TcpStream, requests: &[[u64; 2]], close: Close) {
    for [up, down] in requests {
        let mut t = rustls::Stream::new(tls, stream);
        let mut request = [up.to_be_bytes(), down.to_be_bytes()].concat();
        request.resize(usize::try_from(*up).unwrap().max(16), 0xd7);
        if t.write_all(&request).is_err() {
            return;
        }
        let got = std::io::copy(&mut (&mut t).take(*down), &mut std::io::sink());
        if got.ok() != Some(*down) {
            return;
        }
    }
    if close == Close::Client {
        tls.send_close_notify();
        let _ = tls.write_tls(stream);
    }
    std::thread::sleep(Duration::from_millis(100));
}
