//! Compatible version negotiation (RFC 9368, RFC 9369 section 4.1), and its protection against a downgrade.

mod pair;

use pair::{Pair, client_config};
use quillon::error::TransportErrorCode;
use quillon::packet::{self, PacketType};
use quillon::transport_parameters::{TransportParameters, VersionInformation};
use quillon::wire::{Side, Version, Writer};
use quillon::{
    ClientConfig, ConnectionError, ConnectionHandle, Ecn, EndpointConfig, Event, Transmit, TransportSettings,
    VersionSettings,
};

const V1: Version = Version::V1;
const V2: Version = Version::V2;
const RESERVED: Version = Version(0x1a2a_3a4a);

fn transport(versions: VersionSettings) -> TransportSettings {
    TransportSettings { versions, ..TransportSettings::default() }
}

fn client(chosen: Version, available: &[Version], preferred: &[Version]) -> ClientConfig {
    let versions = VersionSettings {
        chosen,
        available: available.to_vec(),
        preferred: preferred.to_vec(),
        ..VersionSettings::default()
    };
    client_config(transport(versions))
}

fn pair(available: &[Version], preferred: &[Version]) -> Pair {
    let versions =
        VersionSettings { available: available.to_vec(), preferred: preferred.to_vec(), ..VersionSettings::default() };
    Pair::new(EndpointConfig::default(), transport(versions))
}

fn long_headers(datagrams: &[Vec<u8>]) -> Vec<(Version, PacketType)> {
    let mut found = Vec::new();
    for datagram in datagrams {
        let mut rest = datagram.as_slice();
        while rest.first().is_some_and(|first| first & 0x80 != 0) {
            let layout = packet::parse_greased(rest, 8).unwrap();
            found.push((layout.version, layout.ty));
            rest = &rest[layout.len..];
        }
    }
    found
}

/// Connects, and tells the version that both ends agreed on.
fn connected(pair: &mut Pair, config: &ClientConfig) -> (ConnectionHandle, ConnectionHandle, Version) {
    let client = pair.connect_with(config, "localhost");
    pair.settle();
    let server = pair.server.saw(&Event::HandshakeComplete).unwrap_or_else(|| panic!("{:?}", pair.client.events));
    assert!(pair.client.connection(client).is_handshake_confirmed());
    let version = pair.client.connection(client).version();
    assert_eq!(pair.server.connection(server).version(), version);
    (client, server, version)
}

