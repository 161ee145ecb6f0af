//! An error of the PostgreSQL driver, taken apart into what the server said.

use sqlx::Error;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition, PgSeverity};

use crate::run::limits;
use crate::target::cell;
use crate::target::problem::Problem;

/// The server ended the session: by an administrator, a crash, a shutdown, an idle limit.
const ENDS_SESSION: &[&str] = &["57P01", "57P02", "57P03", "57P05", "25P03"];

impl Problem {
    pub(in crate::target) fn of_postgres(error: Error) -> Self {
        match error {
            Error::Database(error) => match error.try_downcast::<PgDatabaseError>() {
                Ok(error) => server(&error),
                Err(_) => Self::lost("the server sent an error that cannot be read"),
            },
            Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Self::lost(format!("no secure connection: {error}"))
            }
            Error::Io(error) => Self::lost(format!("the connection was lost: {error}")),
            Error::Tls(error) => Self::lost(format!("no secure connection: {error}")),
            // After a message that the driver did not expect nobody knows where the session stands.
            Error::Protocol(why) => Self::lost(format!("the session can no longer be used: {why}")),
            Error::Configuration(_) => Self::own("the connection's options cannot be used"),
            Error::RowNotFound => Self::own("the answer has no row"),
            _ => Self::lost("the driver gave up on the session"),
        }
    }
}

fn server(error: &PgDatabaseError) -> Problem {
    let severity = severity(error.severity());
    Problem {
        severity,
        message: text(error.message()),
        code: Some(error.code().to_owned()),
        detail: detail(error),
        hint: error.hint().map(text),
        position: position(error),
        lost: severity != "ERROR" || ENDS_SESSION.contains(&error.code()),
    }
}

fn severity(severity: PgSeverity) -> &'static str {
    match severity {
        PgSeverity::Panic => "PANIC",
        PgSeverity::Fatal => "FATAL",
        _ => "ERROR",
    }
}

/// The detail, with the failing place inside a function where there is one.
fn detail(error: &PgDatabaseError) -> Option<String> {
    let mut parts: Vec<String> = error.detail().map(text).into_iter().collect();
    if let Some(PgErrorPosition::Internal { query, .. }) = error.position() {
        parts.push(format!("QUERY: {}", text(query)));
    }
    if let Some(context) = error.r#where() {
        parts.push(format!("CONTEXT: {}", text(context)));
    }
    (!parts.is_empty()).then(|| parts.join("\n"))
}

/// Only a position in the statement that was sent; one inside a function's query would point nowhere.
fn position(error: &PgDatabaseError) -> Option<u32> {
    match error.position() {
        Some(PgErrorPosition::Original(position)) => u32::try_from(position).ok(),
        _ => None,
    }
}

fn text(text: &str) -> String {
    cell::cut(text.as_bytes(), limits::FACT_BYTES)
}
