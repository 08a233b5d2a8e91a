//! TLS outside the engine: rustls is run here, by hand, at both ends of a connection in memory. Any TLS 1.3 that gives its
//! traffic secrets and takes handshake bytes per level can stand in its place.
//!
//! ```sh
//! cargo run --package quillon --example own_tls
//! ```
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use quillon::crypto::{CipherSuite, Secret};
use quillon::tls::external::{Agreement, Direction, ExternalTls};
use quillon::wire::Level;
use quillon::{
    ClientConfig, Connection, ConnectionHandle, Dir, Ecn, Endpoint, EndpointConfig, Event, FourTuple, ServerConfig,
    Side, Time, Transmit,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::quic::{self, KeyChange};

/// The traffic secrets that rustls tells its key log, by label.
#[derive(Debug, Default)]
struct Secrets(Mutex<Vec<(String, Vec<u8>)>>);

impl rustls::KeyLog for Secrets {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        self.0.lock().unwrap().push((label.to_owned(), secret.to_vec()));
    }
}

/// One handshake outside the engine.
struct Handshake {
    side: Side,
    tls: quic::Connection,
    secrets: Arc<Secrets>,
    write_level: Level,
    told_parameters: bool,
    complete: bool,
}

impl Handshake {
    fn new(side: Side, tls: quic::Connection, secrets: Arc<Secrets>) -> Self {
        let write_level = Level::Initial;
        Self { side, tls, secrets, write_level, told_parameters: side == Side::Server, complete: false }
    }

    /// Passes what the peer sent to TLS, and what TLS makes of it to the connection.
    fn drive(&mut self, connection: &mut Connection, now: Time) -> Result<(), Box<dyn Error>> {
        while let Some((_level, data)) = connection.take_crypto() {
            if let Err(error) = self.tls.read_hs(&data) {
                let alert = self.tls.alert().map_or(80, u8::from);
                connection.fail_tls(now, alert, &error.to_string())?;
                return Ok(());
            }
            self.flush(connection, now)?;
        }
        Ok(())
    }

    fn flush(&mut self, connection: &mut Connection, now: Time) -> Result<(), Box<dyn Error>> {
        if let Some(parameters) = self.tls.quic_transport_parameters().filter(|_| !self.told_parameters) {
            self.told_parameters = true;
            connection.set_peer_transport_parameters(now, parameters)?;
        }
        loop {
            let mut data = Vec::new();
            let change = self.tls.write_hs(&mut data);
            if data.is_empty() && change.is_none() {
                break;
            }
            if !data.is_empty() {
                connection.submit_crypto(now, self.write_level, &data)?;
            }
            let level = match change {
                Some(KeyChange::Handshake { .. }) => Level::Handshake,
                Some(KeyChange::OneRtt { .. }) => Level::OneRtt,
                None => continue,
            };
            self.write_level = level;
            self.install(connection, now, level)?;
        }
        if !self.complete && !self.tls.is_handshaking() {
            self.complete = true;
            let alpn = self.tls.alpn_protocol().map(<[u8]>::to_vec);
            let chain = self.tls.peer_certificates().unwrap_or_default();
            let peer_certificates = chain.iter().map(|certificate| certificate.to_vec()).collect();
            connection.complete_tls(now, Agreement { alpn, peer_certificates })?;
        }
        Ok(())
    }

    fn install(&self, connection: &mut Connection, now: Time, level: Level) -> Result<(), Box<dyn Error>> {
        let suite = self.tls.negotiated_cipher_suite().ok_or("no cipher suite")?;
        let suite = CipherSuite::from_iana(suite.suite().into()).ok_or("a cipher suite that QUIC does not have")?;
        for (sender, name) in [(Side::Client, "CLIENT"), (Side::Server, "SERVER")] {
            let label = match level {
                Level::Handshake => format!("{name}_HANDSHAKE_TRAFFIC_SECRET"),
                _ => format!("{name}_TRAFFIC_SECRET_0"),
            };
            let secrets = self.secrets.0.lock().unwrap();
            let secret = secrets.iter().find(|(logged, _)| *logged == label).ok_or("no secret")?;
            let secret = Secret::new(&secret.1).ok_or("a secret that is too long")?;
            let direction = if sender == self.side { Direction::Write } else { Direction::Read };
            connection.install_secret(now, level, direction, suite, secret)?;
        }
        Ok(())
    }
}

/// A client's rustls, once the connection tells the transport parameters that the ClientHello carries.
fn client(connection: &mut Connection, root: &[u8]) -> Result<Handshake, Box<dyn Error>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(root.to_vec()))?;
    let mut config = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_root_certificates(roots)
        .with_no_client_auth();
    let secrets = Arc::new(Secrets::default());
    (config.alpn_protocols, config.key_log) = (vec![b"own".to_vec()], secrets.clone());
    let parameters = connection.local_transport_parameters().ok_or("no session outside")?.to_vec();
    let name = ServerName::try_from("localhost")?;
    let tls = quic::ClientConnection::new(Arc::new(config), quic::Version::V1, name, parameters)?;
    Ok(Handshake::new(Side::Client, quic::Connection::Client(tls), secrets))
}

