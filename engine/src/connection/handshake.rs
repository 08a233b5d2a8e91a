//! The handshake: CRYPTO data to and from TLS, secrets to keys, transport parameters to rooms.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use core::time::Duration;

use super::client_hello::PendingHello;
use super::crypto_stream::CryptoStream;
use super::{Connection, Event};
use crate::connection_id::Issued;
use crate::crypto::{CipherSuite, Secret};
use crate::error::{TransportError, TransportErrorCode};
use crate::resumption::SavedSession;
use crate::rng::Rng;
use crate::settings::{ClientConfig, ServerConfig, TransportSettings};
use crate::tls::{self, TlsError};
use crate::transport_parameters::{PreferredAddress, TransportParameters, VersionInformation, reserved_id};
use crate::version_negotiation::VersionSettings;
use crate::wire::{ConnectionId, Level, Side, Space, Time, Version};

/// Where TLS is.
enum Tls {
    /// A client before its session is made.
    None,
    /// A server that has not seen the whole ClientHello: which version, certificate and configuration to use, and
    /// whether to refuse, is decided when it has.
    ClientHello(PendingHello),
    /// A running session.
    Session(Box<dyn tls::Session>),
}

/// The state of the handshake.
pub(super) struct Handshake {
    side: Side,
    /// The version of the client's first packets.
    chosen_version: Version,
    /// Whether a client knows the version that the server goes on with.
    version_settled: bool,
    tls: Tls,
    streams: [CryptoStream; 3],
    rng: Rng,
    unix_time: Duration,
    started: Time,
    /// The connection ID that the client's very first Initial was sent to.
    original: ConnectionId,
    /// Whether datagrams to `original`, or after a Retry to `retry`, are routed to this connection.
    original_routed: bool,
    local: ConnectionId,
    /// The peer's source connection ID, from the first packet of it.
    pub(super) remote: Option<ConnectionId>,
    /// The source connection ID of the Retry, where there was one.
    pub(super) retry: Option<ConnectionId>,
    /// The token that the client's Initial packets carry.
    pub(super) token: Vec<u8>,
    /// Where we, a server, would rather be reached.
    pub(super) preferred: Option<PreferredAddress>,
    peer: Option<TransportParameters>,
    /// Whether the peer's certificate waits for the caller's verdict.
    pub(super) certificate_asked: bool,
    /// Whether it was told that TLS data waits to be taken.
    pub(super) crypto_told: bool,
    complete: bool,
    confirmed: bool,
}

impl Handshake {
    pub(super) fn new(
        side: Side,
        chosen_version: Version,
        original: ConnectionId,
        local: ConnectionId,
        started: Time,
        unix_time: Duration,
        rng: Rng,
    ) -> Self {
        Self {
            side,
            chosen_version,
            version_settled: !side.is_client(),
            tls: Tls::None,
            streams: Default::default(),
            rng,
            unix_time,
            started,
            original,
            original_routed: !side.is_client(),
            local,
            remote: None,
            retry: None,
            token: Vec::new(),
            preferred: None,
            peer: None,
            certificate_asked: false,
            crypto_told: false,
            complete: false,
            confirmed: false,
        }
    }

    pub(super) fn await_client_hello(&mut self, config: Arc<ServerConfig>) {
        self.tls = Tls::ClientHello(PendingHello::new(config));
    }

    pub(super) const fn side(&self) -> Side {
        self.side
    }

    pub(super) const fn chosen_version(&self) -> Version {
        self.chosen_version
    }

    pub(super) const fn awaits_version(&self) -> bool {
        !self.version_settled
    }

    pub(super) const fn settle_version(&mut self) {
        self.version_settled = true;
    }

    pub(super) const fn pending_hello(&self) -> Option<&PendingHello> {
        match &self.tls {
            Tls::ClientHello(pending) => Some(pending),
            Tls::None | Tls::Session(_) => None,
        }
    }

    pub(super) const fn pending_hello_mut(&mut self) -> Option<&mut PendingHello> {
        match &mut self.tls {
            Tls::ClientHello(pending) => Some(pending),
            Tls::None | Tls::Session(_) => None,
        }
    }

    pub(super) const fn original(&self) -> ConnectionId {
        self.original
    }

