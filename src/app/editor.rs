//! What a screen wants done outside of itself: a file saved, a text edited.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::app::past::write_new;
use crate::tui::{Message, Out};

/// Does a wish that concerns neither the engine nor a replay; the answer is for the screen.
pub async fn obey(wish: Out) -> Option<Message> {
    match wish {
        Out::Save { path, text } => Some(saved(&path, &text)),
        Out::Edit(text) => {
            let edited = tokio::task::spawn_blocking(move || edit(&text)).await;
            Some(Message::Edited(edited.unwrap_or_else(|error| Err(error.to_string()))))
        }
        _ => None,
    }
}

fn saved(path: &str, text: &str) -> Message {
    match write_new(Path::new(path), text) {
        Ok(()) => Message::Told { good: true, text: format!("saved {path}") },
        Err(stop) => Message::Told { good: false, text: stop.words },
    }
}

/// Lets $VISUAL, $EDITOR or vi change the text, in a private file.
fn edit(text: &str) -> Result<String, String> {
    let name = ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let editor = name.unwrap_or_else(|| "vi".to_owned());
    let path = std::env::temp_dir().join(format!("gonogo-{}.sql", uuid::Uuid::now_v7().simple()));
    let words = |error: std::io::Error| format!("the editor's file {}: {error}", path.display());
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(words)?;
    file.write_all(text.as_bytes()).map_err(words)?;
    drop(file);
    // An editor may be a command line of its own: `code --wait`.
    let status =
        std::process::Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&path).status();
    let result = match status {
        Ok(status) if status.success() => std::fs::read_to_string(&path).map_err(words),
        Ok(status) => Err(format!("{editor} ended with {status}; nothing was changed")),
        Err(error) => Err(format!("{editor} could not be started: {error}")),
    };
    let _ = std::fs::remove_file(&path);
    result
}
