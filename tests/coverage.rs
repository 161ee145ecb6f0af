//! `docs/coverage.md` and the runbooks say the same: every demand of the five guides has one row that answers it, every name
//! in it is there, every number in a runbook's comments is a demand, every mistake that was reproduced has its place.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use gonogo::{cli, lint, runbook};

const PAGE: &str = "docs/coverage.md";

/// A guide: the number of its demands, its runbook, its mistakes and how many of them, the first ones, were reproduced.
const GUIDES: [(&str, usize, &str, usize, usize); 5] = [
    ("S0", 83, "goalgpt-phase1", 17, 5),
    ("S1", 71, "puzzle-battle-pass", 20, 7),
    ("S2", 86, "week1-wednesday", 18, 7),
    ("S3", 53, "cody-versioned", 20, 8),
    ("S4", 44, "exports-type-fix", 18, 7),
];
const MISTAKES_OF_ALL: usize = 4;
const MUST_HAVES: usize = 15;

/// What the page may name.
struct Facts {
    /// Each runbook's steps, triggers, …, as the page writes them.
    parts: BTreeMap<&'static str, BTreeSet<String>>,
    commands: BTreeSet<String>,
    cases: BTreeSet<String>,
}

impl Facts {
    fn gather() -> Self {
        let cases = fs::read_dir("tests/lint").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let of_a_guide =
            |case: &String| GUIDES.iter().any(|guide| case.starts_with(&format!("{}-", guide.0.to_lowercase())));
        Self {
            parts: GUIDES.iter().map(|guide| (guide.2, parts(guide.2))).collect(),
            commands: cli::Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect(),
            cases: cases.filter(of_a_guide).collect(),
        }
    }
}

fn parts(book: &str) -> BTreeSet<String> {
    let path = Path::new("runbooks").join(book);
    let book = runbook::load(&path, &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems}"));
    let steps = book.steps().chain(book.rollbacks.iter().flat_map(|plan| &plan.steps)).map(|step| step.id.0.clone());
    let mut all: BTreeSet<String> = steps.collect();
    all.extend(book.triggers.iter().map(|trigger| format!("trigger:{}", trigger.id)));
    all.extend(book.probes.iter().map(|probe| format!("probe:{}", probe.id)));
    all.extend(book.phases.iter().map(|phase| format!("phase:{}", phase.id)));
    all.extend(book.rollbacks.iter().map(|plan| format!("plan:{}", plan.id)));
    all.extend(book.criteria.iter().map(|criterion| format!("criterion:{}", criterion.title)));
    all.extend(book.followups.iter().map(|followup| format!("followup:{}", followup.title)));
    all
}

/// The rows of the page's tables: cells without the signs around them.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = page.lines().filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'));
    lines.map(|line| line.split('|').map(str::trim).collect())
}

/// The ids that a first cell names: `S2.44`, `S2.44-S2.46`, `F0.3`, `M7`. None where it names no id.
fn ids(cell: &str) -> Option<Vec<String>> {
    let one = |text: &str| {
        let (family, n) = text.split_at(text.rfind(|c: char| !c.is_ascii_digit())? + 1);
        let known = ["F.", "M"].contains(&family)
            || (0..GUIDES.len()).any(|n| family == format!("S{n}.") || family == format!("F{n}."));
        Some((known.then_some(family)?.to_owned(), n.parse::<usize>().ok()?))
    };
    let (first, last) = cell.split_once(['-', '–']).unwrap_or((cell, cell));
    let ((family, from), (end, to)) = (one(first.trim())?, one(last.trim())?);
    (family == end).then(|| (from..=to).map(|n| format!("{family}{n}")).collect())
}

/// Every id that must have a row.
fn wanted() -> BTreeSet<String> {
    let mut all: BTreeSet<String> = (1..=MISTAKES_OF_ALL).map(|n| format!("F.{n}")).collect();
    all.extend((1..=MUST_HAVES).map(|n| format!("M{n}")));
    for (g, guide) in GUIDES.iter().enumerate() {
        all.extend((1..=guide.1).map(|n| format!("{}.{n}", guide.0)));
        all.extend((1..=guide.3).map(|n| format!("F{g}.{n}")));
    }
    all
}

