//! A run's row in the ledger: which journal speaks for it, and its epoch. Raising the epoch fences whoever had it before:
//! every transaction of a step looks at it.

use sqlx::{Connection, PgConnection, Row};

use super::guard::{answer, failed};
use crate::run::clean;
use crate::target::claim::{Claim, Refusal};
use crate::target::problem::Problem;

const CHARS: usize = 120;

/// The run's row as it was found.
struct Own {
    journal: String,
    epoch: i64,
    owner: String,
    taken_over_by: Option<String>,
}

/// A run that has not ended.
struct Other {
    run: String,
    epoch: i64,
    words: String,
}

/// Makes `claim.run` the owner in the ledger's eyes; its new epoch. The caller holds the guard's key.
pub(super) async fn take(conn: &mut PgConnection, claim: &Claim<'_>, concurrent: bool) -> Result<u64, Refusal> {
    let own = own(conn, claim.run).await?;
    if let Some(own) = &own {
        if own.journal != claim.journal {
            let owner = clean::line(&own.owner, CHARS);
            return Err(Refusal::OtherJournal { run: claim.run.to_owned(), owner });
        }
        agrees(conn, claim).await?;
    }
    let others = if concurrent { Vec::new() } else { others(conn, claim.run).await? };
    let taken = own.as_ref().and_then(|own| own.taken_over_by.as_ref());
    if let (false, Some(by)) = (claim.take_over, taken) {
        let owner = format!("it was taken from this run by {}", clean::line(by, CHARS));
        return Err(Refusal::Owned { owner, runs: Vec::new() });
    }
    if !claim.take_over && !others.is_empty() {
        return Err(theirs(&others));
    }
    let epoch = write(conn, claim, own.as_ref(), &others).await?;
    if crate::failpoint::hit("guard.claimed") {
        return Err(Refusal::Failed("failpoint guard.claimed".to_owned()));
    }
    Ok(u64::try_from(epoch).unwrap_or(0))
}

/// Refuses where another run has the database, for a run that writes no row of its own.
pub(super) async fn nobody_else(conn: &mut PgConnection, claim: &Claim<'_>, concurrent: bool) -> Result<(), Refusal> {
    if concurrent || claim.take_over {
        return Ok(());
    }
    // A role that may not read it is none that the ledger speaks to.
    let others = others(conn, claim.run).await.unwrap_or_default();
    if others.is_empty() {
        return Ok(());
    }
    Err(theirs(&others))
}

fn theirs(others: &[Other]) -> Refusal {
    let owner = others.iter().map(|other| other.words.as_str()).collect::<Vec<_>>().join("; ");
    Refusal::Owned { owner, runs: others.iter().map(|other| other.run.clone()).collect() }
}

/// Notes that the run is over, if it is still ours.
pub(super) async fn end(conn: &mut PgConnection, run: &str, epoch: u64) -> Result<(), sqlx::Error> {
    let sql = "update gonogo.run set ended = clock_timestamp() where run = $1 and epoch = $2 and ended is null";
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    sqlx::query(sql).persistent(false).bind(run).bind(epoch).execute(conn).await.map(|_| ())
}

async fn own(conn: &mut PgConnection, run: &str) -> Result<Option<Own>, Refusal> {
    let sql = "select journal, epoch, owner, taken_over_by from gonogo.run where run = $1";
    let row = answer(sqlx::query(sql).persistent(false).bind(run).fetch_optional(conn)).await;
    let own = row.and_then(|row| {
        let own = row.map(|row| {
            Ok(Own {
                journal: row.try_get(0)?,
                epoch: row.try_get(1)?,
                owner: row.try_get(2)?,
                taken_over_by: row.try_get(3)?,
            })
        });
        own.transpose().map_err(Problem::of_postgres)
    });
    own.map_err(|problem| failed(UNREAD, &problem))
}

const UNREAD: &str = "the ledger could not be read";