/// A server's rustls, once there is a ClientHello to read.
fn server(connection: &mut Connection, chain: &[u8], key: &[u8]) -> Result<Handshake, Box<dyn Error>> {
    let mut config = rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(chain.to_vec())], PrivateKeyDer::try_from(key.to_vec())?)?;
    let secrets = Arc::new(Secrets::default());
    (config.alpn_protocols, config.key_log) = (vec![b"own".to_vec()], secrets.clone());
    let parameters = connection.local_transport_parameters().ok_or("no session outside")?.to_vec();
    let tls = quic::ServerConnection::new(Arc::new(config), quic::Version::V1, parameters)?;
    Ok(Handshake::new(Side::Server, quic::Connection::Server(tls), secrets))
}

/// One end: its endpoint, its one connection, and that one's TLS.
struct End {
    endpoint: Endpoint,
    path: FourTuple,
    tls: Option<Handshake>,
    handle: Option<ConnectionHandle>,
    received: Vec<u8>,
}

impl End {
    fn new(seed: u8, local: SocketAddr, remote: SocketAddr) -> Self {
        let endpoint = Endpoint::new(EndpointConfig::default(), [seed; 32]);
        Self { endpoint, path: FourTuple { local, remote }, tls: None, handle: None, received: Vec::new() }
    }

    /// Does what events ask for, and gives the datagrams to send.
    fn turn(&mut self, now: Time, chain: &[u8], key: &[u8]) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        self.endpoint.handle_timeout(now);
        while let Some((handle, event)) = self.endpoint.poll_event() {
            self.handle = Some(handle);
            let Some(connection) = self.endpoint.connection_mut(handle) else { continue };
            match event {
                Event::CryptoReceived => {
                    if self.tls.is_none() {
                        self.tls = Some(server(connection, chain, key)?);
                    }
                    if let Some(tls) = &mut self.tls {
                        tls.drive(connection, now)?;
                    }
                }
                Event::StreamReadable { id } => {
                    let mut data = [0; 64];
                    while let Ok(read) = connection.read(id, &mut data) {
                        self.received.extend_from_slice(&data[..read.len]);
                        if read.finished {
                            break;
                        }
                    }
                }
                Event::Closed(error) => return Err(error.into()),
                _ => {}
            }
        }
        let mut buffer = vec![0; 65_535];
        let mut datagrams = Vec::new();
        while let Transmit::Send(batch) = self.endpoint.transmit(now, &mut buffer) {
            datagrams.extend(buffer[..batch.len].chunks(batch.segment_size).map(<[u8]>::to_vec));
        }
        Ok(datagrams)
    }

    fn receive(&mut self, now: Time, datagrams: Vec<Vec<u8>>) {
        for mut datagram in datagrams {
            self.endpoint.receive(now, self.path, Ecn::NotEct, &mut datagram);
        }
    }
}

/// A handshake and a few words, by TLS outside the engine at both ends: what the server received, and the protocol that
/// both agreed on.
pub(crate) fn run(root: &[u8], chain: &[u8], key: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Box<dyn Error>> {
    let addresses: [SocketAddr; 2] = ["192.0.2.1:1000".parse()?, "192.0.2.2:2000".parse()?];
    let mut one = End::new(1, addresses[0], addresses[1]);
    let mut two = End::new(2, addresses[1], addresses[0]);
    two.endpoint.set_server(Some(Arc::new(ServerConfig::new(Arc::new(ExternalTls)))))?;

    let config = ClientConfig::new(Arc::new(ExternalTls));
    let handle = one.endpoint.connect(0, &config, "localhost", one.path)?;
    let connection = one.endpoint.connection_mut(handle).ok_or("no connection")?;
    let mut tls = client(connection, root)?;
    tls.flush(connection, 0)?;
    one.tls = Some(tls);

    let mut sent = false;
    for now in (0..).step_by(1_000_000).take(1_000) {
        let datagrams = one.turn(now, chain, key)?;
        two.receive(now, datagrams);
        let datagrams = two.turn(now, chain, key)?;
        one.receive(now, datagrams);
        let connection = one.endpoint.connection_mut(handle).ok_or("no connection")?;
        if connection.is_handshake_confirmed() && !sent {
            sent = true;
            let id = connection.open(Dir::Uni)?;
            connection.write(id, b"TLS of our own")?;
            connection.finish(id)?;
        }
        if !two.received.is_empty() {
            let alpn = connection.alpn().unwrap_or_default().to_vec();
            return Ok((two.received, alpn));
        }
    }
    Err("nothing arrived".into())
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = include_bytes!("../tests/data/ca.der");
    let chain = include_bytes!("../tests/data/localhost.der");
    let key = include_bytes!("../tests/data/localhost.key.der");
    let (received, alpn) = run(root, chain, key)?;
    println!("{} over {}", String::from_utf8_lossy(&received), String::from_utf8_lossy(&alpn));
    Ok(())
}