    pub(super) fn take_original_route(&mut self) -> Option<ConnectionId> {
        core::mem::take(&mut self.original_routed).then(|| self.retry.unwrap_or(self.original))
    }

    /// The client's Initial answers a Retry of ours, and was sent to `retry_source`.
    pub(super) const fn accept_retry(&mut self, retry_source: ConnectionId) {
        self.retry = Some(retry_source);
        self.original_routed = true;
    }

    pub(super) const fn local(&self) -> ConnectionId {
        self.local
    }

    pub(super) fn session(&self) -> Option<&dyn tls::Session> {
        match &self.tls {
            Tls::Session(session) => Some(session.as_ref()),
            Tls::None | Tls::ClientHello(_) => None,
        }
    }

    pub(super) fn session_mut(&mut self) -> Option<&mut dyn tls::Session> {
        match &mut self.tls {
            Tls::Session(session) => Some(session.as_mut()),
            Tls::None | Tls::ClientHello(_) => None,
        }
    }

    pub(super) fn set_session(&mut self, session: Box<dyn tls::Session>) {
        self.tls = Tls::Session(session);
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) const fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    pub(super) const fn peer(&self) -> Option<&TransportParameters> {
        self.peer.as_ref()
    }

    pub(super) const fn stream(&mut self, space: Space) -> &mut CryptoStream {
        let [initial, handshake, application] = &mut self.streams;
        match space {
            Space::Initial => initial,
            Space::Handshake => handshake,
            Space::Application => application,
        }
    }

    pub(super) fn has_data(&self, space: Space) -> bool {
        self.streams.get(space as usize).is_some_and(CryptoStream::has_data)
    }

    pub(super) fn discard_stream(&mut self, space: Space) {
        *self.stream(space) = CryptoStream::default();
    }

    pub(super) fn memory_used(&self) -> usize {
        let waiting = match &self.tls {
            Tls::ClientHello(pending) => pending.memory_used(),
            Tls::Session(session) => session.memory_used(),
            Tls::None => 0,
        };
        waiting + self.streams.iter().map(CryptoStream::memory_used).sum::<usize>()
    }

    /// Our own transport parameters, encoded.
    pub(super) fn transport_parameters(
        &mut self,
        settings: &TransportSettings,
        version: Version,
        reset_token: Option<[u8; 16]>,
    ) -> Vec<u8> {
        let mut available: Vec<_> =
            if self.side.is_client() { settings.versions.offered() } else { settings.versions.supported().collect() };
        if settings.grease {
            available.push(Version::reserved(self.rng.u64() as u32));
        }
        let server = !self.side.is_client();
        let limits = super::streams::receive_limits(settings);
        let parameters = TransportParameters {
            original_destination_connection_id: server.then_some(self.original),
            // Every connection without an ID would have the same token.
            stateless_reset_token: reset_token.filter(|_| server && !self.local.is_empty()),
            retry_source_connection_id: self.retry.filter(|_| server),
            initial_source_connection_id: Some(self.local),
            max_idle_timeout: millis(settings.max_idle_timeout),
            initial_max_data: limits.max_data,
            initial_max_stream_data_bidi_local: limits.max_stream_data_bidi_local,
            initial_max_stream_data_bidi_remote: limits.max_stream_data_bidi_remote,
            initial_max_stream_data_uni: limits.max_stream_data_uni,
            initial_max_streams_bidi: limits.max_streams_bidi,
            initial_max_streams_uni: limits.max_streams_uni,
            max_udp_payload_size: settings.max_received_udp_payload_size.into(),
            ack_delay_exponent: settings.ack_delay_exponent.into(),
            // Rounded up: we keep what we promise.
            max_ack_delay: millis(settings.max_ack_delay.saturating_add(Duration::from_nanos(999_999))),
            active_connection_id_limit: settings.active_connection_id_limit.into(),
            max_datagram_frame_size: settings.datagrams.max_frame_size,
            disable_active_migration: settings.disable_active_migration,
            preferred_address: self.preferred,
            version_information: Some(VersionInformation { chosen: version, available }),
            grease_quic_bit: settings.grease_quic_bit,
        };
        let mut encoded = Vec::new();
        let grease: (u64, [u8; 4]) = (reserved_id(self.rng.u64()), self.rng.bytes());
        parameters.encode(&mut encoded, settings.grease.then_some((grease.0, &grease.1)));
        encoded
    }

