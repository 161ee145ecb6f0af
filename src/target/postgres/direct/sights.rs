//! The traces of each kind of statement in the catalogue. Columns that every server since PostgreSQL 13 has.

use super::definition::{Definition, Likeness};
use super::recognise::Reindexed;
use super::{Seen, Stage};
use crate::target::direct::Sight;
use crate::target::postgres::line::{Line, Rows};
use crate::target::problem::Problem;

type Answer = Result<Seen, Problem>;

/// What was not there before.
const ABSENT: &str = "absent";
/// What was there already, and broken.
const INVALID: &str = "invalid";

/// One row of an answer, cell by cell.
struct Row(Vec<Option<String>>);

impl Row {
    fn first(rows: Rows) -> Self {
        Self(rows.into_iter().next().unwrap_or_default())
    }

    fn text(&self, n: usize) -> Option<&str> {
        self.0.get(n)?.as_deref()
    }

    fn is(&self, n: usize) -> bool {
        self.text(n) == Some("true")
    }
}

/// Of the index `c` on the table `t`: who builds it (seen where this role may see it), and who else holds the lock that a
/// build holds. A vacuum holds it too, and is none.
macro_rules! builders {
    () => {
        "(select min(p.pid)::text from pg_stat_progress_create_index p \
            where p.datname = current_database() and p.index_relid = c.oid), \
         (select min(l.pid)::text from pg_locks l \
            where l.locktype = 'relation' and l.granted and l.mode = 'ShareUpdateExclusiveLock' \
              and l.database = (select d.oid from pg_database d where d.datname = current_database()) \
              and l.relation = t.oid \
              and not exists (select from pg_stat_progress_vacuum v where v.pid = l.pid) \
              and not exists (select from pg_stat_activity a where a.pid = l.pid and a.backend_type = 'autovacuum worker'))"
    };
}

fn builder(name: &str, by: Option<&str>, holder: Option<&str>) -> Option<Sight> {
    let what = match (by, holder) {
        (Some(pid), _) => format!("index {name} is being built by pid {pid}"),
        (None, Some(pid)) => {
            format!("index {name} is INVALID, and pid {pid} works on its table: it may be being built")
        }
        (None, None) => return None,
    };
    Some(Sight::Busy(what))
}

pub(super) async fn create_index(
    line: &Line,
    table: &str,
    index: &str,
    wanted: &Definition,
    stage: Stage<'_>,
) -> Answer {
    const SQL: &str = concat!(
        "select quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind::text, (i.indrelid = t.oid)::text, \
           (i.indisvalid and i.indisready and i.indislive)::text, \
           case when c.relkind = 'i' then pg_get_indexdef(c.oid) end, ",
        builders!(),
        " from (select to_regclass($1)::oid as oid) named \
         join pg_class t on t.oid = named.oid \
         join pg_class c on c.relnamespace = t.relnamespace and c.relname = $2::text::name \
         join pg_namespace n on n.oid = c.relnamespace \
         left join pg_index i on i.indexrelid = c.oid"
    );
    let row = Row::first(line.ask(SQL, &[table, index]).await?);
    let Some(name) = row.text(0) else {
        let sight = Sight::Absent(format!("there is no index {index} beside table {table}"));
        return Ok(Seen { sight, mark: Some(ABSENT.to_owned()) });
    };
    if row.text(1) != Some("i") || !row.is(2) {
        return Ok(Seen::of(Sight::Other(format!("{name} is there, and is no index of {table}"))));
    }
    if !row.is(3) {
        let broken = || Sight::Residue {
            what: format!("index {name} is there, but INVALID"),
            cleanup: vec![format!("drop index concurrently if exists {name}")],
        };
        let sight = builder(name, row.text(5), row.text(6)).unwrap_or_else(broken);
        // A retry drops it first: after that, what is there is its own.
        return Ok(Seen { sight, mark: Some(ABSENT.to_owned()) });
    }
    let there = row.text(4).unwrap_or_default();
    let likeness = Definition::of_server(there).map_or(Likeness::Alike, |there| wanted.compare(&there));
    let is_ours = match (likeness, stage) {
        (Likeness::Same, _) => true,
        // It was not there before this attempt, and differs by nothing but how the server writes expressions.
        (Likeness::Alike, Stage::After(Some(ABSENT))) => true,
        _ => false,
    };
    Ok(Seen::of(match (is_ours, likeness) {
        (true, _) => Sight::Present { what: format!("index {name} is there, valid"), harmless: false },
        (false, Likeness::Different) => Sight::Other(format!("index {name} is there with another definition: {there}")),
        (false, _) => Sight::Other(format!(
            "index {name} is there, and whether its definition is the same cannot be told from here: {there}"
        )),
    }))
}

