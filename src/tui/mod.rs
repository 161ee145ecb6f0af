//! The screen: the run as the journal tells it, and the operator's hands. Live and replayed by one model.
//!
//! [`update`] changes a [`Model`] by a [`Message`] and may answer a wish ([`Out`]); [`draw`] makes a frame of it.

mod act;
mod chart;
mod dialog;
mod draw;
mod find;
mod input;
mod keymap;
mod layout;
mod markdown;
mod message;
mod model;
mod mouse;
mod moves;
mod offer;
mod pace;
mod pane;
mod runner;
mod table;
mod terminal;
mod text;
mod theme;
mod update;
mod view;

#[cfg(test)]
mod tests;

pub use draw::draw;
pub use message::{Link, Mark, MarkKind, Message, Out, ReplayControl, ReplayStatus, marks};
pub use model::{Mode, Model};
pub use runner::{Clock, ExitReason, Init, TuiError, run};
pub use theme::{Look, Palette};
pub use update::update;
