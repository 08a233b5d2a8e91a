//! Sessions that are resumed (RFC 8446 section 4.6.1, RFC 9001 section 4.5).

mod resumable;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use quillon::tls::rustls::{ClientAuthentication, ServerBuilder, SessionStore, TicketKeys};
use quillon::transport_parameters::{InvalidRemembered, RememberedParameters};
use quillon::wire::Version;
use quillon::{ClientConfig, ConnectionError, Event, SessionCache, TransportSettings, VersionSettings};

use resumable::{Resumable, pair, server_builder};

/// Whether a connection that resumes with `session` does, at both ends.
fn resumes(resumable: &mut Resumable, session: quillon::SavedSession) -> bool {
    let client = resumable.resume(session);
    resumable.pair.settle();
    let server = resumable.accepted();
    let resumed = resumable.pair.client.connection(client).is_resumed();
    assert!(resumable.pair.client.connection(client).is_handshake_confirmed());
    assert_eq!(resumable.pair.server.connection(server).is_resumed(), resumed);
    resumed
}

#[test]
fn a_session_of_the_store_is_resumed_once() {
    let mut resumable = Resumable::default();
    let mut sessions = resumable.sessions();
    assert_eq!((sessions.len(), resumable.store.len()), (2, 2), "two tickets for each connection");
    let session = sessions.pop().unwrap();
    assert_eq!((session.server_name(), session.version()), ("localhost", Version::V1));
    assert!(session.allows_early_data());
    assert!(resumes(&mut resumable, session.clone()));
    assert!(!resumes(&mut resumable, session), "a copy shares the one use");
    assert!(resumes(&mut resumable, sessions.pop().unwrap()));
}

#[test]
fn a_resumed_connection_has_the_certificates_of_the_first_one_and_tickets_of_its_own() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let client = resumable.resume(session);
    resumable.pair.settle();
    let connection = resumable.pair.client.connection(client);
    assert!(connection.is_resumed());
    assert_eq!(connection.peer_certificates(), [include_bytes!("data/localhost.der").as_slice()]);
    assert!(resumable.take_session().is_some());
}

#[test]
fn a_server_without_resumption_sends_no_tickets() {
    let mut resumable = Resumable::default();
    resumable.serve_with(server_builder(), TransportSettings::default());
    assert!(resumable.sessions().is_empty());
    resumable.serve_with(server_builder().session_store(SessionStore::new(8)).tickets(0), TransportSettings::default());
    assert!(resumable.sessions().is_empty());
    resumable.serve_with(server_builder().session_store(SessionStore::new(8)).tickets(5), TransportSettings::default());
    assert_eq!(resumable.sessions().len(), 5);
    resumable.serve_with(server_builder().session_store(SessionStore::new(0)), TransportSettings::default());
    assert!(resumable.sessions().is_empty(), "no room, no ticket");
}

#[test]
fn a_full_store_lets_the_oldest_session_go() {
    let mut resumable = Resumable { store: SessionStore::new(3), ..Resumable::default() };
    resumable.serve(TransportSettings::default());
    let mut old = resumable.sessions();
    let mut new = resumable.sessions();
    assert_eq!(resumable.store.len(), 3);
    let newest = resumable.sessions().pop().unwrap();
    assert!(resumes(&mut resumable, newest));
    // The tickets come in the order in which they were stored.
    assert!(!resumes(&mut resumable, old.remove(0)));
    // That connection left two, for which the last of the old and the first of the new ones made room.
    assert!(!resumes(&mut resumable, old.remove(0)));
    assert!(!resumes(&mut resumable, new.remove(0)));
}

#[test]
fn a_server_that_forgot_its_sessions_makes_a_full_handshake() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    resumable.store.clear();
    assert!(resumable.store.is_empty());
    assert!(!resumes(&mut resumable, session));
}

#[test]
fn a_session_lasts_for_a_day() {
    for (hours, expected) in [(23, true), (25, false)] {
        let mut resumable = Resumable::default();
        let session = resumable.session();
        let later = Duration::from_secs(1_767_225_600 + hours * 3600);
        resumable.pair.server.endpoint.set_unix_time(later);
        assert_eq!(resumes(&mut resumable, session), expected, "after {hours} hours by the server's clock");
        let session = resumable.session();
        resumable.pair.client.endpoint.set_unix_time(later + Duration::from_secs(hours * 3600));
        assert_eq!(resumes(&mut resumable, session), expected && hours < 12, "after twice that by the client's");
    }
}

