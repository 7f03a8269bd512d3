//! DNS transactions in the JSON.

use std::net::IpAddr;

use super::Capture;
use super::json::Address;
use super::rows_json::object;
use crate::flow::dns::{Reply, Transaction, Transport};
use crate::measure::dns::answers_differ;

object! {
    pub(super) struct JsonTransaction<'a> {
        capture: usize,
        name: String,
        record_type: u16,
        id: u16,
        transport: &'static str,
        client: Address,
        resolver: Address,
        first_frame: u64,
        start_ns: i64,
        queries: u32,
        replies: Vec<JsonReply<'a>>,
        replies_not_kept: u32,
        answers_differ: bool,
    }
}

object! {
    struct JsonReply<'a> {
        frame: u64,
        at_ns: i64,
        ip_ttl: u8,
        ip_id: Option<u16>,
        flags: u16,
        rcode: u8,
        addresses: &'a [IpAddr],
        alias: Option<&'a str>,
        record_ttl: Option<u32>,
        records: u16,
        same_case: bool,
        complete: bool,
    }
}

pub(super) fn rows(n: usize, c: &Capture) -> impl Iterator<Item = JsonTransaction<'_>> {
    c.analysis.udp.dns.rows.iter().map(move |t| transaction(n, t))
}

fn transaction(capture: usize, t: &Transaction) -> JsonTransaction<'_> {
    JsonTransaction {
        capture,
        name: t.folded(),
        record_type: t.kind,
        id: t.id,
        transport: match t.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        },
        client: t.client.into(),
        resolver: t.resolver.into(),
        first_frame: t.first_frame,
        start_ns: t.started.ns(),
        queries: t.queries,
        replies: t.replies.iter().map(reply).collect(),
        replies_not_kept: t.replies_not_kept,
        answers_differ: answers_differ(t),
    }
}

fn reply(r: &Reply) -> JsonReply<'_> {
    JsonReply {
        frame: r.frame,
        at_ns: r.at.ns(),
        ip_ttl: r.ip_ttl,
        ip_id: r.ip_id,
        flags: r.flags.0,
        rcode: r.flags.rcode(),
        addresses: &r.addresses,
        alias: r.alias.as_deref(),
        record_ttl: r.record_ttl,
        records: r.records,
        same_case: r.same_case,
        complete: r.complete,
    }
}
