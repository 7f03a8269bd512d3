//! The head of an HTTP/1 message at the start of a stream (RFC 9112): who is asked, and where an answer points.
//!
//! Nothing is judged: a request that a server would refuse still has a host that a middlebox can act on. Lines may
//! end in a bare LF, header names have any case and blanks around them, empty lines may come first.

use super::tls::Name;
use crate::base::text::lossless;

/// The longest head that is looked at.
pub const MAX_HEAD_LEN: usize = 16 * 1024;

/// The most bytes of a request target, reason or location that are kept.
pub const MAX_TEXT_LEN: usize = 256;

/// The most CR and LF bytes before a request line that are passed over. "A server that is expecting to receive and
/// parse a request-line SHOULD ignore at least one empty line" (RFC 9112 §2.2).
const MAX_BLANK: usize = 8;

/// Methods of RFC 9110 §9 and RFC 5789.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// What a stream that may still be growing holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadScan<T> {
    /// The head, up to its empty line.
    Complete(T),
    /// The head does not end within what is there, or within [`MAX_HEAD_LEN`].
    Incomplete {
        /// What the lines that are all there say, once the first one is.
        partial: Option<T>,
        /// Whether more bytes can help.
        open: bool,
    },
    /// The stream does not start with such a head.
    NotHttp,
}

impl<T> HeadScan<T> {
    /// The head, complete or as far as it could be read.
    pub fn into_seen(self) -> Option<T> {
        match self {
            Self::Complete(t) => Some(t),
            Self::Incomplete { partial, .. } => partial,
            Self::NotHttp => None,
        }
    }
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method, one of the nine that RFC 9110 and RFC 5789 define.
    pub method: &'static str,
    /// Request target, its first [`MAX_TEXT_LEN`] bytes; what is not UTF-8 as `\xNN`.
    pub target: String,
    /// Whether the target was longer.
    pub target_cut: bool,
    /// Host asked for: that of the target in authority or absolute form (RFC 9112 §3.2), else of the first `Host`
    /// field.
    pub host: Option<Name>,
    /// Port that stands after the host.
    pub port: Option<u16>,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Reason phrase, its first [`MAX_TEXT_LEN`] bytes.
    pub reason: String,
    /// First `Location` field, its first [`MAX_TEXT_LEN`] bytes.
    pub location: Option<String>,
}

/// Reads the request head at the start of a client's stream.
///
/// A caller whose stream grows asks again when it has doubled or ended, or when [`head_end`] says so: each call reads
/// from the start.
pub fn request(stream: &[u8]) -> HeadScan<Request> {
    let blank = stream.iter().take(MAX_BLANK).take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let head = Head::new(&stream[blank..]);
    let mut lines = head.lines();
    let line = lines.next();
    let start = line.unwrap_or(head.bytes);
    let Some((method, after)) = split_method(start) else {
        let may_grow = METHODS.iter().any(|m| m.len() >= start.len() && m.as_bytes().starts_with(start));
        return if line.is_none() && may_grow {
            HeadScan::Incomplete { partial: None, open: true }
        } else {
            HeadScan::NotHttp
        };
    };
    if line.is_none() {
        return HeadScan::Incomplete { partial: None, open: head.open };
    }
    let (target, version) = split_target(after);
    if target.is_empty() || !version.is_empty() && !version.starts_with(b"HTTP/") {
        return HeadScan::NotHttp;
    }
    let authority = match method {
        "CONNECT" => Some(target),
        _ => authority_of(target).or_else(|| field(lines, b"host")),
    };
    let (host, port) = authority.map_or((None, None), split_port);
    let (target, target_cut) = kept(target);
    head.finish(Request { method, target, target_cut, host: host.map(Name::new), port })
}

/// Reads the response head at the start of a server's stream.
pub fn response(stream: &[u8]) -> HeadScan<Response> {
    const START: &[u8] = b"HTTP/1.";
    let there = stream.len().min(START.len());
    if stream[..there] != START[..there] {
        return HeadScan::NotHttp;
    }
    let head = Head::new(stream);
    let mut lines = head.lines();
    let Some(line) = lines.next() else {
        return HeadScan::Incomplete { partial: None, open: head.open };
    };
    // HTTP-version SP status-code SP [ reason-phrase ]
    let mut parts = line.splitn(3, |&b| b == b' ').skip(1);
    let Some(status) = parts.next().and_then(decimal).filter(|n| (100..1000).contains(n)) else {
        return HeadScan::NotHttp;
    };
    let reason = kept(parts.next().unwrap_or_default()).0;
    let location = field(lines, b"location").map(|v| kept(v).0);
    head.finish(Response { status, reason, location })
}

/// Offset just after the empty line that ends the head of `stream`, if one is there.
///
/// `from` is how much of the stream an earlier call saw without finding it; it is not searched again.
pub fn head_end(stream: &[u8], from: usize) -> Option<usize> {
    let start = from.saturating_sub(3).min(stream.len());
    let at = |n: usize| stream.get(n).copied();
    (start..stream.len()).find_map(|n| match (at(n), at(n + 1), at(n + 2)) {
        (Some(b'\n'), Some(b'\n'), _) => Some(n + 2),
        (Some(b'\n'), Some(b'\r'), Some(b'\n')) => Some(n + 3),
        _ => None,
    })
}

