//! Secrets in a guide: taken out before anything is copied, and named by their line.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands in a secret's place.
pub const REMOVED: &str = "REMOVED-SECRET";

/// A pattern with the secret in its last group; what is before it is kept.
const PATTERNS: &[(&str, &str)] = &[
    ("a password in an address", r"([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]+:)([^\s@/]+)(?:@)"),
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
    (
        "a value called a secret",
        r#"(?i)(\b[a-z0-9_]*(?:password|passwd|secret|api[_-]?key|access[_-]?key|token)["']?\s*[=:]\s*["']?)([^\s"'$<{*`][^\s"'`,;]{3,})"#,
    ),
];

static COMPILED: LazyLock<Vec<(&str, Regex)>> =
    LazyLock::new(|| PATTERNS.iter().filter_map(|(what, one)| Some((*what, Regex::new(one).ok()?))).collect());

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
            let secret = &captures[2];
            if is_placeholder(secret) {
                return captures[0].to_owned();
            }
            hits += 1;
            let tail = captures[0].rsplit(secret).next().unwrap_or_default().to_owned();
            format!("{}{REMOVED}{tail}", &captures[1])
        });
        let cleaned = cleaned.into_owned();
        if hits > 0 {
            found.push((number, (*what).to_owned()));
            line = cleaned;
        }
    }
    line
}

/// What stands for a secret without being one.
fn is_placeholder(text: &str) -> bool {
    let named = text.starts_with(['$', '<', '{', '[', '%']) || text == REMOVED;
    // Behind the first line of a key nothing more may stand.
    named || !text.is_empty() && text.chars().all(|c| matches!(c, '*' | 'x' | 'X' | '.' | '…'))
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
        ] {
            let (text, found) = remove(line);
            assert_eq!(text, kept);
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
        ] {
            assert_eq!(remove(line), (line.to_owned(), Vec::new()));
        }
    }
}
