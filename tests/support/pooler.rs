//! PgBouncer in front of a test cluster, in transaction mode; gone when it is dropped.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::postgres::{Cluster, ROLE};

/// Where Debian puts it, which is not on everybody's path.
const PROGRAMS: [&str; 2] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];

pub struct Pooler {
    child: Child,
    port: u16,
}

impl Pooler {
    /// None (and a word on standard error) where the program is not installed.
    pub fn start(cluster: &Cluster) -> Option<Self> {
        let Some(program) = PROGRAMS.iter().find(|program| fs::exists(program).unwrap()) else {
            eprintln!("SKIPPED: no PgBouncer found; install the Debian package `pgbouncer`");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = cluster.folder();
        let (config, users) = (folder.join("pgbouncer.ini"), folder.join("users.txt"));
        fs::write(&users, format!("\"{ROLE}\" \"\"\n")).unwrap();
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\nauth_file = {}\npool_mode = transaction\n\
             ignore_startup_parameters = extra_float_digits\n",
            cluster.port(),
            users.display()
        );
        // Any user is the one of the database line.
        let text = text.replace("* = host", &format!("* = user={ROLE} host"));
        fs::write(&config, text).unwrap();
        let mut command = cluster.plain(program);
        command.arg("-q").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let pooler = Self { child: command.spawn().unwrap(), port };
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(pooler);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("PgBouncer does not start");
    }

    /// `postgres://postgres@127.0.0.1:PORT/DB`
    pub fn url(&self, db: &str) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/{db}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
