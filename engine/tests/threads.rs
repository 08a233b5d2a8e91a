//! Endpoints on several threads: nothing is shared between them but configurations.

mod pair;

use std::sync::Arc;
use std::thread;

use pair::{Pair, SECOND, client_config, server_config};
use quillon::{Connection, Dir, Endpoint, EndpointConfig, Event, ServerConfig, TransportSettings};

const THREADS: usize = 8;
const CONNECTIONS: usize = 1_000;

/// R1: a connection and an endpoint may move to another thread, and a configuration be shared by all. R2, no call from
/// within a call, needs no test: there are no callbacks, and every command borrows its connection exclusively.
#[test]
fn r1_connections_move_between_threads() {
    const fn moves<T: Send>() {}
    const fn is_shared<T: Send + Sync>() {}
    const {
        moves::<Connection>();
        moves::<Endpoint>();
        moves::<Event>();
        is_shared::<quillon::ClientConfig>();
        is_shared::<ServerConfig>();
    }
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    // Half of a transfer on one thread, half on another.
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, b"over there").unwrap();
    let (now, path) = (pair.now, pair.server.path());
    let (client_end, server_end) = (pair.client.endpoint, pair.server.endpoint);
    let datagrams = thread::spawn(move || {
        let mut endpoint = client_end;
        let mut buffer = vec![0; 65_535];
        let quillon::Transmit::Send(batch) = endpoint.transmit(now, &mut buffer) else { panic!("the data waits") };
        buffer.truncate(batch.len);
        buffer
    })
    .join()
    .unwrap();
    let event = thread::spawn(move || {
        let (mut endpoint, mut datagram) = (server_end, datagrams);
        endpoint.receive(now, path, quillon::Ecn::NotEct, &mut datagram);
        std::iter::from_fn(|| endpoint.poll_event()).map(|(_, event)| event).collect::<Vec<_>>()
    })
    .join()
    .unwrap();
    assert!(event.contains(&Event::StreamReadable { id }), "{event:?}");
}

/// The number of datagrams and bytes that each end sent, and what the server read.
fn run(client: &quillon::ClientConfig, server: &Arc<ServerConfig>) -> [u64; 5] {
    let mut pair = Pair::new(EndpointConfig::default(), TransportSettings::default());
    pair.server.endpoint.set_server(Some(Arc::clone(server))).unwrap();
    let handles: Vec<_> = (0..CONNECTIONS).map(|_| pair.connect_with(client, "localhost")).collect();
    pair.run_for(SECOND);
    for handle in &handles {
        let connection = pair.client.connection(*handle);
        assert!(connection.is_handshake_confirmed());
        let id = connection.open(Dir::Uni).unwrap();
        connection.write(id, b"a word").unwrap();
        connection.finish(id).unwrap();
    }
    pair.run_for(SECOND);
    let mut read = 0;
    let mut buffer = [0; 100];
    while let Some((handle, id)) =
        pair.server.take(|event| if let Event::StreamReadable { id } = event { Some(*id) } else { None })
    {
        read += pair.server.connection(handle).read(id, &mut buffer).unwrap().len as u64;
    }
    let bytes = |sent: &[Vec<u8>]| sent.iter().map(|datagram| datagram.len() as u64).sum();
    let (up, down) = (&pair.client.sent, &pair.server.sent);
    [read, up.len() as u64, bytes(up), down.len() as u64, bytes(down)]
}

/// R1: threads with an endpoint each, and a thousand connections in it, do not disturb one another: every one of them
/// comes to the same result, to the byte.
#[test]
fn r1_eight_threads_with_a_thousand_connections_each() {
    let client = client_config(TransportSettings::default());
    let server = server_config(TransportSettings::default());
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| run(&client, &server))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results[0][0], 6 * CONNECTIONS as u64);
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
}
