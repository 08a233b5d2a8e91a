//! What the transport does beyond streams, with quinn as client and as server, by the account of both ends.

use std::collections::{BTreeSet, HashSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use quillon::ConnectionError;
use quillon_tests::command::Engine;
use quillon_tests::fixtures::{CA, CERTIFICATE, PRIVATE_KEY};
use quillon_tests::transport::Options;
use quillon_tests::udp::{Client, Facts, PATIENCE, Server};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ConnectError, Connection, Endpoint};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// RFC 9369.
const V2: u32 = 0x6b33_43cf;
const ALPN: &[u8] = b"test";

/// Remembers every token: quinn's own log is an optional part.
#[derive(Default)]
struct Tokens(Mutex<HashSet<u128>>);

impl quinn::TokenLog for Tokens {
    fn check_and_insert(&self, nonce: u128, _: SystemTime, _: Duration) -> Result<(), quinn::TokenReuseError> {
        self.0.lock().expect("no panic").insert(nonce).then_some(()).ok_or(quinn::TokenReuseError)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn server_config() -> quinn::ServerConfig {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE)], PrivatePkcs8KeyDer::from(PRIVATE_KEY).into())
        .expect("certificate and key belong together");
    tls.alpn_protocols = vec![ALPN.into()];
    tls.max_early_data_size = u32::MAX;
    let tls = QuicServerConfig::try_from(tls).expect("the suites include AES-128-GCM");
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    let mut tokens = quinn::ValidationTokenConfig::default();
    tokens.log(Arc::new(Tokens::default())).sent(2);
    config.validation_token_config(tokens);
    config
}

fn client_config() -> quinn::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(CA)).expect("the CA is a certificate");
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.into()];
    tls.enable_early_data = true;
    let tls = QuicClientConfig::try_from(tls).expect("the suites include AES-128-GCM");
    quinn::ClientConfig::new(Arc::new(tls))
}

/// What quinn saw of a connection.
#[derive(Debug, Default)]
struct Seen {
    validated: bool,
    early_streams: usize,
    datagrams: usize,
    remotes: BTreeSet<SocketAddr>,
}

/// How quinn's server differs from one that just echoes.
#[derive(Clone, Copy, Debug, Default)]
struct Quinn {
    retry: bool,
    update_key: bool,
    preferred: Option<SocketAddr>,
}

/// quinn's server, on a thread of its own.
struct QuinnServer {
    address: SocketAddr,
    stop: Arc<tokio::sync::Notify>,
    thread: thread::JoinHandle<Vec<Seen>>,
}

impl QuinnServer {
    fn start(how: Quinn) -> Self {
        let stop = Arc::new(tokio::sync::Notify::new());
        let (tell, told) = std::sync::mpsc::channel();
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                runtime().block_on(async {
                    let mut config = server_config();
                    if let Some(SocketAddr::V4(address)) = how.preferred {
                        config.preferred_address_v4(Some(address));
                    }
                    let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
                    tell.send(endpoint.local_addr().expect("it is bound")).expect("the test waits");
                    let mut connections = Vec::new();
                    loop {
                        let incoming = tokio::select! {
                            incoming = endpoint.accept() => incoming.expect("the endpoint is open"),
                            () = stop.notified() => break,
                        };
                        if how.retry && !incoming.remote_address_validated() {
                            incoming.retry().expect("it has no token");
                            continue;
                        }
                        let validated = incoming.remote_address_validated();
                        connections.push(tokio::spawn(echo(incoming, validated, how.update_key)));
                    }
                    let mut seen = Vec::new();
                    for connection in connections {
                        seen.push(connection.await.expect("no panic"));
                    }
                    seen
                })
            }
        });
        let address = told.recv().expect("it starts");
        Self { address, stop, thread }
    }

    /// After the client has closed: what it saw.
    fn finish(self) -> Vec<Seen> {
        self.stop.notify_one();
        self.thread.join().expect("no panic")
    }
}

