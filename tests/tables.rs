//! Tables: Parquet and CSV say the same, captures add up, and a second run changes nothing.

#![cfg(feature = "tables")]
#![allow(clippy::unwrap_used)]

mod csv;
mod program;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use pinchpoint::base::Timestamp;
use polars::prelude::{AnyValue, DataFrame, DataType, ParquetReader, SerReader, TimeUnit};
use serde_json::Value;

use csv::cells;
use program::within as run;

const TABLES: [&str; 6] = ["captures", "connections", "evidence", "findings", "names", "series"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).join("capture.pcapng")
}

/// The partitions of a table.
fn parts(dir: &Path, table: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(dir.join(table)).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

fn parquet(part: &Path) -> DataFrame {
    ParquetReader::new(File::open(part.join("part.parquet")).unwrap()).finish().unwrap()
}

#[test]
fn the_dictionary_is_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tables.md");
    let made = pinchpoint::table::dictionary::markdown();
    if std::env::var_os("PINCHPOINT_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let there = fs::read_to_string(path).unwrap();
    assert!(there == made, "docs/tables.md is not what the code says: run with PINCHPOINT_BLESS=1");
}

#[test]
fn parquet_and_csv_say_the_same_as_the_json() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("set");
    let file = fixture("pakistan-2024");
    let (file, out) = (file.to_str().unwrap(), dir.to_str().unwrap());
    let (exit, answer, err) = run(&["analyze", "--format", "json", "--out", out, file]);
    assert_eq!(exit, 0, "{err}");
    assert!(err.contains("rows in"), "{err}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    for table in TABLES {
        let part = &parts(&dir, table)[0];
        let (frame, text) = (parquet(part), cells(&fs::read_to_string(part.join("part.csv")).unwrap()));
        let names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
        assert_eq!(text[0], names, "{table}: the same columns");
        assert_eq!(text.len() - 1, frame.height(), "{table}: the same rows");
        for (c, name) in names.iter().enumerate() {
            for r in 0..frame.height() {
                let in_csv = text[r + 1][c].as_str();
                let value = frame.columns()[c].get(r).unwrap();
                match value {
                    AnyValue::Null => assert_eq!(in_csv, ""),
                    AnyValue::String(_) | AnyValue::StringOwned(_) => {
                        let text = value.get_str().unwrap();
                        assert_eq!(in_csv.trim_start_matches('\''), text, "{table} {name}");
                    }
                    AnyValue::UInt64(n) => assert_eq!(in_csv, n.to_string()),
                    AnyValue::Int64(n) => assert_eq!(in_csv, n.to_string()),
                    AnyValue::Boolean(b) => assert_eq!(in_csv, b.to_string()),
                    AnyValue::Float64(x) => assert_eq!(in_csv.parse::<f64>().unwrap().to_bits(), x.to_bits()),
                    AnyValue::Datetime(ns, TimeUnit::Nanoseconds, _)
                    | AnyValue::DatetimeOwned(ns, TimeUnit::Nanoseconds, _) => {
                        let (second, fraction) = in_csv.split_once('.').unwrap();
                        let micros = Timestamp::from_ns(ns).to_string();
                        assert_eq!(second, micros.split('.').next().unwrap());
                        assert_eq!(fraction, format!("{:09}Z", ns.rem_euclid(1_000_000_000)));
                    }
                    other => panic!("{table} {name}: {other:?}"),
                }
            }
        }
    }
    let rows = |table: &str| parquet(&parts(&dir, table)[0]);
    let list = |key: &str| answer[key].as_array().unwrap().clone();
    assert_eq!(rows("connections").height(), list("connections").len());
    assert_eq!(rows("names").height(), list("names").len());
    assert_eq!(rows("findings").height(), list("findings").len());
    let weighed: usize = list("findings")
        .iter()
        .map(|f| f["evidence"].as_array().unwrap().len() + f["alternatives"].as_array().unwrap().len())
        .sum();
    assert_eq!(rows("evidence").height(), weighed);
    let start = rows("connections").column("start").unwrap().dtype().clone();
    assert!(matches!(start, DataType::Datetime(TimeUnit::Nanoseconds, Some(_))), "{start:?}");
    for (n, c) in list("connections").iter().enumerate() {
        let frame = rows("connections");
        let text = |name: &str| frame.column(name).unwrap().get(n).unwrap().get_str().map(str::to_owned);
        assert_eq!(text("sni").as_deref(), c["sni"].as_str());
        assert_eq!(text("verdict").as_deref(), c["verdict"].as_str());
        assert_eq!(text("community_id").as_deref(), c["community_id"].as_str());
    }
}

