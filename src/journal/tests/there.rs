//! A journal that disappears under its writer takes every append without an error; we notice before the next.

use std::fs;
use std::path::Path;

use super::super::{JournalError, Writer};
use super::{Place, append, ended, note, opened};
use crate::run::event::End;

/// What the writer says of the append after `harm` was done to the run's folder.
async fn after(harm: impl Fn(&Path)) -> String {
    let place = Place::new();
    let mut writer = Writer::create(&place.home, "r").await.unwrap();
    append(&mut writer, opened("r")).await.unwrap();
    append(&mut writer, note("before")).await.unwrap();
    harm(writer.dir().path());
    let error = append(&mut writer, note("after")).await.unwrap_err();
    assert!(matches!(error, JournalError::Refused { .. }), "{error:?}");
    assert!(matches!(append(&mut writer, note("again")).await, Err(JournalError::Poisoned)));
    let text = error.to_string();
    text.split_once(" is refused: ").map(|(_, why)| why.to_owned()).unwrap()
}

#[tokio::test]
async fn a_deleted_replaced_or_cut_journal_stops_its_writer() {
    let gone = "it was deleted or replaced while it was being written";
    let log = "it was deleted, replaced or cut while it was being written";
    assert_eq!(after(|run| fs::remove_file(run.join("journal.db")).unwrap()).await, gone);
    assert_eq!(after(|run| fs::rename(run.join("journal.db"), run.join("aside")).unwrap()).await, gone);
    assert_eq!(after(|run| fs::remove_dir_all(run).unwrap()).await, gone);
    let replaced = |run: &Path| {
        fs::copy(run.join("journal.db"), run.join("copy")).unwrap();
        fs::rename(run.join("copy"), run.join("journal.db")).unwrap();
    };
    assert_eq!(after(replaced).await, gone);
    assert_eq!(after(|run| fs::remove_file(run.join("journal.db-wal")).unwrap()).await, log);
    let cut =
        |run: &Path| fs::File::options().write(true).open(run.join("journal.db-wal")).unwrap().set_len(100).unwrap();
    assert_eq!(after(cut).await, log);
}

#[tokio::test]
async fn an_ended_run_gives_its_reserve_back() {
    let place = Place::new();
    let mut writer = Writer::create(&place.home, "r").await.unwrap();
    append(&mut writer, opened("r")).await.unwrap();
    let reserve = writer.dir().path().join("reserve");
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 1024 * 1024);
    append(&mut writer, ended(End::Done)).await.unwrap();
    assert!(!reserve.exists());
    append(&mut writer, note("afterwards")).await.unwrap();
    writer.close().await.unwrap();
    drop(Writer::open(&place.run("r")).await.unwrap());
    assert!(!reserve.exists(), "nothing that ends is to come");
}
