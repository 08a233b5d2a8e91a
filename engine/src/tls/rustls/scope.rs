use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use ::rustls::KeyLog;
use ::rustls::pki_types::UnixTime;
use ::rustls::time_provider::TimeProvider;
use quillon_ambient::Surroundings;

use crate::crypto::Secret;
use crate::rng::Rng;

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

std::thread_local! {
    /// What the call that is running on this thread has logged.
    static TAP: RefCell<Vec<Logged>> = const { RefCell::new(Vec::new()) };
}

/// The key log of every config: it gives each secret to the scope of the call that made it.
#[derive(Debug)]
pub(super) struct Tap;

impl KeyLog for Tap {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let kind = SecretKind::ALL.into_iter().find(|kind| kind.label() == label);
        if let (Some(kind), Ok(client_random), Some(secret)) = (kind, client_random.try_into(), Secret::new(secret)) {
            TAP.with(|tap| tap.borrow_mut().push(Logged { kind, client_random, secret }));
        }
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

/// Runs a call of rustls in its scope: the result, the secrets it logged, and the scope for the next call.
pub(super) fn run<R>(surroundings: Surroundings, f: impl FnOnce() -> R) -> (R, Vec<Logged>, Surroundings) {
    // Whatever a call that panicked has left is not ours.
    let outer = TAP.take();
    let (result, surroundings) = quillon_ambient::enter(surroundings, f);
    (result, TAP.replace(outer), surroundings)
}