#[test]
fn tickets_are_opened_by_every_server_with_their_key() {
    let keys = |current: u8| TicketKeys::new([current; 32]);
    let mut resumable = Resumable::default();
    resumable.serve_with(server_builder().ticket_keys(keys(1)), TransportSettings::default());
    let mut sessions = resumable.sessions();
    sessions.extend(resumable.sessions());
    assert!(sessions.iter().all(|session| !session.allows_early_data()), "nothing stored, no early data");
    assert!(resumable.store.is_empty());
    // Another process with the same key, one with a new key that knows the old one, and one that does not.
    let servers = [(keys(1), true), (keys(2).with_previous([1; 32]), true), (keys(2), false)];
    for (keys, expected) in servers {
        resumable.serve_with(server_builder().ticket_keys(keys), TransportSettings::default());
        assert_eq!(resumes(&mut resumable, sessions.pop().unwrap()), expected);
    }
}

#[test]
fn a_session_is_for_its_server_name_and_its_config() {
    let mut resumable = Resumable::default();
    let mut sessions = resumable.sessions();
    // The name is another: neither is the session offered, nor is the certificate of the earlier one trusted.
    let config = ClientConfig { session: sessions.pop(), ..resumable.client.clone() };
    let client = resumable.pair.connect_with(&config, "example.org");
    resumable.pair.settle();
    assert!(resumable.pair.client.closed().is_some());
    assert!(resumable.pair.client.endpoint.connection(client).is_none_or(|connection| !connection.is_resumed()));
    resumable.accepted();
    // Another config may trust other roots: the certificate has to be shown again.
    resumable.client = ClientConfig { early_data: true, ..pair::client_config(TransportSettings::default()) };
    assert!(!resumes(&mut resumable, sessions.pop().unwrap()));
}

/// RFC 9369 section 5: a session of one version is not resumed in another.
#[test]
fn a_session_is_for_its_version() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let versions = VersionSettings { available: vec![Version::V2], chosen: Version::V2, ..VersionSettings::default() };
    resumable.client.transport.versions = versions;
    assert!(!resumes(&mut resumable, session), "a session of version 1, and only version 2 to speak");
    let session = resumable.session();
    assert_eq!(session.version(), Version::V2);
    resumable.client.transport.versions = VersionSettings::default();
    let client = resumable.resume(session);
    resumable.pair.settle();
    let connection = resumable.pair.client.connection(client);
    assert!(connection.is_resumed());
    assert_eq!(connection.client_chosen_version(), Version::V2, "the connection starts with the session's version");
}

/// RFC 9369 section 5: what counts is the version that was agreed on.
#[test]
fn a_session_after_compatible_negotiation_is_of_the_version_agreed_on() {
    let versions = VersionSettings { preferred: vec![Version::V2], ..VersionSettings::default() };
    let mut resumable = Resumable::new(TransportSettings { versions, ..TransportSettings::default() });
    let session = resumable.session();
    assert_eq!(session.version(), Version::V2);
    assert!(resumes(&mut resumable, session));
}

/// Z5: after completion a client can save what it remembers of the server, as bytes, and read it back.
#[test]
fn remembered_transport_parameters_are_bytes_to_save() {
    let server = TransportSettings { initial_max_data: 12_345, ..TransportSettings::default() };
    let mut resumable = Resumable::new(server);
    let client = resumable.pair.connect_with(&resumable.client.clone(), "localhost");
    assert_eq!(resumable.pair.client.connection(client).remembered_transport_parameters(), None);
    resumable.pair.settle();
    let remembered = resumable.pair.client.connection(client).remembered_transport_parameters().unwrap();
    assert_eq!(remembered.get().initial_max_data, 12_345);
    // RFC 9000 section 7.4.1: nothing that belongs to one connection.
    assert_eq!(remembered.get().initial_source_connection_id, None);
    assert_eq!(remembered.get().stateless_reset_token, None);
    let bytes = remembered.to_bytes();
    assert_eq!(RememberedParameters::from_bytes(&bytes), Ok(remembered));
    for len in 0..bytes.len() {
        // Cut bytes are refused, or have fewer parameters; they are never read past their end.
        let _ = RememberedParameters::from_bytes(&bytes[..len]);
    }
    assert_eq!(RememberedParameters::from_bytes(&[]), Err(InvalidRemembered));
    assert_eq!(RememberedParameters::from_bytes(&[&[9][..], &bytes[1..]].concat()), Err(InvalidRemembered));
    assert_eq!(RememberedParameters::from_bytes(&[1; 257]), Err(InvalidRemembered));
    let server = resumable.accepted();
    assert_eq!(resumable.pair.server.connection(server).remembered_transport_parameters(), None);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_of_remembered_parameters_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let with_format = [&[1][..], &bytes].concat();
        for bytes in [bytes, with_format] {
            if let Ok(remembered) = RememberedParameters::from_bytes(&bytes) {
                prop_assert_eq!(RememberedParameters::from_bytes(&remembered.to_bytes()), Ok(remembered));
            }
        }
    }
}

