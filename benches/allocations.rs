//! One whole analysis with the system's allocator, for valgrind to count: `benches/instructions.sh` runs it. The program's own
//! allocator does not show there.
//!
//! `cargo bench --no-default-features --bench allocations -- FILE`

use std::error::Error;
use std::path::PathBuf;

use pinchpoint::analysis::{Settings, analyze};
use pinchpoint::capture::open_path;
use pinchpoint::report::{Capture, json};

fn main() -> Result<(), Box<dyn Error>> {
    let path: PathBuf = std::env::args_os().nth(1).ok_or("which capture?")?.into();
    let analysis = analyze(&mut open_path(&path)?, Settings::default(), &mut |_| {});
    let path = path.display().to_string();
    Ok(json::write_json(&[Capture { path, sha256: None, analysis }], 1, &mut std::io::sink())?)
}
