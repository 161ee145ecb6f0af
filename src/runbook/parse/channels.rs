//! Channels: where people are told, and what is told there by itself.

use super::reader::Reader;
use super::{Owner, values, verbs};
use crate::runbook::expr::Place;
use crate::runbook::{Channel, ChannelTo, Environment, Secret, Tell, suggest};

const PLACES: &[&str] = &["slack", "webhook", "command"];
const EXAMPLE: &str = "write slack = \"env:CHAT_WEBHOOK\", webhook = \"env:URL\" or command = [\"…\"]";

pub(super) fn channels(table: &Reader<'_, '_>, environments: &[Environment]) -> Vec<Channel> {
    let Some(all) = table.table("channels", "the channels") else { return Vec::new() };
    let mut channels = Vec::new();
    for (id, span, node) in all.entries() {
        values::id(all.notes, &id, span, "a channel");
        let Some(one) = all.notes.table_of(&node, &format!("channels.{id}"), "a channel") else { continue };
        let (to, tells, only) = (place(&one), tells(&one), only(&one, environments));
        one.finish();
        // One that is wrong is known all the same: who uses it is not to blame.
        let to = to.unwrap_or(ChannelTo::Command(Vec::new()));
        channels.push(Channel { id, to, tells, only });
    }
    channels
}

fn place(table: &Reader<'_, '_>) -> Option<ChannelTo> {
    let there: Vec<&'static str> = PLACES.iter().copied().filter(|place| table.has(place)).collect();
    for place in PLACES {
        table.node(place);
    }
    match there.as_slice() {
        ["slack"] => address(table, "slack").map(ChannelTo::Slack),
        ["webhook"] => address(table, "webhook").map(ChannelTo::Webhook),
        [_] => verbs::argv(table, "command", &Owner::Target).map(ChannelTo::Command),
        [] => {
            table.notes.say(table.span.clone(), "a channel needs a place", EXAMPLE);
            None
        }
        [first, second, ..] => {
            let message = format!("a channel is one place, and this one has `{first}` and `{second}`");
            table.notes.say(table.key_span(second), message, "make two channels of it");
            None
        }
    }
}

fn address(table: &Reader<'_, '_>, key: &'static str) -> Option<Secret> {
    let text = table.need_text(key, "\"env:CHAT_WEBHOOK\"")?;
    let secret = values::web_address(table.notes, &text)?;
    table.notes.template(&text, Place::Url, &Owner::Target);
    Some(secret)
}

fn tells(table: &Reader<'_, '_>) -> Vec<Tell> {
    let words: Vec<&str> = Tell::ALL.iter().map(|(word, _)| *word).collect();
    let mut tells = Vec::new();
    for text in table.texts("tells").unwrap_or_default() {
        match Tell::ALL.iter().find(|(word, _)| *word == text.text) {
            Some((_, tell)) if tells.contains(tell) => {
                table.notes.at(&text, format!("`{}` is there twice", text.text), "leave one of them out");
            }
            Some((_, tell)) => tells.push(*tell),
            None => {
                let message = format!("`{}` is no moment that is told", text.text);
                table.notes.at(&text, message, suggest::hint(&text.text, &words, ""));
            }
        }
    }
    tells
}

fn only(table: &Reader<'_, '_>, environments: &[Environment]) -> Vec<String> {
    let names: Vec<&str> = environments.iter().map(|one| one.name.as_str()).collect();
    let texts = table.texts("only").unwrap_or_default();
    for text in texts.iter().filter(|text| !names.contains(&text.text.as_str())) {
        let hint = suggest::hint(&text.text, &names, "the runbook has no [environments]");
        table.notes.at(text, format!("there is no environment `{}`", text.text), hint);
    }
    texts.into_iter().map(|text| text.text).collect()
}
