//! The readers: entries in order, each proven by the chain. They need no lock and no right to write, and never wait for a writer.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sqlx::{Connection, SqliteConnection};

use super::chain::Anchor;
use super::error::{BadEntry, JournalError, shown};
use super::home::RunDir;
use super::store::{self, Blame, RunRow};
use crate::run::Entry;

/// Rows held at once while a whole journal is walked.
const PAGE: u32 = 500;

/// Reads one journal: of a live run, of an ended one, or a copied `journal.db`.
pub struct Reader {
    db: PathBuf,
    conn: SqliteConnection,
    /// How the file looked when it was opened as one that nobody writes to; none: somebody may, SQLite looks after it.
    still: Option<Stamp>,
    /// The last entry handed out, proven: whoever follows goes on from there.
    at: Anchor,
}

/// What a walk over all entries brings home.
pub(super) struct Walked<T> {
    pub run: RunRow,
    pub end: Anchor,
    pub gathered: T,
}

impl Reader {
    /// Errors: no such file, not a journal, a format that this program does not know.
    pub async fn open(run: &RunDir) -> Result<Self, JournalError> {
        let (conn, still) = connect(run.db()).await?;
        let mut reader = Self { db: run.db().to_owned(), conn, still, at: Anchor::default() };
        reader.run_row().await?;
        Ok(reader)
    }

    /// The run's name, as its first writer gave it.
    pub async fn run_id(&mut self) -> Result<String, JournalError> {
        Ok(self.run_row().await?.id)
    }

    /// How many entries there are, and the hash of the last, as the journal says (unproven: see [`Self::verify`]).
    pub async fn head(&mut self) -> Result<Anchor, JournalError> {
        Ok(self.run_row().await?.end)
    }

    /// The journal as it stood after entry `seq` (unproven, as [`Self::head`]); none where it is shorter.
    pub async fn anchor_at(&mut self, seq: u64) -> Result<Option<Anchor>, JournalError> {
        self.refresh().await?;
        self.chain_at(seq).await
    }

    /// Up to `limit` entries after entry `seq` (0: from the first), proven against it. Empty: there are none yet.
    /// Errors: [`JournalError::Bad`] names the first that does not follow from those before it.
    pub async fn entries_after(&mut self, seq: u64, limit: u32) -> Result<Vec<Entry>, JournalError> {
        match self.page(seq, limit).await {
            Err(error) => Err(error.written_by(&self.program().await)),
            read => read,
        }
    }

    /// The entries of some kinds, in their order and unproven: for what is nice to know of a long run, without reading it all.
    /// Errors: one of them is not an entry; [`Self::entries_after`] finds which.
    pub async fn of_kinds(&mut self, kinds: &[&str]) -> Result<Vec<Entry>, JournalError> {
        self.refresh().await?;
        let blame = Blame { db: &self.db };
        let rows = store::rows_of(&mut self.conn, blame, kinds).await?;
        let entry = |(seq, json): (i64, String)| {
            let seq = u64::try_from(seq).unwrap_or(0);
            serde_json::from_str(&json).map_err(|error| BadEntry::new(seq, error.to_string()).into())
        };
        rows.into_iter().map(entry).collect()
    }

    async fn page(&mut self, seq: u64, limit: u32) -> Result<Vec<Entry>, JournalError> {
        self.refresh().await?;
        match self.read_after(seq, limit).await {
            Err(_) if self.has_moved()? => {
                self.refresh().await?;
                self.read_after(seq, limit).await
            }
            read => read,
        }
    }

    /// Every entry, proven. For a damaged journal ask [`Self::entries_after`] for the good ones before the bad.
    pub async fn all(&mut self) -> Result<Vec<Entry>, JournalError> {
        let walked = self.walk(|all: &mut Vec<Entry>, entry| all.push(entry)).await?;
        self.at = walked.end;
        Ok(walked.gathered)
    }

    /// The entries before the first that is bad, and what is wrong; of a sound journal all of them, and nothing is.
    pub async fn prefix(&mut self) -> (Vec<Entry>, Option<JournalError>) {
        let damage = match self.all().await {
            Ok(all) => return (all, None),
            Err(damage) => damage,
        };
        let mut good: Vec<Entry> = Vec::new();
        // One page can be read or not; where it cannot, smaller and smaller ones say up to where.
        let mut limit = PAGE;
        loop {
            let after = good.last().map_or(0, |entry| entry.seq);
            match self.entries_after(after, limit).await {
                Ok(page) if page.is_empty() => break,
                Ok(page) => good.extend(page),
                Err(_) if limit == 1 => break,
                Err(_) => limit /= 2,
            }
        }
        (good, Some(damage))
    }

    /// The end of what [`Self::prefix`] reads.
    pub async fn prefix_end(&mut self) -> Anchor {
        self.prefix().await;
        self.at
    }

    /// Proves the whole chain and its noted end. Errors: [`JournalError::Bad`] names the first bad entry.
    pub async fn verify(&mut self) -> Result<Anchor, JournalError> {
        Ok(self.walk(|(): &mut (), _| ()).await?.end)
    }

