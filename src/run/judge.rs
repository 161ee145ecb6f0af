//! The judgement of a step's facts. Handed to whoever runs the step, so that SQL is judged before its COMMIT.

use super::facts::{Facts, Fault, Verdict};

/// `Ok(None)`: the step expects nothing. `Err`: the expectation could not be judged, which is not a "no".
pub type Judge = dyn Fn(&Facts) -> Result<Option<Verdict>, Fault> + Send + Sync;
