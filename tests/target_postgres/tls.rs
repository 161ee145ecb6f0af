//! TLS: a server that cannot prove who it is gets nothing from us.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use super::*;

/// A cluster with a certificate for `localhost`, signed by an authority that nobody else knows.
fn secured() -> Option<Cluster> {
    let cluster = Cluster::start(&[])?;
    let data = cluster.psql("postgres", "show data_directory");
    let file = |name: &str| format!("{data}/{name}");
    let openssl = |arguments: &str| {
        let made = Command::new("openssl").args(arguments.split(' ')).current_dir(&data).output();
        made.is_ok_and(|made| made.status.success())
    };
    let made = openssl("req -new -x509 -days 2 -nodes -subj /CN=ca -out ca.crt -keyout ca.key")
        && openssl("req -new -nodes -subj /CN=localhost -out server.csr -keyout server.key")
        && fs::write(file("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").is_ok()
        && openssl(
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
        );
    if !made {
        println!("SKIPPED: openssl is not there");
        return None;
    }
    let owner = fs::metadata(&data).unwrap();
    fs::set_permissions(file("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
    for name in ["server.crt", "server.key"] {
        chown(file(name), Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    cluster.psql("postgres", "alter system set ssl = on");
    cluster.psql("postgres", "select pg_reload_conf()");
    cluster.until("postgres", "show ssl", "on");
    Some(cluster)
}

#[tokio::test]
async fn who_cannot_prove_itself_is_refused() {
    let Some(cluster) = secured() else { return };
    let root = format!("{}/ca.crt", cluster.psql("postgres", "show data_directory"));
    let url = |host: &str, how: &str| format!("postgres://postgres@{host}:{}/postgres?{how}", cluster.port());
    let unknown = open_url(url("localhost", "sslmode=verify-full")).await.unwrap_err().to_string();
    assert!(unknown.contains("no secure connection"), "signed by nobody we know: {unknown}");
    let named = format!("sslmode=verify-full&sslrootcert={root}");
    let other = open_url(url("127.0.0.1", &named)).await.unwrap_err().to_string();
    assert!(other.contains("no secure connection"), "the certificate is for another name: {other}");
    let proven = open_url(url("localhost", &named)).await.unwrap();
    let encrypted = "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()";
    assert_eq!(proven.ask(encrypted, Duration::from_secs(5)).await.unwrap(), "true");
}
