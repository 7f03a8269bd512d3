//! What README shows is what the program prints, and its commands are those that are documented.

#![allow(clippy::unwrap_used)]

const README: &str = include_str!("../README.md");

#[test]
fn the_output_shown_is_the_output_printed() {
    let shown = README.split("```text\n").nth(1).unwrap().split("\n```").next().unwrap();
    let command = README.lines().find(|l| l.trim_start().starts_with("cargo run -- ")).unwrap();
    let words: Vec<&str> = command.trim().strip_prefix("cargo run -- ").unwrap().split(' ').collect();
    let args = std::iter::once("pinchpoint").chain(words).chain(["--color", "never"]);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = pinchpoint::cli::run(args, &mut out, &mut err);
    assert_eq!((exit.code(), err.len()), (0, 0));
    let out = String::from_utf8(out).unwrap();
    assert!(shown.lines().count() > 20);
    assert!(out.starts_with(shown), "README shows\n{shown}\nand the program prints\n{out}");
}
