//! Who is at the other end of the socket, by the kernel's word.

use std::fs;
use std::io;

use tokio::net::UnixStream;

/// A screen, as the engine knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Counts the screens of this engine; the same in everything that one of them does.
    pub id: u64,
    pub uid: u32,
    pub pid: Option<i32>,
    /// `user@host`, the user by the kernel's word.
    pub by: String,
    /// Who it says it is: worth knowing where a team shares one account, never proof.
    pub says: String,
    /// False for one that only watches.
    pub writes: bool,
}

pub(super) struct Credentials {
    pub uid: u32,
    pub pid: Option<i32>,
}

pub(super) fn credentials(stream: &UnixStream) -> io::Result<Credentials> {
    let cred = stream.peer_cred()?;
    Ok(Credentials { uid: cred.uid(), pid: cred.pid() })
}

/// The engine's own user and root may speak to it, nobody else.
pub(super) fn may_speak(uid: u32, own: u32) -> bool {
    uid == own || uid == 0
}

pub(super) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The name an engine on this machine knows this process by.
pub fn own_name() -> String {
    name(own_uid())
}

/// `user@host` of a user of this machine; a user without a name goes by number.
pub fn name(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = user_in(&users, uid).unwrap_or_else(|| format!("uid {uid}"));
    format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
}

/// The first user of that number in the text of a passwd file.
pub(super) fn user_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid).then(|| name.to_owned())
    })
}
