//! SQLite's values as text: integers and reals in full, text as it is, a blob as `x'…'`.

use std::borrow::Cow;
use std::fmt::Write as _;

use sqlx::sqlite::{SqliteRow, SqliteValueRef};
use sqlx::{Column, Decode, Row, Sqlite, TypeInfo, ValueRef};

use crate::run::limits;
use crate::target::cell::{Cell, Kind};

const NULL: Cell<'static> = Cell { text: None, kind: Kind::Text };

/// The `i`-th value.
pub(super) fn cell(row: &SqliteRow, i: usize) -> Cell<'_> {
    let Ok(value) = row.try_get_raw(i) else {
        return NULL;
    };
    if value.is_null() {
        return NULL;
    }
    let name = value.type_info().name().to_owned();
    match name.as_str() {
        "INTEGER" => number(<i64 as Decode<Sqlite>>::decode(value).ok().map(|n| n.to_string())),
        "REAL" => number(<f64 as Decode<Sqlite>>::decode(value).ok().map(real)),
        "BLOB" => bytes(value).map_or(NULL, |bytes| Cell { text: Some(Cow::Owned(blob(bytes))), kind: Kind::Text }),
        _ => Cell { text: bytes(value).map(Cow::Borrowed), kind: Kind::Text },
    }
}

fn bytes(value: SqliteValueRef<'_>) -> Option<&[u8]> {
    <&[u8] as Decode<Sqlite>>::decode(value).ok()
}

fn number(text: Option<String>) -> Cell<'static> {
    Cell { text: text.map(|text| Cow::Owned(text.into_bytes())), kind: Kind::Number }
}

/// The shortest text that reads back as the same number; always with a point or an exponent.
fn real(n: f64) -> String {
    if n.is_infinite() {
        return if n > 0.0 { "Inf" } else { "-Inf" }.to_owned();
    }
    format!("{n:?}")
}

/// As SQL writes it. What does not fit a cell is only counted, so that a large blob costs no memory here.
fn blob(bytes: &[u8]) -> Vec<u8> {
    let shown = &bytes[..bytes.len().min(limits::CELL_BYTES / 2 - 16)];
    let mut text = String::with_capacity(2 * shown.len() + 40);
    text.push_str("x'");
    for byte in shown {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    if shown.len() == bytes.len() {
        text.push('\'');
    } else {
        let _ = write!(text, "… [cut: {} bytes]", bytes.len());
    }
    text.into_bytes()
}

/// Names of the columns, and their types: as declared, else as the first row's values are stored.
pub(super) fn columns<C>(columns: &[C], first: Option<&SqliteRow>) -> (Vec<String>, Vec<String>)
where
    C: Column<Database = Sqlite>,
{
    let types = columns.iter().enumerate().map(|(i, column)| {
        let declared = column.type_info();
        if !declared.is_null() {
            return declared.name().to_ascii_lowercase();
        }
        let stored = first.and_then(|row| row.try_get_raw(i).ok()).map(|value| value.type_info().name().to_owned());
        stored.filter(|name| name != "NULL").unwrap_or_default().to_ascii_lowercase()
    });
    (columns.iter().map(|column| column.name().to_owned()).collect(), types.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reals_and_blobs() {
        assert_eq!(real(3.0), "3.0");
        assert_eq!(real(0.1), "0.1");
        assert_eq!(real(f64::NEG_INFINITY), "-Inf");
        assert_eq!(blob(b"\x00\xff"), b"x'00ff'");
        let long = String::from_utf8(blob(&[7; 5_000])).unwrap();
        assert!(long.ends_with("… [cut: 5000 bytes]") && long.len() <= limits::CELL_BYTES);
    }
}
