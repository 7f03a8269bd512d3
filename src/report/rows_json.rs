//! JSON of the rows that there are many of. `serde_json` looks through every key for what must be escaped, and a row has a
//! hundred; here keys are known to need nothing and are copied. The same bytes as [`inert_json`] writes.

use std::io::Write as _;
use std::net::IpAddr;

use super::inert_json::{self, is_plain};

/// What writes itself as JSON into memory.
pub(super) trait Json {
    /// Appends it to `out`.
    fn put(&self, out: &mut Vec<u8>);
}

/// A struct whose fields are written in their order, under their own names.
macro_rules! object {
    ($(#[$meta:meta])* $vis:vis struct $name:ident $(<$life:lifetime>)? {
        $($(#[$of_field:meta])* $field_vis:vis $field:ident: $type:ty,)*
    }) => {
        $(#[$meta])*
        $vis struct $name $(<$life>)? {
            $($(#[$of_field])* $field_vis $field: $type,)*
        }

        impl$(<$life>)? $crate::report::rows_json::Json for $name$(<$life>)? {
            fn put(&self, out: &mut Vec<u8>) {
                let separators = out.len();
                $(
                    out.extend_from_slice(concat!(",\"", stringify!($field), "\":").as_bytes());
                    $crate::report::rows_json::Json::put(&self.$field, out);
                )*
                out[separators] = b'{';
                out.push(b'}');
            }
        }
    };
}
pub(super) use object;

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl Json for $type {
            #[allow(trivial_numeric_casts, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a digit
            fn put(&self, out: &mut Vec<u8>) {
                match *self {
                    digit @ 0..=9 => out.push(b'0' + digit as u8), // most counters are zero
                    number => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
                }
            }
        }
    )*};
}
integers!(u8 u16 u32 u64 usize i64);

impl Json for f64 {
    fn put(&self, out: &mut Vec<u8>) {
        by_serde(self, out);
    }
}

impl Json for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl Json for str {
    fn put(&self, out: &mut Vec<u8>) {
        // without a stop at the first: that is done many at a time
        let acts = |b: u8| u8::from(!is_plain(b)) | u8::from(b == b'"') | u8::from(b == b'\\');
        if self.bytes().fold(0, |any, b| any | acts(b)) == 0 {
            out.push(b'"');
            out.extend_from_slice(self.as_bytes());
            out.push(b'"');
        } else {
            by_serde(self, out);
        }
    }
}

impl Json for IpAddr {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        match self {
            Self::V4(a) => {
                for (n, octet) in a.octets().into_iter().enumerate() {
                    if n > 0 {
                        out.push(b'.');
                    }
                    octet.put(out);
                }
            }
            // memory refuses nothing
            Self::V6(a) => drop(write!(out, "{a}")),
        }
        out.push(b'"');
    }
}

impl<T: Json + ?Sized> Json for &T {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
}

impl Json for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().put(out);
    }
}

impl<T: Json> Json for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.put(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl<T: Json> Json for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_slice().put(out);
    }
}

impl<T: Json, const N: usize> Json for [T; N] {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_slice().put(out);
    }
}

impl<T: Json> Json for [T] {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (n, item) in self.iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            item.put(out);
        }
        out.push(b']');
    }
}

/// A value that is rare, or that `serde_json` knows best how to write.
pub(super) fn by_serde<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    // neither memory nor these values refuse
    let _ = inert_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Serialize;

    object! {
        #[derive(Serialize)]
        struct Row<'a> {
            text: &'a str,
            owned: Vec<String>,
            signed: i64,
            large: u64,
            small: Option<u8>,
            real: f64,
            yes: bool,
            addr: IpAddr,
        }
    }

    proptest! {
        #[test]
        fn the_same_bytes_as_by_serde(
            text in ".*", owned in prop::collection::vec("[ -~]*", 0..4), signed: i64, large: u64, small: Option<u8>, real: f64, yes: bool, addr: IpAddr
        ) {
            let row = Row { text: &text, owned, signed, large, small, real, yes, addr };
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            row.put(&mut ours);
            by_serde(&row, &mut theirs);
            prop_assert_eq!(String::from_utf8(ours).unwrap(), String::from_utf8(theirs).unwrap());
        }
    }
}
