//! Programs that a worker starts: in its own process group, so that whoever ends the worker ends them too, and killed
//! when nobody waits for them any more.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::{Failure, say_error};

/// Lines of its last words that are kept of a program.
const WORDS: usize = 12;
/// Bytes of one of them.
const LINE: usize = 600;

/// A program at work, its complaints passed on as they come.
pub struct Running {
    pub child: Child,
    name: String,
    words: JoinHandle<Vec<String>>,
}

/// Starts a program. Its standard input and output are as `stdin` and `stdout` say.
pub fn start(program: &Path, args: &[String], stdin: Stdio, stdout: Stdio) -> Result<Running, Failure> {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut command = Command::new(program);
    command.args(args).stdin(stdin).stdout(stdout).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(Failure::io(format!("{name} could not be started")))?;
    let words = tokio::spawn(listen(child.stderr.take()));
    Ok(Running { child, name, words })
}

/// Runs a program to its good end.
pub async fn run(program: &Path, args: &[String]) -> Result<(), Failure> {
    start(program, args, Stdio::null(), Stdio::null())?.end().await
}

/// What a short program says.
pub async fn output(program: &Path, args: &[String]) -> Result<String, Failure> {
    let name = program.display();
    let ran = Command::new(program).args(args).stdin(Stdio::null()).kill_on_drop(true).output().await;
    let ran = ran.map_err(Failure::io(format!("{name} could not be started")))?;
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    match ran.status.success() {
        true => Ok(said),
        false => {
            let detail = Some(String::from_utf8_lossy(&ran.stderr).into_owned());
            Err(Failure::Said { summary: format!("{name} failed: {}", ran.status), detail, hint: None })
        }
    }
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// It failed; its last words are the detail.
    pub async fn end(mut self) -> Result<(), Failure> {
        let status = self.child.wait().await.map_err(Failure::io(format!("{} is lost", self.name)))?;
        let words = self.words.await.unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        Err(failed(&self.name, &status.to_string(), &words))
    }
}

fn failed(name: &str, status: &str, words: &[String]) -> Failure {
    let error = words.iter().find(|line| line.contains("error:") || line.contains("ERROR:")).or(words.last());
    let summary = match error {
        Some(error) => error.clone(),
        None => format!("{name} failed: {status}"),
    };
    let detail = (!words.is_empty()).then(|| words.join("\n"));
    Failure::Said { summary, detail, hint: None }
}

async fn listen<R: AsyncRead + Unpin>(stream: Option<R>) -> Vec<String> {
    let mut words = VecDeque::new();
    let Some(stream) = stream else { return Vec::new() };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await.is_ok_and(|n| n > 0) {
        let text: String = String::from_utf8_lossy(&line).trim_end().chars().take(LINE).collect();
        say_error(&text);
        words.push_back(text);
        if words.len() > WORDS {
            words.pop_front();
        }
        line.clear();
    }
    words.into()
}
