//! `pinchpoint report`.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use super::Exit;
use super::args::{lower, targets};
use super::error::Error;
use super::input::Reading;
use super::picture_args::Report;
use super::pictures::pictures;
use super::write::replace;
use crate::analysis::Settings;
use crate::base::text::Own;
use crate::detect::name::Names;
use crate::page;
use crate::report::Capture;

pub(super) fn run(args: &Report, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, Error> {
    let names = Names { targets: targets(&args.target), controls: lower(&args.control) };
    let settings = Settings { names, ..Settings::default() };
    let mut captures: Vec<Capture> = Vec::new();
    let mut drawn = Vec::new();
    let mut failed = false;
    for (n, path) in args.files.iter().enumerate() {
        let reading = Reading {
            files: std::slice::from_ref(path),
            merge: false,
            sha256: true,
            quiet: args.quiet,
            settings: settings.clone(),
        };
        let done = reading.run(err);
        failed |= done.failed;
        for capture in done.captures {
            drawn.push(pictures(&capture, path, args.show_addresses, &format!("c{}-", n + 1), err));
            captures.push(capture);
        }
    }
    if !captures.is_empty() {
        let report = page::Report {
            captures: &captures,
            pictures: &drawn,
            command: &command(args),
            addresses: args.show_addresses,
        };
        let html = page::html(&report).map_err(Error::Usage)?;
        match &args.output {
            Some(path) => replace(path, html.as_bytes())?,
            None => out.write_all(html.as_bytes())?,
        }
    }
    out.flush()?;
    Ok(Exit::of(&captures, failed, false))
}

/// The command that makes the page again.
fn command(args: &Report) -> String {
    let shown = |path: &Path| quoted(&page::shown(&path.to_string_lossy(), args.show_addresses));
    let mut line = "pinchpoint report".to_owned();
    for file in &args.files {
        let _ = write!(line, " {}", shown(file)); // a string takes all
    }
    for (flag, names) in [("--target", &args.target), ("--control", &args.control)] {
        for name in names {
            let _ = write!(line, " {flag} {}", quoted(&Own(name).to_string()));
        }
    }
    if args.show_addresses {
        line.push_str(" --show-addresses");
    }
    if let Some(path) = &args.output {
        let _ = write!(line, " -o {}", shown(path));
    }
    line
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+:@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
