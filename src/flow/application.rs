//! What the ends of a connection talk: the client's hello or request, and how far the server's answer came.

use crate::base::endpoint::PerDirection;
use crate::base::{Direction, Timestamp};
use crate::wire::http::{self, HeadScan};
use crate::wire::tls::{self, RecordEvent, RecordWalker, Scan, Transport};

use super::hello::Hello;
use super::progress::Moment;
use super::{Kind, Segment};

/// Alerts and records of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// TLS records whose header was seen.
    pub records: u32,
    /// The first alert in clear.
    pub alert: Option<tls::Alert>,
    /// Whether a `close_notify` in clear was seen.
    pub close_notify: bool,
    /// Records that are likely an encrypted alert.
    pub encrypted_alerts: u32,
    /// Segments that begin where a record does, with a header whose first bytes were moved.
    pub swapped: u32,
    /// The first of them.
    pub first_swapped: Option<Moment>,
}

/// `AlertDescription` of `close_notify` (RFC 8446 §6.1).
const CLOSE_NOTIFY: u8 = 0;

#[derive(Clone, Debug, Default)]
enum Words {
    /// Nothing that could be told yet; ask again when the head has this many bytes.
    Open { ask_at: usize },
    /// A ClientHello.
    Tls(Box<Hello>),
    /// An HTTP/1 request.
    Http(Box<http::Request>),
    /// Neither, or no more will come.
    #[default]
    Unread,
    /// Something else.
    Other,
}

/// The application's side of a connection.
#[derive(Clone, Debug, Default)]
pub struct Application {
    words: Words,
    /// Where the records of both directions are, once a ClientHello was seen.
    walkers: Option<Box<PerDirection<RecordWalker>>>,
    /// Records of each direction.
    pub records: PerDirection<Records>,
}

impl Application {
    /// The ClientHello, where there is one.
    pub fn hello(&self) -> Option<&Hello> {
        match &self.words {
            Words::Tls(hello) => Some(hello),
            _ => None,
        }
    }

    /// Takes the ClientHello out, where there is one.
    pub fn take_hello(&mut self) -> Option<Box<Hello>> {
        match std::mem::take(&mut self.words) {
            Words::Tls(hello) => Some(hello),
            other => {
                self.words = other;
                None
            }
        }
    }

    /// The HTTP request, where there is one.
    pub fn request(&self) -> Option<&http::Request> {
        match &self.words {
            Words::Http(request) => Some(request),
            _ => None,
        }
    }

    /// The name that the client asked for: SNI or `Host`, in lower case.
    pub fn name(&self) -> Option<&str> {
        match &self.words {
            Words::Tls(h) => h.name.as_deref(),
            Words::Http(r) => r.host.as_ref().map(|n| &n.folded[..]),
            _ => None,
        }
    }

    /// Whether the client's first words are not complete yet.
    pub(super) fn wants_more(&self, direction: Direction) -> bool {
        direction == Direction::ToServer && matches!(self.words, Words::Open { .. } | Words::Unread)
    }

    /// Reads the first words in the head of a stream. Gives the kind of the segment that completed them.
    ///
    /// Either direction may turn out to be the client's while roles are guessed.
    pub(super) fn read(&mut self, direction: Direction, head: &[u8], s: &Segment) -> Option<Kind> {
        match self.words {
            Words::Tls(ref mut hello) if !hello.complete && direction == Direction::ToServer => {
                if let Scan::Complete(whole) = tls::client_hello(head) {
                    **hello = Hello::new(whole, Transport::Tcp, s.frame, s.at);
                }
                return None;
            }
            Words::Open { ask_at } if head.len() < ask_at => return None,
            Words::Open { .. } | Words::Unread => {}
            _ => return None,
        }
        match tls::client_hello(head) {
            Scan::Complete(hello) => {
                self.follow(direction, head, s);
                self.words = Words::Tls(Box::new(Hello::new(hello, Transport::Tcp, s.frame, s.at)));
                Some(Kind::ClientHello)
            }
            Scan::Incomplete { need, .. } => {
                self.words = Words::Open { ask_at: head.len().saturating_add(need.max(1)) };
                None
            }
            Scan::NotTls => self.read_http(direction, head),
        }
    }

