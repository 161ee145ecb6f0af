//! `gonogo worker`: the process that takes a backup or restores one, by the order on its standard input.

use std::collections::BTreeMap;
use std::io::Read;

use crate::app::{Done, Stop, code};
use crate::dump;

/// Bytes of the longest order: the rows of very many tables.
const ORDER: u64 = 64 * 1024 * 1024;

pub fn worker() -> Done {
    let mut order = String::new();
    std::io::stdin().lock().take(ORDER).read_to_string(&mut order).map_err(Stop::internal)?;
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stop::internal)?;
    let done = runtime.block_on(dump::work(&order, &env));
    // A file that is still being read has no reader any more.
    runtime.shutdown_background();
    Ok(if done.map_err(Stop::internal)? { code::DONE } else { code::FAILED })
}
