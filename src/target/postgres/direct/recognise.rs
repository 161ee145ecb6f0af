//! Statements that run outside of a transaction and leave traces that gonogo can read by itself: recognised by their
//! words, without a grammar of the rest. What is not understood to its end is not recognised.

use super::definition::Definition;
use super::walk::Walk;

/// A statement whose effect can be looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    CreateIndex {
        /// As `to_regclass` takes it.
        table: String,
        /// As the catalogue has it, not quoted.
        index: String,
        definition: Box<Definition>,
    },
    DropIndex {
        index: String,
        if_exists: bool,
    },
    Reindex {
        what: Reindexed,
        name: String,
    },
    /// `tables` is empty where it is the whole database.
    Vacuum {
        tables: Vec<String>,
        full: bool,
    },
    AddValue {
        /// As `to_regtype` takes it.
        kind: String,
        value: String,
        if_not_exists: bool,
    },
    /// May be run again without harm, and leaves nothing to look for.
    Repeatable,
    /// Ends with its session: a setting.
    Passing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reindexed {
    Index,
    Table,
}

/// None: its effect cannot be looked for.
pub(super) fn recognise(sql: &str) -> Option<Known> {
    let mut walk = Walk::new(sql);
    let known = match walk.next_word()?.as_str() {
        "create" => return create_index(walk),
        "drop" => drop_index(&mut walk)?,
        "reindex" => reindex(&mut walk)?,
        "vacuum" => vacuum(&mut walk)?,
        "alter" => add_value(&mut walk)?,
        "analyze" | "analyse" => return Some(Known::Repeatable),
        "set" | "reset" | "show" => return passing(&mut walk),
        _ => return None,
    };
    walk.is_over().then_some(known)
}

fn create_index(mut walk: Walk) -> Option<Known> {
    let unique = walk.word("unique");
    if !(walk.word("index") && walk.word("concurrently")) {
        return None;
    }
    walk.words(&["if", "not", "exists"]);
    // Without a name the server chooses one.
    if walk.is_word("on") {
        return None;
    }
    let index = walk.ident()?;
    walk.word("on").then_some(())?;
    walk.word("only");
    let table = walk.name()?;
    let definition = Box::new(Definition::read(unique, &mut walk)?);
    Some(Known::CreateIndex { table, index, definition })
}

fn drop_index(walk: &mut Walk) -> Option<Known> {
    if !(walk.word("index") && walk.word("concurrently")) {
        return None;
    }
    let if_exists = walk.words(&["if", "exists"]);
    let index = walk.name()?;
    walk.word("restrict");
    Some(Known::DropIndex { index, if_exists })
}

fn reindex(walk: &mut Walk) -> Option<Known> {
    if walk.is_symbol("(") {
        walk.group()?;
    }
    let what = match walk.next_word()?.as_str() {
        "index" => Reindexed::Index,
        "table" => Reindexed::Table,
        _ => return None,
    };
    walk.word("concurrently");
    Some(Known::Reindex { what, name: walk.name()? })
}

fn vacuum(walk: &mut Walk) -> Option<Known> {
    let mut full = false;
    if walk.is_symbol("(") {
        let options = walk.group()?;
        let said: Vec<&str> = options.iter().map(|token| token.text.as_str()).collect();
        full = said
            .iter()
            .enumerate()
            .any(|(n, word)| *word == "full" && !matches!(said.get(n + 1), Some(&("false" | "off" | "0"))));
    } else {
        full |= walk.word("full");
        walk.word("freeze");
        walk.word("verbose");
        if !walk.word("analyze") {
            walk.word("analyse");
        }
    }
    let mut tables = Vec::new();
    while !walk.is_over() {
        if !tables.is_empty() {
            walk.symbol(",").then_some(())?;
        }
        walk.word("only");
        tables.push(walk.name()?);
        if walk.is_symbol("(") {
            walk.group()?;
        }
    }
    Some(Known::Vacuum { tables, full })
}

fn add_value(walk: &mut Walk) -> Option<Known> {
    walk.word("type").then_some(())?;
    let kind = walk.name()?;
    walk.words(&["add", "value"]).then_some(())?;
    let if_not_exists = walk.words(&["if", "not", "exists"]);
    let value = walk.string()?;
    if walk.word("before") || walk.word("after") {
        walk.string()?;
    }
    Some(Known::AddValue { kind, value, if_not_exists })
}

