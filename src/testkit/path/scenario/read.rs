//! A file read: strictly, with its variants and its sweep.

use serde::Deserialize;
use serde::de::Error as _;
use toml::Value;

use super::Scenario;

/// A scenario that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {why}")]
pub struct Unreadable {
    file: String,
    why: toml::de::Error,
}

/// The scenarios of a file, by what sets them apart: one, or as many as its variants and its sweep make.
///
/// # Errors
/// What is wrong with the file, and where.
pub fn read(file: &str, text: &str) -> Result<Vec<(String, Scenario)>, Unreadable> {
    let wrong = |why| Unreadable { file: file.to_owned(), why };
    let mut root: toml::Table = toml::from_str(text).map_err(wrong)?;
    let odd = |what: &str| wrong(toml::de::Error::custom(what.to_owned()));
    // each step is a list of changes, of which each is a list of places and what is put there
    let mut steps: Vec<Vec<toml::Table>> = Vec::new();
    match root.remove("variant") {
        Some(Value::Array(all)) => {
            let tables = all.into_iter().map(|v| match v {
                Value::Table(t) => Ok(t),
                _ => Err(odd("variant: not all are tables")),
            });
            steps.push(tables.collect::<Result<_, _>>()?);
        }
        None => {}
        Some(_) => return Err(odd("variant is no list of tables")),
    }
    match root.remove("sweep") {
        Some(Value::Table(t)) => {
            for (place, values) in t {
                let Value::Array(values) = values else { return Err(odd("sweep: not all are lists")) };
                let one = |v: Value| toml::Table::from_iter([(place.clone(), v)]);
                steps.push(values.into_iter().map(one).collect());
            }
        }
        None => {}
        Some(_) => return Err(odd("sweep is no table")),
    }
    let mut variants = vec![(String::new(), Value::Table(root))];
    for step in steps {
        let mut next = Vec::new();
        for (label, root) in &variants {
            for changes in &step {
                let (mut label, mut root) = (label.clone(), root.clone());
                for (place, value) in changes {
                    let comma = if label.is_empty() { "" } else { ", " };
                    label = format!("{label}{comma}{place}={}", short(value));
                    let mut laid = value.clone();
                    if let Value::Table(t) = &mut laid {
                        t.remove("label"); // for people
                    }
                    put(&mut root, place, laid).map_err(wrong)?;
                }
                next.push((label, root));
            }
        }
        variants = next;
    }
    variants
        .into_iter()
        .map(|(label, root)| Ok((label, Scenario::deserialize(root).map_err(wrong)?)))
        .collect()
}

/// A value as a table shows it: its label, if it has one.
fn short(value: &Value) -> String {
    let label = value.as_table().and_then(|t| t.get("label")).unwrap_or(value);
    label.to_string().replace(['"', '\n'], "")
}

/// Lays a value over what stands at a dotted place: a table over a table, unless it has a `kind` of its own; anything else in
/// the place of what is there.
fn put(at: &mut Value, place: &str, value: Value) -> Result<(), toml::de::Error> {
    let missing = || toml::de::Error::custom(format!("sweep: there is no place {place}"));
    if place.is_empty() {
        match (at, value) {
            (Value::Table(old), Value::Table(new)) if !new.contains_key("kind") => old.extend(new),
            (at, value) => *at = value,
        }
        return Ok(());
    }
    let (step, rest) = place.split_once('.').unwrap_or((place, ""));
    let next = match at {
        Value::Table(t) => t.entry(step).or_insert_with(|| Value::Table(toml::Table::new())),
        Value::Array(a) => step.parse::<usize>().ok().and_then(|i| a.get_mut(i)).ok_or_else(missing)?,
        _ => return Err(missing()),
    };
    put(next, rest, value)
}
