//! DDL that waits behind a long transaction while readers queue up behind it: it gives way, the readers go on, it comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gonogo::run::event::Statement;
use gonogo::run::{Chunk, Facts, Outcome};
use gonogo::runbook::{MaxBlocked, Secret, TargetSpec};
use gonogo::target::{SqlJob, Target};
use support::sitter::Sitter;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::figures::Figures;
use super::times;

/// How long the first of those behind us may wait.
const LASTING: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn ddl_gives_way_to_readers() {
    let Some(cluster) = support::postgres::shared() else { return };
    let figures = Figures::new("DDL behind a long transaction, three readers behind it, max_blocked.lasting = 500 ms");
    for _ in 0..times(1, 20) {
        let db = cluster.create_db();
        cluster.psql(&db, "create table t (n int)");
        let mut sitter = Sitter::start(cluster, &db, "select * from t");
        let spec = TargetSpec {
            lock_timeout: Duration::from_secs(30),
            lock_tries: 50,
            max_blocked: MaxBlocked { sessions: 20, lasting: LASTING },
            ..TargetSpec::new(Secret::Env("DB".to_owned()))
        };
        let target = Target::open("main", &spec, cluster.url(&db).into(), "gonogo r1").await.unwrap();
        let over = AtomicBool::new(false);
        let reader = || async {
            // Of no family of ours: those do not count as waiting.
            let door = Target::open("main", &spec, cluster.url(&db).into(), "application").await.unwrap();
            let mut longest = Duration::ZERO;
            while !over.load(Ordering::SeqCst) {
                let begun = Instant::now();
                door.ask("select count(*) from t", Duration::from_secs(60)).await.unwrap();
                longest = longest.max(begun.elapsed());
            }
            longest
        };
        let work = async {
            let outcome = alter(&target, &mut sitter).await;
            over.store(true, Ordering::SeqCst);
            outcome
        };
        let ((outcome, gave_way), one, two, three) = tokio::join!(work, reader(), reader(), reader());
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        let longest = u64::try_from(one.max(two).max(three).as_millis()).unwrap();
        figures.count("rounds");
        figures.add("gave way", gave_way);
        figures.most("longest wait of a reader, ms", longest);
        figures.add("sum of the longest waits, ms", longest);
        assert_eq!(cluster.psql(&db, "select count(*) from information_schema.columns where table_name = 't'"), "2");
    }
    figures.publish();
    assert!(figures.get("gave way") >= figures.get("rounds"), "{figures:?}");
}

/// Adds a column; the long transaction ends once the statement has given way twice.
async fn alter(target: &Target, sitter: &mut Sitter) -> (Outcome, u64) {
    let statements = [Statement { sql: "alter table t add column m int".to_owned(), line: 1 }];
    let job = SqlJob::plain("m011", &statements, true);
    let (out, mut chunks) = mpsc::channel(64);
    let heard = async {
        let mut gave_way = 0;
        while let Some(chunk) = chunks.recv().await {
            if matches!(&chunk, Chunk::Notice { severity, text } if severity == "LOCK" && text.starts_with("try ")) {
                gave_way += 1;
            }
            if gave_way == 2 {
                sitter.say("commit;");
            }
        }
        gave_way
    };
    let work = async {
        let outcome = target.run(&job, &out, &|_: &Facts| Ok(None), CancellationToken::new()).await;
        drop(out);
        outcome
    };
    tokio::join!(work, heard)
}
