//! What an attempt brings home, bounded: chunks for the journal as they come, facts for the judge at the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::SqlJob;
use super::cell::{self, Cell};
use super::notice::{Ear, Notice};
use super::reading::{Reading, Shown};
use super::shape::Shape;
use crate::run::{Chunk, Facts, Fault, Judge, Verdict, columns, limits};

/// The result of the last statement that returned columns.
#[derive(Default)]
struct Result {
    names: Vec<String>,
    rows: u64,
    value: Option<Value>,
    table: Vec<BTreeMap<String, Value>>,
}

pub(super) struct Collector<'a> {
    out: &'a Sender<Chunk>,
    /// Nobody listens any more; the work goes on all the same.
    deaf: bool,
    counter: Option<&'a AtomicU64>,
    started: Instant,
    of: u32,
    n: u32,
    statement_started: Instant,
    /// Rows of the statement that runs, kept or not.
    statement_rows: u64,
    /// True between a result's columns and the end of its command.
    open: bool,
    result: Option<Result>,
    affected: Option<u64>,
    batch: Vec<Vec<Option<String>>>,
    due: Option<Instant>,
    /// Over the whole attempt.
    bytes_kept: usize,
    table_bytes: usize,
    notices: Vec<String>,
    reading: Reading<'a>,
}

impl<'a> Collector<'a> {
    pub fn new(out: &'a Sender<Chunk>, job: &SqlJob<'a>) -> Self {
        let now = Instant::now();
        Self {
            out,
            deaf: false,
            started: now,
            counter: job.counter,
            of: u32::try_from(job.statements.len()).unwrap_or(u32::MAX),
            n: 0,
            statement_started: now,
            statement_rows: 0,
            open: false,
            result: None,
            affected: None,
            batch: Vec::new(),
            due: None,
            bytes_kept: 0,
            table_bytes: 0,
            notices: Vec::new(),
            reading: Reading::new(job),
        }
    }

    /// The next statement is about to be sent.
    pub async fn begin(&mut self) {
        self.n += 1;
        self.open = false;
        self.statement_rows = 0;
        self.statement_started = Instant::now();
        // What only prepares an inventory is no news.
        let (n, of) = if self.reading.is_plain() { (self.n, self.of) } else { (1, 1) };
        self.send(Chunk::Statement { n, of }).await;
    }

    /// The next statement is left out.
    pub fn pass(&mut self) {
        self.n += 1;
    }

    /// What came so far is none of the step's own.
    pub fn forget(&mut self) {
        self.result = None;
        self.affected = None;
        self.notices.clear();
    }

    /// The statement (1-based) that runs or ran last.
    pub fn statement(&self) -> u32 {
        self.n
    }

    /// True where the next row belongs to a result whose columns were not announced yet.
    pub fn wants_columns(&self) -> bool {
        !self.open
    }

    /// A result begins.
    pub async fn columns(&mut self, names: Vec<String>, types: Vec<String>) {
        self.flush().await;
        self.open = true;
        self.table_bytes = 0;
        let names: Vec<String> = names.iter().map(|name| cell::cut(name.as_bytes(), limits::CELL_BYTES)).collect();
        self.result = Some(Result { names: columns::keys(&names), ..Result::default() });
        if self.reading.keeps_rows() {
            return;
        }
        let n = self.n;
        self.send(Chunk::Columns { n, names, types }).await;
    }

    /// A result without rows, whose columns could not be told.
    pub fn empty_result(&mut self) {
        self.result = Some(Result::default());
    }

    /// False where a row only needs to be counted.
    pub fn wants_row(&self) -> bool {
        let all = self.reading.keeps_rows() && !self.reading.is_full();
        all || self.result.as_ref().is_some_and(|result| result.rows < limits::ROWS_KEPT)
    }

    /// One row more that is not looked at.
    pub fn count_row(&mut self) {
        self.statement_rows += 1;
        if let Some(counter) = self.counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(result) = &mut self.result {
            result.rows += 1;
        }
    }

