//! `gonogo shim`: one command under the watch of a small process. One thread does.

use std::time::Duration;

use crate::app::{Done, Stop, code};
use crate::child::shim::{self, Orders, Place};
use crate::cli::ShimArgs;

pub fn shim(args: ShimArgs) -> Done {
    let orders = Orders {
        argv: args.argv,
        timeout: args.timeout.map(Duration::from_millis),
        grace: Duration::from_millis(args.grace),
        drain: Duration::from_millis(args.drain),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stop::internal)?;
    runtime.block_on(shim::keep(&Place::at(&args.folder), &orders)).map_err(Stop::internal)?;
    Ok(code::DONE)
}
