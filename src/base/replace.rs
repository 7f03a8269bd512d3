//! Files that appear whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes a file under a temporary name in the same folder and renames it once it is whole; what goes wrong leaves the
/// file of that name as it was.
///
/// # Errors
/// What `write`, or the system, gives.
pub fn write_whole<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
) -> io::Result<T> {
    let part = part_of(path)?;
    let done = write_to(&part, write).and_then(|done| fs::rename(&part, path).map(|()| done));
    if done.is_err() {
        let _ = fs::remove_file(&part); // the error that is told is the first
    }
    done
}

fn write_to<T>(part: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>) -> io::Result<T> {
    let mut out = BufWriter::with_capacity(1 << 18, File::create(part)?);
    let done = write(&mut out)?;
    out.flush()?;
    Ok(done)
}

/// The temporary name: hidden, and no other process's.
fn part_of(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "this is no name of a file"))?;
    let mut part = OsString::from(".");
    part.push(name);
    part.push(format!(".{}.part", std::process::id()));
    Ok(path.with_file_name(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_whole(&path, |out| out.write_all(b"one")).unwrap();
        let failed: io::Result<()> = write_whole(&path, |out| {
            out.write_all(b"two")?;
            Err(io::Error::other("no"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no");
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        assert!(write_whole(Path::new("/"), |_| Ok(())).is_err());
    }
}
