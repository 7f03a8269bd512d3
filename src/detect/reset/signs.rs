//! The signs that a reset was forged: features A1 to A15 of the design, each as one function.

use crate::base::{Direction, Span};
use crate::detect::weights as w;
use crate::flow::half::REORDER_WITHIN;
use crate::flow::reset::Reset;
use crate::flow::series::{COUNTER_STEP, IpIdHabit};
use crate::flow::{Kind, Stage};
use crate::measure::hops;
use crate::measure::keyed::{self, Match};
use crate::wire::tcp::Flags;

use super::Sign;
use super::context::{BURST_GAP, Burst, Case};
use super::fingerprint::{Family, Look, TABLE};
use super::keys::{Keys, draw};

/// How long after a reset a repeated segment shows that its sender still has the connection: Linux's shortest
/// retransmission time-out, so that what was on its way is not counted.
const STILL_THERE: Span = Span::from_ms(200);

/// A counter that jumps by more than this between two packets of a connection was not that sender's: a busy host
/// counts some thousand packets in a round trip.
const COUNTER_JUMP: u16 = 4096;

/// What the fields of a reset say on their own: keyed match, fingerprint.
pub(super) struct Identity {
    /// The match, and the key that gives it.
    pub(super) keyed: Option<(Match, u16)>,
    pub(super) family: Option<&'static Family>,
}

pub(super) fn identity(case: &Case, burst: &Burst, n: usize, keys: &Keys) -> Identity {
    let keyed = draw(case, &case.resets[n]).and_then(|d| {
        let solved = keys.get(&(d.src, d.dst)).map(|s| s.key);
        [Some(keyed::KEY), solved].into_iter().flatten().find_map(|key| Some((keyed::matches(&d, key)?, key)))
    });
    Identity { keyed, family: TABLE.find(&look(case, burst, n)) }
}

fn look<'a>(case: &'a Case, burst: &Burst, n: usize) -> Look<'a> {
    let r = &case.resets[n];
    let s = &r.segment;
    let at = burst.members.iter().position(|m| *m == n).unwrap_or(0);
    let neighbours = match at {
        0 => burst.members.get(1).map(|next| (n, *next)),
        _ => Some((burst.members[at - 1], n)),
    };
    let step = |a: usize, b: usize| Some(case.resets[b].offset? - case.resets[a].offset?);
    let climb = burst.members.windows(2).filter(|p| {
        let (a, b) = (&case.resets[p[0]].segment, &case.resets[p[1]].segment);
        b.window.wrapping_sub(a.window) == 1 && b.ttl.wrapping_sub(a.ttl) == 1
    });
    Look {
        flags: s.flags,
        df: s.dont_fragment,
        ip_id: s.ip_id,
        window: s.window,
        ttl: s.ttl,
        ttl_off: ttl_is_off(case, r),
        payload: &r.payload,
        payload_len: s.len as usize,
        seq_step: neighbours.and_then(|(a, b)| step(a, b)),
        window_and_ttl_climb: climb.count() + 1 >= burst.members.len().max(2),
        copies_ip_id: copies_ip_id(r),
        count: burst.members.len(),
    }
}

/// Whether its TTL is two hops or more from all that the claimed sender used in the whole connection.
fn ttl_is_off(case: &Case, r: &Reset) -> bool {
    case.profiles[r.direction].ttl.distance(r.segment.ttl).is_some_and(|d| d >= 2)
}

fn copies_ip_id(r: &Reset) -> bool {
    r.segment.ip_id.is_some_and(|id| id != 0 && r.trigger.is_some_and(|t| t.ip_id == Some(id)))
}

