//! Many connections behind one socket.
//!
//! The endpoint finds the connection of a datagram by its connection ID, accepts new ones or has the caller decide about
//! them ([`Admission`]), answers datagrams for which there is none, and keeps the memory budget. All its work is
//! proportional to what it is given: connections without news cost nothing.
//!
//! # Several workers, and restarts
//!
//! By default an endpoint's keys come from its seed: what it gave away, address tokens and connection IDs that can be
//! reset, means nothing to another process. Workers that share an address, and a process that takes over from another,
//! share [`TokenSettings::key`] and [`EndpointConfig::stateless_reset_key`], and set the time of day
//! ([`Endpoint::set_unix_time`]). To change a key, start with the new one and the old one as its
//! [previous](StaticKey::with_previous).
//!
//! Invariants: every connection ID routes to one live connection; a connection touched since it was last idle is in
//! `ready`; the sum of what connections hold is known, and above the budget nothing new is accepted or buffered.

mod admission;
mod empty_ids;
mod last_logs;
mod rate;
mod reply;
mod slots;
mod stateless_reset;
mod waiting;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::connection::{ConnectError, Connection, Event, IdSettings, Idle, Outgoing, Start, Transmit};
use crate::connection_id::{IdGeneration, Route, generate_free};
use crate::crypto::{Provider, Secret, StaticKey};
use crate::packet::{self, FirstLook};
use crate::path::MIN_DATAGRAM_SIZE;
use crate::rng::Rng;
use crate::settings::{ClientConfig, ServerConfig, SettingsError};
use crate::token::{TokenSettings, Tokens};
use crate::wire::{ConnectionId, Ecn, FourTuple, Time, Version};

use empty_ids::EmptyIds;
use rate::Budgets;
use reply::Reply;
use slots::Slots;
use stateless_reset::ResetKey;
use waiting::Waiting;

pub use admission::{AcceptError, AddressValidation, Admission, AlreadyValidated, Incoming};
pub use last_logs::LastLogs;
pub use rate::{RateLimit, ReplyLimits};
pub use slots::ConnectionHandle;

/// Answers outside connections that wait to be sent; more are dropped.
const MAX_REPLIES: usize = 128;

/// What a connection is counted for at least: its own state, and TLS's.
const CONNECTION_RESERVE: usize = Connection::STATE_SIZE + (24 << 10);

/// What a caller chooses for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointConfig {
    /// The length of our connection IDs, 4 to 20 bytes; other values are moved into that range, but for 0: an endpoint of
    /// clients needs none if each of its connections has a port of its own, and saves the bytes. Without connection IDs
    /// a connection is known by our port and the peer's address, so that nothing finds it when the peer's changes: not
    /// for servers. Default: 8.
    pub connection_id_len: usize,
    /// Who makes our connection IDs; the length of those that are not random is the generator's. Default: random.
    pub connection_id_generation: IdGeneration,
    /// Bytes that all connections together may hold before new ones are refused and arriving data is dropped before it
    /// is acknowledged. In WebAssembly, stay well below the module's maximum memory. Default: 256 MiB.
    pub memory_budget: usize,
    /// Connections at once; at most 1,048,575. Default: 100,000.
    pub max_connections: u32,
    /// Who decides about clients' first Initials, where a server configuration is set. Default: automatic.
    pub admission: Admission,
    /// Clients that may wait for the caller's decision at once; more are refused. What they send meanwhile is kept, up to
    /// 16 datagrams and 64 KiB each and 8 MiB in all. Default: 1,000.
    pub max_incoming: usize,
    /// Address tokens (RFC 9000 section 8.1): their key, their lifetimes and how many.
    pub tokens: TokenSettings,
    /// The key from which the tokens of stateless resets are derived (RFC 9000 section 10.3.2). With the same key a
    /// restarted process, or another worker, can reset the connections that the earlier one lost. A connection ID must
    /// not be reset by a worker while another one has its connection: route by connection ID before workers share it.
    /// Default: `None`, one derived from the endpoint's seed, so that connections of an earlier process end by timeout.
    pub stateless_reset_key: Option<StaticKey>,
    /// How often datagrams that belong to no connection are answered.
    pub reply_limits: ReplyLimits,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            connection_id_len: 8,
            connection_id_generation: IdGeneration::Random,
            memory_budget: 256 << 20,
            max_connections: 100_000,
            admission: Admission::Automatic,
            max_incoming: 1_000,
            tokens: TokenSettings::default(),
            stateless_reset_key: None,
            reply_limits: ReplyLimits::default(),
        }
    }
}

