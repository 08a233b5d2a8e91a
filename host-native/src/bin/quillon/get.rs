//! `quillon get`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quillon_host::{
    ClientConfig, ConnectError, Connection, ConnectionError, EarlyDataStatus, Endpoint, EndpointConfig,
    certificates_from_pem,
};

use crate::Failure;
use crate::arguments::{Common, Get, SPOKEN};
use crate::download::{Destination, Download};
use crate::protocol::{self, Client};
use crate::report::{self, FileSummary, PathSummary, Summary, Transport};
use crate::signals::Interruption;
use crate::transport;
use crate::url::Url;

/// Transfers that are over sooner show no progress.
const PROGRESS_AFTER: Duration = Duration::from_millis(500);

/// How long the close is repeated to a peer that did not hear it.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);

pub(crate) async fn run(get: Get) -> Result<(), Failure> {
    let destinations = destinations(&get)?;
    let config = config(&get)?;
    let mut interruption = Interruption::catch()?;
    tokio::select! {
        result = fetch_all(&get, &config, destinations) => result,
        () = interruption.wait() => Err("interrupted".to_owned()),
    }
}

/// Where each file goes; refuses what cannot work before anything is sent.
fn destinations(get: &Get) -> Result<Vec<Destination>, Failure> {
    if let Some(other) = get.urls.iter().find(|url| !url.same_server(&get.urls[0])) {
        return Err(format!("{other} is of another server than {}: fetch it in a second run", get.urls[0]));
    }
    if get.handshake_only {
        return Ok(Vec::new());
    }
    if !get.common.moves_files() {
        let protocols = get.common.alpn.join(",");
        return Err(format!("cannot fetch over {protocols}: use --alpn {}, or --handshake-only", SPOKEN.join(",")));
    }
    let output = get.output.as_deref();
    if get.common.json && output == Some(Path::new("-")) {
        return Err("standard output cannot take both the file and --json: name a file with --output".to_owned());
    }
    if get.urls.len() > 1 && output.is_some_and(|output| output != Path::new("-") && !output.is_dir()) {
        return Err("several files go into a folder: name one that exists with --output".to_owned());
    }
    let destinations: Vec<_> = get.urls.iter().map(|url| Destination::choose(output, url)).collect::<Result<_, _>>()?;
    for (index, destination) in destinations.iter().enumerate() {
        if *destination != Destination::Stdout && destinations[..index].contains(destination) {
            return Err(format!("two URLs would be written to one file: {destination:?}"));
        }
    }
    Ok(destinations)
}

fn config(get: &Get) -> Result<ClientConfig, Failure> {
    let mut config = ClientConfig::new(&get.common.alpn);
    config.transport = get.common.transport();
    config = config.handshake_timeout(get.timeout);
    config.cipher_suites = get.common.cipher_suites();
    config.verify_peer = !get.insecure;
    get.transport.apply(&mut config);
    if let Some(ca) = &get.ca {
        config.roots = certificates_from_pem(ca).map_err(|error| error.to_string())?;
    } else if !get.insecure {
        // What cannot be loaded is not trusted; the handshake's error says what to do.
        let system = rustls_native_certs::load_native_certs();
        config.roots = system.certs.into_iter().map(|certificate| certificate.to_vec()).collect();
    }
    Ok(config)
}

async fn fetch_all(get: &Get, config: &ClientConfig, destinations: Vec<Destination>) -> Result<(), Failure> {
    let (endpoint, mut connection) = connect(get, config).await?;
    let mut resumed = None;
    if get.transport.early_data {
        resumed = connection.alpn();
        connection = resume(get, config, &endpoint, connection).await?;
    }
    get.transport.prepare(&endpoint, &connection).await?;
    let started = Instant::now();
    let mut result = fetch_files(get, &connection, destinations.clone(), resumed).await;
    // RFC 9001 section 4.6.2: what the server did not take is asked for again.
    if result.is_err() && connection.early_data_status() == EarlyDataStatus::Rejected {
        connection.established().await.map_err(|error| error.to_string())?;
        result = fetch_files(get, &connection, destinations, None).await;
    }
    let elapsed = started.elapsed();
    connection.established().await.map_err(|error| error.to_string())?;
    let stats = connection.stats();
    let (transport, paths) = (Transport::of(&connection), PathSummary::of(&connection));
    if result.is_ok() {
        get.transport.keep_token(&connection).await?;
    }
    let alpn = connection.alpn();
    connection.close(protocol::no_error(&connection), b"");
    // The close is sent at once; its repetition is a courtesy.
    let _ = tokio::time::timeout(CLOSE_PATIENCE, endpoint.wait_idle()).await;

    let mut summary = Summary::new(get.common.engine(), &stats, result?, elapsed);
    summary.remote = connection.remote_addr().to_string();
    summary.alpn = alpn.map(|alpn| String::from_utf8_lossy(&alpn).into_owned());
    (summary.transport, summary.paths) = (transport, paths);
    summary.module_datagrams = endpoint.module_datagrams();
    if get.common.json {
        report::print_json(&summary);
    } else if get.output.as_deref() == Some(Path::new("-")) {
        eprintln!("{}", summary.line());
    } else {
        println!("{}", summary.line());
    }
    Ok(())
}

