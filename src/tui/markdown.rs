//! Markdown of a runbook as lines of the screen: bold, code, lists and headings; of everything else the text.

use pulldown_cmark::{Event, LinkType, Parser, Tag, TagEnd};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;

use super::text;
use super::theme::{Ink, Look, Palette};
use crate::run::clean;

/// The text in lines no wider than `width`, a column free on both sides.
pub fn lines(markdown: &str, width: usize, look: Look) -> Vec<Line<'static>> {
    let mut page = Page {
        look,
        width,
        lines: Vec::new(),
        inline: Vec::new(),
        styles: Vec::new(),
        marks: Vec::new(),
        lists: Vec::new(),
        link: None,
        code: false,
    };
    for event in Parser::new(clean::block(markdown).trim()) {
        page.take(event);
    }
    page.flush();
    page.lines
}

/// What stands before the lines of a block: of its first line, and of those below.
struct Mark {
    first: Option<String>,
    rest: String,
}

struct Page {
    look: Look,
    width: usize,
    lines: Vec<Line<'static>>,
    /// Pieces of the block under way.
    inline: Vec<(String, Style)>,
    styles: Vec<Style>,
    marks: Vec<Mark>,
    /// The next number of each list that is open; none: it has dots.
    lists: Vec<Option<u64>>,
    link: Option<String>,
    code: bool,
}

impl Page {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.code => self.block(&text),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.say(&text, self.style()),
            Event::Code(text) => self.say(&text, self.code_style()),
            Event::SoftBreak => self.say(" ", self.style()),
            Event::HardBreak => self.say("\n", self.style()),
            Event::Rule => self.gap(),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.gap(),
            Tag::Heading { .. } => {
                self.gap();
                self.styles.push(self.look.style(Ink::Title));
            }
            Tag::CodeBlock(_) => {
                self.gap();
                self.code = true;
            }
            Tag::BlockQuote(_) => {
                self.gap();
                self.marks.push(Mark { first: None, rest: "│ ".to_owned() });
            }
            Tag::List(first) => {
                self.flush();
                if self.lists.is_empty() {
                    self.gap();
                }
                self.lists.push(first);
            }
            Tag::Item => self.item(),
            Tag::Strong => self.styles.push(self.look.style(Ink::Strong)),
            Tag::Emphasis => self.styles.push(self.style().add_modifier(Modifier::ITALIC)),
            Tag::Link { link_type, dest_url, .. } if !matches!(link_type, LinkType::Autolink | LinkType::Email) => {
                self.link = Some(dest_url.to_string());
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.flush(),
            TagEnd::Heading(_) => {
                self.flush();
                self.styles.pop();
            }
            TagEnd::CodeBlock => self.code = false,
            TagEnd::BlockQuote(_) | TagEnd::Item => {
                self.flush();
                self.marks.pop();
            }
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::Strong | TagEnd::Emphasis => {
                self.styles.pop();
            }
            TagEnd::Link => {
                if let Some(url) = self.link.take() {
                    self.say(&format!(" ({url})"), self.style());
                }
            }
            _ => {}
        }
    }

    fn item(&mut self) {
        self.flush();
        let first = match self.lists.last_mut() {
            Some(Some(n)) => {
                let first = format!("{n}. ");
                *n = n.saturating_add(1);
                first
            }
            _ => "• ".to_owned(),
        };
        let rest = " ".repeat(text::width(&first));
        self.marks.push(Mark { first: Some(first), rest });
    }

    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_else(|| self.look.style(Ink::Dim))
    }

    /// Without colour, what is meant literally is underlined: weight already says bold.
    fn code_style(&self) -> Style {
        match self.look.palette {
            Palette::Mono => Style::new().add_modifier(Modifier::UNDERLINED),
            _ => self.look.style(Ink::Active),
        }
    }

    /// Cleaned once more: an entity of Markdown may be any character.
    fn say(&mut self, words: &str, style: Style) {
        self.inline.push((clean::block(words), style));
    }

    /// A code block keeps its lines.
    fn block(&mut self, code: &str) {
        let style = self.code_style();
        for line in code.trim_end_matches('\n').split('\n') {
            self.say(&format!("  {line}"), style);
            self.flush();
        }
    }

    /// An empty line between two blocks; none where a list's item has only just begun.
    fn gap(&mut self) {
        self.flush();
        let begun = self.marks.last().is_some_and(|mark| mark.first.is_some());
        if !begun && self.lines.last().is_some_and(|line| line.width() > 0) {
            self.lines.push(Line::default());
        }
    }

    /// The block under way as lines.
    fn flush(&mut self) {
        let pieces = std::mem::take(&mut self.inline);
        let plain: String = pieces.iter().map(|(words, _)| words.as_str()).collect();
        if plain.trim().is_empty() {
            return;
        }
        let beside: usize = self.marks.iter().map(|mark| text::width(&mark.rest)).sum();
        let mut letters = pieces.iter().flat_map(|(words, style)| words.graphemes(true).map(move |one| (one, *style)));
        for part in text::wrap(&plain, self.width.saturating_sub(beside + 2)) {
            let mut spans = vec![Span::styled(self.margin(), self.look.style(Ink::Dim))];
            for letter in part.graphemes(true) {
                // Wrapping leaves out spaces, or adds some, and nothing else.
                let style = match letter {
                    " " => Style::new(),
                    _ => letters.find(|(one, _)| *one == letter).map(|(_, style)| style).unwrap_or_default(),
                };
                join(&mut spans, letter, style);
            }
            self.lines.push(Line::from(spans));
        }
    }

    fn margin(&mut self) -> String {
        let marks = self.marks.iter_mut().map(|mark| mark.first.take().unwrap_or_else(|| mark.rest.clone()));
        std::iter::once(" ".to_owned()).chain(marks).collect()
    }
}