/// Settings, but none that changes which object a name means, or who we are.
fn passing(walk: &mut Walk) -> Option<Known> {
    if !walk.word("session") {
        walk.word("local");
    }
    let name = walk.next_word()?;
    let moves = matches!(name.as_str(), "search_path" | "schema" | "role" | "session" | "authorization" | "all");
    (!moves).then_some(Known::Passing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(sql: &str) -> (String, String) {
        match recognise(sql) {
            Some(Known::CreateIndex { table, index, .. }) => (table, index),
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn an_index_by_its_name_and_table() {
        let pair = |table: &str, index: &str| (table.to_owned(), index.to_owned());
        assert_eq!(index("CREATE INDEX CONCURRENTLY Orders_By ON Orders (a)"), pair("\"orders\"", "orders_by"));
        assert_eq!(
            index(
                "create unique index concurrently if not exists \"By \"\"x\"\"\" on only app.\"Orders\" using gin (a)"
            ),
            pair("\"app\".\"Orders\"", "By \"x\"")
        );
        assert_eq!(
            index("create /* on b */ index -- c\n concurrently i on t (lower(a), (b + 1)) include (c) where a > 'on;'"),
            pair("\"t\"", "i")
        );
        assert_eq!(index("create index concurrently if on t (a)"), pair("\"t\"", "if"));
    }

    #[test]
    fn what_has_no_traces_of_its_own_is_left_alone() {
        for sql in [
            "",
            "create index i on t (a)",
            "create index concurrently on t (a)",
            "create index concurrently i on db.app.t (a)",
            "create index concurrently U&\"i\" on t (a)",
            "create index concurrently i on t",
            "create index concurrently i on t (a",
            "create index concurrently i on t (a) nonsense",
            "drop index i",
            "drop index concurrently a, b",
            "drop index concurrently a cascade",
            "reindex schema concurrently app",
            "reindex table concurrently t nonsense",
            "alter type mood add attribute x int",
            "alter type mood add value E'\\x41'",
            "alter system set work_mem = 1",
            "insert into t values (1)",
            "set search_path = app",
            "set session authorization x",
            "reset all",
            "set role x",
        ] {
            assert_eq!(recognise(sql), None, "{sql}");
        }
    }

    #[test]
    fn the_others() {
        let drop = |index: &str, if_exists| Some(Known::DropIndex { index: index.to_owned(), if_exists });
        assert_eq!(recognise("drop index concurrently a.b restrict"), drop("\"a\".\"b\"", false));
        assert_eq!(recognise("drop index concurrently if exists \"A\""), drop("\"A\"", true));
        let reindex = |what, name: &str| Some(Known::Reindex { what, name: name.to_owned() });
        assert_eq!(recognise("reindex index concurrently i"), reindex(Reindexed::Index, "\"i\""));
        assert_eq!(recognise("reindex (verbose, concurrently) table a.t"), reindex(Reindexed::Table, "\"a\".\"t\""));
        let vacuum = |tables: &[&str], full| {
            Some(Known::Vacuum { tables: tables.iter().map(|name| format!("\"{name}\"")).collect(), full })
        };
        assert_eq!(recognise("vacuum"), vacuum(&[], false));
        assert_eq!(recognise("vacuum full verbose analyze t, u"), vacuum(&["t", "u"], true));
        assert_eq!(recognise("vacuum (full false, analyze) t (a, b)"), vacuum(&["t"], false));
        assert_eq!(recognise("vacuum (analyze, full) t"), vacuum(&["t"], true));
        let value = |value: &str, if_not_exists| {
            Some(Known::AddValue { kind: "\"a\".\"mood\"".to_owned(), value: value.to_owned(), if_not_exists })
        };
        assert_eq!(recognise("alter type a.mood add value 'it''s' before 'x'"), value("it's", false));
        assert_eq!(recognise("ALTER TYPE a.mood ADD VALUE IF NOT EXISTS 'Ok'"), value("Ok", true));
        assert_eq!(recognise("set lock_timeout = '5s'"), Some(Known::Passing));
        assert_eq!(recognise("set session statement_timeout to 0"), Some(Known::Passing));
        assert_eq!(recognise("analyze t"), Some(Known::Repeatable));
    }
}
