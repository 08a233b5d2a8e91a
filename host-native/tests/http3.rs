//! HTTP/3: files from `quillon serve` to `quillon get` over both engines, what a server answers, and what a faulty
//! peer leads to.

mod common;

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes};
use common::{ENGINES, Server, assert_fails, data, folder_with_data, get, names, sha256, succeeded, text};
use http::{Method, Request, StatusCode};
use quillon_host::http3::{self, Client, Error, Response};
use quillon_host::{
    ClientConfig, Connection, ConnectionError, Endpoint, Engine, Identity, RecvStream, SendStream, ServerConfig,
    certificates_from_pem,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

fn transfer(server_engine: &str, client_engine: &str) {
    common::transfer("h3", (server_engine, client_engine), "127.0.0.1:0", "localhost", &[]);
}

#[test]
fn native_to_native() {
    transfer("native", "native");
}

#[test]
fn wasm_to_wasm() {
    transfer("wasm", "wasm");
}

#[test]
fn native_to_wasm() {
    transfer("native", "wasm");
}

#[test]
fn wasm_to_native() {
    transfer("wasm", "native");
}

/// Runs `test` on each engine, within a minute.
fn on_each_engine<F: Future<Output = ()>>(test: impl Fn(Engine) -> F) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for engine in [Engine::Native, Engine::Wasm] {
        runtime.block_on(async {
            timeout(Duration::from_secs(60), test(engine))
                .await
                .unwrap_or_else(|_| panic!("the {engine} engine hangs"));
        });
    }
}

fn any() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A connection of this process to the command.
async fn connect(engine: Engine, server: &Server) -> Connection {
    let mut config = ClientConfig::new([http3::ALPN]);
    config.roots = certificates_from_pem(&server.ca).expect("what the server wrote");
    let endpoint = Endpoint::client(engine, any()).expect("a client");
    endpoint.connect(server.address, "localhost", &config).await.expect("connected")
}

async fn body(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.expect("a body") {
        body.extend_from_slice(&chunk);
    }
    body
}

fn server_of(engine: Engine, len: usize) -> (TempDir, Server) {
    let root = folder_with_data(len);
    let server = Server::start(&engine.to_string(), root.path(), &[]);
    (root, server)
}

#[test]
fn the_best_protocol_of_both_is_chosen() {
    let root = folder_with_data(1000);
    for (server_alpn, client_alpn, chosen) in [
        (None, None, "h3"),
        (Some("hq-interop"), None, "hq-interop"),
        (None, Some("hq-interop"), "hq-interop"),
        (None, Some("other,h3"), "h3"),
        // The server's order is the one that counts.
        (Some("hq-interop,h3"), Some("h3,hq-interop"), "hq-interop"),
    ] {
        let arguments = |alpn: Option<&'static str>| alpn.map(|alpn| ["--alpn", alpn]);
        let server = Server::start("native", root.path(), arguments(server_alpn).as_ref().map_or(&[], |a| &a[..]));
        let target = TempDir::new().expect("a temporary folder");
        let (url, ca) = (server.url("/data"), server.ca.to_str().expect("UTF-8"));
        let output = target.path().to_str().expect("UTF-8");
        let client = arguments(client_alpn);
        let client = client.as_ref().map_or(&[][..], |arguments| &arguments[..]);
        let done = get("native", &[&[&url, "--json", "--ca", ca, "--output", output], client].concat());
        let report: Value = serde_json::from_str(&succeeded(&done)).expect("one JSON object");
        assert_eq!((&report["alpn"], &report["bytes"]), (&Value::from(chosen), &Value::from(1000)));
        assert_eq!(fs::read(target.path().join("data")).expect("there"), data(1000));
    }
}

#[test]
fn a_protocol_that_the_server_does_not_speak() {
    let root = folder_with_data(10);
    for engine in ENGINES {
        let server = Server::start(engine, root.path(), &["--alpn", "hq-interop"]);
        let ca = server.ca.to_str().expect("UTF-8");
        let done = get(engine, &[&server.url("/data"), "--ca", ca, "--alpn", "h3", "--output", "-"]);
        assert_fails(&done, &["no application protocol in common", "hq-interop", "--alpn"]);
        // Agreed on, and no protocol for files.
        let server = Server::start(engine, root.path(), &["--alpn", "other"]);
        let ca = server.ca.to_str().expect("UTF-8");
        let done = get(engine, &[&server.url("/data"), "--ca", ca, "--alpn", "h3,other", "--output", "-"]);
        assert_fails(&done, &["the server chose other", "--alpn"]);
    }
}

