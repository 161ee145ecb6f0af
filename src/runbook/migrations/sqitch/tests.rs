//! Plans of sqitch. The ids are those that sqitch 1.3.1 gave to this very plan (`sqitch plan --format 'format:%H %n'`).

use super::super::{Tool, read};
use super::*;

const TEXT: &str = r#"%syntax-version=1.0.0
%project=shop
%uri=https://example.test/shop/

users 2026-11-21T14:35:28Z Ada Engineer <ada@example.test> # Adds users; with a \\ and "quotes" é
orders [users] 2026-11-21T14:35:28Z Ada Engineer <ada@example.test> # Adds orders
@v1.0 2026-11-21T14:35:29Z Ada Engineer <ada@example.test> # First
users [users@v1.0] 2026-11-21T14:35:29Z Ada Engineer <ada@example.test> # More of users
views [users orders@v1.0] 2026-11-21T14:35:30Z Ada Engineer <ada@example.test> # Views
idx [@v1.0] 2026-11-21T14:35:30Z Ada Engineer <ada@example.test> # multi\n\nline
"#;
const SCRIPTS: [&str; 5] = ["users@v1.0", "orders", "users", "views", "idx"];

fn file(name: &str, text: &str) -> File {
    File { name: name.to_owned(), path: format!("db/{name}"), text: text.to_owned() }
}

fn project(plan: &str) -> Vec<File> {
    let scripts = SCRIPTS.iter().flat_map(|name| {
        ["deploy", "revert", "verify"].map(|way| file(&format!("{way}/{name}.sql"), "begin;\nselect 1;\ncommit;\n"))
    });
    [file(PLAN, plan)].into_iter().chain(scripts).collect()
}

fn wrong(plan: &str) -> String {
    let flaws = read(Tool::Sqitch, &project(plan)).unwrap_err();
    flaws.into_iter().map(|flaw| format!("{}\n", flaw.message)).collect()
}

#[test]
fn ids_are_those_of_sqitch() {
    let all = read(Tool::Sqitch, &project(TEXT)).unwrap();
    let found: Vec<(&str, &str)> = all.iter().map(|one| (one.version.as_str(), one.script.as_str())).collect();
    let wanted = [
        ("d3ffad44ba329a05b5e48ac4d79eb047d18d7e37", "deploy/users@v1.0.sql"),
        ("6f0ca22ba24225682a35ebd9eb66a383af086b27", "deploy/orders.sql"),
        ("2a20163e05793b59bbcb8443caac53f6d9795197", "deploy/users.sql"),
        ("f4d2027c435e0d95a54fd34a5b274f1af7cad613", "deploy/views.sql"),
        ("0c16dd69070838f24e5e036856eb9cbf4e8c0b4f", "deploy/idx.sql"),
    ];
    assert_eq!(found, wanted);
    let planned = |n: usize| all[n].planned.as_ref().unwrap();
    assert_eq!(planned(1).tags[0].id, "4ec92de6666edc60c902b053183623fb133264d8");
    // A name without a tag is the first of that name.
    let needs: Vec<&str> = planned(3).requires.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(needs, [wanted[0].0, wanted[1].0]);
    assert_eq!(planned(4).requires, [("@v1.0".to_owned(), wanted[1].0.to_owned())]);
    assert_eq!(planned(0).stamp.note, "Adds users; with a \\ and \"quotes\" é");
    assert_eq!(planned(4).stamp.note, "multi\n\nline");
    let verify = all[0].verify.as_ref().unwrap();
    assert_eq!((verify.path.as_str(), verify.transaction), ("db/verify/users@v1.0.sql", true));
}

#[test]
fn what_is_wrong_with_a_plan_is_said_with_its_line() {
    let with = |line: &str| format!("{TEXT}{line}\n");
    let stamp = "2026-11-21T14:35:30Z Ada Engineer <ada@example.test>";
    for (plan, words) in [
        (TEXT.replace("%project=shop\n", ""), "there is no line %project=NAME"),
        (with("late"), "`late` has no time"),
        (with("late 2026-11-21T14:35:30Z"), "`late` has no planner"),
        (with("late 2026-13-21T14:35:30Z Ada <a@b>"), "`late` has no time"),
        (with(&format!("late [users {stamp}")), "`[` without `]`"),
        (with(&format!("late [soon] {stamp}")), "`soon` is required and stands nowhere before"),
        (with(&format!("late [users@v2] {stamp}")), "`users@v2` is required and stands nowhere before"),
        (with(&format!("late [bank:users] {stamp}")), "belongs to another project"),
        (with(&format!("late [!users] {stamp}")), "it conflicts with `users`"),
        (with(&format!("late [@HEAD] {stamp}")), "names no change in a way that is followed here"),
        (with(&format!("views {stamp}")), "`views` stands twice without a tag between"),
        (with(&format!("../up {stamp}")), "`../up` is not a name"),
        (with(&format!("-users {stamp}")), "a plan that takes back is not followed"),
        (with(&format!("late {stamp}")), "there is no deploy/late.sql"),
        (TEXT.replace("https://example.test/shop/", "HTTP://Example.test"), "may be read in several ways"),
        (format!("%project=shop\n@v1 {stamp}\n"), "the tag @v1 has no change before it"),
        (String::new(), "there is no line %project=NAME"),
    ] {
        assert!(wrong(&plan).contains(words), "{words}: {}", wrong(&plan));
    }
    let plan = with("late");
    let flaws = read(Tool::Sqitch, &project(&plan)).unwrap_err();
    assert_eq!((flaws[0].path.as_deref(), &plan[flaws[0].at.clone()]), (Some("db/sqitch.plan"), "late"));
    let flaws = read(Tool::Sqitch, &[]).unwrap_err();
    assert!(flaws[0].message.contains("no sqitch.plan"), "{flaws:?}");
}

/// A conflict with what comes later, or never, is kept; the project's own name before a change is left out.
#[test]
fn needs_in_their_other_forms() {
    let stamp = "2026-11-21T14:35:30Z Ada Engineer <ada@example.test>";
    let plan = TEXT.replace("idx [@v1.0]", "idx [shop:users !never]");
    let all = read(Tool::Sqitch, &project(&plan)).unwrap();
    let planned = all[4].planned.as_ref().unwrap();
    assert_eq!(planned.requires[0].0, "users");
    assert_eq!(planned.conflicts, ["never"]);
    let plan = format!("%project=a\n\n+ users {stamp}\n\torders {stamp}#x\n# words\n");
    assert_eq!(read(Tool::Sqitch, &project(&plan)).unwrap().len(), 2);
}
