//! The caller decides about first Initials: accept, refuse, retry or ignore.

mod pair;

use std::sync::Arc;

use pair::{MILLISECOND, Pair, SECOND, client_config, server_config};
use proptest::prelude::*;
use quillon::error::TransportErrorCode;
use quillon::packet::{self, PacketType};
use quillon::tls::rustls::RustlsClient;
use quillon::wire::Version;
use quillon::{
    AcceptError, AddressValidation, Admission, ClientConfig, ConnectError, ConnectionError, Ecn, EndpointConfig, Event,
    Incoming, RateLimit, ReplyLimits, ServerConfig, Transmit, TransportSettings,
};

fn asking(config: EndpointConfig) -> Pair {
    Pair::new(EndpointConfig { admission: Admission::Ask, ..config }, TransportSettings::default())
}

fn pair() -> Pair {
    asking(EndpointConfig::default())
}

/// The question that the client's first Initial brings.
fn question(pair: &mut Pair) -> Incoming {
    pair.connect();
    pair.run_for(15 * MILLISECOND);
    pair.server.endpoint.poll_incoming().expect("a question")
}

fn refused_with(pair: &mut Pair) -> Option<TransportErrorCode> {
    match pair.client.closed()? {
        ConnectionError::Transport { code, by_peer: true, .. } => Some(code),
        other => panic!("{other:?}"),
    }
}

/// A client whose ClientHello takes two Initials: it names many protocols.
fn wordy_client() -> ClientConfig {
    let protocols: Vec<_> = (0..20).map(|n| vec![b'a' + n; 80]).chain([b"test".to_vec()]).collect();
    let tls = RustlsClient::builder()
        .alpn(protocols.iter().map(Vec::as_slice))
        .roots([include_bytes!("data/ca.der").as_slice()])
        .build()
        .unwrap();
    ClientConfig::new(Arc::new(tls))
}

/// The datagrams of the client's first flight.
fn first_flight(pair: &mut Pair, config: &ClientConfig) -> Vec<Vec<u8>> {
    pair.connect_with(config, "localhost");
    let mut buffer = vec![0; 65_535];
    let mut flight = Vec::new();
    while let Transmit::Send(batch) = pair.client.endpoint.transmit(pair.now, &mut buffer) {
        flight.push(buffer[..batch.len].to_vec());
    }
    flight
}

#[test]
fn a_client_waits_until_it_is_accepted() {
    let mut pair = pair();
    let incoming = question(&mut pair);
    let first = packet::parse_greased(&pair.client.sent[0], 8).unwrap();
    assert_eq!(incoming.path(), pair.server.path());
    assert_eq!(incoming.version(), Version::V1);
    assert_eq!(incoming.original_destination(), first.dcid);
    assert_eq!(incoming.address_validation(), AddressValidation::None);
    pair.run_for(5 * SECOND);
    assert!(pair.server.sent.is_empty() && pair.server.events.is_empty());
    assert!(pair.server.endpoint.poll_incoming().is_none(), "the client's repetitions ask nothing new");
    assert_eq!(pair.server.endpoint.connection_count(), 0);
    let server = pair.server.endpoint.accept(pair.now, incoming, None).unwrap();
    pair.settle();
    assert!(pair.client.saw(&Event::HandshakeConfirmed).is_some(), "{:?}", pair.client.events);
    assert_eq!(pair.server.events.front(), Some(&(server, Event::Accepted)));
    assert_eq!(pair.server.endpoint.connection_count(), 1);
}

#[test]
fn a_client_is_accepted_with_the_configuration_that_the_caller_chooses() {
    let mut pair = pair();
    let incoming = question(&mut pair);
    let one = TransportSettings { initial_max_streams_bidi: 1, ..TransportSettings::default() };
    pair.server.endpoint.accept(pair.now, incoming, Some(&server_config(one))).unwrap();
    pair.settle();
    let (client, ()) = pair.client.take(|event| (*event == Event::HandshakeConfirmed).then_some(())).unwrap();
    let connection = pair.client.connection(client);
    assert!(connection.open(quillon::Dir::Bidi).is_ok());
    assert!(connection.open(quillon::Dir::Bidi).is_err());
}

