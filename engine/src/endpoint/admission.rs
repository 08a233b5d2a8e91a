//! First Initials: who decides about them, and what comes of it (RFC 9000 sections 5.2.2, 7.2, 8.1 and 17.2.5).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::reply::Reply;
use super::waiting::Held;
use super::{ConnectionHandle, Endpoint};
use crate::connection::{ConnectError, Connection};
use crate::error::TransportErrorCode;
use crate::packet::{self, Layout, PacketType};
use crate::path::MIN_DATAGRAM_SIZE;
use crate::settings::ServerConfig;
use crate::stateless::{self, MIN_FIRST_ID_LEN};
use crate::token::{self, Verdict};
use crate::wire::{ConnectionId, Ecn, FourTuple, Time, Version};

/// Why a full server refuses, for people.
const FULL: &str = "the server is full";

/// Who decides about a client's first Initial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// Every client is accepted while there is room. The default.
    #[default]
    Automatic,
    /// Every client is accepted while there is room; one whose address no token proves is sent a Retry first (RFC 9000
    /// section 8.1.2), which costs it a round trip.
    AutomaticWithRetry {
        /// With so many handshakes under way, and more; below it, clients are accepted as they come. 0 is always.
        threshold: u32,
    },
    /// The caller decides: see [`Endpoint::poll_incoming`].
    Ask,
}

/// What is known of the address of a client that asks for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressValidation {
    /// Nothing: it may be forged.
    None,
    /// The client answers our Retry from there.
    Retry,
    /// The client shows a token that an earlier connection from the same IP address was given.
    NewToken,
}

/// What a first Initial says.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    pub(super) path: FourTuple,
    pub(super) version: Version,
    /// Where it was sent to: the client's choice or, after a Retry, ours.
    pub(super) destination: ConnectionId,
    pub(super) source: ConnectionId,
    pub(super) verdict: Verdict,
}

impl First {
    fn validation(&self) -> AddressValidation {
        match self.verdict {
            Verdict::Retry { .. } => AddressValidation::Retry,
            Verdict::NewToken(_) => AddressValidation::NewToken,
            Verdict::Absent | Verdict::InvalidRetry => AddressValidation::None,
        }
    }

    /// The connection ID that the client's very first Initial was sent to.
    fn original(&self) -> ConnectionId {
        match self.verdict {
            Verdict::Retry { original } => original,
            _ => self.destination,
        }
    }
}

/// A client that asks for a connection, and waits for [`accept`](Endpoint::accept), [`refuse`](Endpoint::refuse),
/// [`retry`](Endpoint::retry) or [`ignore`](Endpoint::ignore). Without an answer within 10 s, it is ignored.
#[must_use = "the client waits for an answer"]
#[derive(Debug)]
pub struct Incoming {
    question: u64,
    first: Box<First>,
}

impl Incoming {
    /// The addresses between which the client's first Initial came.
    #[must_use]
    pub fn path(&self) -> FourTuple {
        self.first.path
    }

    /// What proves that the client receives at its address.
    #[must_use]
    pub fn address_validation(&self) -> AddressValidation {
        self.first.validation()
    }

    /// The version of the client's Initial.
    #[must_use]
    pub fn version(&self) -> Version {
        self.first.version
    }

    /// The connection ID that the client's very first Initial was sent to: before a Retry, where there was one. It
    /// names the connection in logs of both ends.
    #[must_use]
    pub fn original_destination(&self) -> ConnectionId {
        self.first.original()
    }
}

/// Why a connection was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// The answer came too late: the client's packets are dropped. It may have sent its Initial again, which asks
    /// again.
    Expired,
    /// The endpoint is no server any more: its configuration was taken away.
    NotAServer,
    /// There is no room, or the settings are not valid. The client was refused.
    Refused(ConnectError),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("the answer came too late: the client's packets are dropped"),
            Self::NotAServer => f.write_str("the endpoint has no server configuration"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AcceptError {}

/// No Retry was sent: a token already proves the client's address, and a client ignores a second Retry (RFC 9000
/// section 17.2.5.2). The client still waits for an answer.
#[derive(Debug)]
pub struct AlreadyValidated(pub Incoming);

impl fmt::Display for AlreadyValidated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token already proves the client's address")
    }
}

impl core::error::Error for AlreadyValidated {}

impl Endpoint {
    /// Chooses who decides about first Initials from now on. What waits for a decision still does.
    pub const fn set_admission(&mut self, admission: Admission) {
        self.config.admission = admission;
    }

    /// With [`Admission::Ask`], the next client that asks for a connection; `None` when there is none. Call it after
    /// [`receive`](Self::receive). Its Initial is authentic, its token was judged, and what else it sends is kept,
    /// within limits, until the answer.
    pub fn poll_incoming(&mut self) -> Option<Incoming> {
        self.waiting.poll_question().map(|(question, first)| Incoming { question, first: Box::new(first) })
    }

