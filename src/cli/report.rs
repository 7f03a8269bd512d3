//! `pinchpoint report`.

use std::io::Write;

use super::Exit;
use super::error::Error;
use super::input::Reading;
use super::picture_args::Report;
use super::pictures::{Command, Plan};
use crate::analysis::Settings;
use crate::base::replace::write_whole;
use crate::page;

pub(super) fn run(args: &Report, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, Error> {
    let settings = Settings { names: args.named.names(), ..Settings::default() };
    let reading = Reading { files: &args.files, merge: false, sha256: true, quiet: args.quiet, settings };
    let done = reading.run(err);
    if !done.captures.is_empty() {
        let mut drawn = Vec::new();
        for n in 0..done.captures.len() {
            let plan = Plan::new(&done, n);
            drawn.push(plan.draw(&done.traces(n, &plan.places(), &[])?, args.show_addresses));
        }
        let command = Command {
            name: "report",
            files: &args.files,
            flags: args.named.flags(),
            output: args.output.as_deref().map(|path| ("-o", path)),
            addresses: args.show_addresses,
        };
        let report = page::Report {
            captures: &done.captures,
            pictures: &drawn,
            unread: &done.unread,
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
