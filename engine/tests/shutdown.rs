//! The graceful end of a connection: no new streams, those that are open finish, then the close.

mod pair;

use pair::Pair;
use quillon::stream::OpenError;
use quillon::{Dir, EndpointConfig, Event, TransportSettings};

#[test]
fn a_shutdown_lets_open_streams_finish() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let id = pair.client.connection(client).open(Dir::Bidi).unwrap();
    pair.client.connection(client).write(id, b"question").unwrap();
    pair.client.connection(client).finish(id).unwrap();
    pair.client.connection(client).shutdown();
    assert_eq!(pair.client.connection(client).open(Dir::Bidi), Err(OpenError::ShutDown));
    assert_eq!(pair.client.connection(client).open(Dir::Uni), Err(OpenError::ShutDown));
    pair.settle();
    assert_eq!(pair.client.saw(&Event::StreamsFinished), None, "the answer is missing");
    let mut buffer = [0; 100];
    assert_eq!(pair.server.connection(server).read(id, &mut buffer).unwrap().len, 8);
    pair.server.connection(server).write(id, b"answer").unwrap();
    pair.server.connection(server).finish(id).unwrap();
    pair.settle();
    assert_eq!(pair.client.saw(&Event::StreamsFinished), None, "the answer is not read");
    assert!(pair.client.connection(client).read(id, &mut buffer).unwrap().finished);
    pair.settle();
    assert!(pair.client.saw(&Event::StreamsFinished).is_some());
    pair.client.connection(client).shutdown();
    pair.settle();
    assert_eq!(pair.client.saw(&Event::StreamsFinished), None, "it is told once");
    assert_eq!((pair.client.closed(), pair.server.closed()), (None, None));
}

#[test]
fn the_peer_opens_no_more_streams_than_it_was_allowed_before() {
    let two = TransportSettings { initial_max_streams_uni: 2, ..TransportSettings::default() };
    let mut pair = Pair::new(EndpointConfig::default(), two);
    let (client, server) = pair.connected();
    pair.server.connection(server).shutdown();
    pair.settle();
    assert!(pair.server.saw(&Event::StreamsFinished).is_some(), "none was open");
    for _ in 0..2 {
        let id = pair.client.connection(client).open(Dir::Uni).unwrap();
        pair.client.connection(client).write(id, b"late").unwrap();
        pair.client.connection(client).finish(id).unwrap();
        pair.settle();
        assert!(pair.server.connection(server).read(id, &mut [0; 10]).unwrap().finished);
        pair.settle();
        assert!(pair.server.saw(&Event::StreamsFinished).is_some(), "again, after each");
    }
    assert_eq!(pair.client.connection(client).open(Dir::Uni), Err(OpenError::Blocked(Dir::Uni)));
    pair.settle();
    assert_eq!(pair.client.saw(&Event::StreamsAvailable { dir: Dir::Uni }), None);
}

#[test]
fn a_shutdown_of_a_closed_connection_does_nothing() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    let now = pair.now;
    pair.client.connection(client).close(now, 0, b"");
    pair.client.connection(client).shutdown();
    assert_eq!(pair.client.connection(client).open(Dir::Uni), Err(OpenError::Closed));
    pair.settle();
    assert_eq!(pair.client.saw(&Event::StreamsFinished), None);
}