/// All signs of one reset.
///
/// `genuine` is an earlier reset of the same sender that was judged its own.
pub(super) fn of(
    case: &Case,
    burst: &Burst,
    n: usize,
    identity: &Identity,
    genuine: Option<usize>,
) -> Vec<Sign> {
    let r = &case.resets[n];
    let mut signs = Vec::new();
    let signs_of = [
        keyed_generator(r, identity),
        fingerprint(r, identity),
        sender_went_on(r),
        sender_repeated(r),
        // a run that climbs is beyond what was sent anyhow: one fact, counted once
        seq_change(case, burst, n).or_else(|| impossible_seq(case, r)),
        below_sent(r),
        faster_than_rtt(r).or_else(|| too_early(case, r)),
        odd_flags(r, identity),
        impossible_ack(r),
        after_request(case, r),
        own_request(case, r),
        both_sides(r),
        own_reset_later(case, n),
        sender_silent(case, burst, n),
        last_ack(r),
    ];
    signs.extend(signs_of.into_iter().flatten());
    signs.extend(window(r));
    let own_id = r.after.sender_went_on.and_then(|b| b.ip_id);
    if copies_ip_id(r) && ![r.sender.profile.ip_id.last, own_id].contains(&r.segment.ip_id) {
        let trigger = r.trigger.map_or(0, |t| t.frame);
        let claim = format!(
            "its IP-ID {:#06x} is that of the packet before it from the other side",
            r.segment.ip_id.unwrap_or(0)
        );
        signs.push(Sign::new(&w::IP_ID_COPIED, claim, [trigger, r.segment.frame]));
    }
    signs.extend(header(case, r, genuine.map(|g| &case.resets[g])));
    signs
}

fn keyed_generator(r: &Reset, identity: &Identity) -> Option<Sign> {
    let (m, key) = identity.keyed?;
    let hops = m.hops.map_or(String::new(), |h| format!(", and its TTL says that it travelled {h} hops"));
    let claim = format!(
        "window {}, IP-ID {} and TTL {} are what the generator of Geedge and Great Firewall devices makes of these two addresses (key {}, counter {}){hops}",
        r.segment.window,
        r.segment.ip_id.unwrap_or(0),
        r.segment.ttl,
        key,
        m.counter
    );
    Some(Sign::new(&w::KEYED_GENERATOR, claim, [r.segment.frame]))
}

fn fingerprint(r: &Reset, identity: &Identity) -> Option<Sign> {
    let family = identity.family.filter(|f| f.specific)?;
    Some(Sign::new(&w::FINGERPRINT, format!("it has the fingerprint of: {}", family.name), [r.segment.frame]))
}

/// A2. A packet that merely overtook the reset is allowed for: 3 ms, Wireshark's bound for reordering.
fn sender_went_on(r: &Reset) -> Option<Sign> {
    let on = r.after.sender_went_on?;
    // a server that was asked again may well answer: it is another attempt
    if r.after.receiver_syn.is_some_and(|syn| syn.at <= on.at) {
        return None;
    }
    let gap = on.at.since(r.segment.at);
    let claim = format!(
        "the {} that it names as its sender went on {gap} later with {}, TTL {}, as if it had sent no reset",
        r.direction.sender(),
        on.kind.words(),
        on.ttl
    );
    let sign = Sign::new(&w::SENDER_WENT_ON, claim, [r.segment.frame, on.frame]);
    let several = r.after.sender_segments >= 3;
    Some(if gap >= REORDER_WITHIN || several { sign } else { sign.times(0.25) })
}

fn sender_repeated(r: &Reset) -> Option<Sign> {
    let again = r.after.sender_repeated?;
    let gap = again.at.since(r.segment.at);
    if gap < STILL_THERE || r.after.sender_went_on.is_some() || r.after.receiver_syn.is_some() {
        return None;
    }
    // a FIN or pure ACK may be repeated by a front end that keeps no state
    if !matches!(again.kind, Kind::SynAck | Kind::Data | Kind::ClientHello | Kind::HttpRequest | Kind::Fin) {
        return None;
    }
    let claim = format!("the {} still repeated {} {gap} after it", r.direction.sender(), again.kind.words());
    Some(Sign::new(&w::SENDER_REPEATED, claim, [r.segment.frame, again.frame]))
}

