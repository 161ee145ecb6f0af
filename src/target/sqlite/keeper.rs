//! The connection beside the work on migration files: it reads the table of the files' own tool.

use std::time::Duration;

use futures_util::StreamExt;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Either, Row};
use tokio::time::timeout;

use super::{Sqlite, row};
use crate::run::limits;
use crate::target::problem::Problem;
use crate::target::raw;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(in crate::target) struct Keeper {
    conn: SqliteConnection,
}

impl Keeper {
    pub async fn open(target: &Sqlite) -> Result<Self, Problem> {
        Ok(Self { conn: target.connect().await? })
    }

    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Problem> {
        let conn = &mut self.conn;
        let work = async {
            let mut rows = Vec::new();
            let mut stream = raw::send::<sqlx::Sqlite, _>(conn, sql);
            while let Some(item) = stream.next().await {
                if let Either::Right(one) = item.map_err(Problem::of_sqlite)? {
                    rows.push((0..one.len()).map(|i| row::cell(&one, i).cut(limits::FACT_BYTES)).collect());
                }
            }
            Ok(rows)
        };
        match timeout(PATIENCE, work).await {
            Ok(rows) => rows,
            Err(_) => Err(Problem::lost("no answer within 30 s")),
        }
    }

    pub async fn close(self) {
        // The file is closed with the connection in any case.
        let _ = self.conn.close().await;
    }
}
