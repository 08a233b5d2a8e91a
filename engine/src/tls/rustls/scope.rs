use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use ::rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use ::rustls::pki_types::{ServerName, UnixTime};
use ::rustls::time_provider::TimeProvider;
use ::rustls::{KeyLog, NamedGroup};
use quillon_ambient::Surroundings;

use crate::crypto::Secret;
use crate::rng::Rng;
use crate::wire::Version;

/// A secret that rustls told its key log.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) kind: SecretKind,
    pub(super) client_random: [u8; 32],
    pub(super) secret: Secret,
}

/// The secrets of TLS 1.3 that rustls logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretKind {
    ClientEarly,
    ClientHandshake,
    ServerHandshake,
    ClientTraffic,
    ServerTraffic,
    Exporter,
}

impl SecretKind {
    const ALL: [Self; 6] = [
        Self::ClientEarly,
        Self::ClientHandshake,
        Self::ServerHandshake,
        Self::ClientTraffic,
        Self::ServerTraffic,
        Self::Exporter,
    ];

    /// The label in key logs.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::ClientEarly => "CLIENT_EARLY_TRAFFIC_SECRET",
            Self::ClientHandshake => "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            Self::ServerHandshake => "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            Self::ClientTraffic => "CLIENT_TRAFFIC_SECRET_0",
            Self::ServerTraffic => "SERVER_TRAFFIC_SECRET_0",
            Self::Exporter => "EXPORTER_SECRET",
        }
    }
}

/// What a call of rustls takes from its session and leaves for it, beside its bytes: what rustls would keep in its
/// config, where other sessions could change it.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// The secrets that the call logged.
    pub(super) logged: Vec<Logged>,
    /// At a client, the session to resume; the call takes it.
    pub(super) resume: Option<Tls13ClientSessionValue>,
    /// At a client, the key exchange group that the server is known or found to like.
    pub(super) group: Option<NamedGroup>,
    /// At a client, the tickets that came.
    pub(super) tickets: Vec<Tls13ClientSessionValue>,
    /// At a server, what a session must have been made with to be resumed.
    pub(super) binding: Option<Arc<Binding>>,
}

/// What a server's session is bound to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// A session of one version of QUIC is not resumed in another (RFC 9369 section 5).
    pub(super) version: Version,
    /// What the server asks of its clients' certificates, which a resumed session does not ask again.
    pub(super) client_authentication: [u8; 32],
    /// See [`Start::early_data_context`](crate::tls::Start::early_data_context).
    pub(super) early_data_context: Vec<u8>,
}

impl Binding {
    /// What a ticket without early data is bound to.
    pub(super) fn of_tickets(&self) -> [u8; 36] {
        let mut bound = [0; 36];
        let parts = self.version.0.to_be_bytes().into_iter().chain(self.client_authentication);
        bound.iter_mut().zip(parts).for_each(|(bound, byte)| *bound = byte);
        bound
    }
}

std::thread_local! {
    /// The exchange of the call that is running on this thread.
    static EXCHANGE: RefCell<Exchange> = RefCell::new(Exchange::default());
}

/// Runs `f` on the exchange of the running call.
pub(super) fn exchange<R>(f: impl FnOnce(&mut Exchange) -> R) -> R {
    EXCHANGE.with(|exchange| f(&mut exchange.borrow_mut()))
}

/// What every config has for its key log and its client's sessions: it passes all on to the exchange of the running
/// call.
#[derive(Debug)]
pub(super) struct Tap;

impl KeyLog for Tap {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let kind = SecretKind::ALL.into_iter().find(|kind| kind.label() == label);
        if let (Some(kind), Ok(client_random), Some(secret)) = (kind, client_random.try_into(), Secret::new(secret)) {
            exchange(|exchange| exchange.logged.push(Logged { kind, client_random, secret }));
        }
    }
}

impl ClientSessionStore for Tap {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        exchange(|exchange| exchange.group = Some(group));
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        exchange(|exchange| exchange.group)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        exchange(|exchange| exchange.tickets.push(ticket));
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        exchange(|exchange| exchange.resume.take())
    }
}

/// The time of day of the running scope.
#[derive(Debug)]
pub(super) struct ScopeTime;

impl TimeProvider for ScopeTime {
    fn current_time(&self) -> Option<UnixTime> {
        quillon_ambient::unix_time().map(UnixTime::since_unix_epoch)
    }
}

/// What a session's calls find around them.
pub(super) fn surroundings(mut rng: Rng, unix_time: Duration) -> Surroundings {
    Surroundings { entropy: Box::new(move |out| rng.fill(out)), unix_time }
}

/// Runs a call of rustls in its scope: the result, what the call left in the exchange, and the scope for the next call.
pub(super) fn run<R>(
    surroundings: Surroundings,
    exchange: Exchange,
    f: impl FnOnce() -> R,
) -> (R, Exchange, Surroundings) {
    // Whatever a call that panicked has left is not ours.
    let outer = EXCHANGE.replace(exchange);
    let (result, surroundings) = quillon_ambient::enter(surroundings, f);
    (result, EXCHANGE.replace(outer), surroundings)
}
