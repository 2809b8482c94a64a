//! What plugins ask of services outside: only of hosts that were granted, where these really are; within bounds; and
//! with nothing left of it when the call is over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // Tests.

mod plugin_support;
#[path = "plugin_support/service.rs"]
mod service;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chat_host::config::PluginConfig;
use chat_host::plugin::{Blame, CauseId, Fault, Plugins, Resolver, Verdict};
use plugin_support::{House, Memory, component, item, message, plugin};
use service::{Asked, Service, answer};

/// The asker, with these grants and time enough on a busy machine.
fn house(grants: Option<&[String]>) -> House {
    static CODE: OnceLock<(House, Vec<u8>)> = OnceLock::new();
    let (compiled, bytes) = CODE.get_or_init(|| {
        let bytes = std::fs::read(component("asker-guest", "asker")).unwrap();
        let mut house = House::new();
        house.put("asker", &bytes);
        grant(&mut house, Some(&[]));
        house.open().unwrap();
        (house, bytes)
    });
    let mut house = House::with_code_of(compiled);
    house.put("asker", bytes);
    house.config.defaults.wall_ms = 20_000;
    house.config.defaults.running_ms = 5_000;
    grant(&mut house, grants);
    house
}

fn grant(house: &mut House, grants: Option<&[String]>) {
    let parsed = |grants: &[String]| grants.iter().map(|host| host.parse().unwrap()).collect();
    let config = PluginConfig {
        http: grants.map(parsed),
        ..PluginConfig::default()
    };
    house.config.plugins.insert("asker".into(), config);
}

fn granted(service: &Service) -> Plugins {
    let grants = [format!("localhost:{}", service.port)];
    house(Some(&grants)).open().unwrap()
}

/// What a fresh instance says to a text, about the message that is known by `cause`.
fn told_about(plugins: &Plugins, cause: u128, text: &str) -> Result<String, Fault> {
    let calls = Memory {
        cause: Some(CauseId(cause)),
        ..Memory::default()
    };
    let plugin = plugin(plugins, "asker");
    let mut instance = plugin.instance(Arc::new(calls)).unwrap();
    let mut verdicts = instance.moderate(&[message(text)])?;
    match verdicts.remove(0) {
        Verdict::Revise(told) => Ok(told),
        other => panic!("{other:?}"),
    }
}

fn told(plugins: &Plugins, text: &str) -> String {
    told_about(plugins, 1, text).unwrap()
}

fn fine() -> Service {
    Service::start(|_| answer("200 OK", "", "fine"))
}

/// What the service was asked has ended with the call, and not at the bound of 5 s that any request has.
fn given_up(service: &Service) {
    let began = Instant::now();
    service.until_given_up(1);
    assert!(began.elapsed() < Duration::from_secs(4), "it went on");
}

/// Asked, answered, refused.
fn counted(plugins: &Plugins) -> [u64; 3] {
    let stats = plugins.stats().plugins();
    let (_, stats) = stats.iter().find(|(name, _)| name == "asker").unwrap();
    let requests = &stats.requests;
    [&requests.asked, &requests.answered, &requests.refused].map(|counter| counter.get())
}

#[test]
fn a_plugin_that_could_ask_does_not_load_without_a_grant_and_says_what_to_write() {
    let told = match house(None).open() {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it loaded"),
    };
    assert!(told.contains("it imports `wasi:http/"), "{told}");
    assert!(told.contains("`http = [\"HOST\"]` in asker.toml"), "{told}");
}

#[test]
fn a_granted_host_is_asked_and_its_answer_is_read() {
    let service = fine();
    let plugins = granted(&service);
    let said = told(&plugins, &format!("post {} hello", service.url("/a?b=c")));
    assert_eq!(said, "200 fine");
    let asked = service.asked().remove(0);
    assert_eq!(asked.line, "POST /a?b=c HTTP/1.1");
    assert_eq!(asked.header("host"), format!("localhost:{}", service.port));
    assert_eq!(asked.body, "hello");
    assert_eq!(counted(&plugins), [1, 1, 0]);
}

#[test]
fn other_hosts_and_other_ports_are_refused() {
    let (service, other) = (fine(), fine());
    let plugins = granted(&service);
    for url in [
        format!("http://127.0.0.1:{}/", service.port),
        format!("http://[::1]:{}/", service.port),
        format!("http://localhost:{}/", other.port),
        "http://localhost/".into(),
        "https://api.example.com/".into(),
    ] {
        assert_eq!(told(&plugins, &format!("get {url}")), "Denied", "{url}");
    }
    assert_eq!(service.connections() + other.connections(), 0);
    assert_eq!(counted(&plugins), [0, 0, 5]);
}

