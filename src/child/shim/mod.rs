//! The shim: a small process between the engine and a command, which outlives the engine. It keeps the command's output and
//! the way it ended in the attempt's folder, and its time limit where no engine is left to do so.

mod place;
mod store;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

pub use place::{Ended, Left, Place, Proc, Standing, Started, Unspawned};
pub use store::{Follower, HEAD, Rest, TAIL, Which};

use crate::child::{self, Running, Sign, Spec, proc};
use crate::failpoint;
use store::Store;

/// How often the tails are written and the dead are buried.
const TICK: Duration = Duration::from_secs(1);
/// A process that is just ending gets so much time to do so.
const MOMENT: Duration = Duration::from_millis(100);
/// How often a record that cannot be written is tried again, one second apart.
const TRIES: u32 = 10;
/// Processes that a command left running, as its record names them.
const LEFT_NAMED: usize = 200;
/// Variables that are meant for us, not for the command.
const OWN: &[&str] = &["GONOGO_FAILPOINT"];
/// The file that becomes the command's standard input, where it is there.
pub const INPUT: &str = "in";

/// What a shim is told.
#[derive(Clone, Debug)]
pub struct Orders {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// How long the command may take.
    pub timeout: Option<Duration>,
    /// From TERM to KILL when its time is over.
    pub grace: Duration,
    /// How long its output is read after its end, where something holds it open.
    pub drain: Duration,
}

/// A shim to be started.
pub struct Launch<'a> {
    /// gonogo itself.
    pub program: &'a Path,
    /// Made before: see [`Place::create`].
    pub place: &'a Place,
    pub orders: &'a Orders,
    /// Where the command starts.
    pub cwd: &'a Path,
    /// Added to what every child inherits.
    pub env: Vec<(String, String)>,
}

impl Launch<'_> {
    /// Starts it; the command follows once the shim has the lock. Dropping the handle stops nothing.
    ///
    /// # Errors
    /// The shim could not be started.
    pub fn start(self) -> io::Result<Child> {
        let orders = self.orders;
        let mut command = Command::new(self.program);
        command.arg("shim").arg(self.place.dir());
        let millis = |time: Duration| time.as_millis().to_string();
        if let Some(timeout) = orders.timeout {
            command.arg("--timeout").arg(millis(timeout));
        }
        command.arg("--grace").arg(millis(orders.grace)).arg("--drain").arg(millis(orders.drain));
        let own = OWN.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        command
            .arg("--")
            .args(&orders.argv)
            .current_dir(self.cwd)
            .env_clear()
            .envs(child::inherited())
            .envs(self.env)
            .envs(own)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.place.new_file("log")?)
            .spawn()
    }
}

/// Why a shim gave up before anything was started, or could not keep its word.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    #[error("{0}: {1}")]
    Folder(String, io::Error),
    #[error("{0} was taken by another, or fenced off: nothing was started")]
    Taken(String),
    #[error("a failure was ordered")]
    Ordered,
    #[error("the end of the command could not be written down: {0}")]
    Ended(io::Error),
}

/// Runs the command to its end. The environment of this process becomes that of the command, its working folder too.
///
/// # Errors
/// Nothing was started, but for [`ShimError::Ended`]. A command that cannot be started is no error: that is written down.
pub async fn keep(place: &Place, orders: &Orders) -> Result<(), ShimError> {
    stand_alone();
    let folder = |error| ShimError::Folder(place.dir().display().to_string(), error);
    let lock = place.lock().map_err(folder)?;
    if place.is_fenced() || place.started().map_err(folder)?.is_some() {
        return Err(ShimError::Taken(place.dir().display().to_string()));
    }
    if failpoint::hit("shim.before") {
        return Err(ShimError::Ordered);
    }
    let store = Store::create(place).map_err(folder)?;
    let us = Proc::of(std::process::id());
    let mut started = Started { boot: proc::boot_id(), shim: us, child: None };
    place.write_started(&started).map_err(folder)?;
    let begun = Instant::now();
    let mut ended = match child::spawn(&spec(place, orders)) {
        Ok(running) => {
            started.child = Some(Proc::of(running.pid()));
            let unwritten = place.write_started(&started).err();
            failpoint::hit("shim.started");
            let mut ended = Watch::new(running, store, orders, begun).see_through().await;
            if let Some(error) = unwritten {
                ended.unkept.get_or_insert(format!("its number could not be written down: {error}"));
            }
            ended
        }
        Err(error) => Ended { unspawned: Some(Unspawned::from(&error)), ..Ended::default() },
    };
    place.forget_passwords();
    if failpoint::hit("shim.ended") {
        return Err(ShimError::Ordered);
    }
    write_end(place, &mut ended).await?;
    drop::<File>(lock);
    Ok(())
}

