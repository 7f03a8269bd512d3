//! Rights that the program gives away once the interface is open.
//!
//! `CAP_NET_RAW` stays with the thread that records, since an interface that went away must be opened again; a ring
//! written by root keeps `CAP_DAC_OVERRIDE` and `CAP_CHOWN`, since its later files may lie in another user's folder and be theirs. All else goes, and
//! no program started from here can get it back. What analyses has none.

/// Which rights a thread keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// What opening the interface again takes.
    Interface,
    /// That, and writing into folders of others.
    InterfaceAndFolders,
    /// Nothing.
    Nothing,
}

/// Gives away all rights of the calling thread, and of those that it starts, but the ones named. Where the system knows
/// no such rights, or refuses, nothing changes.
#[cfg(target_os = "linux")]
pub fn keep(what: Keep) {
    use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};
    let wanted = match what {
        Keep::Interface => CapabilitySet::NET_RAW,
        Keep::InterfaceAndFolders => {
            CapabilitySet::NET_RAW | CapabilitySet::DAC_OVERRIDE | CapabilitySet::CHOWN
        }
        Keep::Nothing => CapabilitySet::empty(),
    };
    let Ok(had) = capabilities(None) else { return };
    let kept = had.permitted & wanted;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    let _ = set_capabilities(None, sets); // fewer rights are always granted
    let _ = set_no_new_privs(true);
}

/// Gives away all rights of the calling thread but the ones named, where the system knows such rights: this one has none.
#[cfg(not(target_os = "linux"))]
pub fn keep(_what: Keep) {}
