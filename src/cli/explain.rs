//! `pinchpoint explain`: the page of a rule.

use std::io::Write;

use super::Exit;
use super::args::Explain;
use super::error::Error;
use crate::detect::registry::{self, RULES};

pub(super) fn run(args: &Explain, out: &mut dyn Write) -> Result<Exit, Error> {
    let Some(code) = &args.code else {
        for rule in RULES {
            writeln!(out, "{}  {:20} {}", rule.code, rule.name, rule.summary)?;
        }
        return Ok(Exit::Done);
    };
    let Some(rule) = registry::find(code) else {
        let known: Vec<&str> = RULES.iter().map(|r| r.code).collect();
        let code = crate::base::text::Untrusted(code);
        return Err(Error::Usage(format!(
            "no rule has the code {code}\nhelp: the codes are {}",
            known.join(", ")
        )));
    };
    out.write_all(rule.page.as_bytes())?;
    Ok(Exit::Done)
}
