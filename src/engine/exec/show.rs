//! The output of a command on its way to the journal: the start live, the end when it is over, the middle counted.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use tokio::time::Instant;

use crate::run::Chunk;
use crate::run::limits::{OUTPUT_HEAD, OUTPUT_TAIL};

/// A chunk goes out when it has this many bytes, or is this old.
const CHUNK: usize = 8 * 1024;
const AGE: Duration = Duration::from_millis(50);
/// Bytes of pieces that are joined in the tail.
const JOINED: usize = 4 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
        }
    }
}

/// That the output goes on unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announcement {
    NotNeeded,
    Due,
    Made,
}

/// Bounded: a head, a tail, and one unsent chunk for each change of stream within the head.
#[derive(Debug)]
pub struct Show {
    out: Decoder,
    err: Decoder,
    head_left: usize,
    unsent: VecDeque<(Stream, String)>,
    /// When the oldest unsent text came.
    since: Option<Instant>,
    tail: VecDeque<(Stream, String)>,
    tail_bytes: usize,
    left_out: u64,
    announcement: Announcement,
    over: bool,
    notices: VecDeque<Chunk>,
}

impl Show {
    pub fn new() -> Self {
        Self {
            out: Decoder::default(),
            err: Decoder::default(),
            head_left: OUTPUT_HEAD,
            unsent: VecDeque::new(),
            since: None,
            tail: VecDeque::new(),
            tail_bytes: 0,
            left_out: 0,
            announcement: Announcement::NotNeeded,
            over: false,
            notices: VecDeque::new(),
        }
    }

    pub fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let text = match stream {
            Stream::Out => self.out.push(bytes),
            Stream::Err => self.err.push(bytes),
        };
        self.text(stream, &text);
    }

    /// `lost` bytes of a stream were not kept: what is held back of it came before them, and goes with them.
    pub fn skip(&mut self, stream: Stream, lost: u64) {
        let cut = match stream {
            Stream::Out => self.out.finish(),
            Stream::Err => self.err.finish(),
        };
        self.text(stream, cut);
        self.head_left = 0;
        let before = self.tail_bytes;
        self.tail.retain(|(kept, _)| *kept != stream);
        self.tail_bytes = self.tail.iter().map(|(_, text)| text.len()).sum();
        self.left_out += lost + (before - self.tail_bytes) as u64;
    }

    /// Words of gonogo itself, beside the output.
    pub fn notice(&mut self, severity: &str, text: impl Into<String>) {
        self.notices.push_back(notice(severity, text));
    }

    /// No output will follow: what is held back may go.
    pub fn finish(&mut self) {
        let (out, err) = (self.out.finish(), self.err.finish());
        self.text(Stream::Out, out);
        self.text(Stream::Err, err);
        self.over = true;
        self.announcement = Announcement::Made;
    }

    /// When the next chunk is due; none: there is nothing to send.
    pub fn due(&self) -> Option<Instant> {
        let more = self.announcement == Announcement::Due || !self.notices.is_empty();
        let held_back = self.left_out > 0 || !self.tail.is_empty();
        if more || self.unsent.len() > 1 || self.front_is_full() || self.over && held_back {
            return Some(Instant::now());
        }
        self.since.map(|since| if self.over { since } else { since + AGE })
    }

    /// The next chunk, in the order of the output.
    pub fn next(&mut self) -> Option<Chunk> {
        if let Some((stream, text)) = self.unsent.pop_front() {
            self.since = (!self.unsent.is_empty()).then(Instant::now);
            return Some(chunk(stream, text));
        }
        if self.announcement == Announcement::Due {
            self.announcement = Announcement::Made;
            return Some(notice("INFO", "much output: its end is shown when the command is over"));
        }
        if self.over && self.left_out > 0 {
            let left_out = mem::take(&mut self.left_out);
            return Some(notice("INFO", format!("… {} left out …", bytes(left_out))));
        }
        if self.over
            && let Some((stream, text)) = self.tail.pop_front()
        {
            return Some(chunk(stream, text));
        }
        self.notices.pop_front()
    }

    fn front_is_full(&self) -> bool {
        self.unsent.front().is_some_and(|(_, text)| text.len() >= CHUNK)
    }

    fn text(&mut self, stream: Stream, text: &str) {
        let (head, rest) = text.split_at(floor(text, self.head_left));
        if !head.is_empty() {
            self.head_left -= head.len();
            self.since.get_or_insert_with(Instant::now);
            append(&mut self.unsent, stream, head, CHUNK);
        }
        if rest.is_empty() {
            return;
        }
        // A character that did not fit ends the head: nothing may overtake it.
        self.head_left = 0;
        if self.announcement == Announcement::NotNeeded {
            self.announcement = Announcement::Due;
        }
        append(&mut self.tail, stream, rest, JOINED);
        self.tail_bytes += rest.len();
        while self.tail_bytes > OUTPUT_TAIL
            && let Some((stream, front)) = self.tail.pop_front()
        {
            let excess = ceil(&front, self.tail_bytes - OUTPUT_TAIL);
            self.tail_bytes -= excess;
            self.left_out += excess as u64;
            if excess < front.len() {
                self.tail.push_front((stream, front[excess..].to_owned()));
            }
        }
    }
}

