//! The one writer of a journal. What it answered is on the disk; after any error it writes nothing more.

use std::fs;

use sqlx::{Connection, SqliteConnection};

use super::chain::{Anchor, Sealed};
use super::error::JournalError;
use super::home::{Home, RunDir};
use super::lock::EngineLock;
use super::read::Reader;
use super::store::{self, Blame, signed};
use super::summary::{self, Summary};
use super::there::Footprint;
use super::{guard, reserve, room};
use crate::run::event::FORMAT;
use crate::run::{Entry, Event, Moment, RunState};

/// Appends to one run's journal and holds the engine's lock on it, both for as long as it lives.
pub struct Writer {
    dir: RunDir,
    conn: SqliteConnection,
    epoch: u64,
    end: Anchor,
    /// The fold of all entries but their output: what the summary is made of.
    state: RunState,
    title: String,
    /// The reserve is spent: room for an end, not for a beginning.
    full: bool,
    poisoned: bool,
    footprint: Footprint,
    limit: room::Limit,
    _lock: EngineLock,
}

/// Events on their way into the file.
struct Batch {
    entries: Vec<Entry>,
    sealed: Vec<Sealed>,
    end: Anchor,
    summary: String,
}

impl Writer {
    /// A new run in a folder of its own, empty, locked. Errors: the name is taken or unfit, the folder is not safe.
    pub async fn create(home: &Home, run: &str) -> Result<Self, JournalError> {
        let dir = home.create_run(run)?;
        let made = Self::begin(&dir, run).await;
        if made.is_err() {
            // It is ours, seconds old and without an entry: half a run would only confuse.
            let _ = fs::remove_dir_all(dir.path());
        }
        made
    }

    async fn begin(dir: &RunDir, run: &str) -> Result<Self, JournalError> {
        let lock = EngineLock::take(dir).await?;
        guard::create_file(dir.db())?;
        let mut conn = store::open_writing(dir.db()).await?;
        let blame = Blame { db: dir.db() };
        sqlx::query("INSERT INTO run (one, format, program, id, epoch, entries, head) VALUES (1, ?, ?, ?, 1, 0, ?)")
            .bind(FORMAT)
            .bind(env!("CARGO_PKG_VERSION"))
            .bind(run)
            .bind(Anchor::default().head.as_slice())
            .execute(&mut conn)
            .await
            .map_err(blame.of("begin the run"))?;
        reserve::take(&dir.reserve_file())?;
        guard::sync_dir(dir.path())?;
        Ok(Self {
            dir: dir.clone(),
            conn,
            epoch: 1,
            end: Anchor::default(),
            state: RunState::default(),
            title: String::new(),
            full: false,
            poisoned: false,
            footprint: Footprint::default(),
            limit: room::Limit::of_this_process(),
            _lock: lock,
        })
    }

    /// Takes an existing run up: locks it, proves its whole chain, raises its epoch.
    /// Errors: [`JournalError::Held`] by another engine, [`JournalError::Bad`] entry, a folder that is not safe, a full disk.
    pub async fn open(dir: &RunDir) -> Result<Self, JournalError> {
        dir.check_private()?;
        if !dir.db().exists() {
            return Err(JournalError::NotAJournal {
                db: dir.db().to_owned(),
                why: "there is no such file in the run folder".to_owned(),
            });
        }
        let lock = EngineLock::take(dir).await?;
        let walked = Reader::open(dir).await?.walk(follow).await?;
        // What is over needs no room for its end.
        if walked.gathered.ended.is_none() {
            reserve::take(&dir.reserve_file())?;
        }
        let mut conn = store::open_writing(dir.db()).await?;
        let epoch = walked.run.epoch + 1;
        let raise = "UPDATE run SET epoch = ?1, program = ?5 WHERE epoch = ?2 AND entries = ?3 AND head = ?4";
        let raised = sqlx::query(raise)
            .bind(epoch)
            .bind(walked.run.epoch)
            .bind(signed(walked.end.count))
            .bind(walked.end.head.as_slice())
            .bind(env!("CARGO_PKG_VERSION"))
            .execute(&mut conn)
            .await
            .map_err(Blame { db: dir.db() }.of("take the run up"))?;
        let epoch = u64::try_from(epoch).unwrap_or(0);
        if raised.rows_affected() != 1 {
            return Err(JournalError::Stale { run: dir.id(), epoch });
        }
        let state = walked.gathered;
        Ok(Self {
            dir: dir.clone(),
            conn,
            epoch,
            end: walked.end,
            title: summary::title(&state),
            state,
            full: false,
            poisoned: false,
            footprint: Footprint::default(),
            limit: room::Limit::of_this_process(),
            _lock: lock,
        })
    }

    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// 1 for the first writer of a run, one more for each that took it up. Fences what an older one left behind.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The end of the journal: entries and hash of the last.
    pub fn head(&self) -> Anchor {
        self.end
    }

