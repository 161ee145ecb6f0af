//! sqitch's registry: the tables of one schema that say which changes of a project's plan a database has, and every event
//! of their lives. Version 1.1, PostgreSQL; `tests/journeys` compares it with what sqitch itself makes and writes.

use super::OrderedFile;
use super::books::literal;
use crate::runbook::migrations::{Planned, Stamp};
use crate::runbook::sql::Dialect;

/// The registry of one project.
pub(super) struct Registry<'r> {
    /// Quoted.
    schema: &'r str,
    project: Option<&'r Planned>,
    /// Who is named as the one who applied it: `user@host`.
    committer: &'r str,
}

fn text(text: &str) -> String {
    literal(text, Dialect::Postgres)
}

fn array<'t>(all: impl Iterator<Item = &'t str>) -> String {
    let all: Vec<String> = all.map(text).collect();
    format!("array[{}]::text[]", all.join(", "))
}

/// The values of who planned what: note, time, name, address.
fn planned(stamp: &Stamp) -> String {
    format!("{}, {}, {}, {}", text(&stamp.note), text(&stamp.at), text(&stamp.name), text(&stamp.email))
}

impl<'r> Registry<'r> {
    pub fn new(schema: &'r str, files: &'r [OrderedFile], committer: &'r str) -> Self {
        Self { schema, project: files.iter().find_map(|file| file.planned.as_ref()), committer }
    }

    /// Name and address of who applies; a name without a host is its own address.
    fn who(&self) -> String {
        let name = self.committer.split('@').next().unwrap_or(self.committer);
        format!("{}, {}", text(name), text(self.committer))
    }

    pub fn create(&self) -> Vec<String> {
        let schema = self.schema;
        let project = format!("project text not null references {schema}.projects (project) on update cascade");
        let change = format!("text not null references {schema}.changes (change_id) on update cascade");
        let note = "note text not null default ''";
        let people = "committed_at timestamptz not null default clock_timestamp(), committer_name text not null, \
                      committer_email text not null, planned_at timestamptz not null, planner_name text not null, \
                      planner_email text not null";
        let tables = [
            "releases (version real primary key, installed_at timestamptz not null default clock_timestamp(), \
             installer_name text not null, installer_email text not null)"
                .to_owned(),
            "projects (project text primary key, uri text unique, created_at timestamptz not null default clock_timestamp(), \
             creator_name text not null, creator_email text not null)"
                .to_owned(),
            format!(
                "changes (change_id text primary key, script_hash text, change text not null, {project}, {note}, {people}, \
                 unique (project, script_hash))"
            ),
            format!(
                "tags (tag_id text primary key, tag text not null, {project}, change_id {change}, {note}, {people}, \
                 unique (project, tag))"
            ),
            format!(
                "dependencies (change_id {change} on delete cascade, type text not null, dependency text not null, \
                 dependency_id text references {schema}.changes (change_id) on update cascade \
                 constraint dependencies_check check ((type = 'require' and dependency_id is not null) \
                 or (type = 'conflict' and dependency_id is null)), primary key (change_id, dependency))"
            ),
            format!(
                "events (event text not null constraint events_event_check \
                 check (event in ('deploy', 'revert', 'fail', 'merge')), change_id text not null, change text not null, \
                 {project}, {note}, requires text[] not null default '{{}}', conflicts text[] not null default '{{}}', \
                 tags text[] not null default '{{}}', {people}, primary key (change_id, committed_at))"
            ),
        ];
        let mut all = vec![format!("create schema if not exists {schema}")];
        all.extend(tables.iter().map(|table| format!("create table {schema}.{table}")));
        all.push(format!(
            "insert into {schema}.releases (version, installer_name, installer_email) values (1.1, {})",
            self.who()
        ));
        all
    }

    /// Version, checksum, state, name. What old versions of sqitch wrote as a script's hash is none.
    pub fn read(&self) -> String {
        let project = text(self.project.map_or("", |planned| planned.project.as_str()));
        format!(
            "select change_id, nullif(script_hash, change_id), 'done', change from {}.changes where project = {project} \
             order by committed_at",
            self.schema
        )
    }

    pub fn deployed(&self, file: &OrderedFile) -> Vec<String> {
        let Some(plan) = &file.planned else { return Vec::new() };
        let (schema, who) = (self.schema, self.who());
        let (id, project) = (text(&file.version), text(&plan.project));
        let uri = plan.uri.as_deref().map_or_else(|| "null".to_owned(), text);
        let hash = file.checksum.as_deref().map_or_else(|| "null".to_owned(), text);
        let mut all = vec![
            format!(
                "insert into {schema}.projects (project, uri, creator_name, creator_email) \
                 values ({project}, {uri}, {who}) on conflict (project) do nothing"
            ),
            format!(
                "insert into {schema}.changes (change_id, script_hash, change, project, note, planned_at, planner_name, \
                 planner_email, committer_name, committer_email) \
                 values ({id}, {hash}, {}, {project}, {}, {who})",
                text(&plan.change),
                planned(&plan.stamp)
            ),
        ];
        let needs = plan.requires.iter().map(|(words, other)| ("require", words, text(other)));
        let conflicts = plan.conflicts.iter().map(|words| ("conflict", words, "null".to_owned()));
        all.extend(needs.chain(conflicts).map(|(kind, words, other)| {
            format!("insert into {schema}.dependencies values ({id}, '{kind}', {}, {other})", text(words))
        }));
        all.extend(plan.tags.iter().map(|tag| {
            format!(
                "insert into {schema}.tags (tag_id, tag, project, change_id, note, planned_at, planner_name, planner_email, \
                 committer_name, committer_email) values ({}, {}, {project}, {id}, {}, {who})",
                text(&tag.id),
                text(&tag.name),
                planned(&tag.stamp)
            )
        }));
        all.push(self.event("deploy", &id, plan));
        all
    }

    /// Nothing of it where the change is not deployed: what was never there is not taken back.
    pub fn reverted(&self, file: &OrderedFile) -> Vec<String> {
        let Some(plan) = &file.planned else { return Vec::new() };
        let id = text(&file.version);
        let tables = ["tags", "dependencies", "changes"].into_iter();
        let deletes = tables.map(|table| format!("delete from {}.{table} where change_id = {id}", self.schema));
        [self.event("revert", &id, plan)].into_iter().chain(deletes).collect()
    }

    /// Of a change that is deployed.
    fn event(&self, event: &str, id: &str, plan: &Planned) -> String {
        format!(
            "insert into {}.events (event, change_id, change, project, requires, conflicts, tags, note, planned_at, \
             planner_name, planner_email, committer_name, committer_email) \
             select '{event}', {id}, {}, {}, {}, {}, {}, {}, {} \
             where exists (select from {0}.changes where change_id = {id})",
            self.schema,
            text(&plan.change),
            text(&plan.project),
            array(plan.requires.iter().map(|(words, _)| words.as_str())),
            array(plan.conflicts.iter().map(String::as_str)),
            array(plan.tags.iter().map(|tag| tag.name.as_str())),
            planned(&plan.stamp),
            self.who()
        )
    }
}
