//! Sends back what clients send, stream by stream, over UDP. It makes a certificate on the spot, for the client:
//!
//! ```sh
//! cargo run --package quillon --example echo_server -- 127.0.0.1:4433 echo.der
//! ```
use std::error::Error;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quillon::tls::rustls::RustlsServer;
use quillon::{Connection, Ecn, Endpoint, EndpointConfig, Event, FourTuple, ServerConfig, StreamId, Transmit};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(certificate)) = (arguments.next(), arguments.next()) else {
        return Err("usage: echo_server ADDRESS CERTIFICATE-TO-WRITE".into());
    };
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(certificate, identity.cert.der())?;
    let tls = RustlsServer::builder([identity.cert.der().to_vec()], &identity.signing_key.serialize_der());
    let config = ServerConfig::new(Arc::new(tls.alpn(["echo"]).build()?));

    let socket = UdpSocket::bind(address)?;
    let local = socket.local_addr()?;
    println!("listening on {local}");
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let mut endpoint = Endpoint::new(EndpointConfig::default(), seed);
    endpoint.set_unix_time(SystemTime::now().duration_since(UNIX_EPOCH)?);
    endpoint.set_server(Some(Arc::new(config)))?;

    // The engine has no clock: time is nanoseconds from any origin.
    let start = Instant::now();
    let mut buffer = vec![0; 65_535];
    loop {
        let now = start.elapsed().as_nanos() as u64;
        endpoint.handle_timeout(now);
        while let Some((handle, event)) = endpoint.poll_event() {
            let Some(connection) = endpoint.connection_mut(handle) else { continue };
            match event {
                Event::StreamReadable { id } | Event::StreamWritable { id } => echo(connection, id),
                Event::Closed(error) => println!("{}: {error}", connection.path().remote),
                _ => {}
            }
        }
        while let Transmit::Send(batch) = endpoint.transmit(now, &mut buffer) {
            for datagram in buffer[..batch.len].chunks(batch.segment_size) {
                socket.send_to(datagram, batch.path.remote)?;
            }
        }
        let deadline = endpoint.timeout().map_or(Duration::from_secs(3600), |at| {
            Duration::from_nanos(at.saturating_sub(start.elapsed().as_nanos() as u64)).max(Duration::from_micros(1))
        });
        socket.set_read_timeout(Some(deadline))?;
        match socket.recv_from(&mut buffer) {
            Ok((len, remote)) => {
                let now = start.elapsed().as_nanos() as u64;
                endpoint.receive(now, FourTuple { local, remote }, Ecn::NotEct, &mut buffer[..len]);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes back what can be read. What cannot be written stays unread, and holds its sender back.
fn echo(connection: &mut Connection, id: StreamId) {
    while let Ok(peek) = connection.peek(id) {
        let (data, finished) = (peek.data.to_vec(), peek.finished);
        if finished {
            let _ = connection.finish(id);
            return;
        }
        let Ok(written) = connection.write(id, &data) else { return };
        let _ = connection.consume(id, written);
    }
}