#[test]
fn a_refused_client_is_told() {
    let mut pair = pair();
    let incoming = question(&mut pair);
    pair.server.endpoint.refuse(pair.now, incoming);
    pair.settle();
    assert_eq!(refused_with(&mut pair), Some(TransportErrorCode::CONNECTION_REFUSED));
    assert_eq!(pair.server.endpoint.connection_count(), 0);
    assert_eq!(pair.server.sent.len(), 1);
    assert!(pair.server.sent[0].len() < 200);
    let layout = packet::parse_greased(&pair.server.sent[0], 8).unwrap();
    assert_eq!(layout.ty, PacketType::Initial);
}

/// E4: an ignored client hears nothing; when it sends its Initial again, that is another question.
#[test]
fn an_ignored_client_hears_nothing() {
    let mut pair = pair();
    let incoming = question(&mut pair);
    pair.server.endpoint.ignore(incoming);
    pair.run_for(2 * SECOND);
    assert!(pair.server.sent.is_empty());
    let again = pair.server.endpoint.poll_incoming().expect("the client tries again");
    pair.server.endpoint.accept(pair.now, again, None).unwrap();
    pair.settle();
    assert!(pair.client.saw(&Event::HandshakeConfirmed).is_some());
}

/// F8: a Retry, and then a question about a client whose address is validated; it cannot be asked to retry again.
#[test]
fn a_client_that_was_sent_a_retry_comes_back_validated() {
    let mut pair = pair();
    let incoming = question(&mut pair);
    let original = incoming.original_destination();
    pair.server.endpoint.retry(pair.now, incoming).unwrap();
    pair.run_for(35 * MILLISECOND);
    let incoming = pair.server.endpoint.poll_incoming().expect("the client comes back");
    assert_eq!(incoming.address_validation(), AddressValidation::Retry);
    assert_eq!(incoming.original_destination(), original);
    let refused = pair.server.endpoint.retry(pair.now, incoming).unwrap_err();
    pair.server.endpoint.accept(pair.now, refused.0, None).unwrap();
    pair.settle();
    assert!(pair.client.saw(&Event::HandshakeConfirmed).is_some(), "{:?}", pair.client.events);
    assert_eq!(pair.server.sent.iter().filter(|sent| sent[0] & 0xb0 == 0xb0).count(), 1);
}

#[test]
fn a_token_from_an_earlier_connection_shows_in_the_question() {
    let mut pair = Pair::default();
    pair.connected();
    let (_, token) = pair
        .client
        .take(|event| if let Event::NewToken { token } = event { Some(token.clone()) } else { None })
        .unwrap();
    pair.server.endpoint.set_admission(Admission::Ask);
    let config = ClientConfig { token, ..client_config(TransportSettings::default()) };
    for validation in [AddressValidation::NewToken, AddressValidation::None] {
        pair.connect_with(&config, "localhost");
        pair.run_for(15 * MILLISECOND);
        let incoming = pair.server.endpoint.poll_incoming().unwrap();
        assert_eq!(incoming.address_validation(), validation, "a token is good for one question");
        pair.server.endpoint.accept(pair.now, incoming, None).unwrap();
        pair.settle();
        assert!(pair.client.saw(&Event::HandshakeConfirmed).is_some());
    }
}

/// F6: what is not authentic is no question.
#[test]
fn a_damaged_initial_asks_nothing() {
    let mut pair = pair();
    pair.client.outbound_filter = Some(Box::new(|_, datagram| {
        datagram[900] ^= 1;
        true
    }));
    pair.connect();
    pair.settle();
    assert!(pair.server.endpoint.poll_incoming().is_none());
    assert_eq!((pair.server.sent.len(), pair.server.endpoint.memory_used()), (0, 0));
}