/// Connects again, as soon as the first connection has given a session, and ends that.
async fn resume(
    get: &Get,
    config: &ClientConfig,
    endpoint: &Endpoint,
    first: Connection,
) -> Result<Connection, Failure> {
    let session = Some(transport::Client::session(&first).await?);
    let token = first.take_token().unwrap_or_default();
    let address = first.remote_addr();
    first.close(protocol::no_error(&first), b"");
    let config = ClientConfig { session, token, ..config.clone() };
    let host = &get.urls[0].host;
    endpoint.connect_early(address, host, &config).await.map_err(|error| describe(&error, address, get))
}

/// Connects to the first address of the host that answers.
async fn connect(get: &Get, config: &ClientConfig) -> Result<(Endpoint, Connection), Failure> {
    let url = &get.urls[0];
    let addresses = match get.connect_to {
        Some(address) => vec![address],
        None => resolve(url).await?,
    };
    let mut failure = None;
    for address in addresses {
        let any = if address.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let mut settings = EndpointConfig::new(get.common.engine(), SocketAddr::new(any, 0));
        settings.key_log = Common::key_log()?;
        get.common.shared.apply_to_endpoint(&mut settings)?;
        let endpoint = Endpoint::new(settings).map_err(|error| error.to_string())?;
        match endpoint.connect(address, &url.host, config).await {
            Ok(connection) => return Ok((endpoint, connection)),
            Err(error) => {
                let is_last_word = !matches!(
                    error,
                    ConnectError::NoRoute(_)
                        | ConnectError::Connection(
                            ConnectionError::Unreachable(_)
                                | ConnectionError::Quic(quillon::ConnectionError::HandshakeTimeout)
                        )
                );
                failure = Some(describe(&error, address, get));
                if is_last_word {
                    break;
                }
            }
        }
    }
    Err(failure.unwrap_or_else(|| format!("{} has no address", url.host)))
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, Failure> {
    let unknown = |reason: &str| format!("cannot find the host {}: {reason}; check its name", url.host);
    let found = tokio::net::lookup_host((url.host.as_str(), url.port)).await;
    let addresses: Vec<_> = found.map_err(|error| unknown(&error.to_string()))?.collect();
    if addresses.is_empty() { Err(unknown("it has no address")) } else { Ok(addresses) }
}

/// A failed handshake, with what to do about it.
fn describe(error: &ConnectError, address: SocketAddr, get: &Get) -> Failure {
    match error {
        ConnectError::Connection(ConnectionError::Quic(quillon::ConnectionError::HandshakeTimeout)) => format!(
            "no answer from {address} within {} s: check the address, the port, and that UDP passes",
            get.timeout.as_secs_f64()
        ),
        ConnectError::Connection(ConnectionError::Quic(quillon::ConnectionError::Transport { code, .. })) => {
            let advice = match code.alert() {
                Some(NO_APPLICATION_PROTOCOL) => " (choose with --alpn)",
                Some(UNKNOWN_CA | DECRYPT_ERROR) => " (--ca FILE, or --insecure)",
                _ => "",
            };
            format!("cannot connect to {address}: {error}{advice}")
        }
        error => format!("cannot connect to {address}: {error}"),
    }
}

/// TLS alerts (RFC 8446 section 6).
const UNKNOWN_CA: u8 = 48;
const DECRYPT_ERROR: u8 = 51;
const NO_APPLICATION_PROTOCOL: u8 = 120;

/// Fetches every file, one after the other.
async fn fetch_files(
    get: &Get,
    connection: &Connection,
    destinations: Vec<Destination>,
    resumed: Option<Vec<u8>>,
) -> Result<Vec<FileSummary>, Failure> {
    if destinations.is_empty() {
        return Ok(Vec::new());
    }
    let mut client = Client::new(connection.clone(), resumed).await?;
    let mut files = Vec::with_capacity(destinations.len());
    for (url, destination) in get.urls.iter().zip(destinations) {
        let output = match &destination {
            Destination::Stdout => "-".to_owned(),
            Destination::File(path) => path.display().to_string(),
        };
        let bytes = fetch(&mut client, url, destination).await?;
        files.push(FileSummary { url: url.to_string(), output, bytes });
    }
    Ok(files)
}

async fn fetch(client: &mut Client, url: &Url, destination: Destination) -> Result<u64, Failure> {
    let mut download = Download::create(destination).await?;
    let failed = |reason: String| format!("cannot fetch {url}: {reason}");
    let mut body = client.get(url).await.map_err(failed)?;
    let progress = progress(body.len());
    let started = Instant::now();
    let mut bytes = 0;
    while let Some(chunk) = body.chunk().await.map_err(failed)? {
        bytes += chunk.len() as u64;
        download.write(&chunk).await?;
        if started.elapsed() > PROGRESS_AFTER {
            progress.set_position(bytes);
        }
    }
    progress.finish_and_clear();
    download.finish().await?;
    Ok(bytes)
}

/// A line that moves, on a terminal, with the file's length where the protocol tells it.
fn progress(len: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr_with_hz(10));
    let of_all = if len.is_some() { " of {total_bytes}, {eta} left" } else { "" };
    let style =
        ProgressStyle::with_template(&format!("{{spinner}} {{bytes}} {{binary_bytes_per_sec}} {{elapsed}}{of_all}"));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