#[test]
fn several_files_over_one_connection() {
    for engine in ENGINES {
        let root = TempDir::new().expect("a temporary folder");
        for (name, len) in [("empty", 0), ("one", 1), ("large", 1_000_000)] {
            fs::write(root.path().join(name), data(len)).expect("a new file");
        }
        let mut server = Server::start(engine, root.path(), &["--once", "1"]);
        let target = TempDir::new().expect("a temporary folder");
        let (ca, output) = (server.ca.to_str().expect("UTF-8"), target.path().to_str().expect("UTF-8"));
        let urls = ["/empty", "/one", "/large"].map(|path| server.url(path));
        let [empty, one, large] = urls.each_ref().map(String::as_str);
        succeeded(&get(engine, &[empty, one, large, "--alpn", "h3", "--ca", ca, "--output", output]));
        assert_eq!(names(target.path()), ["empty", "large", "one"]);
        for (name, len) in [("empty", 0), ("one", 1), ("large", 1_000_000)] {
            assert_eq!(fs::read(target.path().join(name)).expect("there"), data(len), "{name}");
        }
        // H3_NO_ERROR.
        assert!(server.line_with("closed").contains("0x100"));
        assert_eq!(server.wait(), Some(0));
    }
}

#[test]
fn a_status_for_every_request() {
    on_each_engine(|engine| async move {
        let (root, server) = server_of(engine, 5000);
        fs::write(root.path().join("empty"), b"").expect("a new file");
        let mut client = Client::new(connect(engine, &server).await).await.expect("HTTP/3");
        for (method, path, status, len, content) in [
            (Method::GET, "/data", 200, 5000, data(5000)),
            (Method::GET, "/data?query", 200, 5000, data(5000)),
            (Method::HEAD, "/data", 200, 5000, Vec::new()),
            (Method::GET, "/empty", 200, 0, Vec::new()),
            (Method::GET, "/other", 404, 13, b"no such file\n".to_vec()),
            (Method::HEAD, "/other", 404, 13, Vec::new()),
            (Method::GET, "/../data", 400, 23, b"not a path to a file\n".to_vec()),
            (Method::DELETE, "/data", 405, 28, b"only GET and HEAD are served\n".to_vec()),
        ] {
            let request = client.request(method.clone(), "localhost", path).await;
            let mut response = request.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
            assert_eq!(response.status(), status, "{method} {path}");
            assert_eq!(body(&mut response).await, content, "{method} {path}");
            assert_eq!(response.content_length().is_some(), len > 0 || status == 200);
            if method == Method::HEAD || status == 200 {
                assert_eq!(response.content_length(), Some(len), "{method} {path}");
            }
            assert_eq!(response.header("allow"), (status == 405).then_some("GET, HEAD"));
        }
    });
}

#[test]
fn many_requests_at_once_through_the_library() {
    on_each_engine(|engine| async move {
        let (_root, server) = server_of(engine, 300_000);
        let connection = http3::Connection::from(connect(engine, &server).await);
        let (mut control, requests) = h3::client::new(connection).await.expect("HTTP/3");
        let control = tokio::spawn(async move { control.wait_idle().await });
        let fetches = (0..20).map(|_| {
            let mut requests = requests.clone();
            tokio::spawn(async move {
                let request = Request::get("https://localhost/data").body(()).expect("a request");
                let (mut send, mut receive) = requests.send_request(request).await.expect("sent").split();
                send.finish().await.expect("finished");
                assert_eq!(receive.recv_response().await.expect("a response").status(), StatusCode::OK);
                let mut body = Vec::new();
                while let Some(mut chunk) = receive.recv_data().await.expect("a body") {
                    body.extend_from_slice(&chunk.copy_to_bytes(chunk.remaining()));
                }
                assert_eq!(sha256(&body), sha256(&data(300_000)));
            })
        });
        for fetch in fetches.collect::<Vec<_>>() {
            fetch.await.expect("fetched");
        }
        drop(requests);
        assert!(control.await.expect("no panic").is_h3_no_error());
        assert!(server.line_with("closed").contains("0x100"));
    });
}