/// F7: CRYPTO that does not start at 0 is kept, automatically and while the caller decides.
/// The reference sends a Retry instead; RFC 9000 leaves the choice.
#[test]
fn a_first_flight_out_of_order_is_kept_together() {
    for admission in [Admission::Automatic, Admission::Ask] {
        let mut pair = pair();
        pair.server.endpoint.set_admission(admission);
        let flight = first_flight(&mut pair, &wordy_client());
        assert!(flight.len() >= 2, "the ClientHello takes several datagrams");
        for datagram in flight.into_iter().rev() {
            pair.server.inject(pair.now, datagram);
        }
        if admission == Admission::Ask {
            let incoming = pair.server.endpoint.poll_incoming().unwrap();
            assert!(pair.server.endpoint.poll_incoming().is_none(), "one question");
            pair.server.endpoint.accept(pair.now, incoming, None).unwrap();
        }
        assert_eq!(pair.server.endpoint.connection_count(), 1);
        // The server can answer without a repetition of the client's.
        pair.run_for(5 * MILLISECOND);
        assert!(pair.client.sent.is_empty());
        assert!(!pair.server.sent.is_empty());
        pair.settle();
        assert!(pair.client.saw(&Event::HandshakeConfirmed).is_some(), "{:?}", pair.client.events);
    }
}

/// F12: while a client waits, datagrams from elsewhere with its connection ID are not kept.
#[test]
fn datagrams_from_another_address_are_not_kept() {
    let mut pair = pair();
    let flight = first_flight(&mut pair, &wordy_client());
    pair.server.inject(pair.now, flight[0].clone());
    let memory = pair.server.endpoint.memory_used();
    let mut elsewhere = pair.server.path();
    elsewhere.remote.set_port(4_000);
    pair.server.endpoint.receive(pair.now, elsewhere, Ecn::NotEct, &mut flight[1].clone());
    assert_eq!(pair.server.endpoint.memory_used(), memory);
    pair.server.inject(pair.now, flight[1].clone());
    assert_eq!(pair.server.endpoint.memory_used(), memory + flight[1].len());
}

#[test]
fn questions_are_bounded_and_more_clients_are_refused() {
    let mut pair = asking(EndpointConfig { max_incoming: 2, ..EndpointConfig::default() });
    let incoming: Vec<_> = (0..2).map(|_| question(&mut pair)).collect();
    pair.connect();
    pair.settle();
    assert_eq!(refused_with(&mut pair), Some(TransportErrorCode::CONNECTION_REFUSED));
    assert!(pair.server.endpoint.poll_incoming().is_none());
    for incoming in incoming {
        pair.server.endpoint.ignore(incoming);
    }
    assert_eq!(pair.server.endpoint.memory_used(), 0);
}

/// Whatever a client sends while it waits, no more than 64 KiB and 16 datagrams of it are kept.
#[test]
fn what_waits_is_bounded() {
    let mut pair = pair();
    let flight = first_flight(&mut pair, &client_config(TransportSettings::default()));
    for _ in 0..1_000 {
        pair.server.inject(pair.now, flight[0].clone());
    }
    assert_eq!(pair.server.endpoint.memory_used(), 16 * flight[0].len());
    let incoming = pair.server.endpoint.poll_incoming().unwrap();
    let server = pair.server.endpoint.accept(pair.now, incoming, None).unwrap();
    assert_eq!(pair.server.connection(server).stats().packets_received, 1);
}