async fn echo(incoming: quinn::Incoming, validated: bool, update_key: bool) -> Seen {
    let mut seen = Seen { validated, ..Seen::default() };
    let (connection, _) = incoming.accept().expect("a handshake").into_0rtt().expect("a server always can");
    let mut update_key = update_key;
    loop {
        tokio::select! {
            stream = connection.accept_bi() => {
                let Ok((mut send, mut receive)) = stream else { break };
                seen.early_streams += usize::from(receive.is_0rtt());
                let data = receive.read_to_end(10_000).await.expect("what tests send is short");
                if std::mem::take(&mut update_key) {
                    connection.force_key_update();
                }
                seen.remotes.insert(connection.remote_address());
                send.write_all(&data).await.expect("the client reads");
                send.finish().expect("the stream is open");
            }
            datagram = connection.read_datagram() => {
                let Ok(datagram) = datagram else { break };
                seen.datagrams += 1;
                connection.send_datagram(datagram).expect("the client takes it");
            }
        }
    }
    let quinn::ConnectionError::ApplicationClosed(close) = connection.closed().await else { panic!("not closed") };
    assert_eq!(close.error_code, 0u32.into());
    seen.remotes.insert(connection.remote_address());
    seen
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn client(engine: Engine, server: SocketAddr) -> Client {
    let mut client = Client::new(engine, &Options::default());
    client.connect(server);
    client.until_confirmed();
    client
}

/// Has `talk` use quinn's client against a server of `engine`; returns what the server saw, and its Retry packets.
fn with_quinn_client<F: Future<Output = ()>>(
    engine: Engine,
    options: Options,
    prefer: bool,
    talk: impl FnOnce(Endpoint, SocketAddr) -> F,
) -> (Vec<Facts>, usize, Option<SocketAddr>) {
    let server = Server::start(engine, options, prefer);
    runtime().block_on(async {
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        endpoint.set_default_client_config(client_config());
        let talk = async {
            talk(endpoint.clone(), server.address).await;
            endpoint.wait_idle().await;
        };
        tokio::time::timeout(PATIENCE, talk).await.expect("it takes no longer");
    });
    let preferred = server.preferred;
    let (facts, retries) = server.finish();
    (facts, retries, preferred)
}

async fn connected(endpoint: &Endpoint, server: SocketAddr) -> Connection {
    endpoint.connect(server, "localhost").expect("a name").await.expect("a handshake")
}

async fn exchange(connection: &Connection) {
    let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
    send.write_all(b"what comes back").await.expect("the server reads");
    send.finish().expect("the stream is open");
    assert_eq!(receive.read_to_end(100).await.expect("an answer"), b"what comes back");
}

fn close(connection: &Connection) {
    connection.close(0u32.into(), b"");
}

fn client_answers_retry(engine: Engine) {
    let server = QuinnServer::start(Quinn { retry: true, ..Quinn::default() });
    let mut client = client(engine, server.address);
    client.echo(b"after a Retry");
    assert_eq!(client.retries(), 1);
    client.close();
    assert!(server.finish()[0].validated);
}

fn server_sends_retry(engine: Engine) {
    let options = Options { retry: true, ..Options::default() };
    let (facts, retries, _) = with_quinn_client(engine, options, false, |endpoint, server| async move {
        let connection = connected(&endpoint, server).await;
        exchange(&connection).await;
        close(&connection);
    });
    assert_eq!((facts.len(), retries), (1, 1));
}

/// With the token of the first connection the second needs no Retry.
fn client_uses_a_token(engine: Engine) {
    let server = QuinnServer::start(Quinn { retry: true, ..Quinn::default() });
    let mut client = client(engine, server.address);
    client.echo(b"first");
    client.until("a token", |client| !client.facts().tokens.is_empty());
    let token = client.facts().tokens[0].clone();
    client.close();
    client.set_token(&token);
    client.connect(server.address);
    client.until_confirmed();
    client.echo(b"second");
    assert_eq!(client.retries(), 1);
    client.close();
    assert!(server.finish()[1].validated);
}

fn server_accepts_its_token(engine: Engine) {
    let options = Options { retry: true, ..Options::default() };
    let (facts, retries, _) = with_quinn_client(engine, options, false, |endpoint, server| async move {
        for _ in 0..2 {
            let connection = connected(&endpoint, server).await;
            exchange(&connection).await;
            close(&connection);
            endpoint.wait_idle().await;
        }
    });
    assert_eq!((facts.len(), retries), (2, 1));
}

fn client_sends_early_data(engine: Engine) {
    let server = QuinnServer::start(Quinn::default());
    let mut client = Client::new(engine, &Options { early_data: true, ..Options::default() });
    client.connect(server.address);
    client.until_confirmed();
    client.echo(b"first");
    client.until("a session", |client| client.sessions() > 0);
    client.close();
    client.connect(server.address);
    client.echo(b"early");
    client.until_confirmed();
    assert!(client.facts().early_data_accepted && client.facts().resumed);
    client.close();
    let seen = server.finish();
    assert_eq!((seen[0].early_streams, seen[1].early_streams), (0, 1));
}

fn server_takes_early_data(engine: Engine) {
    let options = Options { early_data: true, ..Options::default() };
    let (facts, ..) = with_quinn_client(engine, options, false, |endpoint, server| async move {
        let first = connected(&endpoint, server).await;
        exchange(&first).await;
        close(&first);
        endpoint.wait_idle().await;
        let connecting = endpoint.connect(server, "localhost").expect("a name");
        let (second, accepted) = connecting.into_0rtt().unwrap_or_else(|_| panic!("the session allows early data"));
        exchange(&second).await;
        assert!(accepted.await, "quinn is told that the early data was taken");
        close(&second);
    });
    assert!(facts[1].early_data_accepted && facts[1].early_streams == 1, "{facts:?}");
}

/// Both ends begin an update.
fn client_updates_keys(engine: Engine) {
    let server = QuinnServer::start(Quinn { update_key: true, ..Quinn::default() });
    let mut client = client(engine, server.address);
    client.echo(b"before");
    client.until("the server's update", |client| client.facts().key_updates_by_peer == 1);
    client.echo(b"between");
    client.update_key();
    client.echo(b"after");
    client.echo(b"and on");
    assert_eq!(client.facts().key_updates, 1);
    client.close();
    server.finish();
}

fn server_follows_key_update(engine: Engine) {
    let (facts, ..) = with_quinn_client(engine, Options::default(), false, |endpoint, server| async move {
        let connection = connected(&endpoint, server).await;
        exchange(&connection).await;
        connection.force_key_update();
        exchange(&connection).await;
        close(&connection);
    });
    assert_eq!((facts[0].key_updates_by_peer, facts[0].streams), (1, 2));
}

fn client_moves(engine: Engine, to: impl FnOnce(&mut Client) -> SocketAddr) {
    let server = QuinnServer::start(Quinn::default());
    let mut client = client(engine, server.address);
    client.echo(b"here");
    let address = to(&mut client);
    client.echo(b"there");
    client.echo(b"and on");
    client.close();
    let seen = server.finish();
    assert!(seen[0].remotes.contains(&address) && seen[0].remotes.len() == 2, "{seen:?}");
}

/// quinn's client changes its connection ID when its endpoint is given another socket.
fn server_follows_migration(engine: Engine) {
    let (facts, ..) = with_quinn_client(engine, Options::default(), false, |endpoint, server| async move {
        let connection = connected(&endpoint, server).await;
        exchange(&connection).await;
        endpoint.rebind(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")).expect("a socket");
        exchange(&connection).await;
        exchange(&connection).await;
        close(&connection);
    });
    assert_eq!((facts[0].remotes.len(), facts[0].streams), (2, 3), "{facts:?}");
}

/// A NAT between quinn's client and a server: from [`rebind`](Self::rebind) on it shows another port.
struct Nat {
    inside: SocketAddr,
    rebind: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Nat {
    fn before(server: SocketAddr) -> Self {
        let port = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let (inside, mut outside) = (port(), port());
        let address = inside.local_addr().expect("it is bound");
        let [rebind, stop] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let nat = Self { inside: address, rebind: Arc::clone(&rebind), stop: Arc::clone(&stop) };
        for socket in [&inside, &outside] {
            socket.set_nonblocking(true).expect("a socket of ours");
        }
        thread::spawn(move || {
            let (mut client, mut buffer) = (None, vec![0; 65_536]);
            while !stop.load(Ordering::Relaxed) {
                if rebind.swap(false, Ordering::Relaxed) {
                    outside = port();
                    outside.set_nonblocking(true).expect("a socket of ours");
                }
                let mut idle = true;
                while let Ok((len, from)) = inside.recv_from(&mut buffer) {
                    (client, idle) = (Some(from), false);
                    let _ = outside.send_to(&buffer[..len], server);
                }
                while let Ok((len, _)) = outside.recv_from(&mut buffer) {
                    idle = false;
                    if let Some(client) = client {
                        let _ = inside.send_to(&buffer[..len], client);
                    }
                }
                if idle {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        nat
    }

    fn rebind(&self) {
        self.rebind.store(true, Ordering::Relaxed);
        while self.rebind.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn server_follows_rebinding(engine: Engine) {
    let (facts, ..) = with_quinn_client(engine, Options::default(), false, |endpoint, server| async move {
        let nat = Nat::before(server);
        let connection = connected(&endpoint, nat.inside).await;
        exchange(&connection).await;
        nat.rebind();
        exchange(&connection).await;
        exchange(&connection).await;
        close(&connection);
        endpoint.wait_idle().await;
    });
    assert_eq!((facts[0].remotes.len(), facts[0].streams), (2, 3), "{facts:?}");
}

/// quinn's server has one socket: what comes to the address that it prefers is forwarded.
fn client_goes_where_quinn_prefers(engine: Engine) {
    // The forwarder has to exist before the server, whose address it learns afterwards.
    let inside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let preferred = inside.local_addr().expect("it is bound");
    let server = QuinnServer::start(Quinn { preferred: Some(preferred), ..Quinn::default() });
    drop(inside);
    let stop = Arc::new(AtomicBool::new(false));
    forward(preferred, server.address, Arc::clone(&stop));
    let mut client = client(engine, server.address);
    client.echo(b"here");
    client.until("the client has moved", |client| client.facts().remotes.contains(&preferred));
    client.echo(b"there");
    client.close();
    let seen = server.finish();
    stop.store(true, Ordering::Relaxed);
    assert_eq!(seen[0].remotes.len(), 2, "{seen:?}");
}

fn forward(from: SocketAddr, to: SocketAddr, stop: Arc<AtomicBool>) {
    let inside = UdpSocket::bind(from).expect("the port was ours");
    let outside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    for socket in [&inside, &outside] {
        socket.set_nonblocking(true).expect("a socket of ours");
    }
    thread::spawn(move || {
        let (mut client, mut buffer) = (None, vec![0; 65_536]);
        while !stop.load(Ordering::Relaxed) {
            while let Ok((len, sender)) = inside.recv_from(&mut buffer) {
                client = Some(sender);
                let _ = outside.send_to(&buffer[..len], to);
            }
            while let (Ok((len, _)), Some(client)) = (outside.recv_from(&mut buffer), client) {
                let _ = inside.send_to(&buffer[..len], client);
            }
            thread::sleep(Duration::from_millis(1));
        }
    });
}

fn client_exchanges_datagrams(engine: Engine) {
    let server = QuinnServer::start(Quinn::default());
    let mut client = client(engine, server.address);
    client.echo_datagram(&[7; 1000]);
    client.close();
    assert_eq!(server.finish()[0].datagrams, 1);
}

fn server_exchanges_datagrams(engine: Engine) {
    let (facts, ..) = with_quinn_client(engine, Options::default(), false, |endpoint, server| async move {
        let connection = connected(&endpoint, server).await;
        connection.send_datagram(vec![7; 1000].into()).expect("the server takes it");
        assert_eq!(connection.read_datagram().await.expect("it comes back"), vec![7; 1000]);
        close(&connection);
    });
    assert_eq!(facts[0].datagrams, 1);
}

/// The proof that quinn's server has no version 2: its Version Negotiation does not name it.
fn quinn_has_no_version_2(engine: Engine) {
    let server = QuinnServer::start(Quinn::default());
    let mut client = Client::new(engine, &Options { versions: vec![V2], ..Options::default() });
    client.connect(server.address);
    client.until("Version Negotiation", |client| client.facts().closed.is_some());
    assert!(matches!(client.facts().closed, Some(ConnectionError::VersionNegotiation { .. })), "{:?}", client.facts());
    server.finish();
}

/// The proof that quinn's client has no version 2: it refuses to connect with it.
#[test]
fn quinn_client_has_no_version_2() {
    assert!(!quinn_proto::DEFAULT_SUPPORTED_VERSIONS.contains(&V2));
    let runtime = runtime();
    let _entered = runtime.enter();
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let mut config = client_config();
    config.version(V2);
    let refused = endpoint.connect_with(config, (Ipv4Addr::LOCALHOST, 9).into(), "localhost");
    assert!(matches!(refused, Err(ConnectError::UnsupportedVersion)));
}

/// The proof that quinn's client does not move to an address that the server prefers: it stays where it connected.
fn quinn_client_stays(engine: Engine) {
    let (facts, _, preferred) = with_quinn_client(engine, Options::default(), true, |endpoint, server| async move {
        let connection = connected(&endpoint, server).await;
        for _ in 0..4 {
            exchange(&connection).await;
        }
        assert_eq!(connection.remote_address(), server);
        close(&connection);
    });
    assert!(!facts[0].locals.contains(&preferred.expect("it listens at two")), "{facts:?}");
}

macro_rules! on_both_engines {
    ($($name:ident: $what:expr,)+) => {
        /// With the engine in native code.
        mod native {
            use super::*;
            $(#[test] fn $name() { ($what)(Engine::Native); })+
        }

        /// With the engine as the module.
        mod wasm {
            use super::*;
            $(#[test] fn $name() { ($what)(Engine::Wasm); })+
        }
    };
}

on_both_engines! {
    quinn_server_has_no_version_2: quinn_has_no_version_2,
    retry_of_quinn: client_answers_retry,
    retry_to_quinn: server_sends_retry,
    new_token_of_quinn: client_uses_a_token,
    new_token_to_quinn: server_accepts_its_token,
    early_data_to_quinn: client_sends_early_data,
    early_data_from_quinn: server_takes_early_data,
    key_update_with_quinn_server: client_updates_keys,
    key_update_with_quinn_client: server_follows_key_update,
    migration_to_quinn: |engine| client_moves(engine, Client::migrate),
    migration_of_quinn: server_follows_migration,
    rebinding_before_quinn: |engine| client_moves(engine, Client::rebind),
    rebinding_of_quinn: server_follows_rebinding,
    preferred_address_of_quinn: client_goes_where_quinn_prefers,
    quinn_client_stays_where_it_connected: quinn_client_stays,
    datagrams_to_quinn: client_exchanges_datagrams,
    datagrams_from_quinn: server_exchanges_datagrams,
}
