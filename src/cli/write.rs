//! Files that the program writes: whole under a temporary name first, so that nobody ever reads half of one.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

/// Writes a file, or puts it in the place of what is there.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, path)).inspect_err(|_| {
        let _ = fs::remove_file(&part);
    })
}
