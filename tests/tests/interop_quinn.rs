//! quinn as client and as server: 100 MB over hq-interop and over HTTP/3, compared by SHA-256.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Buf, Bytes};
use quillon_tests::command::{self, Engine};
use quillon_tests::fixtures::{CA, CERTIFICATE, PRIVATE_KEY, noise};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ConnectionError, Endpoint, VarInt};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const LEN: usize = 100_000_000;
const TRANSFER: Duration = Duration::from_secs(120);

/// What the file moves over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// hq-interop.
    Hq,
    /// HTTP/3, by the crate `h3`.
    Http3,
}

impl Protocol {
    const fn alpn(self) -> &'static str {
        match self {
            Self::Hq => "hq-interop",
            Self::Http3 => "h3",
        }
    }

    /// The code of a clean close (RFC 9114 section 8.1).
    const fn no_error(self) -> VarInt {
        match self {
            Self::Hq => VarInt::from_u32(0),
            Self::Http3 => VarInt::from_u32(0x100),
        }
    }
}

fn data() -> &'static [u8] {
    static DATA: OnceLock<Vec<u8>> = OnceLock::new();
    DATA.get_or_init(|| noise(LEN, 2))
}

fn sha256_of_data() -> [u8; 32] {
    Sha256::digest(data()).into()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn quinn_server(protocol: Protocol) -> Endpoint {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE)], PrivatePkcs8KeyDer::from(PRIVATE_KEY).into())
        .expect("certificate and key belong together");
    tls.alpn_protocols = vec![protocol.alpn().into()];
    let tls = QuicServerConfig::try_from(tls).expect("the suites include AES-128-GCM");
    Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(tls)), loopback()).expect("a free port")
}

fn quinn_client(protocol: Protocol) -> Endpoint {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(CA)).expect("the CA is a certificate");
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![protocol.alpn().into()];
    let tls = QuicClientConfig::try_from(tls).expect("the suites include AES-128-GCM");
    let mut endpoint = Endpoint::client(loopback()).expect("a free port");
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    endpoint
}

/// Serves [`data`] to one connection, on each stream that asks for it, and returns how the connection ended.
async fn serve_one(endpoint: Endpoint, protocol: Protocol) -> ConnectionError {
    let connection = endpoint.accept().await.expect("the endpoint is open").await.expect("a handshake");
    match protocol {
        Protocol::Hq => serve_hq(&connection).await,
        Protocol::Http3 => serve_http3(&connection).await,
    }
}

async fn serve_hq(connection: &quinn::Connection) -> ConnectionError {
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        let request = receive.read_to_end(1024).await.expect("a request of one line");
        assert_eq!(request.trim_ascii_end(), b"GET /data");
        send.write_all(data()).await.expect("the client reads to the end");
        send.finish().expect("the stream is open");
    }
    connection.closed().await
}

async fn serve_http3(connection: &quinn::Connection) -> ConnectionError {
    let quic = h3_quinn::Connection::new(connection.clone());
    let mut requests = h3::server::Connection::new(quic).await.expect("control streams");
    while let Ok(Some(request)) = requests.accept().await {
        let (request, mut stream) = request.resolve_request().await.expect("a request");
        assert_eq!((request.method(), request.uri().path()), (&http::Method::GET, "/data"));
        let response = http::Response::builder().header(http::header::CONTENT_LENGTH, LEN).body(());
        stream.send_response(response.expect("a response")).await.expect("the client reads");
        stream.send_data(Bytes::from_static(data())).await.expect("the client reads to the end");
        stream.finish().await.expect("the stream is open");
    }
    // Dropping `requests` closes, and hides how the peer did.
    connection.closed().await
}

/// Downloads `/data` and returns the body's length and SHA-256.
async fn download(endpoint: Endpoint, port: u16, protocol: Protocol) -> (usize, [u8; 32]) {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let connection = endpoint.connect(server, "localhost").expect("a name").await.expect("a handshake");
    let downloaded = match protocol {
        Protocol::Hq => download_hq(&connection).await,
        Protocol::Http3 => download_http3(&connection).await,
    };
    connection.close(protocol.no_error(), b"");
    endpoint.wait_idle().await;
    downloaded
}

async fn download_hq(connection: &quinn::Connection) -> (usize, [u8; 32]) {
    let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
    send.write_all(b"GET /data\r\n").await.expect("the server reads");
    send.finish().expect("the stream is open");
    let (mut len, mut hash) = (0, Sha256::new());
    while let Some(chunk) = receive.read_chunk(usize::MAX, true).await.expect("the body comes to its end") {
        len += chunk.bytes.len();
        hash.update(&chunk.bytes);
    }
    (len, hash.finalize().into())
}

