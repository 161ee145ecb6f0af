//! Passwords that stand in the runbook for everybody to read.

use std::ops::Range;

use toml::de::DeTable;

use crate::runbook::parse::{Notes, every_text};

const HINT: &str =
    "name it instead: \"env:NAME\", \"file:PATH\" or \"cmd:…\"; and change the password, it was written down";

/// Notes every address with a password in it, and hides the password from what is shown.
pub(in crate::runbook) fn passwords(notes: &Notes<'_>, table: &DeTable<'_>) {
    for text in every_text(table) {
        for secret in secrets(&text.text) {
            notes.hide(notes.span_of(&text, secret.clone()));
            notes.within(&text, secret, "a password in plain text", HINT);
        }
    }
}

/// Bytes of the passwords in addresses: `scheme://user:password@…` and `?password=…`.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let rest = &text[start..];
        let end = rest.find(|c: char| c.is_whitespace() || "/?#'\"<>".contains(c)).unwrap_or(rest.len());
        let authority = &rest[..end];
        if let Some((user, _)) = authority.rsplit_once('@')
            && let Some(colon) = user.find(':')
            && is_literal(&user[colon + 1..])
        {
            found.push(start + colon + 1..start + user.len());
        }
        let address = rest.find(char::is_whitespace).map_or(rest, |end| &rest[..end]);
        found.extend(parameters(address).into_iter().map(|range| start + range.start..start + range.end));
    }
    found
}

fn parameters(address: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for key in ["password=", "sslpassword=", "passwd="] {
        for (at, _) in address.match_indices(key) {
            let before = address[..at].chars().last();
            if !matches!(before, Some('?' | '&')) {
                continue;
            }
            let start = at + key.len();
            let end = address[start..].find(['&', '#', '\'', '"']).map_or(address.len(), |end| start + end);
            if is_literal(&address[start..end]) {
                found.push(start..end);
            }
        }
    }
    found
}

/// An empty password is none, and a shell variable is a name.
fn is_literal(password: &str) -> bool {
    !password.is_empty() && !password.starts_with('$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        secrets(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn finds_passwords_and_nothing_else() {
        assert_eq!(found("postgres://u:secret@h/db"), ["secret"]);
        assert_eq!(found("postgres://u:p@ss@h/db"), ["p@ss"]);
        assert_eq!(found("psql postgres://u:$PW@h/db"), Vec::<&str>::new());
        assert_eq!(found("postgres://u@h/db?password=x&a=b"), ["x"]);
        assert_eq!(found("http://127.0.0.1:9090/x?user=a:b@c"), Vec::<&str>::new());
        assert_eq!(found("https://h/db and mailto:me@example.org"), Vec::<&str>::new());
    }
}
