//! `pinchpoint summarize`.

use std::io::Write;

use super::Exit;
use super::args::{Grouped, Shape, Summarize};
use super::error::Error;
use crate::base::text::Own;
use crate::report::units::count;
use crate::table::show;
use crate::table::summarize::{By, summarize};

pub(super) fn run(args: &Summarize, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, Error> {
    let by = match args.by {
        Grouped::Name => By::Name,
        Grouped::Network => By::Network,
        Grouped::Hour => By::Hour,
        Grouped::Mechanism => By::Mechanism,
    };
    let dir = Own(&args.dir.to_string_lossy()).to_string();
    let answer = summarize(&args.dir, by).map_err(|e| Error::File(format!("{dir}: {e}")))?;
    if answer.unfinished > 0 {
        let n = count(answer.unfinished as u64, "capture");
        let _ = writeln!(err, "note: {n} left out: their tables are not whole; analyse them again");
    }
    #[cfg(feature = "charts")]
    if let Some(path) = &args.chart {
        super::pictures::PictureFile::new(path)?.write(&crate::chart::summary(&answer))?;
    }
    match args.format {
        Shape::Text => show::text(&answer, out)?,
        Shape::Csv => show::csv(&answer, out)?,
        Shape::Json => show::json(&answer, out)?,
    }
    out.flush()?;
    Ok(if answer.unfinished > 0 { Exit::Partial } else { Exit::Done })
}
