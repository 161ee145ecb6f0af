//! The small values of the language: ids, durations, instants, secrets, patterns.

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use toml::de::DeValue;

use super::Notes;
use super::reader::{Node, Reader};
use crate::runbook::Secret;
use crate::runbook::expr::has_template;
use crate::runbook::suggest;
use crate::runbook::text::Located;

/// The longest duration that a runbook may name.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Bytes of a regular expression once compiled.
const PATTERN: usize = 1 << 20;
const DURATION_HINT: &str = "write \"90s\", \"30m\", \"4h\" or \"1h 30m\"";

/// `90s`, `30m`, `+2h`; may be a template over variables.
pub(super) fn duration(notes: &Notes<'_>, node: &Node<'_>, key: &str) -> Option<Duration> {
    let DeValue::String(_) = node.value else {
        return notes.wrong_type(node, key, "a duration", DURATION_HINT);
    };
    let text = notes.text_of(node, key)?;
    let words = notes.resolve(&text)?;
    let plain = words.trim().strip_prefix('+').unwrap_or(words.trim());
    match humantime::parse_duration(plain) {
        Ok(duration) if duration > LONGEST => {
            notes.at(&text, format!("`{key}` is longer than a year"), DURATION_HINT);
            None
        }
        Ok(duration) => Some(duration),
        Err(_) => {
            notes.at(&text, format!("`{words}` is not a duration"), DURATION_HINT);
            None
        }
    }
}

/// Ids of steps, phases, roles: they stand in commands and file names.
pub(super) fn id(notes: &Notes<'_>, text: &str, span: Range<usize>, what: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let ok = first && text.chars().all(good) && text.len() <= 64;
    if !ok {
        let message = format!("`{text}` is not an id of {what}");
        notes.say(span, message, format!("ids are at most 64 of a-z, 0-9, _ and -{}", such_as(text, '-')));
    }
    ok
}

/// Ids of probes and variables: they are names in expressions.
pub(super) fn name(notes: &Notes<'_>, text: &str, span: Range<usize>, what: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let ok = first && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && text.len() <= 64;
    if !ok {
        let message = format!("`{text}` cannot be a name of {what}");
        let hint = format!("expressions use it: letters, digits and _, no digit first{}", such_as(text, '_'));
        notes.say(span, message, hint);
    }
    ok
}

/// The id that was meant, with `joint` for what cannot stand in one.
fn such_as(text: &str, joint: char) -> String {
    let tame = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { joint }
    };
    let example: String = text.trim().chars().map(tame).collect();
    let example = example.trim_matches(['-', '_']);
    let example = if joint == '_' { example.trim_start_matches(|c: char| c.is_ascii_digit()) } else { example };
    if example.is_empty() || example == text || example.len() > 64 {
        return String::new();
    }
    format!("; for example `{example}`")
}

/// A text of a table that is an id.
pub(super) fn id_of(table: &Reader<'_, '_>, example: &str) -> Option<(String, Range<usize>)> {
    let text = table.need_text("id", example)?;
    id(table.notes, &text.text, text.span.clone(), table.what).then_some((text.text, text.span))
}

/// One of `known`, which stand for `values`.
pub(super) fn one_of<T: Copy>(table: &Reader<'_, '_>, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
    #[cfg(test)]
    super::record::choices(table.what, key, choices.iter().map(|(word, _)| (*word).to_owned()));
    let text = table.text(key)?;
    let found = choices.iter().find(|(word, _)| *word == text.text);
    if found.is_none() {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let message = format!("`{}` is not a value of `{key}`", text.text);
        let hint = match suggest::nearest(&text.text, words.iter().copied()) {
            Some(word) => format!("did you mean \"{word}\"?"),
            None if words.len() == 1 => format!("write \"{}\", or leave the line out", words.join("")),
            None => format!("one of: {}", words.join(", ")),
        };
        table.notes.at(&text, message, hint);
    }
    found.map(|(_, value)| *value)
}

