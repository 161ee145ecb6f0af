//! `gonogo schema`: the JSON Schema of runbooks, as an editor wants it.

use crate::app::{Done, code, say_bytes};
use crate::runbook::schema;

pub fn schema() -> Done {
    say_bytes(schema::text().as_bytes());
    Ok(code::DONE)
}
