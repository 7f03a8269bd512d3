//! `pinchpoint annotate`.

use std::io::Write;
use std::path::Path;

use super::Exit;
use super::args::Annotate;
use super::error::Error;
use super::input::{Reading, is_stdin};
use crate::annotate::{self, Comments, Excerpt, Keep};
use crate::base::replace::write_whole;
use crate::base::text::Own;
use crate::capture::Frame;
use crate::report::units::count;

pub(super) fn run(args: &Annotate, err: &mut dyn Write) -> Result<Exit, Error> {
    if is_stdin(&args.file) {
        return Err(Error::Usage(
            "a pipe can be read only once, and this reads its capture twice\nhelp: write it to a file first"
                .to_owned(),
        ));
    }
    if is_same(&args.file, &args.output) {
        return Err(Error::Usage(format!(
            "{} is the capture itself\nhelp: give the copy another name",
            Own(&args.output.to_string_lossy())
        )));
    }
    let files = std::slice::from_ref(&args.file);
    let reading =
        Reading { files, merge: false, sha256: false, quiet: args.quiet, settings: args.compared.settings() };
    let done = reading.run(err);
    let exit = Exit::of(&done.captures, done.failed, false);
    let Some(capture) = done.captures.first() else { return Ok(exit) };
    let Some(facts) = capture.analysis.files.first() else { return Ok(exit) };
    let comments = Comments::new(&capture.analysis, args.only_findings);
    let excerpt = args.only_findings.then(|| Excerpt::new(&capture.analysis));
    let mut wants = |frame: &Frame<'_>| excerpt.as_ref().is_some_and(|e| e.wants(frame));
    let keep: Option<Keep<'_>> = if args.only_findings { Some(&mut wants) } else { None };
    let copied = write_whole(&args.output, |out| Ok(annotate::copy(&args.file, facts, &comments, keep, out)));
    let copied = match copied {
        Ok(Ok(copied)) => copied,
        Ok(Err(annotate::Error::Input(e))) => return Err(Error::Input(args.file.clone(), e)),
        Ok(Err(annotate::Error::Output(e))) | Err(e) => return Err(Error::file(&args.output, e)),
    };
    if !args.quiet {
        let _ = writeln!(
            err,
            "{}: {}, {} with a comment",
            Own(&args.output.to_string_lossy()),
            count(copied.packets, "packet"),
            copied.commented
        );
    }
    Ok(exit)
}

/// Whether two paths lead to one file.
fn is_same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
