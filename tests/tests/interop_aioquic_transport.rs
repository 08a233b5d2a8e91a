//! What the transport does beyond streams, with aioquic as client and as server, by the account of both ends.

use std::path::Path;
use std::process::Command;

use quillon_tests::command::{Engine, STARTUP};
use quillon_tests::fixtures::{data_file, python};
use quillon_tests::process::Process;
use quillon_tests::transport::Options;
use quillon_tests::udp::{Client, Facts, PATIENCE, Server};
use serde_json::Value;

const V1: u32 = 1;
/// RFC 9369.
const V2: u32 = 0x6b33_43cf;

fn script(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name)).args(arguments);
    command
}

/// aioquic's server, and its address.
fn aioquic_server(arguments: &[&str]) -> (Process, std::net::SocketAddr) {
    let mut server = Process::spawn(
        script("echo_server.py", arguments)
            .arg("--certificate")
            .arg(data_file("server.pem"))
            .arg("--private-key")
            .arg(data_file("server_key.pem")),
    );
    let port = server.wait_for_port(STARTUP);
    (server, ([127, 0, 0, 1], port).into())
}

/// Runs aioquic's client against a server of `engine`; returns its account, the server's, and how many Retry packets
/// the server sent.
fn aioquic_client(engine: Engine, options: Options, prefer: bool, arguments: &[&str]) -> Account {
    let server = Server::start(engine, options, prefer);
    let mut client = Process::spawn(
        script("echo_client.py", arguments)
            .args(["--port", &server.address.port().to_string()])
            .arg("--ca")
            .arg(data_file("ca.pem")),
    );
    client.wait_for_success(PATIENCE);
    let lines = lines(client.output());
    let preferred = server.preferred;
    let (facts, retries) = server.finish();
    Account { lines, facts, retries, preferred }
}

#[derive(Debug)]
struct Account {
    lines: Vec<Value>,
    facts: Vec<Facts>,
    retries: usize,
    preferred: Option<std::net::SocketAddr>,
}

