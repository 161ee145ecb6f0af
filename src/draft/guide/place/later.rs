//! What is done after the window: each with the time that its own line says, or its heading.

use super::super::book::Followup;
use super::super::times;
use super::Placer;
use crate::draft::write::slug;

impl Placer<'_> {
    /// Something under a heading of what comes later. `hours`: by that heading.
    pub(super) fn later(&mut self, hours: Option<u32>, item: String, lines: Vec<usize>) {
        match times::due(&item).filter(|own| hours != Some(*own)) {
            Some(own) => self.followup(Some(own), Some(item.clone()), item, lines),
            None => self.followup(hours, None, item, lines),
        }
    }

    /// `title`: of a follow-up of its own; none: it is one of those of the heading.
    pub(super) fn followup(&mut self, hours: Option<u32>, title: Option<String>, item: String, lines: Vec<usize>) {
        let heading = self.stack.last().map(|heading| (heading.text.clone(), heading.line));
        let alone = title.is_some();
        let title = title.or(heading.clone().map(|(text, _)| text)).unwrap_or_else(|| item.clone());
        let title = title.trim_end_matches([':', ' ']).to_owned();
        let lines = lines.into_iter().chain(heading.filter(|_| !alone).map(|(_, line)| line));
        let key = (title.clone(), hours);
        if let Some(at) = self.followed.get(&key).copied().filter(|_| !alone)
            && let Some(known) = self.book.followups.get_mut(at)
        {
            known.lines.extend(lines);
            if self.followed_items.insert((at, item.clone())) {
                known.items.push(item);
            }
            return;
        }
        let id = self.part_ids.unused(&slug(&title), "followup");
        let at = self.book.followups.len();
        self.followed.insert(key, at);
        self.followed_items.insert((at, item.clone()));
        self.book.followups.push(Followup { id, title, hours, items: vec![item], lines: lines.collect() });
    }
}