    /// Accepts a client, with `config` or, where that is `None`, with what [`set_server`](Self::set_server) set. The
    /// handshake goes on at once; [`Event::Accepted`](crate::Event::Accepted) is the connection's first event.
    ///
    /// # Errors
    ///
    /// Those of [`AcceptError`].
    pub fn accept(
        &mut self,
        now: Time,
        incoming: Incoming,
        config: Option<&Arc<ServerConfig>>,
    ) -> Result<ConnectionHandle, AcceptError> {
        let Incoming { question, first } = incoming;
        let datagrams = self.waiting.answer(question, &first.destination).ok_or(AcceptError::Expired)?;
        let config = config.or(self.server.as_ref()).cloned().ok_or(AcceptError::NotAServer)?;
        let checked = config.transport.validate().map_err(ConnectError::Settings).and_then(|()| self.check_room());
        if let Err(error) = checked {
            self.close_initial(now, &first, TransportErrorCode::CONNECTION_REFUSED, FULL);
            return Err(AcceptError::Refused(error));
        }
        let Some(mut connection) = self.open(now, &config, &first) else {
            self.close_initial(now, &first, TransportErrorCode::CONNECTION_REFUSED, FULL);
            return Err(AcceptError::Refused(ConnectError::NoConnectionId));
        };
        for mut held in datagrams {
            connection.receive(now, held.path, held.ecn, &mut held.datagram);
        }
        let index = self.admit(connection);
        Ok(self.slots.handle(index))
    }

    /// Refuses a client: it is told CONNECTION_REFUSED (RFC 9000 section 5.2.2), within the
    /// [limits](super::ReplyLimits).
    pub fn refuse(&mut self, now: Time, incoming: Incoming) {
        if self.waiting.answer(incoming.question, &incoming.first.destination).is_some() {
            self.close_initial(now, &incoming.first, TransportErrorCode::CONNECTION_REFUSED, "");
        }
    }

    /// Drops what a client sent, without a word. Should it send its Initial again, that asks again.
    pub fn ignore(&mut self, incoming: Incoming) {
        self.waiting.answer(incoming.question, &incoming.first.destination);
    }

    /// Sends a client a Retry: it has to show that it receives at its address (RFC 9000 section 8.1.2). When it has,
    /// it comes back as another [`Incoming`].
    ///
    /// # Errors
    ///
    /// The address is validated already.
    pub fn retry(&mut self, now: Time, incoming: Incoming) -> Result<(), AlreadyValidated> {
        if incoming.first.validation() != AddressValidation::None {
            return Err(AlreadyValidated(incoming));
        }
        if self.waiting.answer(incoming.question, &incoming.first.destination).is_some() {
            self.send_retry(now, &incoming.first);
        }
        Ok(())
    }

    /// A datagram with a long header for no connection.
    pub(super) fn receive_unrouted(&mut self, now: Time, path: FourTuple, ecn: Ecn, datagram: &mut [u8]) {
        if self.server.is_none() {
            return;
        }
        let greases = self.server.as_ref().is_some_and(|server| server.transport.grease_quic_bit);
        let parse = if greases { packet::parse_greased } else { packet::parse };
        let Ok(layout) = parse(datagram, self.ids.generator.id_len()) else { return };
        let keep = |datagram: &[u8]| Held { path, ecn, datagram: Vec::from(datagram) };
        match layout.ty {
            // RFC 9000 section 14.1.
            PacketType::Initial if datagram.len() < MIN_DATAGRAM_SIZE => {}
            PacketType::Initial if self.waiting.is_asked(&layout.dcid) => {
                self.waiting.hold(now, layout.dcid, keep(datagram));
            }
            PacketType::Initial => self.on_first_initial(now, path, ecn, &layout, datagram),
            // Early data may overtake its Initial (RFC 9000 section 5.2.2).
            PacketType::ZeroRtt if layout.dcid.len() >= MIN_FIRST_ID_LEN || self.waiting.is_asked(&layout.dcid) => {
                self.waiting.hold(now, layout.dcid, keep(datagram));
            }
            _ => {}
        }
    }

