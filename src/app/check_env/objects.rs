//! The objects that a runbook's SQL names: whether they are there, whether this role may do with them what the SQL does,
//! and whether the server itself understands each statement. What earlier steps make is not missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Look;
use super::past::Past;
use crate::print::{Finding, Level};
use crate::run::event::{Resolved, Statement};
use crate::run::words::{name, plural};
use crate::run::{BatchOrder, prepare};
use crate::runbook::sql::names::{self, Made, Name, Named, Need, Use};
use crate::runbook::{Script, Step, Undo, Verb};
use crate::target::Target;
use crate::target::inspect::{Extension, Relation, Unread};

/// Commands that leave a database as it is.
const READERS: &[&str] =
    &["pg_dump", "pg_dumpall", "pg_basebackup", "pg_isready", "pgbench", "ls", "test", "df", "cp", "mkdir"];

/// SQLSTATEs of names and types that are not there.
const UNKNOWN: &[&str] = &["42P01", "42703", "42883", "42704", "3F000", "42P10"];
/// Of a text that is no SQL.
const SYNTAX: &str = "42601";
/// Of a lock that was not to be had, and of a cancelled statement.
const BUSY: &[&str] = &["55P03", "57014"];

impl Look {
    pub async fn objects(&mut self) {
        let mut pasts: BTreeMap<String, Past> = BTreeMap::new();
        for (act, step) in self.acts() {
            if matches!(step.verb, Verb::Run(_) | Verb::Shell(_)) {
                self.command(&act, &step, &mut pasts);
                continue;
            }
            let Some(target) = step.target.as_ref().and_then(|target| self.targets.get(target)).cloned() else {
                continue;
            };
            let past = pasts.entry(step.target.clone().unwrap_or_default()).or_default();
            let resolved = prepare::resolve(&self.book, &self.state, &step, None);
            let place = self.place(&step);
            let mut view = View {
                act: &act,
                place,
                target: &target,
                seen: 0,
                past,
                found: Vec::new(),
                rights: BTreeMap::new(),
                absent: BTreeMap::new(),
            };
            match resolved {
                Ok(Resolved::Sql { statements, .. }) => view.script(&statements).await,
                Ok(Resolved::Batch { order, .. }) => view.batch(&order, step.line).await,
                Ok(Resolved::Migrations { order, .. }) => {
                    if let Verb::Migrations(files) = &step.verb {
                        view.migrations(*order, files, &step).await;
                    }
                }
                Ok(Resolved::Restore { order, .. }) => {
                    view.past.is_replaced(&act);
                    view.say(Level::Ok, 0, format!("what is there from then on is what {} holds", order.file), None);
                }
                // They change nothing of a database that a name tells: a backup reads, people answer.
                Ok(_) => {}
                Err(error) => {
                    if step.changes() {
                        view.past.does_more(&act);
                    }
                    view.say(Level::Ok, step.line, format!("its SQL is known when it runs: {error}"), None);
                }
            }
            self.findings.extend(view.found);
        }
    }

    /// What a command does to the databases cannot be told, unless it is known to read, or leaves nothing to take back.
    fn command(&self, act: &str, step: &Step, pasts: &mut BTreeMap<String, Past>) {
        let program = match &step.verb {
            Verb::Run(argv) => argv.first().cloned().unwrap_or_default(),
            Verb::Shell(script) => script.split_whitespace().next().unwrap_or_default().to_owned(),
            _ => return,
        };
        let reads = READERS.contains(&program.rsplit('/').next().unwrap_or_default());
        if reads || matches!(step.undo, Undo::NotNeeded) {
            return;
        }
        for target in self.targets.keys() {
            if step.target.as_ref().is_none_or(|connect| connect == target) {
                pasts.entry(target.clone()).or_default().does_more(act);
            }
        }
    }

    /// The file that the lines of the step's SQL are lines of.
    fn place(&self, step: &Step) -> String {
        match &step.verb {
            Verb::Sql(Script { file: Some(file), .. }) => file.clone(),
            _ => step.file(&self.book.source.name).to_owned(),
        }
    }
}

/// One step's SQL on its target.
pub(super) struct View<'a> {
    pub act: &'a str,
    pub place: String,
    pub target: &'a Arc<Target>,
    pub past: &'a mut Past,
    found: Vec<Finding>,
    /// Statements so far.
    seen: u64,
    /// The objects it needs, and what it does with them.
    rights: BTreeMap<String, Vec<&'static str>>,
    /// What is not there now, by who may make it before; with the first line that names it.
    absent: BTreeMap<String, (u32, Vec<Name>)>,
}

