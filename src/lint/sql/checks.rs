//! Rules about queries that count the wrong thing.

use super::gather::Sql;
use super::words::{Kind, Words};
use crate::lint::desk::Desk;
use crate::lint::rule::Rule;

pub(super) static RULES: &[&Rule] = &[&NO_SCHEMA, &ACTIVE, &BACKENDS, &CATALOGUE, &REMOVED, &EMPTY, &CUMULATIVE];

static NO_SCHEMA: Rule = Rule::warning(
    "sql-catalogue-without-schema",
    "the catalogue knows every schema: columns or tables of the same name elsewhere are counted too",
    "add table_schema = 'public' (schemaname, nspname), or ask by 'public.orders'::regclass",
);
static ACTIVE: Rule = Rule::warning(
    "sql-active-sessions",
    "state = 'active' counts the session that asks, and misses those idle in transaction, which hold locks",
    "add pid <> pg_backend_pid(); for what blocks ask state like 'idle in transaction%', xact_start or pg_blocking_pids()",
);
static BACKENDS: Rule = Rule::warning(
    "sql-sessions-without-type",
    "pg_stat_activity also holds the server's own processes: six rows for one client",
    "add backend_type = 'client backend' (and datname = current_database())",
);
static CATALOGUE: Rule = Rule::error(
    "sql-counts-catalogue-lines",
    "grouped by its name, every table has one line in the catalogue: the count is 1, always",
    "count the rows themselves: select count(*) from orders, for each table",
);
static REMOVED: Rule = Rule::error(
    "sql-removed-column",
    "no PostgreSQL that is still supported has this name: the statement fails",
    "use the name of today, which the message says",
);
static EMPTY: Rule = Rule::warning(
    "check-passes-on-empty",
    "two counts that must be equal are equal at 0 and 0: the check passes on an empty table",
    "also say how many there must be: … and row.total > 0",
);

static CUMULATIVE: Rule = Rule::note(
    "sql-cumulative-statistics",
    "statistics count since their last reset: what was slow a month ago is slow for ever, and a change of today drowns in it",
    "ask before and after and compare: expect = \"value <= steps['before'].value\"; for now: pg_stat_activity, query_start",
);

pub(super) fn check(desk: &Desk<'_>, sql: &Sql) {
    for words in &sql.statements {
        removed(desk, sql, words);
        if words.has(&["count", "("]) {
            no_schema(desk, sql, words);
            sessions(desk, sql, words);
            catalogue(desk, sql, words);
            equal_counts(desk, sql, words);
        }
    }
    expected_equal(desk, sql);
    cumulative(desk, sql);
}

/// Cumulative numbers that are held against a fixed one.
fn cumulative(desk: &Desk<'_>, sql: &Sql) {
    let expect = sql.act.and_then(|n| desk.acts.get(n)).and_then(|act| act.step.expect.as_ref());
    // What a later step compares itself with is the "before".
    let baseline = sql.subject.step.as_deref().is_some_and(|id| desk.looked_back.contains(id));
    let fixed = !baseline && expect.is_some_and(|expect| !expect.source.contains("steps["));
    let asked =
        sql.statements.iter().filter(|_| fixed).filter_map(|words| Some((words, words.find(&["pg_stat_statements"])?)));
    for (words, n) in asked.filter(|(words, n)| !words.is(n + 1, "'") && words.has_any(TIMES)) {
        let spot = sql.spot.part(words.span(n, n));
        desk.note(&CUMULATIVE, &sql.subject, &spot, "these numbers count since the last reset");
    }
}

const TIMES: &[&str] =
    &["mean_exec_time", "total_exec_time", "max_exec_time", "calls", "mean_time", "total_time", "max_time"];

const VIEWS: &[&str] = &[
    "tables",
    "columns",
    "table_constraints",
    "key_column_usage",
    "referential_constraints",
    "views",
    "routines",
    "triggers",
    "sequences",
    "check_constraints",
];
const LISTS: &[&str] = &[
    "pg_tables",
    "pg_indexes",
    "pg_policies",
    "pg_views",
    "pg_matviews",
    "pg_sequences",
    "pg_class",
    "pg_stat_user_tables",
];
const FILTERS: &[&str] = &[
    "table_schema",
    "constraint_schema",
    "schemaname",
    "nspname",
    "relnamespace",
    "connamespace",
    "regclass",
    "to_regclass",
    "specific_schema",
    "trigger_schema",
    "event_object_schema",
    "sequence_schema",
    "routine_schema",
    "current_schema",
    "regnamespace",
    "relid",
];

fn no_schema(desk: &Desk<'_>, sql: &Sql, words: &Words) {
    if words.has_any(FILTERS) || words.has(&["c", ".", "oid", "="]) {
        return;
    }
    let found = (0..words.len()).find(|n| {
        let view = words.seq(*n, &["information_schema", "."]) && VIEWS.contains(&words.get(n + 2));
        let from = *n > 0 && ["from", "join"].contains(&words.get(n - 1));
        view || (from && LISTS.contains(&words.get(*n)))
    });
    if let Some(n) = found {
        let end = if words.is(n + 1, ".") { n + 2 } else { n };
        desk.note(&NO_SCHEMA, &sql.subject, &sql.spot.part(words.span(n, end)), "this counts those of every schema");
    }
}

