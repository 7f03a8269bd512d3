//! Finds out whether libpcap is there to record with, and says so as `cfg(libpcap)`.
//!
//! Without it the program records nothing and does all else. `PINCHPOINT_NO_LIBPCAP=1` leaves it out.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(libpcap)");
    println!("cargo::rerun-if-changed=build.rs");
    for variable in ["LIBPCAP_LIBDIR", "PINCHPOINT_NO_LIBPCAP", "PKG_CONFIG_PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    // where libpcap comes or goes after the first build, this is asked again
    for dir in usual_directories() {
        let kept = FILES.iter().map(|file| dir.join(file)).chain([dir.join("pkgconfig")]);
        for path in kept.filter(|path| path.exists()) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    if env::var_os("PINCHPOINT_NO_LIBPCAP").is_some_and(|v| v != "0") {
        return;
    }
    if has_libpcap() {
        println!("cargo::rustc-cfg=libpcap");
    } else {
        println!(
            "cargo::warning=libpcap is missing, so live capture is left out (all else works); for live capture, install it and build again: \
             apt install libpcap-dev | dnf install libpcap-devel | brew install libpcap"
        );
    }
}

/// Whether the linker would find libpcap where the `pcap` crate has it look.
fn has_libpcap() -> bool {
    // The crate's build script links with the library of the target; when cross-compiling, only a stated directory
    // can be trusted.
    if let Some(dir) = env::var_os("LIBPCAP_LIBDIR") {
        return holds_libpcap(Path::new(&dir));
    }
    if env::var("HOST").ok() != env::var("TARGET").ok() {
        return false;
    }
    let pkg_config = Command::new("pkg-config").args(["--libs", "libpcap"]).output();
    if pkg_config.is_ok_and(|output| output.status.success()) {
        return true;
    }
    usual_directories().iter().any(|dir| holds_libpcap(dir))
}

/// What `-lpcap` stands for on the systems there are.
const FILES: [&str; 5] = ["libpcap.so", "libpcap.a", "libpcap.dylib", "libpcap.tbd", "wpcap.lib"];

/// Whether a directory holds the file that `-lpcap` stands for. The runtime library (`libpcap.so.1`) is not enough.
fn holds_libpcap(dir: &Path) -> bool {
    FILES.iter().any(|file| dir.join(file).exists())
}

/// Where linkers look by themselves.
fn usual_directories() -> Vec<PathBuf> {
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let environment = env::var("CARGO_CFG_TARGET_ENV").unwrap_or_default();
    let mut directories: Vec<PathBuf> =
        ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib"].iter().map(PathBuf::from).collect();
    // Debian's multiarch directories; those of other systems have the same shape.
    for abi in [environment.as_str(), "gnu", "gnueabihf"] {
        directories.push(PathBuf::from(format!("/usr/lib/{arch}-linux-{abi}")));
    }
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos") {
        directories.push("/opt/homebrew/opt/libpcap/lib".into());
        directories.push("/Library/Developer/CommandLineTools/SDKs/MacOSX.sdk/usr/lib".into());
    }
    directories
}