/// The newest thing that the ledger knows of the run must be in its journal.
async fn agrees(conn: &mut PgConnection, claim: &Claim<'_>) -> Result<(), Refusal> {
    // A fence is written by whoever resolves, and anchors nothing.
    let sql = "select seq, head from gonogo.attempt where run = $1 and status = 'done' order by seq desc limit 1";
    let row = answer(sqlx::query(sql).persistent(false).bind(claim.run).fetch_optional(conn)).await;
    let Some(row) = row.map_err(|problem| failed(UNREAD, &problem))? else { return Ok(()) };
    let read = row.try_get::<i64, _>(0).and_then(|seq| Ok((seq, row.try_get::<String, _>(1)?)));
    let (seq, head) = read.map_err(|error| failed(UNREAD, &Problem::of_postgres(error)))?;
    let seq = u64::try_from(seq).unwrap_or(0);
    let unread = |why: String| Refusal::Failed(format!("the journal could not be read: {why}. Nothing was started"));
    match claim.memory.head(seq).await.map_err(unread)? {
        Some(ours) if ours == head => Ok(()),
        Some(_) => Err(Refusal::JournalRewritten { seq }),
        None => Err(Refusal::JournalCut { ends: claim.memory.count().await.map_err(unread)?, knows: seq }),
    }
}

/// Other runs that have not ended and that nobody took the database from.
async fn others(conn: &mut PgConnection, run: &str) -> Result<Vec<Other>, Refusal> {
    let sql = "select run, epoch, owner, to_char(since at time zone 'UTC', 'YYYY-MM-DD HH24:MI \"UTC\"') \
               from gonogo.run where run <> $1 and ended is null and taken_over_by is null order by since";
    let rows = answer(sqlx::query(sql).persistent(false).bind(run).fetch_all(conn)).await;
    let rows = rows.map_err(|problem| failed(UNREAD, &problem))?;
    let read = rows.iter().map(|row| {
        let (run, owner, since): (String, String, String) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
        let words = format!(
            "run {} of {} has not ended; it has the database since {since}",
            clean::line(&run, CHARS),
            clean::line(&owner, CHARS)
        );
        Ok(Other { run, epoch: row.try_get(1)?, words })
    });
    read.collect::<Result<_, _>>().map_err(|error| failed(UNREAD, &Problem::of_postgres(error)))
}

/// Writes it all in one transaction; every row must still be as it was found.
async fn write(
    conn: &mut PgConnection,
    claim: &Claim<'_>,
    own: Option<&Own>,
    others: &[Other],
) -> Result<i64, Refusal> {
    let work = async {
        let mut tx = conn.begin().await?;
        let mut moved = true;
        for other in others {
            let sql = "update gonogo.run set epoch = epoch + 1, taken_over_by = $3 || ' with run ' || $4 || \
                         to_char(clock_timestamp() at time zone 'UTC', ' \"at\" YYYY-MM-DD HH24:MI \"UTC\"') \
                       where run = $1 and epoch = $2";
            let taken = sqlx::query(sql).persistent(false).bind(&other.run).bind(other.epoch).bind(claim.by);
            let taken = taken.bind(claim.run);
            moved &= taken.execute(&mut *tx).await?.rows_affected() == 1;
        }
        let sql = match own {
            None => {
                "insert into gonogo.run (run, journal, epoch, owner) values ($1, $2, $4 + 1, $3) \
                 on conflict do nothing"
            }
            Some(_) => {
                "update gonogo.run set epoch = $4 + 1, owner = $3, since = clock_timestamp(), ended = null, \
                   taken_over_by = null \
                 where run = $1 and journal = $2 and epoch = $4"
            }
        };
        let epoch = own.map_or(0, |own| own.epoch);
        let row = sqlx::query(sql).persistent(false).bind(claim.run).bind(claim.journal).bind(claim.by).bind(epoch);
        moved &= row.execute(&mut *tx).await?.rows_affected() == 1;
        if !moved {
            tx.rollback().await?;
            return Ok(None);
        }
        tx.commit().await?;
        Ok(Some(epoch + 1))
    };
    match answer(work).await {
        Ok(Some(epoch)) => Ok(epoch),
        Ok(None) => Err(Refusal::Failed("the ledger changed while it was read; try again".to_owned())),
        Err(problem) => Err(failed("the ledger could not be written", &problem)),
    }
}