#[test]
fn a_cache_keeps_the_newest_sessions_by_name_and_version() {
    let mut resumable = Resumable::default();
    let mut cache = SessionCache::new(3);
    let sessions = [resumable.sessions(), resumable.sessions()].concat();
    sessions.iter().for_each(|session| cache.insert(session.clone()));
    assert_eq!(cache.len(), 3);
    assert_eq!(cache.take("example.org", &[Version::V1]), None);
    assert_eq!(cache.take("localhost", &[Version::V2]), None);
    for expected in sessions[1..].iter().rev() {
        assert_eq!(cache.take("localhost", &[Version::V2, Version::V1]).as_ref(), Some(expected));
    }
    assert!(cache.is_empty());
}

/// Two pairs with the same seeds, each with a store of its own, send the same bytes, also when one runs between the
/// steps of the other.
#[test]
fn resumption_is_a_function_of_seeds_and_inputs() {
    let run = |between: &mut dyn FnMut()| {
        let mut resumable = Resumable::default();
        let mut bytes = Vec::new();
        let session = resumable.session();
        between();
        let client = resumable.resume(session);
        let stream = resumable.pair.client.connection(client).open(quillon::Dir::Uni).unwrap();
        resumable.pair.client.connection(client).write(stream, &[7; 3000]).unwrap();
        between();
        resumable.pair.settle();
        assert!(resumable.pair.client.saw(&Event::EarlyDataAccepted).is_some());
        bytes.extend_from_slice(&resumable.pair.client.sent);
        bytes.extend_from_slice(&resumable.pair.server.sent);
        bytes
    };
    let alone = run(&mut || {});
    let interleaved = run(&mut || {
        run(&mut || {});
    });
    assert!(alone == interleaved);
}

#[test]
fn stores_and_keys_do_not_show_what_they_hold() {
    let keys = TicketKeys::new([0xab; 32]).with_previous([0xcd; 32]);
    assert_eq!(format!("{keys:?}"), "TicketKeys { previous: true, .. }");
    assert_eq!(format!("{:?}", SessionStore::new(4)), "SessionStore { len: 0, capacity: 4 }");
    let mut resumable = Resumable::default();
    let ticket = format!("{:?}", resumable.session().ticket());
    assert_eq!(ticket, "SessionTicket { allows_early_data: true, .. }");
    let _ = Arc::clone(&resumable.store);
}

/// A session made where no certificate is asked of clients is not resumed where one is required: with a store, and with
/// tickets, that both servers share.
#[test]
fn a_session_without_a_client_certificate_does_not_stand_in_for_one() {
    type Builder = fn(&Arc<SessionStore>) -> ServerBuilder;
    let builders: [Builder; 2] = [
        |store| server_builder().session_store(Arc::clone(store)),
        |_| server_builder().ticket_keys(TicketKeys::new([1; 32])),
    ];
    for builder in builders {
        let mut resumable = Resumable::default();
        resumable.serve_with(builder(&resumable.store), TransportSettings::default());
        let session = resumable.session();
        let roots = [include_bytes!("data/ca.der").as_slice()];
        let strict = builder(&resumable.store).client_certificates(roots, ClientAuthentication::Required);
        resumable.serve_with(strict, TransportSettings::default());
        resumable.resume(session);
        resumable.pair.settle();
        let Some(ConnectionError::Transport { code, .. }) = resumable.pair.server.closed() else {
            panic!("the server wants a certificate: {:?}", resumable.pair.server.events)
        };
        assert_eq!(code.alert(), Some(116), "certificate_required");
    }
}
