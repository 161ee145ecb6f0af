//! Inventories: whatever changes in a database has a line, whatever does not has none.

use gonogo::run::Chunk;
use gonogo::run::inventory::{self, Item};
use gonogo::runbook::asks::{Asks, Inventory};
use gonogo::runbook::sql::Dialect;
use gonogo::target::SqlJob;
use support::postgres::Cluster;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Ran, open, script};

const RICH: &str = "
create schema app;
create type app.mood as enum ('good', 'bad');
create domain app.percent as integer check (value between 0 and 100);
create sequence app.numbers;
create table app.parent (id integer primary key, name text not null default 'x');
create table app.child (id bigint generated always as identity primary key, parent_id integer references app.parent (id),
  share app.percent, mood app.mood, big integer generated always as (parent_id * 2) stored);
create index child_parent on app.child (parent_id);
alter table app.child enable row level security;
create policy mine on app.child using (parent_id > 0);
create view app.names as select name from app.parent;
create materialized view app.sums as select count(*) as n from app.child;
create function app.touch() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger touch before update on app.child for each row execute function app.touch();
insert into app.parent select n, 'n' || n from generate_series(1, 10) as n;
insert into app.child (parent_id) select n from generate_series(1, 10) as n;";

async fn taken(cluster: &Cluster, db: &str, wanted: &Inventory, before: Option<&[Item]>) -> (Vec<Item>, Ran) {
    let target = open(cluster, db).await;
    let texts = inventory::queries(wanted, Dialect::Postgres);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (statements, asks) = (script(&texts), Asks::Inventory(Box::new(wanted.clone())));
    let job = SqlJob { asks: &asks, before, ..SqlJob::plain("snapshot", &statements, true) };
    let (out, mut chunks) = mpsc::channel(1000);
    let outcome = target.run(&job, &out, &|_: &_| Ok(None), CancellationToken::new()).await;
    drop(out);
    let mut all = Vec::new();
    while let Some(chunk) = chunks.recv().await {
        all.push(chunk);
    }
    let items = all.iter().find_map(|chunk| match chunk {
        Chunk::Inventory { items, .. } => Some(items.clone()),
        _ => None,
    });
    (items.unwrap_or_default(), Ran { chunks: all, outcome })
}

fn wanted() -> Inventory {
    Inventory { name: "before".to_owned(), data: true, sequences: true, ..Inventory::default() }
}

/// What one change of the rich database looks like.
#[tokio::test]
async fn every_kind_of_change_is_named() {
    let Some(cluster) = support::postgres::shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, RICH);
    cluster.psql(
        "postgres",
        "do $$ begin create role inventory_reader; exception when duplicate_object then null; end $$",
    );
    for (change, lines) in [
        ("create table app.more (id integer)", "+ column app.more.id|+ data app.more|+ rows app.more|+ table app.more"),
        ("drop table app.more", "- column app.more.id|- data app.more|- rows app.more|- table app.more"),
        ("alter table app.parent add column note text", "+ column app.parent.note|~ data app.parent"),
        ("alter table app.parent alter column name drop not null", "~ column app.parent.name"),
        ("alter table app.parent alter column name set default 'y'", "~ column app.parent.name"),
        ("drop index app.child_parent", "- index app.child_parent"),
        ("create index child_parent on app.child (parent_id)", "+ index app.child_parent"),
        ("alter table app.child add constraint c check (id > 0) not valid", "+ constraint app.child.c"),
        ("alter table app.child validate constraint c", "~ constraint app.child.c"),
        ("alter policy mine on app.child using (parent_id > 1)", "~ policy app.child.mine"),
        ("alter table app.child disable row level security", "~ table app.child"),
        ("alter table app.child disable trigger touch", "~ trigger app.child.touch"),
        ("create or replace view app.names as select upper(name) as name from app.parent", "~ view app.names"),
        (
            "create or replace function app.touch() returns trigger language plpgsql as $$ begin return null; end $$",
            "~ function app.touch()",
        ),
        ("alter type app.mood add value 'so'", "~ enum app.mood"),
        ("alter sequence app.numbers increment by 2", "~ sequence app.numbers"),
        ("select nextval('app.numbers')", "~ position app.numbers"),
        ("grant select (name) on app.parent to inventory_reader", "+ grant app.parent.name to inventory_reader"),
        ("grant insert on app.child to inventory_reader", "+ grant app.child to inventory_reader"),
        ("grant update on app.child to inventory_reader", "~ grant app.child to inventory_reader"),
        ("insert into app.parent values (11, 'n')", "~ data app.parent|~ rows app.parent"),
        ("update app.parent set name = 'm' where id = 11", "~ data app.parent"),
        ("create extension pgcrypto", "+ extension pgcrypto"),
        ("create rule gone as on insert to app.parent do instead nothing", "+ rule app.parent.gone"),
        ("create statistics app.nd (ndistinct) on id, name from app.parent", "+ statistics app.nd"),
        (
            "insert into app.child (parent_id) values (1)",
            "~ data app.child|~ position app.child_id_seq|~ rows app.child",
        ),
        ("refresh materialized view app.sums", "~ data app.sums"),
        ("analyze; refresh materialized view app.sums", ""),
    ] {
        let (before, ran) = taken(cluster, &db, &wanted(), None).await;
        assert!(before.len() > 20, "{:?}", ran.outcome);
        cluster.psql(&db, change);
        let (_, ran) = taken(cluster, &db, &wanted(), Some(&before)).await;
        let said: Vec<String> = ran.facts().table.iter().map(said).collect();
        assert_eq!(said.join("|"), lines, "{change}");
        assert_eq!(ran.facts().value, Some(serde_json::json!(said.len())), "{change}");
    }
}

