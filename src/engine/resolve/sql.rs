//! SQL whose engine died, or whose COMMIT nobody saw answered.

use std::time::Duration;

use super::{Found, Left};
use crate::run::event::Statement;

/// How long a target has to tell what it knows.
const LOOK: Duration = Duration::from_secs(10);

pub async fn look(left: &Left, target: &str, statements: &[Statement], transaction: bool) -> Found {
    let what = match (transaction, statements.len()) {
        (true, _) => "it ran in one transaction: all of it happened or nothing".to_owned(),
        (false, 1) => "its one statement ran outside a transaction".to_owned(),
        (false, all) => format!(
            "outside a transaction; statement {} of {all} was the last known to be sent",
            left.run.output.statement
        ),
    };
    left.unknown(format!("{what}; {}", sessions(left, target).await))
}

/// The sessions it still has on its server, in words.
async fn sessions(left: &Left, target: &str) -> String {
    let label = left.doors.label(&left.attempt);
    let asked = left.doors.clone().leftover_sessions(target.to_owned(), label);
    match tokio::time::timeout(LOOK, asked).await {
        Ok(Ok(sessions)) if sessions.is_empty() => "the server has no session of it any more".to_owned(),
        Ok(Ok(sessions)) => format!("the server still has a session of it: {}", sessions.join("; ")),
        Ok(Err(error)) => format!("the server could not be asked: {error}"),
        Err(_) => "the server did not answer".to_owned(),
    }
}