    fn on_first_initial(&mut self, now: Time, path: FourTuple, ecn: Ecn, layout: &Layout, datagram: &mut [u8]) {
        let Some(server) = self.server.clone() else { return };
        let clock = self.clock(now);
        let token = datagram.get(layout.token.clone()).unwrap_or_default();
        let verdict = if token.is_empty() {
            Verdict::Absent
        } else {
            let client = token::Client { version: layout.version, address: path.remote };
            self.tokens.judge(server.crypto.as_ref(), clock, client, &layout.dcid, token)
        };
        let (version, destination, source) = (layout.version, layout.dcid, layout.scid);
        let first = First { path, version, destination, source, verdict };
        // RFC 9287 section 3.1: from a client that knows us from the connection in which it got its token.
        if !packet::has_fixed_bit(datagram) && first.validation() == AddressValidation::None {
            return;
        }
        if destination.len() < MIN_FIRST_ID_LEN && first.validation() != AddressValidation::Retry {
            return;
        }
        let accepts = match self.config.admission {
            Admission::Automatic => true,
            Admission::AutomaticWithRetry { threshold } => {
                first.validation() != AddressValidation::None || self.handshakes < threshold
            }
            Admission::Ask => false,
        };
        if accepts && verdict != Verdict::InvalidRetry && self.check_room().is_ok() {
            return self.accept_first(now, &server, &first, ecn, datagram);
        }
        // What is not authentic is not answered.
        if !stateless::is_authentic(server.crypto.as_ref(), layout, datagram) {
            return;
        }
        if verdict == Verdict::InvalidRetry {
            let reason = "the Retry token is not valid here and now";
            self.close_initial(now, &first, TransportErrorCode::INVALID_TOKEN, reason);
        } else if self.check_room().is_err() {
            self.close_initial(now, &first, TransportErrorCode::CONNECTION_REFUSED, FULL);
        } else if self.config.admission == Admission::Ask {
            let held = Held { path, ecn, datagram: Vec::from(&*datagram) };
            let full = self.waiting.questions() >= self.config.max_incoming;
            if full || !self.waiting.ask(now, first, held) {
                return self.close_initial(now, &first, TransportErrorCode::CONNECTION_REFUSED, FULL);
            }
            self.spend_token(now, &first);
        } else {
            self.send_retry(now, &first);
        }
    }

    fn accept_first(&mut self, now: Time, server: &Arc<ServerConfig>, first: &First, ecn: Ecn, datagram: &mut [u8]) {
        let Some(mut connection) = self.open(now, server, first) else { return };
        connection.receive(now, first.path, ecn, datagram);
        // A first packet that is not authentic leaves nothing behind.
        if connection.stats().packets_received > 0 {
            self.spend_token(now, first);
            for mut early in self.waiting.take_early(&first.destination, first.path) {
                connection.receive(now, early.path, early.ecn, &mut early.datagram);
            }
            self.admit(connection);
        }
    }

    /// A connection for a first Initial, which has not been given to it. `None` where there is no connection ID for it.
    fn open(&mut self, now: Time, config: &Arc<ServerConfig>, first: &First) -> Option<Connection> {
        let start = self.start(now, first.path)?;
        let mut connection = Connection::server(config, first.version, first.original(), first.source, start);
        match first.validation() {
            AddressValidation::None => {}
            AddressValidation::Retry => connection.validate_address(Some(first.destination)),
            AddressValidation::NewToken => connection.validate_address(None),
        }
        Some(connection)
    }

    /// A token is good for one authentic Initial.
    fn spend_token(&mut self, now: Time, first: &First) {
        if let Verdict::NewToken(ticket) = first.verdict {
            let clock = self.clock(now);
            self.tokens.spend(clock, ticket);
        }
    }

    /// Takes in a connection whose first packets were authentic.
    fn admit(&mut self, connection: Connection) -> u32 {
        let index = self.insert(connection);
        self.slots.set_tokens_due(index, self.tokens.per_connection() > 0);
        self.touch(index);
        index
    }

    /// Gives a client tokens for later connections, once its handshake is confirmed.
    pub(super) fn issue_tokens(&mut self, now: Time, index: u32) {
        let clock = self.clock(now);
        let Some(provider) = self.crypto.clone() else { return };
        let Some(connection) =
            self.slots.connection_mut(index).filter(|connection| connection.is_handshake_confirmed())
        else {
            return;
        };
        let server = !connection.side().is_client();
        let client = token::Client { version: connection.version(), address: connection.path().remote };
        for _ in 0..if server { self.tokens.per_connection() } else { 0 } {
            let token = self.tokens.new_token(provider.as_ref(), &mut self.rng, clock, client);
            connection.issue_token(token);
        }
        self.slots.set_tokens_due(index, false);
    }

    fn send_retry(&mut self, now: Time, first: &First) {
        let Some(provider) = self.crypto.clone() else { return };
        if !self.budgets.retries.take(now) {
            return;
        }
        let clock = self.clock(now);
        let retry_source = self.ids.generator.generate(&mut self.rng);
        let ids = (&first.destination, &retry_source);
        let client = token::Client { version: first.version, address: first.path.remote };
        let token = self.tokens.retry(provider.as_ref(), &mut self.rng, clock, client, ids);
        self.reply(Reply::retry(first, &retry_source, &token, provider.as_ref()));
    }

    /// An Initial with CONNECTION_CLOSE, without a connection.
    fn close_initial(&mut self, now: Time, first: &First, code: TransportErrorCode, reason: &str) {
        if let Some(provider) = self.crypto.clone()
            && self.budgets.refusals.take(now)
        {
            self.reply(Reply::close(first, provider.as_ref(), code, reason));
        }
    }
}
