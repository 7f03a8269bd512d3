//! JSON Schema (2020-12) as far as the schemas under `docs/` go. A keyword that is not known here is a panic, never passed
//! over. The crates for it change the features of what polars is built on, so that polars would be built a second time for
//! the tests (docs/benchmarks/build.md).

#![allow(clippy::unwrap_used)]

use regex::Regex;
use serde_json::Value;

/// A schema.
pub(crate) struct Schema(Value);

impl Schema {
    /// Reads one.
    pub(crate) fn new(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    /// What in a document does not hold to it, each with its place.
    pub(crate) fn errors(&self, document: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(&self.0, document, "", &mut errors);
        errors
    }

    fn check(&self, schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
        let Some(keywords) = schema.as_object() else {
            if *schema != Value::Bool(true) {
                errors.push(format!("{place}: nothing may stand here"));
            }
            return;
        };
        for (keyword, wanted) in keywords {
            if !self.holds(keyword, wanted, schema, value, place, errors) {
                errors.push(format!("{place}: {value} is against {keyword} {wanted}"));
            }
        }
    }

    /// Whether a value holds to a keyword; what is wrong deeper down goes to the errors.
    fn holds(
        &self,
        keyword: &str,
        wanted: &Value,
        schema: &Value,
        value: &Value,
        place: &str,
        errors: &mut Vec<String>,
    ) -> bool {
        let list = || wanted.as_array().unwrap().iter();
        let number = || wanted.as_f64().unwrap();
        let size = || usize::try_from(wanted.as_u64().unwrap()).unwrap();
        match keyword {
            "$schema" | "$id" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let pointer = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                self.check(self.0.pointer(pointer).unwrap(), value, place, errors);
                true
            }
            "type" => match wanted {
                Value::Array(any) => any.iter().any(|t| is_of(t, value)),
                one => is_of(one, value),
            },
            "const" => value == wanted,
            "enum" => list().any(|w| w == value),
            "allOf" => {
                list().for_each(|s| self.check(s, value, place, errors));
                true
            }
            "anyOf" => list().any(|s| {
                let mut wrong = Vec::new();
                self.check(s, value, place, &mut wrong);
                wrong.is_empty()
            }),
            "minimum" => value.as_f64().is_none_or(|v| v >= number()),
            "maximum" => value.as_f64().is_none_or(|v| v <= number()),
            "minLength" => value.as_str().is_none_or(|v| v.chars().count() >= size()),
            "pattern" => {
                value.as_str().is_none_or(|v| Regex::new(wanted.as_str().unwrap()).unwrap().is_match(v))
            }
            "minItems" => value.as_array().is_none_or(|v| v.len() >= size()),
            "maxItems" => value.as_array().is_none_or(|v| v.len() <= size()),
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(wanted, item, &format!("{place}/{n}"), errors);
                }
                true
            }
            "required" => {
                value.as_object().is_none_or(|v| list().all(|k| v.contains_key(k.as_str().unwrap())))
            }
            "properties" => {
                for (key, of) in wanted.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        self.check(of, value, &format!("{place}/{key}"), errors);
                    }
                }
                true
            }
            "additionalProperties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if schema.get("properties").is_none_or(|named| named.get(key).is_none()) {
                        self.check(wanted, value, &format!("{place}/{key}"), errors);
                    }
                }
                true
            }
            other => panic!("the keyword {other} is not known here"),
        }
    }
}

fn is_of(wanted: &Value, value: &Value) -> bool {
    match wanted.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|v| v.fract() == 0.0),
        other => panic!("the type {other} is not known here"),
    }
}
