//! Who an entry names as the one that acted.

use super::event::Event;

impl Event {
    /// Who it names as the one that acted.
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::EngineStarted { by, .. }
            | Self::EngineStopped { by, .. }
            | Self::Confirmed { by, .. }
            | Self::StepStarted { by, .. }
            | Self::StepSkipped { by, .. }
            | Self::CancelAsked { by, .. }
            | Self::LeftoverAsked { by, .. }
            | Self::Settled { by, .. }
            | Self::Ticked { by, .. }
            | Self::Unticked { by, .. }
            | Self::Voted { by, .. }
            | Self::SqlEdited { by, .. }
            | Self::BatchRetuned { by, .. }
            | Self::CountdownStopped { by, .. }
            | Self::Held { by, .. }
            | Self::Released { by }
            | Self::TakenOver { by, .. }
            | Self::AdvanceSet { by, .. }
            | Self::RollbackStarted { by, .. }
            | Self::NoteAdded { by, .. }
            | Self::Refused { by, .. }
            | Self::ScreenAttached { by, .. }
            | Self::ScreenLost { by } => Some(by),
            _ => None,
        }
    }
}
