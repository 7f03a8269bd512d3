//! The clock by which tests and benches compare what work costs.
// a test is there to look at the clock
#![allow(clippy::disallowed_methods)]

use std::time::Duration;

/// The time that this thread has had of a processor: of a busy machine the clock on the wall would tell more than of us.
#[cfg(target_os = "linux")]
pub fn spent() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// The time since some moment.
#[cfg(not(target_os = "linux"))]
pub fn spent() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}