#[test]
fn an_answer_that_comes_too_late_is_an_error() {
    let mut pair = pair();
    let late = question(&mut pair);
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.run_for(11 * SECOND);
    assert_eq!(pair.server.endpoint.memory_used(), 0, "nothing is kept for ever");
    assert_eq!(pair.server.endpoint.timeout(), None);
    assert_eq!(pair.server.endpoint.accept(pair.now, late, None), Err(AcceptError::Expired));
    let mut pair = self::pair();
    let late = question(&mut pair);
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.run_for(11 * SECOND);
    pair.server.endpoint.refuse(pair.now, late);
    pair.run_for(SECOND);
    assert!(pair.server.sent.is_empty(), "there is nobody to refuse");
}

#[test]
fn accepting_checks_the_room_and_the_settings() {
    let mut pair = asking(EndpointConfig { max_connections: 0, ..EndpointConfig::default() });
    pair.connect();
    pair.settle();
    assert!(pair.server.endpoint.poll_incoming().is_none(), "there is nothing to decide");
    assert_eq!(refused_with(&mut pair), Some(TransportErrorCode::CONNECTION_REFUSED));

    let mut pair = asking(EndpointConfig { max_connections: 1, ..EndpointConfig::default() });
    let (one, two) = (question(&mut pair), question(&mut pair));
    pair.server.endpoint.accept(pair.now, one, None).unwrap();
    let refused = Err(AcceptError::Refused(ConnectError::TooManyConnections));
    assert_eq!(pair.server.endpoint.accept(pair.now, two, None), refused);
    pair.settle();
    assert_eq!(refused_with(&mut pair), Some(TransportErrorCode::CONNECTION_REFUSED));

    let mut pair = self::pair();
    let incoming = question(&mut pair);
    let wrong = TransportSettings { max_udp_payload_size: 1, ..TransportSettings::default() };
    let config = Arc::new(ServerConfig { transport: wrong, ..(*server_config(TransportSettings::default())).clone() });
    let refused = pair.server.endpoint.accept(pair.now, incoming, Some(&config));
    assert!(matches!(refused, Err(AcceptError::Refused(ConnectError::Settings(_)))), "{refused:?}");

    let mut pair = self::pair();
    let incoming = question(&mut pair);
    pair.server.endpoint.set_server(None).unwrap();
    assert_eq!(pair.server.endpoint.accept(pair.now, incoming, None), Err(AcceptError::NotAServer));
}

#[test]
fn refusals_are_limited() {
    let reply_limits = ReplyLimits { refusals: RateLimit { per_second: 1, burst: 3 }, ..ReplyLimits::default() };
    let mut pair = asking(EndpointConfig { max_incoming: 0, reply_limits, ..EndpointConfig::default() });
    for _ in 0..10 {
        pair.connect();
    }
    pair.run_for(50 * MILLISECOND);
    assert_eq!(pair.server.sent.len(), 3);
}

/// A 0-RTT packet of version 1 for the connection ID of an Initial. Nobody has its keys.
fn early_data(initial: &[u8], len: usize) -> Vec<u8> {
    let layout = packet::parse_greased(initial, 8).unwrap();
    let mut buffer = vec![0; len];
    let mut writer = quillon::wire::Writer::new(&mut buffer);
    let header = packet::LongHeader {
        ty: PacketType::ZeroRtt,
        version: Version::V1,
        dcid: layout.dcid,
        scid: layout.scid,
        token: &[],
    };
    let offsets = header.encode(&mut writer, 0, 1);
    packet::set_length(&mut buffer, offsets.length, len - offsets.pn);
    buffer
}

/// RFC 9000 section 5.2.2: 0-RTT packets that overtake their Initial wait for it, a short while.
#[test]
fn early_data_waits_for_its_initial() {
    for admission in [Admission::Automatic, Admission::Ask] {
        let mut pair = pair();
        pair.server.endpoint.set_admission(admission);
        let flight = first_flight(&mut pair, &client_config(TransportSettings::default()));
        let early = early_data(&flight[0], 1200);
        pair.server.inject(pair.now, early.clone());
        assert_eq!(pair.server.endpoint.memory_used(), 1200);
        pair.run_for(100 * MILLISECOND);
        assert!(pair.server.sent.is_empty() && pair.server.endpoint.poll_incoming().is_none());
        // The Initial, with more early data behind it in the datagram.
        let mut coalesced = flight[0].clone();
        coalesced.extend_from_slice(&early_data(&flight[0], 100));
        pair.server.inject(pair.now, coalesced);
        if let Some(incoming) = pair.server.endpoint.poll_incoming() {
            pair.server.endpoint.accept(pair.now, incoming, None).unwrap();
        }
        let (server, _) = pair.server.endpoint.poll_event().unwrap();
        let stats = pair.server.connection(server).stats();
        assert_eq!((stats.datagrams_received, stats.packets_received), (2, 1));
    }
}

