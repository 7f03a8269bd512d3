//! `pinchpoint analyze`.

use std::io::Write;
use std::path::Path;

use super::Exit;
use super::args::{Analyze, FailOn, Format};
use super::error::Error;
use crate::analysis::{self, Settings};
use crate::base::text::Untrusted;
use crate::capture::{self, FileSource, Source};
use crate::detect::Level;
use crate::flow::table::Limits;
use crate::report::{Capture, json};

pub(super) fn run(args: &Analyze, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, Error> {
    let settings = Settings { limits: Limits { connections: args.max_connections as usize } };
    let mut captures = Vec::new();
    let mut failed = false;
    let mut open = |path: &Path| match open(path) {
        Ok(source) => Some(source),
        Err(e) => {
            let _ = writeln!(err, "error: {}: {e}", Untrusted(&path.to_string_lossy()));
            failed = true;
            None
        }
    };
    let mut analyze = |path: String, source: &mut dyn Source| {
        let analysis = analysis::analyze(source, settings, &mut |_| {});
        captures.push(Capture { path, sha256: None, analysis });
    };
    if args.merge {
        let sources: Vec<FileSource> = args.files.iter().filter_map(|p| open(p)).collect();
        if !sources.is_empty() {
            let paths: Vec<String> = args.files.iter().map(|p| p.to_string_lossy().into_owned()).collect();
            analyze(paths.join(", "), &mut capture::merge(sources));
        }
    } else {
        for path in &args.files {
            if let Some(mut source) = open(path) {
                analyze(path.to_string_lossy().into_owned(), &mut source);
            }
        }
    }
    match args.format {
        Format::Json => json::write_json(&captures, out)?,
        Format::Ndjson => json::write_ndjson(&captures, out)?,
        Format::Text => {}
    }
    out.flush()?;
    Ok(exit(args, &captures, failed))
}

fn open(path: &Path) -> Result<FileSource, capture::Error> {
    if path == Path::new("-") {
        capture::open_reader(Box::new(std::io::stdin()))
    } else {
        capture::open_path(path)
    }
}

fn exit(args: &Analyze, captures: &[Capture], failed: bool) -> Exit {
    let floor = args.fail_on.map(|l| match l {
        FailOn::Possible => Level::Possible,
        FailOn::Likely => Level::Likely,
        FailOn::Confirmed => Level::Confirmed,
    });
    let found = floor
        .is_some_and(|floor| captures.iter().flat_map(|c| &c.analysis.findings).any(|f| f.level >= floor));
    let partial =
        captures.iter().any(|c| c.analysis.is_partial() || c.kernel_dropped().is_some_and(|n| n > 0));
    if failed {
        Exit::Unreadable
    } else if found {
        Exit::Findings
    } else if partial {
        Exit::Partial
    } else {
        Exit::Done
    }
}
