//! What became of a connection that asked for a name.

use crate::base::Direction;
use crate::detect::finding::Mechanism;
use crate::detect::{Finding, Level, Trigger};
use crate::flow::Stage;
use crate::measure::Summary;
use crate::measure::stall::Silence;
use crate::wire::tls::Alert;

/// Server bytes from which a conversation that fell silent counts as frozen rather than cut: between a handshake of a few
/// packets (TSPU lets 5 to 8 pass, Xue et al. 2022) and the 14 to 34 kB after which Russian networks freeze (net4people 490).
const FROZEN: u64 = 8_000;

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// The server answered, and nothing speaks against it.
    Well,
    /// Something that interference may have done.
    Bad(Mechanism),
    /// It cannot be told.
    Unknown,
}

/// The fate of a connection, given the findings about it.
pub fn fate(s: &Summary, findings: &[&Finding]) -> Fate {
    let claims = |f: &&&Finding| f.level >= Level::Likely;
    if let Some(f) = findings.iter().filter(claims).find(|f| f.trigger.is_some_and(Trigger::has_name)) {
        return Fate::Bad(match f.mechanism {
            answer @ (Mechanism::Forged | Mechanism::Tampered) => answer,
            _ => Mechanism::Reset,
        });
    }
    if findings.iter().any(|f| f.trigger.is_some()) {
        return Fate::Unknown; // a pointer, or a reset before the name was sent
    }
    if s.refused.is_some() {
        return Fate::Bad(Mechanism::Icmp);
    }
    if s.sizes.is_some() {
        return Fate::Bad(Mechanism::SizeKeyed);
    }
    if let Some(stall) = s.stall {
        return Fate::Bad(match stall.silence {
            Silence::RequestUnacked | Silence::RequestPartly => Mechanism::HelloDropped,
            Silence::NoAnswer => Mechanism::HelloMuted,
            Silence::CutOff if stall.bytes < FROZEN => Mechanism::DropAfterN,
            Silence::CutOff => Mechanism::Freeze,
        });
    }
    if closed_unanswered(s) {
        return Fate::Bad(Mechanism::Closed);
    }
    if s.sizes.is_some() {
        return Fate::Unknown; // what came through tells nothing of what is larger
    }
    let answered = s.stage == Stage::Answered || !s.is_two_sided() && s.flows.to_client.bytes > 0;
    let refused = s.alerts[Direction::ToClient].is_some_and(Alert::is_fatal);
    if answered && !refused && s.flows.to_client.resets == 0 { Fate::Well } else { Fate::Unknown }
}

/// C4: the server closed where its answer was due, without a word, and before the client did.
fn closed_unanswered(s: &Summary) -> bool {
    let waiting = matches!(s.stage, Stage::RequestAcked | Stage::RequestSent) && s.sni.is_some();
    let silent = s.flows.to_client.bytes == 0 && s.flows.to_client.resets == 0;
    waiting && s.server_closed_first && silent
}