#[test]
fn early_data_without_an_initial_is_bounded_and_forgotten() {
    let mut pair = pair();
    let mut kept = 0;
    for _ in 0..200 {
        let flight = first_flight(&mut pair, &client_config(TransportSettings::default()));
        for _ in 0..40 {
            pair.server.inject(pair.now, early_data(&flight[0], 1200));
        }
        kept = pair.server.endpoint.memory_used();
        assert!(kept <= 64 * 16 * 1200);
    }
    assert_eq!(kept, 64 * 16 * 1200);
    assert!(pair.server.endpoint.timeout().is_some());
    pair.now += SECOND;
    pair.server.endpoint.handle_timeout(pair.now);
    assert_eq!((pair.server.endpoint.memory_used(), pair.server.endpoint.timeout()), (0, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever arrives in whatever order, and however the caller answers: what is kept is bounded, and in the end
    /// gone.
    #[test]
    fn nothing_that_waits_stays(steps in prop::collection::vec((0u8..9, any::<u16>()), 1..120)) {
        let mut pair = asking(EndpointConfig { max_incoming: 3, ..EndpointConfig::default() });
        let flights: Vec<_> = (0..6).map(|_| first_flight(&mut pair, &wordy_client())).collect();
        let mut questions = Vec::new();
        for (step, choice) in steps {
            let choice = usize::from(choice);
            let flight = &flights[choice % flights.len()];
            let mut datagram = flight[choice / 7 % flight.len()].clone();
            match step {
                0..=2 => pair.server.inject(pair.now, datagram),
                3 => pair.server.inject(pair.now, early_data(&datagram, 40 + choice % 1_200)),
                4 => {
                    let at = choice % datagram.len();
                    datagram[at] ^= 1 << (choice % 8);
                    pair.server.inject(pair.now, datagram);
                }
                5 => {
                    pair.now += choice as u64 * MILLISECOND / 20;
                    pair.server.endpoint.handle_timeout(pair.now);
                }
                6 => questions.extend(pair.server.endpoint.poll_incoming()),
                _ => {
                    if let Some(incoming) = questions.pop() {
                        match choice % 4 {
                            0 => drop(pair.server.endpoint.accept(pair.now, incoming, None)),
                            1 => pair.server.endpoint.refuse(pair.now, incoming),
                            2 => drop(pair.server.endpoint.retry(pair.now, incoming)),
                            _ => pair.server.endpoint.ignore(incoming),
                        }
                    }
                }
            }
            let connections = pair.server.endpoint.connection_count();
            prop_assert!(pair.server.endpoint.memory_used() <= (3 + 6) * (64 << 10) + connections * (64 << 10));
        }
        pair.client.outbound_filter = Some(Box::new(|_, _| false));
        pair.run_for(60 * SECOND);
        prop_assert_eq!(pair.server.endpoint.connection_count(), 0);
        prop_assert_eq!(pair.server.endpoint.memory_used(), 0);
        prop_assert_eq!(pair.server.endpoint.timeout(), None);
        prop_assert!(pair.server.endpoint.poll_incoming().is_none());
        for incoming in questions {
            prop_assert_eq!(pair.server.endpoint.accept(pair.now, incoming, None), Err(AcceptError::Expired));
        }
    }
}