/// All that is wrong with the page.
fn problems(page: &str, facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for cells in rows(page) {
        let Some(ids) = ids(cells[0]) else { continue };
        if cells.len() < 3 || cells.iter().any(|cell| cell.is_empty()) {
            wrong.push(format!("{}: a cell is empty", cells[0]));
        }
        wrong.extend(ids.iter().filter(|id| !seen.insert((*id).clone())).map(|id| format!("{id} stands twice")));
        wrong.extend(unanswered(&cells).map(|what| format!("{}: {what}", cells[0])));
    }
    wrong.extend(wanted().difference(&seen).map(|id| format!("{id} is missing")));
    wrong.extend(seen.difference(&wanted()).map(|id| format!("{id} is no demand")));
    wrong.extend(quoted(page).filter_map(|name| unknown(name, facts)));
    wrong.extend(links(page).filter_map(dead));
    wrong.extend(miscounted(page));
    wrong.extend(mistakes(page, facts));
    wrong
}

/// A row that answers nothing: no name that is checked, no link, no reason.
fn unanswered(cells: &[&str]) -> Option<&'static str> {
    let answer = cells.get(2)?;
    let has_reason = |word: &str| answer.strip_prefix(word).is_some_and(|why| why.trim().len() > 10);
    if answer.starts_with("not covered") {
        let ways = ["not covered: ", "not covered by a rule: ", "not covered by a rule; "];
        return (!ways.into_iter().any(has_reason)).then_some("without a reason");
    }
    let named =
        quoted(answer).any(|name| name.contains(['/', ':']) || name.starts_with("gonogo ")) || answer.contains("](");
    if !named {
        return Some("names nothing");
    }
    (answer.starts_with("in part") && !answer.contains("; ")).then_some("does not say what is missing")
}

/// What stands in backticks. A page without a fence, so line by line.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Why a name in backticks is wrong. Names of keys and the like are not looked at.
fn unknown(name: &str, facts: &Facts) -> Option<String> {
    let wrong = || Some(format!("`{name}` is not there"));
    if name.contains('…') || name.ends_with(":RULE") {
        return None; // How names are written.
    }
    if let Some(rule) = name.strip_prefix("lint:") {
        return if lint::rule(rule).is_some() { None } else { wrong() };
    }
    if let Some(words) = name.strip_prefix("gonogo ") {
        let command = words.split_whitespace().next().unwrap_or_default();
        return if facts.commands.contains(command) { None } else { wrong() };
    }
    let (first, rest) = name.split_once('/')?;
    match facts.parts.get(first) {
        Some(parts) if parts.contains(rest) => None,
        None if Path::new(name).exists() => None,
        _ => wrong(),
    }
}

fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Why a link leads nowhere: no file, or no such heading in it.
fn dead(link: &str) -> Option<String> {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let text = fs::read_to_string(Path::new("docs").join(file));
    let there = text.is_ok_and(|text| anchor.is_empty() || text.lines().filter_map(heading).any(|name| name == anchor));
    (!there).then(|| format!("the link {link} leads nowhere"))
}

