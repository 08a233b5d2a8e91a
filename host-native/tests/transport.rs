//! Versions, Retry, tokens, sessions, early data, key updates, paths and datagrams through the async API, for each pair of
//! engines.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use quillon_host::{
    Admission, ClientConfig, Connection, ConnectionError, EarlyDataStatus, Endpoint, EndpointConfig, Engine, Identity,
    Migration, ReadError, ServerConfig, Version,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PAIRS: [(Engine, Engine); 4] = [
    (Engine::Native, Engine::Native),
    (Engine::Native, Engine::Wasm),
    (Engine::Wasm, Engine::Native),
    (Engine::Wasm, Engine::Wasm),
];

/// The first use of the module compiles it.
const PATIENCE: Duration = Duration::from_secs(60);

fn any() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn server_config() -> ServerConfig {
    ServerConfig::new(Identity::self_signed(&["localhost"]).expect("an identity"), ["test"])
}

fn client_config() -> ClientConfig {
    ClientConfig { verify_peer: false, ..ClientConfig::new(["test"]) }
}

/// A server that echoes every stream and every datagram.
fn serve(config: EndpointConfig) -> Endpoint {
    let endpoint = Endpoint::new(config).expect("an endpoint");
    let accepting = endpoint.clone();
    tokio::spawn(async move {
        while let Some(connection) = accepting.accept().await {
            tokio::spawn(echo(connection));
        }
    });
    endpoint
}

async fn echo(connection: Connection) {
    loop {
        tokio::select! {
            stream = connection.accept_bi() => {
                let Ok((mut send, mut receive)) = stream else { return };
                tokio::spawn(async move {
                    let mut data = Vec::new();
                    if receive.read_to_end(&mut data).await.is_ok() {
                        let _ = send.write_all(&data).await;
                        let _ = send.finish();
                        let _ = send.stopped().await;
                    }
                });
            }
            datagram = connection.read_datagram() => {
                let Ok(datagram) = datagram else { return };
                let _ = connection.send_datagram(datagram);
            }
        }
    }
}

fn server(engine: Engine, config: ServerConfig) -> EndpointConfig {
    EndpointConfig { server: Some(config), ..EndpointConfig::new(engine, any()) }
}

fn client(engine: Engine) -> Endpoint {
    Endpoint::client(engine, any()).expect("an endpoint")
}

async fn connect(endpoint: &Endpoint, server: &Endpoint, config: &ClientConfig) -> Connection {
    endpoint.connect(server.local_addr(), "localhost", config).await.expect("a connection")
}

/// Sends `text` and expects it back.
async fn exchange(connection: &Connection, text: &[u8]) {
    let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
    send.write_all(text).await.expect("written");
    send.finish().expect("finished");
    let mut back = Vec::new();
    receive.read_to_end(&mut back).await.expect("read");
    assert_eq!(back, text);
}

/// Runs a test for each pair of engines: the client's, the server's.
fn for_each_pair<F: Future<Output = ()>>(test: impl Fn(Engine, Engine) -> F) {
    // One thread: what is done before the first wait is done before the drivers run.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        for (of_client, of_server) in PAIRS {
            let done = tokio::time::timeout(PATIENCE, test(of_client, of_server)).await;
            assert!(done.is_ok(), "{of_client} with {of_server} takes too long");
        }
    });
}

#[test]
fn version_2_is_spoken_from_the_start() {
    for_each_pair(|of_client, of_server| async move {
        let server = serve(server(of_server, server_config()));
        let mut config = client_config();
        config.transport.versions.chosen = Version::V2;
        let endpoint = client(of_client);
        let connection = connect(&endpoint, &server, &config).await;
        exchange(&connection, b"in version 2").await;
        assert_eq!(connection.version(), Some(Version::V2));
    });
}

#[test]
fn a_server_goes_over_to_the_version_it_prefers() {
    for_each_pair(|of_client, of_server| async move {
        let mut config = server_config();
        config.transport.versions.preferred = vec![Version::V2];
        let server = serve(server(of_server, config));
        let endpoint = client(of_client);
        let connection = connect(&endpoint, &server, &client_config()).await;
        exchange(&connection, b"upgraded").await;
        assert_eq!(connection.version(), Some(Version::V2));
    });
}

#[test]
fn a_client_tries_again_after_version_negotiation() {
    for_each_pair(|of_client, of_server| async move {
        let mut config = server_config();
        config.transport.versions.available = vec![Version::V2];
        let server = serve(server(of_server, config));
        let endpoint = client(of_client);
        let connection = connect(&endpoint, &server, &client_config()).await;
        exchange(&connection, b"the second attempt").await;
        assert_eq!(connection.version(), Some(Version::V2));
    });
}

