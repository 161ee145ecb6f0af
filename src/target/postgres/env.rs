//! The target as environment of a command: libpq's variables, and a private password file instead of a password.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use secrecy::ExposeSecret;
use sqlx::postgres::PgSslMode;
use uuid::Uuid;

use crate::target::TargetError;
use crate::target::address::PgAddress;

/// Variables for a command that works on this target. Where the URL has a password, `PGPASSFILE` names a file that
/// was created in `dir` with mode 0600; whoever starts the command removes it afterwards. Inherited variables that
/// would lead elsewhere are set empty.
pub(super) fn variables(
    target: &str,
    base: &str,
    address: &PgAddress,
    dir: &Path,
) -> Result<Vec<(String, String)>, TargetError> {
    let options = &address.options;
    let host = match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => options.get_host().to_owned(),
    };
    let user = options.get_username();
    let mut env = vec![
        ("PGHOST", host.clone()),
        ("PGHOSTADDR", String::new()),
        ("PGPORT", options.get_port().to_string()),
        ("PGUSER", user.to_owned()),
        ("PGDATABASE", options.get_database().unwrap_or(user).to_owned()),
        ("PGSSLMODE", ssl_mode(options.get_ssl_mode()).to_owned()),
        ("PGOPTIONS", options.get_options().unwrap_or_default().to_owned()),
        ("PGAPPNAME", base.to_owned()),
        ("PGCONNECT_TIMEOUT", address.connect_timeout.as_secs().to_string()),
    ];
    env.extend(address.files.iter().cloned());
    if let Some(password) = &address.password {
        let lines =
            lines(&host, options.get_port(), user, password.expose_secret()).ok_or_else(|| TargetError::Url {
                target: target.to_owned(),
                why: "its password has a line break, which no password file can hold".to_owned(),
            })?;
        let path = dir.join(format!("pgpass-{}", Uuid::now_v7()));
        create(&path, &lines).map_err(|error| TargetError::File {
            target: target.to_owned(),
            path: path.display().to_string(),
            why: error.to_string(),
        })?;
        env.push(("PGPASSFILE", path.display().to_string()));
        // Empty: libpq then looks into the file, and an inherited one does not win.
        env.push(("PGPASSWORD", String::new()));
    }
    Ok(env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// One line per name that libpq looks the host up by; any database, since a restore may go to another one.
fn lines(host: &str, port: u16, user: &str, password: &str) -> Option<String> {
    if [host, user, password].iter().any(|text| text.contains(['\n', '\r'])) {
        return None;
    }
    let rest = format!("{port}:*:{}:{}\n", escaped(user), escaped(password));
    let mut lines = format!("{}:{rest}", escaped(host));
    if host.starts_with('/') {
        // A socket in libpq's default folder goes by this name.
        lines.push_str(&format!("localhost:{rest}"));
    }
    Some(lines)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(':', "\\:")
}

fn create(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

fn ssl_mode(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_lines_are_escaped() {
        assert_eq!(lines("h", 1, "u:x", "a\\b:c").as_deref(), Some("h:1:*:u\\:x:a\\\\b\\:c\n"));
        assert_eq!(lines("/s", 1, "u", "p").as_deref(), Some("/s:1:*:u:p\nlocalhost:1:*:u:p\n"));
        assert_eq!(lines("h", 1, "u", "a\nb"), None);
    }
}
