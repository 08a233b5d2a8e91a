//! Resumption and early data: what a client sends in 0-RTT packets under remembered limits, and what becomes of it
//! (RFC 9000 section 7.4.1, RFC 9001 section 4.6).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Connection, Event};
use crate::diagnostics::TraceEvent;
use crate::error::TransportError;
use crate::resumption::SavedSession;
use crate::settings::ClientConfig;
use crate::stream::{Limits, Streams};
use crate::tls::{self, SessionTicket};
use crate::transport_parameters::{RememberedParameters, TransportParameters};
use crate::wire::{Level, Side, Space, StreamId, Time};

/// What early data has come to (RFC 9001 section 4.6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlyDataStatus {
    /// There is none: it was not offered, or, at a server, not taken.
    #[default]
    None,
    /// At a client: it can be sent, and the server has not said whether it takes it.
    Offered,
    /// The server takes it.
    Accepted,
    /// At a client: the server does not take it. What was sent is as if it had never been.
    Rejected,
}

/// The state of early data.
#[derive(Debug, Default)]
pub(super) struct EarlyData {
    status: EarlyDataStatus,
    /// At a client that resumes, what it remembers of the server.
    remembered: Option<RememberedParameters>,
    /// When a server's 0-RTT keys go.
    pub(super) discard_at: Option<Time>,
}

/// The session of `config` that a connection to `server_name` can resume: it is with that server, and of a version that
/// the connection may start with.
pub(super) fn session_to_resume<'a>(config: &'a ClientConfig, server_name: &str) -> Option<&'a SavedSession> {
    let versions = &config.transport.versions;
    config.session.as_ref().filter(|session| {
        let free = versions.original.is_none() && versions.chosen.is_supported();
        session.server_name() == server_name
            && (session.version() == versions.chosen || (free && versions.accepts(session.version())))
    })
}

/// What clients remember of a server with these transport parameters.
pub(super) fn early_data_context(encoded: &[u8]) -> Vec<u8> {
    TransportParameters::decode(encoded, Side::Server)
        .map(|parameters| RememberedParameters::of(&parameters).to_bytes())
        .unwrap_or_default()
}

/// The limits for streams in transport parameters.
pub(super) const fn stream_limits(parameters: &TransportParameters) -> Limits {
    Limits {
        max_data: parameters.initial_max_data,
        max_stream_data_bidi_local: parameters.initial_max_stream_data_bidi_local,
        max_stream_data_bidi_remote: parameters.initial_max_stream_data_bidi_remote,
        max_stream_data_uni: parameters.initial_max_stream_data_uni,
        max_streams_bidi: parameters.initial_max_streams_bidi,
        max_streams_uni: parameters.initial_max_streams_uni,
    }
}