pub(super) async fn drop_index(line: &Line, index: &str, if_exists: bool, stage: Stage<'_>) -> Answer {
    const SQL: &str = concat!(
        "select c.oid::regclass::text, c.relkind::text, (i.indisvalid and i.indisready and i.indislive)::text, ",
        builders!(),
        " from pg_class c left join pg_index i on i.indexrelid = c.oid left join pg_class t on t.oid = i.indrelid \
         where c.oid = to_regclass($1)"
    );
    let row = Row::first(line.ask(SQL, &[index]).await?);
    let Some(name) = row.text(0) else {
        return Ok(Seen::of(Sight::Present { what: format!("there is no index {index}"), harmless: if_exists }));
    };
    if row.text(1) != Some("i") {
        return Ok(Seen::of(Sight::Other(format!("{name} is there, and cannot be dropped as an index"))));
    }
    if row.is(2) {
        return Ok(Seen::of(Sight::Absent(format!("index {name} is still there, valid"))));
    }
    if matches!(stage, Stage::After(Some(INVALID))) {
        return Ok(Seen::of(Sight::Absent(format!("index {name} is still there, INVALID as before"))));
    }
    let half = || Sight::Residue { what: format!("index {name} is half dropped: INVALID"), cleanup: Vec::new() };
    let sight = builder(name, row.text(3), row.text(4)).unwrap_or_else(half);
    Ok(Seen { sight, mark: Some(INVALID.to_owned()) })
}

/// One index that a REINDEX is about, or what one left.
struct Built {
    name: String,
    filenode: String,
    valid: bool,
}

pub(super) async fn reindex(line: &Line, what: Reindexed, target: &str, stage: Stage<'_>) -> Answer {
    const SQL: &str = concat!(
        "select quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relfilenode::text, \
           (i.indisvalid and i.indisready and i.indislive)::text, i.indisexclusion::text, own.relkind::text, \
           (c.relname ~ '_cc(new|old)[0-9]*$' and not i.indisvalid \
             and (own.relkind <> 'i' or starts_with(own.relname::text, regexp_replace(c.relname::text, '_cc(new|old)[0-9]*$', ''))))::text, \
           (own.relkind <> 'i' or c.oid = own.oid)::text, ",
        builders!(),
        " from pg_class own \
         left join pg_index oi on oi.indexrelid = own.oid \
         join pg_class t on t.oid = coalesce(oi.indrelid, own.oid) \
         join pg_index i on i.indrelid in (t.oid, t.reltoastrelid) \
         join pg_class c on c.oid = i.indexrelid \
         join pg_namespace n on n.oid = c.relnamespace \
         where own.oid = to_regclass($1) order by 1"
    );
    let rows: Vec<Row> = line.ask(SQL, &[target]).await?.into_iter().map(Row).collect();
    let kinds: &[&str] = if what == Reindexed::Index { &["i"] } else { &["r", "m", "t"] };
    if let Some(kind) = rows.first().and_then(|row| row.text(4)).filter(|kind| !kinds.contains(kind)) {
        return Ok(Seen::of(Sight::Untraced(format!("a REINDEX of {target}, which is of kind {kind}"))));
    }
    let left = rows.iter().filter(|row| row.is(5));
    let cleanup: Vec<String> =
        left.filter_map(|row| Some(format!("drop index concurrently if exists {}", row.text(0)?))).collect();
    if let Some(row) = rows.iter().find(|row| row.is(5)) {
        let names = format!("of {target}");
        let broken = || Sight::Residue {
            what: format!("a REINDEX of {target} left {} behind, INVALID", row.text(0).unwrap_or_default()),
            cleanup: cleanup.clone(),
        };
        let sight = builder(&names, row.text(7), row.text(8)).unwrap_or_else(broken);
        return Ok(Seen { sight, mark: Some(marks(&built(&rows))) });
    }
    let built = built(&rows);
    Ok(match stage {
        Stage::Before => Seen { sight: Sight::Absent(format!("{target} as it is")), mark: Some(marks(&built)) },
        Stage::After(before) => Seen::of(rebuilt(target, &built, before.unwrap_or_default())),
    })
}

