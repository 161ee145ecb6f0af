//! Another run in whose hands a database is, as far as the journal folder of this one knows it.

use serde::{Deserialize, Serialize};

/// A run of the same journal folder that has not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OtherRun {
    pub run: String,
    /// An engine held it when it was looked at.
    pub lives: bool,
}

impl OtherRun {
    /// What to type about it, and what for.
    pub fn commands(&self) -> Vec<(String, &'static str)> {
        let run = super::words::name(&self.run);
        if self.lives {
            return vec![(format!("gonogo attach {run}"), "the run that has it: its engine lives")];
        }
        vec![
            (format!("gonogo resume {run}"), "goes on with the run that has it"),
            (format!("gonogo resume {run} --headless --give-up REASON"), "ends that run where it stands"),
        ]
    }

    /// The command that makes it let go, as a part of a sentence.
    pub fn way(&self) -> String {
        let commands = self.commands();
        commands.last().map(|(command, _)| command.clone()).unwrap_or_default()
    }
}
