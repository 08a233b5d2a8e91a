//! Sends a line to `echo_server` and prints what comes back:
//!
//! ```sh
//! cargo run --package quillon --example echo_client -- 127.0.0.1:4433 echo.der hello
//! ```
use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quillon::tls::rustls::RustlsClient;
use quillon::{ClientConfig, Dir, Ecn, Endpoint, EndpointConfig, Event, FourTuple, Transmit};

fn main() -> Result<(), Box<dyn Error>> {
    let [server, certificate, line] = match std::env::args().skip(1).collect::<Vec<_>>().try_into() {
        Ok(arguments) => arguments,
        Err(_) => return Err("usage: echo_client ADDRESS CERTIFICATE LINE".into()),
    };
    let remote: SocketAddr = server.parse()?;
    let tls = RustlsClient::builder().alpn(["echo"]).roots([std::fs::read(certificate)?]).build()?;
    let config = ClientConfig::new(Arc::new(tls));

    let socket = UdpSocket::bind(if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    let path = FourTuple { local: socket.local_addr()?, remote };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let mut endpoint = Endpoint::new(EndpointConfig::default(), seed);
    endpoint.set_unix_time(SystemTime::now().duration_since(UNIX_EPOCH)?);
    let start = Instant::now();
    endpoint.connect(0, &config, "localhost", path)?;

    let mut buffer = vec![0; 65_535];
    let mut answer = Vec::new();
    loop {
        let now = start.elapsed().as_nanos() as u64;
        endpoint.handle_timeout(now);
        while let Some((handle, event)) = endpoint.poll_event() {
            let Some(connection) = endpoint.connection_mut(handle) else { continue };
            match event {
                Event::HandshakeComplete => {
                    let id = connection.open(Dir::Bidi)?;
                    // A line is short: the send buffer takes all of it. A longer text waits for StreamWritable.
                    connection.write(id, line.as_bytes())?;
                    connection.finish(id)?;
                }
                Event::StreamReadable { id } => {
                    while let Ok(read) = connection.read(id, &mut buffer) {
                        answer.extend_from_slice(&buffer[..read.len]);
                        if read.finished {
                            println!("{}", String::from_utf8_lossy(&answer));
                            connection.close(now, 0, b"done");
                            break;
                        }
                    }
                }
                Event::Closed(quillon::ConnectionError::Application { by_peer: false, .. }) => {}
                Event::Closed(error) => return Err(error.into()),
                _ => {}
            }
        }
        while let Transmit::Send(batch) = endpoint.transmit(now, &mut buffer) {
            for datagram in buffer[..batch.len].chunks(batch.segment_size) {
                socket.send_to(datagram, batch.path.remote)?;
            }
        }
        // Drained: our close was sent, and whoever missed it had the time to ask again.
        let Some(deadline) = endpoint.timeout() else { return Ok(()) };
        let wait = Duration::from_nanos(deadline.saturating_sub(start.elapsed().as_nanos() as u64));
        socket.set_read_timeout(Some(wait.max(Duration::from_micros(1))))?;
        match socket.recv_from(&mut buffer) {
            Ok((len, _)) => endpoint.receive(start.elapsed().as_nanos() as u64, path, Ecn::NotEct, &mut buffer[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
