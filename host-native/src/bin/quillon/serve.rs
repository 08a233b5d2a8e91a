//! `quillon serve`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quillon_host::{
    Connection, ConnectionError, Endpoint, EndpointConfig, Engine, Identity, ServerConfig, files::Served, hq, http3,
};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Failure;
use crate::arguments::{Common, Serve};
use crate::protocol;
use crate::report::{self, Line, Transport, millis};
use crate::signals::Interruption;

/// For whom a self-signed certificate is.
const SELF_SIGNED_FOR: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// How long the closes are repeated to peers that did not hear them.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) async fn run(serve: Serve) -> Result<(), Failure> {
    let root = canonical_root(&serve.root)?;
    let identity = identity(&serve)?;
    let mut config = ServerConfig::new(identity, &serve.common.alpn);
    config.transport = serve.common.transport();
    config.cipher_suites = serve.common.cipher_suites();
    serve.transport.apply(&mut config);

    let mut settings = EndpointConfig::new(serve.common.engine(), serve.listen);
    settings.server = Some(config);
    settings.key_log = Common::key_log()?;
    serve.common.shared.apply_to_endpoint(&mut settings)?;
    serve.transport.apply_to_endpoint(&mut settings);
    let endpoint = Endpoint::new(settings).map_err(|error| error.to_string())?;
    let mut interruption = Interruption::catch()?;
    announce(&serve, &root, endpoint.local_addr());

    let (stop, stopping) = watch::channel(());
    let server = Arc::new(Server { root, json: serve.common.json, stopping });
    let mut conversations = JoinSet::new();
    tokio::select! {
        () = accept(&server, &endpoint, &mut conversations, serve.once) => {}
        () = interruption.wait() => {}
    }
    // Each connection is closed in the words of its protocol.
    drop(stop);
    let closed = async { while conversations.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(CLOSE_PATIENCE, closed).await;
    endpoint.close(hq::code::NO_ERROR, b"");
    let _ = tokio::time::timeout(CLOSE_PATIENCE, endpoint.wait_idle()).await;
    Ok(())
}

fn canonical_root(root: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot serve {}: {error}", root.display());
    let canonical = root.canonicalize().map_err(|error| failed(&error))?;
    if !canonical.is_dir() {
        return Err(failed(&"it is not a folder; name the folder that holds the files"));
    }
    // Fails now where it would fail for every request.
    canonical.read_dir().map_err(|error| failed(&error))?;
    Ok(canonical)
}