/// The lines that are JSON: others are logs.
fn lines(output: &[String]) -> Vec<Value> {
    output.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

/// Waits for aioquic's account of the end of the connection; returns all of it.
fn account_of(server: &mut Process) -> Vec<Value> {
    server.wait_for_line("\"terminated\"", PATIENCE);
    let lines = lines(server.output());
    assert!(of(&lines, "terminated").iter().all(|line| line["code"] == 0), "{lines:?}");
    lines
}

fn connected(engine: Engine, options: &Options, server: std::net::SocketAddr) -> Client {
    let mut client = Client::new(engine, options);
    client.connect(server);
    client.until_confirmed();
    client
}

fn client_speaks_version_2(engine: Engine) {
    let (mut server, address) = aioquic_server(&[]);
    let mut client = connected(engine, &Options { versions: vec![V2], ..Options::default() }, address);
    client.echo(b"version 2");
    assert_eq!(client.facts().version, V2);
    client.close();
    assert_eq!(of(&account_of(&mut server), "handshake")[0]["version"], "0x6b3343cf");
}

fn server_speaks_version_2(engine: Engine) {
    let account = aioquic_client(engine, Options::default(), false, &["--version", "2"]);
    assert_eq!(of(&account.lines, "handshake")[0]["version"], "0x6b3343cf");
    assert_eq!(account.facts[0].version, V2);
}

/// aioquic changes to the first of the client's available versions.
fn client_follows_to_version_2(engine: Engine) {
    let (mut server, address) = aioquic_server(&[]);
    let mut client =
        Client::new(engine, &Options { versions: vec![V2, V1], choose_version_1: true, ..Options::default() });
    client.connect(address);
    client.until_confirmed();
    client.echo(b"compatible");
    assert_eq!(client.facts().version, V2);
    client.close();
    assert_eq!(of(&account_of(&mut server), "handshake")[0]["version"], "0x6b3343cf");
}

fn server_changes_to_version_2(engine: Engine) {
    let options = Options { versions: vec![V1, V2], preferred_versions: vec![V2, V1], ..Options::default() };
    let account = aioquic_client(engine, options, false, &["--version", "1-then-2"]);
    assert_eq!(of(&account.lines, "handshake")[0]["version"], "0x6b3343cf");
    assert_eq!(account.facts[0].version, V2);
}

fn client_answers_retry(engine: Engine) {
    let (mut server, address) = aioquic_server(&["--retry"]);
    let mut client = connected(engine, &Options::default(), address);
    client.echo(b"after a Retry");
    assert_eq!(client.retries(), 1);
    client.close();
    account_of(&mut server);
}

fn server_sends_retry(engine: Engine) {
    let account = aioquic_client(engine, Options { retry: true, ..Options::default() }, false, &[]);
    assert_eq!(of(&account.lines, "handshake")[0]["retry"], true);
    assert_eq!(account.retries, 1);
}

/// With the token of the first connection the second needs no Retry.
fn server_accepts_its_token(engine: Engine) {
    let options = Options { retry: true, ..Options::default() };
    let account = aioquic_client(engine, options, false, &["--connections", "2"]);
    assert!(!of(&account.lines, "token").is_empty(), "{account:?}");
    let retries: Vec<&Value> = of(&account.lines, "handshake").iter().map(|line| &line["retry"]).collect();
    assert_eq!(retries, [true, false]);
    assert_eq!(account.retries, 1);
}

fn client_sends_early_data(engine: Engine) {
    let (mut server, address) = aioquic_server(&["--early-data"]);
    let mut client = connected(engine, &Options { early_data: true, ..Options::default() }, address);
    client.echo(b"first");
    client.until("a session", |client| client.sessions() > 0);
    client.close();
    client.connect(address);
    client.send(b"early");
    assert_eq!(client.answer(), b"early");
    client.until_confirmed();
    assert!(client.facts().early_data_accepted && client.facts().resumed);
    client.close();
    let second = |line: &Value| line["early_data_accepted"] == true && line["resumed"] == true;
    server.wait_for_line("\"early_data_accepted\": true", PATIENCE);
    assert!(second(of(&account_of(&mut server), "handshake")[1]));
}

fn server_takes_early_data(engine: Engine) {
    let options = Options { early_data: true, ..Options::default() };
    let account = aioquic_client(engine, options, false, &["--connections", "2", "--early-data"]);
    let handshakes = of(&account.lines, "handshake");
    assert_eq!((&handshakes[1]["early_data_accepted"], &handshakes[1]["resumed"]), (&true.into(), &true.into()));
    let second = &account.facts[1];
    assert!(second.early_data_accepted && second.early_streams == 1, "{second:?}");
}

/// Both ends begin an update.
fn client_updates_keys(engine: Engine) {
    let (mut server, address) = aioquic_server(&["--update-key"]);
    let mut client = connected(engine, &Options::default(), address);
    client.echo(b"before");
    client.until("the server's update", |client| client.facts().key_updates_by_peer == 1);
    client.echo(b"between");
    client.update_key();
    client.echo(b"after");
    client.echo(b"and on");
    assert_eq!(client.facts().key_updates, 1);
    client.close();
    assert_eq!(of(&account_of(&mut server), "stream").len(), 4);
}

fn server_follows_key_update(engine: Engine) {
    let account = aioquic_client(engine, Options::default(), false, &["--update-key"]);
    assert_eq!((account.facts[0].key_updates_by_peer, account.facts[0].streams), (1, 2));
}

fn client_migrates(engine: Engine) {
    let (mut server, address) = aioquic_server(&[]);
    let mut client = connected(engine, &Options::default(), address);
    client.echo(b"here");
    let moved = client.migrate();
    client.echo(b"there");
    client.echo(b"and on");
    server.wait_for_line(&format!("\"port\": {}, \"validated\": true", moved.port()), PATIENCE);
    client.close();
    account_of(&mut server);
}

fn client_is_rebound(engine: Engine) {
    let (mut server, address) = aioquic_server(&[]);
    let mut client = connected(engine, &Options::default(), address);
    client.echo(b"here");
    let outside = client.rebind();
    client.echo(b"there");
    client.echo(b"and on");
    server.wait_for_line(&format!("\"port\": {}, \"validated\": true", outside.port()), PATIENCE);
    client.close();
    account_of(&mut server);
}

fn server_follows(engine: Engine, how: &str) {
    let account = aioquic_client(engine, Options::default(), false, &[how]);
    let facts = &account.facts[0];
    assert_eq!((facts.remotes.len(), facts.streams), (2, 3), "{account:?}");
}

/// aioquic validates the address that the server prefers, and moves there.
fn server_is_reached_where_it_prefers(engine: Engine) {
    let account = aioquic_client(engine, Options::default(), true, &["--echoes", "4"]);
    let preferred = account.preferred.expect("it listens at two");
    assert!(account.facts[0].locals.contains(&preferred), "{account:?}");
}

fn client_exchanges_datagrams(engine: Engine) {
    let (mut server, address) = aioquic_server(&[]);
    let mut client = connected(engine, &Options::default(), address);
    client.echo_datagram(&[7; 1000]);
    client.close();
    assert_eq!(of(&account_of(&mut server), "datagram")[0]["length"], 1000);
}

fn server_exchanges_datagrams(engine: Engine) {
    let account = aioquic_client(engine, Options::default(), false, &["--datagram"]);
    assert_eq!((of(&account.lines, "datagram").len(), account.facts[0].datagrams), (1, 1));
}

/// The proof that aioquic's server has no such thing: it announces neither.
fn aioquic_offers_no_token_and_prefers_no_address(engine: Engine) {
    let (mut server, address) = aioquic_server(&["--retry"]);
    let mut client = connected(engine, &Options::default(), address);
    for _ in 0..3 {
        client.echo(b"time enough");
    }
    let facts = client.facts();
    assert!(facts.tokens.is_empty());
    assert_eq!(facts.remotes.iter().collect::<Vec<_>>(), [&address]);
    client.close();
    account_of(&mut server);
}

/// In native code alone: the ABI's order of versions has the first one chosen.
#[test]
fn native_compatible_negotiation_to_aioquic() {
    client_follows_to_version_2(Engine::Native);
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
    version_2_to_aioquic: client_speaks_version_2,
    version_2_from_aioquic: server_speaks_version_2,
    compatible_negotiation_from_aioquic: server_changes_to_version_2,
    retry_of_aioquic: client_answers_retry,
    retry_to_aioquic: server_sends_retry,
    new_token_to_aioquic: server_accepts_its_token,
    early_data_to_aioquic: client_sends_early_data,
    early_data_from_aioquic: server_takes_early_data,
    key_update_with_aioquic_server: client_updates_keys,
    key_update_with_aioquic_client: server_follows_key_update,
    migration_to_aioquic: client_migrates,
    migration_of_aioquic: |engine| server_follows(engine, "--migrate"),
    rebinding_before_aioquic: client_is_rebound,
    rebinding_of_aioquic: |engine| server_follows(engine, "--rebind"),
    preferred_address_to_aioquic: server_is_reached_where_it_prefers,
    datagrams_to_aioquic: client_exchanges_datagrams,
    datagrams_from_aioquic: server_exchanges_datagrams,
    aioquic_server_has_no_token_and_no_preferred_address: aioquic_offers_no_token_and_prefers_no_address,
}
