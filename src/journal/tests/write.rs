//! What the writer answered is there, in order, for whoever reads: later, meanwhile, elsewhere.

use std::fs;

use super::super::{JournalError, Reader, RunDir, Writer, holder};
use super::{Place, append, engine, moment, note, opened, read_all, sample, story, tamper};
use crate::run::{Event, RunState};

#[tokio::test]
async fn what_was_appended_is_read_back_the_same() {
    let place = Place::new();
    let mut writer = Writer::create(&place.home, "r").await.unwrap();
    let mut answered = Vec::new();
    for event in story("r") {
        answered.push(append(&mut writer, event).await.unwrap());
    }
    let head = writer.head();
    writer.close().await.unwrap();
    let run = place.run("r");
    let mut reader = Reader::open(&run).await.unwrap();
    let stored = reader.all().await.unwrap();
    assert_eq!(stored, answered);
    assert_eq!(stored.iter().map(|entry| entry.event.clone()).collect::<Vec<_>>(), story("r"));
    assert_eq!(RunState::fold(&stored), RunState::fold(&answered));
    assert_eq!(reader.verify().await.unwrap(), head);
    assert_eq!(reader.head().await.unwrap(), head);
    assert_eq!(reader.run_id().await.unwrap(), "r");
}

#[tokio::test]
async fn a_group_is_one_transaction() {
    let place = Place::new();
    let mut writer = Writer::create(&place.home, "r").await.unwrap();
    let group = story("r").into_iter().map(|event| (moment(0), event)).collect();
    let entries = writer.append(group).await.unwrap();
    assert_eq!(entries.last().map(|entry| entry.seq), Some(9));
    assert_eq!(writer.append(Vec::new()).await.unwrap(), []);
    assert_eq!(writer.head().count, 9);
}

#[tokio::test]
async fn a_reader_follows_while_the_writer_writes() {
    let place = Place::new();
    let mut writer = Writer::create(&place.home, "r").await.unwrap();
    let run = place.run("r");
    let mut reader = Reader::open(&run).await.unwrap();
    assert_eq!(reader.entries_after(0, 10).await.unwrap(), []);
    let first = append(&mut writer, opened("r")).await.unwrap();
    assert_eq!(reader.entries_after(0, 10).await.unwrap(), [first]);
    for n in 0..5 {
        append(&mut writer, note(&n.to_string())).await.unwrap();
    }
    let next: Vec<u64> = reader.entries_after(1, 3).await.unwrap().iter().map(|entry| entry.seq).collect();
    assert_eq!(next, [2, 3, 4]);
    assert_eq!(reader.entries_after(6, 3).await.unwrap(), []);
    assert_eq!(reader.entries_after(99, 3).await.unwrap(), []);
    reader.verify().await.unwrap();
}

#[tokio::test]
async fn a_reader_of_an_ended_engine_sees_what_the_next_one_writes() {
    let place = Place::new();
    let run = place.written("r", vec![opened("r"), note("before")]).await;
    assert!(!run.path().join("journal.db-wal").exists());
    let mut reader = Reader::open(&run).await.unwrap();
    assert_eq!(reader.all().await.unwrap().len(), 2);
    assert!(!run.path().join("journal.db-wal").exists(), "reading left a file behind");
    let mut writer = Writer::open(&run).await.unwrap();
    append(&mut writer, note("after")).await.unwrap();
    assert_eq!(reader.entries_after(2, 10).await.unwrap().len(), 1);
    writer.close().await.unwrap();
    let mut later = Reader::open(&run).await.unwrap();
    let mut writer = Writer::open(&run).await.unwrap();
    append(&mut writer, note("later")).await.unwrap();
    writer.close().await.unwrap();
    assert_eq!(later.all().await.unwrap().len(), 4, "a writer came and went");
    assert_eq!(reader.all().await.unwrap().len(), 4);
}

#[tokio::test]
async fn taking_up_raises_the_epoch_and_goes_on() {
    let place = Place::new();
    let run = place.written("r", story("r")).await;
    for epoch in 2..5 {
        let mut writer = Writer::open(&run).await.unwrap();
        assert_eq!(writer.epoch(), epoch);
        append(&mut writer, engine()).await.unwrap();
    }
    let entries = read_all(&run).await;
    assert_eq!(entries.len(), 12);
    let RunState { engine, .. } = RunState::fold(&entries);
    assert!(engine.is_some());
}

