#![allow(clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::print_stdout, missing_docs)]
use pinchpoint::base::Direction;
use pinchpoint::capture::{Source, open_path};
use pinchpoint::flow::table::{FlowTable, Limits};
use pinchpoint::flow::{Connection, Segment};
use pinchpoint::measure::cap::{Fits, Transfer, transfer};
use pinchpoint::wire::{Payload, decode};

fn show(short: &str, f: &Fits) {
    println!(
        "{short} n={} loss={} win {:.2} alone {:.2} secs {:.1}",
        f.packets, f.losses, f.window_full, f.alone, f.seconds
    );
    if let Some(w) = f.waiting {
        println!(
            "    base {:.1} med {:.1} most {:.1} noise {:.1} at loss {:.1} rank {:.2} n {}",
            w.base * 1e3,
            w.median * 1e3,
            w.most * 1e3,
            w.noise * 1e3,
            w.at_loss * 1e3,
            w.rank_at_loss,
            w.losses
        );
    }
    if let Some(q) = f.queue {
        println!(
            "    QUEUE rate {:.0} depth {:.0} misfit {:.3} plain {:.3} unsteady {:.3} stretches {} busy {:.2}",
            q.rate * 8.0,
            q.depth,
            q.misfit,
            q.plain_misfit,
            q.unsteady,
            q.stretches,
            q.busy
        );
    }
    if let Some(f) = &f.policer {
        let r = &f.replay;
        println!(
            "    POLICER rate {:.0} [{:.0} {:.0}] depth {:.0} slack {:.0} gain {:.0} {:.0?} expl {:.3} allow {:.3} L {:?} P {:?}",
            f.bucket.rate * 8.0,
            f.interval[0] * 8.0,
            f.interval[1] * 8.0,
            f.bucket.depth,
            f.slack,
            f.gain,
            f.by_halves,
            r.explained(),
            r.allowed(),
            r.losses(),
            r.passes()
        );
    }
}

fn main() {
    for path in std::env::args().skip(1) {
        let mut src = open_path(std::path::Path::new(&path)).unwrap();
        let mut table = FlowTable::new(Limits::default());
        let short: String = path
            .rsplit('/')
            .take(2)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join("/")
            .replace("C=5-L=2000000-", "")
            .replace("-RTT=100-RTTV=0-RTTC=0%", "")
            .replace("-TCP=cubic-T=1", "")
            .replace("USC-NSL__policing-detection/", "");
        let mut all: Vec<Transfer> = Vec::new();

        let mut take = |c: Connection| {
            for d in [Direction::ToServer, Direction::ToClient] {
                let t0 = std::time::Instant::now();
                if let Some(t) = Transfer::measure(&c, d, 0) {
                    show(
                        &format!(
                            "{short} :{} {} {:?} {:?} {:.1}ms",
                            c.client.port,
                            d.name(),
                            t.side,
                            t.series.delays,
                            t0.elapsed().as_secs_f64() * 1e3
                        ),
                        &t.fits,
                    );
                    all.push(t);
                }
            }
        };
        while let Some(frame) = src.next_frame() {
            let p = decode::frame(&frame);
            if let (Payload::Tcp(tcp), Some(ip)) = (p.payload, &p.ip) {
                let (s, a, b) = Segment::new(frame.number, frame.at, ip, &tcp);
                table.push(&s, a, b, &tcp, false, &mut take);
            }
        }
        table.finish(&mut take);
        let group: Vec<&Transfer> =
            all.iter().filter(|t| t.sender == all[0].sender && !t.series.packets.is_empty()).collect();
        if group.len() > 1 {
            let s = transfer::together(&group).unwrap();
            show(
                &format!(
                    "{short} TOGETHER {} sum of gains {:.0}",
                    group.len(),
                    group
                        .iter()
                        .map(|t| t.fits.policer.as_ref().map_or(0.0, |p| p.gain.max(0.0)))
                        .sum::<f64>()
                ),
                &Fits::new(&s),
            );
        }
    }
}
