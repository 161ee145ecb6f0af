//! Journals that somebody wrote anew with all hashes right: a newer gonogo, or a forger.

use sha2::{Digest, Sha256};
use sqlx::{ConnectOptions, Connection, Row as _};

use super::super::{JournalError, Reader, RunDir, Writer};
use super::{Place, story};

/// Edits the text of entry `seq` and links the whole chain anew.
async fn rewrite(run: &RunDir, seq: i64, program: &str, edit: impl Fn(&str) -> String) {
    let mut conn = sqlx::sqlite::SqliteConnectOptions::new().filename(run.db()).connect().await.unwrap();
    let rows = sqlx::query("SELECT seq, json FROM entry ORDER BY seq").fetch_all(&mut conn).await.unwrap();
    let mut head: Vec<u8> = vec![0; 32];
    for row in &rows {
        let (at, mut json): (i64, String) = (row.get(0), row.get(1));
        if at == seq {
            json = edit(&json);
        }
        head =
            Sha256::new().chain_update(b"gonogo entry v1").chain_update(&head).chain_update(&json).finalize().to_vec();
        let changed = sqlx::query("UPDATE entry SET json = ?, hash = ? WHERE seq = ?");
        changed.bind(&json).bind(&head).bind(at).execute(&mut conn).await.unwrap();
    }
    let told = sqlx::query("UPDATE run SET head = ?, program = ?").bind(&head).bind(program);
    told.execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn an_event_of_a_newer_gonogo_is_refused_naming_both() {
    let place = Place::new();
    let run = place.written("r", story("r")).await;
    rewrite(&run, 8, "9.9.9", |json| json.replace("note_added", "coffee_made")).await;
    let error = Reader::open(&run).await.unwrap().all().await.unwrap_err();
    let JournalError::Bad(bad) = &error else { panic!("{error}") };
    assert_eq!(bad.seq, 8);
    let own = env!("CARGO_PKG_VERSION");
    let start = format!("it is of kind `coffee_made`, which gonogo {own} (format 1) cannot read: unknown variant");
    assert!(bad.why.starts_with(&start), "{}", bad.why);
    assert!(bad.why.ends_with(". The journal was last written by gonogo 9.9.9"), "{}", bad.why);
    // Nobody takes it up either, and what can be read can be read.
    assert!(matches!(Writer::open(&run).await, Err(JournalError::Bad(_))));
    let (good, damage) = Reader::open(&run).await.unwrap().prefix().await;
    assert_eq!((good.len(), damage.is_some()), (7, true));
}

#[tokio::test]
async fn a_run_opened_in_another_format_is_refused() {
    let place = Place::new();
    let run = place.written("r", story("r")).await;
    rewrite(&run, 1, "9.9.9", |json| json.replace("\"format\":1", "\"format\":2")).await;
    let error = Reader::open(&run).await.unwrap().all().await.unwrap_err().to_string();
    assert!(error.contains("it opens a run in format 2, which this gonogo does not know"), "{error}");
}

#[tokio::test]
async fn a_forged_entry_is_right_in_itself_and_wrong_for_an_anchor() {
    let place = Place::new();
    let run = place.written("r", story("r")).await;
    let anchor = Reader::open(&run).await.unwrap().verify().await.unwrap();
    rewrite(&run, 8, "0.1.0", |json| json.replace("looks fine", "looks great")).await;
    let mut reader = Reader::open(&run).await.unwrap();
    assert_eq!(reader.verify().await.unwrap().count, anchor.count);
    let error = reader.verify_against(&anchor).await.unwrap_err().to_string();
    assert!(error.contains("the journal was rewritten here or before"), "{error}");
}

#[tokio::test]
async fn a_prefix_ends_where_the_proof_ends() {
    let place = Place::new();
    for (harm, good) in [
        ("UPDATE entry SET json = json || ' ' WHERE seq = 5", 4),
        ("DELETE FROM entry WHERE seq = 7", 6),
        ("DELETE FROM entry WHERE seq > 3", 3),
        ("UPDATE entry SET json = json || ' ' WHERE seq = 1", 0),
    ] {
        let name = format!("r{good}");
        let run = place.written(&name, story(&name)).await;
        super::tamper(run.db(), harm).await;
        let mut reader = Reader::open(&run).await.unwrap();
        let (entries, damage) = reader.prefix().await;
        assert_eq!(entries.len(), good, "{harm}");
        assert!(matches!(damage, Some(JournalError::Bad(bad)) if bad.seq == good as u64 + 1), "{harm}");
        assert_eq!(reader.prefix_end().await.count, good as u64, "{harm}");
    }
    let run = place.written("sound", story("sound")).await;
    let mut reader = Reader::open(&run).await.unwrap();
    let (entries, damage) = reader.prefix().await;
    assert_eq!((entries.len(), damage.is_none()), (9, true));
    assert_eq!(reader.prefix_end().await, reader.verify().await.unwrap());
}