fn said(row: &std::collections::BTreeMap<String, serde_json::Value>) -> String {
    ["change", "kind", "name"].map(|key| row[key].as_str().unwrap()).join(" ")
}

#[tokio::test]
async fn rows_are_the_same_in_any_order_of_rows_and_columns() {
    let Some(cluster) = support::postgres::shared() else { return };
    let (one, other) = (cluster.create_db(), cluster.create_db());
    cluster.psql(&one, "create table t (a integer, b text); insert into t values (1, 'x'), (2, null)");
    cluster.psql(&other, "create table t (b text, a integer); insert into t values (null, 2), ('x', 1)");
    let (before, _) = taken(cluster, &one, &wanted(), None).await;
    let (_, ran) = taken(cluster, &other, &wanted(), Some(&before)).await;
    assert_eq!(ran.facts().value, Some(serde_json::json!(0)), "{:?}", ran.facts().table);
    let counts = ran.facts().row.as_ref().unwrap();
    assert_eq!((&counts["table"], &counts["rows"], &counts["index"]), (&1.into(), &2.into(), &0.into()));
}

#[tokio::test]
async fn what_is_ignored_or_elsewhere_is_no_difference() {
    let Some(cluster) = support::postgres::shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create schema app; create table app.a (id integer); create table public.b (id integer)");
    let narrow = Inventory {
        schemas: vec!["app".to_owned()],
        ignore: vec!["rows app.a".to_owned(), "data app.*".to_owned()],
        ..wanted()
    };
    let (before, _) = taken(cluster, &db, &narrow, None).await;
    assert!(before.iter().all(|item| !item.1.contains("public")), "{before:?}");
    cluster.psql(&db, "insert into app.a values (1); drop table public.b");
    let (_, ran) = taken(cluster, &db, &narrow, Some(&before)).await;
    assert_eq!(ran.facts().value, Some(serde_json::json!(0)), "{:?}", ran.facts().table);
}

/// What cannot be seen, and what is not there, is no inventory.
#[tokio::test]
async fn hidden_rows_and_missing_schemas_are_told() {
    let Some(cluster) = support::postgres::shared() else { return };
    let db = cluster.create_db();
    let nobody = Inventory { schemas: vec!["nowhere".to_owned()], ..wanted() };
    let (_, ran) = taken(cluster, &db, &nobody, None).await;
    assert!(ran.fault().summary.contains("there is no schema `nowhere`"), "{:?}", ran.outcome);
    cluster.psql(
        "postgres",
        "do $$ begin create role inventory_blind login; exception when duplicate_object then null; end $$",
    );
    cluster.psql(
        &db,
        "create table t (id integer); insert into t values (1); alter table t enable row level security;
         grant select on t to inventory_blind",
    );
    let url = cluster.url(&db).replace("postgres@", "inventory_blind@");
    let target = super::open_url(url).await.unwrap();
    let texts = inventory::queries(&wanted(), Dialect::Postgres);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (statements, asks) = (script(&texts), Asks::Inventory(Box::new(wanted())));
    let job = SqlJob { asks: &asks, ..SqlJob::plain("snapshot", &statements, true) };
    let (out, _chunks) = mpsc::channel(1000);
    let outcome = target.run(&job, &out, &|_: &_| Ok(None), CancellationToken::new()).await;
    let ran = Ran { chunks: Vec::new(), outcome };
    assert!(ran.failed().summary.contains("row-level security"), "{:?}", ran.outcome);
}

/// What the journal hides is hidden before it is compared.
#[tokio::test]
async fn secrets_are_no_difference() {
    let Some(cluster) = support::postgres::shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table t (id integer, token text default 'hush')");
    let (before, _) = taken(cluster, &db, &wanted(), None).await;
    let hide = |text: &str| text.replace("hush", "***");
    let journaled: Vec<Item> = before.iter().map(|Item(a, b, c)| Item(hide(a), hide(b), hide(c))).collect();
    let target = open(cluster, &db).await;
    let texts = inventory::queries(&wanted(), Dialect::Postgres);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (statements, asks) = (script(&texts), Asks::Inventory(Box::new(wanted())));
    let before = Some(journaled.as_slice());
    let job = SqlJob { asks: &asks, before, hide: Some(&hide), ..SqlJob::plain("snapshot", &statements, true) };
    let (out, _chunks) = mpsc::channel(1000);
    let outcome = target.run(&job, &out, &|_: &_| Ok(None), CancellationToken::new()).await;
    let ran = Ran { chunks: Vec::new(), outcome };
    assert_eq!(ran.facts().value, Some(serde_json::json!(0)), "{:?}", ran.facts().table);
}