fn identity(serve: &Serve) -> Result<Identity, Failure> {
    let identity = match (&serve.cert, &serve.key) {
        (Some(certificate), Some(key)) => Identity::from_files(certificate, key),
        _ => Identity::self_signed(&SELF_SIGNED_FOR),
    };
    let identity = identity.map_err(|error| error.to_string())?;
    if let Some(path) = &serve.write_cert {
        std::fs::write(path, identity.certificate_pem())
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(identity)
}

fn announce(serve: &Serve, root: &Path, address: SocketAddr) {
    let engine = serve.common.engine();
    if serve.common.json {
        let module_sha256 = if engine == Engine::Wasm { Engine::module_sha256() } else { None };
        let line = Line::Listening { address: address.to_string(), engine: engine.to_string(), module_sha256 };
        return report::print_json(&line);
    }
    let certificate = match (&serve.cert, &serve.write_cert) {
        (Some(path), None) => format!("certificate {}", path.display()),
        (None, None) => "self-signed certificate".to_owned(),
        (_, Some(path)) => format!("certificate for clients in {}", path.display()),
    };
    println!("listening on {address} (engine {engine}, serving {}, {certificate})", root.display());
}

struct Server {
    root: PathBuf,
    json: bool,
    /// Closed when the command is to end.
    stopping: watch::Receiver<()>,
}

/// Accepts until the endpoint closes, or `once` connections are over.
async fn accept(server: &Arc<Server>, endpoint: &Endpoint, conversations: &mut JoinSet<()>, once: Option<u64>) {
    let mut left = once.unwrap_or(u64::MAX);
    while left > 0 {
        tokio::select! {
            connection = endpoint.accept() => match connection {
                Some(connection) => {
                    conversations.spawn(Arc::clone(server).converse(connection));
                }
                None => return,
            },
            Some(_) = conversations.join_next() => left -= 1,
        }
    }
}

impl Server {
    /// Serves a connection until it ends, in the protocol that was agreed on.
    async fn converse(self: Arc<Self>, connection: Connection) {
        let transport = Transport::of(&connection);
        let mut requests = JoinSet::new();
        let mut stopping = self.stopping.clone();
        let serve = async {
            match connection.alpn().as_deref() {
                Some(alpn) if alpn == http3::ALPN.as_bytes() => self.serve_http3(&connection, &mut requests).await,
                Some(alpn) if alpn == hq::ALPN.as_bytes() => self.serve_hq(&connection, &mut requests).await,
                _ => tolerate_all(&connection, &mut requests).await,
            }
        };
        tokio::select! {
            () = serve => {}
            // The sender is gone.
            _ = stopping.changed() => connection.close(protocol::no_error(&connection), b""),
        }
        // The requests learn of the end too, and have their say first.
        while requests.join_next().await.is_some() {}
        let end = connection.closed().await;
        self.tell_closed(&connection, &end, transport);
    }

    async fn serve_http3(self: &Arc<Self>, connection: &Connection, requests: &mut JoinSet<()>) {
        let Ok(mut http3) = http3::Server::new(connection.clone()).await else { return };
        loop {
            tokio::select! {
                request = http3.accept() => match request {
                    Ok(Some(request)) => {
                        let (server, remote) = (Arc::clone(self), connection.remote_addr());
                        requests.spawn(async move { server.tell_served(remote, request.serve(&server.root).await) });
                    }
                    // The connection has ended, or ends now: the client wants nothing more.
                    Ok(None) | Err(_) => return,
                },
                Some(_) = requests.join_next() => {}
            }
        }
    }

    async fn serve_hq(self: &Arc<Self>, connection: &Connection, requests: &mut JoinSet<()>) {
        loop {
            tokio::select! {
                stream = connection.accept_bi() => match stream {
                    Ok((send, receive)) => {
                        let (server, remote) = (Arc::clone(self), connection.remote_addr());
                        requests.spawn(async move {
                            server.tell_served(remote, hq::serve(&server.root, send, receive).await);
                        });
                    }
                    Err(_) => return,
                },
                stream = connection.accept_uni() => match stream {
                    Ok(receive) => {
                        requests.spawn(tolerate(receive, None));
                    }
                    Err(_) => return,
                },
                Some(_) = requests.join_next() => {}
            }
        }
    }

    fn tell_served(&self, remote: SocketAddr, served: Served) {
        let Served { path, bytes, failure } = served;
        let error = failure.map(|failure| failure.to_string());
        if self.json {
            return report::print_json(&Line::Request { remote: remote.to_string(), path, bytes, error });
        }
        match error {
            None => println!("{remote} {path:?}: {bytes} bytes"),
            Some(error) => println!("{remote} {path:?}: {error}"),
        }
    }

    fn tell_closed(&self, connection: &Connection, end: &ConnectionError, transport: Transport) {
        let (remote, stats) = (connection.remote_addr(), connection.stats());
        if self.json {
            report::print_json(&Line::Closed {
                remote: remote.to_string(),
                reason: end.to_string(),
                bytes_sent: stats.bytes_sent,
                packets_sent: stats.packets_sent,
                packets_lost: stats.packets_lost,
                rtt_ms: millis(stats.smoothed_rtt),
                module_datagrams: connection.module_datagrams(),
                transport,
            });
        } else {
            println!(
                "{remote} closed ({end}): RTT {:.3} ms, {} of {} packets lost",
                millis(stats.smoothed_rtt),
                stats.packets_lost,
                stats.packets_sent
            );
        }
    }
}

/// Keeps a connection of a protocol that is not spoken here.
async fn tolerate_all(connection: &Connection, requests: &mut JoinSet<()>) {
    loop {
        tokio::select! {
            stream = connection.accept_bi() => match stream {
                Ok((send, receive)) => {
                    requests.spawn(tolerate(receive, Some(send)));
                }
                Err(_) => return,
            },
            stream = connection.accept_uni() => match stream {
                Ok(receive) => {
                    requests.spawn(tolerate(receive, None));
                }
                Err(_) => return,
            },
            Some(_) = requests.join_next() => {}
        }
    }
}

/// Reads a stream of a protocol that is not spoken here to its end, and answers nothing.
async fn tolerate(mut receive: quillon_host::RecvStream, send: Option<quillon_host::SendStream>) {
    let mut sink = [0; 4096];
    while let Ok(1..) = receive.read(&mut sink).await {}
    drop(send);
}
