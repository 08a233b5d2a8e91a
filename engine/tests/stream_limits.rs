//! How many streams there may be (RFC 9000 section 4.6), through whole connections.

mod pair;

use pair::{MILLISECOND, Pair, client_config};
use quillon::{Dir, EndpointConfig, Event, TransportSettings};

#[test]
fn closed_streams_make_room_for_others() {
    let ten = TransportSettings { initial_max_streams_uni: 10, ..TransportSettings::default() };
    let mut pair = Pair::new(EndpointConfig::default(), ten);
    let (client, server) = pair.connected();
    let (mut opened, mut read) = (0, 0);
    for _ in 0..60 {
        while opened < 100
            && let Ok(id) = pair.client.connection(client).open(Dir::Uni)
        {
            pair.client.connection(client).write(id, b"short").unwrap();
            pair.client.connection(client).finish(id).unwrap();
            opened += 1;
        }
        pair.run_for(10 * MILLISECOND);
        while let Some((_, id)) =
            pair.server.take(|event| if let Event::StreamReadable { id } = event { Some(*id) } else { None })
        {
            let read_now = pair.server.connection(server).read(id, &mut [0; 16]).unwrap();
            assert!(read_now.finished);
            read += 1;
        }
    }
    assert_eq!((opened, read), (100, 100));
}

/// The last event of a stream frees it, and the peer may open another: that has to be sent without another cause.
#[test]
fn credit_that_an_event_frees_is_sent() {
    let one = TransportSettings { initial_max_streams_bidi: 1, ..TransportSettings::default() };
    let mut pair = Pair::new(EndpointConfig::default(), one);
    let client = pair.connect_with(&client_config(TransportSettings::default()), "localhost");
    pair.settle();
    for n in 0..20 {
        let id = pair.client.connection(client).open(Dir::Bidi).unwrap_or_else(|error| panic!("{n}: {error}"));
        pair.client.connection(client).finish(id).unwrap();
        pair.run_for(100 * MILLISECOND);
        let (server, _) = pair.server.take(|event| (*event == Event::StreamOpened { id }).then_some(())).unwrap();
        assert!(pair.server.connection(server).read(id, &mut [0; 16]).unwrap().finished);
        pair.server.connection(server).finish(id).unwrap();
        pair.run_for(100 * MILLISECOND);
        assert!(pair.client.connection(client).read(id, &mut [0; 16]).unwrap().finished);
        pair.run_for(100 * MILLISECOND);
    }
}
