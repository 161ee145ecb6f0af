//! Where a database is: the URL of a target, taken apart and refused where it asks for what cannot be honoured.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tracing::log::LevelFilter;
use tracing::subscriber::NoSubscriber;
use url::Url;

/// How long a server may take to answer a connect, where the URL does not say `connect_timeout`.
const CONNECT: Duration = Duration::from_secs(10);

const PG_PARAMETERS: &[&str] = &[
    "application_name",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];
const PG_SSLMODES: &[&str] = &["disable", "prefer", "require", "verify-ca", "verify-full"];

pub(super) enum Address {
    Postgres(Box<PgAddress>),
    Sqlite(SqliteAddress),
}

/// No `Debug`: the driver's options print the password.
pub(super) struct PgAddress {
    pub options: PgConnectOptions,
    /// Of the URL; one from the environment or a password file stays where it is.
    pub password: Option<SecretString>,
    /// Certificate files of the URL, for commands: variable and path.
    pub files: Vec<(&'static str, String)>,
    pub connect_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SqliteAddress {
    pub path: PathBuf,
    pub mode: SqliteMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SqliteMode {
    ReadOnly,
    ReadWrite,
    /// Creates a missing file.
    Create,
}

/// Reads a target's URL. Errors say what is wrong with it, without repeating any of its values.
pub(super) fn parse(url: &SecretString) -> Result<Address, String> {
    let text = url.expose_secret().trim();
    let scheme = text.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match scheme.as_str() {
        "postgres" | "postgresql" => postgres(text).map(|address| Address::Postgres(Box::new(address))),
        "sqlite" => sqlite(text).map(Address::Sqlite),
        "" => Err("its URL is empty".to_owned()),
        _ => Err("its URL is none of postgres://…, postgresql://… and sqlite:PATH".to_owned()),
    }
}

/// The file of SQLite that the first contact with this URL would make.
pub fn unmade(url: &SecretString) -> Option<PathBuf> {
    match parse(url) {
        Ok(Address::Sqlite(SqliteAddress { path, mode: SqliteMode::Create })) if !path.exists() => Some(path),
        _ => None,
    }
}

fn postgres(text: &str) -> Result<PgAddress, String> {
    let mut url = Url::parse(text).map_err(|error| format!("its URL cannot be read: {error}"))?;
    if url.host_str().is_some_and(|host| host.contains(',')) {
        return Err("its URL names several hosts; name the one that this window works on".to_owned());
    }
    if url.fragment().is_some() {
        return Err("its URL has a '#': in a password it is written %23".to_owned());
    }
    let mut connect_timeout = CONNECT;
    let mut password = url.password().map(decoded);
    let mut files = Vec::new();
    let mut kept = Vec::new();
    for (key, value) in url.query_pairs() {
        check_parameter(&key, &value)?;
        match key.as_ref() {
            "connect_timeout" => connect_timeout = seconds(&value)?,
            "password" => password = Some(value.to_string()),
            "sslrootcert" => files.push(("PGSSLROOTCERT", value.to_string())),
            "sslcert" => files.push(("PGSSLCERT", value.to_string())),
            "sslkey" => files.push(("PGSSLKEY", value.to_string())),
            _ => {}
        }
        if key != "connect_timeout" {
            kept.push((key.to_string(), value.to_string()));
        }
    }
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    Ok(PgAddress { options: pg_options(&url)?, password: password.map(SecretString::from), files, connect_timeout })
}

fn check_parameter(key: &str, value: &str) -> Result<(), String> {
    let known = PG_PARAMETERS.contains(&key) || (key.starts_with("options[") && key.ends_with(']'));
    if !known {
        return Err(format!(
            "its URL has the parameter {key:?}, which gonogo cannot honour; known are {}",
            PG_PARAMETERS.join(", ")
        ));
    }
    if key == "sslmode" && !PG_SSLMODES.contains(&value) {
        return Err(format!("its sslmode cannot be honoured; known are {}", PG_SSLMODES.join(", ")));
    }
    Ok(())
}

/// The driver's options, from the URL first, then from PGHOST and its kin, then from a password file.
fn pg_options(url: &Url) -> Result<PgConnectOptions, String> {
    // The driver logs a malformed line of a password file whole; nobody may hear that.
    let options = tracing::subscriber::with_default(NoSubscriber::default(), || PgConnectOptions::from_url(url))
        .map_err(|_| "a value in its URL cannot be read (port, address or percent escape)".to_owned())?;
    if matches!(options.get_ssl_mode(), PgSslMode::Allow) {
        return Err("sslmode=allow cannot be honoured; say prefer, require or verify-full".to_owned());
    }
    let unsaid = !url.query_pairs().any(|(key, _)| key == "sslmode") && std::env::var_os("PGSSLMODE").is_none();
    // libpq's own default takes any certificate, or none at all, from whoever sits on the way.
    let options = if unsaid && !is_here(&options) { options.ssl_mode(PgSslMode::VerifyFull) } else { options };
    let bare = options.get_host().trim_matches(['[', ']']).to_owned();
    Ok(options
        .host(&bare)
        .log_statements(LevelFilter::Off)
        .log_slow_statements(LevelFilter::Off, Duration::ZERO)
        .statement_cache_capacity(0))
}

/// True where no network lies between: a socket, or this very machine.
fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    let address = host.parse::<std::net::IpAddr>();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || address.is_ok_and(|address| address.is_loopback())
}

fn seconds(value: &str) -> Result<Duration, String> {
    match value.parse::<u64>() {
        // libpq: zero waits for ever, which nobody wants of a maintenance window.
        Ok(0) => Ok(CONNECT),
        Ok(n) => Ok(Duration::from_secs(n.min(600))),
        Err(_) => Err("its connect_timeout is not a number of seconds".to_owned()),
    }
}

/// `text` with its %-escapes resolved; a plus stays a plus.
fn decoded(text: &str) -> String {
    let form = format!("v={}", text.replace('&', "%26").replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(form.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// `sqlite:PATH`, `sqlite://PATH`, `sqlite:///PATH`, each with `?mode=ro|rw|rwc`.
fn sqlite(text: &str) -> Result<SqliteAddress, String> {
    let rest = text.split_once(':').map_or("", |(_, rest)| rest);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, query),
        None => (rest, ""),
    };
    let path = decoded(path);
    if path.is_empty() {
        return Err("its URL names no file; write sqlite:PATH".to_owned());
    }
    if path == ":memory:" {
        return Err("a database in memory ends with each connection; name a file".to_owned());
    }
    let mut mode = SqliteMode::ReadWrite;
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        mode = match (key.as_ref(), value.as_ref()) {
            ("mode", "ro") => SqliteMode::ReadOnly,
            ("mode", "rw") => SqliteMode::ReadWrite,
            ("mode", "rwc") => SqliteMode::Create,
            ("mode", _) => return Err("its mode is none of ro, rw and rwc".to_owned()),
            (key, _) => {
                return Err(format!(
                    "its URL has the parameter {key:?}, which gonogo cannot honour; known is mode (ro, rw, rwc)"
                ));
            }
        };
    }
    Ok(SqliteAddress { path: PathBuf::from(path), mode })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        match parse(&SecretString::from(url)) {
            Ok(_) => panic!("accepted: {url}"),
            Err(why) => why,
        }
    }

    fn pg(url: &str) -> PgAddress {
        match parse(&SecretString::from(url)) {
            Ok(Address::Postgres(address)) => *address,
            Ok(Address::Sqlite(_)) => panic!("not PostgreSQL: {url}"),
            Err(why) => panic!("{url}: {why}"),
        }
    }

    fn file(url: &str) -> SqliteAddress {
        match parse(&SecretString::from(url)) {
            Ok(Address::Sqlite(address)) => address,
            Ok(Address::Postgres(_)) => panic!("not SQLite: {url}"),
            Err(why) => panic!("{url}: {why}"),
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for (url, word) in [
            ("postgres://u@h/d?target_session_attrs=read-write", "target_session_attrs"),
            ("postgres://u@h/d?sslmode=allow", "sslmode"),
            ("postgres://u@h/d?sslmode=verify_full", "sslmode"),
            ("postgres://u@h1,h2/d", "several hosts"),
            ("postgres://u:pa#ss@h/d", "cannot be read"),
            ("postgres://u@h/d?connect_timeout=soon", "connect_timeout"),
            ("mysql://u@h/d", "none of"),
            ("", "empty"),
            ("sqlite:", "no file"),
            ("sqlite::memory:", "memory"),
            ("sqlite:a.db?cache=shared", "cache"),
            ("sqlite:a.db?mode=memory", "mode"),
        ] {
            let why = refused(url);
            assert!(why.contains(word), "{url}: {why}");
        }
    }

    #[test]
    fn no_refusal_repeats_the_password() {
        for url in [
            "postgres://u:canary-7@h:port/d",
            "postgres://u:canary-7@h/d?nope=canary-7",
            "postgres://u@h/d?password=canary-7&sslmode=canary-7",
            "canary-7",
            "postgres://u:canary-7#x@h/d",
        ] {
            assert!(!refused(url).contains("canary"), "{}", refused(url));
        }
    }

    #[test]
    fn postgres_urls() {
        let address = pg("postgresql://app:p%40ss@[::1]:6543/orders?sslmode=disable&connect_timeout=3");
        assert_eq!(address.options.get_host(), "::1");
        assert_eq!(address.options.get_port(), 6543);
        assert_eq!(address.options.get_database(), Some("orders"));
        assert_eq!(address.connect_timeout, Duration::from_secs(3));
        assert_eq!(address.password.map(|p| p.expose_secret().to_owned()).as_deref(), Some("p@ss"));
        let socket = pg("postgres://app@%2Fvar%2Frun/orders");
        assert_eq!(socket.options.get_socket(), Some(&PathBuf::from("/var/run")));
    }

    #[test]
    fn over_a_network_the_server_proves_who_it_is() {
        let mode = |url: &str| pg(url).options.get_ssl_mode();
        assert!(matches!(mode("postgres://app@db1/orders"), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://app@10.0.0.7/orders"), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://app@db1/orders?sslmode=disable"), PgSslMode::Disable));
        for here in ["localhost", "127.0.0.1", "[::1]", "%2Fvar%2Frun"] {
            assert!(matches!(mode(&format!("postgres://app@{here}/orders")), PgSslMode::Prefer), "{here}");
        }
    }

    #[test]
    fn sqlite_urls() {
        assert_eq!(file("sqlite:a%20b.db").path, PathBuf::from("a b.db"));
        assert_eq!(file("sqlite://a.db").path, PathBuf::from("a.db"));
        assert_eq!(file("sqlite:///srv/a.db?mode=ro").path, PathBuf::from("/srv/a.db"));
        assert_eq!(file("sqlite:a.db?mode=rwc").mode, SqliteMode::Create);
        assert_eq!(file("sqlite:a.db").mode, SqliteMode::ReadWrite);
    }
}