/// Many connections behind one socket. See the [module documentation](self).
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    rng: Rng,
    ids: IdSettings,
    server: Option<Arc<ServerConfig>>,
    /// The packet protection with which datagrams are answered that belong to no connection.
    crypto: Option<Arc<dyn Provider>>,
    previous_reset_key: Option<Secret>,
    tokens: Tokens,
    budgets: Budgets,
    unix_time: Duration,
    /// When `unix_time` was, once a call tells.
    unix_time_at: Option<Time>,
    slots: Slots,
    /// Sorted maps, not hashed ones: their order is a function of their keys, and no choice of keys makes them slow.
    routes: BTreeMap<ConnectionId, u32>,
    /// Connections by what a stateless reset for them looks like.
    resets: BTreeMap<(SocketAddr, ResetKey), u32>,
    /// Connections by their paths, where our connection IDs are empty.
    empty_ids: EmptyIds,
    /// What waits for a connection to be made.
    waiting: Waiting,
    /// Accepted connections whose handshake is not complete.
    handshakes: u32,
    deadlines: BTreeSet<(Time, u32)>,
    /// Connections touched since they last had nothing to send.
    ready: VecDeque<u32>,
    /// Connections that may have events.
    eventful: VecDeque<u32>,
    replies: VecDeque<Reply>,
    /// Logs of connections that are gone.
    last_logs: VecDeque<LastLogs>,
    memory_used: usize,
}

impl Endpoint {
    /// An endpoint whose every random byte comes from `seed`: 32 bytes from a cryptographic source, used once.
    #[must_use]
    pub fn new(mut config: EndpointConfig, seed: [u8; 32]) -> Self {
        if config.connection_id_len > 0 {
            config.connection_id_len = config.connection_id_len.clamp(4, ConnectionId::MAX_LEN);
        }
        let generator = config.connection_id_generation.generator(config.connection_id_len);
        config.max_connections = config.max_connections.min(slots::MAX_SLOTS);
        let mut rng = Rng::from_seed(seed);
        let seeded = StaticKey::new(rng.bytes());
        let reset_key = config.stateless_reset_key.as_ref().unwrap_or(&seeded);
        let ids = IdSettings { generator, reset_key: reset_key.current().clone() };
        let previous_reset_key = reset_key.previous().cloned();
        let tokens = Tokens::new(config.tokens.clone(), rng.bytes());
        let budgets = Budgets::new(&config.reply_limits);
        Self {
            config,
            rng,
            ids,
            server: None,
            crypto: None,
            previous_reset_key,
            tokens,
            budgets,
            unix_time: Duration::ZERO,
            unix_time_at: None,
            slots: Slots::default(),
            routes: BTreeMap::new(),
            resets: BTreeMap::new(),
            empty_ids: EmptyIds::default(),
            waiting: Waiting::default(),
            handshakes: 0,
            deadlines: BTreeSet::new(),
            ready: VecDeque::new(),
            eventful: VecDeque::new(),
            replies: VecDeque::new(),
            last_logs: VecDeque::new(),
            memory_used: 0,
        }
    }

    /// Sets the time of day, since the Unix epoch: certificates are judged by it, and address tokens carry it. It goes on
    /// from the next call that tells the time. Without it certificates are judged as of 1970, and address tokens carry
    /// the caller's clock: they are good only where that is shared.
    pub const fn set_unix_time(&mut self, unix_time: Duration) {
        self.unix_time = unix_time;
        self.unix_time_at = None;
    }

    /// The time of day at `now`; zero where it was not set.
    fn unix_time(&mut self, now: Time) -> Duration {
        if self.unix_time.is_zero() {
            return Duration::ZERO;
        }
        let since = now.saturating_sub(*self.unix_time_at.get_or_insert(now));
        self.unix_time.saturating_add(Duration::from_nanos(since))
    }