/// A3.
fn seq_change(case: &Case, burst: &Burst, n: usize) -> Option<Sign> {
    let climbs = |a: &Reset, b: &Reset| -> bool {
        let (Some(first), Some(second)) = (a.offset, b.offset) else { return false };
        second > first + 2
            && b.segment.at.since(a.segment.at) < BURST_GAP
            && second > b.sender.next
            && second > b.sender.acked + 2
            && !b.sender.fin
            && b.receiver.resets == 0
            && !b.seq_echoes_ack
            && b.sender.missed_bytes == 0
    };
    let pair = burst.members.windows(2).find(|p| {
        (p[0] == n || p[1] == n || p[0] == burst.members[0]) && climbs(&case.resets[p[0]], &case.resets[p[1]])
    })?;
    let (a, b) = (&case.resets[pair[0]], &case.resets[pair[1]]);
    let step = b.offset? - a.offset?;
    let claim = format!(
        "a run of resets whose sequence numbers climb (by {step}) beyond all that the {} had sent",
        a.direction.sender()
    );
    Some(Sign::new(&w::SEQ_CHANGE, claim, [a.segment.frame, b.segment.frame]))
}

/// A6. Only where the capture misses nothing of the sender and knows where its numbers began.
fn impossible_seq(case: &Case, r: &Reset) -> Option<Sign> {
    let s = &r.sender;
    let offset = r.offset?;
    let knows = s.packets > u64::from(s.resets)
        && s.missed_bytes == 0
        && s.open_holes == 0
        && case.stage != Stage::MidFlow;
    if !knows || r.seq_echoes_ack || offset <= s.next.max(s.acked) + 2 {
        return None;
    }
    let beyond = offset - s.next;
    let claim = format!(
        "its sequence number lies {beyond} bytes beyond all that the {} had sent",
        r.direction.sender()
    );
    Some(Sign::new(&w::IMPOSSIBLE_SEQ, claim, [r.segment.frame]))
}

/// A1. A reset that answers a segment has that segment's ACK number, which may lag; an abort does not.
fn below_sent(r: &Reset) -> Option<Sign> {
    let offset = r.offset?;
    let s = &r.sender;
    if offset >= s.next || offset < 0 || s.fin || s.resets > 0 || s.payload_bytes == 0 {
        return None;
    }
    if !r.segment.flags.has(Flags::ACK) && r.seq_echoes_ack {
        return None;
    }
    let below = s.next - offset;
    let claim = format!(
        "its sequence number lies {below} bytes below what the {} had already sent",
        r.direction.sender()
    );
    Some(Sign::new(
        &w::BELOW_SENT,
        claim,
        r.sender.last.map(|l| l.frame).into_iter().chain([r.segment.frame]),
    ))
}

/// A12. Only where it acknowledges what it answers: without an ACK an endpoint may have reset of its own accord.
fn faster_than_rtt(r: &Reset) -> Option<Sign> {
    let (rtt, trigger, ack) = (r.sender.rtt?, r.trigger?, r.ack_offset?);
    let lag = r.segment.at.since(trigger.at);
    let answers = ack == r.receiver.next && ack > r.receiver.acked;
    if !answers || rtt < Span::from_ms(1) || !lag.is_under(0.5, rtt) || lag < Span::ZERO {
        return None;
    }
    let claim = format!(
        "it acknowledges {} that went by only {lag} before it; the {} never answers in under {rtt}",
        trigger.kind.words(),
        r.direction.sender()
    );
    // one sample of a round trip may be long by chance, but not ten times
    let sign = Sign::new(&w::FASTER_THAN_RTT, claim, [trigger.frame, r.segment.frame]);
    Some(if lag.is_under(0.1, rtt) { sign.times(1.25) } else { sign })
}

/// A12 where it acknowledges nothing: a server that resets of its own accord right after it accepted is possible, one
/// that resets before it can have accepted is not.
fn too_early(case: &Case, r: &Reset) -> Option<Sign> {
    let (rtt, trigger, since) = (r.sender.rtt?, r.trigger?, r.since_established?);
    let waiting = matches!(r.stage, Stage::RequestSent | Stage::RequestAcked) && (case.hello || case.request);
    let lag = r.segment.at.since(trigger.at);
    if r.direction != Direction::ToClient
        || !waiting
        || rtt < Span::from_ms(1)
        || lag < Span::ZERO
        || !lag.is_under(0.5, rtt)
    {
        return None;
    }
    if before_accept(r) {
        let claim = format!(
            "it came {since} after the handshake; what the server sends after it accepts takes {rtt}"
        );
        return Some(Sign::new(&w::BEFORE_ACCEPT, claim, [trigger.frame, r.segment.frame]));
    }
    let claim = format!(
        "it came {lag} after {}, less than half of the {rtt} that an answer takes",
        trigger.kind.words()
    );
    Some(Sign::new(&w::EARLY, claim, [trigger.frame, r.segment.frame]))
}

