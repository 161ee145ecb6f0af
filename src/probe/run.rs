//! A number from a command: the last non-empty line that it prints.

use crate::child::{self, Sign, Tail};
use crate::run::NoData;

use super::{Doors, number};

/// Bytes kept of the end of each stream.
const KEPT: usize = 64 * 1024;

#[derive(Debug)]
pub struct Run {
    spec: child::Spec,
}

impl Run {
    pub fn new(argv: &[String], doors: Doors) -> Self {
        Self {
            spec: child::Spec { argv: argv.to_vec(), cwd: doors.cwd, drain: child::DRAIN, ..child::Spec::default() },
        }
    }

    /// Dropped before its end, it kills the command's process group.
    pub async fn measure(&mut self) -> Result<f64, NoData> {
        let mut running = child::spawn(&self.spec).map_err(|error| NoData::new(error.to_string()))?;
        let (mut out, mut err) = (Tail::new(KEPT), Tail::new(KEPT));
        let mut status = None;
        loop {
            match running.next().await {
                Ok(Sign::Out(piece)) => out.push(&piece),
                Ok(Sign::Err(piece)) => err.push(&piece),
                Ok(Sign::Exited(exit)) => status = Some(exit),
                Ok(Sign::Closed { .. }) => break,
                Err(error) => return Err(NoData::new(format!("the command is lost: {error}"))),
            }
        }
        match status {
            Some(status) if status.success() => number::parse(last_line(&out.text())),
            Some(status) => Err(NoData::new(failure(&child::ending(status).1, &err.text()))),
            None => Err(NoData::new("the command is lost")),
        }
    }
}

fn failure(ending: &str, err: &str) -> String {
    match last_line(err) {
        "" => format!("the command {ending}"),
        line => format!("the command {ending}: {}", number::quoted(line)),
    }
}

fn last_line(text: &str) -> &str {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("")
}