/// `env:NAME`, `file:PATH`, `cmd:…`, or plain text.
pub(super) fn secret(notes: &Notes<'_>, text: &Located) -> Option<Secret> {
    let words = text.text.as_str();
    let part = |prefix: &str| words.strip_prefix(prefix).map(str::trim);
    if let Some(name) = part("env:") {
        let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Some(Secret::Env(name.to_owned()));
        }
        let message = match name {
            "" => "which environment variable?".to_owned(),
            name => format!("`{name}` is not the name of an environment variable"),
        };
        notes.at(text, message, "an example: env:PROD_DATABASE_URL");
        return None;
    }
    for (prefix, example) in [("file:", "file:/run/secrets/token"), ("cmd:", "cmd:pass show db/url")] {
        let Some(rest) = part(prefix) else { continue };
        if rest.is_empty() {
            notes.at(text, format!("`{prefix}` names nothing"), format!("an example: {example}"));
            return None;
        }
        return Some(match prefix {
            "file:" => Secret::File(rest.to_owned()),
            _ => Secret::Cmd(rest.to_owned()),
        });
    }
    if words.trim().is_empty() || words.starts_with('$') {
        let name = words.trim().trim_matches(['$', '{', '}']);
        let name = if name.is_empty() { "NAME" } else { name };
        notes.at(text, "this is not an address", format!("to take it from the environment, write \"env:{name}\""));
        return None;
    }
    Some(Secret::Plain(words.to_owned()))
}

/// Where HTTP goes: a secret, or an address that starts with http:// or https:// (or with a template).
pub(super) fn web_address(notes: &Notes<'_>, text: &Located) -> Option<Secret> {
    let secret = secret(notes, text)?;
    if let Secret::Plain(address) = &secret
        && !is_web(address)
    {
        let hint = "it starts with http:// or https://, or names a secret: env:NAME";
        notes.at(text, format!("`{address}` is not an address of the web"), hint);
        return None;
    }
    Some(secret)
}

pub(super) fn is_web(address: &str) -> bool {
    let known = ["http://", "https://", "{{"].iter().any(|start| address.starts_with(start));
    known && (has_template(address) || url::Url::parse(address).is_ok())
}

/// A regular expression that compiles.
pub(super) fn pattern(notes: &Notes<'_>, text: &Located) -> Option<String> {
    let built = regex::RegexBuilder::new(&text.text).size_limit(PATTERN).build();
    match built {
        Ok(_) => Some(text.text.clone()),
        Err(error) => {
            let words = error.to_string();
            let last = words.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let message = format!("this is not a regular expression: {last}");
            notes.at(text, message, "write a backslash before a sign that is meant literally, as in `\\(`");
            None
        }
    }
}

/// An instant with an offset, or a local one in `zone`.
pub(super) fn instant(notes: &Notes<'_>, node: &Node<'_>, zone: Option<chrono_tz::Tz>) -> Option<DateTime<Utc>> {
    const HINT: &str = "write it with its offset and without quotes: 2024-01-31T08:00:00Z";
    let DeValue::Datetime(stamp) = node.value else {
        return notes.wrong_type(node, "starts", "a date with a time", HINT);
    };
    let (Some(date), Some(time)) = (stamp.date, stamp.time) else {
        notes.say(node.span.clone(), "`starts` needs a date and a time", HINT);
        return None;
    };
    let date = NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into());
    let second = u32::from(time.second.unwrap_or(0)).min(59);
    let time = NaiveTime::from_hms_opt(time.hour.into(), time.minute.into(), second);
    let (Some(date), Some(time)) = (date, time) else {
        notes.say(node.span.clone(), "there is no such date or time", HINT);
        return None;
    };
    let local = NaiveDateTime::new(date, time);
    match (stamp.offset, zone) {
        (Some(toml::value::Offset::Z), _) => Some(local.and_utc()),
        (Some(toml::value::Offset::Custom { minutes }), _) => {
            let offset = FixedOffset::east_opt(i32::from(minutes) * 60);
            let at = offset.and_then(|offset| offset.from_local_datetime(&local).single());
            if at.is_none() {
                notes.say(node.span.clone(), "there is no such offset", HINT);
            }
            at.map(|at| at.to_utc())
        }
        (None, None) => {
            let hint = "add an offset (2024-01-31T08:00:00Z), or name a zone: zone = \"Europe/Berlin\"";
            notes.say(node.span.clone(), "a time without an offset, and no zone to read it in", hint);
            None
        }
        (None, Some(zone)) => local_instant(notes, node.span.clone(), local, zone),
    }
}

fn local_instant(
    notes: &Notes<'_>,
    span: Range<usize>,
    local: NaiveDateTime,
    zone: chrono_tz::Tz,
) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        chrono::LocalResult::Single(at) => Some(at.to_utc()),
        chrono::LocalResult::Ambiguous(first, second) => {
            let message = format!("{local} comes twice in {zone}: the clocks are set back");
            let hint = format!("write which one: {} or {}", first.to_rfc3339(), second.to_rfc3339());
            notes.say(span, message, hint);
            None
        }
        chrono::LocalResult::None => {
            let message = format!("{local} does not exist in {zone}: the clocks are set forward over it");
            notes.say(span, message, "choose a time before or after the change");
            None
        }
    }
}
