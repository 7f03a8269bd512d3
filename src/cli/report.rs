//! `pinchpoint report`.

use std::io::Write;

use super::Exit;
use super::args::{lower, targets};
use super::error::Error;
use super::input::Reading;
use super::picture_args::Report;
use super::pictures::{Command, pictures};
use crate::analysis::Settings;
use crate::base::replace::write_whole;
use crate::detect::name::Names;
use crate::page;

pub(super) fn run(args: &Report, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, Error> {
    let names = Names { targets: targets(&args.target), controls: lower(&args.control) };
    let settings = Settings { names, ..Settings::default() };
    let reading = Reading { files: &args.files, merge: false, sha256: true, quiet: args.quiet, settings };
    let done = reading.run(err);
    if !done.captures.is_empty() {
        let drawn: Vec<_> =
            (0..done.captures.len()).map(|n| pictures(&done, n, args.show_addresses, err)).collect();
        let named =
            |flag, names: &[String]| -> Vec<_> { names.iter().map(|n| (flag, Some(n.clone()))).collect() };
        let command = Command {
            name: "report",
            files: &args.files,
            flags: [named("--target", &args.target), named("--control", &args.control)].concat(),
            output: args.output.as_deref().map(|path| ("-o", path)),
            addresses: args.show_addresses,
        };
        let report = page::Report {
            captures: &done.captures,
            pictures: &drawn,
            command: &command.line(),
            addresses: args.show_addresses,
        };
        let html = page::html(&report).map_err(Error::Usage)?;
        match &args.output {
            Some(path) => {
                write_whole(path, |out| out.write_all(html.as_bytes())).map_err(|e| Error::file(path, e))?;
            }
            None => out.write_all(html.as_bytes())?,
        }
    }
    out.flush()?;
    Ok(Exit::of(&done.captures, done.failed, false))
}
