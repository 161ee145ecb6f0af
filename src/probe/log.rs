//! A number from a followed log file: a share of its recent lines, or how many come in a second.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep};

use super::follow::{Follower, Reached};
use super::number;
use crate::run::NoData;
use crate::runbook::LogTake;

/// How often the file is read between two samples: it dates the lines.
const ALONG: Duration = Duration::from_millis(200);
/// Pieces of time a window is counted in, so that its memory does not grow with the file.
const PIECES: u32 = 600;

/// Shared, because a reading that hangs outlives the sample that asked for it.
#[derive(Debug)]
pub struct Log(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    follower: Follower,
    take: Take,
    window: Window,
    reached: Result<Reached, String>,
}

#[derive(Debug)]
enum Take {
    Share { matching: Regex, of: Option<Regex>, at_least: u64 },
    Rate { matching: Regex },
}

impl Log {
    /// Begins to follow.
    ///
    /// # Errors
    /// An expression that is none.
    pub fn new(path: &Path, take: &LogTake, window: Duration) -> Result<Self, NoData> {
        let take = match take {
            LogTake::Share { matching, of, at_least } => Take::Share {
                matching: regex(matching)?,
                of: of.as_deref().map(regex).transpose()?,
                at_least: u64::from(*at_least),
            },
            LogTake::Rate { matching } => Take::Rate { matching: regex(matching)? },
        };
        Ok(Self(Arc::new(Mutex::new(Inner {
            follower: Follower::new(path),
            take,
            window: Window::new(window, Instant::now()),
            reached: Ok(Reached::default()),
        }))))
    }

    pub async fn measure(&mut self) -> Result<f64, NoData> {
        let inner = self.read().await?;
        inner.value(Instant::now())
    }

    /// Reads what comes, for ever.
    pub async fn read_along(&mut self) {
        loop {
            sleep(ALONG).await;
            // A reading that fails says so at the next sample.
            let _ = self.read().await;
        }
    }

    async fn read(&self) -> Result<OwnedMutexGuard<Inner>, NoData> {
        let mut inner = Arc::clone(&self.0).lock_owned().await;
        tokio::task::spawn_blocking(move || {
            inner.read(Instant::now());
            inner
        })
        .await
        .map_err(|_| NoData::new("the log could not be read"))
    }
}

fn regex(text: &str) -> Result<Regex, NoData> {
    Regex::new(text).map_err(|_| NoData::new(format!("not a regular expression: {}", number::quoted(text))))
}

impl Inner {
    fn read(&mut self, now: Instant) {
        let (take, mut matching, mut of) = (&self.take, 0, 0);
        self.reached = self.follower.read(&mut |line| {
            let (counts, hits) = take.judge(line);
            of += u64::from(counts);
            matching += u64::from(hits);
        });
        self.window.add(now, matching, of);
    }

    fn value(&self, now: Instant) -> Result<f64, NoData> {
        let reached = self.reached.clone().map_err(NoData::new)?;
        if reached.behind > 0 {
            let mb = reached.behind.div_ceil(1_000_000);
            return Err(NoData::new(format!("{mb} MB behind: the log grows faster than it is read")));
        }
        let (matching, of) = self.window.count(now);
        if of == 0 && reached.gone {
            return Err(NoData::new("no such file"));
        }
        match self.take {
            Take::Share { .. } if of == 0 => {
                let window = number::words(self.window.length);
                Err(NoData::new(format!("no lines in the last {window}")))
            }
            Take::Share { at_least, .. } if of < at_least => {
                Err(NoData::new(format!("only {of} lines, {at_least} wanted")))
            }
            Take::Share { .. } => Ok(100.0 * matching as f64 / of as f64),
            Take::Rate { .. } => self.window.rate(matching, now),
        }
    }
}

impl Take {
    /// Whether a line is one of those looked at, and whether it is one of those looked for.
    fn judge(&self, line: &str) -> (bool, bool) {
        match self {
            Self::Share { matching, of, .. } => {
                let counts = of.as_ref().is_none_or(|of| of.is_match(line));
                (counts, counts && matching.is_match(line))
            }
            Self::Rate { matching } => (true, matching.is_match(line)),
        }
    }
}

/// Counts of the last `length` of time.
#[derive(Debug)]
struct Window {
    length: Duration,
    since: Instant,
    /// When a piece began, and its two counts.
    pieces: VecDeque<(Instant, u64, u64)>,
}

