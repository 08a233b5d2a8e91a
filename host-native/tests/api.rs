//! The async API: both ends in this process, over UDP, on both engines.

use std::net::SocketAddr;
use std::time::Duration;

use quillon_host::{
    ClientConfig, ConnectError, Connection, ConnectionError, Endpoint, Engine, Identity, ReadError, ServerConfig,
    WriteError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const ENGINES: [Engine; 2] = [Engine::Native, Engine::Wasm];

struct Pair {
    server: Endpoint,
    client: Endpoint,
    accepted: Connection,
    connected: Connection,
}

fn identity() -> Identity {
    Identity::self_signed(&["localhost"]).expect("generated")
}

fn any() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

async fn pair(engine: Engine, tune: impl FnOnce(&mut ServerConfig, &mut ClientConfig)) -> Pair {
    let identity = identity();
    let mut client_config = ClientConfig::new(["test"]);
    client_config.roots = vec![identity.certificate().expect("one").to_vec()];
    let mut server_config = ServerConfig::new(identity, ["test"]);
    tune(&mut server_config, &mut client_config);
    let server = Endpoint::server(engine, any(), server_config).expect("a server");
    let client = Endpoint::client(engine, any()).expect("a client");
    let connecting = client.connect(server.local_addr(), "localhost", &client_config);
    let (connected, accepted) = tokio::join!(connecting, server.accept());
    Pair { connected: connected.expect("connected"), accepted: accepted.expect("accepted"), server, client }
}

/// Runs `test` with a fresh pair on each engine, within a minute.
fn with_pairs<F: Future<Output = ()>>(tune: impl Fn(&mut ServerConfig, &mut ClientConfig), test: impl Fn(Pair) -> F) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for engine in ENGINES {
        runtime.block_on(async {
            timeout(Duration::from_secs(60), async { test(pair(engine, &tune).await).await })
                .await
                .unwrap_or_else(|_| panic!("the {engine} engine hangs"));
        });
    }
}

fn application(code: u64, reason: &[u8], by_peer: bool) -> ConnectionError {
    let reason = reason.to_vec();
    ConnectionError::Quic(quillon::ConnectionError::Application { code, reason, by_peer })
}

#[test]
fn streams_of_every_kind() {
    with_pairs(
        |_, _| {},
        |Pair { accepted, connected, .. }| async move {
            assert_eq!(connected.alpn().as_deref(), Some(&b"test"[..]));
            assert_eq!(accepted.alpn().as_deref(), Some(&b"test"[..]));
            for (opener, other) in [(&connected, &accepted), (&accepted, &connected)] {
                let (mut send, mut receive) = opener.open_bi().await.expect("opened");
                send.write_all(b"ping").await.expect("written");
                send.finish().expect("finished");
                let (mut back, mut there) = other.accept_bi().await.expect("accepted");
                assert_eq!(there.id(), send.id());
                let mut text = String::new();
                there.read_to_string(&mut text).await.expect("read");
                back.write_all(text.replace('i', "o").as_bytes()).await.expect("written");
                back.shutdown().await.expect("finished");
                text.clear();
                receive.read_to_string(&mut text).await.expect("read");
                assert_eq!(text, "pong");
                assert_eq!(back.stopped().await, Ok(None));

                let mut uni = opener.open_uni().await.expect("opened");
                uni.write_all(b"one way").await.expect("written");
                uni.finish().expect("finished");
                assert_eq!(uni.finish(), Err(WriteError::Closed));
                text.clear();
                other.accept_uni().await.expect("accepted").read_to_string(&mut text).await.expect("read");
                assert_eq!(text, "one way");
            }
        },
    );
}

#[test]
fn a_reader_that_waits_stops_the_writer() {
    const WINDOW: u64 = 100_000;
    const BUFFER: u64 = 50_000;
    let tune = |server: &mut ServerConfig, client: &mut ClientConfig| {
        server.transport.initial_max_stream_data_uni = WINDOW;
        server.transport.initial_max_data = WINDOW;
        client.transport.send_buffer = BUFFER;
    };
    with_pairs(tune, |Pair { accepted, connected, .. }| async move {
        let mut send = connected.open_uni().await.expect("opened");
        let chunk = vec![7; 10_000];
        let mut written = 0;
        while let Ok(taken) = timeout(Duration::from_millis(300), send.write(&chunk)).await {
            written += taken.expect("written") as u64;
        }
        assert!((WINDOW..=WINDOW + BUFFER).contains(&written), "{written}");

        let mut receive = accepted.accept_uni().await.expect("accepted");
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            receive.read_to_end(&mut all).await.map(|_| all.len() as u64)
        });
        for _ in 0..100 {
            send.write_all(&chunk).await.expect("written");
        }
        send.finish().expect("finished");
        assert_eq!(send.stopped().await, Ok(None));
        assert_eq!(reader.await.expect("no panic").expect("read"), written + 1_000_000);
    });
}