fn sessions(desk: &Desk<'_>, sql: &Sql, words: &Words) {
    let Some(n) = words.find(&["pg_stat_activity"]) else { return };
    let spot = sql.spot.part(words.span(n, n));
    let active = (0..words.len()).any(|n| words.seq(n, &["state", "="]) && words.get(n + 2) == "active");
    // The server's own processes have no such state, or no name of an application.
    let narrowed =
        active || ["state", "wait_event_type", "xact_start", "application_name"].iter().any(|one| words.has(&[one]));
    if active && !words.has(&["pg_backend_pid"]) {
        desk.note(&ACTIVE, &sql.subject, &spot, "this counts itself, and misses sessions idle in transaction");
    } else if !narrowed && !words.has(&["backend_type"]) && !words.has(&["join"]) {
        desk.note(&BACKENDS, &sql.subject, &spot, "the server's own processes are counted as sessions");
    }
}

fn catalogue(desk: &Desk<'_>, sql: &Sql, words: &Words) {
    let one = words.all(&["from"]).len() == 1 && !words.has(&["join"]);
    let listed = words.has(&["information_schema", ".", "tables"])
        || words.has(&["from", "pg_tables"])
        || words.has(&["from", "pg_class"]);
    let grouped = words.all(&["group", "by"]).into_iter().any(|n| {
        let behind = (n + 2..words.len()).take(6);
        behind.into_iter().any(|m| ["table_name", "tablename", "relname"].contains(&words.get(m)))
    });
    if let Some(n) = words.find(&["count", "("]).filter(|_| one && listed && grouped) {
        let spot = sql.spot.part(words.span(n, n + 3));
        desk.note(&CATALOGUE, &sql.subject, &spot, "this counts lines of the catalogue, not rows: 1 for every table");
    }
}

/// Source, its name of then, its name of now.
const RENAMED: &[(&str, &str, &str)] = &[
    ("pg_stat_statements", "mean_time", "mean_exec_time (since 13)"),
    ("pg_stat_statements", "total_time", "total_exec_time (since 13)"),
    ("pg_stat_statements", "min_time", "min_exec_time (since 13)"),
    ("pg_stat_statements", "max_time", "max_exec_time (since 13)"),
    ("pg_stat_statements", "stddev_time", "stddev_exec_time (since 13)"),
    ("pg_stat_activity", "procpid", "pid (since 9.2)"),
    ("pg_stat_activity", "current_query", "query (since 9.2)"),
    ("pg_stat_activity", "waiting", "wait_event (since 9.6)"),
    ("pg_stat_replication", "sent_location", "sent_lsn (since 10)"),
    ("pg_stat_replication", "write_location", "write_lsn (since 10)"),
    ("pg_stat_replication", "flush_location", "flush_lsn (since 10)"),
    ("pg_stat_replication", "replay_location", "replay_lsn (since 10)"),
    ("pg_constraint", "consrc", "pg_get_constraintdef(oid) (since 12)"),
    ("pg_attrdef", "adsrc", "pg_get_expr(adbin, adrelid) (since 12)"),
    ("pg_class", "relhasoids", "nothing: it is gone since 12"),
    ("", "pg_current_xlog_location", "pg_current_wal_lsn (since 10)"),
    ("", "pg_last_xlog_replay_location", "pg_last_wal_replay_lsn (since 10)"),
    ("", "pg_last_xlog_receive_location", "pg_last_wal_receive_lsn (since 10)"),
    ("", "pg_xlog_location_diff", "pg_wal_lsn_diff (since 10)"),
    ("", "pg_start_backup", "pg_backup_start (since 15)"),
    ("", "pg_stop_backup", "pg_backup_stop (since 15)"),
];

fn removed(desk: &Desk<'_>, sql: &Sql, words: &Words) {
    for (source, then, now) in RENAMED {
        if !source.is_empty() && !words.has(&[source]) {
            continue;
        }
        let named = words.all(&[then]).into_iter();
        // A word behind AS, or a parameter's name, is the runbook's own.
        for n in named.filter(|n| *n == 0 || !words.is(n - 1, "as")) {
            if source.is_empty() && !words.is(n + 1, "(") {
                continue;
            }
            let spot = sql.spot.part(words.span(n, n));
            desk.note(&REMOVED, &sql.subject, &spot, format!("there is no `{then}` any more: it is {now}"));
        }
    }
}

/// `select count(*) = count(x) from t`
fn equal_counts(desk: &Desk<'_>, sql: &Sql, words: &Words) {
    let equal = words.all(&[")", "=", "count", "("]).into_iter().find(|n| words.depth(*n) == 0);
    let more = words.has(&[">"]) || words.has(&["case"]);
    if let Some(n) = equal.filter(|_| !more) {
        desk.note(&EMPTY, &sql.subject, &sql.spot.part(words.span(n + 1, n + 2)), "true where both counts are 0");
    }
}

/// `expect = "value == row.total"`
fn expected_equal(desk: &Desk<'_>, sql: &Sql) {
    let counts = sql.statements.last().is_some_and(|words| words.has(&["count", "("]));
    let Some(act) = sql.act.and_then(|n| desk.acts.get(n)).filter(|_| counts) else { return };
    let Some(expect) = &act.step.expect else { return };
    let words = Words::of(&expect.source, 0);
    let facts: Vec<usize> = (0..words.len()).filter(|n| is_fact(&words, *n)).collect();
    let equal = words.all(&["=", "="]).into_iter().any(|n| {
        let left = n.checked_sub(1).is_some_and(|m| facts.contains(&m) || (m >= 2 && facts.contains(&(m - 2))));
        left && facts.contains(&(n + 2))
    });
    let bounded = words.has(&[">"]) || words.has(&["<"]) || words.0.iter().any(|word| word.kind == Kind::Number);
    if equal && !bounded {
        desk.step(&EMPTY, act, &act.spot("expect"), "this is also true where nothing is there");
    }
}

/// `value`, `row.total`
fn is_fact(words: &Words, n: usize) -> bool {
    words.seq(n, &["row", "."]) || (words.is(n, "value") && !words.is(n.wrapping_sub(1), "."))
}