fn transport_error(error: Option<ConnectionError>) -> (TransportErrorCode, bool, String) {
    match error {
        Some(ConnectionError::Transport { code, by_peer, reason, .. }) => (code, by_peer, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_moves_a_connection_to_the_version_that_it_prefers() {
    for (chosen, preferred) in [(V1, V2), (V2, V1)] {
        let mut pair = pair(&[V1, V2], &[preferred]);
        let (client, server, version) = connected(&mut pair, &self::client(chosen, &[V1, V2], &[]));
        assert_eq!(version, preferred);
        assert_eq!(pair.server.connection(server).client_chosen_version(), chosen);
        let of_client = long_headers(&pair.client.sent);
        assert_eq!(of_client[0], (chosen, PacketType::Initial));
        assert!(of_client[1..].iter().all(|(version, _)| *version == preferred), "{of_client:?}");
        let of_server = long_headers(&pair.server.sent);
        assert!(of_server.iter().all(|(version, _)| *version == preferred), "{of_server:?}");

        let id = pair.client.connection(client).open(quillon::Dir::Uni).unwrap();
        pair.client.connection(client).write(id, b"across").unwrap();
        pair.settle();
        let mut data = [0; 16];
        assert_eq!(pair.server.connection(server).read(id, &mut data).unwrap().len, 6);
    }
}

#[test]
fn without_a_preference_or_an_offer_the_clients_choice_stays() {
    for (offered, preferred) in [(&[V1, V2][..], &[][..]), (&[V1], &[V2]), (&[V2, V1], &[V1]), (&[], &[V2])] {
        let mut pair = pair(&[V1, V2], preferred);
        assert_eq!(connected(&mut pair, &client(V1, offered, &[])).2, V1, "{offered:?} {preferred:?}");
    }
}

/// RFC 9369 section 4.1: what the server sends before it can read the transport parameters keeps the first version.
#[test]
fn a_client_hello_in_pieces_is_acknowledged_in_the_first_version() {
    let mut pair = pair(&[V1, V2], &[V2]);
    let mut config = client(V1, &[V1, V2], &[]);
    // Protocols that fill more than one datagram.
    let protocols = (0..12).map(|n| vec![b'a' + n; 200]).chain([b"test".to_vec()]);
    config.tls = std::sync::Arc::new(
        quillon::tls::rustls::RustlsClient::builder()
            .alpn(protocols)
            .roots([include_bytes!("data/ca.der").as_slice()])
            .build()
            .unwrap(),
    );
    // The datagrams come one by one, with time for an answer between them.
    let mut nth = 0;
    pair.client.outbound_filter = Some(Box::new(move |_, _| {
        nth += 1;
        nth != 2
    }));
    let (_, _, version) = connected(&mut pair, &config);
    assert_eq!(version, V2);
    let of_server = long_headers(&pair.server.sent);
    assert_eq!(of_server[0], (V1, PacketType::Initial), "{of_server:?}");
    let switch = of_server.iter().position(|(version, _)| *version == V2).unwrap();
    assert!(of_server[switch..].iter().all(|(version, _)| *version == V2), "{of_server:?}");
    assert!(of_server[..switch].iter().all(|(_, ty)| *ty == PacketType::Initial));
}

/// RFC 9369 section 4.1: a Retry keeps the client's version, and so does the Initial that answers it; then the server moves
/// on.
#[test]
fn a_retry_comes_before_the_move() {
    let versions = VersionSettings { preferred: vec![V2], ..VersionSettings::default() };
    let admission = quillon::Admission::AutomaticWithRetry { threshold: 0 };
    let mut pair = Pair::new(EndpointConfig { admission, ..EndpointConfig::default() }, transport(versions));
    assert_eq!(connected(&mut pair, &client(V1, &[V1, V2], &[])).2, V2);
    let of_server = long_headers(&pair.server.sent);
    assert_eq!(of_server[0], (V1, PacketType::Retry));
    assert!(of_server[1..].iter().all(|(version, _)| *version == V2), "{of_server:?}");
    let of_client = long_headers(&pair.client.sent);
    assert_eq!(of_client[..2], [(V1, PacketType::Initial); 2]);
    assert!(of_client[2..].iter().all(|(version, _)| *version == V2), "{of_client:?}");
}

/// A HelloRetryRequest (RFC 8446 section 4.1.4) comes in the version that the server moves to, and the second ClientHello
/// follows it there.
#[test]
fn the_move_comes_with_a_hello_retry_request() {
    use quillon::tls::rustls::{KeyExchangeGroup, RustlsServer};
    for (preferred, asks) in [(vec![V2], false), (vec![V2], true), (vec![], false)] {
        let versions = VersionSettings { preferred: preferred.clone(), ..VersionSettings::default() };
        let mut pair = Pair::new(EndpointConfig::default(), TransportSettings::default());
        let chain = [include_bytes!("data/localhost.der").as_slice()];
        let tls = RustlsServer::builder(chain, include_bytes!("data/localhost.key.der"))
            .alpn(["test"])
            .key_exchange_groups(&[KeyExchangeGroup::Secp384r1])
            .build()
            .unwrap();
        let config = quillon::ServerConfig::new(std::sync::Arc::new(tls));
        let config = quillon::ServerConfig { transport: transport(versions), ask_on_client_hello: asks, ..config };
        let config = std::sync::Arc::new(config);
        pair.server.endpoint.set_server(Some(config.clone())).unwrap();
        let handle = pair.connect_with(&client(V1, &[V1, V2], &[]), "localhost");
        if asks {
            pair.run_for(15 * pair::MILLISECOND);
            let asked = pair.server.saw(&Event::ClientHello).unwrap();
            let now = pair.now;
            pair.server.connection(asked).choose(now, &config).unwrap();
        }
        pair.settle();
        assert!(pair.client.connection(handle).is_handshake_confirmed(), "{:?}", pair.client.events);
        let expected = preferred.first().copied().unwrap_or(V1);
        assert_eq!(pair.client.connection(handle).version(), expected);
        let of_client = long_headers(&pair.client.sent);
        let second = of_client.iter().skip(1).filter(|(_, ty)| *ty == PacketType::Initial);
        assert!(
            second.clone().count() >= 1 && second.clone().all(|(version, _)| *version == expected),
            "{of_client:?}"
        );
    }
}

/// Packets of the handshake in any order and with losses, both ways.
#[test]
fn losses_and_overtaking_do_not_disturb_the_choice() {
    for lost in 0..6 {
        for from_client in [true, false] {
            let mut pair = pair(&[V1, V2], &[V2]);
            let mut nth = 0;
            let filter: pair::Filter = Box::new(move |_, _| {
                nth += 1;
                nth != lost + 1
            });
            if from_client {
                pair.client.outbound_filter = Some(filter);
            } else {
                pair.server.outbound_filter = Some(filter);
            }
            let handle = pair.connect_with(&client(V1, &[V1, V2], &[]), "localhost");
            pair.run_for(5 * pair::SECOND);
            assert!(pair.client.connection(handle).is_handshake_confirmed(), "{lost} {from_client}");
            assert_eq!(pair.client.connection(handle).version(), V2);
        }
    }
}

#[test]
fn c4_after_a_version_negotiation_packet_another_attempt_succeeds() {
    let mut pair = pair(&[V2], &[]);
    let config = client(V1, &[V1, V2], &[V2, V1]);
    pair.connect_with(&config, "localhost");
    pair.settle();
    let Some(ConnectionError::VersionNegotiation { supported }) = pair.client.closed() else { panic!() };
    let second = config.after_version_negotiation(&supported).expect("version 2 is in common");
    assert_eq!((second.transport.versions.chosen, second.transport.versions.original), (V2, Some(V1)));
    assert_eq!(connected(&mut pair, &second).2, V2);
    assert!(second.after_version_negotiation(&[V1, V2]).is_none(), "a list is reacted to once");
    assert!(config.after_version_negotiation(&[RESERVED, Version(7)]).is_none());
}

/// RFC 9368 section 2.4: an incompatible and then a compatible negotiation.
#[test]
fn both_kinds_of_negotiation_one_after_the_other() {
    let mut pair = pair(&[V1, V2], &[V2]);
    let config = client(RESERVED, &[V1, V2], &[]);
    pair.connect_with(&config, "localhost");
    pair.settle();
    let Some(ConnectionError::VersionNegotiation { supported }) = pair.client.closed() else { panic!() };
    let second = config.after_version_negotiation(&supported).unwrap();
    assert_eq!(second.transport.versions.chosen, V1);
    assert_eq!(connected(&mut pair, &second).2, V2);
}

/// Answers the client's first datagram with a forged Version Negotiation packet.
fn forge(pair: &mut Pair, versions: &[Version]) -> Option<ConnectionError> {
    let mut buffer = vec![0; 65_535];
    let Transmit::Send(_) = pair.client.endpoint.transmit(pair.now, &mut buffer) else { panic!() };
    let look = packet::first_look(&buffer, 8).unwrap();
    let mut reply = [0; 128];
    let mut writer = Writer::new(&mut reply);
    packet::encode_version_negotiation(&mut writer, look.scid, look.dcid, 0x80, versions);
    let mut reply = writer.written().to_vec();
    let path = pair.client.path();
    pair.client.endpoint.receive(pair.now, path, Ecn::NotEct, &mut reply);
    while let Some(event) = pair.client.endpoint.poll_event() {
        pair.client.events.push_back(event);
    }
    pair.client.closed()
}

/// C4: a forged Version Negotiation packet is found out by what the server says in the handshake.
#[test]
fn c4_a_downgrade_is_detected() {
    let mut pair = pair(&[V1, V2], &[]);
    let config = client(V2, &[V2, V1], &[V2, V1]);
    pair.connect_with(&config, "localhost");
    let Some(ConnectionError::VersionNegotiation { supported }) = forge(&mut pair, &[V1]) else { panic!() };
    let second = config.after_version_negotiation(&supported).unwrap();
    assert_eq!(second.transport.versions.chosen, V1);
    pair.connect_with(&second, "localhost");
    pair.settle();
    let (code, by_peer, _) = transport_error(pair.client.closed());
    assert_eq!((code, by_peer), (TransportErrorCode::VERSION_NEGOTIATION_ERROR, false));
    let (code, by_peer, _) = transport_error(pair.server.closed());
    assert_eq!((code, by_peer), (TransportErrorCode::VERSION_NEGOTIATION_ERROR, true));
}

/// C3: a client that reacted to a Version Negotiation packet ignores the next.
#[test]
fn c3_a_second_list_is_ignored() {
    let mut pair = pair(&[V1, V2], &[]);
    let config = client(RESERVED, &[V1, V2], &[]);
    pair.connect_with(&config, "localhost");
    let Some(ConnectionError::VersionNegotiation { supported }) = forge(&mut pair, &[V1, V2]) else { panic!() };
    let second = config.after_version_negotiation(&supported).unwrap();
    let handle = pair.connect_with(&second, "localhost");
    assert_eq!(forge(&mut pair, &[V2]), None);
    pair.run_for(5 * pair::SECOND);
    assert!(pair.client.connection(handle).is_handshake_confirmed());
}

/// A man in the middle who rewrites the version of the first packet, keys and all, is found out by the server.
#[test]
fn a_client_whose_chosen_version_is_not_that_of_its_packets_is_refused() {
    use quillon::crypto::{self, TAG_LEN};
    let mut pair = pair(&[V1, V2], &[]);
    pair.client.outbound_filter = Some(Box::new(|_, datagram| {
        if datagram[0] & 0x80 == 0 || datagram[1..5] != V1.0.to_be_bytes() {
            return true;
        }
        let provider = crypto::ring::provider();
        let layout = packet::parse_greased(datagram, 8).unwrap();
        let keys = crypto::initial_keys(&*provider, V1, &layout.dcid, Side::Client).local;
        let sample = packet::sample(datagram, layout.pn_offset).unwrap();
        let unmasked = packet::unmask(datagram, layout.pn_offset, keys.header.mask(&sample)).unwrap();
        let header_len = unmasked.header_len(layout.pn_offset);
        let (header, payload) = datagram.split_at_mut(header_len);
        if keys.packet.open(unmasked.truncated_pn, header, payload).is_err() {
            return true;
        }
        // The same packet as version 2 would have it: an Initial's type is 1 there.
        datagram[0] |= 0x10;
        datagram[1..5].copy_from_slice(&V2.0.to_be_bytes());
        let keys = crypto::initial_keys(&*provider, V2, &layout.dcid, Side::Client).local;
        let end = layout.len;
        assert!(end - header_len > TAG_LEN);
        keys.packet.seal(unmasked.truncated_pn, &mut datagram[..end], header_len);
        let sample = packet::sample(datagram, layout.pn_offset).unwrap();
        packet::mask(datagram, layout.pn_offset, unmasked.pn_len, keys.header.mask(&sample));
        true
    }));
    pair.connect_with(&client(V1, &[V1, V2], &[]), "localhost");
    pair.settle();
    let (code, by_peer, reason) = transport_error(pair.server.closed());
    assert_eq!((code, by_peer), (TransportErrorCode::VERSION_NEGOTIATION_ERROR, false), "{reason}");
}

/// RFC 9368 section 4: what cannot be parsed is a TRANSPORT_PARAMETER_ERROR.
#[test]
fn malformed_version_information_is_refused() {
    let parameter = |value: &[u8]| [&[0x11, value.len() as u8], value].concat();
    let v1 = [0, 0, 0, 1];
    let cases: [(&[u8], Side); 6] = [
        (&[], Side::Client),
        (&[0, 0, 1], Side::Server),
        (&[&v1[..], &v1, &[0, 0]].concat(), Side::Server),
        (&[0; 4], Side::Server),
        (&[&v1[..], &v1, &[0; 4]].concat(), Side::Client),
        // A client's chosen version is among its available ones.
        (&[&v1[..], &V2.0.to_be_bytes()].concat(), Side::Client),
    ];
    for (value, sender) in cases {
        let error = TransportParameters::decode(&parameter(value), sender).unwrap_err();
        assert_eq!(error.code, TransportErrorCode::TRANSPORT_PARAMETER_ERROR, "{value:?}");
    }
    // A server may list none.
    let decoded = TransportParameters::decode(&parameter(&v1), Side::Server).unwrap();
    assert_eq!(decoded.version_information, Some(VersionInformation { chosen: V1, available: vec![] }));
}

/// Reserved versions and a reserved transport parameter are sent, and ignored by the peer (RFC 9000 sections 15 and
/// 18.1); without grease, neither.
#[test]
fn grease_is_sent_and_ignored() {
    for grease in [true, false] {
        let settings = || TransportSettings { grease, ..TransportSettings::default() };
        let mut pair = Pair::new(EndpointConfig::default(), settings());
        pair.connect_with(&client_config(settings()), "localhost");
        let mut first = None;
        pair.client.outbound_filter = Some(Box::new({
            let (sender, receiver) = std::sync::mpsc::channel();
            first.replace(receiver);
            move |_, datagram| {
                let _ = sender.send(datagram.clone());
                true
            }
        }));
        pair.settle();
        assert!(pair.server.saw(&Event::HandshakeComplete).is_some());
        let mut datagram = first.unwrap().recv().unwrap();
        let parameters = client_parameters(&mut datagram);
        let decoded = TransportParameters::decode(&parameters, Side::Client).unwrap();
        let available = decoded.version_information.unwrap().available;
        assert_eq!(available.iter().any(|version| version.is_reserved()), grease, "{available:?}");
        assert_eq!(identifiers(&parameters).iter().any(|id| *id > 0x20 && (id - 27) % 31 == 0), grease);
    }
}

/// The transport parameters in a client's first datagram.
fn client_parameters(datagram: &mut [u8]) -> Vec<u8> {
    use quillon::packet::{Frame, Frames};
    use quillon::tls::client_hello::{Progress, parse};
    let provider = quillon::crypto::ring::provider();
    let layout = packet::parse_greased(datagram, 8).unwrap();
    let keys = quillon::crypto::initial_keys(&*provider, layout.version, &layout.dcid, Side::Server).remote;
    let sample = packet::sample(datagram, layout.pn_offset).unwrap();
    let unmasked = packet::unmask(datagram, layout.pn_offset, keys.header.mask(&sample)).unwrap();
    let (header, payload) = datagram[..layout.len].split_at_mut(unmasked.header_len(layout.pn_offset));
    let payload = keys.packet.open(unmasked.truncated_pn, header, payload).unwrap();
    let mut hello = Vec::new();
    for frame in Frames::new(payload) {
        if let (_, Frame::Crypto { offset, data }) = frame.unwrap() {
            assert_eq!(offset, hello.len() as u64);
            hello.extend_from_slice(data);
        }
    }
    let Progress::Done(hello) = parse(&hello).unwrap() else { panic!("more than one datagram") };
    hello.transport_parameters
}

fn identifiers(parameters: &[u8]) -> Vec<u64> {
    let mut reader = quillon::wire::Reader::new(parameters);
    let mut ids = Vec::new();
    while !reader.is_empty() {
        ids.push(reader.varint().unwrap());
        reader.varint_bytes().unwrap();
    }
    ids
}

/// What becomes of a client and a server with these settings: the versions of each attempt, the last of which succeeds,
/// or none. Written down from the RFCs, apart from the engine's code.
fn expected(chosen: Version, offered: &[Version], spoken: &[Version], preferred: &[Version]) -> Option<Version> {
    // RFC 9368 section 2.1: a server that does not speak the version lists those that it does.
    let (chosen, offered) = if spoken.contains(&chosen) {
        (chosen, [offered, &[chosen]].concat())
    } else {
        let next = *offered.iter().find(|version| spoken.contains(version))?;
        (next, [offered, &[next]].concat())
    };
    // RFC 9368 section 2.3: it may go on with any that the client offers.
    let both = |version: &Version| offered.contains(version) && spoken.contains(version);
    Some(preferred.iter().copied().find(both).unwrap_or(chosen))
}

#[test]
fn every_combination_of_settings_ends_as_the_rfc_says() {
    let lists: [&[Version]; 5] = [&[], &[V1], &[V2], &[V1, V2], &[V2, V1]];
    for (chosen, offered) in [V1, V2, RESERVED].into_iter().flat_map(|chosen| lists.map(|offered| (chosen, offered))) {
        for (spoken, preferred) in lists.into_iter().flat_map(|spoken| lists.map(|preferred| (spoken, preferred))) {
            let case = format!("{chosen:?} {offered:?} {spoken:?} {preferred:?}");
            let mut pair = pair(spoken, preferred);
            let mut config = client(chosen, offered, &[]);
            let mut agreed = None;
            for attempt in 0..2 {
                let handle = pair.connect_with(&config, "localhost");
                pair.run_for(pair::SECOND);
                if let Some(connection) = pair.client.endpoint.connection(handle)
                    && connection.is_handshake_confirmed()
                {
                    agreed = Some(connection.version());
                    break;
                }
                match pair.client.closed() {
                    Some(ConnectionError::VersionNegotiation { supported }) if attempt == 0 => {
                        let Some(next) = config.after_version_negotiation(&supported) else { break };
                        config = next;
                    }
                    other => {
                        assert_eq!((other, spoken), (None, &[][..]), "{case}");
                        break;
                    }
                }
            }
            assert_eq!(agreed, expected(chosen, offered, spoken, preferred), "{case}");
        }
    }
}
