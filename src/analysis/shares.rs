//! A file analysed by several threads: each reads all of it and takes its share of the connections.
//!
//! Nothing is shared while they read, so there is no queue and no lock. What one thread would have counted over all
//! connections is put right afterwards: streams get their numbers from the frames that began them. What one thread
//! bounds over all connections cannot be: where a bound was reached, or would have been, one thread does it again. So
//! the result is the same for any number of threads.

use std::panic::resume_unwind;
use std::thread;

use super::front::{Front, Share};
use super::{Analysis, Analyzer, Collected, Settings, analyze};
use crate::capture::{Error, Facts, FileSource};
use crate::detect::reset::Servers;
use crate::flow::table::Peak;
use crate::measure::cap::Transfers;

/// A file shorter than this is not worth a second reading.
const WORTH_SHARING: u64 = 1 << 20;

/// What one thread made of its share.
struct Part {
    front: Front,
    collected: Collected,
    files: Vec<Facts>,
}

/// Analyses a file of `length` bytes, which `open` opens any number of times. `progress` is told now and then how far reading has
/// come.
///
/// # Errors
///
/// Where the file cannot be opened.
pub fn analyze_file(
    open: &(impl Fn() -> Result<FileSource, Error> + Sync),
    length: u64,
    settings: Settings,
    progress: &mut dyn FnMut(u64),
) -> Result<Analysis, Error> {
    let mut source = open()?;
    // what has to be decompressed is not read twice for less than that costs
    let shared = settings.threads > 1 && length >= WORTH_SHARING && source.facts().compression.is_none();
    if !shared {
        return Ok(analyze(&mut source, settings, progress));
    }
    let of = u32::try_from(settings.threads).unwrap_or(u32::MAX);
    let limits = settings.limits;
    let part = |nth, source: &mut FileSource, progress: &mut dyn FnMut(u64)| {
        let mut front = Front::of_share(limits, Share { nth, of });
        let mut collected = Collected { transfers: Transfers::of_share(), ..Collected::default() };
        front.read(source, progress, &mut |(c, now)| collected.take(c, now));
        Part { front, collected, files: vec![source.facts().clone()] }
    };
    let mut parts = thread::scope(|scope| {
        let others: Vec<_> =
            (1..of).map(|nth| scope.spawn(move || Ok(part(nth, &mut open()?, &mut |_| {})))).collect();
        let mut parts = vec![part(0, &mut source, progress)];
        for other in others {
            parts.push(other.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(parts)
    })?;
    // one thread's share may have most of what takes long
    let mut transfers: Vec<_> = parts.iter_mut().map(|p| &mut p.collected.transfers).collect();
    Transfers::measure_all(&mut transfers, settings.threads);
    if as_by_one(&parts, &settings) {
        Ok(join(parts, settings))
    } else {
        Ok(analyze(&mut open()?, settings, progress))
    }
}

/// Whether one thread would have met no bound either, and all saw the same file.
fn as_by_one(parts: &[Part], settings: &Settings) -> bool {
    let peaks: Vec<Peak> = parts.iter().map(|p| p.front.table.peak()).collect();
    let servers: Vec<&Servers> = parts.iter().map(|p| &p.collected.servers).collect();
    let transfers: Vec<&Transfers> = parts.iter().map(|p| &p.collected.transfers).collect();
    Peak::fits_one(&peaks, settings.limits)
        && Servers::fit_one(&servers)
        && Transfers::fit_one(&transfers)
        && parts.iter().all(|p| p.front.counts.frames == parts[0].front.counts.frames)
}

/// Puts the parts together.
fn join(parts: Vec<Part>, settings: Settings) -> Analysis {
    let mut begun: Vec<u64> = parts.iter().flat_map(|p| p.front.table.begun()).copied().collect();
    begun.sort_unstable(); // a frame begins one stream at most
    let number = |frame: u64| begun.binary_search(&frame).map_or(0, |n| n as u64);
    let mut collected = Collected::default();
    let mut first = None;
    for part in parts {
        collected.join(part.collected, number);
        first.get_or_insert((part.front, part.files));
    }
    let (front, files) = first.unwrap_or_else(|| (Front::new(settings.limits), Vec::new()));
    Analyzer { front, collected, names: settings.names }.judge(files)
}
