//! A value written for the place where it stands: nothing is ever pasted raw into SQL, a shell or a URL.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Object, ValueKind};

use crate::runbook::sql::Dialect;
use crate::runbook::sql::names::ident;

/// Where a template's text will stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// SQL: literals, quoted; `| ident` for a name.
    Sql(Dialect),
    /// One argument of a command.
    Argv,
    /// A script for `bash`: every text one quoted word.
    Shell,
    /// Part of a URL, percent-encoded. At the very start of the template: a URL itself.
    Url,
    /// Words for people.
    Text,
    /// JSON: texts quoted.
    Json,
}

impl Place {
    /// The place that a request's body is: JSON where it looks like it.
    pub fn of_body(template: &str) -> Self {
        match template.trim_start().as_bytes().first() {
            Some(b'{' | b'[') if !template.trim_start().starts_with("{{") => Self::Json,
            _ => Self::Text,
        }
    }
}

/// The name of a table or column, to be quoted as such.
#[derive(Debug)]
pub(super) struct Ident(pub String);

impl Object for Ident {
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A URL as a whole.
#[derive(Debug)]
pub(super) struct Url(pub String);

impl Object for Url {
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `value` for `place`. Err: why it cannot stand there.
pub(super) fn escape(value: &Value, place: Place) -> Result<String, String> {
    if value.is_undefined() {
        return Err("a name it uses has no value".into());
    }
    if super::engine::is_nan(value) {
        return Err("a number is not a number (NaN)".into());
    }
    match place {
        Place::Sql(dialect) => sql(value, dialect),
        Place::Json => json(value),
        Place::Text if value.is_none() => Ok("null".into()),
        Place::Text => Ok(words(value)),
        Place::Argv => single(value),
        Place::Shell => {
            let text = single(value)?;
            match value.kind() {
                ValueKind::Number | ValueKind::Bool => Ok(text),
                _ => Ok(format!("'{}'", text.replace('\'', r"'\''"))),
            }
        }
        Place::Url => match value.downcast_object_ref::<Url>() {
            Some(url) => Ok(url.0.clone()),
            None => Ok(percent(&single(value)?)),
        },
    }
}

/// As the runbook would write it: Jinja itself says `True`.
fn words(value: &Value) -> String {
    match value.kind() {
        ValueKind::Bool if value.is_true() => "true".into(),
        ValueKind::Bool => "false".into(),
        _ => value.to_string(),
    }
}

/// One word: not a list, not null, without NUL.
fn single(value: &Value) -> Result<String, String> {
    match value.kind() {
        ValueKind::Bool | ValueKind::Number | ValueKind::String => {}
        _ if value.downcast_object_ref::<Ident>().is_some() => {}
        _ => return Err(format!("{} cannot stand here", super::engine::describe(value))),
    }
    let text = words(value);
    if text.contains('\0') {
        return Err("a text with a NUL byte cannot stand here".into());
    }
    Ok(text)
}

fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

pub(super) fn json(value: &Value) -> Result<String, String> {
    if let Some(ident) = value.downcast_object_ref::<Ident>() {
        return serde_json::to_string(&ident.0).map_err(|error| error.to_string());
    }
    serde_json::to_string(value).map_err(|error| error.to_string())
}

fn sql(value: &Value, dialect: Dialect) -> Result<String, String> {
    if let Some(ident) = value.downcast_object_ref::<Ident>() {
        return identifier(&ident.0);
    }
    match value.kind() {
        ValueKind::None => Ok("NULL".into()),
        ValueKind::Bool => Ok(words(value)),
        ValueKind::Number => number(value),
        ValueKind::String => literal(value.as_str().unwrap_or_default(), dialect),
        ValueKind::Seq | ValueKind::Iterable => list(value, dialect),
        _ => Err(format!("{} is not a value of SQL", super::engine::describe(value))),
    }
}

/// A negative number gets a space: `-` and `-1` would else be a comment.
fn number(value: &Value) -> Result<String, String> {
    let text = value.to_string();
    if f64::try_from(value.clone()).is_ok_and(f64::is_infinite) {
        return Err("an infinite number is not a literal of SQL".into());
    }
    Ok(if text.starts_with('-') { format!(" {text}") } else { text })
}

fn list(value: &Value, dialect: Dialect) -> Result<String, String> {
    let items = value.try_iter().map_err(|error| error.to_string())?;
    let items: Result<Vec<String>, String> = items
        .map(|item| match item.kind() {
            ValueKind::Seq | ValueKind::Iterable => Err("a list in a list is not a value of SQL".to_owned()),
            _ => sql(&item, dialect),
        })
        .collect();
    let items = items?;
    if items.is_empty() {
        return Err("an empty list is not a value of SQL".into());
    }
    Ok(items.join(", "))
}

fn identifier(name: &str) -> Result<String, String> {
    if name.is_empty() || name.contains('\0') {
        return Err("this is not a name: it is empty or has a NUL byte".into());
    }
    Ok(ident(name))
}

/// A literal that no surrounding can break: dollar quotes and comments may hold it too.
fn literal(text: &str, dialect: Dialect) -> Result<String, String> {
    if text.contains('\0') {
        return Err("a text with a NUL byte is not a value of SQL".into());
    }
    let plain = |c: char| !c.is_control() && !matches!(c, '\\' | '$');
    if text.chars().all(plain) && !text.contains("*/") && !text.contains("/*") {
        return Ok(format!("'{}'", text.replace('\'', "''")));
    }
    Ok(match dialect {
        Dialect::Postgres => escaped(text),
        Dialect::Sqlite => joined(text),
    })
}

/// `E'…'` reads the same whatever standard_conforming_strings says.
fn escaped(text: &str) -> String {
    let mut out = String::from("E'");
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '$' | '*' | '\x01'..='\x1f' | '\x7f' => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// SQLite has no escapes: control characters are joined in by number, comment signs are torn apart.
fn joined(text: &str) -> String {
    let mut out = String::from("('");
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            c if c.is_control() => {
                let _ = write!(out, "' || char({}) || '", c as u32);
            }
            '/' if before == '*' => out.push_str("' || '/"),
            '*' if before == '/' => out.push_str("' || '*"),
            c => out.push(c),
        }
        before = c;
    }
    out.push_str("')");
    out
}

/// A value as people see it in a verdict: JSON, cut at 200 characters.
pub(super) fn shown(value: &Value) -> String {
    let text = match value.kind() {
        ValueKind::Undefined => "nothing".into(),
        ValueKind::None => "null".into(),
        _ => json(value).unwrap_or_else(|_| value.to_string()),
    };
    let cut = text.char_indices().nth(200).map(|(at, _)| at);
    cut.map_or(text.clone(), |at| format!("{}…", &text[..at]))
}
