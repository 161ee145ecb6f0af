//! Follows a log file through rotation and truncation, line by line, as `tail -F` does, in bounded memory.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes of a line that are looked at.
const LINE: usize = 64 * 1024;
/// Bytes read at one go; what is beyond waits for the next.
const GO: u64 = 32 * 1024 * 1024;

#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    open: Option<Open>,
    lines: Lines,
}

/// How far a reading came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Bytes that are there and not read yet.
    pub behind: u64,
    /// No file bears the name any more; the one that did is still read.
    pub gone: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode.
    id: (u64, u64),
    offset: u64,
}

impl Follower {
    /// From the end of the file as it is now, or from the start of the file that is yet to come.
    pub fn new(path: &Path) -> Self {
        let mut open = open(path).ok();
        if let Some(open) = &mut open {
            // A file that cannot be measured is read from its start.
            open.offset = open.file.seek(SeekFrom::End(0)).unwrap_or(0);
        }
        Self { path: path.to_owned(), open, lines: Lines::default() }
    }

    /// Hands every line that was completed since to `line`, without its line break, invalid UTF-8 replaced.
    ///
    /// # Errors
    /// A short reason, such as `no such file`.
    pub fn read(&mut self, line: &mut dyn FnMut(&str)) -> Result<Reached, String> {
        let mut left = GO;
        let mut gone = false;
        loop {
            let current = match self.open.take() {
                Some(open) => self.open.insert(open),
                None => self.open.insert(open(&self.path)?),
            };
            let behind = current.read(&mut self.lines, line, &mut left).map_err(|error| words(&error))?;
            if behind > 0 {
                return Ok(Reached { behind, gone });
            }
            match fs::metadata(&self.path) {
                Err(error) => gone = error.kind() == io::ErrorKind::NotFound,
                // An empty newcomer: the writer still has the old one open.
                Ok(meta) if id(&meta) != current.id && meta.len() > 0 => {
                    current.read(&mut self.lines, line, &mut left).map_err(|error| words(&error))?;
                    self.lines.flush(line);
                    self.open = None;
                    continue;
                }
                Ok(_) => {}
            }
            return Ok(Reached { behind: 0, gone });
        }
    }
}

fn open(path: &Path) -> Result<Open, String> {
    // Asked before opening: to open a named pipe would wait for its writer.
    let meta = fs::metadata(path).map_err(|error| words(&error))?;
    if !meta.is_file() {
        return Err("not a regular file".to_owned());
    }
    let file = File::open(path).map_err(|error| words(&error))?;
    let id = file.metadata().map(|meta| id(&meta)).map_err(|error| words(&error))?;
    Ok(Open { file, id, offset: 0 })
}

fn id(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

impl Open {
    /// Reads to the end, or until `left` is used up; says how many bytes remain.
    fn read(&mut self, lines: &mut Lines, line: &mut dyn FnMut(&str), left: &mut u64) -> io::Result<u64> {
        if self.file.metadata()?.len() < self.offset {
            self.offset = self.file.seek(SeekFrom::Start(0))?;
            lines.forget();
        }
        let mut piece = vec![0; LINE];
        loop {
            if *left == 0 {
                return Ok(self.file.metadata()?.len().saturating_sub(self.offset));
            }
            let most = LINE.min(usize::try_from(*left).unwrap_or(LINE));
            match self.file.read(&mut piece[..most]) {
                Ok(0) => return Ok(0),
                Ok(n) => {
                    self.offset += n as u64;
                    *left -= n as u64;
                    lines.push(&piece[..n], line);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Lines out of pieces. Of a line longer than [`LINE`] the start counts.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    fn push(&mut self, piece: &[u8], line: &mut dyn FnMut(&str)) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            let room = LINE - self.partial.len();
            self.partial.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.emit(line);
            }
        }
    }

    /// The file is over: what has no line break yet will never get one.
    fn flush(&mut self, line: &mut dyn FnMut(&str)) {
        if !self.partial.is_empty() {
            self.emit(line);
        }
    }

    fn emit(&mut self, line: &mut dyn FnMut(&str)) {
        let text = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
        line(&String::from_utf8_lossy(text));
        self.partial.clear();
    }

    fn forget(&mut self) {
        self.partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    struct Bench {
        folder: tempfile::TempDir,
        follower: Follower,
    }

    impl Bench {
        fn new(start: Option<&str>) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("app.log");
            if let Some(text) = start {
                fs::write(&path, text).expect("written");
            }
            Self { follower: Follower::new(&path), folder }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("app.log")
        }

        fn append(&self, bytes: &[u8]) {
            let mut file = File::options().append(true).create(true).open(self.path()).expect("opened");
            file.write_all(bytes).expect("appended");
        }

        fn lines(&mut self) -> Result<Vec<String>, String> {
            let mut lines = Vec::new();
            self.follower.read(&mut |line| lines.push(line.to_owned())).map(|_| lines)
        }
    }

    #[test]
    fn from_the_end_and_only_whole_lines() {
        let mut bench = Bench::new(Some("old\nhalf"));
        assert_eq!(bench.lines(), Ok(vec![]));
        bench.append(b" an old one\none\r\ntw");
        assert_eq!(bench.lines(), Ok(vec![" an old one".into(), "one".into()]));
        bench.append(b"o\n\n\xff\xfe\n");
        assert_eq!(bench.lines(), Ok(vec!["two".into(), String::new(), "\u{fffd}\u{fffd}".into()]));
    }

    #[test]
    fn a_file_that_is_yet_to_come() {
        let mut bench = Bench::new(None);
        assert_eq!(bench.lines(), Err("no such file".to_owned()));
        bench.append(b"first\n");
        assert_eq!(bench.lines(), Ok(vec!["first".into()]));
    }

    #[test]
    fn rotation_loses_nothing() {
        let mut bench = Bench::new(Some(""));
        bench.append(b"a\n");
        let aside = bench.folder.path().join("app.log.1");
        fs::rename(bench.path(), &aside).expect("renamed");
        let mut old = File::options().append(true).open(&aside).expect("opened");
        let gone = bench.follower.read(&mut |_| {}).expect("read");
        assert_eq!(gone, Reached { behind: 0, gone: true });
        // The newcomer is there, but the writer has not changed over yet.
        File::create(bench.path()).expect("created");
        old.write_all(b"b\nlast words").expect("written");
        assert_eq!(bench.lines(), Ok(vec!["b".into()]));
        bench.append(b"c\n");
        assert_eq!(bench.lines(), Ok(vec!["last words".into(), "c".into()]));
    }

    #[test]
    fn truncation_starts_anew() {
        let mut bench = Bench::new(Some(""));
        bench.append(b"a long first line\npart");
        assert_eq!(bench.lines().map(|lines| lines.len()), Ok(1));
        fs::write(bench.path(), "b\n").expect("truncated");
        assert_eq!(bench.lines(), Ok(vec!["b".into()]));
    }

    #[test]
    fn endless_lines_are_cut() {
        let mut bench = Bench::new(Some(""));
        bench.append(&vec![b'x'; 3 * LINE]);
        assert_eq!(bench.lines(), Ok(vec![]));
        assert_eq!(bench.follower.lines.partial.len(), LINE);
        bench.append(b"\ny\n");
        let lines = bench.lines().expect("read");
        assert_eq!((lines[0].len(), lines[1].as_str()), (LINE, "y"));
    }

    #[test]
    fn folders_and_pipes_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = Follower::new(folder.path()).read(&mut |_| {});
        assert_eq!(said, Err("not a regular file".to_owned()));
    }
}