/// Whether it came sooner after the handshake than anything that the server sends after it can.
pub(super) fn before_accept(r: &Reset) -> bool {
    let (Some(rtt), Some(since)) = (r.sender.rtt, r.since_established) else { return false };
    r.direction == Direction::ToClient && rtt >= Span::from_ms(1) && since.is_under(0.7, rtt)
}

/// A11.
fn odd_flags(r: &Reset, identity: &Identity) -> Option<Sign> {
    let f = r.segment.flags;
    let odd = f.any(Flags(Flags::RESERVED.0 | Flags::AE.0 | Flags::SYN.0 | Flags::FIN.0));
    // the fingerprint already counts them
    if !odd || identity.family.is_some_and(|f| f.specific) {
        return None;
    }
    Some(Sign::new(
        &w::ODD_FLAGS,
        format!("its flags are {f}, which no known stack sends"),
        [r.segment.frame],
    ))
}

fn impossible_ack(r: &Reset) -> Option<Sign> {
    let ack = r.ack_offset?;
    let receiver = &r.receiver;
    let knows = receiver.packets > u64::from(receiver.resets)
        && receiver.missed_bytes == 0
        && receiver.timestamps.is_some();
    if !knows || ack <= receiver.next {
        return None;
    }
    let beyond = ack - receiver.next;
    let other = r.direction.reversed().sender();
    let claim = format!("it acknowledges {beyond} bytes that the {other} never sent");
    Some(Sign::new(&w::IMPOSSIBLE_ACK, claim, [r.segment.frame]))
}

/// A14: the server's reset is the next thing after the request.
fn after_request(case: &Case, r: &Reset) -> Option<Sign> {
    if r.direction != Direction::ToClient || !(case.hello || case.request) {
        return None;
    }
    let trigger = r.trigger?;
    let waiting = matches!(r.stage, Stage::RequestSent | Stage::RequestAcked);
    let lag = r.segment.at.since(trigger.at);
    if !waiting || !matches!(trigger.kind, Kind::ClientHello | Kind::HttpRequest) || lag > Span::from_secs(5)
    {
        return None;
    }
    let claim = format!("it came {lag} after {}, before any answer", trigger.kind.words());
    Some(Sign::new(&w::AFTER_REQUEST, claim, [trigger.frame, r.segment.frame]))
}

/// The same seen from the other side: "the client" gives up what it asked for a moment ago.
fn own_request(case: &Case, r: &Reset) -> Option<Sign> {
    if r.direction != Direction::ToServer
        || !(case.hello || case.request)
        || r.sender.fin
        || r.sender.resets > 0
    {
        return None;
    }
    let last = r.sender.last?;
    let own = last.len > 0 && r.receiver.payload_bytes <= 4096;
    let lag = r.segment.at.since(last.at);
    let soon = lag < Span::from_secs(1);
    if !own || !soon {
        return None;
    }
    let claim = format!("the client would have reset its own connection {lag} after its request");
    Some(Sign::new(&w::OWN_REQUEST, claim, [last.frame, r.segment.frame]))
}

/// A13.
fn both_sides(r: &Reset) -> Option<Sign> {
    let previous = r.previous?;
    let opposite = previous.kind == Kind::Rst && previous.direction != r.direction;
    (opposite && r.segment.at.since(previous.at) < Span::from_secs(1)).then(|| {
        let claim = "both ends were sent a reset with nothing between the two; an endpoint never answers a reset with one";
        Sign::new(&w::BOTH_SIDES, claim, [previous.frame, r.segment.frame])
    })
}

