//! Who owns a database: the guard's key, the work key, the run's row in the ledger, and what a pooler or a standby is.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gonogo::run::event::{Grip, Proof};
use gonogo::runbook::LedgerUse;
use gonogo::target::{Claim, LedgerState, Memory, Refusal};
use support::pooler::Pooler;
use support::postgres::shared;

use super::*;

/// A journal with these heads, entry after entry.
struct Book(Mutex<Vec<String>>);

impl Memory for Book {
    fn count(&self) -> BoxFuture<'_, Result<u64, String>> {
        let count = self.0.lock().unwrap().len() as u64;
        async move { Ok(count) }.boxed()
    }

    fn head(&self, seq: u64) -> BoxFuture<'_, Result<Option<String>, String>> {
        let head = self.0.lock().unwrap().get(seq as usize - 1).cloned();
        async move { Ok(head) }.boxed()
    }
}

fn heads(all: &[&str]) -> Book {
    Book(Mutex::new(all.iter().map(|head| (*head).to_owned()).collect()))
}

async fn open_as(cluster: &Cluster, db: &str, run: &str, spec: TargetSpec) -> Target {
    Target::open("main", &spec, SecretString::from(cluster.url(db)), &format!("gonogo {run}")).await.unwrap()
}

async fn claim(target: &Target, run: &str) -> Result<Grip, Refusal> {
    claim_as(target, run, "j", &heads(&["a", "b"]), false).await
}

async fn claim_as(target: &Target, run: &str, journal: &str, memory: &Book, take_over: bool) -> Result<Grip, Refusal> {
    let by = format!("{run}@host pid 1");
    target
        .claim(&Claim { run, journal, memory, by: &by, environment: "staging", writes: true, siblings: &[], take_over })
        .await
}

fn concurrent() -> TargetSpec {
    TargetSpec { concurrent: true, ..spec() }
}

#[tokio::test]
async fn a_database_has_one_owner_at_a_time() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let (one, two) = (open_as(cluster, &db, "r1", spec()).await, open_as(cluster, &db, "r2", spec()).await);
    let grip = claim(&one, "r1").await.unwrap();
    assert!(grip.guarded && grip.epoch.is_none(), "{grip:?}");
    assert!(matches!(&grip.proof, Proof::Weaker { why } if why.contains("no ledger")), "{grip:?}");
    let refused = claim(&two, "r2").await.unwrap_err();
    let Refusal::Held { who } = &refused else { panic!("{refused:?}") };
    assert!(who.contains("gonogo r1 guard") && who.contains("user postgres") && who.contains("since 20"), "{who}");
    // Another database of the same server is another matter.
    let other = cluster.create_db();
    claim(&open_as(cluster, &other, "r2", spec()).await, "r2").await.unwrap();
    one.let_go(true).await;
    claim(&two, "r2").await.unwrap();
}

#[tokio::test]
async fn runs_that_say_so_work_side_by_side() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let (one, two) = (open_as(cluster, &db, "r1", concurrent()).await, open_as(cluster, &db, "r2", concurrent()).await);
    claim(&one, "r1").await.unwrap();
    claim(&two, "r2").await.unwrap();
    let alone = open_as(cluster, &db, "r3", spec()).await;
    assert!(matches!(claim(&alone, "r3").await, Err(Refusal::Held { .. })));
}

#[tokio::test]
async fn work_whose_guard_is_gone_keeps_newcomers_out() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table gate (open bool); insert into gate values (false)");
    let (one, two) = (open_as(cluster, &db, "r1", spec()).await, open_as(cluster, &db, "r2", spec()).await);
    claim(&one, "r1").await.unwrap();
    let wait = "do $$ begin loop exit when (select open from gate); perform pg_sleep(0.01); end loop; end $$";
    let script = [wait];
    let work = run_direct(&one, &script);
    let look = async {
        // Its own statement, not what comes before it: by then the session holds its key.
        let working = "select count(*) from pg_stat_activity where application_name = 'gonogo r1 step' \
                       and state = 'active' and query like 'do $$%'";
        until(cluster, &db, working, "1").await;
        cluster.psql(
            &db,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gonogo r1 guard'",
        );
        assert!(one.still_guarded().await.unwrap_err().contains("was lost"));
        let refused = claim(&two, "r2").await.unwrap_err();
        assert!(matches!(&refused, Refusal::Working { who } if who.contains("gonogo r1 step")), "{refused:?}");
        cluster.psql(&db, "update gate set open = true");
    };
    let (ran, ()) = tokio::join!(work, look);
    ran.facts();
    // Nothing more starts until the database was claimed anew.
    let ran = run(&one, &["select 1"]).await;
    assert!(ran.fault().summary.contains("lost"), "{:?}", ran.fault());
    assert_eq!(ran.fault().safe, "no statement was sent, nothing changed");
    claim(&one, "r1").await.unwrap();
    run(&one, &["select 1"]).await.facts();
}