#[test]
fn no_host_at_all_can_be_granted() {
    let service = fine();
    let plugins = house(Some(&[])).open().unwrap();
    let said = told(&plugins, &format!("get {}", service.url("/")));
    assert_eq!(said, "Denied");
    assert_eq!(service.connections(), 0);
}

#[test]
fn a_grant_that_is_taken_away_ends_at_once_and_stays_away_over_a_restart() {
    let service = fine();
    let house = house(None);
    let beside = house.path("asker").with_extension("toml");
    let grants = format!("http = ['localhost:{}']\nwall-ms = 20000\n", service.port);
    std::fs::write(&beside, grants).unwrap();
    let plugins = house.open().unwrap();
    let ask = format!("get {}", service.url("/"));
    assert_eq!(told(&plugins, &ask), "200 fine");

    std::fs::write(&beside, "wall-ms = 20000\n").unwrap();
    plugin_support::until("the grant is gone", || told(&plugins, &ask) == "Denied");
    plugins.close();
    let plugins = house.open().unwrap();
    assert_eq!(told(&plugins, &ask), "Denied");
    // Nor does a version that was kept with it bring it back.
    plugins.close();
    house.put("asker", b"broken");
    let plugins = house.open().unwrap();
    assert_eq!(told(&plugins, &ask), "Denied");
}

#[test]
fn a_request_that_could_be_read_in_two_ways_is_refused() {
    let service = fine();
    let plugins = granted(&service);
    let port = service.port;
    for (text, why) in [
        (
            format!("get http://localhost:{port}@127.0.0.1:{port}/"),
            "Request(",
        ),
        (format!("get http://localhost.:{port}/"), "Request("),
        (format!("method {} CONNECT", service.url("/")), "Request("),
        (
            format!("host {} api.example.com", service.url("/")),
            "Request(",
        ),
    ] {
        let said = told(&plugins, &text);
        assert!(said.starts_with(why), "{text}: {said}");
    }
    assert_eq!(service.connections(), 0);
}

#[test]
fn a_redirect_leads_nowhere_that_is_not_granted() {
    let elsewhere = fine();
    let to = format!("location: {}\r\n", elsewhere.url("/"));
    let service = Service::start(move |asked: &Asked| match asked.line.as_str() {
        "GET /here HTTP/1.1" => answer("302 Found", "location: /\r\n", ""),
        _ => answer("302 Found", &to, ""),
    });
    let plugins = granted(&service);
    let said = told(&plugins, &format!("get {}", service.url("/")));
    assert_eq!(said, "302 ", "the host follows none");
    let said = told(&plugins, &format!("follow {}", service.url("/")));
    assert_eq!(said, "Denied");
    assert_eq!(elsewhere.connections(), 0);
}

/// With a name that leads to this machine, as any name's owner can have it.
fn with_name(service: &Service, more: &[String]) -> (Plugins, Arc<AtomicUsize>) {
    let mut grants = vec![format!("service.example:{}", service.port)];
    grants.extend_from_slice(more);
    let mut house = house(Some(&grants));
    let looked_up = Arc::new(AtomicUsize::new(0));
    let counter = looked_up.clone();
    house.config.resolver = Resolver::new(move |name, port| {
        assert_eq!(name, "service.example");
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
    });
    (house.open().unwrap(), looked_up)
}

#[test]
fn a_name_that_leads_into_this_network_is_refused_after_it_was_looked_up() {
    let service = fine();
    let (plugins, looked_up) = with_name(&service, &[]);
    let text = format!("get http://service.example:{}/", service.port);
    assert_eq!(told(&plugins, &text), "Denied");
    assert_eq!(looked_up.load(Ordering::Relaxed), 1);
    assert_eq!(service.connections(), 0);
    assert_eq!(counted(&plugins), [1, 0, 1]);
}

#[test]
fn a_name_may_lead_to_an_address_that_is_granted_too_and_is_looked_up_once() {
    let service = fine();
    let address = format!("127.0.0.1:{}", service.port);
    let (plugins, looked_up) = with_name(&service, &[address]);
    let text = format!("get http://service.example:{}/", service.port);
    assert_eq!(told(&plugins, &text), "200 fine");
    assert_eq!(looked_up.load(Ordering::Relaxed), 1);
    let asked = service.asked().remove(0);
    let host = format!("service.example:{}", service.port);
    assert_eq!(asked.header("host"), host);
}

