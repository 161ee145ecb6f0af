//! Secrets in a guide: taken out before anything is copied, and named by their line.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The name of a secret, as it stands before `=` or `:`.
macro_rules! named {
    () => {
        r#"(?i)(\b[a-z0-9_]*(?:password|passwd|secret|api[_-]?key|access[_-]?key|token)["'*]{0,2}"#
    };
}

/// What stands in a secret's place.
pub const REMOVED: &str = "REMOVED-SECRET";

/// A pattern with the secret in its second group; what is before and behind it is kept.
const PATTERNS: &[(&str, &str)] = &[
    // A password may hold an @ of its own: the last one before the host ends it.
    ("a password in an address", r"([A-Za-z][A-Za-z0-9+.-]*://[^\s:/]*:)([^\s/]+)(?:@)"),
    ("a bearer token", r"(?i)(\bbearer\s+)([A-Za-z0-9._~+/=-]{8,})"),
    ("a private key", r"(-----BEGIN [A-Z ]*PRIVATE KEY-----)(.*)"),
    (
        "a token",
        r"()(\b(?:gh[pousr]_[A-Za-z0-9]{16,}|AKIA[A-Z0-9]{12,}|xox[abpr]-[A-Za-z0-9-]{10,}|sk[-_](?:live_)?[A-Za-z0-9]{16,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]{10,}))",
    ),
    (
        "a password of a command",
        r#"(\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)\b[^|;&]*\s-p)([^\s'"$<{-][^\s'"]*)"#,
    ),
    // curl -u user:password, also where its line goes on in the next.
    (
        "a password of a command",
        r#"((?:\bcurl\b[^|;]*?\s|^\s*)(?:-[A-Za-z]*[uU]\s*|--(?:proxy-)?user[\s=]+)'[^':]+:)([^']+)"#,
    ),
    (
        "a password of a command",
        r#"((?:\bcurl\b[^|;]*?\s|^\s*)(?:-[A-Za-z]*[uU]\s*|--(?:proxy-)?user[\s=]+)"[^":]+:)([^"]+)"#,
    ),
    (
        "a password of a command",
        r#"(\bcurl\b[^|;]*?\s(?:-[A-Za-z]*[uU]\s*|--(?:proxy-)?user[\s=]+)[^\s:'"/]+:)([^\s'"/]+)"#,
    ),
    ("a password of a command", r#"(^\s*(?:-u\s*|--(?:proxy-)?user[\s=]+)[A-Za-z][^\s:'"/]*:)([^\s'"/]+)"#),
    ("a password of a command", r#"(?i)(--[a-z-]*(?:password|passwd|secret|token)\s+)([^\s'"-][^\s'"]*)"#),
    // ALTER ROLE … PASSWORD 'x', IDENTIFIED BY 'x', PASSWORD('x')
    (
        "a password in SQL",
        r"(?i)(\b(?:password|identified\s+(?:with\s+\S+\s+)?(?:by|as))[\s(]+(?:password[\s(]+)?(?:e|u&)?')((?:[^']|'')+)",
    ),
    (
        "a password in SQL",
        r#"(?i)(\b(?:password|identified\s+(?:with\s+\S+\s+)?(?:by|as))[\s(]+(?:password[\s(]+)?")([^"]+)"#,
    ),
    ("a password in SQL", r"(?i)(\bpassword\s+\$\$)([^$]+)"),
    ("a value called a secret", concat!(named!(), r"(?:\s*=|:)\**\s*')([^']{4,})")),
    ("a value called a secret", concat!(named!(), r#"(?:\s*=|:)\**\s*")([^"]{4,})"#)),
    ("a value called a secret", concat!(named!(), r"\s*[=:]\**\s*`)([^\s`]{4,})")),
    ("a value called a secret", concat!(named!(), r#"\s*[=:]\**\s*)([^\s"'*`][^\s"'`,;]{3,})"#)),
];

/// What stands for a secret without being one. `$name` is only that where a shell would put something in its place.
const PLACEHOLDERS: &str = r"^(?:\$[A-Z_][A-Z0-9_]*|\$[0-9]+|\$[{(].*|<.*|\{.*|\[.*|%.*|:[A-Za-z_]\w*|[*xX.…]+)$";
const VARIABLE: &str = r"^\$[A-Za-z_]\w*$";

static COMPILED: LazyLock<Vec<(&str, Regex)>> =
    LazyLock::new(|| PATTERNS.iter().filter_map(|(what, one)| Some((*what, Regex::new(one).ok()?))).collect());

static STANDS_FOR: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PLACEHOLDERS).ok());
static EXPANDS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(VARIABLE).ok());

/// The text with its secrets taken out, line by line, and for each its line (1-based) and what it was.
pub fn remove(text: &str) -> (String, Vec<(usize, String)>) {
    let mut found = Vec::new();
    let mut key = false;
    let lines: Vec<String> = text
        .split('\n')
        .enumerate()
        .map(|(n, line)| {
            // The body of a key is as secret as its first line.
            if key {
                key = !line.contains("-----END");
                return if line.trim().is_empty() { line.to_owned() } else { REMOVED.to_owned() };
            }
            key = line.contains("PRIVATE KEY-----") && line.contains("BEGIN") && !line.contains("-----END");
            clean(line, n + 1, &mut found)
        })
        .collect();
    (lines.join("\n"), found)
}

fn clean(line: &str, number: usize, found: &mut Vec<(usize, String)>) -> String {
    let mut line = line.to_owned();
    for (what, pattern) in COMPILED.iter() {
        let mut hits = 0;
        let cleaned = pattern.replace_all(&line, |captures: &Captures<'_>| {
            let (whole, before, secret) = (&captures[0], &captures[1], &captures[2]);
            if is_placeholder(secret, before.ends_with('\'')) {
                return whole.to_owned();
            }
            hits += 1;
            let tail = whole.get(before.len() + secret.len()..).unwrap_or_default();
            format!("{before}{REMOVED}{tail}")
        });
        let cleaned = cleaned.into_owned();
        if hits > 0 {
            found.push((number, (*what).to_owned()));
            line = cleaned;
        }
    }
    line
}

/// `quoted`: in single quotes, in which a shell leaves everything as it stands.
fn is_placeholder(text: &str, quoted: bool) -> bool {
    let is = |pattern: &Option<Regex>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(text));
    // Behind the first line of a key nothing more may stand.
    text == REMOVED || is(&STANDS_FOR) || (!quoted && is(&EXPANDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_are_named() {
        for (line, kept) in [
            ("psql postgres://app:hunter2@db1/app", "psql postgres://app:REMOVED-SECRET@db1/app"),
            ("export PGPASSWORD=hunter22", "export PGPASSWORD=REMOVED-SECRET"),
            ("mysql -u root -pSuperS3cret shop", "mysql -u root -pREMOVED-SECRET shop"),
            ("-H 'Authorization: Bearer abcdefgh12345'", "-H 'Authorization: Bearer REMOVED-SECRET'"),
            ("token: ghp_abcdefghij0123456789", "token: REMOVED-SECRET"),
            ("ALTER ROLE app PASSWORD 'hunter22';", "ALTER ROLE app PASSWORD 'REMOVED-SECRET';"),
            ("create role app login password E'it''s'", "create role app login password E'REMOVED-SECRET'"),
            (
                "alter user app with encrypted password $$hunter22$$",
                "alter user app with encrypted password $$REMOVED-SECRET$$",
            ),
            ("CREATE USER app IDENTIFIED BY 'hunter22';", "CREATE USER app IDENTIFIED BY 'REMOVED-SECRET';"),
            (
                "create user a identified with caching_sha2_password by \"hunter22\"",
                "create user a identified with caching_sha2_password by \"REMOVED-SECRET\"",
            ),
            ("curl -fsS -u app:hunter22 https://h/x", "curl -fsS -u app:REMOVED-SECRET https://h/x"),
            ("curl --user 'app:two words' https://h/x", "curl --user 'app:REMOVED-SECRET' https://h/x"),
            ("  -u app:hunter22 \\", "  -u app:REMOVED-SECRET \\"),
            ("psql postgres://app:p@ss@db1/app", "psql postgres://app:REMOVED-SECRET@db1/app"),
            ("redis://:hunter22@cache:6379/0", "redis://:REMOVED-SECRET@cache:6379/0"),
            ("export PGPASSWORD='$ecret99'", "export PGPASSWORD='REMOVED-SECRET'"),
            ("export PGPASSWORD=$ecret99!", "export PGPASSWORD=REMOVED-SECRET"),
            ("**Password:** hunter22", "**Password:** REMOVED-SECRET"),
            ("Password: `hunter22`", "Password: `REMOVED-SECRET`"),
            ("PGPASSWORD='correct horse' psql", "PGPASSWORD='REMOVED-SECRET' psql"),
            ("tool --password hunter22 --now", "tool --password REMOVED-SECRET --now"),
        ] {
            let (text, found) = remove(line);
            assert_eq!(text, kept);
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert_eq!(found[0].0, 1, "{line}");
        }
        let (text, found) = remove("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----\nb");
        assert!(!text.contains("MIIabc") && text.ends_with("\nb") && found.len() == 1, "{text}");
    }

    #[test]
    fn names_of_secrets_stay() {
        for line in [
            "psql $DATABASE_URL",
            "PGPASSWORD=$PW psql",
            "token: ${{ secrets.TOKEN }}",
            "postgres://user:<password>@h/d",
            "postgres://user:$PGPASSWORD@h/d",
            "postgres://user:${X}@h/d",
            "postgres://h:5432/d?user=a@b",
            "postgres://user:***@h/d",
            "export PGPASSWORD='$DB_PASSWORD'",
            "export PGPASSWORD=\"$db_password\"",
            "PGPASSWORD=$(cat /run/secrets/pw) psql",
            "ALTER ROLE app PASSWORD '<password>';",
            "ALTER ROLE app PASSWORD :'new_password';",
            "ALTER ROLE app PASSWORD '${X}';",
            "ALTER ROLE app PASSWORD NULL;",
            "update users set password = :password where id = $1",
            "IDENTIFIED BY '****'",
            "curl -u \"$USER:$PASS\" https://h/x",
            "curl -u user:${X} https://h/x",
            "curl -sS https://h:8080/x",
            "docker run \\\n  -u 1000:1000 \\",
            "password: <ask Bob>",
        ] {
            assert_eq!(remove(line), (line.to_owned(), Vec::new()));
        }
    }
}