/// Adds a letter; a space takes the style before it, so that words of one style are one span.
fn join(spans: &mut Vec<Span<'static>>, letter: &str, style: Style) {
    match spans.last_mut().filter(|last| last.style == style || letter == " ") {
        Some(last) => last.content.to_mut().push_str(letter),
        None => spans.push(Span::styled(letter.to_owned(), style)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "Takes a **short lock** on `orders`.\nWait for *it*.\n\n## If it waits\n\n- look at `pg_locks`\n- call \
                        the **lead on duty**, who decides\n\n1. first\n2. second\n\n```\nselect  1;\n```\n";

    fn shown(markdown: &str, width: usize, palette: Palette) -> Vec<Line<'static>> {
        lines(markdown, width, Look { palette, ..Look::default() })
    }

    fn plain(markdown: &str, width: usize) -> Vec<String> {
        shown(markdown, width, Palette::Dark).iter().map(ToString::to_string).collect()
    }

    fn with(lines: &[Line<'static>], modifier: Modifier) -> Vec<String> {
        let spans = lines.iter().flat_map(|line| &line.spans);
        spans
            .filter(|span| span.style.add_modifier.contains(modifier))
            .map(|span| span.content.trim().to_owned())
            .collect()
    }

    #[test]
    fn marks_become_looks() {
        assert_eq!(
            plain(HELP, 32),
            [
                " Takes a short lock on orders.",
                " Wait for it.",
                "",
                " If it waits",
                "",
                " • look at pg_locks",
                " • call the lead on duty, who",
                "   decides",
                "",
                " 1. first",
                " 2. second",
                "",
                "   select  1;",
            ]
        );
    }

    #[test]
    fn bold_and_code_are_told_apart_without_colour() {
        let lines = shown(HELP, 80, Palette::Mono);
        assert_eq!(with(&lines, Modifier::BOLD), ["short lock", "If it waits", "lead on duty"]);
        assert_eq!(with(&lines, Modifier::UNDERLINED), ["orders", "pg_locks", "select  1;"]);
        assert!(lines.iter().flat_map(|line| &line.spans).all(|span| span.style.fg.is_none()));
    }

    #[test]
    fn text_without_marks_stays_as_it_is() {
        assert_eq!(
            plain("2 * 3 * 4 of my_own_table, 5 < 6 & <this>", 80),
            [" 2 * 3 * 4 of my_own_table, 5 < 6 & <this>"]
        );
        assert_eq!(plain("see [the page](https://h/p)", 80), [" see the page (https://h/p)"]);
        assert!(plain("", 10).is_empty());
    }

    #[test]
    fn nothing_hostile_comes_in_by_an_entity() {
        let lines = plain("a &#27;[31m b &#x202e; c", 80);
        assert!(!lines.concat().contains(['\u{1b}', '\u{202e}']), "{lines:?}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_lines(text in "[\\PC\n*`#>-]{0,80}", width in 0usize..40) {
            lines(&text, width, Look::default());
        }
    }
}