async fn until(cluster: &Cluster, db: &str, sql: &str, wanted: &str) {
    for _ in 0..600 {
        if cluster.psql(db, sql) == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never {wanted:?}: {sql}");
}

/// After a gap every target is claimed again, also while a step of ours works there: that must not lose the database.
#[tokio::test]
async fn a_claim_that_stands_is_no_hindrance_to_our_own_step() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let one = open_as(cluster, &db, "r1", spec()).await;
    one.create_ledger("staging").await.unwrap();
    claim(&one, "r1").await.unwrap();
    let work = run(&one, &["select pg_sleep(3)"]);
    let again = async {
        let asleep =
            "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
        until(cluster, &db, asleep, "1").await;
        assert_eq!(claim(&one, "r1").await.unwrap().epoch, Some(1));
        one.still_guarded().await.unwrap();
    };
    let (ran, ()) = tokio::join!(work, again);
    ran.facts();
}

/// A claim that is refused lets nothing start, and the epoch of before goes on to fence what still runs.
#[tokio::test]
async fn a_refused_claim_leaves_nothing_unguarded() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let (one, two) = (open_as(cluster, &db, "r1", spec()).await, open_as(cluster, &db, "r2", spec()).await);
    one.create_ledger("staging").await.unwrap();
    claim(&one, "r1").await.unwrap();
    let guards = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                  where datname = current_database() and application_name like '%guard%'";
    assert_eq!(cluster.psql(&db, guards), "1");
    claim_as(&two, "r2", "j", &heads(&[]), true).await.unwrap();
    claim(&one, "r1").await.unwrap_err();
    assert_eq!(one.epoch(), 1);
    assert!(one.still_guarded().await.is_err());
    let ran = run(&one, &["select 1"]).await;
    assert_eq!(ran.fault().safe, "no statement was sent, nothing changed");
}

#[tokio::test]
async fn the_ledger_counts_epochs_and_knows_its_journal() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let one = open_as(cluster, &db, "r1", spec()).await;
    assert_eq!(one.ledger_state().await.unwrap(), LedgerState::Absent);
    one.create_ledger("staging").await.unwrap();
    assert_eq!(one.ledger_state().await.unwrap(), LedgerState::Ready { environment: Some("staging".to_owned()) });
    let grip = claim(&one, "r1").await.unwrap();
    assert_eq!((grip.proof, grip.epoch, one.epoch()), (Proof::Ledger, Some(1), 1));
    assert_eq!(claim(&one, "r1").await.unwrap().epoch, Some(1), "what it holds still, it holds");
    one.let_go(false).await;
    assert_eq!(claim(&one, "r1").await.unwrap().epoch, Some(2));
    one.let_go(false).await;
    let other = claim_as(&one, "r1", "another", &heads(&["a"]), false).await;
    assert!(matches!(other, Err(Refusal::OtherJournal { .. })), "{other:?}");
    let row = |seq: u64, head: &str| {
        format!("insert into gonogo.attempt values ('r1', 's{seq}', 'forward', 1, 'done', 1, '7', {seq}, '{head}')")
    };
    cluster.psql(&db, &row(2, "b"));
    claim(&one, "r1").await.unwrap();
    one.let_go(false).await;
    let rewritten = claim_as(&one, "r1", "j", &heads(&["a", "x"]), false).await;
    assert_eq!(rewritten, Err(Refusal::JournalRewritten { seq: 2 }));
    cluster.psql(&db, &row(44, "z"));
    let cut = claim(&one, "r1").await.unwrap_err();
    assert_eq!(cut, Refusal::JournalCut { ends: 2, knows: 44 });
    assert!(cut.to_string().starts_with("the journal ends at entry 2, the target's ledger knows 44"));
    // Who writes no row into it hears all the same whose database it is.
    let unused = || TargetSpec { ledger: LedgerUse::Never, ..spec() };
    let owned = claim(&open_as(cluster, &db, "r9", unused()).await, "r9").await.unwrap_err();
    assert!(
        matches!(&owned, Refusal::Owned { owner, runs } if owner.contains("run r1") && *runs == ["r1"]),
        "{owned:?}"
    );
    cluster.psql(&db, "update gonogo.run set ended = now()");
    let grip = claim(&open_as(cluster, &db, "r9", unused()).await, "r9").await.unwrap();
    assert!(matches!(grip.proof, Proof::Weaker { .. }));
    assert_eq!(cluster.psql(&db, "select string_agg(run, ',') from gonogo.run"), "r1");
}

/// What writes no row of its own looks after the claim all the same, in its transaction.
#[tokio::test]
async fn a_fence_keeps_out_who_was_taken_over() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let one = open_as(cluster, &db, "r1", spec()).await;
    one.create_ledger("staging").await.unwrap();
    claim(&one, "r1").await.unwrap();
    let statements = script(&["create table t ()"]);
    let fenced = || SqlJob { fence: Some("r1"), ..job("files", &statements, true) };
    run_judged(&one, fenced(), CancellationToken::new(), |_| Ok(None)).await.facts();
    cluster.psql(&db, "drop table t; update gonogo.run set epoch = 2, taken_over_by = 'r2' where run = 'r1'");
    let ran = run_judged(&one, fenced(), CancellationToken::new(), |_| Ok(None)).await;
    assert_eq!(ran.failed().summary, "the run was taken over by r2");
    assert_eq!(cluster.psql(&db, "select to_regclass('t') is null"), "t");
}