async fn download_http3(connection: &quinn::Connection) -> (usize, [u8; 32]) {
    let quic = h3_quinn::Connection::new(connection.clone());
    let (mut control, mut requests) = h3::client::new(quic).await.expect("control streams");
    let control = tokio::spawn(async move { control.wait_idle().await });
    let request = http::Request::get("https://localhost/data").body(()).expect("a request");
    let mut stream = requests.send_request(request).await.expect("the server reads");
    stream.finish().await.expect("the stream is open");
    let response = stream.recv_response().await.expect("a response");
    assert_eq!(response.status(), http::StatusCode::OK);
    assert_eq!(response.headers()[http::header::CONTENT_LENGTH], LEN.to_string());
    let (mut len, mut hash) = (0, Sha256::new());
    while let Some(mut chunk) = stream.recv_data().await.expect("the body comes to its end") {
        let chunk = chunk.copy_to_bytes(chunk.remaining());
        len += chunk.len();
        hash.update(&chunk);
    }
    drop((stream, requests));
    assert!(control.await.expect("no panic").is_h3_no_error());
    (len, hash.finalize().into())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TRANSFER, future).await.unwrap_or_else(|_| panic!("it took longer than {TRANSFER:?}"))
}

fn assert_closed_cleanly(end: &ConnectionError, protocol: Protocol) {
    let ConnectionError::ApplicationClosed(close) = end else { panic!("{end:?}") };
    assert_eq!(close.error_code, protocol.no_error(), "{end:?}");
}

fn quillon_downloads_from_quinn(protocol: Protocol, engine: Engine) {
    let dir = TempDir::new().expect("a temporary directory");
    let output = dir.path().join("download");
    let end = runtime().block_on(async {
        let endpoint = quinn_server(protocol);
        let port = endpoint.local_addr().expect("it is bound").port();
        let server = tokio::spawn(in_time(serve_one(endpoint, protocol)));
        let client = tokio::task::spawn_blocking({
            let output = output.clone();
            move || {
                let output = output.to_str().expect("temporary paths are UTF-8");
                let url = format!("https://localhost:{port}/data");
                command::get(engine, &url, &["--output", output]).wait_for_success(TRANSFER);
            }
        });
        client.await.expect("the command downloads the file");
        server.await.expect("the server goes through with it")
    });
    assert_closed_cleanly(&end, protocol);
    assert_downloaded(&output);
}

fn assert_downloaded(path: &Path) {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(bytes.len(), LEN);
    assert_eq!(<[u8; 32]>::from(Sha256::digest(bytes)), sha256_of_data());
}

fn quinn_downloads_from_quillon(protocol: Protocol, engine: Engine) {
    let root = TempDir::new().expect("a temporary directory");
    fs::write(root.path().join("data"), data()).expect("a new file");
    let (_server, port) = command::serve(engine, root.path(), "h3,hq-interop");
    let (len, hash) = runtime().block_on(async { in_time(download(quinn_client(protocol), port, protocol)).await });
    assert_eq!((len, hash), (LEN, sha256_of_data()));
}

fn quinn_agrees_with_quinn(protocol: Protocol) {
    let (end, (len, hash)) = runtime().block_on(async {
        let endpoint = quinn_server(protocol);
        let port = endpoint.local_addr().expect("it is bound").port();
        let server = tokio::spawn(in_time(serve_one(endpoint, protocol)));
        let downloaded = in_time(download(quinn_client(protocol), port, protocol)).await;
        (server.await.expect("the server goes through with it"), downloaded)
    });
    assert_eq!((len, hash), (LEN, sha256_of_data()));
    assert_closed_cleanly(&end, protocol);
}

/// The peers agree with each other: where this fails, the others say nothing about Quillon.
#[test]
fn quinn_downloads_from_quinn() {
    quinn_agrees_with_quinn(Protocol::Hq);
}

#[test]
fn wasm_downloads_from_quinn() {
    quillon_downloads_from_quinn(Protocol::Hq, Engine::Wasm);
}

#[test]
fn native_downloads_from_quinn() {
    quillon_downloads_from_quinn(Protocol::Hq, Engine::Native);
}

#[test]
fn quinn_downloads_from_wasm() {
    quinn_downloads_from_quillon(Protocol::Hq, Engine::Wasm);
}

#[test]
fn quinn_downloads_from_native() {
    quinn_downloads_from_quillon(Protocol::Hq, Engine::Native);
}

/// The peers agree with each other: where this fails, the others say nothing about Quillon.
#[test]
fn quinn_downloads_over_http3_from_quinn() {
    quinn_agrees_with_quinn(Protocol::Http3);
}

#[test]
fn wasm_downloads_over_http3_from_quinn() {
    quillon_downloads_from_quinn(Protocol::Http3, Engine::Wasm);
}

#[test]
fn native_downloads_over_http3_from_quinn() {
    quillon_downloads_from_quinn(Protocol::Http3, Engine::Native);
}

#[test]
fn quinn_downloads_over_http3_from_wasm() {
    quinn_downloads_from_quillon(Protocol::Http3, Engine::Wasm);
}

#[test]
fn quinn_downloads_over_http3_from_native() {
    quinn_downloads_from_quillon(Protocol::Http3, Engine::Native);
}