fn own_reset_later(case: &Case, n: usize) -> Option<Sign> {
    let r = &case.resets[n];
    if !ttl_is_off(case, r) {
        return None;
    }
    let own = case.resets[n + 1..].iter().find(|x| {
        x.direction == r.direction
            && x.sender.profile.ttl.count(x.segment.ttl) > 0
            && x.segment.ttl != r.segment.ttl
    })?;
    let claim = format!(
        "the {} itself answered later segments with resets of its usual TTL {}",
        r.direction.sender(),
        own.segment.ttl
    );
    let sign = Sign::new(&w::OWN_RESET_LATER, claim, [own.segment.frame]);
    // a server may stand behind a load balancer; two systems that reset in the name of one client are one too many
    let two_systems =
        r.direction == Direction::ToServer && own.segment.dont_fragment != r.segment.dont_fragment;
    Some(if two_systems { sign.times(2.5) } else { sign })
}

fn sender_silent(case: &Case, burst: &Burst, n: usize) -> Option<Sign> {
    let r = &case.resets[n];
    let on = r.after.receiver_went_on?;
    let silent = r.after.sender_went_on.is_none() && r.after.sender_repeated.is_none();
    let last_of_sender =
        case.resets.iter().filter(|x| x.direction == r.direction).count() == burst.members.len();
    let waited = case.last.since(on.at) >= Span::ZERO && on.at.since(r.segment.at) > STILL_THERE;
    let speaks = matches!(on.kind, Kind::Data | Kind::Fin | Kind::ClientHello | Kind::HttpRequest);
    if !(silent && last_of_sender && waited && speaks) {
        return None;
    }
    let sender = r.direction.sender();
    let claim = format!(
        "a {sender} that had reset would answer the {} in frame {} with a reset; nothing came",
        on.kind.name(),
        on.frame
    );
    Some(Sign::new(&w::SENDER_SILENT, claim, [on.frame]))
}

/// A stack takes the last ACK of an orderly close in silence.
fn last_ack(r: &Reset) -> Option<Sign> {
    let answered = r.trigger.filter(|t| t.kind == Kind::Ack)?;
    let orderly = r.sender.fin
        && r.receiver.fin
        && r.sender.acked == r.sender.next
        && r.receiver.acked == r.receiver.next;
    (orderly && r.sender.resets == 0 && r.seq_echoes_ack).then(|| {
        let claim = "it answers the last ACK of an orderly close, which a stack takes in silence";
        Sign::new(&w::LAST_ACK, claim, [answered.frame, r.segment.frame])
    })
}

/// A10: at most one of the three.
fn window(r: &Reset) -> Option<Sign> {
    let s = &r.segment;
    if s.window == 0 {
        return None;
    }
    let own = r.sender.last.map(|l| l.window);
    let own_later = r.after.sender_went_on.map(|b| b.window);
    if !s.flags.has(Flags::ACK) {
        return Some(Sign::new(
            &w::BARE_WINDOW,
            format!("a reset without ACK, with a window of {}", s.window),
            [s.frame],
        ));
    }
    let trigger = r.trigger?;
    if s.window == trigger.window && ![own, own_later].contains(&Some(s.window)) && !is_own_scaled(r) {
        let claim =
            format!("its window {} is that of the packet before it from the other side, copied", s.window);
        return Some(Sign::new(&w::WINDOW_COPIED, claim, [trigger.frame, s.frame]));
    }
    let odd = own.is_some_and(|o| o != s.window) && lacks_timestamps(r);
    odd.then(|| {
        let claim = format!(
            "its window {} is not the sender's ({}), and it has none of the options",
            s.window,
            own.unwrap_or(0)
        );
        Sign::new(&w::ODD_WINDOW, claim, [s.frame])
    })
}

/// Whether the window is about what the sender's SYN or SYN-ACK offered, scaled: two ends of one system often have the
/// same, and then it is no copy.
fn is_own_scaled(r: &Reset) -> bool {
    let (Some(last), Some(scale)) = (r.sender.last, r.sender.window_scale) else { return false };
    let scaled = last.window >> scale.min(14);
    last.flags.has(Flags::SYN) && scale > 0 && r.segment.window.abs_diff(scaled) <= scaled / 8 + 2
}