#[test]
fn a_token_spares_the_retry() {
    for_each_pair(|of_client, of_server| async move {
        let mut config = server(of_server, server_config());
        config.endpoint.admission = Admission::AutomaticWithRetry { threshold: 0 };
        let server = serve(config);
        let endpoint = client(of_client);
        let first = connect(&endpoint, &server, &client_config()).await;
        let token = first.token().await.expect("a token");
        assert!(!token.is_empty());
        let retried = first.stats().datagrams_sent;
        exchange(&first, b"after a Retry").await;
        let config = ClientConfig { token, ..client_config() };
        let second = connect(&endpoint, &server, &config).await;
        exchange(&second, b"without").await;
        assert!(second.stats().handshake_duration.is_some() && retried > 0);
    });
}

#[test]
fn early_data_arrives_in_a_resumed_connection() {
    for_each_pair(|of_client, of_server| async move {
        let server = serve(server(of_server, ServerConfig { session_store: 16, early_data: true, ..server_config() }));
        let endpoint = client(of_client);
        let config = ClientConfig { early_data: true, ..client_config() };
        let first = connect(&endpoint, &server, &config).await;
        assert!(!first.is_resumed());
        let session = Some(first.session().await.expect("a session"));
        first.close(0, b"");

        let config = ClientConfig { session, ..config };
        let second = endpoint.connect_early(server.local_addr(), "localhost", &config).await.expect("a connection");
        assert_eq!(second.early_data_status(), EarlyDataStatus::Offered);
        exchange(&second, b"early").await;
        second.established().await.expect("established");
        assert_eq!(second.early_data_status(), EarlyDataStatus::Accepted);
        assert!(second.is_resumed());
    });
}

#[test]
fn rejected_early_data_is_told_and_the_connection_goes_on() {
    for_each_pair(|of_client, of_server| async move {
        let config = ServerConfig { session_store: 16, early_data: true, ..server_config() };
        let forgetful = serve(server(of_server, config.clone()));
        let endpoint = client(of_client);
        let ours = ClientConfig { early_data: true, ..client_config() };
        let first = connect(&endpoint, &forgetful, &ours).await;
        let session = Some(first.session().await.expect("a session"));
        first.close(0, b"");
        // Another process of the same server has never heard of the session.
        let other = serve(server(of_server, config));
        let ours = ClientConfig { session, ..ours };
        let second = endpoint.connect_early(other.local_addr(), "localhost", &ours).await.expect("a connection");
        assert_eq!(second.early_data_status(), EarlyDataStatus::Offered);
        let (mut send, mut receive) = second.open_bi().await.expect("a stream");
        send.write_all(b"lost").await.expect("written");
        let end = receive.read_chunk(10).await;
        assert_eq!(end, Err(ReadError::Connection(ConnectionError::EarlyDataRejected)));
        assert!(send.write_all(b"more").await.is_err());
        second.established().await.expect("established");
        // The numbers of streams start again: the old handles do not touch the new ones.
        let (mut new, mut answer) = second.open_bi().await.expect("a stream");
        assert_eq!(new.id(), send.id());
        drop((send, receive));
        new.write_all(b"again").await.expect("written");
        new.finish().expect("finished");
        let mut back = Vec::new();
        answer.read_to_end(&mut back).await.expect("read");
        assert_eq!(back, b"again");
        assert_eq!(second.early_data_status(), EarlyDataStatus::Rejected);
        assert!(!second.is_resumed());
    });
}

#[test]
fn stateless_tickets_resume_without_early_data() {
    for_each_pair(|of_client, of_server| async move {
        let config = ServerConfig { ticket_keys: Some(([1; 32], Some([2; 32]))), ..server_config() };
        let first_process = serve(server(of_server, config.clone()));
        let endpoint = client(of_client);
        let first = connect(&endpoint, &first_process, &client_config()).await;
        let session = Some(first.session().await.expect("a session"));
        let other_process = serve(server(of_server, config));
        let config = ClientConfig { session, ..client_config() };
        let second = connect(&endpoint, &other_process, &config).await;
        exchange(&second, b"resumed").await;
        assert!(second.is_resumed());
        assert_eq!(second.early_data_status(), EarlyDataStatus::None);
    });
}

#[test]
fn keys_are_updated_on_request() {
    for_each_pair(|of_client, of_server| async move {
        let server = serve(server(of_server, server_config()));
        let endpoint = client(of_client);
        let connection = connect(&endpoint, &server, &client_config()).await;
        connection.confirmed().await.expect("confirmed");
        connection.update_key().expect("updated");
        exchange(&connection, b"under new keys").await;
        assert_eq!(connection.stats().key_updates, 1);
    });
}

