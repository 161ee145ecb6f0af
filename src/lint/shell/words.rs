//! Command lines as commands and words: enough of a shell's grammar to know what is started and how its end is seen.

use std::ops::Range;

/// What stands between two commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The beginning, the end, `;`, a line's end, a bracket.
    Seq,
    Pipe,
    And,
    Or,
    /// `&`
    Background,
    /// A substitution: `$( … )`.
    Inside,
}

/// A word without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tok {
    pub text: String,
    /// Bytes of the line, or of the argument of an argv.
    pub at: Range<usize>,
    /// The number of the argument in an argv.
    pub arg: Option<usize>,
}

/// One command: its words with what leads to it and from it.
#[derive(Clone, Debug)]
pub struct Cmd {
    pub words: Vec<Tok>,
    pub before: Op,
    pub after: Op,
    /// Operator and target, as `<` and `dump.sql`.
    pub redirects: Vec<(String, Tok)>,
    /// The body of a here-document.
    pub heredoc: Option<Tok>,
}

/// Words that lead to a command without being one.
const LEADS: &[&str] = &[
    "if", "then", "else", "elif", "while", "until", "do", "!", "{", "time", "exec", "command", "sudo", "env", "nohup",
    "nice", "ionice", "stdbuf", "timeout",
];

impl Cmd {
    /// The program, without its folder and what leads to it; and the number of its word.
    pub fn program(&self) -> (&str, usize) {
        let mut n = 0;
        while let Some(word) = self.words.get(n) {
            let text = word.text.as_str();
            let assigns = text.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            });
            let led = n > 0 && self.words.get(n - 1).is_some_and(|before| is_lead(&before.text) || before.text == "-u");
            let option = led && (text.starts_with('-') || text.starts_with(|c: char| c.is_ascii_digit()));
            let user = n > 0 && self.words.get(n - 1).is_some_and(|before| before.text == "-u");
            if !(assigns || is_lead(text) || option || user) {
                return (text.rsplit('/').next().unwrap_or(text), n);
            }
            n += 1;
        }
        ("", n)
    }

    pub fn is(&self, program: &str) -> bool {
        self.program().0 == program
    }

    /// What stands behind the program.
    pub fn args(&self) -> &[Tok] {
        let (_, n) = self.program();
        self.words.get(n + 1..).unwrap_or_default()
    }

    pub fn has(&self, arg: &str) -> bool {
        self.args().iter().any(|word| word.text == arg)
    }

    /// True where an option stands there: `-f`, `-vf`, `--file`, `--file=x`.
    pub fn option(&self, short: char, long: &str) -> bool {
        self.args().iter().any(|word| {
            let text = word.text.as_str();
            let is_long = !long.is_empty()
                && text.strip_prefix(long).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
            let bundle = text.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
            is_long || bundle.is_some_and(|bundle| bundle.contains(short))
        })
    }

    /// The value of an option: `-F c`, `-Fc`, `--format=c`, `--format c`.
    pub fn value(&self, short: char, long: &str) -> Option<&str> {
        let args = self.args();
        args.iter().enumerate().find_map(|(n, word)| {
            let next = || args.get(n + 1).map(|next| next.text.as_str());
            let text = word.text.as_str();
            if let Some(rest) = text.strip_prefix(long).filter(|_| !long.is_empty()) {
                return if rest.is_empty() { next() } else { rest.strip_prefix('=') };
            }
            let rest = text.strip_prefix('-')?.strip_prefix(short)?;
            if rest.is_empty() { next() } else { Some(rest) }
        })
    }

    /// Every value of an option that may stand several times.
    pub fn values(&self, short: &str, long: &str) -> Vec<&Tok> {
        let args = self.args();
        let pairs = args.iter().zip(args.iter().skip(1));
        pairs.filter(|(word, _)| word.text == short || word.text == long).map(|(_, value)| value).collect()
    }

    pub fn reads_from(&self) -> Option<&Tok> {
        self.redirects.iter().find(|(op, _)| op == "<").map(|(_, target)| target)
    }

    /// True where a time limit leads to it.
    pub fn is_bounded(&self) -> bool {
        let (_, n) = self.program();
        self.words.iter().take(n).any(|word| word.text.ends_with("timeout"))
    }

    pub fn span(&self) -> Range<usize> {
        let first = self.words.first().map_or(0, |word| word.at.start);
        first..self.words.last().map_or(first, |word| word.at.end)
    }
}

fn is_lead(text: &str) -> bool {
    LEADS.contains(&text.rsplit('/').next().unwrap_or(text))
}

