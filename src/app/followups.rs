//! `gonogo followups`: what remains to be done after the windows of the past.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::app::open::usage;
use crate::app::{Done, Stop, code, past, say, say_error};
use crate::cli::FollowupsArgs;
use crate::journal::Home;
use crate::run::event::{End, Mode};
use crate::run::{RunState, words};
use crate::runbook::{Followup, clean};

/// One thing that is to be done because of one run.
struct Due {
    run: String,
    environment: String,
    at: DateTime<Utc>,
    zone: Option<Tz>,
    followup: Followup,
}

/// The earliest first, then those that do not apply: a run that was rolled back left nothing to follow, and a rehearsal was none.
/// JSON and `--due` have only what is to be done.
pub async fn followups(args: &FollowupsArgs) -> Done {
    let now = Utc::now();
    let (mut all, idle) = gather(args).await?;
    all.retain(|one| !args.due || one.at <= now);
    all.sort_by(|a, b| (a.at, &a.run, &a.followup.id).cmp(&(b.at, &b.run, &b.followup.id)));
    if args.json {
        let list: Vec<serde_json::Value> = all.iter().map(|one| one.json(now)).collect();
        say(&serde_json::to_string_pretty(&list).map_err(Stop::internal)?);
        return Ok(code::DONE);
    }
    if all.is_empty() {
        say(if args.due { "nothing is due" } else { "nothing remains to be done" });
    }
    for one in &all {
        one.say(now);
    }
    for one in idle.iter().filter(|_| !args.due) {
        say(one);
    }
    Ok(code::DONE)
}

/// What is to be done, and a line for each that does not apply.
async fn gather(args: &FollowupsArgs) -> Result<(Vec<Due>, Vec<String>), Stop> {
    let home = Home::new(args.place.journal.as_deref()).map_err(usage)?;
    let (mut all, mut idle) = (Vec::new(), Vec::new());
    for run in home.runs().await.map_err(usage)? {
        let wanted = match &run.facts {
            Ok(facts) => facts.mode == Mode::Live && facts.status.is_over(),
            Err(_) => true,
        };
        if !wanted {
            continue;
        }
        // One journal that cannot be read hides nobody else's.
        let (book, state) = match past::fold(&run.dir).await {
            Ok(folded) => folded,
            Err(stop) => {
                say_error(&format!("{}: {}", clean::line(&run.id, 80), stop.words));
                continue;
            }
        };
        if let Some(why) = words::no_followups(&state) {
            let live = state.opened.mode == Mode::Live;
            idle.extend(book.followups.iter().filter(|_| live).map(|one| unneeded(&run.id, &state, one, &why)));
            continue;
        }
        let Some((End::Done, _, ended)) = state.ended else { continue };
        for followup in book.followups {
            let due = TimeDelta::from_std(followup.due).ok().and_then(|due| ended.wall.checked_add_signed(due));
            all.push(Due {
                run: run.id.clone(),
                environment: state.opened.environment.clone(),
                at: due.unwrap_or(DateTime::<Utc>::MAX_UTC),
                zone: book.window.zone,
                followup,
            });
        }
    }
    Ok((all, idle))
}

fn unneeded(run: &str, state: &RunState, followup: &Followup, why: &str) -> String {
    let (run, environment) = (clean::line(run, 80), words::name(&state.opened.environment));
    format!("    {}: {why} · {run} in {environment}", clean::line(&followup.title, 200))
}

impl Due {
    fn say(&self, now: DateTime<Utc>) {
        let overdue = if self.at <= now { "DUE" } else { "   " };
        let (run, environment) = (clean::line(&self.run, 80), words::name(&self.environment));
        let title = clean::line(&self.followup.title, 200);
        say(&format!("{overdue} {}  {title} · {run} in {environment}", words::date(self.at, self.zone)));
        for item in &self.followup.checklist {
            say(&format!("      [ ] {}", clean::line(item, 200)));
        }
    }

    fn json(&self, now: DateTime<Utc>) -> serde_json::Value {
        serde_json::json!({
            "run": self.run,
            "environment": self.environment,
            "id": self.followup.id,
            "title": self.followup.title,
            "checklist": self.followup.checklist,
            "at": self.at,
            "due": self.at <= now,
        })
    }
}
