//! From a position in a statement to a line of the file it came from.

use crate::run::event::Statement;

/// Line (of the file) and column (1-based characters in that line of the statement's text) of the 1-based
/// character `position`; positions behind the end point behind the last character.
pub fn locate(statement: &Statement, position: u32) -> (u32, u32) {
    let before = (position.max(1) - 1) as usize;
    let (mut line, mut column) = (statement.line, 1);
    for c in statement.sql.chars().take(before) {
        if c == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_not_bytes() {
        let statement = Statement { sql: "select 'ü',\n  nope".to_owned(), line: 7 };
        assert_eq!(locate(&statement, 1), (7, 1));
        assert_eq!(locate(&statement, 11), (7, 11));
        assert_eq!(locate(&statement, 15), (8, 3));
        assert_eq!(locate(&statement, 900), (8, 7));
        assert_eq!(locate(&statement, 0), (7, 1));
    }
}