/// A session of our own, deaf to whatever ends terminals and services: only the command's end is ours. What the command
/// leaves without a parent becomes our child, so that we know of it.
fn stand_alone() {
    // Fails only where we lead a session already, which is as good.
    let _ = rustix::process::setsid();
    // Without it only those are known that stay in the command's session or hold its output.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    for kind in [SignalKind::hangup(), SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()] {
        // Once it was listened to, a signal no longer ends us, whether anybody hears it or not.
        let _ = signal(kind);
    }
}

fn spec(place: &Place, orders: &Orders) -> Spec {
    let input = place.file(INPUT);
    Spec {
        argv: orders.argv.clone(),
        cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        env: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| !OWN.contains(&name.as_str()))
            .collect(),
        stdin: Path::exists(&input).then_some(input),
        drain: orders.drain,
    }
}

/// A disk that is full for a moment must not cost the exit status.
async fn write_end(place: &Place, ended: &mut Ended) -> Result<(), ShimError> {
    let mut tries = 0;
    loop {
        match place.write_ended(ended) {
            Ok(()) => return Ok(()),
            Err(error) if tries == TRIES => return Err(ShimError::Ended(error)),
            Err(_) => sleep(Duration::from_secs(1)).await,
        }
        tries += 1;
    }
}

/// Watches over one command.
struct Watch {
    running: Running,
    store: Store,
    grace: Duration,
    begun: Instant,
    deadline: Option<Instant>,
    /// When patience with a command that was asked to end is over.
    patience: Option<Instant>,
    ended: Ended,
}

impl Watch {
    fn new(running: Running, store: Store, orders: &Orders, begun: Instant) -> Self {
        Self {
            running,
            store,
            grace: orders.grace,
            begun,
            deadline: orders.timeout.and_then(|timeout| begun.checked_add(timeout)),
            patience: None,
            ended: Ended::default(),
        }
    }

    async fn see_through(mut self) -> Ended {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                sign = self.running.next() => match sign {
                    Ok(sign) => if self.note(sign) { break },
                    // The system does not tell how it ended: without a status that is what the record says.
                    Err(_) => break,
                },
                () = until(self.deadline) => self.time_is_over(),
                () = until(self.patience) => {
                    self.patience = None;
                    self.running.signal(Signal::KILL);
                }
                _ = tick.tick() => {
                    self.store.flush();
                    bury(self.running.pid());
                }
            }
        }
        if self.ended.timed_out {
            // Its leader may be gone and others of its group still busy.
            self.running.signal(Signal::KILL);
        }
        self.ended.left = self.left().await;
        // The record of an end is read up to a bound: a herd of processes must not make it unreadable.
        self.ended.left.truncate(LEFT_NAMED);
        self.ended.unkept = self.store.close();
        self.ended
    }

    /// Takes note; true when all is over.
    fn note(&mut self, sign: Sign) -> bool {
        match sign {
            Sign::Out(piece) => self.store.push(Which::Out, &piece),
            Sign::Err(piece) => self.store.push(Which::Err, &piece),
            Sign::Exited(status) => {
                self.ended.status = Some(std::os::unix::process::ExitStatusExt::into_raw(status));
                self.ended.ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.deadline = None;
                self.patience = None;
            }
            Sign::Closed { held } => {
                self.ended.held = held;
                return true;
            }
        }
        false
    }

    fn time_is_over(&mut self) {
        self.deadline = None;
        self.ended.timed_out = true;
        self.running.signal(Signal::TERM);
        self.patience = Some(Instant::now() + self.grace);
    }
}

impl Watch {
    /// What it left running, and not only for the moment that a process needs to end.
    async fn left(&self) -> Vec<Left> {
        let first = left(&self.running);
        if first.is_empty() {
            return first;
        }
        sleep(MOMENT).await;
        left(&self.running).into_iter().filter(|left| first.contains(left)).collect()
    }
}

/// What the command left running: of its session, at its output, and whatever became ours.
fn left(running: &Running) -> Vec<Left> {
    let mut found = running.leftovers();
    found.extend(proc::below(std::process::id()));
    found.sort_by_key(|stat| stat.pid);
    found.dedup_by_key(|stat| stat.pid);
    found.into_iter().map(|stat| Left { pid: stat.pid, name: stat.name }).collect()
}

/// Takes away what died as our child by adoption. The command itself is waited for elsewhere.
fn bury(command: u32) {
    for pid in proc::dead_children(std::process::id()).into_iter().filter(|pid| *pid != command) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Sleeps until then; none: for ever.
pub async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