    /// The clock of address tokens, in milliseconds.
    fn clock(&mut self, now: Time) -> u64 {
        let time = self.unix_time(now);
        let time = if time.is_zero() { Duration::from_nanos(now) } else { time };
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    }

    /// Accepts new connections with `server` from now on; with `None`, none are accepted.
    ///
    /// # Errors
    ///
    /// A transport setting is outside its range: nothing has changed.
    pub fn set_server(&mut self, server: Option<Arc<ServerConfig>>) -> Result<(), SettingsError> {
        if let Some(server) = &server {
            server.transport.validate()?;
        }
        if let Some(server) = &server {
            self.crypto = Some(Arc::clone(&server.crypto));
        }
        self.server = server;
        Ok(())
    }

    /// Opens a connection to `server_name`, a host name or an IP address, over `path`.
    pub fn connect(
        &mut self,
        now: Time,
        config: &ClientConfig,
        server_name: &str,
        path: FourTuple,
    ) -> Result<ConnectionHandle, ConnectError> {
        self.check_room()?;
        if self.empty_ids.get(path).is_some() {
            return Err(ConnectError::PathInUse);
        }
        let start = self.start(now, path).ok_or(ConnectError::NoConnectionId)?;
        let connection = Connection::client(config, server_name, start)?;
        self.crypto.get_or_insert_with(|| Arc::clone(&config.crypto));
        let index = self.insert(connection);
        self.touch(index);
        Ok(self.slots.handle(index))
    }

    /// What a new connection starts with. `None` where there is no connection ID for it.
    fn start(&mut self, now: Time, path: FourTuple) -> Option<Start> {
        let (generator, routes) = (self.ids.generator.as_ref(), &self.routes);
        let id = generate_free(generator, &mut self.rng, |id| !routes.contains_key(id))?;
        let unix_time = self.unix_time(now);
        Some(Start { now, unix_time, rng: self.rng.fork(), path, ids: self.ids.clone(), id })
    }

    fn check_room(&self) -> Result<(), ConnectError> {
        if self.slots.len() >= self.config.max_connections as usize {
            Err(ConnectError::TooManyConnections)
        } else if self.memory_used() + CONNECTION_RESERVE > self.config.memory_budget {
            Err(ConnectError::MemoryBudget)
        } else {
            Ok(())
        }
    }

    fn insert(&mut self, connection: Connection) -> u32 {
        self.memory_used += CONNECTION_RESERVE;
        let index = self.slots.insert(Box::new(connection), CONNECTION_RESERVE);
        self.track(index);
        index
    }

    /// Brings up to date by what else a connection is known than by its connection IDs.
    fn track(&mut self, index: u32) {
        let Some(connection) = self.slots.connection_mut(index) else { return };
        let server = !connection.side().is_client();
        let handshaking = server && !connection.is_handshake_complete() && !connection.is_closed();
        if self.ids.generator.id_len() == 0 {
            let gone = connection.is_drained();
            let paths = connection.path_stats().map(|path| path.addresses);
            self.empty_ids.set(index, paths.filter(|_| !gone));
        }
        match (self.slots.set_handshaking(index, handshaking), handshaking) {
            (false, true) => self.handshakes += 1,
            (true, false) => self.handshakes -= 1,
            _ => {}
        }
        self.track_resets(index);
    }

    /// Takes a datagram in, decrypts it in place and gives it to its connection. `path` says where it came from and
    /// arrived; `ecn` is the mark of its IP packet. Addresses of one family: an IPv4-mapped IPv6 address is another.
    pub fn receive(&mut self, now: Time, path: FourTuple, ecn: Ecn, datagram: &mut [u8]) {
        let Some(look) = packet::first_look(datagram, self.ids.generator.id_len()) else { return };
        let Some(destination) = ConnectionId::new(look.dcid) else {
            // Longer connection IDs exist only in versions that we do not speak (RFC 8999 section 5.3).
            return self.negotiate_version(now, path, &look, datagram.len());
        };
        let known =
            if destination.is_empty() { self.empty_ids.get(path) } else { self.routes.get(&destination).copied() };
        match known {
            Some(index) => self.deliver(now, index, path, ecn, datagram),
            None if self.receive_stateless_reset(now, path, datagram) => {}
            None if look.version.is_some_and(|version| !self.accepts_version(version)) => {
                self.negotiate_version(now, path, &look, datagram.len());
            }
            None if look.version.is_none() => self.send_stateless_reset(now, path, &destination, datagram.len()),
            None => self.receive_unrouted(now, path, ecn, datagram),
        }
    }