    /// One row, its `i`-th value by `cell(i)`.
    pub async fn row<'r>(&mut self, width: usize, cell: impl Fn(usize) -> Cell<'r>) {
        self.reading.row(width, &cell);
        if self.reading.keeps_rows() {
            return self.count_row();
        }
        self.keep_facts(width, &cell);
        self.count_row();
        if self.bytes_kept >= limits::ROW_BYTES_KEPT {
            return;
        }
        let row: Vec<_> = (0..width).map(|i| cell(i).cut(limits::CELL_BYTES)).collect();
        self.bytes_kept += row.iter().flatten().map(String::len).sum::<usize>() + width;
        if self.bytes_kept > limits::ROW_BYTES_KEPT {
            return;
        }
        self.batch.push(row);
        if self.batch.len() >= limits::BATCH_ROWS || !self.wants_row() {
            self.flush().await;
        } else if self.due.is_none() {
            self.due = Some(Instant::now() + Duration::from_millis(limits::BATCH_MS));
        }
    }

    fn keep_facts<'r>(&mut self, width: usize, cell: &impl Fn(usize) -> Cell<'r>) {
        let Some(result) = &mut self.result else { return };
        if result.rows == 0 && width > 0 {
            result.value = Some(cell(0).value(limits::FACT_BYTES));
        }
        if result.rows >= limits::TABLE_ROWS as u64 || self.table_bytes > limits::ROW_BYTES_KEPT {
            return;
        }
        let mut row = BTreeMap::new();
        for (i, name) in result.names.iter().enumerate().take(width) {
            let value = cell(i).value(limits::CELL_BYTES);
            self.table_bytes += name.len() + value.as_str().map_or(8, str::len);
            row.insert(name.clone(), value);
        }
        if self.table_bytes <= limits::ROW_BYTES_KEPT {
            result.table.push(row);
        }
    }

    /// When the rows that wait for their fellows must go out; none where none wait.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    pub async fn flush(&mut self) {
        self.due = None;
        if !self.batch.is_empty() {
            let (n, rows) = (self.n, std::mem::take(&mut self.batch));
            self.send(Chunk::Rows { n, rows }).await;
        }
    }

    /// A command of the statement ended; another result may follow.
    pub fn close_result(&mut self) {
        self.open = false;
    }

    /// The statement ended well; `count` is what its tag (or the driver) counted.
    pub async fn end(&mut self, shape: &Shape, count: u64) {
        self.flush().await;
        if let Some((name, items)) = self.reading.taken().filter(|_| self.n == self.of) {
            self.send(Chunk::Inventory { name, items }).await;
            self.show(self.reading.shown()).await;
        }
        if !self.reading.is_plain() && self.n < self.of {
            return;
        }
        let affected = shape.affected(self.statement_rows, count);
        *self.affected.get_or_insert(0) += affected;
        let chunk =
            Chunk::StatementEnd { n: self.n, rows: self.statement_rows, affected, ms: millis(self.statement_started) };
        self.send(chunk).await;
    }

    /// A result of ours in place of the rows that came.
    async fn show(&mut self, shown: Shown) {
        let n = self.n;
        self.statement_rows = shown.rows.len() as u64;
        let types = shown.names.iter().map(|_| "text".to_owned()).collect();
        self.send(Chunk::Columns { n, names: shown.names, types }).await;
        let kept = usize::try_from(limits::ROWS_KEPT).unwrap_or(usize::MAX);
        let cut = |cell: Option<String>| cell.map(|text| cell::cut(text.as_bytes(), limits::CELL_BYTES));
        let rows: Vec<Vec<_>> =
            shown.rows.into_iter().take(kept).map(|row| row.into_iter().map(cut).collect()).collect();
        for rows in rows.chunks(limits::BATCH_ROWS) {
            self.send(Chunk::Rows { n, rows: rows.to_vec() }).await;
        }
    }

    /// The judge's word on what came home; what could not be taken in whole is not judged.
    pub fn judged(&self, judge: &Judge, facts: &Facts) -> std::result::Result<Option<Verdict>, Fault> {
        match self.reading.unfit() {
            Some(fault) => Err(fault),
            None => judge(facts).map(|verdict| verdict.map(|verdict| self.told(verdict))),
        }
    }

    /// The verdict with what differs, where that is why it is a no.
    fn told(&self, mut verdict: Verdict) -> Verdict {
        if let Some(differences) = self.reading.told().filter(|_| !verdict.passed) {
            verdict.saw = format!("{differences}; {}", verdict.saw);
        }
        verdict
    }

    pub async fn notice(&mut self, notice: Notice) {
        self.flush().await;
        self.notices.push(notice.text.clone());
        let severity = notice.severity.to_owned();
        self.send(Chunk::Notice { severity, text: notice.text }).await;
    }

    /// Takes in what has been heard and not been passed on.
    pub async fn notices(&mut self, ear: &mut Ear) {
        while let Ok(notice) = ear.notices.try_recv() {
            self.notice(notice).await;
        }
    }

    /// Says how many notices were only counted.
    pub async fn count_notices(&mut self, ear: &mut Ear) {
        self.notices(ear).await;
        let more = ear.heard().saturating_sub(limits::NOTICES_KEPT as u64);
        if more > 0 {
            let (severity, text) = ("NOTICE", format!("… and {more} more notices"));
            self.notice(Notice { severity, text }).await;
        }
    }

    /// What is known so far.
    pub fn facts(&self) -> Facts {
        let result = self.result.as_ref();
        self.reading.facts(Facts {
            value: result.and_then(|result| result.value.clone()),
            rows: result.map(|result| result.rows),
            row: result.and_then(|result| result.table.first().cloned()),
            table: result.map(|result| result.table.clone()).unwrap_or_default(),
            affected: self.affected,
            notices: self.notices.clone(),
            ms: millis(self.started),
            ..Facts::default()
        })
    }

    async fn send(&mut self, chunk: Chunk) {
        if !self.deaf && self.out.send(chunk).await.is_err() {
            self.deaf = true;
        }
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