#[test]
fn the_series_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("set");
    let file = fixture("pakistan-2024");
    run(&["analyze", "--out", dir.to_str().unwrap(), "-q", file.to_str().unwrap()]);
    let (series, connections) = (parquet(&parts(&dir, "series")[0]), parquet(&parts(&dir, "connections")[0]));
    let count = |f: &DataFrame, column: &str, row: usize| match f.column(column).unwrap().get(row).unwrap() {
        AnyValue::UInt64(n) => n,
        other => panic!("{other:?}"),
    };
    let mut bytes: BTreeMap<(u64, String), u64> = BTreeMap::new();
    for r in 0..series.height() {
        let direction = series.column("direction").unwrap().get(r).unwrap().get_str().unwrap().to_owned();
        *bytes.entry((count(&series, "connection", r), direction)).or_default() += count(&series, "bytes", r);
    }
    assert!(bytes.len() >= 10, "connections with findings, and controls");
    for ((connection, direction), sum) in bytes {
        let row = usize::try_from(connection).unwrap() - 1;
        assert_eq!(sum, count(&connections, &format!("bytes_{direction}"), row), "{connection} {direction}");
    }
}

/// Every file below a folder with its bytes.
fn all_files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            files.insert(path, bytes);
        }
    }
    files
}

/// The tables below a folder with their bytes.
fn table_files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let is_table = |p: &Path| p.extension().is_some_and(|e| e == "parquet" || e == "csv");
    all_files(dir).into_iter().filter(|(p, _)| is_table(p)).collect()
}

#[test]
fn captures_add_up_and_a_second_run_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("set");
    let dir_text = dir.to_str().unwrap().to_owned();
    let files: Vec<PathBuf> = ["pakistan-2024", "reset-after-hello", "kernel-reset-ae"].map(fixture).into();
    for file in &files {
        let (exit, _, err) = run(&["analyze", "--out", &dir_text, file.to_str().unwrap()]);
        assert_eq!(exit, 0, "{err}");
    }
    let before = table_files(&dir);
    assert_eq!(before.len(), 3 * TABLES.len() * 2);
    let modified = |p: &Path| fs::metadata(p).unwrap().modified().unwrap();
    let times: Vec<_> = before.keys().map(|p| modified(p)).collect();
    let mut again = vec!["analyze", "--out", &dir_text];
    again.extend(files.iter().map(|f| f.to_str().unwrap()));
    let (_, _, err) = run(&again);
    // charts and the page are those of the run
    let whole = all_files(&dir);
    run(&again);
    assert!(
        all_files(&dir) == whole && whole.contains_key(&dir.join("report.html")) == cfg!(feature = "charts")
    );
    assert_eq!(err.matches("its tables are there already").count(), 3, "{err}");
    assert!(table_files(&dir) == before);
    assert_eq!(before.keys().map(|p| modified(p)).collect::<Vec<_>>(), times, "nothing was written");
    // another question gives other tables in the same place
    let (_, _, err) = run(&["analyze", "--out", &dir_text, "--target", "x", files[0].to_str().unwrap()]);
    assert!(err.contains("rows in"), "{err}");
    assert_eq!(table_files(&dir).len(), before.len());
}

