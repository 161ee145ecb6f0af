//! A line that calls psql, where it is certain what it sends.

/// What a call of psql comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Sql(String),
    File(String),
    /// It only opens a session: the target does that.
    Session,
}

/// None: not a call of psql, or one that does more than can be read from it.
pub fn call(command: &str) -> Option<Call> {
    let (head, heredoc) = heredoc(command)?;
    let words = words(&head)?;
    let (program, rest) = words.split_first()?;
    if program.text != "psql" {
        return None;
    }
    let mut sent = Vec::new();
    let mut file = None;
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let text = word.text.as_str();
        let mut value =
            |inline: Option<&str>| inline.map(str::to_owned).or_else(|| rest.next().map(|next| next.text.clone()));
        match text {
            "-c" | "--command" => sent.push(value(None)?),
            "-f" | "--file" | "<" => file = Some(value(None)?),
            "-d" | "--dbname" => outside(&value(None)?)?,
            "-h" | "-U" | "-p" | "-v" | "--host" | "--username" | "--port" | "--set" => drop(value(None)?),
            "-X" | "-q" | "-1" | "-w" | "-W" | "--single-transaction" | "--no-psqlrc" | "--quiet" => {}
            _ if text.starts_with("--") => match text.split_once('=')? {
                ("--command", sql) => sent.push(sql.to_owned()),
                ("--file", path) => file = Some(path.to_owned()),
                ("--dbname", name) => outside(name)?,
                ("--host" | "--username" | "--port" | "--set", _) => {}
                _ => return None,
            },
            _ if text.starts_with('-') => return None,
            name => outside(name)?,
        }
    }
    match (sent.is_empty(), file, heredoc) {
        (false, None, None) => Some(Call::Sql(sent.join(";\n"))).filter(|_| !sent.iter().any(|sql| sql.contains('$'))),
        (true, Some(path), None) => (!path.contains(['$', '`', '~', '*'])).then_some(Call::File(path)),
        (true, None, Some(body)) => (!body.contains(['$', '`'])).then_some(Call::Sql(body)),
        (true, None, None) => Some(Call::Session),
        _ => None,
    }
}

/// What is done in the server's own databases is not done in the target.
fn outside(name: &str) -> Option<()> {
    (!matches!(name, "postgres" | "template0" | "template1")).then_some(())
}

/// The command's first line, and what is handed to it below.
fn heredoc(command: &str) -> Option<(String, Option<String>)> {
    let Some((head, rest)) = command.split_once("<<") else {
        return Some((command.replace("\\\n", " "), None));
    };
    let (mark, body) = rest.split_once('\n')?;
    let mark = mark.trim_start_matches('-').trim().trim_matches(['\'', '"']);
    let plain = !mark.is_empty() && mark.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let (body, after) = body.rsplit_once('\n')?;
    (plain && after.trim() == mark).then(|| (head.to_owned(), Some(body.to_owned())))
}

struct Word {
    text: String,
}

/// The words of a simple command. None: it is more than one.
fn words(command: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        '`' => return None,
                        c => word.push(c),
                    }
                }
            }
            '|' | '&' | ';' | '`' | '(' | ')' | '>' => return None,
            '<' => {
                words.extend(word.take().map(|text| Word { text }));
                words.push(Word { text: "<".into() });
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c if c.is_whitespace() => words.extend(word.take().map(|text| Word { text })),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.map(|text| Word { text }));
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certain_calls_are_read() {
        let sql = |text: &str| Some(Call::Sql(text.into()));
        assert_eq!(call("psql $DB -c \"SELECT 1;\""), sql("SELECT 1;"));
        assert_eq!(call("psql -h h -U u -d app -c \"\n  SELECT 1\n\""), sql("\n  SELECT 1\n"));
        assert_eq!(call("psql -d app << EOF\nSELECT 1;\nEOF"), sql("SELECT 1;"));
        assert_eq!(call("psql -d app -f m.sql"), Some(Call::File("m.sql".into())));
        assert_eq!(call("psql $DB < m.sql"), Some(Call::File("m.sql".into())));
        assert_eq!(call("psql -h $H -U $U"), Some(Call::Session));
    }

    #[test]
    fn uncertain_calls_stay_commands() {
        for command in [
            "psql -d postgres -c 'drop database x'",
            "psql -c 'select 1' | grep 1",
            "psql -c \"select '$X'\"",
            "psql -f \"$FILE\"",
            "psql -tA -c 'select 1'",
            "psql -c 'select 1' || exit 1",
            "pg_dump -d app",
            "psql -c 'open",
        ] {
            assert_eq!(call(command), None, "{command}");
        }
    }
}
