//! `gonogo init`: a few questions, or flags instead of them, and a commented runbook around a folder of SQL files.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr as _;

use crate::app::{Done, Stop, code, drafted, say, say_bytes};
use crate::cli::InitArgs;
use crate::draft::init::{Answers, SqlFile, runbook};
use crate::draft::slug;
use crate::run::clean;
use crate::run::words::plural;
use crate::runbook::{self, RUNBOOK_BYTES};

/// SQL files of a folder, at most.
const FILES: usize = 500;

pub fn init(args: &InitArgs) -> Done {
    drafted::free(&args.folder)?;
    let asks = !args.yes;
    if asks && !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        let words = "there is no terminal to ask on; say --yes, and --title, --id, --env, --url-env, --lasts, --from where \
                     the defaults do not fit";
        return Err(Stop::new(code::USAGE, words));
    }
    let ask = Ask { asks };
    let name = whole(&args.folder).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let title = ask.text("What is it called?", args.title.as_deref(), &titled(&name), |_| Ok(()))?;
    let by_title = Some(slug(&title)).filter(|id| !id.is_empty()).unwrap_or_else(|| "window".into());
    let id = ask.text("Its id?", args.id.as_deref(), &by_title, is_id)?;
    let environment = ask.text("Which environment, staging or production?", args.env.as_deref(), "staging", is_id)?;
    let default = format!("{}_DATABASE_URL", environment.to_uppercase().replace('-', "_"));
    let question = "Which environment variable holds the database's address?";
    let variable = ask.text(question, args.url_env.as_deref(), &default, is_variable)?;
    let lasts = ask.text("How long does the window last?", args.lasts.as_deref(), "2h", is_length)?;
    let default = args.folder.join("sql");
    let default = if default.is_dir() { "sql" } else { "" };
    let from = ask.text(
        "Folder of SQL files, inside the runbook's (empty: none)?",
        args.from.as_deref(),
        default,
        |_| Ok(()),
    )?;
    let files = if from.is_empty() { Vec::new() } else { files(&args.folder, &from)? };
    let protected = environment.starts_with("prod");
    let answers = Answers { title, id, protected, environment, variable, lasts, files };
    drafted::folder(&args.folder)?;
    let (schema, schema_file) = drafted::schema_line(&args.folder);
    let file = drafted::write(&args.folder, &runbook(&answers, &schema), schema_file)?;
    let shown = clean::line(&file.to_string_lossy(), 400);
    match runbook::load(&file, &Default::default()) {
        Ok(book) => say(&format!("{shown}: written · {}", plural(book.steps().count() as u64, "step"))),
        Err(problems) => {
            say_bytes(problems.render(super::terminal::colour_on_stdout()).as_bytes());
            return Ok(code::BAD_RUNBOOK);
        }
    }
    let typed = drafted::typed(&file);
    say(&format!("next: read it, then gonogo check {typed} and gonogo plan {typed} --env {}", answers.environment));
    Ok(code::DONE)
}

/// The folder with its name, also where it is `.` or not there yet.
fn whole(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

/// `add-currency` as `Add currency`.
fn titled(name: &str) -> String {
    let words = name.replace(['-', '_'], " ");
    let mut chars = words.trim().chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => "Maintenance window".to_owned(),
    }
}

struct Ask {
    asks: bool,
}

impl Ask {
    /// The flag's value, or what is typed, or the default.
    fn text(
        &self,
        question: &str,
        flag: Option<&str>,
        default: &str,
        fits: impl Fn(&str) -> Result<(), String>,
    ) -> Result<String, Stop> {
        if let Some(flag) = flag {
            return fits(flag)
                .map(|()| flag.to_owned())
                .map_err(|why| Stop::new(code::USAGE, format!("`{flag}`: {why}")));
        }
        if !self.asks {
            return Ok(default.to_owned());
        }
        loop {
            let shown = if default.is_empty() { String::new() } else { format!(" [{}]", clean::line(default, 100)) };
            say_bytes(format!("{question}{shown} ").as_bytes());
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line).map_err(Stop::internal)?;
            if read == 0 {
                return Err(Stop::new(code::USAGE, "the questions were not answered; nothing was written"));
            }
            let typed = line.trim();
            let value = if typed.is_empty() { default } else { typed };
            match fits(value) {
                Ok(()) => return Ok(value.to_owned()),
                Err(why) => say(&format!("  {why}")),
            }
        }
    }
}

fn is_id(text: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    (first && text.chars().all(good) && text.len() <= 64)
        .then_some(())
        .ok_or("ids are at most 64 of a-z, 0-9, _ and -".into())
}