/// Answers are put together part by part, so a set of many is asked otherwise than a set of two.
#[test]
fn a_set_of_many_captures_is_the_sum_of_them() {
    const MANY: u64 = 70; // more than `summarize` puts together at once
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("set");
    let dir_text = dir.to_str().unwrap().to_owned();
    run(&["analyze", "-q", "--out", &dir_text, fixture("pakistan-2024").to_str().unwrap()]);
    let questions = ["name", "network", "hour", "mechanism"];
    let answer = |by: &str| -> Value {
        let (exit, answer, err) = run(&["summarize", &dir_text, "--by", by, "--format", "json"]);
        assert_eq!(exit, 0, "{by}: {err}");
        serde_json::from_str(&answer).unwrap()
    };
    let one: Vec<Value> = questions.iter().map(|by| answer(by)).collect();
    for table in TABLES {
        let part = parts(&dir, table).remove(0);
        for n in 1..MANY {
            let copy = part.with_file_name(format!("capture=sha256-{n:016x}"));
            fs::create_dir(&copy).unwrap();
            for file in ["part.parquet", "part.csv"] {
                fs::hard_link(part.join(file), copy.join(file)).unwrap();
            }
        }
    }
    for (by, one) in questions.iter().zip(&one) {
        let many = answer(by);
        assert_eq!(many["captures"], MANY);
        let (one, many) = (one["rows"].as_array().unwrap(), many["rows"].as_array().unwrap());
        assert_eq!(one.len(), many.len(), "{by}");
        for (one, many) in one.iter().zip(many) {
            for (key, value) in one.as_object().unwrap() {
                let is_sum = ["connections", "findings", "clean", "confirmed", "captures", "bytes_to_client"];
                let factor = if is_sum.contains(&key.as_str()) { MANY } else { 1 };
                match value.as_u64() {
                    Some(n) if factor > 1 => assert_eq!(many[key], n * factor, "{by} {key}"),
                    _ if ["first", "last", "rate_max_bps", "hops_min", "name"].contains(&key.as_str()) => {
                        assert_eq!(&many[key], value, "{by} {key}");
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn questions_over_all_captures() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("set").to_str().unwrap().to_owned();
    let (exit, _, err) = run(&["summarize", &dir]);
    assert_eq!((exit, err.contains("there are no tables in it")), (3, true), "{err}");
    let files: Vec<PathBuf> = ["pakistan-2024", "reset-after-hello"].map(fixture).into();
    let mut args = vec!["analyze", "--format", "json", "-q", "--out", &dir];
    args.extend(files.iter().map(|f| f.to_str().unwrap()));
    let answer: Value = serde_json::from_str(&run(&args).1).unwrap();
    let connections = answer["connections"].as_array().unwrap();
    let ask = |by: &str| -> Value {
        let (exit, out, err) = run(&["summarize", &dir, "--by", by, "--format", "json"]);
        assert_eq!((exit, err.as_str()), (0, ""));
        serde_json::from_str(&out).unwrap()
    };
    let by_name = ask("name");
    assert_eq!(by_name["captures"], 2);
    let mut expected: BTreeMap<Option<&str>, [u64; 2]> = BTreeMap::new();
    for c in connections {
        let row = expected.entry(c["sni"].as_str().or(c["http_host"].as_str())).or_default();
        row[0] += 1;
        row[1] += u64::from(c["verdict"] == "interfered");
    }
    let rows = by_name["rows"].as_array().unwrap();
    assert_eq!(rows.len(), expected.len());
    for row in rows {
        let [all, interfered] = expected[&row["name"].as_str()];
        assert_eq!((row["connections"].as_u64(), row["interfered"].as_u64()), (Some(all), Some(interfered)));
    }
    assert!(rows[0]["interfered"].as_u64() >= rows[1]["interfered"].as_u64(), "worst first");
    let sum = |answer: &Value, of: &str| -> u64 {
        answer["rows"].as_array().unwrap().iter().map(|r| r[of].as_u64().unwrap()).sum()
    };
    for by in ["network", "hour"] {
        assert_eq!(sum(&ask(by), "connections"), connections.len() as u64, "{by}");
    }
    assert!(ask("hour")["rows"][0]["hour"].as_str().unwrap().ends_with(":00:00.000000000Z"));
    assert_eq!(sum(&ask("mechanism"), "findings"), answer["findings"].as_array().unwrap().len() as u64);
    let text = run(&["summarize", &dir]).1;
    assert!(text.starts_with("2 captures\n") && text.contains("x.com"), "{text}");
    let table = cells(&run(&["summarize", &dir, "--format", "csv"]).1);
    assert_eq!(table.len(), rows.len() + 1);
    // a capture whose tables are not whole is left out, and said
    let part = parts(Path::new(&dir), "captures").remove(0);
    fs::remove_file(part.join("part.csv")).unwrap();
    let (exit, out, err) = run(&["summarize", &dir]);
    assert!(exit == 4 && out.starts_with("1 capture\n") && err.contains("1 capture left out"), "{err}");
}
