//! pinchpoint reads a packet capture and says what the network did to it.
//!
//! A packet's way, room by room:
//!
//! 1. [`capture`] gives a [`capture::Frame`], borrowed from a read block;
//! 2. [`wire`] decodes it to a [`wire::Packet`] on the stack, judging nothing;
//! 3. [`flow`] adds it to its [`flow::Connection`], the one copy that is kept;
//! 4. [`measure`] reduces a connection that is over to numbers;
//! 5. [`detect`] turns numbers into findings, each with its evidence;
//! 6. [`trace`] reads the packets of the connections that matter once more, for what shows them;
//! 7. `chart` and `page` (feature `charts`) draw pictures and write the page for readers;
//! 8. [`report`] renders them, and [`cli`] is the program.
//!
//! [`live`] records packets, and analyses them as they come.
//!
//! [`analysis::analyze`] joins them: the only loop over packets. [`base`] holds the words that all of them use.

pub mod analysis;
pub mod annotate;
pub mod base;
pub mod capture;
#[cfg(feature = "charts")]
pub mod chart;
pub mod cli;
pub mod detect;
pub mod flow;
pub mod live;
pub mod measure;
#[cfg(feature = "charts")]
pub mod page;
pub mod report;
#[cfg(feature = "tables")]
pub mod table;
pub mod trace;
pub mod wire;

#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
