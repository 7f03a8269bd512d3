//! Names for addresses that are not shown: the same for the same address throughout a capture.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::analysis::Analysis;
use crate::base::Endpoint;

/// What the ends of a capture's connections are called.
#[derive(Clone, Debug)]
pub struct Ends {
    clients: BTreeMap<IpAddr, usize>,
    servers: BTreeMap<IpAddr, usize>,
    addresses: bool,
}

impl Ends {
    /// Numbers clients and servers in the order in which they come; with `addresses`, each is called by its address.
    pub fn new(a: &Analysis, addresses: bool) -> Self {
        let mut ends = Self { clients: BTreeMap::new(), servers: BTreeMap::new(), addresses };
        if !addresses {
            for (client, server) in (0..a.verdicts.len()).filter_map(|p| a.ends(p)) {
                let (c, s) = (ends.clients.len(), ends.servers.len());
                ends.clients.entry(client.addr).or_insert(c);
                ends.servers.entry(server.addr).or_insert(s);
            }
        }
        ends
    }

    /// What a client is called: "client A".
    pub fn client(&self, e: Endpoint) -> String {
        match self.clients.get(&e.addr) {
            _ if self.addresses => format!("client {e}"),
            Some(n) => format!("client {}", letters(*n)),
            None => "client".to_owned(),
        }
    }

    /// What a server is called: "server 1".
    pub fn server(&self, e: Endpoint) -> String {
        match self.servers.get(&e.addr) {
            _ if self.addresses => format!("server {e}"),
            Some(n) => format!("server {}", n + 1),
            None => "server".to_owned(),
        }
    }
}

/// A, B, … Z, AA, AB, …
fn letters(mut n: usize) -> String {
    let mut out = Vec::new();
    loop {
        out.push(b'A' + u8::try_from(n % 26).unwrap_or(0));
        if n < 26 {
            break;
        }
        n = n / 26 - 1;
    }
    out.iter().rev().map(|b| char::from(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn letters_go_on_behind_z() {
        assert_eq!([0, 25, 26, 51, 52, 701, 702].map(letters), ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
    }
}