#[test]
fn a_request_that_is_given_up() {
    on_each_engine(|engine| async move {
        let (root, server) = server_of(engine, 10);
        let endless = fs::File::create(root.path().join("endless")).expect("a new file");
        endless.set_len(1 << 40).expect("a sparse file");
        let mut client = Client::new(connect(engine, &server).await).await.expect("HTTP/3");
        let mut response = client.get("localhost", "/endless").await.expect("a response");
        assert_eq!(response.content_length(), Some(1 << 40));
        assert!(response.chunk().await.expect("a part").is_some());
        drop(response);
        assert!(server.line_with("\"/endless\"").contains("H3_REQUEST_CANCELLED"));
        // The connection goes on.
        let mut response = client.get("localhost", "/data").await.expect("a response");
        assert_eq!(body(&mut response).await, data(10));
    });
}

/// An endpoint of this process that speaks HTTP/3 by name, its certificate in a file, and where a download would go.
struct Peer {
    endpoint: Endpoint,
    folder: TempDir,
}

impl Peer {
    fn new(engine: Engine, tune: impl FnOnce(&mut ServerConfig)) -> Self {
        let identity = Identity::self_signed(&["localhost"]).expect("generated");
        let folder = TempDir::new().expect("a temporary folder");
        fs::write(folder.path().join("ca.pem"), identity.certificate_pem()).expect("a new file");
        let mut config = ServerConfig::new(identity, [http3::ALPN]);
        tune(&mut config);
        Self { endpoint: Endpoint::server(engine, any(), config).expect("a server"), folder }
    }

    /// Runs `quillon get`, which must fail with these words and leave nothing behind.
    fn refuse(&self, engine: Engine, words: &[&str]) {
        let url = format!("https://localhost:{}/data", self.endpoint.local_addr().port());
        let (ca, output) = (self.folder.path().join("ca.pem"), self.folder.path().join("copy"));
        let [ca, output] = [&ca, &output].map(|path| path.to_str().expect("UTF-8"));
        assert_fails(&get(&engine.to_string(), &[&url, "--ca", ca, "--output", output]), words);
        assert_eq!(names(self.folder.path()), ["ca.pem"]);
    }

    /// Accepts a connection and its first request.
    async fn accept(&self) -> (Connection, SendStream, RecvStream) {
        let connection = self.endpoint.accept().await.expect("a connection");
        let (send, receive) = connection.accept_bi().await.expect("a request");
        (connection, send, receive)
    }
}

/// What the command says of a peer that answers its request with `answer`, and how it closes.
fn answered_with<F: Future<Output = SendStream> + Send + 'static>(
    answer: impl Fn(Connection, SendStream) -> F + Copy + Send + 'static,
    words: &'static [&str],
    code: Option<u64>,
) {
    on_each_engine(|engine| async move {
        let peer = Peer::new(Engine::Native, |_| {});
        let peer = std::sync::Arc::new(peer);
        let command = std::sync::Arc::clone(&peer);
        let command = tokio::task::spawn_blocking(move || command.refuse(engine, words));
        let (connection, send, _receive) = peer.accept().await;
        let _send = answer(connection.clone(), send).await;
        let end = connection.closed().await;
        if code.is_some() {
            assert_eq!(end.application_close(), code, "{end}");
        }
        command.await.expect("it says so");
    });
}

/// A HEADERS frame: the status 200 from the static table, and a content-length (RFC 9204 sections 3.1 and 4.5).
fn headers(content_length: &str) -> Vec<u8> {
    let mut section = vec![0, 0, 0xd9, 0x54, content_length.len() as u8];
    section.extend_from_slice(content_length.as_bytes());
    [&[1, section.len() as u8], &section[..]].concat()
}

#[test]
fn a_response_that_begins_with_a_body() {
    let answer = |_, mut send: SendStream| async move {
        send.write_all(&[0, 5, b'h', b'e', b'l', b'l', b'o']).await.expect("written");
        send
    };
    // H3_FRAME_UNEXPECTED.
    answered_with(answer, &["breaks HTTP/3", "H3_FRAME_UNEXPECTED", "--alpn hq-interop"], Some(0x105));
}

#[test]
fn a_body_of_another_length() {
    for (content_length, words) in [
        ("6", &["a body of 5 bytes", "content-length says 6", "H3_MESSAGE_ERROR"]),
        ("4", &["a body of 5 bytes", "content-length says 4", "H3_MESSAGE_ERROR"]),
    ] {
        let answer = move |_, mut send: SendStream| async move {
            send.write_all(&headers(content_length)).await.expect("written");
            send.write_all(&[0, 5, b'h', b'e', b'l', b'l', b'o']).await.expect("written");
            // Too long, it is refused before its end.
            let _ = send.finish();
            send
        };
        answered_with(answer, words, Some(0x100));
    }
}