/// The anchor of a heading.
fn heading(line: &str) -> Option<String> {
    let words = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let kept = words.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

/// By its runbook, by gonogo alone, in part, not covered.
fn kind(answer: &str) -> usize {
    match answer {
        _ if answer.starts_with("not covered") => 3,
        _ if answer.starts_with("in part") => 2,
        _ if quoted(answer).any(|name| GUIDES.iter().any(|guide| name.starts_with(&format!("{}/", guide.2)))) => 0,
        _ => 1,
    }
}

/// Where the table of numbers says something else than the rows.
fn miscounted(page: &str) -> Vec<String> {
    let mut counts = BTreeMap::<String, [usize; 4]>::new();
    for cells in rows(page).filter(|cells| cells.len() > 2 && cells[0].starts_with('S')) {
        for id in ids(cells[0]).unwrap_or_default() {
            let guide = id.split('.').next().unwrap_or_default().to_owned();
            for name in [guide, "all".to_owned()] {
                counts.entry(name).or_default()[kind(cells[2])] += 1;
            }
        }
    }
    let row = |(name, kinds): (&String, &[usize; 4])| {
        let numbers = [kinds.iter().sum::<usize>(), kinds[0], kinds[1], kinds[2], kinds[3]];
        format!("| {name} | {} |", numbers.map(|n| n.to_string()).join(" | "))
    };
    let wanted = counts.iter().map(row);
    wanted
        .filter(|row| !page.lines().any(|line| line == row))
        .map(|row| format!("the table of numbers lacks {row}"))
        .collect()
}

/// The reproduced mistakes are marked, and each has its case of the lint or the feature that refutes it.
fn mistakes(page: &str, facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    for cells in rows(page).filter(|cells| cells.len() == 4) {
        let Some((guide, n)) = cells[0].strip_prefix('F').and_then(|id| id.split_once('.')) else { continue };
        let Some(reproduced) = guide.parse::<usize>().ok().and_then(|g| Some(GUIDES.get(g)?.4)) else { continue };
        let marked = cells[1].starts_with("**[v]** ");
        if marked != n.parse::<usize>().is_ok_and(|n| n <= reproduced) {
            wrong.push(format!("{}: which mistakes were reproduced is not up to the page", cells[0]));
        }
        let found = quoted(cells[2]).any(|name| name.starts_with("tests/lint/") || name.starts_with("lint:"));
        if marked && !found {
            wrong.push(format!("{}: a reproduced mistake that nothing finds", cells[0]));
        }
    }
    let named: BTreeSet<&str> = quoted(page).filter_map(|name| name.strip_prefix("tests/lint/")).collect();
    let left = facts.cases.iter().filter(|case| !named.contains(case.as_str()));
    wrong.extend(left.map(|case| format!("tests/lint/{case} is no mistake of this page")));
    wrong
}

fn page() -> String {
    fs::read_to_string(PAGE).unwrap()
}

#[test]
fn every_demand_has_its_answer() {
    let wrong = problems(&page(), &Facts::gather());
    assert!(wrong.is_empty(), "{PAGE}:\n{}", wrong.join("\n"));
}

/// Each way in which the page can be wrong is seen.
#[test]
fn a_wrong_page_is_found_out() {
    let (page, facts) = (page(), Facts::gather());
    let row = page.lines().find(|line| line.starts_with("| S2.42 |")).unwrap();
    let proof = page.lines().find(|line| line.starts_with("| F0.1 |")).unwrap();
    let (cells, answer) = (row.trim_end_matches('|').trim_end(), row.rsplit(" | ").next().unwrap());
    let damages = [
        (format!("{row}\n"), String::new(), "S2.42 is missing"),
        (row.to_owned(), format!("{row}\n{row}"), "S2.42 stands twice"),
        (row.to_owned(), format!("{row}\n| S2.87 | x | `lint:sql-cascade` |"), "S2.87 is no demand"),
        (row.to_owned(), row.replace("| S2.42 |", "| S2.42-S2.43 |"), "S2.43 stands twice"),
        (row.to_owned(), row.replace(answer, " |"), "S2.42: a cell is empty"),
        (row.to_owned(), row.replace(answer, "it is done |"), "S2.42: names nothing"),
        (row.to_owned(), row.replace(answer, "not covered |"), "S2.42: without a reason"),
        (row.to_owned(), row.replace(answer, "in part: `lint:sql-cascade` |"), "S2.42: does not say what is missing"),
        (
            row.to_owned(),
            row.replace(answer, "not covered: nobody has asked for it |"),
            "the table of numbers lacks | S2 |",
        ),
        (
            row.to_owned(),
            row.replace("/tables-before", "/tables-bevore"),
            "`week1-wednesday/tables-bevore` is not there",
        ),
        (row.to_owned(), format!("{cells}, `nobodys/backup` |"), "`nobodys/backup` is not there"),
        (
            row.to_owned(),
            format!("{cells}, `week1-wednesday/trigger:tables-before` |"),
            "trigger:tables-before` is not there",
        ),
        (row.to_owned(), format!("{cells}, `lint:sql-cascades` |"), "`lint:sql-cascades` is not there"),
        (row.to_owned(), format!("{cells}, `gonogo reherse` |"), "`gonogo reherse` is not there"),
        (row.to_owned(), format!("{cells}, [x](language.md#no-such) |"), "the link language.md#no-such leads nowhere"),
        (row.to_owned(), format!("{cells}, [x](languages.md) |"), "the link languages.md leads nowhere"),
        (proof.to_owned(), proof.replace("**[v]** ", ""), "F0.1: which mistakes were reproduced"),
        (format!("{proof}\n"), String::new(), "s0-restore-clean-over-migrated is no mistake of this page"),
    ];
    for (old, new, said) in damages {
        assert!(page.contains(&old), "{old}");
        let wrong = problems(&page.replacen(&old, &new, 1), &facts);
        assert!(wrong.iter().any(|wrong| wrong.contains(said)), "wanted {said}, got {wrong:?}");
    }
}

/// `S2.44-S2.46` and `S2.44` are three demands and one.
#[test]
fn ranges_are_read() {
    assert_eq!(ids("S2.44-S2.46").unwrap(), ["S2.44", "S2.45", "S2.46"]);
    assert_eq!(ids("S2.44 – S2.45").unwrap(), ["S2.44", "S2.45"]);
    assert_eq!(ids("F.3").unwrap(), ["F.3"]);
    assert_eq!((ids("Id"), ids("S2"), ids("S9.1"), ids("S2.1-S3.2")), (None, None, None, None));
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_of(&path)) } else { files.push(path) }
    }
    files
}

