//! What a command that reads captures gives up before it does: all files but those it was told, the network, other
//! programs and processes.
//!
//! A capture is hostile, and so is whatever a mistake in reading it might become. The kernel is asked twice: Landlock for files
//! and TCP, seccomp for calls that no analysis needs. Where a kernel has one of them not, or an older one, the other and
//! the rest still hold; nothing fails for it.

use std::path::PathBuf;

/// What a thread needs to open after it is confined. What is open already stays open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files to read, and folders to read in.
    pub read: Vec<PathBuf>,
    /// Folders in which files appear, each under a temporary name first.
    pub write: Vec<PathBuf>,
    /// Folders in which anything may be done.
    pub own: Vec<PathBuf>,
}

/// How much of it the kernel holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confined {
    /// Whether files can't be opened but those named.
    pub files: bool,
    /// Whether no socket can be made, and no program started.
    pub calls: bool,
}

/// Confines the calling thread, and those that it starts. There is no way back.
#[cfg(target_os = "linux")]
pub fn confine(needs: &Needs) -> Confined {
    Confined { files: system::files(needs).unwrap_or(false), calls: system::calls().is_some() }
}

/// Confines the calling thread, where the system can do that: this one cannot.
#[cfg(not(target_os = "linux"))]
pub fn confine(_needs: &Needs) -> Confined {
    Confined::default()
}

#[cfg(target_os = "linux")]
mod system {
    use std::path::Path;

    use landlock::{
        ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
        RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
    };
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

    use super::Needs;

    /// The newest Landlock whose rights are known to leave analysis alone; an older kernel holds what it knows of them.
    const NEWEST: ABI = ABI::V6;

    /// Landlock: gives whether it holds.
    pub(super) fn files(needs: &Needs) -> Result<bool, RulesetError> {
        let all = AccessFs::from_all(NEWEST);
        let mut rules = Ruleset::default()
            .handle_access(all)?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?;
        let write = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
        for (paths, access) in [
            (&needs.read, AccessFs::ReadFile | AccessFs::ReadDir),
            (&needs.write, write),
            (&needs.own, all & !AccessFs::Execute),
        ] {
            for path in paths {
                allow(&mut rules, path, access);
            }
        }
        Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
    }

    /// Allows a path. One that is not there cannot be opened, and says so then; a pipe under a path of /proc needs no rule.
    fn allow(rules: &mut RulesetCreated, path: &Path, access: BitFlags<AccessFs>) {
        if let Ok(fd) = PathFd::new(path) {
            let _ = rules.add_rule(PathBeneath::new(fd, access));
        }
    }

    /// Calls that no analysis makes: the network, other programs, other processes, and the way round this filter.
    const REFUSED: [libc::c_long; 8] = [
        libc::SYS_socket,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_io_uring_setup,
    ];

    /// Seccomp; `None` where the kernel or the processor has none.
    pub(super) fn calls() -> Option<()> {
        #[allow(clippy::useless_conversion)] // it is a shorter number on other processors
        let refused = REFUSED.iter().map(|call| (i64::from(*call), Vec::new())).collect();
        let error = SeccompAction::Errno(u32::try_from(libc::EACCES).ok()?);
        let arch = std::env::consts::ARCH.try_into().ok()?;
        let filter = SeccompFilter::new(refused, SeccompAction::Allow, error, arch).ok()?;
        seccompiler::apply_filter(&BpfProgram::try_from(filter).ok()?).ok()
    }
}