#[tokio::test]
async fn a_run_that_never_ended_is_taken_over_only_by_word() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let (one, two) = (open_as(cluster, &db, "r1", spec()).await, open_as(cluster, &db, "r2", spec()).await);
    one.create_ledger("staging").await.unwrap();
    claim(&one, "r1").await.unwrap();
    one.let_go(false).await;
    let owned = claim(&two, "r2").await.unwrap_err();
    assert!(
        matches!(&owned, Refusal::Owned { owner, .. } if owner.contains("run r1 of r1@host pid 1 has not ended")),
        "{owned:?}"
    );
    let grip = claim_as(&two, "r2", "j", &heads(&[]), true).await.unwrap();
    assert_eq!(grip.epoch, Some(1));
    let row = cluster.psql(&db, "select epoch, taken_over_by from gonogo.run where run = 'r1'");
    assert!(row.starts_with("2|r2@host pid 1 with run r2 at 20"), "{row}");
    assert!(matches!(claim(&one, "r1").await, Err(Refusal::Held { .. })));
    two.let_go(true).await;
    let back = claim(&one, "r1").await.unwrap_err();
    assert!(
        matches!(&back, Refusal::Owned { owner, .. } if owner.contains("taken from this run by r2@host")),
        "{back:?}"
    );
    assert_eq!(claim_as(&one, "r1", "j", &heads(&[]), true).await.unwrap().epoch, Some(3));
    one.let_go(true).await;
    assert_eq!(cluster.psql(&db, "select count(*) from gonogo.run where ended is null"), "0");
    claim(&two, "r2").await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_written_to_is_refused() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, &format!("alter database {db} set default_transaction_read_only = on"));
    let target = open_as(cluster, &db, "r1", spec()).await;
    assert!(matches!(claim(&target, "r1").await, Err(Refusal::ReadOnly { .. })));
    let reads = Claim {
        run: "r1",
        journal: "j",
        memory: &heads(&[]),
        by: "x",
        environment: "staging",
        writes: false,
        siblings: &[],
        take_over: false,
    };
    let grip = target.claim(&reads).await.unwrap();
    assert!(grip.read_only && !grip.guarded);
}

#[tokio::test]
async fn a_standby_is_refused_where_a_step_writes() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let db = cluster.create_db();
    let Some(standby) = cluster.standby() else { return };
    standby.until(&db, "select pg_is_in_recovery()", "t");
    let target = open_as(&standby, &db, "r1", spec()).await;
    assert!(target.fingerprint().await.unwrap().in_recovery);
    let refused = claim(&target, "r1").await.unwrap_err();
    assert!(matches!(&refused, Refusal::ReadOnly { why } if why.contains("standby")), "{refused:?}");
    let primary = open_as(&cluster, &db, "r1", spec()).await;
    assert!(claim(&primary, "r1").await.unwrap().guarded);
}

#[tokio::test]
async fn a_pooler_that_lends_sessions_out_is_refused() {
    let Some(cluster) = shared() else { return };
    let Some(pooler) = Pooler::start(cluster) else { return };
    let db = cluster.create_db();
    let url = SecretString::from(pooler.url(&db));
    let target = Target::open("main", &spec(), url, "gonogo r1").await.unwrap();
    let refused = claim(&target, "r1").await.unwrap_err();
    assert!(matches!(refused, Refusal::Pooled { .. }), "{refused:?}");
    assert!(refused.to_string().contains("Connect to the server itself"));
}

#[tokio::test]
async fn two_targets_of_one_run_may_be_one_database() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    for spec in [spec(), concurrent()] {
        let one = Arc::new(open_as(cluster, &db, "r1", spec.clone()).await);
        let two = Arc::new(open_as(cluster, &db, "r1", spec.clone()).await);
        if one.ledger_state().await.unwrap() == LedgerState::Absent {
            one.create_ledger("staging").await.unwrap();
        }
        claim(&one, "r1").await.unwrap();
        let memory = heads(&[]);
        let siblings = [Arc::clone(&one)];
        let beside = Claim { siblings: &siblings, ..plain(&memory) };
        let grip = two.claim(&beside).await.unwrap();
        assert_eq!((grip.epoch, two.epoch()), (Some(one.epoch()), one.epoch()));
        two.still_guarded().await.unwrap();
        run(&two, &["select 1"]).await.facts();
        one.let_go(true).await;
        // What the first one lost, the second one has lost as well: whoever claims first has it.
        cluster.psql(
            &db,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gonogo r1 guard'",
        );
        let siblings = [Arc::clone(&two)];
        two.claim(&beside).await.unwrap();
        one.claim(&Claim { siblings: &siblings, ..plain(&memory) }).await.unwrap();
        assert_eq!(one.epoch(), two.epoch());
        two.let_go(true).await;
    }
}

fn plain(memory: &Book) -> Claim<'_> {
    Claim {
        run: "r1",
        journal: "j",
        memory,
        by: "x",
        environment: "staging",
        writes: true,
        siblings: &[],
        take_over: false,
    }
}
