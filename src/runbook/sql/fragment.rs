//! A piece of SQL that is set into a statement of ours: it must not reach beyond its place.

use super::{Dialect, Finding, Kind, Token, tokens};

/// What is wrong with a condition or a list of assignments.
pub fn fragment(text: &str, dialect: Dialect) -> Option<Finding> {
    let mut depth = 0_u32;
    let mut words = false;
    for Token { kind, start, end, ends } in tokens(text, dialect) {
        let found = |message: &str, hint: &str| {
            Some(Finding { at: start..end, message: message.to_owned(), hint: hint.to_owned() })
        };
        words |= !matches!(kind, Kind::Blank | Kind::Comment);
        match kind {
            _ if !ends => return found("a quoted text or comment that starts here never ends", "close it"),
            Kind::Semicolon => {
                return found("a semicolon has no place here: this becomes part of one statement", "take it out");
            }
            Kind::Open => depth += 1,
            Kind::Close if depth == 0 => return found("this parenthesis closes nothing", "take it out"),
            Kind::Close => depth -= 1,
            _ => {}
        }
    }
    let all = |message: &str, hint: &str| {
        Some(Finding { at: 0..text.len(), message: message.to_owned(), hint: hint.to_owned() })
    };
    match (depth, words) {
        (_, false) => all("there is no SQL in it", "write something, or leave the line out"),
        (0, true) => None,
        (_, true) => all("a parenthesis is not closed", "close it"),
    }
}

/// True where a list of assignments gives `column` (without quotes) a new value.
pub fn assigns(set: &str, column: &str, dialect: Dialect) -> bool {
    let mut depth = 0_u32;
    // The names on the left of an assignment: those since the last comma outside of parentheses that no value began.
    let mut targets: Vec<String> = Vec::new();
    let mut value = false;
    for Token { kind, start, end, .. } in tokens(set, dialect) {
        let text = &set[start..end];
        match kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Word if !value => targets.push(text.to_lowercase()),
            Kind::Quoted if !value => targets.push(text.trim_matches('"').replace("\"\"", "\"")),
            Kind::Other if text == "," && depth == 0 => {
                value = false;
                targets.clear();
            }
            Kind::Other if text == "=" && depth == 0 && !value => {
                if targets.iter().any(|target| target == column) {
                    return true;
                }
                value = true;
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_beyond_its_place_is_found() {
        for good in ["a is null", "a in (1, (2))", "a = ';' -- note", "x = $$ ) $$", "/* ( */ a"] {
            assert_eq!(fragment(good, Dialect::Postgres), None, "{good}");
        }
        for bad in ["", " -- only this", "a) or (b", "(a", "a; drop table t", "a = 'x", "a /* b"] {
            assert!(fragment(bad, Dialect::Postgres).is_some(), "{bad}");
        }
    }

    #[test]
    fn assignments_of_the_key_are_found() {
        for set in ["id = 1", "a = 1, ID = 2", "a = f(x, y), \"id\" = 3", "(a, id) = (1, 2)"] {
            assert!(assigns(set, "id", Dialect::Postgres), "{set}");
        }
        for set in ["a = id", "a = id = 2", "ids = 1", "a = (select id from b where b.id = c), d = 1", "\"ID\" = 1"] {
            assert!(!assigns(set, "id", Dialect::Postgres), "{set}");
        }
    }
}
