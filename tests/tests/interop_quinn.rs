//! quinn as client and as server: 100 MB over hq-interop, compared by SHA-256.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quillon_tests::command::{self, Engine};
use quillon_tests::fixtures::{CA, CERTIFICATE, PRIVATE_KEY, noise};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ConnectionError, Endpoint, VarInt};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const LEN: usize = 100_000_000;
const TRANSFER: Duration = Duration::from_secs(120);
const ALPN: &[u8] = b"hq-interop";

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

fn quinn_server() -> Endpoint {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE)], PrivatePkcs8KeyDer::from(PRIVATE_KEY).into())
        .expect("certificate and key belong together");
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let tls = QuicServerConfig::try_from(tls).expect("the suites include AES-128-GCM");
    Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(tls)), loopback()).expect("a free port")
}

fn quinn_client() -> Endpoint {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(CA)).expect("the CA is a certificate");
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let tls = QuicClientConfig::try_from(tls).expect("the suites include AES-128-GCM");
    let mut endpoint = Endpoint::client(loopback()).expect("a free port");
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    endpoint
}

/// Serves [`data`] to one connection, on each stream that asks for it, and returns how the connection ended.
async fn serve_one(endpoint: Endpoint) -> ConnectionError {
    let connection = endpoint.accept().await.expect("the endpoint is open").await.expect("a handshake");
    loop {
        match connection.accept_bi().await {
            Ok((mut send, mut receive)) => {
                let request = receive.read_to_end(1024).await.expect("a request of one line");
                assert_eq!(request.trim_ascii_end(), b"GET /data");
                send.write_all(data()).await.expect("the client reads to the end");
                send.finish().expect("the stream is open");
            }
            Err(end) => return end,
        }
    }
}

/// Downloads `/data` and returns the body's length and SHA-256.
async fn download(endpoint: Endpoint, port: u16) -> (usize, [u8; 32]) {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let connection = endpoint.connect(server, "localhost").expect("a name").await.expect("a handshake");
    let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
    send.write_all(b"GET /data\r\n").await.expect("the server reads");
    send.finish().expect("the stream is open");
    let (mut len, mut hash) = (0, Sha256::new());
    while let Some(chunk) = receive.read_chunk(usize::MAX, true).await.expect("the body comes to its end") {
        len += chunk.bytes.len();
        hash.update(&chunk.bytes);
    }
    connection.close(VarInt::from_u32(0), b"");
    endpoint.wait_idle().await;
    (len, hash.finalize().into())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TRANSFER, future).await.unwrap_or_else(|_| panic!("it took longer than {TRANSFER:?}"))
}

fn quillon_downloads_from_quinn(engine: Engine) {
    let dir = TempDir::new().expect("a temporary directory");
    let output = dir.path().join("download");
    let end = runtime().block_on(async {
        let endpoint = quinn_server();
        let port = endpoint.local_addr().expect("it is bound").port();
        let server = tokio::spawn(in_time(serve_one(endpoint)));
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
    assert!(
        matches!(&end, ConnectionError::ApplicationClosed(close) if close.error_code == VarInt::from_u32(0)),
        "{end:?}"
    );
    assert_downloaded(&output);
}

fn assert_downloaded(path: &Path) {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(bytes.len(), LEN);
    assert_eq!(<[u8; 32]>::from(Sha256::digest(bytes)), sha256_of_data());
}

fn quinn_downloads_from_quillon(engine: Engine) {
    let root = TempDir::new().expect("a temporary directory");
    fs::write(root.path().join("data"), data()).expect("a new file");
    let (_server, port) = command::serve(engine, root.path(), "hq-interop");
    let (len, hash) = runtime().block_on(async { in_time(download(quinn_client(), port)).await });
    assert_eq!((len, hash), (LEN, sha256_of_data()));
}

/// The peers agree with each other: where this fails, the others say nothing about Quillon.
#[test]
fn quinn_downloads_from_quinn() {
    let (end, (len, hash)) = runtime().block_on(async {
        let endpoint = quinn_server();
        let port = endpoint.local_addr().expect("it is bound").port();
        let server = tokio::spawn(in_time(serve_one(endpoint)));
        let downloaded = in_time(download(quinn_client(), port)).await;
        (server.await.expect("the server goes through with it"), downloaded)
    });
    assert_eq!((len, hash), (LEN, sha256_of_data()));
    assert!(matches!(end, ConnectionError::ApplicationClosed(_)), "{end:?}");
}

#[test]
fn wasm_downloads_from_quinn() {
    quillon_downloads_from_quinn(Engine::Wasm);
}

#[test]
fn native_downloads_from_quinn() {
    quillon_downloads_from_quinn(Engine::Native);
}

#[test]
fn quinn_downloads_from_wasm() {
    quinn_downloads_from_quillon(Engine::Wasm);
}

#[test]
fn quinn_downloads_from_native() {
    quinn_downloads_from_quillon(Engine::Native);
}
