//! `quillon serve`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quillon_host::{Connection, ConnectionError, Endpoint, EndpointConfig, Engine, Identity, ServerConfig, hq};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

use crate::Failure;
use crate::arguments::{Common, Serve};
use crate::report::{self, Line, millis};
use crate::signals::Interruption;

/// For whom a self-signed certificate is.
const SELF_SIGNED_FOR: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// How long the closes are repeated to peers that did not hear them.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) async fn run(serve: Serve) -> Result<(), Failure> {
    let root = canonical_root(&serve.root)?;
    let identity = identity(&serve)?;
    let mut config = ServerConfig::new(identity, [&serve.common.alpn]);
    config.transport = serve.common.transport();
    config.cipher_suites = serve.common.cipher_suites();

    let mut settings = EndpointConfig::new(serve.common.engine(), serve.listen);
    settings.server = Some(config);
    settings.key_log = Common::key_log()?;
    let endpoint = Endpoint::new(settings).map_err(|error| error.to_string())?;
    let mut interruption = Interruption::catch()?;
    announce(&serve, &root, endpoint.local_addr());

    let server = Server { root, speaks_hq: serve.common.speaks_hq(), json: serve.common.json };
    tokio::select! {
        () = accept(Arc::new(server), &endpoint, serve.once) => {}
        () = interruption.wait() => {}
    }
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
    speaks_hq: bool,
    json: bool,
}

/// Accepts until the endpoint closes, or `once` connections are over.
async fn accept(server: Arc<Server>, endpoint: &Endpoint, once: Option<u64>) {
    let mut connections = JoinSet::new();
    let mut left = once.unwrap_or(u64::MAX);
    while left > 0 {
        tokio::select! {
            connection = endpoint.accept() => match connection {
                Some(connection) => {
                    connections.spawn(Arc::clone(&server).converse(connection));
                }
                None => return,
            },
            Some(_) = connections.join_next() => left -= 1,
        }
    }
}

impl Server {
    /// Serves a connection until it ends.
    async fn converse(self: Arc<Self>, connection: Connection) {
        let mut requests = JoinSet::new();
        let end = loop {
            tokio::select! {
                stream = connection.accept_bi() => match stream {
                    Ok((send, receive)) => {
                        if self.speaks_hq {
                            let (server, remote) = (Arc::clone(&self), connection.remote_addr());
                            requests.spawn(async move {
                                let served = hq::serve(&server.root, send, receive).await;
                                server.tell_served(remote, served);
                            });
                        } else {
                            requests.spawn(tolerate(receive, Some(send)));
                        }
                    }
                    Err(end) => break end,
                },
                stream = connection.accept_uni() => match stream {
                    Ok(receive) => {
                        requests.spawn(tolerate(receive, None));
                    }
                    Err(end) => break end,
                },
                Some(_) = requests.join_next() => {}
            }
        };
        // The requests learn of the end too, and have their say first.
        while requests.join_next().await.is_some() {}
        self.tell_closed(&connection, &end);
    }

    fn tell_served(&self, remote: SocketAddr, served: hq::Served) {
        let hq::Served { path, bytes, failure } = served;
        let error = failure.map(|failure| failure.to_string());
        if self.json {
            return report::print_json(&Line::Request { remote: remote.to_string(), path, bytes, error });
        }
        match error {
            None => println!("{remote} {path:?}: {bytes} bytes"),
            Some(error) => println!("{remote} {path:?}: {error}"),
        }
    }

    fn tell_closed(&self, connection: &Connection, end: &ConnectionError) {
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

/// Reads a stream of a protocol that is not spoken here to its end, and answers nothing.
async fn tolerate(mut receive: quillon_host::RecvStream, send: Option<quillon_host::SendStream>) {
    let mut sink = [0; 4096];
    while let Ok(1..) = receive.read(&mut sink).await {}
    drop(send);
}
