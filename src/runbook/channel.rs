//! Named places where people are told, and which moments of a run are told there by themselves.

use serde::{Deserialize, Serialize};

use super::model::{Notify, Secret};

/// A named place where people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    pub id: String,
    pub to: ChannelTo,
    /// Moments that are told there without a step.
    pub tells: Vec<Tell>,
    /// Environments in which they are; empty: all.
    pub only: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelTo {
    /// A JSON object with `text` alone, as chats take it.
    Slack(Secret),
    /// A JSON object that also says which run it is about.
    Webhook(Secret),
    /// A command that gets the text on its standard input. Each element a template.
    Command(Vec<String>),
}

/// A moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tell {
    Started,
    Failed,
    Held,
    Rollback,
    Ended,
}

impl Tell {
    pub const ALL: &[(&str, Self)] = &[
        ("started", Self::Started),
        ("failed", Self::Failed),
        ("held", Self::Held),
        ("rollback", Self::Rollback),
        ("ended", Self::Ended),
    ];

    /// The word the runbook uses.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, tell)| *tell == self).map_or("", |(word, _)| word)
    }
}

impl Channel {
    /// A step that tells `text` there.
    pub fn notify(&self, text: String) -> Notify {
        match &self.to {
            ChannelTo::Slack(url) => Notify::Webhook { url: url.clone(), text, whole: false },
            ChannelTo::Webhook(url) => Notify::Webhook { url: url.clone(), text, whole: true },
            ChannelTo::Command(argv) => Notify::Command { argv: argv.clone(), text },
        }
    }

    /// Its address, where that may be a secret.
    pub fn secret(&self) -> Option<&Secret> {
        match &self.to {
            ChannelTo::Slack(url) | ChannelTo::Webhook(url) => Some(url),
            ChannelTo::Command(_) => None,
        }
    }
}
