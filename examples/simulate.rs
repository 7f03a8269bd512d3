//! Plays a scenario and writes what each place saw, with its truth: `simulate FILE SEED FOLDER [VARIANT]`.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

use pinchpoint::testkit::path::{capture::capture, scenario, world};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, seed, folder, variant @ ..] = &args[..] else {
        eprintln!("usage: simulate FILE SEED FOLDER [VARIANT]: writes captures and their truth into FOLDER");
        return;
    };
    let seed: u64 = seed.parse().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    let all = scenario::read(path, &text).unwrap();
    for (n, (label, s)) in all.into_iter().enumerate() {
        if variant.first().is_some_and(|v| !label.contains(v.as_str())) {
            continue;
        }
        let run = world::play(&s, seed);
        for how in &s.capture {
            let got = capture(&run, how, seed);
            let file = format!("{folder}/{n}-{}", how.name().replace(", ", "-").replace(' ', "-"));
            println!("{file}.pcapng: {label}");
            std::fs::write(format!("{file}.pcapng"), &got.file).unwrap();
            std::fs::write(format!("{file}.json"), serde_json::to_string_pretty(&got.truth).unwrap())
                .unwrap();
        }
    }
}
