//! The one way an HTTP client is built, and what its errors mean in plain words. A leaf: knows no room.

use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, Response, redirect};
use url::{Host, Url};

/// How long a connection may take to come about.
pub const CONNECT: Duration = Duration::from_secs(10);

/// `text` as an `http` or `https` address. The error never repeats the text: it may hold a secret.
pub fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|error| format!("not a URL ({error})"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        scheme => Err(format!("an http:// or https:// URL is wanted, this one starts with {scheme}:")),
    }
}

/// A client for `url`: no redirects, no retries, no proxy for this very machine, certificates verified.
/// `keep`: whether connections are kept for the next request; a request that must not be doubled wants `false`.
/// `connect`: how long a connection may take to come about, [`CONNECT`] or less.
///
/// # Errors
/// Words for a person, when the system's certificates cannot be read.
pub fn client(url: &Url, keep: bool, connect: Duration) -> Result<Client, String> {
    provide_crypto();
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(connect)
        .user_agent(concat!("gonogo/", env!("CARGO_PKG_VERSION")));
    if !keep {
        builder = builder.pool_max_idle_per_host(0);
    }
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    if url.scheme() == "http" && is_loopback(url) {
        // No certificate is looked at, so a machine without any is no obstacle.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| match error.source() {
        Some(cause) => format!("no HTTP client: {cause}"),
        None => "no HTTP client could be made".to_owned(),
    })
}

/// Idempotent: whoever comes first, the program or a test, sets the process-wide choice.
fn provide_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error only says that another thread was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// True where the request cannot have reached the other side.
pub fn never_sent(error: &reqwest::Error) -> bool {
    error.is_builder() || error.is_connect()
}

/// What went wrong, short, without the address.
pub fn reason(error: &reqwest::Error) -> String {
    if error.is_dns() {
        return "host not found".to_owned();
    }
    match io_kind(error) {
        Some(io::ErrorKind::ConnectionRefused) => return "connection refused".to_owned(),
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            return "host unreachable".to_owned();
        }
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof) => {
            return "connection broken off".to_owned();
        }
        _ => {}
    }
    if error.is_connect() && error.is_timeout() {
        return "no connection in time".to_owned();
    }
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    if let Some(tls) = tls_words(error) {
        return tls;
    }
    if error.is_connect() {
        return "no connection".to_owned();
    }
    format!("broken answer ({})", innermost(error))
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .map(io::Error::kind)
        .find(|kind| *kind != io::ErrorKind::Other)
}

fn tls_words(error: &reqwest::Error) -> Option<String> {
    let found = causes(error).find_map(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
        inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()).or_else(|| cause.downcast_ref::<rustls::Error>())
    })?;
    Some(format!("TLS: {found}"))
}

fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "no cause given".to_owned(), ToString::to_string)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&(dyn std::error::Error + 'static)| (*cause).source())
}

/// The first bytes of an answer's body.
#[derive(Debug, Default)]
pub struct Body {
    pub bytes: Vec<u8>,
    /// True where there was more than asked for; the rest was not read.
    pub cut: bool,
}

/// Reads at most `max` bytes of the body of `response`.
pub async fn body(response: &mut Response, max: usize) -> Result<Body, reqwest::Error> {
    let mut body = Body::default();
    while let Some(chunk) = response.chunk().await? {
        let room = max - body.bytes.len();
        if chunk.len() > room {
            body.bytes.extend_from_slice(&chunk[..room]);
            body.cut = true;
            break;
        }
        body.bytes.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert!(address("http://127.0.0.1:9090").is_ok());
        assert_eq!(address("secret token"), Err("not a URL (relative URL without a base)".to_owned()));
        assert!(address("file:///etc/passwd").is_err_and(|error| error.contains("starts with file:")));
    }

    #[test]
    fn this_machine_needs_no_proxy() {
        let local = |text| address(text).is_ok_and(|url| is_loopback(&url));
        assert!(local("http://127.0.0.1:1/") && local("http://[::1]:1/") && local("http://LOCALHOST/"));
        assert!(!local("http://10.0.0.1/") && !local("http://localhost.example/"));
    }

    #[test]
    fn a_client_for_each_scheme() {
        for text in ["http://127.0.0.1:1/", "https://127.0.0.1:1/"] {
            assert!(address(text).and_then(|url| client(&url, true, CONNECT)).is_ok(), "{text}");
        }
    }
}