/// The part of a stream that a head may take, cut after its empty line.
#[derive(Clone, Copy)]
struct Head<'a> {
    bytes: &'a [u8],
    /// Whether the empty line is there.
    ended: bool,
    /// Whether more bytes can help.
    open: bool,
}

impl<'a> Head<'a> {
    fn new(stream: &'a [u8]) -> Self {
        let within = &stream[..stream.len().min(MAX_HEAD_LEN)];
        match head_end(within, 0) {
            Some(end) => Self { bytes: &within[..end], ended: true, open: false },
            None => Self { bytes: within, ended: false, open: stream.len() < MAX_HEAD_LEN },
        }
    }

    /// The lines that are all there, without their ends.
    fn lines(self) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.bytes.split_inclusive(|&b| b == b'\n');
        lines.filter_map(|line| line.strip_suffix(b"\n")).map(|l| l.strip_suffix(b"\r").unwrap_or(l))
    }

    fn finish<T>(self, read: T) -> HeadScan<T> {
        if self.ended {
            HeadScan::Complete(read)
        } else {
            HeadScan::Incomplete { partial: Some(read), open: self.open }
        }
    }
}

/// The method that a request line starts with, and what follows the blank after it.
fn split_method(line: &[u8]) -> Option<(&'static str, &[u8])> {
    METHODS.into_iter().find_map(|m| {
        let rest = line.strip_prefix(m.as_bytes())?.strip_prefix(b" ")?;
        Some((m, rest.trim_ascii_start()))
    })
}

/// The target and the version of a request line from which the method was taken.
fn split_target(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii();
    match line.iter().rposition(u8::is_ascii_whitespace) {
        Some(n) => (line[..n].trim_ascii_end(), &line[n + 1..]),
        None => (line, &[]), // HTTP/0.9
    }
}

/// The authority of a target in absolute form (RFC 9112 §3.2.2).
fn authority_of(target: &[u8]) -> Option<&[u8]> {
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|s| target.get(..s.len()).is_some_and(|start| start.eq_ignore_ascii_case(s)))?;
    let rest = &target[scheme.len()..];
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = &rest[..end];
    // Userinfo is no part of the host.
    let host = authority.iter().rposition(|&b| b == b'@').map_or(authority, |n| &authority[n + 1..]);
    (!host.is_empty()).then_some(host)
}

/// The value of the first field with this name (given in lower case), without blanks around it.
///
/// A line that starts with a blank continues the one before it (obs-fold, RFC 9112 §5.2) and is passed over.
fn field<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &[u8]) -> Option<&'a [u8]> {
    lines.filter(|line| !line.first().is_some_and(|b| matches!(b, b' ' | b'\t'))).find_map(|line| {
        let colon = line.iter().position(|&b| b == b':')?;
        let (found, value) = (&line[..colon], &line[colon + 1..]);
        found.trim_ascii_end().eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    })
}

/// Host and port of an authority. An IPv6 address loses its brackets.
fn split_port(authority: &[u8]) -> (Option<&[u8]>, Option<u16>) {
    let bracketed = authority.strip_prefix(b"[").and_then(|inner| {
        let end = inner.iter().position(|&b| b == b']')?;
        Some((&inner[..end], &inner[end + 1..]))
    });
    let (host, after) = bracketed.unwrap_or_else(|| {
        let end = authority.iter().rposition(|&b| b == b':').unwrap_or(authority.len());
        authority.split_at(end)
    });
    let port = after.strip_prefix(b":").and_then(decimal);
    ((!host.is_empty()).then_some(host), port)
}

