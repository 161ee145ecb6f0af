//! The faces that read a run: sentences, headless lines, the report, replay. All fed by the same written-out run.

// Marked as tests although the whole file is one: so the lints know that helpers here may panic.
#[cfg(test)]
mod describe;
#[cfg(test)]
mod feed;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod print;
#[cfg(test)]
mod report;
#[cfg(test)]
mod script;