fn append(queue: &mut VecDeque<(Stream, String)>, stream: Stream, text: &str, most: usize) {
    match queue.back_mut() {
        Some((last, joined)) if *last == stream && joined.len() < most => joined.push_str(text),
        _ => queue.push_back((stream, text.to_owned())),
    }
}

fn notice(severity: &str, text: impl Into<String>) -> Chunk {
    Chunk::Notice { severity: severity.to_owned(), text: text.into() }
}

fn chunk(stream: Stream, text: String) -> Chunk {
    Chunk::Text { stream: stream.word().to_owned(), text }
}

/// The greatest character boundary not beyond `at`.
pub fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn ceil(text: &str, at: usize) -> usize {
    (at.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// `812 MB`.
fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} bytes"),
        1_000..1_000_000 => format!("{} kB", n / 1_000),
        1_000_000..10_000_000_000 => format!("{} MB", n / 1_000_000),
        _ => format!("{} GB", n / 1_000_000_000),
    }
}

/// UTF-8 out of pieces that may end within a character. Broken bytes, and NULs (which not every journal can store), become `U+FFFD`.
#[derive(Debug, Default)]
struct Decoder {
    cut: Vec<u8>,
}

impl Decoder {
    fn push(&mut self, bytes: &[u8]) -> String {
        let mut all = mem::take(&mut self.cut);
        all.extend_from_slice(bytes);
        let mut text = String::with_capacity(all.len());
        for part in all.utf8_chunks() {
            text.push_str(part.valid());
            let at_end = part.invalid().as_ptr_range().end == all.as_ptr_range().end;
            if at_end && could_go_on(part.invalid()) {
                self.cut = part.invalid().to_vec();
            } else if !part.invalid().is_empty() {
                text.push('\u{fffd}');
            }
        }
        text.replace('\0', "\u{fffd}")
    }

    fn finish(&mut self) -> &'static str {
        if mem::take(&mut self.cut).is_empty() { "" } else { "\u{fffd}" }
    }
}

/// True for the beginning of a character whose rest may be in the next piece.
fn could_go_on(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(show: &mut Show) -> Vec<Chunk> {
        std::iter::from_fn(|| show.next()).collect()
    }

    fn text(chunks: &[Chunk]) -> String {
        let piece = |chunk: &Chunk| match chunk {
            Chunk::Text { stream, text } => format!("{stream}:{text}|"),
            Chunk::Notice { text, .. } => format!("[{text}]|"),
            _ => String::new(),
        };
        chunks.iter().map(piece).collect()
    }

    #[test]
    fn streams_keep_their_order() {
        let mut show = Show::new();
        assert_eq!(show.due(), None);
        show.push(Stream::Out, b"a");
        show.push(Stream::Out, b"b");
        assert!(show.due().is_some());
        show.push(Stream::Err, b"c");
        show.push(Stream::Out, b"d");
        show.finish();
        assert_eq!(text(&all(&mut show)), "out:ab|err:c|out:d|");
        assert_eq!(show.due(), None);
    }

    #[test]
    fn characters_survive_every_cut() {
        let bytes = "é→🙂\0".as_bytes();
        for cut in 0..=bytes.len() {
            let mut show = Show::new();
            show.push(Stream::Out, &bytes[..cut]);
            show.push(Stream::Out, &bytes[cut..]);
            show.push(Stream::Out, b"\xff\xe2\x82");
            show.finish();
            assert_eq!(text(&all(&mut show)), "out:é→🙂\u{fffd}\u{fffd}\u{fffd}|", "cut at {cut}");
        }
    }

    #[test]
    fn head_and_tail_stay_the_middle_is_counted() {
        let mut show = Show::new();
        let line = "0123456789é\n";
        for _ in 0..100_000 {
            show.push(Stream::Out, line.as_bytes());
            if show.due().is_some_and(|due| due <= Instant::now()) {
                show.next();
            }
        }
        show.push(Stream::Err, b"the last word");
        assert!(show.tail_bytes <= OUTPUT_TAIL);
        show.finish();
        let chunks = all(&mut show);
        let shown = text(&chunks);
        assert!(shown.ends_with("err:the last word|"), "{shown}");
        assert!(shown.contains("[… 1 MB left out …]|out:"), "{shown}");
        assert!(shown.len() < OUTPUT_TAIL + 1024);
    }

    #[test]
    fn sizes_in_words() {
        assert_eq!([7, 7_000, 812_000_000, 12_000_000_000].map(bytes), ["7 bytes", "7 kB", "812 MB", "12 GB"]);
    }
}