impl View<'_> {
    pub fn say(&mut self, level: Level, line: u32, what: String, hint: Option<&str>) {
        let (about, hint) = (self.act.to_owned(), hint.map(str::to_owned));
        if self.found.iter().any(|one| one.level == level && one.what == what) {
            return;
        }
        let place = (level != Level::Ok).then(|| format!("{}:{line}", self.place));
        self.found.push(Finding { level, about, what, hint, place });
    }

    pub fn error(&mut self, line: u32, what: String, hint: &str) {
        self.say(Level::Error, line, what, Some(hint));
    }

    async fn script(&mut self, statements: &[Statement]) {
        self.text(statements).await;
        self.sum_up();
    }

    /// The statements of one text, which [`Self::place`] is the file of.
    pub async fn text(&mut self, statements: &[Statement]) {
        for statement in statements {
            self.statement(&statement.sql, statement.line).await;
        }
        self.seen += statements.len() as u64;
        for (who, (line, absent)) in std::mem::take(&mut self.absent) {
            let names = absent.iter().map(Name::to_string).collect::<Vec<_>>().join(", ");
            let hint = format!("{who} runs before and may make it: look after it");
            self.say(Level::Warn, line, format!("not there now: {names}"), Some(&hint));
        }
    }

    /// A step of which nothing is to be said is said to be fine.
    pub fn sum_up(&mut self) {
        if self.found.is_empty() {
            let words = |(object, rights): (&String, &Vec<&str>)| format!("{object} ({})", rights.join(", "));
            let about = self.rights.iter().map(words).collect::<Vec<_>>().join(", ");
            let about = if about.is_empty() { String::new() } else { format!(" · {about}") };
            let what = format!("{} read by the server{about}", plural(self.seen, "statement"));
            self.say(Level::Ok, 0, what, None);
        }
    }

    /// A batch as the statement that each of its ranges is.
    async fn batch(&mut self, order: &BatchOrder, line: u32) {
        let BatchOrder { table, key, .. } = order;
        let what = match &order.set {
            Some(set) => format!("update {table} set\n{}\n", set.trim()),
            None => format!("delete from {table}"),
        };
        let filter = order.filter.as_ref().map(|filter| format!(" and (\n{}\n)", filter.trim())).unwrap_or_default();
        // Each text of the runbook in lines of its own: it may end in a comment.
        let sql = format!("{what} where {key} is not null{filter}");
        let mut statements = vec![Statement { sql, line }];
        statements.extend(order.complete.iter().map(|sql| Statement { sql: sql.clone(), line }));
        self.script(&statements).await;
    }

    async fn statement(&mut self, sql: &str, line: u32) {
        let named = names::named(sql);
        let before = self.found.len();
        let mut excused = false;
        if let Some(named) = &named
            && !self.target.is_sqlite()
        {
            for need in &named.needs {
                excused |= self.need(need, line).await;
            }
            self.makes(named, line).await;
        }
        let missing = excused || self.found[before..].iter().any(|one| one.level != Level::Ok);
        if let Err(unread) = self.target.reads(sql).await {
            self.unread(unread, sql, named.as_ref(), missing, line);
        }
        match &named {
            Some(named) => self.past.run(self.act, named),
            // Whatever it does, it may make things.
            None => self.past.does_more(self.act),
        }
    }

    /// True where it is not there and need not be: an earlier step makes it, or it may be missing.
    async fn need(&mut self, need: &Need, line: u32) -> bool {
        if self.past.makes(&need.name) {
            return true;
        }
        if let Some(who) = self.past.takes_away(&need.name) {
            if !need.optional {
                let what = format!("{} is not there any more: {who} takes it away before", need.name);
                self.error(line, what, "change the order of the steps");
            }
            return true;
        }
        match self.target.relation(&need.name.quoted()).await {
            Err(why) => self.error(line, format!("{} cannot be looked at: {why}", need.name), "grant this role usage"),
            Ok(None) if need.optional => return true,
            Ok(None) => return self.missing(&need.name, line),
            Ok(Some(relation)) => self.allowed(need, &relation, line),
        }
        false
    }

    fn missing(&mut self, missing: &Name, line: u32) -> bool {
        match self.past.may_make(self.act).map(str::to_owned) {
            Some(who) => {
                let (first, absent) = self.absent.entry(who).or_insert_with(|| (line, Vec::new()));
                *first = line.min(*first);
                if !absent.contains(missing) {
                    absent.push(missing.clone());
                }
            }
            None => {
                self.error(line, format!("{missing} is not there"), "correct the name, or make it in a step before")
            }
        }
        true
    }

    fn allowed(&mut self, need: &Need, relation: &Relation, line: u32) {
        let right = match need.using {
            Use::Select => "select",
            Use::Insert => "insert",
            Use::Update => "update",
            Use::Delete => "delete",
            Use::Truncate => "truncate",
            Use::References => "references",
            Use::Own => "own",
            Use::Any => "",
        };
        if right == "own" && !relation.owned {
            let what = format!("{} belongs to {}, and only its owner may do this", need.name, name(&relation.owner));
            self.error(line, what, "connect as its owner, or as a member of that role");
        } else if !right.is_empty() && right != "own" && !relation.rights.iter().any(|one| one == right) {
            let what = format!("this role may not {right} on {}", need.name);
            self.error(line, what, "grant it the right, or connect as another role");
        }
        if relation.row_security && matches!(need.using, Use::Select | Use::Update | Use::Delete) {
            let hint = "policies hide rows from this role: a count or a backfill would miss them";
            self.say(Level::Warn, line, format!("{} has row security for this role", need.name), Some(hint));
        }
        for column in &need.columns {
            let now = relation.columns.contains(column);
            if !self.past.has_column(&need.name, column, now) && !self.past.is_open() {
                self.error(line, format!("{} has no column {column}", need.name), "correct the name");
            }
        }
        let of_the_server = ["pg_catalog", "information_schema"];
        if !right.is_empty() && !need.name.schema.as_deref().is_some_and(|schema| of_the_server.contains(&schema)) {
            let rights = self.rights.entry(need.name.to_string()).or_default();
            if !rights.contains(&right) {
                rights.push(right);
            }
        }
    }

    /// What the statement makes must not be there, and there must be a place for it.
    async fn makes(&mut self, named: &Named, line: u32) {
        for (made, what, lenient) in &named.makes {
            match what {
                Made::Temporary => {}
                Made::Index => self.fresh(made, *lenient, line, Level::Warn).await,
                Made::Relation => {
                    self.fresh(made, *lenient, line, Level::Error).await;
                    self.room(made, line).await;
                }
            }
        }
        for (table, column) in &named.adds {
            let relation = self.target.relation(&table.quoted()).await.ok().flatten();
            let now = relation.is_some_and(|relation| relation.columns.contains(column));
            if self.past.has_column(table, column, now) && !self.past.is_open() {
                let hint = "left over from an earlier attempt? Look before the window";
                self.error(line, format!("{table} has a column {column} already"), hint);
            }
        }
        for extension in &named.extensions {
            match self.target.extension(extension).await {
                Ok(Some(Extension::Absent)) => {
                    let what = format!("the server has no extension {}", name(extension));
                    self.error(line, what, "install its package on the server first");
                }
                Ok(Some(Extension::Installed)) => {}
                _ => self.past.does_more(self.act),
            }
        }
    }

    async fn fresh(&mut self, made: &Name, lenient: bool, line: u32, level: Level) {
        let gone = self.past.takes_away(made).is_some() || self.past.is_open();
        if lenient || gone {
            return;
        }
        if self.past.makes(made) {
            return self.error(line, format!("{made} is made by a step before already"), "leave one of them out");
        }
        if let Ok(Some(_)) = self.target.relation(&made.quoted()).await {
            let hint = "left over from an earlier attempt? Look before the window";
            self.say(level, line, format!("{made} is there already"), Some(hint));
        }
    }

    async fn room(&mut self, made: &Name, line: u32) {
        let schema = match &made.schema {
            Some(schema) => schema.clone(),
            None => match self.target.inspect().await {
                Ok(Some(server)) => match server.schema {
                    Some(schema) => schema,
                    None => {
                        return self.error(line, "no schema of the search path is there".to_owned(), "name a schema");
                    }
                },
                _ => return,
            },
        };
        match self.target.may_create_in(&schema).await {
            Ok(Some(false)) => {
                let what = format!("this role may not make anything in schema {}", name(&schema));
                self.error(line, what, "grant create on the schema to it");
            }
            Ok(None) if !self.past.is_open() => {
                self.error(line, format!("there is no schema {}", name(&schema)), "make it in a step before");
            }
            _ => {}
        }
    }

    fn unread(&mut self, unread: Unread, sql: &str, named: Option<&Named>, missing: bool, line: u32) {
        let code = unread.code.as_deref().unwrap_or_default();
        if BUSY.contains(&code) {
            let hint = "somebody holds a lock on what it names; ask again later";
            return self.say(Level::Warn, line, format!("it could not be read now: {}", unread.words), Some(hint));
        }
        if code == SYNTAX {
            return self.error(line, unread.words, "the server's grammar is final: correct it");
        }
        // SQLite names what is missing, but not which name of the statement it is.
        let later = match self.target.is_sqlite() {
            true => !self.past.is_empty(),
            false => {
                let touched = named.is_some_and(|named| named.needs.iter().any(|need| self.past.touches(&need.name)));
                // A name in quotes ('public.orders'::regclass) is looked up by the server, and is none of the grammar's.
                let quoted = UNKNOWN.contains(&code) && self.past.makes_a_name_in(sql);
                touched || quoted || self.past.is_open()
            }
        };
        match (missing, later) {
            // What is missing was told, or an earlier step makes it: the server can know no more of it.
            (true, _) if self.target.is_sqlite() || UNKNOWN.contains(&code) => {}
            (_, true) => {
                let what = format!("known when it runs: {}, before the steps that come first", unread.words);
                self.say(Level::Ok, line, what, None);
            }
            _ => {
                let hint = unread.hint.unwrap_or_else(|| "the server refuses it as it stands; correct it".to_owned());
                self.error(line, unread.words, &hint);
            }
        }
    }
}
