//! What the transport does beyond streams, with Debian's ngtcp2 as client and as server, by the account of both ends.
//!
//! The programs speak HTTP/3 (ALPN `h3`). Here the other end speaks the transport alone: it sends streams that HTTP/3
//! passes over, and what it answers to a request is no response.

#![cfg(target_os = "linux")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use quillon::ConnectionError;
use quillon_tests::command::Engine;
use quillon_tests::fixtures::data_file;
use quillon_tests::process::Process;
use quillon_tests::transport::Options;
use quillon_tests::udp::{Client, PATIENCE, Server};
use tempfile::TempDir;

/// RFC 9369.
const V2: u32 = 0x6b33_43cf;

fn free_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.local_addr().expect("it is bound").port()
}

fn options() -> Options {
    Options { alpn: Some("h3"), ..Options::default() }
}

fn gtlsserver(arguments: &[&str]) -> (Process, SocketAddr) {
    let port = free_port();
    let mut server = Process::spawn(
        Command::new("gtlsserver")
            .args(["--no-quic-dump", "--no-http-dump"])
            .args(arguments)
            .args(["127.0.0.1", &port.to_string()])
            .arg(data_file("server_key.pem"))
            .arg(data_file("server.pem")),
    );
    server.wait_for_line("Using document root", PATIENCE);
    // It says so before it has bound the port.
    wait_for("the port is bound", || {
        let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
        table.contains(&format!(" 0100007F:{port:04X} "))
    });
    (server, (Ipv4Addr::LOCALHOST, port).into())
}

fn gtlsclient(server: SocketAddr, arguments: &[&str], urls: &[&str]) -> Process {
    Process::spawn(
        Command::new("gtlsclient")
            .arg("--no-http-dump")
            .args(arguments)
            .args(["127.0.0.1", &server.port().to_string()])
            .args(urls),
    )
}

fn connected(engine: Engine, options: &Options, server: SocketAddr) -> Client {
    let mut client = Client::new(engine, options);
    client.connect(server);
    client.until_confirmed();
    client
}