#[tokio::test]
async fn a_second_writer_is_refused_and_told_who_holds_the_run() {
    let place = Place::new();
    let writer = Writer::create(&place.home, "r").await.unwrap();
    let run = place.run("r");
    let error = Writer::open(&run).await.err().unwrap();
    let JournalError::Held { holder: held, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(held.pid, Some(std::process::id()));
    assert!(error.to_string().starts_with(&format!("run r is being run by pid {} on ", std::process::id())), "{error}");
    assert_eq!(holder(&run).unwrap().as_ref(), Some(held));
    drop(writer);
    assert_eq!(holder(&run).unwrap(), None);
    Writer::open(&run).await.unwrap();
}

#[tokio::test]
async fn an_overtaken_writer_writes_nothing() {
    let place = Place::new();
    let mut old = Writer::create(&place.home, "r").await.unwrap();
    append(&mut old, opened("r")).await.unwrap();
    let run = place.run("r");
    // Somebody removes the lock file: the kernel lock no longer keeps two engines apart, the epoch does.
    fs::remove_file(run.path().join("engine.lock")).unwrap();
    let mut new = Writer::open(&run).await.unwrap();
    let error = append(&mut old, note("too late")).await.unwrap_err();
    assert!(matches!(error, JournalError::Stale { epoch: 1, .. }), "{error}");
    assert!(matches!(append(&mut old, note("again")).await, Err(JournalError::Poisoned)));
    append(&mut new, note("mine")).await.unwrap();
    assert_eq!(read_all(&run).await.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_read_back_is_not_written() {
    let place = Place::new();
    let mut writer = Writer::create(&place.home, "r").await.unwrap();
    append(&mut writer, opened("r")).await.unwrap();
    let error = append(&mut writer, sample(Ok(f64::NAN))).await.unwrap_err();
    assert!(error.to_string().starts_with("an event of kind `sample_taken` was not written"), "{error}");
    assert!(matches!(append(&mut writer, note("x")).await, Err(JournalError::Poisoned)));
    drop(writer);
    let run = place.run("r");
    assert_eq!(read_all(&run).await.len(), 1);
    append(&mut Writer::open(&run).await.unwrap(), note("x")).await.unwrap();
}

#[tokio::test]
async fn an_append_given_up_half_way_ends_the_writer() {
    let place = Place::new();
    let mut writer = Writer::create(&place.home, "r").await.unwrap();
    {
        let mut append = Box::pin(writer.append(vec![(moment(0), opened("r"))]));
        // One poll: the request has gone to the database's thread, its answer is never read.
        assert!(futures_util::poll!(&mut append).is_pending());
    }
    assert!(matches!(append(&mut writer, note("x")).await, Err(JournalError::Poisoned)));
    drop(writer);
    // The append that was given up may land between the look and the claim: it is seen, and the next look has it.
    let opened = loop {
        match Writer::open(&place.run("r")).await {
            Err(JournalError::Stale { .. }) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    opened.unwrap();
}

#[tokio::test]
async fn a_damaged_journal_is_not_taken_up() {
    let place = Place::new();
    let run = place.written("r", story("r")).await;
    tamper(run.db(), "UPDATE entry SET json = json || ' ' WHERE seq = 3").await;
    let before = fs::read(run.db()).unwrap();
    let error = Writer::open(&run).await.err().unwrap();
    insta::assert_snapshot!(error, @"entry 3 of the journal is bad: its hash does not fit its text and the entry before it. Entries 1 to 2 are good");
    assert_eq!(fs::read(run.db()).unwrap(), before);
    assert_eq!(holder(&run).unwrap(), None);
}

#[tokio::test]
async fn a_copied_file_alone_can_be_read_not_written() {
    let place = Place::new();
    let run = place.written("r", story("r")).await;
    let copy = place.home.path().join("week1 100%.db");
    fs::copy(run.db(), &copy).unwrap();
    let copy = RunDir::at(&copy).unwrap();
    assert_eq!(copy.id(), "week1 100%");
    assert_eq!(read_all(&copy).await, read_all(&run).await);
    let error = Writer::open(&copy).await.err().unwrap().to_string();
    assert!(error.contains("can only be read"), "{error}");
}

#[tokio::test]
async fn other_files_are_not_taken_for_a_journal() {
    let place = Place::new();
    fs::create_dir_all(place.home.path()).unwrap();
    let path = place.home.path().join("other.db");
    for content in [
        "",
        "not a database at all, but long enough to hold a header of one hundred bytes and even a few more than that",
    ] {
        fs::write(&path, content).unwrap();
        let error = Reader::open(&RunDir::at(&path).unwrap()).await.err().unwrap();
        assert!(matches!(error, JournalError::NotAJournal { .. }), "{error:?}");
    }
    fs::remove_file(&path).unwrap();
    tamper_new(&path).await;
    let error = Reader::open(&RunDir::at(&path).unwrap()).await.err().unwrap();
    assert!(error.to_string().contains("another program's SQLite file"), "{error}");
}

async fn tamper_new(path: &std::path::Path) {
    fs::write(path, "").unwrap();
    tamper(path, "CREATE TABLE t (x)").await;
}

#[tokio::test]
async fn a_name_is_taken_once_and_fits_a_folder() {
    let place = Place::new();
    drop(Writer::create(&place.home, "r").await.unwrap());
    assert!(matches!(Writer::create(&place.home, "r").await.err(), Some(JournalError::Exists { .. })));
    let long = "x".repeat(81);
    for wrong in ["", ".", "..", ".hidden", "a/b", "a b", "ü", "x\u{1b}", long.as_str()] {
        let error = Writer::create(&place.home, wrong).await.err().unwrap();
        assert!(matches!(error, JournalError::RunName(_)), "{wrong}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
    let kept: Event = opened("r");
    append(&mut Writer::open(&place.run("r")).await.unwrap(), kept).await.unwrap();
}
