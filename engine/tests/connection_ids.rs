//! Connection IDs and the datagrams that they route (RFC 9000 section 5).

mod pair;

use pair::{MILLISECOND, Pair};
use quillon::{Dir, EndpointConfig, Event};

#[test]
fn many_connections_share_an_endpoint() {
    let mut pair = Pair::default();
    let clients: Vec<_> = (0..50).map(|_| pair.connect()).collect();
    pair.run_for(900 * MILLISECOND);
    for (n, client) in clients.iter().enumerate() {
        let connection = pair.client.connection(*client);
        assert!(connection.is_handshake_confirmed());
        let id = connection.open(Dir::Uni).unwrap();
        connection.write(id, &[n as u8; 2000]).unwrap();
        connection.finish(id).unwrap();
    }
    pair.settle();
    let mut seen = Vec::new();
    while let Some((handle, id)) =
        pair.server.take(|event| if let Event::StreamReadable { id } = event { Some(*id) } else { None })
    {
        let mut buffer = [0; 4096];
        let read = pair.server.connection(handle).read(id, &mut buffer).unwrap();
        assert!(read.finished && buffer[..read.len].iter().all(|byte| *byte == buffer[0]));
        seen.push(buffer[0]);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<u8>>());
}

#[test]
fn ids_of_every_allowed_length_work() {
    for connection_id_len in [0, 4, 8, 20, 100] {
        let config = EndpointConfig { connection_id_len, ..EndpointConfig::default() };
        let mut pair = Pair::new(config, Default::default());
        pair.connected();
    }
}

#[test]
fn a_handle_of_a_connection_that_is_gone_is_void() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    let now = pair.now;
    pair.client.connection(client).close(now, 0, b"");
    pair.settle();
    assert!(pair.client.endpoint.connection(client).is_none());
    let again = pair.connect();
    assert_ne!(again, client, "the place is used again, the handle is not");
    assert!(pair.client.endpoint.connection_mut(client).is_none());
    assert!(pair.client.endpoint.connection(quillon::ConnectionHandle::from_raw(0)).is_none());
}