    /// [`Self::verify`], and that the journal is the one `anchor` was taken of, grown or not.
    pub async fn verify_against(&mut self, anchor: &Anchor) -> Result<Anchor, JournalError> {
        let end = self.verify().await?;
        if end.count < anchor.count {
            let why = format!("the journal ends at entry {}, the anchor knows {}", end.count, anchor.count);
            return Err(BadEntry::new(end.count + 1, why).into());
        }
        if self.chain_at(anchor.count).await? != Some(*anchor) {
            let why = "its hash is not that of the anchor: the journal was rewritten here or before";
            return Err(BadEntry::new(anchor.count, why).into());
        }
        Ok(end)
    }

    pub(super) async fn run_row(&mut self) -> Result<RunRow, JournalError> {
        self.refresh().await?;
        store::run_row(&mut self.conn, Blame { db: &self.db }).await
    }

    /// Every entry through `gather`, in one snapshot of the file.
    pub(super) async fn walk<T: Default>(
        &mut self,
        gather: impl Fn(&mut T, Entry) + Copy,
    ) -> Result<Walked<T>, JournalError> {
        self.refresh().await?;
        let walked = match self.walk_once(gather).await {
            Err(_) if self.has_moved()? => {
                self.refresh().await?;
                self.walk_once(gather).await
            }
            walked => walked,
        };
        match walked {
            Err(error) => Err(error.written_by(&self.program().await)),
            walked => walked,
        }
    }

    /// The version that wrote to this journal last, as it says.
    async fn program(&mut self) -> String {
        let row = store::run_row(&mut self.conn, Blame { db: &self.db }).await;
        row.map_or_else(|_| "of an unknown version".to_owned(), |row| row.program)
    }

    async fn walk_once<T: Default>(&mut self, gather: impl Fn(&mut T, Entry)) -> Result<Walked<T>, JournalError> {
        let blame = Blame { db: &self.db };
        let mut snapshot = self.conn.begin().await.map_err(blame.of("begin to read"))?;
        let run = store::run_row(&mut snapshot, blame).await?;
        let mut gathered = T::default();
        let mut end = Anchor::default();
        loop {
            let rows = store::rows(&mut snapshot, blame, end.count, PAGE).await?;
            for row in &rows {
                gather(&mut gathered, end.admit(row)?);
            }
            if rows.len() < PAGE as usize {
                break;
            }
        }
        snapshot.rollback().await.map_err(blame.of("end reading"))?;
        end.check_end(&run.end)?;
        Ok(Walked { run, end, gathered })
    }

    async fn read_after(&mut self, seq: u64, limit: u32) -> Result<Vec<Entry>, JournalError> {
        let Some(mut chain) = self.chain_at(seq).await? else {
            return Ok(Vec::new());
        };
        let rows = store::rows(&mut self.conn, Blame { db: &self.db }, seq, limit).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            entries.push(chain.admit(row)?);
        }
        self.at = chain;
        Ok(entries)
    }

    /// The chain as it stands after entry `seq`; none: the journal is shorter.
    async fn chain_at(&mut self, seq: u64) -> Result<Option<Anchor>, JournalError> {
        if seq == 0 {
            return Ok(Some(Anchor::default()));
        }
        if self.at.count == seq {
            return Ok(Some(self.at));
        }
        let blame = Blame { db: &self.db };
        let rows = store::rows(&mut self.conn, blame, seq - 1, 1).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        if row.seq != store::signed(seq) {
            return Err(BadEntry::new(seq, format!("it is missing, entry {} follows", row.seq)).into());
        }
        let head = <[u8; 32]>::try_from(row.hash.as_slice());
        let head = head.map_err(|_| BadEntry::new(seq, "its hash is not of 32 bytes"))?;
        Ok(Some(Anchor { count: seq, head }))
    }

    /// True where a file opened as still is no longer what it was: a writer came, or came and went.
    fn has_moved(&self) -> Result<bool, JournalError> {
        match &self.still {
            Some(stamp) => Ok(*stamp != Stamp::of(&self.db)?),
            None => Ok(false),
        }
    }

    async fn refresh(&mut self) -> Result<(), JournalError> {
        if self.has_moved()? {
            (self.conn, self.still) = connect(&self.db).await?;
        }
        Ok(())
    }
}

/// Without a filled write-ahead log nobody writes: then the file alone is opened, which leaves no helper files behind and works
/// in a folder that may not be written to.
async fn connect(db: &Path) -> Result<(SqliteConnection, Option<Stamp>), JournalError> {
    let stamp = Stamp::of(db)?;
    let still = stamp.log == 0;
    let conn = store::open_reading(db, still).await?;
    Ok((conn, still.then_some(stamp)))
}

/// What changes about a database file when somebody writes to it.
#[derive(PartialEq)]
struct Stamp {
    file: (u64, u64),
    len: u64,
    modified: (i64, i64),
    /// Bytes of the write-ahead log.
    log: u64,
}

impl Stamp {
    fn of(db: &Path) -> Result<Self, JournalError> {
        let meta = fs::metadata(db).map_err(JournalError::io(format!("open the journal {}", shown(db))))?;
        let mut log = OsString::from(db);
        log.push("-wal");
        Ok(Self {
            file: (meta.dev(), meta.ino()),
            len: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            log: fs::metadata(log).map_or(0, |meta| meta.len()),
        })
    }
}