fn lacks_timestamps(r: &Reset) -> bool {
    r.segment.timestamps.is_none() && r.segment.flags.has(Flags::ACK) && r.sender.profile.with_timestamps >= 1
}

/// A7, A8, A9: differences in the headers, which a load balancer moves together, so their sum is capped.
///
/// Where the sender sent nothing but resets, an earlier one that was its own serves to compare with.
fn header(case: &Case, r: &Reset, genuine: Option<&Reset>) -> Vec<Sign> {
    let (s, sender) = (&r.segment, r.direction.sender());
    let (mut p, mut reference) = (case.profiles[r.direction], r.sender.last.map_or(s.frame, |l| l.frame));
    if let (0, Some(genuine)) = (p.packets(), genuine) {
        p.learn(&genuine.segment);
        reference = genuine.segment.frame;
    }
    let mut signs = Vec::new();
    let known = p.packets();
    if known == 0 {
        return signs;
    }
    // one packet to compare with is less than two
    let faint = if known == 1 { 0.6 } else { 1.0 };
    if let (Some(usual), true) = (p.ttl.usual(), p.ttl.distance(s.ttl).is_some_and(|d| d >= 2)) {
        let sign = if p.ttl.values().any(|(t, _)| hops::same_distance(t, s.ttl)) {
            let claim = format!(
                "TTL {} where the {sender} uses {usual}: another initial value at the same distance",
                s.ttl
            );
            Sign::new(&w::HEADER_TTL_CLASS, claim, [reference, s.frame])
        } else {
            let claim = format!(
                "TTL {} where {} other packets of the {sender} have {usual}",
                s.ttl,
                p.ttl.count(usual)
            );
            Sign::new(&w::HEADER_TTL, claim, [reference, s.frame]).times(faint)
        };
        signs.push(sign);
    }
    let before = &r.sender.profile.ip_id;
    if let (Some(id), IpIdHabit::Counter) = (s.ip_id, before.habit()) {
        let step = before.step_to(id).unwrap_or(0);
        if id != 0 && step > COUNTER_JUMP && step < u16::MAX - COUNTER_JUMP {
            let last = before.last.unwrap_or(0);
            let claim = format!("IP-ID {id:#06x} is off the {sender}'s counter, which stood at {last:#06x}");
            signs.push(Sign::new(&w::HEADER_IP_ID, claim, [s.frame]));
        }
    }
    if s.ip_id.is_some() {
        let odd = if s.dont_fragment { p.df_set == 0 } else { p.df_clear == 0 };
        if odd {
            let (has, all) = if s.dont_fragment { ("set", "clear") } else { ("clear", "set") };
            let claim = format!("DF is {has}, and {all} in all {known} other packets of the {sender}");
            signs.push(Sign::new(&w::HEADER_DF, claim, [s.frame]).times(faint));
        }
    }
    if lacks_timestamps(r) {
        signs.push(Sign::new(&w::HEADER_TIMESTAMPS, "no timestamps, which its sender uses", [s.frame]));
    }
    let cap = match r.direction {
        Direction::ToClient => w::HEADER_CAP_TO_CLIENT,
        Direction::ToServer => w::HEADER_CAP_TO_SERVER,
    };
    let sum: f64 = signs.iter().map(|s| s.log_odds).sum();
    if sum > cap {
        for sign in &mut signs {
            sign.log_odds *= cap / sum;
        }
    }
    signs
}

/// Whether the identification goes on where the sender's counter stood, whatever its habit: the sender's last packet,
/// or its last reset.
pub(super) fn continues_counter(case: &Case, n: usize) -> bool {
    let r = &case.resets[n];
    let Some(id) = r.segment.ip_id.filter(|id| *id != 0) else { return false };
    let before =
        case.resets[..n].iter().rev().find(|x| x.direction == r.direction).and_then(|x| x.segment.ip_id);
    [before, r.sender.profile.ip_id.last]
        .into_iter()
        .flatten()
        .any(|last| last != 0 && (1..=COUNTER_STEP).contains(&id.wrapping_sub(last)))
}
