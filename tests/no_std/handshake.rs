//! Two connections where there is no standard library: a handshake through the seam for TLS outside the engine, and a
//! stream there and back.
//!
//! `cargo xtask no-std` builds this for `wasm32v1-none`, bare and with ring, and runs [`handshake`] in an interpreter.
#![no_std]

extern crate alloc;

#[path = "../../engine/tests/toy_tls/mod.rs"]
mod toy_tls;

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use quillon::crypto::{self, Provider};
use quillon::tls::external::ExternalTls;
use quillon::wire::Side;
use quillon::{
    ClientConfig, Connection, ConnectionHandle, Dir, Ecn, Endpoint, EndpointConfig, Event, FourTuple, ServerConfig,
    Time, Transmit, TransportSettings,
};
use toy_tls::ToyTls;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

// ring alone would ask for randomness, and packet protection needs none.
#[cfg(feature = "ring")]
getrandom::register_custom_getrandom!(no_randomness);

#[cfg(feature = "ring")]
fn no_randomness(_: &mut [u8]) -> Result<(), getrandom::Error> {
    Err(getrandom::Error::UNSUPPORTED)
}

#[cfg(feature = "ring")]
fn provider() -> Arc<dyn Provider> {
    crypto::ring::provider()
}

#[cfg(not(feature = "ring"))]
fn provider() -> Arc<dyn Provider> {
    crypto::null::provider()
}

/// One end, whose TLS is a toy.
struct End {
    endpoint: Endpoint,
    path: FourTuple,
    tls: ToyTls,
    handle: Option<ConnectionHandle>,
    confirmed: bool,
}

impl End {
    fn new(side: Side, local: SocketAddr, remote: SocketAddr) -> Self {
        let endpoint = Endpoint::new(EndpointConfig::default(), [side as u8; 32]);
        Self { endpoint, path: FourTuple { local, remote }, tls: ToyTls::new(side), handle: None, confirmed: false }
    }

    fn connection(&mut self) -> Option<&mut Connection> {
        self.endpoint.connection_mut(self.handle?)
    }

    /// Handles what is due and what happened, and returns the datagrams to send.
    fn turn(&mut self, now: Time) -> Option<Vec<Vec<u8>>> {
        self.endpoint.handle_timeout(now);
        while let Some((handle, event)) = self.endpoint.poll_event() {
            self.handle = Some(handle);
            match event {
                Event::CryptoReceived => self.tls.drive(self.endpoint.connection_mut(handle)?, now).ok()?,
                Event::HandshakeConfirmed => self.confirmed = true,
                _ => {}
            }
        }
        let mut buffer = vec![0; 16 << 10];
        let mut datagrams = Vec::new();
        while let Transmit::Send(batch) = self.endpoint.transmit(now, &mut buffer) {
            datagrams.extend(buffer.get(..batch.len)?.chunks(batch.segment_size).map(<[u8]>::to_vec));
        }
        Some(datagrams)
    }

    fn receive(&mut self, now: Time, datagrams: Vec<Vec<u8>>) {
        for mut datagram in datagrams {
            self.endpoint.receive(now, self.path, Ecn::NotEct, &mut datagram);
        }
    }
}

/// Ten milliseconds of both ends, from `now` on.
fn run(client: &mut End, server: &mut End, now: &mut Time) -> Option<()> {
    for _ in 0..10 {
        server.receive(*now, client.turn(*now)?);
        client.receive(*now, server.turn(*now)?);
        *now += 1_000_000;
    }
    Some(())
}

/// The exported function: 0 if all went well, else the number of the step that failed.
#[unsafe(no_mangle)]
pub extern "C" fn handshake() -> i32 {
    match exchange() {
        Ok(()) => 0,
        Err(step) => step,
    }
}

fn exchange() -> Result<(), i32> {
    let address = |host, port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), port);
    let mut client = End::new(Side::Client, address(1, 1000), address(2, 2000));
    let mut server = End::new(Side::Server, address(2, 2000), address(1, 1000));
    let transport = TransportSettings::default();
    let (tls, crypto) = (Arc::new(ExternalTls), provider());
    let config = ServerConfig { tls, crypto, transport: transport.clone(), ask_on_client_hello: false };
    server.endpoint.set_server(Some(Arc::new(config))).map_err(|_| 1)?;
    let (tls, crypto) = (Arc::new(ExternalTls), provider());
    let config = ClientConfig { tls, crypto, transport, token: Vec::new(), session: None, early_data: false };
    client.handle = Some(client.endpoint.connect(0, &config, "localhost", client.path).map_err(|_| 2)?);
    let handle = client.handle.ok_or(3)?;
    let connection = client.endpoint.connection_mut(handle).ok_or(3)?;
    client.tls.start(connection, 0).map_err(|_| 4)?;

    let mut now = 0;
    run(&mut client, &mut server, &mut now).ok_or(5)?;
    if !(client.confirmed && server.confirmed) {
        return Err(6);
    }

    // More than one packet, so that acknowledgements and reassembly have their part.
    let sent: Vec<u8> = (0..5_000_u32).map(|n| n as u8).collect();
    let connection = client.connection().ok_or(7)?;
    let id = connection.open(Dir::Bidi).map_err(|_| 7)?;
    if connection.write(id, &sent).map_err(|_| 8)? != sent.len() {
        return Err(8);
    }
    connection.finish(id).map_err(|_| 9)?;
    run(&mut client, &mut server, &mut now).ok_or(10)?;
    let received = read(server.connection().ok_or(11)?, id).ok_or(11)?;
    let connection = server.connection().ok_or(12)?;
    connection.write(id, &received).map_err(|_| 12)?;
    connection.finish(id).map_err(|_| 12)?;
    run(&mut client, &mut server, &mut now).ok_or(13)?;
    let echo = read(client.connection().ok_or(14)?, id).ok_or(14)?;
    if echo == sent { Ok(()) } else { Err(15) }
}

/// Everything on a stream up to its end.
fn read(connection: &mut Connection, id: quillon::StreamId) -> Option<Vec<u8>> {
    let mut data = vec![0; 8_192];
    let mut len = 0;
    loop {
        let read = connection.read(id, data.get_mut(len..)?).ok()?;
        len += read.len;
        if read.finished {
            data.truncate(len);
            return Some(data);
        }
        if read.len == 0 {
            return None;
        }
    }
}
