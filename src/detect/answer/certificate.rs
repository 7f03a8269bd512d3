//! SNI008, as a pointer: a certificate in clear that is not for the name that was asked for.
//!
//! It is a pointer whatever else is seen: servers that do not have a name show another's certificate, and a program on the user's
//! own machine may stand in the middle with its own.

use super::trigger;
use crate::base::Direction;
use crate::base::text::Untrusted;
use crate::detect::finding::{Mechanism, probability};
use crate::detect::weights as w;
use crate::detect::{Alternative, Evidence, Finding};
use crate::measure::Summary;

/// The pointer about a connection, if there is one.
pub(super) fn judge(n: usize, c: &Summary) -> Option<Finding> {
    let other = c.other_certificate.as_ref()?;
    let answered = c.answered?;
    let claim = format!(
        "the server's certificate is for {} and not for the name that was asked for",
        Untrusted(other)
    );
    let evidence = vec![Evidence::new(&w::ANSWER_OTHER_CERTIFICATE, 1.0, claim, vec![answered.frame])];
    let why = |text: &str| text.to_owned();
    Some(Finding {
        trigger: Some(trigger(c)),
        direction: Some(Direction::ToClient),
        frames: vec![answered.frame],
        prior: w::PRIOR,
        confidence: probability(w::PRIOR + w::ANSWER_OTHER_CERTIFICATE.log_odds),
        evidence,
        alternatives: vec![
            Alternative {
                cause: "a server that does not have the name, and shows what it has",
                log_odds: 0.0,
                why: why("the same name from another network would tell"),
            },
            Alternative {
                cause: "a captive portal, or a program of the user's own that stands in the middle",
                log_odds: 0.0,
                why: why("then other names get such certificates as well"),
            },
        ],
        ..Finding::new("SNI008", Mechanism::Forged, vec![n], answered.at)
    })
}
