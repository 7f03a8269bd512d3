//! Was it the name? What befell the connections that asked for one name, against those that asked the same servers for others.
//!
//! [`Fate`] is what became of one connection; [`compare()`] groups fates by client, registrable domain and kind, finds their
//! controls, and says what the interference depends on. It works on rows, once the whole capture is known.

mod compare;
mod fate;
mod group;
mod quic;
mod rates;
mod refusals;
mod residual;
mod rows;
mod samples;
mod sizes;
mod slow;
mod throttle;

pub use compare::compare;
pub(crate) use compare::what;
pub use fate::{Fate, fate};
pub use group::{Names, X, network, registrable};
pub use rows::{Compared, Keyed};