fn is_variable(text: &str) -> Result<(), String> {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let good = first && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    good.then_some(())
        .ok_or("the name of an environment variable, such as STAGING_DATABASE_URL; not the address".into())
}

fn is_length(text: &str) -> Result<(), String> {
    let time =
        humantime::Duration::from_str(text).ok().filter(|time| !time.is_zero() && time.as_secs() <= 366 * 24 * 3600);
    time.map(drop).ok_or("write 90m, 4h or 1h 30m".into())
}

/// The SQL files of a folder, by name. `from`: as typed, from the runbook's folder, or from here.
fn files(folder: &Path, from: &str) -> Result<Vec<SqlFile>, Stop> {
    let inside = inside(folder, from)?;
    let path = folder.join(&inside);
    let entries = std::fs::read_dir(&path).map_err(|error| drafted::cannot("read", &path, &error))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| drafted::cannot("read", &path, &error))?;
        // A link is looked at, wherever it leads: it is used, or named with the reason why not.
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if entry.path().extension().is_some_and(|end| end.eq_ignore_ascii_case("sql"))
            && (is_link || entry.path().is_file())
        {
            let name = entry.file_name().into_string().map_err(|name| {
                let words = format!("{} has a name that is not UTF-8; rename it", path.join(name).display());
                Stop::new(code::USAGE, words)
            })?;
            names.push(name);
        }
    }
    if names.len() > FILES {
        return Err(Stop::new(
            code::USAGE,
            format!("{} holds {} SQL files, {FILES} at most", path.display(), names.len()),
        ));
    }
    names.sort();
    let inside = inside.to_string_lossy().into_owned();
    let prefix = if inside.is_empty() { String::new() } else { format!("{inside}/") };
    let taken = names
        .into_iter()
        .map(|name| SqlFile { text: text(&whole(folder), &path.join(&name)), path: format!("{prefix}{name}") });
    let mut below = Vec::new();
    below_of(&path, &prefix, &mut below);
    below.sort();
    let why = || Err("in a folder below: which order, and is it of this window?".to_owned());
    let below = below.into_iter().map(|path| SqlFile { path, text: why() });
    Ok(taken.chain(below).collect())
}

/// SQL files in the folders below one, by their paths as written; links are not followed, and there is an end to it.
fn below_of(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    const DEEP: usize = 8;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let prefix = format!("{prefix}{}/", entry.file_name().to_string_lossy());
        let files = std::fs::read_dir(entry.path()).into_iter().flatten().flatten();
        for file in files.filter(|file| file.file_type().is_ok_and(|kind| !kind.is_dir())) {
            let is_sql = file.path().extension().is_some_and(|end| end.eq_ignore_ascii_case("sql"));
            if is_sql && found.len() < FILES {
                found.push(format!("{prefix}{}", file.file_name().to_string_lossy()));
            }
        }
        if prefix.matches('/').count() < DEEP {
            below_of(&entry.path(), &prefix, found);
        }
    }
}

/// The folder of SQL from the runbook's folder.
fn inside(folder: &Path, from: &str) -> Result<PathBuf, Stop> {
    let given = Path::new(from);
    let plain = given.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let own = whole(folder);
    let found = if plain && own.join(given).is_dir() { own.join(given) } else { given.to_owned() };
    let found = found.canonicalize().map_err(|error| drafted::cannot("read", given, &error))?;
    found.strip_prefix(&own).map(Path::to_owned).map_err(|_| {
        let name = found.file_name().map_or_else(|| "sql".into(), |name| name.to_string_lossy().into_owned());
        let (here, there) = (drafted::typed(given), drafted::typed(folder));
        let within = drafted::typed(&folder.join(&name));
        let words = format!(
            "{from} is not inside {}: a runbook's files lie beside it or below it; type: mkdir -p {there} && cp -r {here} \
             {within} && gonogo init {there} --from {}",
            folder.display(),
            drafted::typed(Path::new(&name))
        );
        Stop::new(code::USAGE, words)
    })
}

/// The text of a file that lies in `folder`. Err: why it cannot be used, in a few words.
fn text(folder: &Path, path: &Path) -> Result<String, String> {
    let found = path.canonicalize().map_err(|_| "a link that leads nowhere".to_owned())?;
    if !found.starts_with(folder) {
        return Err("a link that leads out of the runbook's folder, where it could not be read".into());
    }
    let about = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !about.is_file() {
        return Err("a link to what is no file".into());
    }
    if about.len() > RUNBOOK_BYTES {
        return Err(format!("larger than {} MiB: let a `run` step load it", RUNBOOK_BYTES >> 20));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}