impl Window {
    fn new(length: Duration, now: Instant) -> Self {
        Self { length, since: now, pieces: VecDeque::new() }
    }

    fn add(&mut self, now: Instant, matching: u64, of: u64) {
        self.pieces.retain(|(at, ..)| now.duration_since(*at) <= self.length);
        if of == 0 {
            return;
        }
        match self.pieces.back_mut() {
            Some((at, m, o)) if now.duration_since(*at) < self.length / PIECES => {
                *m += matching;
                *o += of;
            }
            _ => self.pieces.push_back((now, matching, of)),
        }
    }

    fn count(&self, now: Instant) -> (u64, u64) {
        let young = self.pieces.iter().filter(|(at, ..)| now.duration_since(*at) <= self.length);
        young.fold((0, 0), |(m, o), (_, matching, of)| (m + matching, o + of))
    }

    /// Per second; over the time since the start, as long as that is shorter than the window.
    fn rate(&self, matching: u64, now: Instant) -> Result<f64, NoData> {
        let seen = now.duration_since(self.since).min(self.length);
        if seen < self.length.min(Duration::from_secs(1)) || seen.is_zero() {
            return Err(NoData::new("only just begun to follow it"));
        }
        Ok(matching as f64 / seen.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    struct Bench {
        _folder: tempfile::TempDir,
        path: PathBuf,
        start: Instant,
        inner: Inner,
    }

    impl Bench {
        fn new(take: LogTake) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("app.log");
            fs::write(&path, "GET 500 of long ago\n").expect("written");
            let log = Log::new(&path, &take, WINDOW).expect("a log");
            let inner = Arc::into_inner(log.0).expect("alone").into_inner();
            Self { _folder: folder, path, start: inner.window.since, inner }
        }

        /// Appends at second `at`, then asks.
        fn at(&mut self, at: u64, text: &str) -> String {
            use std::io::Write;
            let mut file = fs::File::options().append(true).open(&self.path).expect("opened");
            file.write_all(text.as_bytes()).expect("appended");
            let now = self.start + Duration::from_secs(at);
            self.inner.read(now);
            match self.inner.value(now) {
                Ok(number) => number.to_string(),
                Err(none) => none.reason,
            }
        }
    }

    fn share() -> LogTake {
        LogTake::Share { matching: " 5[0-9][0-9]".to_owned(), of: Some("^GET ".to_owned()), at_least: 1 }
    }

    #[test]
    fn a_share_of_the_lines_of_the_window() {
        let mut bench = Bench::new(share());
        assert_eq!(bench.at(1, ""), "no lines in the last 10 s");
        assert_eq!(bench.at(2, "start 500\n"), "no lines in the last 10 s");
        assert_eq!(bench.at(3, "GET 200\nGET 500\nGET 200\nGET 200\n"), "25");
        assert_eq!(bench.at(8, "GET 503\n"), "40");
        assert_eq!(bench.at(14, ""), "100", "the four of second 3 are too old");
        assert_eq!(bench.at(19, ""), "no lines in the last 10 s");
    }

    #[test]
    fn a_rate_of_none_is_a_number() {
        let mut bench = Bench::new(LogTake::Rate { matching: "ERROR".to_owned() });
        assert_eq!(bench.at(0, "ERROR\n"), "only just begun to follow it");
        assert_eq!(bench.at(2, "ERROR\nfine\n"), "1");
        assert_eq!(bench.at(10, "ERROR\nERROR\n"), "0.4");
        assert_eq!(bench.at(40, ""), "0");
        fs::remove_file(&bench.path).expect("removed");
        let now = bench.start + Duration::from_secs(50);
        bench.inner.read(now);
        assert_eq!(bench.inner.value(now), Err(NoData::new("no such file")));
    }

    #[test]
    fn a_flood_does_not_grow_the_window() {
        let start = Instant::now();
        let mut window = Window::new(WINDOW, start);
        for ms in 0..60_000 {
            window.add(start + Duration::from_millis(ms), 1, 2);
        }
        assert!(window.pieces.len() <= PIECES as usize + 1, "{}", window.pieces.len());
        let (matching, of) = window.count(start + Duration::from_secs(60));
        assert_eq!(matching * 2, of);
    }

    #[test]
    fn expressions_that_are_none() {
        let take = LogTake::Rate { matching: "(".to_owned() };
        let error = Log::new(Path::new("/nowhere"), &take, WINDOW).err();
        assert_eq!(error, Some(NoData::new("not a regular expression: (")));
    }
}