    fn deliver(&mut self, now: Time, index: u32, path: FourTuple, ecn: Ecn, datagram: &mut [u8]) {
        let headroom = self.config.memory_budget.saturating_sub(self.memory_used());
        if let Some(connection) = self.slots.connection_mut(index) {
            connection.set_memory_headroom(headroom);
            connection.receive(now, path, ecn, datagram);
            self.touch(index);
        }
    }

    /// RFC 9000 section 6.1: a server answers a version that it does not speak; never a Version Negotiation packet.
    fn negotiate_version(&mut self, now: Time, path: FourTuple, look: &FirstLook<'_>, len: usize) {
        let is_foreign = |version| version != Version::NEGOTIATION && !self.accepts_version(version);
        let foreign = look.version.is_some_and(is_foreign);
        if self.server.is_some() && foreign && len >= MIN_DATAGRAM_SIZE && self.budgets.version_negotiation.take(now) {
            let versions = self.listed_versions();
            let first_byte = self.rng.u64() as u8;
            self.reply(Reply::version_negotiation(path, look, first_byte, &versions));
        }
    }

    fn accepts_version(&self, version: Version) -> bool {
        self.server.as_ref().is_some_and(|server| server.transport.versions.accepts(version))
    }

    /// What a Version Negotiation packet lists: the versions that the server accepts and, where it greases, one that
    /// means nothing (RFC 9000 section 6.3).
    fn listed_versions(&mut self) -> Vec<Version> {
        let Some(transport) = self.server.as_ref().map(|server| &server.transport) else { return Vec::new() };
        let mut versions: Vec<_> = transport.versions.supported().collect();
        if transport.grease {
            versions.push(Version::reserved(self.rng.u64() as u32));
        }
        versions
    }

    fn reply(&mut self, reply: Option<Reply>) {
        if let Some(reply) = reply
            && self.replies.len() < MAX_REPLIES
        {
            self.replies.push_back(reply);
        }
    }