/// The text with every `{{ … }}` made one word, byte for byte, its letters kept: `{{ backup }}` reads `___backup___`.
pub fn tame(text: &str) -> String {
    let mut out: Vec<u8> = text.bytes().collect();
    let mut from = 0;
    while let Some(open) = text.get(from..).and_then(|rest| rest.find("{{")).map(|at| from + at) {
        let end = text[open..].find("}}").map_or(text.len(), |at| open + at + 2);
        for byte in out.iter_mut().take(end).skip(open).filter(|byte| !byte.is_ascii_alphanumeric()) {
            *byte = b'_';
        }
        from = end;
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// The commands of a line of shell. `offset`: the byte at which the text starts.
pub fn parse(text: &str, offset: usize, arg: Option<usize>) -> Vec<Cmd> {
    let mut parser =
        Parser { text, offset, arg, at: 0, cmds: Vec::new(), now: Cmd::empty(Op::Seq), waiting: Vec::new() };
    parser.run();
    parser.cmds
}

/// A program and its arguments as a command.
pub fn argv(args: &[String]) -> Cmd {
    let word = |(n, text): (usize, &String)| {
        let text = tame(text);
        Tok { at: 0..text.len(), text, arg: Some(n) }
    };
    Cmd { words: args.iter().enumerate().map(word).collect(), ..Cmd::empty(Op::Seq) }
}

impl Cmd {
    fn empty(before: Op) -> Self {
        Self { words: Vec::new(), before, after: Op::Seq, redirects: Vec::new(), heredoc: None }
    }
}

struct Parser<'t> {
    text: &'t str,
    offset: usize,
    arg: Option<usize>,
    at: usize,
    cmds: Vec<Cmd>,
    now: Cmd,
    /// Delimiters of here-documents whose bodies begin on the next line, with the number of their command.
    waiting: Vec<(usize, String)>,
}

impl Parser<'_> {
    fn run(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                '\n' => {
                    self.end(Op::Seq, 1);
                    self.bodies();
                }
                c if c.is_whitespace() => self.at += c.len_utf8(),
                '#' => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                '\\' if self.rest().starts_with("\\\n") => self.at += 2,
                ';' | '(' | ')' => self.end(Op::Seq, 1),
                '|' if self.rest().starts_with("||") => self.end(Op::Or, 2),
                '|' => self.end(Op::Pipe, if self.rest().starts_with("|&") { 2 } else { 1 }),
                '&' if self.rest().starts_with("&&") => self.end(Op::And, 2),
                '&' if self.rest().starts_with("&>") => self.redirect(),
                '&' => self.end(Op::Background, 1),
                '<' | '>' => self.redirect(),
                _ => self.word_or_redirect(),
            }
        }
        self.end(Op::Seq, 0);
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn end(&mut self, op: Op, bytes: usize) {
        self.at += bytes;
        let mut done = std::mem::replace(&mut self.now, Cmd::empty(op));
        if done.words.is_empty() && done.redirects.is_empty() {
            // `a &&` and a line's end: the operator goes on.
            if op == Op::Seq {
                self.now.before = done.before;
            }
            return;
        }
        done.after = op;
        self.cmds.push(done);
    }

    /// `2>&1` begins with a number that is no word.
    fn word_or_redirect(&mut self) {
        let digits = self.rest().chars().take_while(char::is_ascii_digit).count();
        if digits > 0 && self.rest().get(digits..).is_some_and(|rest| rest.starts_with(['<', '>'])) {
            self.at += digits;
            return self.redirect();
        }
        let word = self.word();
        self.now.words.push(word);
    }

    fn redirect(&mut self) {
        let ops = ["<<<", "<<-", "<<", "<(", ">(", "&>>", "&>", ">>", ">&", "<&", ">|", "<", ">"];
        let Some(op) = ops.iter().find(|op| self.rest().starts_with(**op)) else { return };
        self.at += op.len();
        while self.peek().is_some_and(|c| c == ' ' || c == '\t') {
            self.at += 1;
        }
        let target = self.word();
        if matches!(*op, "<<" | "<<-") {
            self.waiting.push((self.cmds.len(), target.text.clone()));
        }
        self.now.redirects.push(((*op).to_owned(), target));
    }

    /// The bodies of here-documents, which begin after the line that names them.
    fn bodies(&mut self) {
        for (n, delimiter) in std::mem::take(&mut self.waiting) {
            let start = self.at;
            let mut end = self.text.len();
            for line in self.text.get(start..).unwrap_or_default().split_inclusive('\n') {
                let begin = self.at;
                self.at += line.len();
                if line.trim() == delimiter {
                    end = begin;
                    break;
                }
            }
            let text = self.text.get(start..end).unwrap_or_default().to_owned();
            let body = Tok { text, at: self.offset + start..self.offset + end, arg: self.arg };
            if let Some(cmd) = self.cmds.get_mut(n) {
                cmd.heredoc = Some(body);
            }
        }
    }

    fn word(&mut self) -> Tok {
        let start = self.at;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                '\'' => self.quoted('\'', &mut text),
                '"' => self.quoted('"', &mut text),
                '\\' => {
                    self.at += 1;
                    if let Some(next) = self.peek() {
                        text.push(next);
                        self.at += next.len_utf8();
                    }
                }
                '$' if self.rest().starts_with("$(") => self.inside(&mut text),
                '`' => self.quoted('`', &mut text),
                c if c.is_whitespace() || ";()|&<>".contains(c) => break,
                c => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        // A sign that no rule above takes must not hold the parser up.
        if self.at == start {
            self.at += self.peek().map_or(1, char::len_utf8);
        }
        Tok { text, at: self.offset + start..self.offset + self.at, arg: self.arg }
    }

    fn quoted(&mut self, quote: char, text: &mut String) {
        self.at += 1;
        while let Some(c) = self.peek() {
            if c == quote {
                self.at += 1;
                return;
            }
            if c == '$' && quote == '"' && self.rest().starts_with("$(") {
                self.inside(text);
                continue;
            }
            if c == '\\' && quote == '"' {
                self.at += 1;
            }
            if let Some(c) = self.peek() {
                text.push(c);
                self.at += c.len_utf8();
            }
        }
    }

    /// `$( … )`: part of the word, and commands of their own.
    fn inside(&mut self, text: &mut String) {
        let open = self.at;
        let mut depth = 0_u32;
        for (at, c) in self.text.get(open..).unwrap_or_default().char_indices() {
            depth = if c == '(' { depth + 1 } else { depth.saturating_sub(u32::from(c == ')')) };
            self.at = open + at + c.len_utf8();
            if c == ')' && depth == 0 {
                break;
            }
        }
        let inner = self.text.get(open + 2..self.at.saturating_sub(1)).unwrap_or_default().to_owned();
        text.push_str(self.text.get(open..self.at).unwrap_or_default());
        if inner.starts_with('(') {
            return;
        }
        for mut cmd in parse(&inner, self.offset + open + 2, self.arg) {
            if cmd.before == Op::Seq {
                cmd.before = Op::Inside;
            }
            if cmd.after == Op::Seq {
                cmd.after = Op::Inside;
            }
            self.cmds.push(cmd);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(String, Op, Op)> {
        let words = |cmd: &Cmd| cmd.words.iter().map(|word| word.text.clone()).collect::<Vec<_>>().join(" ");
        parse(text, 0, None).iter().map(|cmd| (words(cmd), cmd.before, cmd.after)).collect()
    }

    #[test]
    fn commands_are_told_apart() {
        use Op::{Or, Pipe, Seq};
        let line = "pg_dump -Fc 'a b' 2>&1 | head -5 || true # no\n echo \"x $(date) y\"";
        let wanted = [
            ("pg_dump -Fc a b", Seq, Pipe),
            ("head -5", Pipe, Or),
            ("true", Or, Seq),
            ("date", Op::Inside, Op::Inside),
            ("echo x $(date) y", Seq, Seq),
        ];
        let wanted = wanted.map(|(text, before, after)| (text.to_owned(), before, after));
        assert_eq!(shown(line), wanted);
    }

    #[test]
    fn here_documents_belong_to_their_command() {
        let cmds = parse("psql -d app <<'SQL'\nbegin;\nSQL\necho done", 0, None);
        assert_eq!(cmds[0].heredoc.as_ref().unwrap().text, "begin;\n");
        assert_eq!(cmds[1].words[0].text, "echo");
        assert_eq!(cmds.len(), 2);
    }

    #[test]
    fn programs_are_found_behind_what_leads_to_them() {
        let cmd = &parse("PGPASSWORD=x sudo -u postgres timeout 5 /usr/bin/psql -Xf {{ f }}", 0, None)[0];
        assert_eq!(cmd.program().0, "psql");
        assert!(cmd.option('f', "--file") && cmd.is_bounded());
        assert_eq!(tame("a {{ b.c }} d"), "a ___b_c___ d");
    }

    #[test]
    fn odd_texts_end() {
        for odd in ["'", "\"", "$(", "`", "a |", "<<", "<<X\nabc", "\\", ")", "&&", "é\u{a0}…", "a&>b", "\"\\"] {
            parse(odd, 0, None);
        }
    }
}
