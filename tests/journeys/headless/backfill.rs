//! The shipped backfill with a small table: to its last question, taken back to the exact state before, and done again.

use std::path::{Path, PathBuf};

use gonogo::run::command::CommandVerb;
use support::headless::Desk;
use support::postgres::{Cluster, shared};

use super::desk;
use super::story::Voice;

/// Everything in the tables of the application.
const CONTENT: &str = "
select md5((select string_agg(u::text, '|' order by id) from users u))
    || md5((select string_agg(p::text, '|' order by id) from daily_puzzles p))
    || md5((select string_agg(c::text, '|' order by id) from user_puzzle_completions c))";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/puzzle-battle-pass")
}

fn schema(cluster: &Cluster, db: &str) -> String {
    let mut dump = cluster.plain("pg_dump");
    dump.args(["--schema-only", "--exclude-schema=gonogo", "-U", "postgres", "-h", "127.0.0.1", "-p"]);
    let output = dump.arg(cluster.port().to_string()).arg(db).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    // Newer versions fence their output with a word that is another each time.
    text.lines()
        .filter(|line| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict "))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn ready() -> Option<(Desk, &'static Cluster, String)> {
    let cluster = shared()?;
    let db = cluster.create_db();
    let mut psql = cluster.psql_command(&db);
    psql.args(["-q", "-v", "rows=20000", "-f"]).arg(folder().join("fixture.sql"));
    assert!(psql.status().unwrap().success());
    Some((desk().with("STAGING_DATABASE_URL", cluster.url(&db)), cluster, db))
}

/// The shipped answers, those of one poll or checklist left out.
fn answers(desk: &Desk, without: &str) -> PathBuf {
    let all = std::fs::read_to_string(folder().join("answers.toml")).unwrap();
    let kept: Vec<&str> =
        all.lines().filter(|line| without.is_empty() || !line.starts_with(&format!("\"{without}\""))).collect();
    desk.write("answers.toml", &kept.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_back_to_the_state_before_and_done_again() {
    let Some((desk, cluster, db)) = ready() else { return };
    let (schema_before, content_before) = (schema(cluster, &db), cluster.psql(&db, CONTENT));
    let (book, asks) = (folder(), answers(&desk, "watch"));
    let args = |answers: &Path| -> Vec<String> {
        let words = ["run", book.to_str().unwrap(), "--env", "staging", "--headless", "--yes", "--answers"];
        let more = [answers.to_str().unwrap(), "--set", "monitor=1s", "--set", "pause=0s"];
        words.into_iter().chain(more).map(str::to_owned).collect()
    };
    let run = |answers: &Path| {
        let args = args(answers);
        desk.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    // Nobody says who watches: it is held there, with everything done.
    run(&asks).exits(4).says("Who watches the application log");
    assert_eq!(cluster.psql(&db, "select count(*) from users where total_puzzles_completed is null"), "0");
    assert_ne!(schema(cluster, &db), schema_before);
    let first = desk.run_dir();
    let engine = desk.start(&["engine", first.to_str().unwrap()]);
    let mut voice = Voice::at(&first).await;
    voice.ready().await;
    voice.say(CommandVerb::Rollback { plan: None, reason: "the team is called away".to_owned() }).await;
    engine.end().exits(5);
    assert_eq!(schema(cluster, &db), schema_before);
    assert_eq!(cluster.psql(&db, CONTENT), content_before);

    run(&answers(&desk, "")).exits(0);
    let null = "select is_nullable from information_schema.columns where column_name = 'total_puzzles_completed'";
    assert_eq!(cluster.psql(&db, null), "NO");
    let mut counts = cluster.psql_command(&db);
    let output = counts.arg("-f").arg(folder().join("sql/counts.sql")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0|20000");
}

/// The emergency plan does not know how far the window came, and takes back whatever is there.
#[tokio::test(flavor = "multi_thread")]
async fn the_emergency_plan_takes_back_whatever_is_there() {
    let Some((desk, cluster, db)) = ready() else { return };
    let (schema_before, content_before) = (schema(cluster, &db), cluster.psql(&db, CONTENT));
    let (book, asks) = (folder(), answers(&desk, "sign-off"));
    let no = desk.write(
        "no.toml",
        &format!("{}\n\"sign-off\" = {{ dba = \"no-go: users complain\" }}\n", std::fs::read_to_string(asks).unwrap()),
    );
    let args = ["run", book.to_str().unwrap(), "--env", "staging", "--headless", "--yes", "--answers"];
    let more = [no.to_str().unwrap(), "--set", "monitor=1s", "--set", "pause=0s"];
    desk.run(&[args.as_slice(), &more].concat()).exits(4).says("users complain");
    let first = desk.run_dir();
    let engine = desk.start(&["engine", first.to_str().unwrap()]);
    let mut voice = Voice::at(&first).await;
    voice.ready().await;
    voice.say(CommandVerb::Rollback { plan: Some("emergency".to_owned()), reason: "users complain".to_owned() }).await;
    engine.end().exits(5);
    assert_eq!(schema(cluster, &db), schema_before);
    assert_eq!(cluster.psql(&db, CONTENT), content_before);
}
