//! Personal data in what a query shows: whether it is there, and whether a mask knows it by the name the result gives it.

use std::ops::Range;

use super::gather::{Role, Sql};
use super::words::{Kind, Words};
use crate::lint::desk::Desk;
use crate::lint::rule::Rule;
use crate::runbook::sql::Dialect;

pub(super) static PERSONAL: Rule = Rule::note(
    "sql-personal-data",
    "what a step selects is shown, journaled and printed in the report",
    "select keys or counts; or write mask = [\"email\"] into the step or the environment",
);

const PERSON: &[&str] = &[
    "email",
    "e_mail",
    "email_address",
    "phone",
    "phone_number",
    "password",
    "password_hash",
    "ssn",
    "iban",
    "birth_date",
];
/// Functions whose result holds what they are given.
const COPIES: &[&str] = &[
    "lower",
    "upper",
    "initcap",
    "trim",
    "btrim",
    "ltrim",
    "rtrim",
    "coalesce",
    "nullif",
    "ifnull",
    "concat",
    "concat_ws",
    "format",
    "printf",
    "min",
    "max",
    "replace",
    "quote_literal",
    "quote_nullable",
    "string_agg",
    "group_concat",
    "array_agg",
    "json_agg",
    "jsonb_agg",
    "json_group_array",
    "json_object",
    "json_build_object",
    "jsonb_build_object",
    "json_array",
    "json_build_array",
    "jsonb_build_array",
    "row_to_json",
    "to_json",
    "to_jsonb",
    "row",
    "array",
    "cast",
    "any_value",
];
/// Words behind a type's name that are no alias.
const OF_A_TYPE: &[&str] = &["precision", "varying", "with", "without", "time", "zone"];
/// Words that end a table of a FROM.
const BEHIND_A_TABLE: &[&str] = &[
    "where",
    "join",
    "on",
    "order",
    "group",
    "limit",
    "left",
    "right",
    "full",
    "inner",
    "cross",
    "natural",
    "using",
    "union",
    "intersect",
    "except",
    "having",
    "window",
    "for",
    "fetch",
    "offset",
    "tablesample",
    "lateral",
];

pub(super) fn check(desk: &Desk<'_>, sql: &Sql, words: &Words) {
    if sql.role != Role::Script || !words.is(0, "select") {
        return;
    }
    let from = (0..words.len()).find(|n| words.is(*n, "from") && words.depth(*n) == 0).unwrap_or(words.len());
    let masks = Masks::of(desk, sql);
    for item in items(words, from) {
        let part = words.part(item.clone());
        let name = result(&part, sql.dialect);
        let known = name.as_ref().is_some_and(|name| masks.have(name));
        if let Some(n) = personal(&part).filter(|_| !known) {
            let column = part.get(n);
            let message = match name.as_deref() {
                Some(name) if name != column && !part.is(n + 1, "(") => {
                    format!(
                        "`{column}` goes into the journal and the report, by the name of `{name}`: that is the name to mask"
                    )
                }
                None => {
                    format!("`{column}` goes into the journal and the report, without a name that a mask could say")
                }
                Some(_) => format!("`{column}` goes into the journal and the report"),
            };
            let at = item.start + n;
            desk.note(&PERSONAL, &sql.subject, &sql.spot.part(words.span(at, at)), message);
            return;
        }
        if let Some(n) = whole_row(&part, words, from).filter(|_| !known && masks.any()) {
            let message = format!("`{}` is a whole row: a mask knows no column inside it", part.get(n));
            let at = item.start + n;
            desk.note(&PERSONAL, &sql.subject, &sql.spot.part(words.span(at, at)), message);
            return;
        }
    }
}

/// The columns that a step masks: by itself, and in every environment it runs in.
struct Masks<'a> {
    step: &'a [String],
    places: Vec<&'a [String]>,
}

impl<'a> Masks<'a> {
    fn of(desk: &Desk<'a>, sql: &Sql) -> Self {
        let Some(act) = sql.act.and_then(|act| desk.acts.get(act)) else {
            return Self { step: &[], places: Vec::new() };
        };
        let there = |name: &String| act.step.only.is_empty() || act.step.only.contains(name);
        let places = desk.book.environments.iter().filter(|one| there(&one.name)).map(|one| one.mask.as_slice());
        Self { step: &act.step.mask, places: places.collect() }
    }

    fn have(&self, column: &str) -> bool {
        let named = |mask: &[String]| mask.iter().any(|one| one.to_lowercase() == column);
        named(self.step) || (!self.places.is_empty() && self.places.iter().all(|mask| named(mask)))
    }

    fn any(&self) -> bool {
        !self.step.is_empty() || self.places.iter().any(|mask| !mask.is_empty())
    }
}

/// What stands between the commas of a select, as ranges of words.
fn items(words: &Words, from: usize) -> Vec<Range<usize>> {
    let mut start = 1;
    while words.is(start, "distinct") || words.is(start, "all") {
        start += 1;
    }
    if words.seq(start, &["on", "("]) && words.is(start - 1, "distinct") {
        start = words.inside(start + 1).end + 1;
    }
    let commas = (start..from).filter(|n| words.is(*n, ",") && words.depth(*n) == 0);
    let ends: Vec<usize> = commas.chain([from]).collect();
    let starts = [start].into_iter().chain(ends.iter().map(|end| end + 1));
    starts.zip(ends.iter()).map(|(start, end)| start..*end).filter(|item| !item.is_empty()).collect()
}