    /// True once the reserve had to be spent: write how the running step ended, hold, and start nothing more.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Appends all of `events` in one transaction; when it answers, the disk has them. The entries come back as a reader sees them.
    ///
    /// Errors are final, also a future dropped half-way: the writer is poisoned and nothing more may be started. What it had not
    /// answered may be stored or not; `gonogo resume` reads which.
    pub async fn append(&mut self, events: Vec<(Moment, Event)>) -> Result<Vec<Entry>, JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        if events.is_empty() {
            return Ok(Vec::new());
        }
        self.poisoned = true;
        self.footprint.check(self.dir.db())?;
        let batch = self.seal(events)?;
        missed("journal.append.before")?;
        match self.commit(&batch).await.map_err(|error| self.explained(error)) {
            Err(full) if full.is_full() && reserve::release(&self.dir.reserve_file()) => {
                self.full = true;
                self.reconnect().await?;
                self.commit(&batch).await.map_err(|error| self.explained(error))?;
            }
            committed => committed?,
        }
        missed("journal.append.after")?;
        self.end = batch.end;
        self.footprint = Footprint::take(self.dir.db());
        self.full |= self.limit.is_near(self.footprint.largest());
        self.poisoned = false;
        if batch.entries.iter().any(|entry| matches!(entry.event, Event::RunEnded { .. })) {
            reserve::release(&self.dir.reserve_file());
        }
        Ok(batch.entries)
    }

    fn explained(&self, error: JournalError) -> JournalError {
        room::explained(error, &self.dir, self.limit, Footprint::take(self.dir.db()).largest())
    }

    /// Folds what the log has into the file and lets go of the lock. Dropping it instead is safe too.
    pub async fn close(mut self) -> Result<(), JournalError> {
        if !self.full {
            store::fold(&mut self.conn, Blame { db: self.dir.db() }).await?;
        }
        store::close(self.conn, Blame { db: self.dir.db() }).await
    }

    fn seal(&mut self, events: Vec<(Moment, Event)>) -> Result<Batch, JournalError> {
        let mut end = self.end;
        let mut entries = Vec::with_capacity(events.len());
        let mut sealed = Vec::with_capacity(events.len());
        for (at, event) in events {
            let (entry, row) = end.seal(at, event)?;
            if matches!(entry.event, Event::RunOpened(_)) {
                self.title.clear();
            }
            follow_entry(&mut self.state, &entry);
            entries.push(entry);
            sealed.push(row);
        }
        if self.title.is_empty() {
            self.title = summary::title(&self.state);
        }
        let summary = Summary::of(&self.state, &self.title);
        let summary = serde_json::to_string(&summary)
            .map_err(|error| JournalError::Unstorable { kind: "summary".to_owned(), why: error.to_string() })?;
        Ok(Batch { entries, sealed, end, summary })
    }

    async fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let blame = Blame { db: self.dir.db() };
        let failed = blame.of("append to it");
        let mut tx = self.conn.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        let moved = sqlx::query(
            "UPDATE run SET entries = ?1, head = ?2, summary = ?3 WHERE epoch = ?4 AND entries = ?5 AND head = ?6",
        )
        .bind(signed(batch.end.count))
        .bind(batch.end.head.as_slice())
        .bind(&batch.summary)
        .bind(signed(self.epoch))
        .bind(signed(self.end.count))
        .bind(self.end.head.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(&failed)?;
        if moved.rows_affected() != 1 {
            return Err(JournalError::Stale { run: self.dir.id(), epoch: self.epoch });
        }
        for row in &batch.sealed {
            sqlx::query("INSERT INTO entry (seq, json, hash) VALUES (?, ?, ?)")
                .bind(signed(row.seq))
                .bind(&row.json)
                .bind(row.hash.as_slice())
                .execute(&mut *tx)
                .await
                .map_err(&failed)?;
        }
        tx.commit().await.map_err(&failed)
    }

    /// A connection that saw an error may still sit in its transaction: a new one does not.
    async fn reconnect(&mut self) -> Result<(), JournalError> {
        let mut fresh = store::open_writing(self.dir.db()).await?;
        store::keep_log(&mut fresh, Blame { db: self.dir.db() }).await?;
        let spent = std::mem::replace(&mut self.conn, fresh);
        // Its error is the one that brought us here.
        let _ = store::close(spent, Blame { db: self.dir.db() }).await;
        Ok(())
    }
}

/// A place where a test may let an append fail.
fn missed(place: &str) -> Result<(), JournalError> {
    if crate::failpoint::hit(place) {
        return Err(JournalError::io("append to the journal")(std::io::Error::other("a test wants it so")));
    }
    Ok(())
}

fn follow(state: &mut RunState, entry: Entry) {
    follow_entry(state, &entry);
}

/// Output is the bulk of a run and says nothing about its state.
fn follow_entry(state: &mut RunState, entry: &Entry) {
    if !matches!(entry.event, Event::Output { .. }) {
        state.apply(entry);
    }
}