    fn read_http(&mut self, direction: Direction, head: &[u8]) -> Option<Kind> {
        match http::request(head) {
            HeadScan::Incomplete { open: true, .. } => {
                self.words = Words::Open { ask_at: head.len().saturating_mul(2).max(1) };
                None
            }
            HeadScan::Complete(request) | HeadScan::Incomplete { partial: Some(request), .. } => {
                self.words = Words::Http(Box::new(request));
                Some(Kind::HttpRequest)
            }
            _ => {
                if direction == Direction::ToServer {
                    self.words = Words::Other;
                }
                None
            }
        }
    }

    /// Whether the head of a stream may still tell what the words are.
    pub(super) fn is_open(&self) -> bool {
        match &self.words {
            Words::Open { .. } => true,
            Words::Tls(hello) => !hello.complete,
            Words::Http(_) | Words::Unread | Words::Other => false,
        }
    }

    /// Whether the client's first words were read: a ClientHello or an HTTP request.
    pub fn is_request(&self) -> bool {
        self.hello().is_some() || self.request().is_some()
    }

    /// Whether a stream of `len` bytes ends within a TLS record.
    pub fn in_record(&self, direction: Direction, len: i64) -> bool {
        self.walkers.as_ref().and_then(|w| w[direction].next_header()).is_some_and(|at| at > len)
    }

    /// Starts to follow the records of both directions.
    fn follow(&mut self, client: Direction, head: &[u8], s: &Segment) {
        let start = RecordWalker::new(0);
        self.walkers = Some(Box::new(PerDirection { to_server: start, to_client: start }));
        let whole = Segment { len: u32::try_from(head.len()).unwrap_or(u32::MAX), ..*s };
        self.records(client, 0, head, &whole);
    }

    /// Follows TLS records, once a ClientHello was seen.
    pub(super) fn records(&mut self, direction: Direction, at: i64, payload: &[u8], s: &Segment) {
        let Some(walkers) = &mut self.walkers else { return };
        let records = &mut self.records[direction];
        walkers[direction].feed_cut(at, payload, s.len as usize, &mut |event| match event {
            RecordEvent::Record { .. } => records.records = records.records.saturating_add(1),
            RecordEvent::Alert { alert, .. } => {
                records.close_notify |= alert.description == CLOSE_NOTIFY;
                records.alert = records.alert.or(Some(alert));
            }
            RecordEvent::EncryptedAlertLikely { .. } => {
                records.encrypted_alerts = records.encrypted_alerts.saturating_add(1);
            }
            RecordEvent::NotTls { offset, .. }
                if offset == at && tls::is_swapped(payload, s.len as usize) =>
            {
                records.swapped = records.swapped.saturating_add(1);
                records.first_swapped = records.first_swapped.or(Some(Moment { frame: s.frame, at: s.at }));
            }
            RecordEvent::NotTls { .. } => {}
        });
    }

    /// What can still be told when no more will come: a hello that the capture cut.
    pub(super) fn finish(&mut self, client_head: &[u8], last: Option<&Segment>) {
        if !matches!(self.words, Words::Open { .. }) {
            return;
        }
        let (frame, at) = last.map_or((0, Timestamp::default()), |s| (s.frame, s.at));
        if let Some(hello) = tls::client_hello(client_head).into_seen() {
            self.words = Words::Tls(Box::new(Hello::new(hello, Transport::Tcp, frame, at)));
        } else if let Some(request) = http::request(client_head).into_seen() {
            self.words = Words::Http(Box::new(request));
        }
    }

    /// Turns the directions round.
    pub(super) fn flip(&mut self) {
        if let Some(walkers) = &mut self.walkers {
            std::mem::swap(&mut walkers.to_server, &mut walkers.to_client);
        }
        std::mem::swap(&mut self.records.to_server, &mut self.records.to_client);
    }
}
