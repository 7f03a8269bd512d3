//! The one table of evidence weights: log-odds, and where each comes from.
//!
//! A weight is the natural logarithm of how much more often the sign is seen on forged resets than on an
//! endpoint's own. Starting values are those of the design's proposal; what labelled captures moved says so. They
//! are added up, so signs that move together share one weight (the `HEADER_*` group has a cap).

/// A weight and its source.
#[derive(Debug, PartialEq)]
pub struct Weight {
    /// Its name in the JSON.
    pub key: &'static str,
    /// Log-odds for a forged reset; negative for an endpoint's own.
    pub log_odds: f64,
    /// Whether it is hard evidence: something that a sound endpoint does not do, rather than seldom does.
    pub hard: bool,
    /// Paper, specification, or the data that set it.
    pub source: &'static str,
}

macro_rules! weights {
    ($($(#[doc = $doc:literal])* $name:ident = $log_odds:literal, $hard:literal, $source:literal;)*) => {
        $($(#[doc = $doc])* pub const $name: Weight = Weight {
            key: const { stringify!($name) },
            log_odds: $log_odds,
            hard: $hard,
            source: $source,
        };)*
        /// All of them, for the documentation and its test.
        pub const ALL: &[&Weight] = &[$(&$name),*];
    };
}

/// Log-odds that a reset is forged before anything of it is known: one in twenty. Between 15% and 25% of
/// connections hold a reset (Arlitt & Williamson 2005), nearly all of them an endpoint's; a capture that is given
/// to this program was made because something was wrong.
pub const PRIOR: f64 = -3.0;

/// Log-odds that the connections of one name fail because of it, before any is looked at: one in fifty.
pub const NAME_PRIOR: f64 = -4.0;

/// From this probability on a finding is worth a pointer.
pub const POSSIBLE: f64 = 0.5;
/// From this probability on it is a claim.
pub const LIKELY: f64 = 0.9;
/// From this probability on, and with two kinds of hard evidence, it is confirmed.
pub const CONFIRMED: f64 = 0.99;

/// The most that differences in the IP and TCP header may add up to in packets to the client. A load balancer
/// moves all of them together (Weaver et al. 2009: 28% of resets by responders have another TTL than the data).
pub const HEADER_CAP_TO_CLIENT: f64 = 4.0;
/// The same for packets to the server: no load balancer stands in front of a client.
pub const HEADER_CAP_TO_SERVER: f64 = 5.0;

/// Log-odds that a lossy transfer is policed before anything of it is known: 7% of those that Flach et al. 2016 saw.
pub const CAP_PRIOR_POLICED: f64 = -2.6;
/// The same for a shaper: 1.5% of transfers showed one with a burst (Flach et al. 2016).
pub const CAP_PRIOR_SHAPED: f64 = -4.2;

weights! {
    /// The keyed generator made it.
    KEYED_GENERATOR = 9.0, true, "Ablove et al. 2026; 141 of 141 public resets of the device, 0 of 8,979 others";
    /// A fingerprint that names one family of devices.
    FINGERPRINT = 5.0, true, "the fingerprint's own row";
    /// The claimed sender goes on: new data or acknowledgments after "its" reset.
    SENDER_WENT_ON = 4.0, true, "Weaver, Sommer, Paxson 2009, DATA_SEQ_RST";
    /// The claimed sender goes on repeating itself long after "its" reset.
    SENDER_REPEATED = 3.0, true, "a host without the connection retransmits nothing (RFC 9293 §3.10.7.1)";
    /// A run of resets whose sequence numbers climb beyond all that the sender sent.
    SEQ_CHANGE = 4.0, true, "Weaver et al. 2009, RST_SEQ_CHANGE; constants of Khattak's InjectedResetDetector";
    /// A sequence number beyond all that the sender sent or the receiver acknowledged.
    IMPOSSIBLE_SEQ = 4.0, true, "Weaver et al. 2009: no stack sends a reset above the last acknowledgment + 2";
    /// A sequence number below data that the sender had sent.
    BELOW_SENT = 3.0, true, "Weaver et al. 2009, RST_SEQ_DATA";
    /// It acknowledges what its sender cannot have seen yet.
    FASTER_THAN_RTT = 4.0, true, "an answer takes a round trip; Wu et al. 2025 measure such resets";
    /// It comes before its sender can have accepted the connection.
    BEFORE_ACCEPT = 3.0, true, "an answer takes a round trip; Wu et al. 2025: GFW I resets without ACK, 18 ms after the ClientHello";
    /// It comes sooner after the request than an answer can, but acknowledges nothing.
    EARLY = 1.0, false, "as BEFORE_ACCEPT, but a server may reset right after it accepts, whatever it is asked";
    /// Reserved bits or AE set, or RST with SYN or FIN.
    ODD_FLAGS = 3.0, true, "Ablove et al. 2026; RFC 9293 §3.1: reserved bits are sent as zero";
    /// The whole answer came from another sender than the handshake did, and elsewhere this server does not do that.
    FOREIGN_ANSWER = 5.0, true, "same server, other connections: TTL of handshake and answer agree (CenTrace captures)";
    /// It acknowledges bytes that the receiver never sent.
    IMPOSSIBLE_ACK = 2.0, false, "Weaver et al. 2009, RST_ACK_CHANGE";
    /// Its window is the other side's, copied.
    WINDOW_COPIED = 2.5, false, "stateless devices turn the packet round (CenTrace and Zeek captures); Linux, Windows and BSD send 0 or their own";
    /// A reset without ACK that has a window.
    BARE_WINDOW = 1.5, false, "RFC 9293 §3.10.7.1 leaves it open; Linux, Windows and BSD send 0; INTANG 2017 saw forged ones that do not";
    /// A window that is not the sender's, and no timestamps although it uses them.
    ODD_WINDOW = 1.5, false, "an abort carries the connection's own window and options (Linux tcp_send_active_reset)";
    /// Its IP-ID is the other side's, copied.
    IP_ID_COPIED = 2.0, false, "Zeek rst-inject-rae capture; Brunei, via the circumvention corpus; by chance 1 in 65,536";
    /// Header: a TTL that none of the sender's packets has, at another distance.
    HEADER_TTL = 2.0, false, "Weaver et al. 2009: never evidence alone";
    /// Header: a TTL of another initial value at the same distance, as benign hosts have too.
    HEADER_TTL_CLASS = 0.5, false, "Weaver et al. 2009: clusters at 64, 128, 192";
    /// Header: an IP-ID off the sender's counter.
    HEADER_IP_ID = 1.5, false, "Weaver et al. 2009; Cloudflare compares the step too";
    /// Header: DF unlike all of the sender's packets.
    HEADER_DF = 1.5, false, "labelled captures: resets of endpoints keep DF";
    /// Header: no timestamps although the sender uses them, on an abort.
    HEADER_TIMESTAMPS = 0.5, false, "RFC 7323 §3.2 asks for them on RST too; stacks differ, so it is weak";
    /// The next thing after a ClientHello or request.
    AFTER_REQUEST = 1.5, false, "Wu et al. 2025: 18 ms after the ClientHello on average";
    /// The "client" resets right after its own request, before any answer.
    OWN_REQUEST = 1.5, false, "an application that just asked waits for the answer";
    /// Resets in both directions with nothing between them.
    BOTH_SIDES = 1.5, false, "Clayton et al. 2006; RFC 9293: a reset is never answered by a reset";
    /// The claimed sender resets again later, with its usual header.
    OWN_RESET_LATER = 1.0, false, "a host that lost its connection to a forged reset answers what still comes";
    /// After it, the claimed sender does not even answer what is sent to a connection that it would have closed.
    SENDER_SILENT = 1.0, false, "RFC 9293 §3.10.7.1: a closed connection answers with a reset";
    /// It answers the last ACK of an orderly close.
    LAST_ACK = 1.0, false, "RFC 9293 §3.10.7.4, LAST-ACK; devices that answer without state do (CenTrace captures)";
    /// RST002: a reset with the server's own header when its answer was due.
    IN_PLACE_OF_ANSWER = 1.5, false, "Xue et al. 2022 (TSPU SNI-I): the answer, cut short and turned into RST+ACK";
    /// RST002: it has PSH or payload, as the answer had.
    STILL_AN_ANSWER = 1.5, false, "Xue et al. 2022; an abort carries neither (Linux tcp_send_active_reset)";
    /// RST002: it comes again when the server retransmits.
    RESET_RETRANSMITTED = 3.0, true, "RFC 9293 §3.10.7.1: a closed connection has nothing to retransmit";
    /// RST003: an end answers as if it had no connection, though nobody closed it.
    VANISHED = 4.0, false, "RFC 9293 §3.10.7.4: a connection ends in silence only when a reset arrives; lab recordings";
    /// RST003: the same of a server; a farm of servers fails over so too.
    SERVER_VANISHED = 3.0, false, "as VANISHED; a back end that takes over without state answers with bare resets as well";
    /// RST003: right after the request.
    VANISHED_AFTER_REQUEST = 1.0, false, "Wu et al. 2025: resets follow the ClientHello within milliseconds";
    /// RST003: to several connections of the same two ends.
    VANISHED_AGAIN = 1.0, false, "two lost packets of exactly this kind are rare beside few lost packets of others";
    /// RST003: while others of the same two ends end well.
    OTHERS_END_WELL = 1.5, false, "the same path carries FIN and data of the others";
    /// RST003, benign: the packet that said so was lost.
    ABORT_LOST = -1.5, false, "loss on ordinary paths is about one packet in a hundred, and a client seldom aborts right after its request";
    /// Benign: TTL and IP-ID continue the sender's series.
    CONTINUES_SERIES = -6.0, false, "a forger would have to guess a 16-bit counter";
    /// Benign: the sender's usual TTL.
    USUAL_TTL = -1.0, false, "Weaver et al. 2009; one forger in a few can match it, and net4people #294 has one";
    /// Benign: IP-ID 0 with DF and the usual TTL, as Linux answers without a socket.
    LIKE_LINUX = -1.5, false, "Linux ip_send_unicast_reply; labelled captures";
    /// Benign: it was sent on the capturing host itself.
    LOCAL = -5.0, false, "its TTL is an initial one, as all of that host's are";
    /// Benign: a port that nobody listens on.
    CLOSED_PORT = -7.0, false, "RFC 9293 §3.10.7.1: <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>";
    /// Benign: an answer to late data of a connection that was being closed.
    LATE_DATA = -4.0, false, "RFC 9293 §3.10.7.1; the most common reset there is (Arlitt & Williamson 2005)";
    /// Benign: the connection was already being closed.
    CLOSING = -2.0, false, "Arlitt & Williamson 2005: browsers end connections so";
    /// Benign: the same sender had reset before, with the same header.
    FOLLOW_UP = -4.0, false, "labelled captures: a host without the connection answers each segment";
    /// Benign: the same end had aborted the connection before; another device answers what still comes.
    AFTER_ABORT = -3.0, false, "Suricata's bug-2769 capture: a translator with TTL 255 answers after the client's own reset";
    /// Benign: it answers the segment before it as the standard says.
    ANSWERS_SEGMENT = -1.0, false, "RFC 9293 §3.10.7.1: <SEQ=SEG.ACK><CTL=RST>";
    /// Benign: silence for over a minute, then a reset: a translator or firewall forgot the connection.
    IDLE_TIMEOUT = -3.0, false, "RFC 5382 REQ-5, and home routers that keep less";
    /// Benign: the server refused in TLS first.
    AFTER_ALERT = -3.0, false, "RFC 8446 §6.2: a fatal alert closes the connection";
    /// A connection that asked for the name fell silent, or was closed, where its handshake had gone well.
    NAME_FAILED = 2.5, false, "a proposal: after an answered handshake one request in ten to fifty is lost for another reason (Sundara Raman et al. 2023); held by the matrix";
    /// A connection with the name was reset by a packet that no endpoint sent, right after the name was sent.
    NAME_RESET = 2.0, false, "a proposal, as NAME_FAILED: that a third party resets is shown, the cause is not";
    /// The first connection of the same client to the same server's network with another name that went well.
    CONTROL_WELL = 2.0, false, "detection by pairing: same client, same network, same hour, another name; held by the matrix";
    /// Each further one.
    CONTROL_WELL_TOO = 1.0, false, "as CONTROL_WELL: connections of one capture are not independent";
    /// Controls went well between the failures or while they lasted.
    INTERLEAVED = 1.0, false, "an outage would have taken both";
    /// Against: the same name went well on the same servers.
    NAME_WELL = -2.5, false, "who blocks a name seldom lets it pass";
    /// Against: another name on the same servers met the same fate.
    CONTROL_FAILED = -3.0, false, "then it is the server, the port or the path";
    /// Against: nothing else shows that the path was up meanwhile.
    PATH_UNKNOWN = -2.0, false, "an outage or a sleeping machine is silent, too";
    /// Against: the hello fills more than a segment, and a part of it was acknowledged.
    LARGE_HELLO = -2.5, false, "tldr.fail: post-quantum hellos of two segments meet holes in the path's MTU and servers that do not join them";
    /// SNI001 to SNI003, benign, for each 4% of the packets, up to three times, that connections beside the silent ones lost; SNI007: for each quarter of the controls that repeat their handshake.
    LOSSY_PATH = -2.5, false, "a proposal: where losses come in runs, three tries in vain are no rarity; held by the matrix (bursts of eight packets on a quarter of all)";
    /// SNI007: the same name fails over TCP, too.
    QUIC_TCP_ALSO = 1.0, false, "Elmenhorst et al. 2021: QUIC is blocked for names that are blocked over TCP";
    /// CAP001: losses come when a token bucket is empty.
    CAP_LOST_AT_EMPTY = 5.0, true, "model comparison on the same packets; Flach et al. 2016: a policer loses what finds no tokens";
    /// CAP001: what passed had tokens.
    CAP_PASSED_WITH_TOKENS = 1.0, false, "Flach et al. 2016; router captures: 97% and more behind policers";
    /// CAP001: packets beside lost ones did not wait.
    CAP_DELAY_FLAT = 3.0, true, "Flach et al. 2016: a policer does not queue; router captures: 7% of a queue's delay at most";
    /// CAP001: both halves of the losses fit the bucket.
    CAP_HALVES_AGREE = 1.0, false, "a chance pattern does not hold twice";
    /// CAP001: only one half does.
    CAP_HALVES_DIFFER = -2.0, false, "as CAP_HALVES_AGREE";
    /// CAP001: one bucket for several connections.
    CAP_SHARED = 1.0, false, "router captures with two flows and cross traffic through one policer";
    /// CAP001: buckets of one rate and depth for connections that came in turn.
    CAP_ALIKE = 1.0, false, "as CAP_SHARED: chance has no rate that comes again";
    /// CAP001, benign: some losses have another cause.
    CAP_STRAY_LOSSES = -1.0, false, "router captures: a tenth at most with one policer, more with bursts into a short queue";
    /// CAP002: while packets wait, they leave at one rate.
    CAP_STEADY_WHILE_WAITING = 4.0, true, "ShaperProbe (Kanuparthy and Dovrolis 2011); router captures: 0.1% to 1.2% between stretches";
    /// CAP002: a queue of that rate foretells the delays.
    CAP_DELAYS_FORETOLD = 2.0, false, "model of a queue behind a token bucket, on the same packets";
    /// CAP002: losses come when the queue is long.
    CAP_LOST_WHEN_LONG = 3.0, true, "drop-tail; router captures: shapers lose at 30% and more of the queue's delay";
    /// CAP002: a burst passes before anything waits.
    CAP_BURST_FIRST = 2.0, false, "Flach et al. 2016: without it a shaper cannot be told from a slow link";
    /// CAP003, against: no burst passes before packets wait.
    CAP_NO_BURST = -4.9, false, "set by the simulated matrix (examples/weigh.rs; the accuracy bench holds it): 10 in 339 such were shapers; Flach et al. 2016: without a burst a shaper is a slow link to who looks on";
    /// CAP003, against: losses at an empty bucket, and nothing that tells it from a queue.
    CAP_WAITS_UNKNOWN = -2.3, false, "set by the simulated matrix (examples/weigh.rs; the accuracy bench holds it): without delays 131 in 248 such buckets were a box's, the others a link's queue";
    /// A connection with the name was held to a rate by a box (CAP001 or CAP002 at `likely` or above).
    NAME_CAPPED = 3.0, false, "a proposal: the cap is shown, its cause is not; held by the matrix and recordings of a kernel behind a box that polices by name";
    /// A control moved more than the target's bucket lets pass.
    CONTROL_FASTER = 3.5, false, "physics: a bucket that both shared would have held it; a cap that began in between is what is left";
    /// SNI006: bulk transfers with the name are slower than those with others, beyond chance.
    RATES_APART = 3.0, false, "Kakhki et al. 2015 (Wehe): area over 0.1 and Kolmogorov-Smirnov at 5%, held by half samples (Zhang, Mao, Zhang 2009)";
    /// SNI006: they all have one low rate.
    RATE_PLATEAU = 2.5, false, "a proposal after Anderson 2013, whose throttled networks lost their variance; Xue et al. 2021 saw 130 to 150 kbit/s whatever the path";
    /// SNI006, against: bulk transfers with the name go as fast as those with others.
    RATES_ALIKE = -3.0, false, "as RATES_APART: what holds the name should show in its rates";
    /// SNI010: the handshake of a connection with the name waited for seconds on its way.
    NAME_SLOW = 2.0, false, "a proposal, under NAME_FAILED as nothing fails; OONI takes such handshakes for throttling (Türkiye), net4people 382 (YouTube in Russia); held by the matrix";
    /// SNI010, benign: acknowledgments were quick and only the answer waited.
    SERVER_WAITED = -6.0, false, "RFC 9293 §3.8.6.3: a system acknowledges within half a second, whatever its programs do; held by the matrix (servers that think for seconds)";
    /// SNI011, benign: a router said that a packet was larger than its link takes.
    TOO_BIG = -6.0, false, "RFC 1191, RFC 8201: path MTU discovery at work, or failing (RFC 2923 §2.1)";
    /// DNS001: one query, and answers that contradict each other.
    DNS_TWO_ANSWERS = 3.5, true, "Duan et al. 2012 (Hold-On): an injector cannot stop the resolver's own answer; RFC 1035 has one answer to a query";
    /// DNS001, DNS002: again for the same name.
    DNS_AGAIN = 1.0, false, "chance does not repeat itself for one name";
    /// DNS001: the packet's TTL is not the resolver's.
    DNS_TTL_OFF = 2.0, false, "Duan et al. 2012: the resolver's TTL is stable, an injector sits at another distance";
    /// DNS001: sooner than the resolver ever answers.
    DNS_TOO_EARLY = 2.0, false, "Duan et al. 2012: what comes sooner than the round trip to the resolver is not its answer";
    /// DNS001: the spelling of the query is not repeated.
    DNS_CASE = 2.0, false, "Dagon et al. 2008 (0x20): servers copy the question bit by bit";
    /// DNS001: the same address for unrelated names.
    DNS_SAME_FOR_OTHERS = 2.0, false, "Anonymous 2014 (FOCI): forged addresses come from a small pool";
    /// DNS001: the address is no public server's, and the other answer's is.
    DNS_BOGON = 2.0, false, "RFC 6890; Iran and others forge private addresses (Aryan et al. 2013)";
    /// DNS001, benign: most names get two answers.
    DNS_OFTEN_TWICE = -3.0, false, "a censor forges some names, a path with two resolvers all of them";
    /// DNS002: one resolver denies what another resolves.
    DNS_DENIED = 3.5, false, "Nabi 2013 (Pakistan): 60.91% of blocked sites by NXDOMAIN; a pointer by design";
    /// SNI008: the server's stream has two contents, or two beginnings.
    ANSWER_TWO_CONTENTS = 4.0, true, "Weaver et al. 2009; QUANTUMINSERT: a sound TCP repeats its bytes as they were (RFC 9293 §3.8.1)";
    /// SNI008: the TTL is not that of the server's other packets.
    ANSWER_TTL_OFF = 2.5, false, "as for resets (Weaver et al. 2009): a box on the way sits at another distance";
    /// SNI008: sooner after the request than the server can be reached.
    ANSWER_TOO_EARLY = 3.0, true, "physics: the shortest handshake with this server bounds the round trip";
    /// SNI008: no timestamps in a connection that agreed on them.
    ANSWER_NO_TIMESTAMPS = 3.0, true, "RFC 7323 §3.2: once agreed on, they must be in every segment that is no reset";
    /// SNI008: the certificate is for other names than the one that was asked for.
    ANSWER_OTHER_CERTIFICATE = 3.5, false, "RFC 6125: a server shows a certificate for its name; servers that do not have the name show their own, so it is a pointer alone";
    /// SNI008, benign: all answers of the server lie apart from its handshakes.
    ANSWER_SYN_PROXY = -4.0, false, "SYN proxies and load balancers shake hands for the servers behind them";
    /// SNI009: the first bytes of a record's header were moved.
    PAYLOAD_SWAPPED = 7.0, true, "Ablove et al. 2026 (Geedge, action tamper); random bytes look so once in some millions";
    /// SNI009: the receiver refused it.
    PAYLOAD_REFUSED = 1.5, false, "RFC 8446 §6: bad_record_mac, decode_error, unexpected_message end a connection";
    /// Benign: a scanner's connection.
    SCANNER = -3.0, false, "ZMap's IP-ID 54321; a SYN without options: the scanner's own kernel resets it";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_has_a_source_and_a_sign_that_fits() {
        for w in ALL {
            assert!(w.source.len() > 15, "{}: say where it comes from", w.key);
            assert!(!w.hard || w.log_odds >= 3.0, "{}: hard evidence weighs 3 at least", w.key);
            assert!(w.log_odds.abs() <= 9.0);
        }
        let mut keys: Vec<_> = ALL.iter().map(|w| w.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), ALL.len());
    }
}