#[test]
fn a_service_that_is_down_or_wrong_is_an_error_that_the_plugin_learns() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let down = house(Some(&[format!("localhost:{port}")])).open().unwrap();
    let said = told(&down, &format!("get http://localhost:{port}/"));
    assert!(said.starts_with("Unreachable("), "{said}");

    let service = Service::start(|asked: &Asked| match asked.line.as_str() {
        "GET /nonsense HTTP/1.1" => Some(b"what do you want?\r\n\r\n".to_vec()),
        "GET /half HTTP/1.1" => Some(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()),
        "GET /upgrade HTTP/1.1" => answer("101 Switching Protocols", "upgrade: x\r\n", ""),
        "GET /headers HTTP/1.1" => answer("200 OK", &"a: b\r\n".repeat(200), ""),
        "GET /large HTTP/1.1" => answer("200 OK", "", &"x".repeat((1 << 20) + 1)),
        "GET /most HTTP/1.1" => answer("200 OK", "", &"x".repeat(1 << 20)),
        _ => answer("500 Oh No", "", "no"),
    });
    let plugins = granted(&service);
    for (path, expected) in [
        ("/nonsense", "Answer("),
        ("/half", "Unreachable("),
        ("/upgrade", "Answer("),
        ("/headers", "TooLarge"),
        ("/large", "TooLarge"),
        ("/most", "200 xxx"),
        ("/error", "500 no"),
    ] {
        let said = told(&plugins, &format!("get {}", service.url(path)));
        assert!(said.starts_with(expected), "{path}: {said}");
    }
    let before = service.connections();
    let said = told(&plugins, &format!("large {}", service.url("/")));
    assert_eq!(said, "TooLarge");
    assert_eq!(service.connections(), before, "it was sent");
}

#[test]
fn a_plugin_that_does_not_wait_for_a_slow_service_ends_the_request() {
    let service = Service::start(|_| None);
    let plugins = granted(&service);
    let said = told(&plugins, &format!("hurry {}", service.url("/")));
    assert_eq!(said, "Late");
    given_up(&service);
}

#[test]
fn a_plugin_that_waits_too_long_is_ended_with_its_request_and_blamed_for_the_time() {
    let service = Service::start(|_| None);
    let mut house = house(Some(&[format!("localhost:{}", service.port)]));
    house.config.defaults.wall_ms = 300;
    let plugins = house.open().unwrap();
    let fault = told_about(&plugins, 1, &format!("get {}", service.url("/"))).unwrap_err();
    assert_eq!(fault.blame, Blame::WallClock, "{fault}");
    given_up(&service);
}

#[test]
fn what_a_call_leaves_behind_ends_with_it() {
    let service = Service::start(|_| None);
    let plugins = granted(&service);
    let calls = Memory {
        cause: Some(CauseId(1)),
        ..Memory::default()
    };
    let mut instance = plugin(&plugins, "asker").instance(Arc::new(calls)).unwrap();
    let text = format!("leave {}", service.url("/"));
    let said = instance.moderate(&[message(&text)]).unwrap();
    assert_eq!(said, [Verdict::Revise("left".into())]);
    // The instance lives on, and has the handle.
    given_up(&service);
    assert_eq!(instance.moderate(&[message("hello")]).unwrap().len(), 1);
}

#[test]
fn requests_have_a_rate() {
    let service = fine();
    let plugins = granted(&service);
    let said = told(&plugins, &format!("flood {}", service.url("/")));
    let asked = said.strip_prefix("too many after ").expect(&said);
    let asked: u64 = asked.parse().unwrap();
    // A hundred at once, and fifty a second while it asks.
    assert!((100..1000).contains(&asked), "{said}");
    assert_eq!(counted(&plugins), [asked, asked, 1]);
}