/// The demands that a text names: `S2.42`. A `S2.n` is none.
fn named(text: &str) -> impl Iterator<Item = String> {
    text.match_indices('S').filter_map(|(at, _)| {
        let (guide, rest) = text[at..].split_once('.')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let is_guide = guide.len() == 2 && guide.as_bytes()[1].is_ascii_digit();
        let begins = !text[..at].ends_with(|c: char| c.is_alphanumeric());
        (is_guide && begins && digits > 0).then(|| format!("{guide}.{}", &rest[..digits]))
    })
}

/// What a runbook claims to answer is a demand of its own guide, and the page does not say that nothing answers it.
#[test]
fn numbers_in_runbooks_are_demands() {
    let (page, wanted) = (page(), wanted());
    let denied: BTreeSet<String> = rows(&page)
        .filter(|cells| cells.len() == 3 && kind(cells[2]) == 3)
        .flat_map(|cells| ids(cells[0]).unwrap_or_default())
        .collect();
    for (guide, _, book, ..) in GUIDES {
        let mut seen = BTreeSet::new();
        for file in files_of(&Path::new("runbooks").join(book)) {
            for id in named(&fs::read_to_string(&file).unwrap()) {
                let is_own = id.split('.').next() == Some(guide);
                assert!(is_own && wanted.contains(&id), "{}: {id} is no demand of {guide}", file.display());
                if file.ends_with("runbook.toml") {
                    seen.insert(id);
                }
            }
        }
        assert!(seen.len() > 20, "{book} names only {seen:?}");
        let both: Vec<&String> = seen.intersection(&denied).collect();
        assert!(both.is_empty(), "{book} answers what {PAGE} calls not covered: {both:?}");
    }
    assert_eq!(named("# S2.4 S2.44: as S2.n, XS2.3 and S2.x").collect::<Vec<_>>(), ["S2.4", "S2.44"]);
}