fn wait_for_file(path: &Path) {
    wait_for("the file is written", || fs::read(path).is_ok_and(|bytes| !bytes.is_empty()));
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not in {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn end(mut client: Process) {
    client.interrupt();
    client.wait_for_success(PATIENCE);
}

fn client_answers_retry(engine: Engine) {
    let (mut server, address) = gtlsserver(&["-V"]);
    let mut client = connected(engine, &options(), address);
    assert_eq!(client.retries(), 1);
    client.close();
    server.wait_for_line("Draining period has started", PATIENCE);
}

fn server_sends_retry(engine: Engine) {
    let server = Server::start(engine, Options { retry: true, ..options() }, false);
    let mut client = gtlsclient(server.address, &[], &[]);
    client.wait_for_line("QUIC handshake has been confirmed", PATIENCE);
    end(client);
    let (facts, retries) = server.finish();
    assert_eq!((facts.len(), retries), (1, 1));
}

fn client_uses_a_token(engine: Engine) {
    let (mut server, address) = gtlsserver(&["-V"]);
    let mut client = connected(engine, &options(), address);
    client.until("a token", |client| !client.facts().tokens.is_empty());
    let token = client.facts().tokens[0].clone();
    client.close();
    client.set_token(&token);
    client.connect(address);
    client.until_confirmed();
    assert_eq!(client.retries(), 1, "{}", server.output().join("\n"));
    client.close();
}

/// The token comes, and the program stores it; the proof that it cannot use it is its own message.
fn ngtcp2_cannot_use_its_token(engine: Engine) {
    let dir = TempDir::new().expect("a temporary directory");
    let file = dir.path().join("token");
    let argument = format!("--token-file={}", file.display());
    let server = Server::start(engine, Options { retry: true, ..options() }, false);
    let first = gtlsclient(server.address, &[&argument], &[]);
    wait_for_file(&file);
    end(first);
    let mut second = gtlsclient(server.address, &[&argument], &[]);
    second.wait_for_line("Could not read token", PATIENCE);
    second.wait_for_line("QUIC handshake has been confirmed", PATIENCE);
    end(second);
    assert_eq!(server.finish().1, 2);
}

fn client_sends_early_data(engine: Engine) {
    let (mut server, address) = gtlsserver(&[]);
    let mut client = connected(engine, &Options { early_data: true, ..options() }, address);
    client.until("a session", |client| client.sessions() > 0);
    client.close();
    client.connect(address);
    client.send_reserved();
    client.until_confirmed();
    client.until("an acknowledgement", |client| client.facts().delivered > 0);
    assert!(client.facts().early_data_accepted && client.facts().resumed);
    client.close();
    // ngtcp2 logs each frame that it reads with the type of its packet.
    server.wait_for_line("0RTT STREAM", PATIENCE);
}

fn server_takes_early_data(engine: Engine) {
    let dir = TempDir::new().expect("a temporary directory");
    let [session, parameters] = ["session", "parameters"].map(|name| dir.path().join(name));
    let files = [format!("--session-file={}", session.display()), format!("--tp-file={}", parameters.display())];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let server = Server::start(engine, Options { early_data: true, ..options() }, false);
    let mut first = gtlsclient(server.address, &files, &[]);
    first.wait_for_line("QUIC handshake has been confirmed", PATIENCE);
    wait_for_file(&session);
    wait_for_file(&parameters);
    end(first);
    let url = format!("https://127.0.0.1:{}/", server.address.port());
    let mut second = gtlsclient(server.address, &files, &[&url]);
    let seen = server.when(|facts| facts.get(1).is_some_and(|second| second.early_data_accepted));
    second.wait_for_line("QUIC handshake has completed", PATIENCE);
    assert!(!second.output().iter().any(|line| line.contains("Early data was rejected")), "{seen:?}");
    server.when(|facts| facts[1].early_streams > 0 && facts[1].resumed);
}

fn client_updates_keys(engine: Engine) {
    let (mut server, address) = gtlsserver(&[]);
    let mut client = connected(engine, &options(), address);
    client.update_key();
    client.deliver();
    assert_eq!(client.facts().key_updates, 1);
    client.close();
    server.wait_for_line("Draining period has started", PATIENCE);
}

fn server_follows_key_update(engine: Engine) {
    let dir = TempDir::new().expect("a temporary directory");
    let server = Server::start(engine, options(), false);
    let _client = upload(&dir, server.address, &["--key-update=10ms"]);
    server.when(|facts| facts.first().is_some_and(|facts| facts.key_updates_by_peer == 1));
}

/// A client that uploads for long enough that what it is to do happens meanwhile.
fn upload(dir: &TempDir, server: SocketAddr, arguments: &[&str]) -> Process {
    let file = dir.path().join("data");
    fs::write(&file, vec![0; 30_000_000]).expect("a new file");
    let file = file.to_str().expect("temporary paths are UTF-8");
    let url = format!("https://127.0.0.1:{}/", server.port());
    gtlsclient(server, &[&["--quiet", "--data", file], arguments].concat(), &[&url])
}

fn client_moves(engine: Engine, to: impl FnOnce(&mut Client) -> SocketAddr) {
    let (mut server, address) = gtlsserver(&[]);
    let mut client = connected(engine, &options(), address);
    client.deliver();
    let moved = to(&mut client);
    client.deliver();
    client.deliver();
    server.wait_for_line(&format!("remote=[127.0.0.1]:{}", moved.port()), PATIENCE);
    server.wait_for_line("PATH_RESPONSE", PATIENCE);
    client.close();
    server.wait_for_line("Draining period has started", PATIENCE);
}

fn server_follows_migration(engine: Engine) {
    let dir = TempDir::new().expect("a temporary directory");
    let server = Server::start(engine, options(), false);
    let _client = upload(&dir, server.address, &["--change-local-addr=20ms"]);
    server.when(|facts| facts.first().is_some_and(|facts| facts.remotes.len() == 2));
}

fn server_follows_rebinding(engine: Engine) {
    let dir = TempDir::new().expect("a temporary directory");
    let server = Server::start(engine, options(), false);
    let _client = upload(&dir, server.address, &["--change-local-addr=10ms", "--nat-rebinding"]);
    server.when(|facts| facts.first().is_some_and(|facts| facts.remotes.len() == 2));
}

fn client_goes_where_ngtcp2_prefers(engine: Engine) {
    let preferred = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let (mut server, address) = gtlsserver(&[&format!("--preferred-ipv4-addr={preferred}")]);
    let mut client = connected(engine, &options(), address);
    client.until("the client has moved", |client| client.facts().remotes.contains(&preferred));
    client.deliver();
    client.close();
    server.wait_for_line(&format!("local=[127.0.0.1]:{}", preferred.port()), PATIENCE);
}

fn server_is_reached_where_it_prefers(engine: Engine) {
    let server = Server::start(engine, options(), true);
    let preferred = server.preferred.expect("it listens at two");
    let client = gtlsclient(server.address, &["--change-local-addr=300ms"], &[]);
    server.when(|facts| facts.first().is_some_and(|facts| facts.locals.contains(&preferred)));
    end(client);
}

/// The proof that ngtcp2's server takes no datagrams: it does not announce them.
fn ngtcp2_server_takes_no_datagrams(engine: Engine) {
    let (_server, address) = gtlsserver(&[]);
    let mut client = connected(engine, &options(), address);
    assert!(!client.facts().takes_datagrams);
    client.close();
}

/// The proof that ngtcp2's client takes no datagrams: it does not announce them.
fn ngtcp2_client_takes_no_datagrams(engine: Engine) {
    let server = Server::start(engine, options(), false);
    let client = gtlsclient(server.address, &[], &[]);
    let facts = server.when(|facts| facts.first().is_some_and(|facts| facts.confirmed));
    assert!(!facts[0].takes_datagrams);
    end(client);
}

/// The proof that ngtcp2's server has no version 2: its Version Negotiation does not name it.
fn ngtcp2_server_has_no_version_2(engine: Engine) {
    let (_server, address) = gtlsserver(&[]);
    let mut client = Client::new(engine, &Options { versions: vec![V2], ..options() });
    client.connect(address);
    client.until("Version Negotiation", |client| client.facts().closed.is_some());
    assert!(matches!(client.facts().closed, Some(ConnectionError::VersionNegotiation { .. })), "{:?}", client.facts());
}

/// The proof that ngtcp2's client has no version 2, neither to begin with nor to change to: it says so.
#[test]
fn ngtcp2_client_has_no_version_2() {
    for argument in ["--version=6b3343cf", "--preferred-versions=6b3343cf"] {
        let mut client = gtlsclient((Ipv4Addr::LOCALHOST, 9).into(), &[argument], &[]);
        client.wait_for_line("invalid version", PATIENCE);
    }
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
    ngtcp2_server_lacks_version_2: ngtcp2_server_has_no_version_2,
    retry_of_ngtcp2: client_answers_retry,
    retry_to_ngtcp2: server_sends_retry,
    new_token_of_ngtcp2: client_uses_a_token,
    new_token_to_ngtcp2_is_not_used: ngtcp2_cannot_use_its_token,
    early_data_to_ngtcp2: client_sends_early_data,
    early_data_from_ngtcp2: server_takes_early_data,
    key_update_with_ngtcp2_server: client_updates_keys,
    key_update_with_ngtcp2_client: server_follows_key_update,
    migration_to_ngtcp2: |engine| client_moves(engine, Client::migrate),
    migration_of_ngtcp2: server_follows_migration,
    rebinding_before_ngtcp2: |engine| client_moves(engine, Client::rebind),
    rebinding_of_ngtcp2: server_follows_rebinding,
    preferred_address_of_ngtcp2: client_goes_where_ngtcp2_prefers,
    preferred_address_to_ngtcp2: server_is_reached_where_it_prefers,
    ngtcp2_server_without_datagrams: ngtcp2_server_takes_no_datagrams,
    ngtcp2_client_without_datagrams: ngtcp2_client_takes_no_datagrams,
}
