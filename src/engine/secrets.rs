//! Secrets: named in the runbook, resolved here at the moment of use, never written down.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use secrecy::{ExposeSecret, SecretString};

use super::redact::Redactor;
use crate::runbook::Secret;

/// How long a secret's command may take, how often we look, and how much of its output is read.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
const LONGEST: u64 = 64 * 1024;

/// The value behind a named secret. The error says what to set, never what was found.
pub fn resolve(secret: &Secret, redactor: &Redactor) -> Result<SecretString, String> {
    let value = match secret {
        Secret::Plain(text) => return Ok(SecretString::from(text.clone())),
        Secret::Env(name) => from_env(name)?,
        Secret::File(path) => from_file(path)?,
        Secret::Cmd(command) => from_command(command)?,
    };
    learn(&secret.to_string(), value.expose_secret(), redactor);
    Ok(value)
}

fn from_env(name: &str) -> Result<SecretString, String> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(SecretString::from(value)),
        Ok(_) => Err(format!("the environment variable {name} is empty")),
        Err(_) => Err(format!("the environment variable {name} is not set; export it, then start gonogo again")),
    }
}

/// A variable that a step hands to its command; it may be empty.
pub fn handed(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| match error {
        std::env::VarError::NotPresent => {
            format!("the environment variable {name} is not set; export it, then start gonogo again")
        }
        std::env::VarError::NotUnicode(_) => {
            format!("the environment variable {name} is not UTF-8, and cannot be handed on")
        }
    })
}

fn from_file(path: &str) -> Result<SecretString, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read the secret's file {path}: {error}"))?;
    Ok(SecretString::from(text.trim_end().to_owned()))
}

fn from_command(command: &str) -> Result<SecretString, String> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("the secret's command could not be started: {error}"))?;
    let ended = wait_for(&mut child);
    if ended.is_none() {
        // It and what it started; a command that is gone already needs no killing.
        if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait();
        return Err(format!("the secret's command did not end in {} s", PATIENCE.as_secs()));
    }
    if let Some(status) = ended.filter(|status| !status.success()) {
        return Err(format!("the secret's command failed: {status}"));
    }
    let mut text = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(LONGEST).read_to_end(&mut text).map_err(|error| format!("the secret's command: {error}"))?;
    }
    let line = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned();
    if line.is_empty() { Err("the secret's command printed nothing".to_owned()) } else { Ok(SecretString::from(line)) }
}

/// Its exit, unless it takes longer than our patience.
fn wait_for(child: &mut Child) -> Option<ExitStatus> {
    for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(LOOK);
    }
    None
}

/// Of a URL only its password is secret: host and database are to be seen. Anything else is secret as a whole.
fn learn(name: &str, value: &str, redactor: &Redactor) {
    match url::Url::parse(value) {
        Ok(url) if url.has_host() => {
            if let Some(password) = url.password() {
                redactor.learn(name, password);
                redactor.learn(name, &percent_decoded(password));
            }
            for (key, value) in url.query_pairs().filter(|(key, _)| key == "password") {
                redactor.learn(&format!("{name} {key}"), &value);
            }
            if url.scheme().starts_with("http") && (url.path().len() > 1 || url.query().is_some()) {
                // The path of a webhook is its password.
                redactor.learn(name, url.as_str());
            }
        }
        _ => redactor.learn(name, value),
    }
}

fn percent_decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