    /// What a session of `version` starts with.
    pub(super) fn tls_start<'a>(&mut self, version: Version, transport_parameters: &'a [u8]) -> tls::Start<'a> {
        tls::Start {
            version,
            transport_parameters,
            rng: self.rng.fork(),
            unix_time: self.unix_time,
            resume: None,
            early_data: false,
            early_data_context: &[],
        }
    }

    /// Passes what is readable in `space` to TLS. A ClientHello that waits for a decision takes no more.
    fn deliver(&mut self, space: Space) -> Result<(), TlsError> {
        let level = match space {
            Space::Initial => Level::Initial,
            Space::Handshake => Level::Handshake,
            Space::Application => Level::OneRtt,
        };
        let Some(readable) = self.streams.get(space as usize).map(CryptoStream::readable) else { return Ok(()) };
        let len = readable.len();
        match &mut self.tls {
            Tls::None => {}
            Tls::Session(session) => session.read_crypto(level, readable)?,
            Tls::ClientHello(pending) if pending.hello().is_some() => return Ok(()),
            Tls::ClientHello(pending) => pending.read(readable)?,
        }
        self.stream(space).consume(len);
        Ok(())
    }

    fn poll_output(&mut self) -> Option<tls::Output> {
        match &mut self.tls {
            Tls::Session(session) => session.poll_output(),
            Tls::None | Tls::ClientHello(_) => None,
        }
    }

    /// The peer's transport parameters, once: checked against the connection IDs in use (RFC 9000 section 7.3).
    fn take_peer_parameters(
        &mut self,
        versions: &VersionSettings,
        version: Version,
    ) -> Result<Option<&TransportParameters>, TransportError> {
        if self.peer.is_some() {
            return Ok(None);
        }
        let Some(encoded) = self.session().and_then(tls::Session::peer_transport_parameters) else { return Ok(None) };
        let parameters = TransportParameters::decode(encoded, self.side.peer())?;
        let mismatch = |what| Err(TransportError::new(TransportErrorCode::TRANSPORT_PARAMETER_ERROR, what));
        if parameters.initial_source_connection_id.is_none() || parameters.initial_source_connection_id != self.remote {
            return mismatch("initial_source_connection_id is not the one in use");
        }
        if self.side.is_client() {
            if parameters.original_destination_connection_id != Some(self.original) {
                return mismatch("original_destination_connection_id is not the one first used");
            }
            if parameters.retry_source_connection_id != self.retry {
                return mismatch("retry_source_connection_id does not match the Retry");
            }
            versions.check_server(version, parameters.version_information.as_ref())?;
        }
        Ok(Some(self.peer.insert(parameters)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(crate::wire::varint::MAX)
}

impl Connection {
    pub(super) fn start_client_tls(
        &mut self,
        config: &ClientConfig,
        server_name: &str,
        session: Option<&SavedSession>,
    ) -> Result<(), TlsError> {
        let parameters = self.handshake.transport_parameters(&self.settings, self.version, None);
        self.trace_parameters(&parameters);
        let mut start = self.handshake.tls_start(self.version, &parameters);
        if let Some(session) = session {
            self.remember(session);
            start.resume = Some(session.ticket());
            start.early_data = config.early_data;
        }
        self.handshake.set_session(config.tls.start(server_name, start)?);
        let now = self.handshake.started;
        if let Err(error) = self.take_tls_output(now) {
            return Err(TlsError::new(tls::alert::INTERNAL_ERROR, error.reason));
        }
        Ok(())
    }

    /// Passes received CRYPTO data to TLS, and what TLS makes of it to the rest of the connection.
    pub(super) fn drive_handshake(&mut self, now: Time, space: Space) -> Result<(), TransportError> {
        if self.handshake.streams.get(space as usize).is_none_or(|stream| stream.readable().is_empty()) {
            return Ok(());
        }
        let delivered = self.handshake.deliver(space);
        // Also after a fault: what came up before it are keys under which the peer can read of it.
        self.take_tls_output(now)?;
        delivered?;
        self.on_client_hello(now)
    }

    pub(super) fn take_tls_output(&mut self, now: Time) -> Result<(), TransportError> {
        while let Some(output) = self.handshake.poll_output() {
            match output {
                tls::Output::Crypto { level, data } => self.handshake.stream(level.space()).push(&data),
                tls::Output::ReadSecret { level, suite, secret } => self.install_keys(level, suite, secret, false),
                tls::Output::WriteSecret { level, suite, secret } => self.install_keys(level, suite, secret, true),
                tls::Output::KeyLog { label, client_random, secret } => {
                    self.events.push_back(Event::KeyLog(key_log_line(label, &client_random, &secret)));
                }
                tls::Output::EarlyData { accepted } => self.on_early_data_answer(now, accepted)?,
                tls::Output::SessionTicket(ticket) => self.on_session_ticket(ticket),
                tls::Output::PeerCertificate => self.on_peer_certificate(),
                tls::Output::HandshakeComplete => {
                    self.apply_peer_parameters()?;
                    self.on_handshake_complete(now)?;
                }
            }
        }
        self.tell_crypto();
        self.apply_peer_parameters()
    }

    fn install_keys(&mut self, level: Level, suite: CipherSuite, secret: Secret, for_writing: bool) {
        // 0-RTT packets keep the version of the first flight (RFC 9369 section 4.1).
        let version = if level == Level::ZeroRtt { self.handshake.chosen_version() } else { self.version };
        self.keys.install(&self.crypto, version, level, suite, secret, for_writing);
        if level == Level::ZeroRtt {
            self.on_early_data_keys();
        }
    }

    fn apply_peer_parameters(&mut self) -> Result<(), TransportError> {
        let Some(peer) = self.handshake.take_peer_parameters(&self.settings.versions, self.version)? else {
            return Ok(());
        };
        self.streams.set_peer_limits(&super::early_data::stream_limits(peer));
        self.datagrams.set_peer_max_frame_size(peer.max_datagram_frame_size);
        self.recovery.set_peer_max_ack_delay(peer.max_ack_delay.saturating_mul(1_000_000));
        self.local_ids.set_limit(peer.active_connection_id_limit);
        self.timers.set_peer_idle_timeout(peer.max_idle_timeout.saturating_mul(1_000_000));
        if peer.grease_quic_bit && self.settings.grease_quic_bit {
            self.quic_bit.randomize();
        }
        if let Some(token) = peer.stateless_reset_token {
            self.remote_ids.set_handshake_reset_token(token);
        }
        if let Some(preferred) = peer.preferred_address {
            let PreferredAddress { connection_id: id, stateless_reset_token: reset_token, .. } = preferred;
            self.remote_ids.on_new(Issued { sequence: 1, id, reset_token }, 0)?;
        }
        self.trace_peer_parameters();
        self.check_remembered()
    }

    fn on_handshake_complete(&mut self, now: Time) -> Result<(), TransportError> {
        if self.handshake.peer().is_none() {
            return Err(TransportError {
                code: TransportErrorCode::crypto(109),
                frame_type: 0x06,
                reason: "the peer sent no transport parameters".into(),
            });
        }
        self.allow_larger(self.paths.active().id());
        self.apply_path_size();
        self.handshake.complete = true;
        self.stats.handshake_duration = Some(now.saturating_sub(self.handshake.started));
        self.timers.on_handshake_complete();
        self.trace_handshake_complete();
        self.events.push_back(Event::HandshakeComplete);
        if !self.side().is_client() {
            self.pending.handshake_done = true;
            self.retire_early_data(now);
            self.confirm_handshake();
        }
        self.issue_connection_ids()
    }

    /// RFC 9001 section 4.9.2: Handshake keys go when the handshake is confirmed.
    pub(super) fn confirm_handshake(&mut self) {
        if !self.handshake.confirmed {
            self.handshake.confirmed = true;
            self.discard_space(Space::Handshake);
            if !self.keys.reads_early_data() {
                self.unroute_original();
            }
            self.events.push_back(Event::HandshakeConfirmed);
        }
    }
}

fn key_log_line(label: &str, client_random: &[u8; 32], secret: &Secret) -> String {
    let mut line = format!("{label} ");
    for byte in client_random {
        let _ = write!(line, "{byte:02x}");
    }
    line.push(' ');
    for byte in secret.as_slice() {
        let _ = write!(line, "{byte:02x}");
    }
    line
}
