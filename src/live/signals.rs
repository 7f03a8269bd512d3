//! Signals as flags: whoever loops looks at them. SIGINT and SIGTERM end, SIGUSR1 asks for the counters.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What was asked for by signal or by key.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    counters: Arc<AtomicBool>,
}

impl Signals {
    /// Flags that the process's signals set. A second SIGINT ends the program at once.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn of_process() -> io::Result<Self> {
        let signals = Self::default();
        let stop = || Arc::clone(&signals.stop);
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_conditional_default(signal, stop())?;
            signal_hook::flag::register(signal, stop())?;
        }
        #[cfg(unix)]
        signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&signals.counters))?;
        Ok(signals)
    }

    /// Whether to end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks to end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the counters were asked for since the last call.
    pub fn take_counters(&self) -> bool {
        self.counters.swap(false, Ordering::Relaxed)
    }
}