/// The first word of a column with personal data that comes out as it is, or as a part of the whole.
fn personal(item: &Words) -> Option<usize> {
    copied(item).find(|n| PERSON.contains(&item.get(*n)) && item.kind(*n) == Some(Kind::Name))
}

/// The words of an item that stand in nothing but functions that hand on what they are given.
fn copied(item: &Words) -> impl Iterator<Item = usize> {
    let hands_on = |open: &usize| {
        let Some(before) = open.checked_sub(1) else { return true };
        item.kind(before) != Some(Kind::Name) || COPIES.contains(&item.get(before))
    };
    let around = move |n: usize| {
        (0..n).filter(move |open| item.is(*open, "(") && item.inside(*open).contains(&n)).all(|open| hands_on(&open))
    };
    (0..item.len()).filter(move |n| around(*n))
}

/// The row of a table, by its name or alias.
fn whole_row(item: &Words, words: &Words, from: usize) -> Option<usize> {
    let rows = rows(words, from);
    let alone = |n: usize| {
        let column = item.is(n + 1, ".") || n.checked_sub(1).is_some_and(|n| item.is(n, ".") || item.is(n, "as"));
        item.kind(n) == Some(Kind::Name)
            && !column
            && !item.is(n + 1, "(")
            && (n == 0 || item.is(n - 1, "(") || item.is(n - 1, ","))
    };
    copied(item).find(|n| alone(*n) && rows.iter().any(|row| row == item.get(*n)))
}

/// What the tables of a FROM are called.
fn rows(words: &Words, from: usize) -> Vec<String> {
    let begins =
        |n: &usize| words.depth(*n) == 0 && (*n == from || words.is(*n, "join") || (words.is(*n, ",") && *n > from));
    let mut rows = Vec::new();
    for n in (from..words.len()).filter(begins) {
        let Some((table, next)) = words.name(n + 1) else { continue };
        let next = if words.is(next, "as") { next + 1 } else { next };
        let alias = words.kind(next) == Some(Kind::Name) && !BEHIND_A_TABLE.contains(&words.get(next));
        let table = table.rsplit('.').next().unwrap_or(&table).to_owned();
        rows.push(if alias { words.get(next).to_owned() } else { table });
    }
    rows
}

/// The name that the result gives an item; none where only the database would know.
fn result(item: &Words, dialect: Dialect) -> Option<String> {
    let last = item.len().checked_sub(1)?;
    let column = plain(item, 0);
    if column == Some(item.len()) {
        return Some(item.get(last).to_owned());
    }
    let own = item.depth(last) == 0 && item.kind(last) == Some(Kind::Name);
    let before = last.checked_sub(1)?;
    if own && item.is(before, "as") {
        return Some(item.get(last).to_owned());
    }
    let typed = item.is(before, "::") || item.is(before, ":") || OF_A_TYPE.contains(&item.get(last));
    let ends = matches!(item.kind(before), Some(Kind::Name | Kind::Text | Kind::Number))
        || item.is(before, ")")
        || item.is(before, "]");
    if own && !typed && ends && !WORDS.contains(&item.get(last)) && !WORDS.contains(&item.get(before)) {
        return Some(item.get(last).to_owned());
    }
    if dialect != Dialect::Postgres {
        return None;
    }
    // A cast keeps the name of the column.
    if let Some(end) = column.filter(|end| item.is(*end, "::") || item.seq(*end, &[":", ":"])) {
        let rest = item.part(end..item.len());
        let only = rest.0.iter().all(|word| {
            word.kind != Kind::Sign || matches!(word.text.as_str(), ":" | "::" | "(" | ")" | "," | "[" | "]" | ".")
        });
        return only.then(|| item.get(end - 1).to_owned());
    }
    let closed = item.is(1, "(") && item.inside(1).end == last;
    match plain(item, 2).filter(|end| closed && item.is(0, "cast") && item.is(*end, "as")) {
        Some(end) => Some(item.get(end - 1).to_owned()),
        None if closed && item.kind(0) == Some(Kind::Name) && !item.is(0, "cast") => Some(item.get(0).to_owned()),
        None => None,
    }
}

/// Words that end an expression and name nothing, or that want another behind them.
const WORDS: &[&str] =
    &["null", "true", "false", "end", "and", "or", "not", "is", "like", "ilike", "in", "then", "else", "collate"];

/// Where a column, `email` or `app.u.email`, that begins at a word ends.
fn plain(item: &Words, start: usize) -> Option<usize> {
    let mut end = start;
    loop {
        if item.kind(end) != Some(Kind::Name) {
            return None;
        }
        end += 1;
        if !item.is(end, ".") {
            return (!item.is(end, "(")).then_some(end);
        }
        end += 1;
    }
}
