//! Writes what the fault harness counted into docs/reliability.md, between its two marks: `reliability FIGURES PAGE`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use serde::Deserialize;

const BEGIN: &str = "<!-- figures: written by scripts/reliability -->";
const END: &str = "<!-- end of the figures -->";

/// One campaign, as the harness appends it.
#[derive(Deserialize)]
struct Campaign {
    campaign: String,
    counts: BTreeMap<String, u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(figures), Some(page)) = (arguments.next(), arguments.next()) else {
        return Err("say: reliability FIGURES PAGE".into());
    };
    let mut campaigns = Vec::new();
    for line in fs::read_to_string(figures)?.lines() {
        campaigns.push(serde_json::from_str::<Campaign>(line)?);
    }
    campaigns.sort_by(|one, other| one.campaign.cmp(&other.campaign));
    let text = fs::read_to_string(&page)?;
    let (before, rest) = text.split_once(BEGIN).ok_or("the page has no place for figures")?;
    let (_, after) = rest.split_once(END).ok_or("the place for figures has no end")?;
    let parts: Vec<String> = campaigns.iter().map(written).collect();
    let today = chrono::Utc::now().format("%Y-%m-%d");
    let head = format!("Measured {today} on 2 cores, debug build, PostgreSQL of the Debian package.");
    fs::write(&page, format!("{before}{BEGIN}\n{head}\n\n{}{END}{after}", parts.concat()))?;
    Ok(())
}

/// A heading and a table of two columns; what was counted for each place or verb in one line.
fn written(campaign: &Campaign) -> String {
    let mut out = format!("### {}\n\n| Counted | Times |\n|---|--:|\n", campaign.campaign);
    let mut grouped: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, count) in &campaign.counts {
        match name.split_once(": ") {
            Some((group, one)) => grouped.entry(group).or_default().push(format!("{one} {count}")),
            None => out.push_str(&format!("| {name} | {count} |\n")),
        }
    }
    for (group, ones) in grouped {
        out.push_str(&format!("| {group}: {} | |\n", ones.join(", ")));
    }
    for wanted in ["lost", "doubled"] {
        if campaign.counts.contains_key("kills") && !campaign.counts.contains_key(wanted) {
            out.push_str(&format!("| {wanted} | 0 |\n"));
        }
    }
    if campaign.counts.contains_key("attempts") && !campaign.counts.contains_key("wrong") {
        out.push_str("| wrong verdicts | 0 |\n");
    }
    out + "\n"
}
