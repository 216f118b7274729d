//! From a URL to how to connect.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use zeroize::Zeroizing;

use super::{Config, OpenError, parameter};
pub use crate::url::Url;

const PORT: u16 = 5432;
/// libpq's parameter for the file with the authorities to trust.
const ROOT: &str = "sslrootcert";
/// A connection that says nothing for so long is asked whether it still lives.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// What was sent and not acknowledged for so long was sent to a dead server.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(15);

/// The authorities that a URL trusts: a file of them, or the machine's own.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Roots {
    File(PathBuf),
    Machine,
}

/// What the URL says of it as libpq does, `sslrootcert`; `None` where it says nothing.
/// Where it does without TLS, no file is read.
pub(super) fn roots(url: &str, connect: &tokio_postgres::Config) -> Option<Roots> {
    let (_, root) = parameter::take(url, ROOT);
    match root.as_deref() {
        None | Some("") => None,
        Some(_) if connect.get_ssl_mode() == SslMode::Disable => Some(Roots::Machine),
        Some("system") => Some(Roots::Machine),
        Some(file) => Some(Roots::File(file.into())),
    }
}

pub(super) fn parse(url: &str, config: &Config) -> Result<tokio_postgres::Config, OpenError> {
    let text = as_driver_reads(url);
    let mut connect: tokio_postgres::Config = text
        .parse()
        .map_err(|error| OpenError::Url(Box::new(error)))?;
    connect
        .application_name("hearth")
        .connect_timeout(Duration::from_millis(config.connect_ms_max))
        .keepalives(true)
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE)
        .keepalives_retries(3)
        .tcp_user_timeout(UNACKNOWLEDGED_MAX);
    choose_tls(&mut connect, url);
    choose_primary(&mut connect);
    Ok(connect)
}

/// Our TLS always verifies the certificate and the name, so libpq's two
/// stricter modes, which the driver does not know, mean the same as `require`. Nor does
/// it know which authorities to trust: see [`roots`].
fn as_driver_reads(url: &str) -> Zeroizing<String> {
    let (url, _) = parameter::take(url, ROOT);
    let text = Zeroizing::new(url.replace("sslmode=verify-full", "sslmode=require"));
    Zeroizing::new(text.replace("sslmode=verify-ca", "sslmode=require"))
}

/// Without an `sslmode` the driver would prefer TLS, which anybody between the
/// host and the database can take away. So a database on another machine must
/// speak TLS unless the URL says otherwise, and a Unix socket never does.
fn choose_tls(connect: &mut tokio_postgres::Config, url: &str) {
    if connect
        .get_hosts()
        .iter()
        .all(|host| matches!(host, Host::Unix(_)))
    {
        connect.ssl_mode(SslMode::Disable);
    } else if !url.contains("sslmode") && !connect.get_hosts().iter().all(is_local) {
        connect.ssl_mode(SslMode::Require);
    }
}

/// The hosts and ports of a URL that leads over a network.
pub fn hosts(url: &str) -> Vec<(String, u16)> {
    let Ok(connect) = as_driver_reads(url).parse::<tokio_postgres::Config>() else {
        return Vec::new();
    };
    let ports = connect.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied();
    let named = connect.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => Some(name.clone()),
        Host::Unix(_) => None,
    });
    let named = named.enumerate();
    let named = named.filter_map(|(at, name)| Some((name?, port(at).unwrap_or(PORT))));
    let addressed = connect.get_hostaddrs().iter().enumerate();
    let addressed = addressed.map(|(at, ip)| (ip.to_string(), port(at).unwrap_or(PORT)));
    named.chain(addressed).collect()
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) if name == "localhost" => true,
        Host::Tcp(name) => name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback()),
    }
}

/// Of several servers the host wants the one that takes writes.
fn choose_primary(connect: &mut tokio_postgres::Config) {
    let several = connect.get_hosts().len() > 1;
    if several && connect.get_target_session_attrs() == TargetSessionAttrs::Any {
        connect.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        parse(url, &Config::default()).unwrap().get_ssl_mode()
    }

    #[test]
    fn another_machine_must_speak_tls_unless_the_url_says_otherwise() {
        assert_eq!(mode("postgres://u@db.example.com/d"), SslMode::Require);
        assert_eq!(
            mode("postgres://u@db.example.com/d?sslmode=disable"),
            SslMode::Disable
        );
        assert_eq!(
            mode("host=db.example.com user=u sslmode=verify-full"),
            SslMode::Require
        );
        assert_eq!(mode("postgres://u@127.0.0.1/d"), SslMode::Prefer);
        assert_eq!(mode("host=/run/postgresql user=u"), SslMode::Disable);
    }

    #[test]
    fn authorities_of_the_url_are_those_that_libpq_would_trust() {
        let of = |url: &str| roots(url, &parse(url, &Config::default()).unwrap());
        let file = |path: &str| Some(Roots::File(path.into()));
        let verified = "postgres://u:p@h/d?sslmode=verify-full&sslrootcert=";
        assert_eq!(of(&format!("{verified}%2Fca.pem")), file("/ca.pem"));
        assert_eq!(of(&format!("{verified}system")), Some(Roots::Machine));
        assert_eq!(
            of("host=h user=u sslrootcert='/my ca.pem'"),
            file("/my ca.pem")
        );
        assert_eq!(of("postgres://u:p@h/d"), None);
        let without = "postgres://u:p@h/d?sslmode=disable&sslrootcert=/nowhere.pem";
        assert_eq!(of(without), Some(Roots::Machine));
        assert_eq!(hosts(without), [("h".to_owned(), 5432)]);
    }

    #[test]
    fn every_host_of_a_url_is_known_with_its_port() {
        let of = |host: &str, port| (host.to_owned(), port);
        assert_eq!(hosts("postgres://u:p@db/d"), [of("db", 5432)]);
        let two = hosts("postgres://u@a:1,b:2/d?sslmode=verify-full");
        assert_eq!(two, [of("a", 1), of("b", 2)]);
        let one_port = hosts("host=a,b port=7 hostaddr=10.0.0.1,10.0.0.2 user=u");
        let expected = [of("a", 7), of("b", 7), of("10.0.0.1", 7), of("10.0.0.2", 7)];
        assert_eq!(one_port, expected);
        assert_eq!(hosts("host=/run/postgresql user=u"), []);
    }

    #[test]
    fn url_is_never_shown() {
        let url = Url::from("postgres://u:hunter2@h/d".to_owned());
        assert!(!format!("{url:?} {url}").contains("hunter2"));
        let config = Config {
            url: Some(url),
            ..Config::default()
        };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