/// The number that decimal digits make, if they are nothing else and it fits.
fn decimal(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u16, |n, &d| {
        let digit = d.is_ascii_digit().then(|| u16::from(d - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// The first [`MAX_TEXT_LEN`] bytes as text, and whether there were more.
fn kept(bytes: &[u8]) -> (String, bool) {
    let within = &bytes[..bytes.len().min(MAX_TEXT_LEN)];
    (lossless(within), within.len() < bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(stream: &[u8]) -> Option<String> {
        request(stream).into_seen().and_then(|r| r.host).map(|h| h.folded)
    }

    #[test]
    fn a_request_says_whom_it_asks() {
        let stream =
            b"GET /a?b HTTP/1.1\r\nAccept: */*\r\nhOsT:\t Example.com:8080 \r\n\r\nbody\r\nHost: other\r\n";
        let HeadScan::Complete(request) = request(stream) else { panic!() };
        assert_eq!((request.method, request.target.as_str(), request.target_cut), ("GET", "/a?b", false));
        let host = request.host.unwrap();
        assert_eq!(
            (host.text.as_str(), host.folded.as_str(), request.port),
            ("Example.com", "example.com", Some(8080))
        );
    }

    #[test]
    fn hosts_stand_in_four_places() {
        for (head, expected) in [
            ("CONNECT a.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n", Some("a.example")),
            ("GET http://u@a.example:81/x HTTP/1.1\r\nHost: b.example\r\n\r\n", Some("a.example")),
            ("GET HTTPS://a.example?q HTTP/1.1\r\n\r\n", Some("a.example")),
            ("GET /http://x HTTP/1.0\r\nHost: b.example\r\n\r\n", Some("b.example")),
            ("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", Some("2001:db8::1")),
            ("GET / HTTP/1.1\nHost : b.example\n\n", Some("b.example")),
            ("\r\n\r\nGET / HTTP/1.1\r\nHost:b.example\r\n\r\n", Some("b.example")),
            ("GET / HTTP/1.1\r\nX: y\r\n Host: folded\r\nHost: b.example.\r\n\r\n", Some("b.example")),
            ("GET / HTTP/1.1\r\nNoColon\r\nHost: b.example\r\n\r\n", Some("b.example")),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", None),
            ("GET /\r\n\r\n", None),
        ] {
            assert_eq!(host(head.as_bytes()).as_deref(), expected, "{head}");
        }
    }

    #[test]
    fn other_streams_are_not_http() {
        for stream in [
            &b"\x16\x03\x01"[..],
            b"GETX",
            b"SSH-2.0-x\r\n",
            b"GET  \r\n\r\n",
            b"GET / FTP/1\r\n",
            b"PRI * HTTP/2.0\r\n",
        ] {
            assert_eq!(request(stream), HeadScan::NotHttp, "{stream:?}");
        }
        for stream in [&b""[..], b"\r\n", b"GE", b"GET", b"GET /", b"GET / HTTP/1.1\r"] {
            assert_eq!(request(stream), HeadScan::Incomplete { partial: None, open: true }, "{stream:?}");
        }
    }

    #[test]
    fn a_head_that_does_not_end_is_given_up() {
        let mut stream = b"GET / HTTP/1.1\r\nHost: a.example\r\n".to_vec();
        stream.resize(MAX_HEAD_LEN + 5, b'x');
        let HeadScan::Incomplete { partial: Some(request), open: false } = request(&stream) else { panic!() };
        assert_eq!(request.host.unwrap().folded, "a.example");
        let long = [&b"GET /"[..], &[b'a'; 9000], b" HTTP/1.1\r\n\r\n"].concat();
        let HeadScan::Complete(request) = super::request(&long) else { panic!() };
        assert_eq!((request.target.len(), request.target_cut), (MAX_TEXT_LEN, true));
    }

    #[test]
    fn a_response_says_where_to_go() {
        let stream = b"HTTP/1.1 302 Moved Temporarily\r\nLOCATION: http://warn.example/?u=x\r\n\r\n";
        let HeadScan::Complete(response) = response(stream) else { panic!() };
        assert_eq!((response.status, response.reason.as_str()), (302, "Moved Temporarily"));
        assert_eq!(response.location.as_deref(), Some("http://warn.example/?u=x"));
        assert_eq!(super::response(b"HTTP/1.1 xx OK\r\n\r\n"), HeadScan::NotHttp);
        assert_eq!(super::response(b"SSH-2.0"), HeadScan::NotHttp);
        assert_eq!(super::response(b"HTTP/1.1 200"), HeadScan::Incomplete { partial: None, open: true });
        let bare = super::response(b"HTTP/1.0 204\r\n\r\n").into_seen().unwrap();
        assert_eq!((bare.status, bare.reason.as_str(), bare.location), (204, "", None));
    }

    #[test]
    fn ports_are_numbers_that_fit() {
        for (authority, port) in
            [("a:80", Some(80)), ("a:", None), ("a:65536", None), ("a:8x", None), ("a", None)]
        {
            assert_eq!(split_port(authority.as_bytes()), (Some(&b"a"[..]), port), "{authority}");
        }
    }

    proptest! {
        #[test]
        fn a_cut_head_invents_no_host(name in "[a-z]{1,20}\\.[a-z]{2,6}", cut in 0_usize..200) {
            let stream = format!("POST /x HTTP/1.1\r\nA: b\r\nHost: {name}\r\nC: d\r\n\r\n");
            let there = &stream.as_bytes()[..cut.min(stream.len())];
            let seen = host(there);
            prop_assert!(seen.is_none() || seen.as_deref() == Some(&name));
            if cut >= stream.len() {
                prop_assert_eq!(seen, Some(name));
            }
        }

        #[test]
        fn the_end_is_found_from_anywhere_before_it(head in "([a-z:]{0,9}\r?\n){0,9}", from: prop::sample::Index) {
            let end = head_end(head.as_bytes(), 0);
            if let Some(end) = end {
                prop_assert_eq!(head_end(head.as_bytes(), from.index(end)), Some(end));
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, text in "(GET|POST|HTTP/1\\.1) [ -~\r\n]{0,200}") {
            let _ = (request(&bytes), response(&bytes));
            let _ = (request(text.as_bytes()), response(text.as_bytes()));
        }
    }
}