#[test]
fn a_response_that_is_reset() {
    let answer = |_, mut send: SendStream| async move {
        send.write_all(&headers("6")).await.expect("written");
        send.reset(0x102);
        send
    };
    answered_with(answer, &["cannot fetch", "gave up the request with H3_INTERNAL_ERROR"], Some(0x100));
    let answer = |_, mut send: SendStream| async move {
        send.reset(0x10b);
        send
    };
    answered_with(answer, &["H3_REQUEST_REJECTED", "try again"], Some(0x100));
}

#[test]
fn a_server_that_closes() {
    let answer = |connection: Connection, send| async move {
        connection.close(0x107, b"calm down");
        send
    };
    answered_with(answer, &["closed the connection with H3_EXCESSIVE_LOAD", "calm down"], None);
}

#[test]
fn a_client_that_breaks_the_protocol_is_told() {
    on_each_engine(|engine| async move {
        let (_root, server) = server_of(engine, 10);
        let connection = connect(engine, &server).await;
        // A second control stream: H3_STREAM_CREATION_ERROR (RFC 9114 section 6.2.1).
        for _ in 0..2 {
            let mut control = connection.open_uni().await.expect("opened");
            control.write_all(&[0, 4, 0]).await.expect("written");
            std::mem::forget(control);
        }
        assert_eq!(connection.closed().await.application_close(), Some(0x103));
        assert!(server.line_with("closed").contains("0x103"));
        // The server goes on.
        let mut client = Client::new(connect(engine, &server).await).await.expect("HTTP/3");
        assert_eq!(client.get("localhost", "/data").await.expect("a response").status(), 200);
    });
}

#[test]
fn a_reader_that_waits_stops_the_writer() {
    const WINDOW: u64 = 200_000;
    on_each_engine(|engine| async move {
        let peer = Peer::new(engine, |config| config.transport.send_buffer = 50_000);
        let mut config = ClientConfig::new([http3::ALPN]);
        config.roots = certificates_from_pem(&peer.folder.path().join("ca.pem")).expect("just written");
        config.transport.initial_max_stream_data_bidi_local = WINDOW;
        config.transport.initial_max_data = WINDOW;
        let endpoint = Endpoint::client(engine, any()).expect("a client");
        let connecting = endpoint.connect(peer.endpoint.local_addr(), "localhost", &config);
        let (connected, accepted) = tokio::join!(connecting, peer.endpoint.accept());
        let accepted = http3::Connection::from(accepted.expect("accepted"));
        let (written, progress) = tokio::sync::watch::channel(0);
        let server = tokio::spawn(async move {
            let mut requests = h3::server::Connection::new(accepted).await.expect("HTTP/3");
            let request = requests.accept().await.expect("a request").expect("a request");
            let (_, mut stream) = request.resolve_request().await.expect("a request");
            stream.send_response(http::Response::new(())).await.expect("sent");
            for _ in 0..100 {
                stream.send_data(Bytes::from_static(&[7; 10_000])).await.expect("sent");
                written.send_modify(|written| *written += 10_000);
            }
            stream.finish().await.expect("finished");
            // Until the client has everything, and goes.
            assert!(requests.accept().await.is_err());
        });
        let mut client = Client::new(connected.expect("connected")).await.expect("HTTP/3");
        let mut response = client.get("localhost", "/").await.expect("a response");
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!((100_000..500_000).contains(&*progress.borrow()), "{}", *progress.borrow());
        assert_eq!(body(&mut response).await, [7; 1_000_000]);
        drop((response, client));
        server.await.expect("served");
    });
}

#[test]
fn a_request_on_a_connection_that_ended() {
    on_each_engine(|engine| async move {
        let (_root, mut server) = server_of(engine, 10);
        let connection = connect(engine, &server).await;
        let mut client = Client::new(connection.clone()).await.expect("HTTP/3");
        #[cfg(unix)]
        assert_eq!(server.signal("TERM"), Some(0));
        #[cfg(not(unix))]
        connection.close(http3::NO_ERROR, b"");
        let end = connection.closed().await;
        #[cfg(unix)]
        assert_eq!(end.application_close(), Some(http3::NO_ERROR), "{end}");
        match client.get("localhost", "/data").await {
            Err(Error::Connection(error @ ConnectionError::Quic(_))) => assert_eq!(error, end),
            other => panic!("{other:?}"),
        }
        assert!(text(end.to_string().as_bytes()).contains("0x100"));
    });
}