impl Connection {
    /// Whether the handshake resumed an earlier session, once it is complete.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.is_handshake_complete() && self.handshake.session().is_some_and(tls::Session::is_resumed)
    }

    /// What early data has come to.
    #[must_use]
    pub const fn early_data_status(&self) -> EarlyDataStatus {
        self.early_data.status
    }

    /// Whether what can be read of a stream is early data that may come a second time: an attacker can send a client's
    /// 0-RTT packets again, to this server or another (RFC 9001 section 9.2). Once the handshake is complete nothing is.
    ///
    /// Where that matters, act on such data only if doing so twice does no harm, or leave it unread until
    /// [`Event::HandshakeComplete`].
    #[must_use]
    pub fn is_early_data(&self, id: StreamId) -> bool {
        // Before the handshake is complete a server reads no 1-RTT packets (RFC 9001 section 5.7).
        self.side() == Side::Server
            && !self.is_handshake_complete()
            && id.initiator() == Side::Client
            && self.streams.receive_state(id).is_some()
    }

    /// At a client whose handshake is complete, what it may remember of the server's transport parameters for the early
    /// data of later connections, to be kept as bytes: see [`RememberedParameters`].
    #[must_use]
    pub fn remembered_transport_parameters(&self) -> Option<RememberedParameters> {
        let known = self.side().is_client() && self.is_handshake_complete();
        self.handshake.peer().filter(|_| known).map(RememberedParameters::of)
    }

    /// A client that resumes a session: the limits for its early data are those of the session.
    pub(super) fn remember(&mut self, session: &SavedSession) {
        self.early_data.remembered = Some(session.transport_parameters().clone());
    }

    /// There are 0-RTT keys: a client can send early data, a server takes it.
    pub(super) fn on_early_data_keys(&mut self) {
        if self.side().is_client() {
            self.early_data.status = EarlyDataStatus::Offered;
            if let Some(remembered) = &self.early_data.remembered {
                self.streams.set_peer_limits(&stream_limits(remembered.get()));
                self.datagrams.set_peer_max_frame_size(remembered.get().max_datagram_frame_size);
                if let Some(trace) = &mut self.trace {
                    trace.record(&TraceEvent::ParametersRestored(remembered.get()));
                }
            }
        } else {
            self.early_data.status = EarlyDataStatus::Accepted;
            self.events.push_back(Event::EarlyDataAccepted);
        }
    }

    /// The server has said whether it takes the early data.
    pub(super) fn on_early_data_answer(&mut self, now: Time, accepted: bool) -> Result<(), TransportError> {
        if self.early_data.status != EarlyDataStatus::Offered {
            return Ok(());
        }
        if accepted {
            self.early_data.status = EarlyDataStatus::Accepted;
            self.events.push_back(Event::EarlyDataAccepted);
            return self.check_remembered();
        }
        self.early_data.status = EarlyDataStatus::Rejected;
        self.keys.discard_early_data();
        // Packet numbers go on; all else that the 0-RTT packets brought about is undone (RFC 9000 section 4.6, RFC 9002
        // section 6.4).
        let (mut fate, recovery) = self.fate(now);
        recovery.forget_sent(Space::Application, &mut fate);
        self.streams = Streams::new(Side::Client, &super::streams::stream_settings(&self.settings));
        let (limits, datagram) = match self.handshake.peer() {
            Some(peer) => (stream_limits(peer), peer.max_datagram_frame_size),
            None => (Limits::default(), 0),
        };
        self.streams.set_peer_limits(&limits);
        self.datagrams.set_peer_max_frame_size(datagram);
        self.events.push_back(Event::EarlyDataRejected);
        Ok(())
    }

    /// RFC 9000 section 7.4.1: a server that takes early data keeps to the limits under which it was sent.
    pub(super) fn check_remembered(&self) -> Result<(), TransportError> {
        let lowered = self.early_data.status == EarlyDataStatus::Accepted
            && self
                .early_data
                .remembered
                .as_ref()
                .zip(self.handshake.peer())
                .is_some_and(|(before, now)| !before.are_kept_by(now));
        if lowered {
            return Err(Self::protocol_violation(
                "the server takes early data and lowers a limit that it was sent under",
            ));
        }
        Ok(())
    }

    /// A ticket of the server's: what it takes to resume this session.
    pub(super) fn on_session_ticket(&mut self, ticket: SessionTicket) {
        if let (Some(peer), Some(name)) = (self.handshake.peer(), self.server_name()) {
            let session = SavedSession::new(name, self.version, RememberedParameters::of(peer), ticket);
            self.events.push_back(Event::NewSession(Box::new(session)));
        }
    }

    /// Whether 0-RTT packets may have come before the keys that read them.
    pub(super) fn awaits_early_data_keys(&self) -> bool {
        self.side() == Side::Server && self.handshake.session().is_none()
    }

    /// RFC 9001 section 4.9.3: a server keeps its 0-RTT keys, and the route of packets that were sent before the client
    /// knew our connection ID, for three probe timeouts after the handshake, for packets that were overtaken.
    pub(super) fn retire_early_data(&mut self, now: Time) {
        if self.keys.reads_early_data() {
            let kept = self.recovery.pto(Space::Application).saturating_mul(3);
            self.early_data.discard_at = Some(now.saturating_add(kept));
        }
    }

    /// Lets go of the 0-RTT keys when their time has come.
    pub(super) fn discard_early_data(&mut self, now: Time) {
        if self.early_data.discard_at.is_some_and(|at| at <= now) {
            self.early_data.discard_at = None;
            self.keys.discard_early_data();
            self.unroute_original();
        }
    }

    /// Whether there is early data to send.
    pub(super) fn has_early_data(&self) -> bool {
        self.keys.can_write(Level::ZeroRtt)
            && (self.streams.has_control() || self.streams.has_data() || self.datagrams.has_data())
    }
}