#[test]
fn more_streams_than_the_peer_allows_wait() {
    let tune = |server: &mut ServerConfig, _: &mut ClientConfig| server.transport.initial_max_streams_bidi = 2;
    with_pairs(tune, |Pair { accepted, connected, .. }| async move {
        let server = tokio::spawn(async move {
            for _ in 0..20 {
                let (mut send, mut receive) = accepted.accept_bi().await?;
                tokio::io::copy(&mut receive, &mut send).await.expect("echoed");
                send.finish().expect("finished");
            }
            Ok::<_, ConnectionError>(accepted)
        });
        let clients = (0..20u8).map(|index| {
            let connection = connected.clone();
            tokio::spawn(async move {
                let (mut send, mut receive) = connection.open_bi().await.expect("opened");
                send.write_all(&[index; 1000]).await.expect("written");
                send.finish().expect("finished");
                let mut echo = Vec::new();
                receive.read_to_end(&mut echo).await.expect("read");
                assert_eq!(echo, [index; 1000]);
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.expect("echoed");
        }
        server.await.expect("no panic").expect("served");
    });
}

#[test]
fn resets_and_stops_carry_their_codes() {
    with_pairs(
        |_, _| {},
        |Pair { accepted, connected, .. }| async move {
            let (mut send, mut receive) = connected.open_bi().await.expect("opened");
            send.write_all(b"x").await.expect("written");
            let (mut back, mut there) = accepted.accept_bi().await.expect("accepted");
            back.reset(11);
            there.stop(12);
            let error = receive.read_u8().await.expect_err("reset");
            let reset = error.get_ref().and_then(|error| error.downcast_ref());
            assert_eq!(reset, Some(&ReadError::Reset(11)));
            assert_eq!(send.stopped().await, Ok(Some(12)));
            let error = send.write_all(b"y").await.expect_err("stopped");
            let stopped = error.get_ref().and_then(|error| error.downcast_ref());
            assert_eq!(stopped, Some(&WriteError::Stopped(12)));

            // What is dropped half-way is not taken for the whole.
            let mut send = connected.open_uni().await.expect("opened");
            send.write_all(b"half").await.expect("written");
            drop(send);
            let mut receive = accepted.accept_uni().await.expect("accepted");
            let error = receive.read_to_end(&mut Vec::new()).await.expect_err("reset");
            assert_eq!(error.get_ref().and_then(|error| error.downcast_ref()), Some(&ReadError::Reset(0)));
        },
    );
}

#[test]
fn chunks_are_what_was_sent() {
    with_pairs(
        |_, _| {},
        |Pair { accepted, connected, .. }| async move {
            let sent: Vec<u8> = (0..200_000).map(|index| (index % 251) as u8).collect();
            let mut send = connected.open_uni().await.expect("opened");
            let writer = {
                let sent = sent.clone();
                tokio::spawn(async move {
                    send.write_all(&sent).await.expect("written");
                    send.finish().expect("finished");
                    send.stopped().await
                })
            };
            let mut receive = accepted.accept_uni().await.expect("accepted");
            // Every other chunk is kept, and stays what it was.
            let (mut kept, mut read) = (Vec::new(), Vec::new());
            let mut keep = false;
            while let Some(chunk) = receive.read_chunk(10_000).await.expect("read") {
                assert!((1..=10_000).contains(&chunk.len()));
                let at = read.len();
                read.extend_from_slice(&chunk);
                keep = !keep;
                if keep {
                    kept.push((at, chunk));
                }
            }
            assert_eq!(read, sent);
            assert!(kept.iter().all(|(at, chunk)| sent[*at..].starts_with(chunk)));
            assert_eq!(receive.read_chunk(10_000).await, Ok(None));
            assert_eq!(writer.await.expect("no panic"), Ok(None));

            let mut send = connected.open_uni().await.expect("opened");
            send.reset(5);
            let mut receive = accepted.accept_uni().await.expect("accepted");
            assert_eq!(receive.read_chunk(10_000).await, Err(ReadError::Reset(5)));
        },
    );
}

#[test]
fn several_tasks_wait_for_one_connection() {
    with_pairs(
        |_, _| {},
        |Pair { accepted, connected, .. }| async move {
            let waiting = (0..8).map(|index| {
                let connection = accepted.clone();
                tokio::spawn(async move {
                    // Half of them wait for the one kind of stream, half for the other.
                    match index % 2 {
                        0 => connection.accept_uni().await.map(|receive| receive.id()),
                        _ => connection.accept_bi().await.map(|(_, receive)| receive.id()),
                    }
                })
            });
            let waiting: Vec<_> = waiting.collect();
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut streams = Vec::new();
            for _ in 0..4 {
                let mut uni = connected.open_uni().await.expect("opened");
                uni.write_all(b"x").await.expect("written");
                let (mut send, receive) = connected.open_bi().await.expect("opened");
                send.write_all(b"x").await.expect("written");
                streams.push((uni, send, receive));
            }
            let mut accepted = Vec::new();
            for task in waiting {
                accepted.push(task.await.expect("no panic").expect("accepted"));
            }
            accepted.sort_unstable();
            accepted.dedup();
            assert_eq!(accepted.len(), 8);
        },
    );
}

#[test]
fn a_close_reaches_everybody() {
    with_pairs(
        |_, _| {},
        |Pair { accepted, connected, server, client }| async move {
            let (_send, mut receive) = connected.open_bi().await.expect("opened");
            let reader = tokio::spawn(async move { receive.read_u8().await.map_err(|error| error.to_string()) });
            let acceptor = {
                let connection = connected.clone();
                tokio::spawn(async move { connection.accept_uni().await.map(|_| ()) })
            };
            tokio::time::sleep(Duration::from_millis(50)).await;
            accepted.close(42, b"enough");
            accepted.close(43, b"again");
            assert_eq!(accepted.closed().await, application(42, b"enough", false));
            assert_eq!(connected.closed().await, application(42, b"enough", true));
            assert_eq!(connected.close_reason(), Some(application(42, b"enough", true)));
            assert_eq!(acceptor.await.expect("no panic"), Err(application(42, b"enough", true)));
            assert!(reader.await.expect("no panic").expect_err("closed").contains("enough"));
            assert!(connected.open_uni().await.is_err());
            assert!(connected.stats().handshake_duration.is_some());
            server.wait_idle().await;
            client.wait_idle().await;
        },
    );
}

#[test]
fn the_last_handle_closes() {
    with_pairs(
        |_, _| {},
        |Pair { accepted, connected, server, client }| async move {
            let clone = connected.clone();
            drop(connected);
            let mut stream = clone.open_uni().await.expect("open still");
            drop(clone);
            stream.write_all(b"x").await.expect("a stream holds the connection");
            drop(stream);
            assert_eq!(accepted.closed().await, application(0, b"", true));
            // A closed endpoint accepts nobody.
            server.close(7, b"bye");
            assert!(server.accept().await.is_none());
            let error = server.connect(client.local_addr(), "localhost", &ClientConfig::new(["test"])).await;
            assert_eq!(error.err(), Some(ConnectError::Connection(ConnectionError::EndpointClosed)));
        },
    );
}

#[test]
fn connections_outlive_the_endpoint_handle() {
    with_pairs(
        |_, _| {},
        |Pair { accepted, connected, server, client }| async move {
            drop((server, client));
            let mut send = connected.open_uni().await.expect("opened");
            send.write_all(b"still here").await.expect("written");
            send.finish().expect("finished");
            let mut text = String::new();
            accepted.accept_uni().await.expect("accepted").read_to_string(&mut text).await.expect("read");
            assert_eq!(text, "still here");
        },
    );
}

#[test]
fn an_idle_connection_ends() {
    let tune = |server: &mut ServerConfig, _: &mut ClientConfig| {
        server.transport.max_idle_timeout = Duration::from_millis(300);
    };
    with_pairs(tune, |Pair { accepted, connected, .. }| async move {
        let idle = ConnectionError::Quic(quillon::ConnectionError::IdleTimeout);
        assert_eq!(accepted.closed().await, idle);
        assert_eq!(connected.closed().await, idle);
    });
}

#[test]
fn a_configuration_that_cannot_work() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for engine in ENGINES {
            let bad = Identity::from_der(vec![b"no certificate".to_vec()], b"no key".to_vec());
            let refused = Endpoint::server(engine, any(), ServerConfig::new(bad, ["test"]));
            assert!(refused.is_err(), "{engine}");
            let client = Endpoint::client(engine, any()).expect("a client");
            let refused = client.connect(any(), "not a name", &ClientConfig::new(["test"])).await;
            assert!(matches!(refused, Err(ConnectError::Configuration(_))), "{engine}: {refused:?}");
        }
    });
}