#[test]
fn a_client_moves_to_another_socket() {
    for_each_pair(|of_client, of_server| async move {
        let server = serve(server(of_server, server_config()));
        let endpoint = client(of_client);
        let connection = connect(&endpoint, &server, &client_config()).await;
        connection.confirmed().await.expect("confirmed");
        let before = connection.paths()[0];
        assert_eq!(before.local, endpoint.local_addr());
        for migration in [Migration::Immediate, Migration::Validated] {
            let local = loop {
                // A spare connection ID of the server's may still be on its way.
                match connection.migrate(any(), migration) {
                    Ok(local) => break local,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            };
            while connection.paths()[0].local != local {
                exchange(&connection, b"on the way").await;
            }
            exchange(&connection, b"from there").await;
        }
    });
}

#[test]
fn a_nat_rebinding_goes_unnoticed() {
    for_each_pair(|of_client, of_server| async move {
        let server = serve(server(of_server, server_config()));
        let endpoint = client(of_client);
        let connection = connect(&endpoint, &server, &client_config()).await;
        exchange(&connection, b"before").await;
        let before = endpoint.local_addr();
        let after = endpoint.rebind(any()).expect("a socket");
        assert!(after != before && endpoint.local_addr() == after);
        exchange(&connection, b"after").await;
        assert_eq!(connection.paths()[0].local, before);
    });
}

#[test]
fn a_client_follows_to_the_preferred_address() {
    for_each_pair(|of_client, of_server| async move {
        let mut config = server(of_server, server_config());
        config.preferred_addresses = vec![any()];
        let server = serve(config);
        let preferred = server.addresses()[1];
        let endpoint = client(of_client);
        let connection = connect(&endpoint, &server, &client_config()).await;
        while connection.paths()[0].remote != preferred {
            exchange(&connection, b"on the way").await;
        }
        exchange(&connection, b"over there").await;
    });
}

#[test]
fn datagrams_go_both_ways() {
    for_each_pair(|of_client, of_server| async move {
        let server = serve(server(of_server, server_config()));
        let endpoint = client(of_client);
        let connection = connect(&endpoint, &server, &client_config()).await;
        let max = connection.max_datagram_size().expect("the server takes datagrams");
        for len in [0, 1, max] {
            let datagram = Bytes::from(vec![7; len]);
            connection.send_datagram(datagram.clone()).expect("queued");
            assert_eq!(connection.read_datagram().await, Ok(datagram));
        }
        let refused = connection.send_datagram(Bytes::from(vec![0; max + 1]));
        assert_eq!(refused, Err(quillon_host::SendDatagramError::TooLarge { max }));
    });
}

#[test]
fn both_ends_export_the_same_keying_material() {
    for_each_pair(|of_client, of_server| async move {
        let server = Endpoint::server(of_server, any(), server_config()).expect("an endpoint");
        let endpoint = client(of_client);
        let config = client_config();
        let (ours, theirs) = tokio::join!(connect(&endpoint, &server, &config), server.accept());
        let (mut here, mut there) = ([0; 40], [0; 40]);
        ours.export_keying_material(&mut here, b"EXPORTER-test", b"context").expect("exported");
        theirs.expect("a connection").export_keying_material(&mut there, b"EXPORTER-test", b"context").expect("too");
        assert_eq!(here, there);
        assert_ne!(here, [0; 40]);
    });
}

#[test]
fn each_connection_writes_a_qlog() {
    for_each_pair(|of_client, of_server| async move {
        let logs = tempfile::TempDir::new().expect("a temporary folder");
        let mut config = server(of_server, server_config());
        config.qlog_dir = Some(logs.path().to_owned());
        let server = serve(config);
        let mut config = EndpointConfig::new(of_client, any());
        config.qlog_dir = Some(logs.path().to_owned());
        let endpoint = Endpoint::new(config).expect("an endpoint");
        let connection = connect(&endpoint, &server, &client_config()).await;
        exchange(&connection, b"on record").await;
        connection.close(0, b"");
        endpoint.wait_idle().await;
        server.close(0, b"");
        server.wait_idle().await;
        let mut names = Vec::new();
        for entry in std::fs::read_dir(logs.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("readable");
            for word in ["packet_sent", "connection_closed"] {
                assert!(text.contains(word), "no {word} in {}", path.display());
            }
            names.push(path.file_name().expect("a name").to_string_lossy().into_owned());
        }
        names.sort();
        let [of_client, of_server] = names.as_slice() else { panic!("{names:?}") };
        assert_eq!(of_client.strip_suffix("_client.sqlog"), of_server.strip_suffix("_server.sqlog"));
        assert!(of_client.len() > 16 + "_client.sqlog".len() - 1, "{of_client}");
    });
}
