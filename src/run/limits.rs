//! Every bound of a run, in one place: what is kept, what is only counted.

/// Rows of a result kept in the journal; beyond it they are only counted.
pub const ROWS_KEPT: u64 = 500;
/// Bytes of all kept rows of one attempt.
pub const ROW_BYTES_KEPT: usize = 256 * 1024;
/// Bytes of one cell; a longer one is cut and says how long it was.
pub const CELL_BYTES: usize = 4 * 1024;
/// Objects of one snapshot, and their bytes: all of it is kept in the journal.
pub const SNAPSHOT_ITEMS: usize = 50_000;
pub const SNAPSHOT_BYTES: usize = 4 * 1024 * 1024;
/// Rows that expressions see as `table`.
pub const TABLE_ROWS: usize = 200;
/// Bytes of a command's output kept from its start and from its end.
pub const OUTPUT_HEAD: usize = 64 * 1024;
pub const OUTPUT_TAIL: usize = 64 * 1024;
/// Bytes of output, body or error text that become facts.
pub const FACT_BYTES: usize = 64 * 1024;
/// Notices kept of one attempt.
pub const NOTICES_KEPT: usize = 100;
/// Lines of result text a screen keeps of one attempt.
pub const LINES_SHOWN: usize = 2_000;
/// Samples a screen keeps of one probe.
pub const SAMPLES_SHOWN: usize = 600;
/// Log lines a screen keeps.
pub const LOG_SHOWN: usize = 1_000;
/// Rows that travel from a target in one batch, and how long a batch waits for its fellows (milliseconds).
pub const BATCH_ROWS: usize = 200;
pub const BATCH_MS: u64 = 50;
/// Size of a runbook and of each file it names.
pub use crate::runbook::RUNBOOK_BYTES;
/// Characters of a note, a reason, an answer.
pub const WORDS: usize = 4_000;
/// How long a run that was rolled back waits for its breached triggers to be fine again (milliseconds).
pub const RECOVERY_MS: u64 = 60_000;
/// How far a target's clock may be off ours before somebody is told (milliseconds).
pub const SKEW_MS: u64 = 2_000;
