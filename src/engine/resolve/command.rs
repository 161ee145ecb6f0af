//! A command whose engine died: what its record says.

use super::{Found, Left};
use crate::engine::exec::{self, Leftover};

pub fn look(left: &Left) -> Found {
    let record = exec::record_path(&left.doors.records(), &left.attempt);
    left.unknown(match exec::leftover(&record) {
        Some(left) if left.running => format!("its process {} still runs, since {} s", left.pid, left.age.as_secs()),
        Some(Leftover { exit: Some(exit), pid, .. }) => format!("its process {pid} ended with exit {exit}"),
        Some(left) => format!("its process {} is gone", left.pid),
        None => "no process of it was recorded: it may never have begun".to_owned(),
    })
}
