//! DNS transactions as rows, as many as a name's story needs.

use std::net::IpAddr;

use crate::base::Timestamp;
use crate::flow::dns::{Reply, Transaction};
use crate::wire::dns::{kind, rcode};

/// The most rows of any kind.
pub const MAX_ROWS: usize = 1 << 16;

/// The most rows beyond those of transactions that are odd.
pub const MAX_ODD: usize = 1 << 14;

/// The transactions of a capture.
#[derive(Clone, Debug, Default)]
pub struct DnsRows {
    /// In the order of their first frames once the capture is read: the first [`MAX_ROWS`] that ended, and
    /// [`MAX_ODD`] odd ones after that.
    pub rows: Vec<Transaction>,
    odd: usize,
    /// Transactions beyond those.
    pub not_kept: u64,
    /// Transactions given up because too many were open.
    pub evicted: u64,
    /// Messages that could not be read.
    pub unread: u64,
}

impl DnsRows {
    pub(super) fn take(&mut self, t: Transaction) {
        if !matches!(t.kind, kind::A | kind::AAAA | kind::HTTPS | kind::CNAME) {
            return; // reverse look-ups, mail, keys: no part of a name's story
        }
        if self.rows.len() - self.odd < MAX_ROWS {
            self.rows.push(t);
        } else if is_odd(&t) && self.odd < MAX_ODD {
            self.odd += 1;
            self.rows.push(t);
        } else {
            self.not_kept += 1;
        }
    }

    /// Drops the rows of transactions that were over by `before`, which makes room for later ones.
    pub(super) fn forget(&mut self, before: Timestamp) {
        self.rows.retain(|t| t.last >= before);
        self.odd = self.odd.min(self.rows.len());
    }

    /// Drops all but the newest rows.
    pub(super) fn keep_newest(&mut self, most: usize) {
        self.rows.drain(..self.rows.len().saturating_sub(most));
        self.odd = self.odd.min(self.rows.len());
    }

    pub(super) fn sort(&mut self) {
        self.rows.sort_by_key(|t| t.first_frame);
    }
}

/// Whether a transaction is worth a row where room is short: no answer or several, an error, or an address that leads
/// nowhere.
pub fn is_odd(t: &Transaction) -> bool {
    let [reply] = &t.replies[..] else { return true };
    reply.flags.rcode() != rcode::NOERROR || reply.addresses.iter().any(|a| is_bogon(*a))
}

/// Whether two answers to one query disagree: other addresses, or an error beside an answer.
pub fn answers_differ(t: &Transaction) -> bool {
    let says = |r: &Reply| {
        let mut addresses = r.addresses.clone();
        addresses.sort_unstable();
        (r.flags.rcode(), addresses)
    };
    t.replies.windows(2).any(|w| says(&w[0]) != says(&w[1]))
}

/// Whether an address is none of a public server: special-purpose (RFC 6890), multicast, reserved.
pub fn is_bogon(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => {
            let [first, second, third, _] = a.octets();
            a.is_private()
                || a.is_loopback()
                || a.is_link_local()
                || a.is_documentation()
                || matches!(first, 0 | 224..)
                || first == 100 && second & 0xc0 == 64 // RFC 6598
                || first == 198 && second & 0xfe == 18 // RFC 2544
                || [first, second, third] == [192, 0, 0]
        }
        IpAddr::V6(a) => {
            let s = a.segments();
            // only 2000::/3 is given out (RFC 4291 §2.4), and 64:ff9b::/96 leads to IPv4 (RFC 6052)
            let global = s[0] & 0xe000 == 0x2000 || s[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
            !global || s[0] == 0x2001 && s[1] == 0xdb8
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_nowhere() {
        let bogon = |a: &str| is_bogon(a.parse().unwrap());
        for a in [
            "10.10.34.36",
            "127.0.0.1",
            "0.0.0.0",
            "100.64.0.1",
            "192.168.1.1",
            "240.0.0.1",
            "::",
            "fd00::1",
            "2001:db8::1",
        ] {
            assert!(bogon(a), "{a}");
        }
        for a in ["8.8.8.8", "100.128.0.1", "104.244.42.1", "2606:4700::1", "64:ff9b::808:808"] {
            assert!(!bogon(a), "{a}");
        }
    }
}
