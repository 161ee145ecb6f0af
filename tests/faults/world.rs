//! A world in which every effect leaves a mark that gonogo does not read: rows, lines of a file, requests heard.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gonogo::run::{Attempt, Direction};
use gonogo::runbook::{Secret, TargetSpec};
use gonogo::target::Target;
use support::headless::Desk;
use support::postgres::{Cluster, shared};

/// The steps of the runbook that leave marks, in order, and whether their undo does.
pub const MARKED: &[&str] = &["sql", "file", "direct", "batch", "run", "shell", "post", "say"];

pub struct World {
    pub desk: Desk,
    /// The run fails at its end and is rolled back.
    pub back: bool,
    cluster: &'static Cluster,
    db: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl World {
    /// With a ledger in the database. `back`: the run fails at its end and is rolled back.
    pub async fn new(back: bool) -> Option<Self> {
        let cluster = shared()?;
        let db = cluster.create_db();
        cluster.psql(
            &db,
            "create table mark (name text); create table big as select generate_series(1, 20000) n; \
             create table rows (id int primary key, n int not null default 0); \
             insert into rows select g from generate_series(1, 600) g",
        );
        let spec = TargetSpec::new(Secret::Env("DB".to_owned()));
        let target = Target::open("main", &spec, cluster.url(&db).into(), "gonogo test").await.unwrap();
        target.create_ledger("test").await.unwrap();
        let heard = Arc::default();
        let server = listen(Arc::clone(&heard));
        let desk = super::desk().with("DB", cluster.url(&db));
        desk.write("file.sql", "insert into mark values ('file');\nselect count(*) from mark where name = 'file';\n");
        desk.write("runbook.toml", &book(server, desk.path("marks").to_str().unwrap(), back));
        Some(Self { desk, back, cluster, db, heard })
    }

    /// How often the step, or its undo, had its effect.
    pub fn marks(&self, step: &str, direction: Direction) -> usize {
        let undo = if direction == Direction::Undo { "undo " } else { "" };
        match step {
            "sql" | "file" | "direct" => {
                let sql = format!("select count(*) from mark where name = '{undo}{step}'");
                self.cluster.psql(&self.db, &sql).parse().unwrap()
            }
            // Once, where every row was met once; else how often the row met most.
            "batch" => {
                let sql = "select case when min(n) = max(n) then max(n) when min(n) = 0 then 0 else 99 end from rows";
                let times: usize = self.cluster.psql(&self.db, sql).parse().unwrap();
                if direction == Direction::Undo { times.saturating_sub(1) } else { times.min(1) }
            }
            "index" => {
                let sql = "select count(*) from pg_index join pg_class on oid = indexrelid \
                           where relname = 'big_n' and indisvalid";
                let there: usize = self.cluster.psql(&self.db, sql).parse().unwrap();
                if direction == Direction::Undo { 1 - there } else { there }
            }
            _ => self.lines(&format!("{undo}{step}")).len(),
        }
    }

    /// Whether this very attempt had its effect: what a careful person would find.
    pub fn happened(&self, attempt: &Attempt) -> bool {
        let step = attempt.step.0.as_str();
        match step {
            "sql" | "file" | "direct" | "index" => self.marks(step, attempt.direction) > 0,
            "get" | "pause" => false,
            _ => {
                let undo = if attempt.direction == Direction::Undo { "undo " } else { "" };
                self.lines(&format!("{undo}{step}")).contains(&attempt.n.to_string())
            }
        }
    }

    /// The attempts that left a mark of this name.
    fn lines(&self, name: &str) -> Vec<String> {
        let file = std::fs::read_to_string(self.desk.path("marks")).unwrap_or_default();
        let heard = self.heard.lock().unwrap().clone();
        let lines = file.lines().map(str::to_owned).chain(heard);
        lines.filter_map(|line| Some(line.strip_prefix(&format!("{name}/"))?.to_owned())).collect()
    }

    /// What a dead engine has left at work has come to its end.
    pub fn settle_down(&self) {
        let busy = "select count(*) from pg_stat_activity where datname = current_database() \
                    and application_name like 'gonogo journey%' and backend_type = 'client backend'";
        self.cluster.until(&self.db, busy, "0");
        std::thread::sleep(Duration::from_millis(150));
    }
}

fn book(server: SocketAddr, marks: &str, back: bool) -> String {
    let sql = |name: &str| format!("insert into mark values ('{name}')");
    let mark = |name: &str| format!("sleep 0.02; echo \\\"{name}/$GONOGO_ATTEMPT\\\" >> {marks}; sleep 0.02");
    let step = |id: &str, body: String, undo: String| {
        format!("[[phase.step]]\nid = \"{id}\"\n{body}\nundo = {{ {undo} }}\n\n")
    };
    let mut steps = String::new();
    steps += &step("sql", format!("sql = \"{}\"", sql("sql")), format!("sql = \"{}\"", sql("undo sql")));
    steps += &step(
        "file",
        "file = \"file.sql\"\nexpect = \"value == 1\"".to_owned(),
        format!("sql = \"{}\"", sql("undo file")),
    );
    steps += &step(
        "index",
        "sql = \"create index concurrently big_n on big (n)\"\ntransaction = \"none\"".to_owned(),
        "sql = \"drop index concurrently big_n\", transaction = \"none\"".to_owned(),
    );
    steps += &step(
        "direct",
        format!("sql = \"{}\"\ntransaction = \"none\"", sql("direct")),
        format!("sql = \"{}\", transaction = \"none\"", sql("undo direct")),
    );
    let batch = "batch = { table = \"rows\", key = \"id\", size = 60, set = \"n = n + 1\" }";
    steps += &step("batch", batch.to_owned(), batch.to_owned());
    let run = |name: &str| format!("run = [\"sh\", \"-c\", \"{}\"]", mark(name));
    steps += &step("run", run("run"), run("undo run"));
    let shell = |name: &str| format!("shell = \"{}\"", mark(name));
    steps += &step("shell", shell("shell"), shell("undo shell"));
    let post = |name: &str| format!("http = {{ url = \"http://{server}/{name}\", method = \"POST\" }}");
    steps += &step("post", post("post"), post("undo%20post"));
    steps += &format!("[[phase.step]]\nid = \"get\"\nhttp = \"http://{server}/get\"\n\n");
    steps += &format!(
        "[[phase.step]]\nid = \"say\"\nnotify = {{ command = [\"sh\", \"-c\", \"{}\"], text = \"it begins\" }}\n\n",
        mark("say")
    );
    steps += "[[phase.step]]\nid = \"pause\"\nwait = \"50ms\"\n\n";
    steps += "[[phase.step]]\nid = \"ready\"\nchecklist = [\"One\", \"Two\"]\n\n";
    if back {
        steps += "[[phase.step]]\nid = \"fails\"\nsql = \"select 1 / 0\"\non_fail = \"rollback\"\n\n";
    }
    format!(
        "format = 1\nid = \"journey\"\ntitle = \"A journey\"\n\n[environments.test]\n\
         targets.main = {{ url = \"env:DB\", lock_timeout = \"20s\" }}\n\n\
         [[phase]]\nid = \"migrate\"\nadvance = \"auto\"\n\n{steps}"
    )
}

/// Hears requests and answers them; a writing one is noted as `path/attempt`, by its idempotency key.
fn listen(heard: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut bytes = [0; 4096];
            let n = stream.read(&mut bytes).unwrap_or(0);
            let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
            if let Some(mark) = noted(&text) {
                heard.lock().unwrap().push(mark);
            }
            std::thread::sleep(Duration::from_millis(15));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
        }
    });
    address
}

fn noted(request: &str) -> Option<String> {
    let path = request.strip_prefix("POST /")?.split(' ').next()?.replace("%20", " ");
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("idempotency-key").then(|| value.trim().to_owned())
    })?;
    Some(format!("{path}/{}", key.rsplit('/').next()?))
}