/// The indexes that are rebuilt: concurrently, those of exclusion constraints are not.
fn built(rows: &[Row]) -> Vec<Built> {
    let wanted = rows.iter().filter(|row| row.is(6) && !row.is(5) && !row.is(3));
    wanted
        .filter_map(|row| {
            Some(Built { name: row.text(0)?.to_owned(), filenode: row.text(1)?.to_owned(), valid: row.is(2) })
        })
        .collect()
}

fn marks(built: &[Built]) -> String {
    let valid = built.iter().filter(|one| one.valid);
    valid.map(|one| format!("{} {}", one.filenode, one.name)).collect::<Vec<_>>().join("\n")
}

/// Compares the files of the indexes with those of before.
fn rebuilt(target: &str, now: &[Built], before: &str) -> Sight {
    let marked: Vec<(&str, &str)> = before.lines().filter_map(|line| line.split_once(' ')).collect();
    let find = |name: &str| now.iter().find(|one| one.name == name && one.valid);
    let new = marked.iter().filter(|(file, name)| find(name).is_some_and(|one| one.filenode != *file)).count();
    match (new, marked.len()) {
        (0, _) => Sight::Absent(format!("{target} was not rebuilt; to run it again does no harm")),
        (new, all) if new == all => {
            Sight::Present { what: format!("{target} was rebuilt: every index has a new file"), harmless: true }
        }
        (new, all) => {
            Sight::Residue { what: format!("{new} of {all} indexes of {target} were rebuilt"), cleanup: Vec::new() }
        }
    }
}

pub(super) async fn vacuum(line: &Line, tables: &[String], full: bool, stage: Stage<'_>) -> Answer {
    const SQL: &str = "select c.relfilenode::text, s.vacuum_count::text \
                       from pg_class c left join pg_stat_all_tables s on s.relid = c.oid where c.oid = to_regclass($1)";
    let mut now = Vec::new();
    for table in tables {
        let row = Row::first(line.ask(SQL, &[table]).await?);
        now.push(row.text(if full { 0 } else { 1 }).unwrap_or_default().to_owned());
    }
    let before: Vec<&str> = match stage {
        Stage::Before => Vec::new(),
        Stage::After(before) => before.unwrap_or_default().split(' ').collect(),
    };
    let changed = |(now, before): (&String, &&str)| now != before && !now.is_empty() && !before.is_empty();
    let done = !now.is_empty() && now.len() == before.len() && now.iter().zip(&before).all(changed);
    let sight = match done {
        true => Sight::Present { what: format!("{} was vacuumed since", tables.join(", ")), harmless: true },
        false => Sight::Absent("it may or may not have run to its end; to run it again does no harm".to_owned()),
    };
    Ok(Seen { sight, mark: (!now.is_empty()).then(|| now.join(" ")) })
}

pub(super) async fn add_value(line: &Line, kind: &str, value: &str, harmless: bool) -> Answer {
    const SQL: &str =
        "select 1::text from pg_enum e where e.enumtypid = to_regtype($1) and e.enumlabel = $2::text::name";
    let there = !line.ask(SQL, &[kind, value]).await?.is_empty();
    Ok(Seen::of(match there {
        true => Sight::Present { what: format!("type {kind} has the value {value}"), harmless },
        false => Sight::Absent(format!("type {kind} has no value {value}")),
    }))
}
