//! How the code of a guide is cut.

use super::*;

fn lines(text: &str) -> Vec<(usize, &str)> {
    text.lines().enumerate().map(|(n, line)| (n + 1, line)).collect()
}

fn works(units: &[Unit]) -> Vec<Work> {
    units.iter().map(|unit| unit.work.clone()).collect()
}

#[test]
fn sql_is_cut_where_a_step_begins() {
    let text = "-- Columns\nSELECT 1;\n-- Expected: 3\n\nBEGIN;\nalter table a add b int;\nalter table a add c int;\nCOMMIT;\n\nselect 2; -- Expected: 4\n";
    let units = sql_units(&lines(text));
    assert_eq!(
        works(&units),
        [
            Work::Sql("SELECT 1;".into()),
            Work::Sql("alter table a add b int;\nalter table a add c int;".into()),
            Work::Sql("select 2;".into())
        ]
    );
    assert_eq!((units[0].lead[0].as_str(), units[0].expected[0].as_str()), ("Columns", "Expected: 3"));
    assert_eq!(units[1].lines, [5, 6, 7, 8]);
    assert_eq!(units[2].expected, ["Expected: 4"]);
}

#[test]
fn commands_are_cut_and_sql_among_them_is_found() {
    let text = "# Stop\npm2 stop all\n\n# Count\npsql $DB -c \"SELECT 1;\"\nSELECT count(*)\nFROM a;\n-- Expected: 5\n\n1. Open the console\n2. Click\n";
    let units = shell_units(&lines(text));
    assert_eq!(units.len(), 4, "{units:?}");
    assert_eq!(units[0].work, Work::Shell("pm2 stop all".into()));
    assert_eq!(units[1].work, Work::Sql("SELECT 1;".into()));
    assert_eq!(units[2].expected, ["Expected: 5"]);
    assert!(matches!(&units[3].work, Work::Prose(items) if items.len() == 2));
}

#[test]
fn what_hangs_together_stays_together() {
    for text in ["cd /app\ngit pull", "F=\"a b\"\npg_dump > \"$F\"", "if true; then\n  a\n\n  b\nfi\nc"] {
        let units = shell_units(&lines(text));
        assert_eq!(works(&units), [Work::Shell(text.into())], "{text}");
    }
}