    /// Fills `buffer` with datagrams of one connection to send; see [`Connection::transmit`]. Connections take turns.
    /// Call it after every input until it answers [`Transmit::Idle`], then look at [`timeout`](Self::timeout).
    pub fn transmit(&mut self, now: Time, buffer: &mut [u8]) -> Transmit {
        if let Some(reply) = self.replies.pop_front() {
            return match buffer.get_mut(..reply.datagram.len()) {
                Some(slot) => {
                    slot.copy_from_slice(&reply.datagram);
                    let (len, path) = (slot.len(), reply.path);
                    Transmit::Send(Outgoing { len, segment_size: len, path, ecn: Ecn::NotEct })
                }
                None => Transmit::Idle(Idle::BufferTooSmall),
            };
        }
        let mut idle = Idle::Nothing;
        while let Some(index) = self.ready.pop_front() {
            if self.slots.are_tokens_due(index) {
                self.issue_tokens(now, index);
            }
            let Some(connection) = self.slots.connection_mut(index) else { continue };
            match connection.transmit(now, buffer) {
                Transmit::Send(outgoing) => {
                    self.ready.push_back(index);
                    return Transmit::Send(outgoing);
                }
                Transmit::Idle(Idle::BufferTooSmall) => {
                    self.ready.push_front(index);
                    return Transmit::Idle(Idle::BufferTooSmall);
                }
                Transmit::Idle(reason) => {
                    if reason != Idle::Nothing {
                        idle = reason;
                    }
                    self.slots.set_ready(index, false);
                    self.settle(index);
                }
            }
        }
        Transmit::Idle(idle)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` when nothing is.
    pub fn timeout(&mut self) -> Option<Time> {
        for at in 0..self.ready.len() {
            if let Some(index) = self.ready.get(at).copied() {
                self.settle(index);
            }
        }
        let connections = self.deadlines.first().map(|(deadline, _)| *deadline);
        [connections, self.waiting.deadline()].into_iter().flatten().min()
    }

    /// Does what is due at `now`, and nothing else: calling it early or late is safe.
    pub fn handle_timeout(&mut self, now: Time) {
        self.waiting.expire(now);
        while let Some((deadline, index)) = self.deadlines.first().copied() {
            if deadline > now {
                return;
            }
            self.deadlines.pop_first();
            self.slots.set_deadline(index, None);
            if let Some(connection) = self.slots.connection_mut(index) {
                connection.handle_timeout(now);
                self.touch(index);
            }
        }
    }

    /// The next event and its connection; `None` when there is none. After [`Event::Drained`] the handle is void. Call
    /// [`transmit`](Self::transmit) afterwards: what is told may let the peer go on.
    pub fn poll_event(&mut self) -> Option<(ConnectionHandle, Event)> {
        while let Some(index) = self.eventful.front().copied() {
            let handle = self.slots.handle(index);
            if let Some(event) = self.slots.connection_mut(index).and_then(Connection::poll_event) {
                // RFC 9000 section 9.3: a token is good for the address that it was sent to.
                if matches!(event, Event::PathValidated { new_peer_address: true, .. }) {
                    self.slots.set_tokens_due(index, self.tokens.per_connection() > 0);
                }
                if event == Event::Drained {
                    self.remove(index);
                } else if !self.slots.set_ready(index, true) {
                    // A stream whose last event is told is gone: the peer may have another for it.
                    self.ready.push_back(index);
                }
                return Some((handle, event));
            }
            self.eventful.pop_front();
            self.slots.set_eventful(index, false);
        }
        None
    }

    /// A connection; `None` for a handle whose connection is gone.
    #[must_use]
    pub fn connection(&self, handle: ConnectionHandle) -> Option<&Connection> {
        self.slots.get(handle)
    }

    /// A connection, to command it; `None` for a handle whose connection is gone. Call
    /// [`transmit`](Self::transmit) afterwards.
    pub fn connection_mut(&mut self, handle: ConnectionHandle) -> Option<&mut Connection> {
        let index = self.slots.index(handle)?;
        self.touch(index);
        self.slots.connection_mut(index)
    }

    /// How many connections there are.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.slots.len()
    }

    /// Bytes that the connections hold, as of when each was last idle, and the datagrams that wait for one.
    #[must_use]
    pub const fn memory_used(&self) -> usize {
        self.memory_used + self.waiting.bytes()
    }

    /// Notes that a connection may have something to send or to tell, and takes over its routes.
    fn touch(&mut self, index: u32) {
        if !self.slots.set_ready(index, true) {
            self.ready.push_back(index);
        }
        if !self.slots.set_eventful(index, true) {
            self.eventful.push_back(index);
        }
        self.take_routes(index);
    }

    fn take_routes(&mut self, index: u32) {
        while let Some(route) = self.slots.connection_mut(index).and_then(Connection::poll_route) {
            match route {
                Route::Add(id) => {
                    let holder = *self.routes.entry(id).or_insert(index);
                    if holder != index
                        && let Some(connection) = self.slots.connection_mut(index)
                    {
                        connection.replace_connection_id(&id);
                    }
                }
                Route::Remove(id) => {
                    if self.routes.get(&id) == Some(&index) {
                        self.routes.remove(&id);
                    }
                }
            }
        }
    }

    /// Brings a connection's deadline, routes and memory up to date.
    fn settle(&mut self, index: u32) {
        self.take_routes(index);
        self.track(index);
        let Some(connection) = self.slots.connection_mut(index) else { return };
        let (deadline, memory) = (connection.timeout(), connection.memory_used().max(CONNECTION_RESERVE));
        let (old_deadline, old_memory) = self.slots.update(index, deadline, memory);
        self.memory_used = (self.memory_used + memory).saturating_sub(old_memory);
        if deadline != old_deadline {
            if let Some(old) = old_deadline {
                self.deadlines.remove(&(old, index));
            }
            if let Some(new) = deadline {
                self.deadlines.insert((new, index));
            }
        }
    }

    fn remove(&mut self, index: u32) {
        self.settle(index);
        self.keep_last_logs(index);
        let (deadline, memory) = self.slots.remove(index);
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, index));
        }
        // The queues may still name the slot: a free one is passed over, and asking a later tenant early does no harm.
        self.memory_used = self.memory_used.saturating_sub(memory);
    }
}