#[test]
fn a_request_has_the_same_key_whenever_its_message_is_decided() {
    let service = fine();
    let plugins = granted(&service);
    let keys = |cause, text: &str| -> Vec<String> {
        let before = service.asked().len();
        told_about(&plugins, cause, text).unwrap();
        let asked = service.asked().split_off(before);
        let keys = asked.iter().map(|asked| asked.header("idempotency-key"));
        keys.map(str::to_owned).collect()
    };
    let post = format!("post {} hello", service.url("/"));
    let first = keys(1, &post);
    assert_eq!(first[0].len(), 32, "{first:?}");
    assert_eq!(keys(1, &post), first, "decided again");
    assert_ne!(keys(2, &post), first, "another message");
    let other = format!("post {} bye", service.url("/"));
    assert_ne!(keys(1, &other), first, "another request");
    let twice = keys(1, &format!("twice {}", service.url("/")));
    assert_eq!(twice[0], twice[1], "tried again");
    let own = keys(1, &format!("own-key {} mine", service.url("/")));
    assert_eq!(own, ["mine"]);
}

#[test]
fn messages_come_one_at_a_time_to_a_plugin_that_may_ask() {
    let plugins = granted(&fine());
    assert_eq!(plugin(&plugins, "asker").manifest().batch, 1);
}

#[test]
fn a_plugin_asks_neither_at_its_start_nor_while_it_formats_nor_when_it_is_tried() {
    let service = fine();
    let grants = [format!("localhost:{}", service.port)];
    let mut at_start = house(Some(&grants));
    let own = at_start.config.plugins.get_mut("asker").unwrap();
    own.settings = toml::from_str(&format!("ask = {:?}", service.url("/"))).unwrap();
    let told = match at_start.open() {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it started"),
    };
    assert!(told.contains("`wasi:http` during `start`"), "{told}");

    let plugins = house(Some(&grants)).open().unwrap();
    let calls = || Memory {
        cause: Some(CauseId(1)),
        ..Memory::default()
    };
    let asker = plugin(&plugins, "asker");
    let mut instance = asker.instance(Arc::new(calls())).unwrap();
    let text = format!("format {}", service.url("/"));
    let fault = instance.format(&[item(&text)]).unwrap_err();
    assert_eq!(fault.blame, Blame::Answer, "{fault}");
    assert!(fault.detail.contains("during formatting"), "{fault}");

    // Whoever tries it has no message: nobody is there.
    let mut instance = asker.instance(Arc::new(Memory::default())).unwrap();
    let text = format!("get {}", service.url("/"));
    let said = instance.moderate(&[message(&text)]).unwrap();
    let nobody = |text: &str| text.starts_with("Unreachable(");
    assert!(
        matches!(&said[0], Verdict::Revise(text) if nobody(text)),
        "{said:?}"
    );
    assert_eq!(service.connections(), 0);
}

mod tls {
    //! Over TLS: whom a request trusts.

    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::plugin_support::component;

    /// Made for these tests alone, for `localhost`; the authority's key is gone.
    fn file(name: &str) -> PathBuf {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
        folder.join(name)
    }

    fn acceptor() -> TlsAcceptor {
        let certificate = CertificateDer::from_pem_file(file("localhost.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(file("localhost.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// What the asker is told by a service that has this certificate; `trusted` are the authorities.
    async fn told(host: &str, trusted: PathBuf) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            // Whoever does not trust it ends here.
            let Ok(mut stream) = acceptor().accept(stream).await else {
                return;
            };
            let _ = stream.read(&mut [0; 4096]).await;
            let said = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret";
            let _ = stream.write_all(said).await;
            let _ = stream.shutdown().await;
        });
        let settings = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(settings.path(), "wall-ms = 20000\nrunning-ms = 5000\n").unwrap();
        let asker = tokio::task::spawn_blocking(|| component("asker-guest", "asker"));
        let mut tool = Command::new(env!("CARGO_BIN_EXE_chat-host"));
        tool.args(["plugin", "run"])
            .arg(asker.await.unwrap())
            .args(["--http", &format!("{host}:{port}")])
            .args(["--text", &format!("get https://{host}:{port}/")])
            .arg("--settings")
            .arg(settings.path())
            .env("SSL_CERT_FILE", trusted)
            .env_remove("SSL_CERT_DIR");
        let output = tokio::task::spawn_blocking(move || tool.output().unwrap());
        let output = output.await.unwrap();
        serving.abort();
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).into_owned()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_certificate_of_a_trusted_authority_is_taken() {
        let said = told("localhost", file("ca.pem")).await;
        assert!(said.contains("\"200 secret\""), "{said}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_certificate_of_nobody_or_for_another_is_not() {
        let said = told("localhost", file("nothing.pem")).await;
        assert!(said.contains("TlsCertificateError"), "{said}");
        let said = told("127.0.0.1", file("ca.pem")).await;
        assert!(said.contains("TlsCertificateError"), "{said}");
    }
}
