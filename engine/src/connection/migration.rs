//! Moving a connection from one path to another (RFC 9000 section 9).

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::{Connection, ConnectionError, Event};
use crate::congestion::Pacer;
use crate::diagnostics::{MigrationState, TraceEvent};
use crate::error::{TransportError, TransportErrorCode};
use crate::path::{Arrival, NewPath, PathDue, PathId, PathStats, Schedule};
use crate::transport_parameters::PreferredAddress;
use crate::wire::{ConnectionId, FourTuple, Space, Time};

/// How a client goes over to another path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migration {
    /// At once; the path is validated meanwhile, and left again if that fails. For a path that is gone, or known to be
    /// good.
    Immediate,
    /// As soon as the path is validated; until then the connection goes on where it is.
    Validated,
}

/// Why a connection does not go over to another path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MigrateError {
    /// Only clients move (RFC 9000 section 9).
    ServerSide,
    /// The connection is closed.
    Closed,
    /// The handshake is not confirmed: wait for [`Event::HandshakeConfirmed`] (RFC 9000 section 9).
    NotConfirmed,
    /// The server asked for it by `disable_active_migration`, and is reached at the address of the handshake.
    DisabledByPeer,
    /// The server uses an empty connection ID: it would not find the connection again (RFC 9000 section 9.5).
    ZeroLength,
    /// The server's preferred address is being validated: wait for the outcome.
    PreferredAddressPending,
    /// The peer has not issued an unused connection ID, and every path needs its own (RFC 9000 section 9.5): try again
    /// later.
    NoConnectionId,
    /// Our address is that already.
    SameAddress,
    /// As many paths are in use or being validated as may be: wait for an outcome.
    TooManyPaths,
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerSide => "only a client can move to another path",
            Self::Closed => "the connection is closed",
            Self::NotConfirmed => "the handshake is not confirmed yet",
            Self::DisabledByPeer => "the server does not allow clients to move",
            Self::ZeroLength => "the server uses no connection ID and could not find a moved client",
            Self::PreferredAddressPending => "the server's preferred address is being validated",
            Self::NoConnectionId => "the server has issued no unused connection ID",
            Self::SameAddress => "the path in use has that address",
            Self::TooManyPaths => "too many paths are in use or being validated",
        })
    }
}

impl core::error::Error for MigrateError {}

impl Connection {
    /// Moves a client to another of its addresses: a port that it has opened, on the same interface or another. The
    /// host sends what goes out with that address from it, and gives in what arrives there.
    ///
    /// [`Event::PathChanged`] tells when the path is in use, [`Event::PathValidated`] or [`Event::PathFailed`] what came
    /// of the validation. A path that was validated in the last ten minutes needs none.
    ///
    /// # Errors
    ///
    /// Nothing has changed; see [`MigrateError`].
    pub fn migrate(&mut self, now: Time, local: SocketAddr, migration: Migration) -> Result<(), MigrateError> {
        let id = self.open_path(now, local)?;
        let validated = self.paths.get(id).is_some_and(crate::path::Path::is_validated);
        if migration == Migration::Immediate || validated {
            self.move_to(now, id);
        } else if let Some(path) = self.paths.get_mut(id) {
            path.set_wanted();
        }
        Ok(())
    }

    /// Validates a path from another address of a client, and stays where it is. [`Event::PathValidated`] or
    /// [`Event::PathFailed`] tells the outcome. For ten minutes [`migrate`](Self::migrate) then needs no validation.
    ///
    /// # Errors
    ///
    /// Nothing has changed; see [`MigrateError`].
    pub fn probe_path(&mut self, now: Time, local: SocketAddr) -> Result<(), MigrateError> {
        let id = self.open_path(now, local)?;
        let schedule = self.validation_schedule();
        if let Some(path) = self.paths.get_mut(id)
            && !path.is_validating()
        {
            path.begin_validation(now, schedule);
        }
        Ok(())
    }

    /// Corrects our address on the path in use, where the host learns it late or where it changed beneath the host. The
    /// peer sees what it would see behind a NAT: no connection ID changes, nothing is validated. To move to another
    /// network, [`migrate`](Self::migrate).
    pub fn set_local_address(&mut self, local: SocketAddr) {
        self.paths.active_mut().set_local(local);
    }

    /// Counts and measures of each path, that of the path in use first.
    pub fn path_stats(&self) -> impl Iterator<Item = PathStats> {
        let smoothed = self.recovery.rtt().min.map(|_| self.recovery.rtt().smoothed);
        self.paths.stats().map(move |mut stats| {
            if stats.active {
                stats.rtt = smoothed.or(stats.rtt);
            }
            stats
        })
    }

    /// A path from `local` to the peer's address: one that is there, or a new one with its own connection ID.
    fn open_path(&mut self, now: Time, local: SocketAddr) -> Result<PathId, MigrateError> {
        self.may_migrate()?;
        let active = self.paths.active().addresses();
        let addresses = FourTuple { local, remote: active.remote };
        let known = self.paths.find(&addresses).filter(|id| *id != self.paths.active().id());
        if let Some(id) = known {
            return Ok(id);
        }
        if !self.remote_ids.has_spare() {
            return Err(MigrateError::NoConnectionId);
        }
        if local == active.local {
            return Err(MigrateError::SameAddress);
        }
        self.add_path(now, addresses, None).ok_or(MigrateError::TooManyPaths)
    }

    fn may_migrate(&self) -> Result<(), MigrateError> {
        let peer = self.handshake.peer();
        let active = self.paths.active().addresses();
        // RFC 9000 section 9: a client that acted on a preferred address may move from there.
        let acted = peer.and_then(|peer| peer.preferred_address).is_some_and(|preferred| {
            preferred.ipv4.map(SocketAddr::V4) == Some(active.remote)
                || preferred.ipv6.map(SocketAddr::V6) == Some(active.remote)
        });
        if !self.side().is_client() {
            Err(MigrateError::ServerSide)
        } else if self.is_closed() {
            Err(MigrateError::Closed)
        } else if !self.is_handshake_confirmed() {
            Err(MigrateError::NotConfirmed)
        } else if peer.is_some_and(|peer| peer.disable_active_migration) && !acted {
            Err(MigrateError::DisabledByPeer)
        } else if self.remote_ids.active().is_empty() {
            Err(MigrateError::ZeroLength)
        } else if self.paths.iter().any(|path| path.is_wanted() && path.addresses().remote != active.remote) {
            Err(MigrateError::PreferredAddressPending)
        } else {
            Ok(())
        }
    }

    /// Adds a path of our own choice, with the peer's connection ID `sequence` if that is unused.
    fn add_path(&mut self, now: Time, addresses: FourTuple, sequence: Option<u64>) -> Option<PathId> {
        self.make_room();
        let remote_id = self.remote_ids.take_spare(sequence)?;
        let validated = self.paths.is_remembered(&addresses, now);
        let added = self.paths.add(NewPath { addresses, remote_id, validated, limited: false });
        match added {
            Some(id) if validated => self.allow_larger(id),
            Some(_) => {}
            None => self.release_id(remote_id),
        }
        let schedule = self.validation_schedule();
        if let Some(path) = added.and_then(|id| self.paths.get_mut(id))
            && !validated
        {
            path.begin_validation(now, schedule);
            self.tell(&TraceEvent::MigrationStateUpdated { new: MigrationState::ProbingStarted, path: addresses });
        }
        added
    }

    /// Whether packets from a path that is not known may be authentic: once the handshake is confirmed clients move,
    /// servers do not (RFC 9000 section 9). At an address that a client has left, a server that has not seen it move
    /// still reaches it, and may need to: for connection IDs with which to follow.
    pub(super) fn may_arrive_from(&self, now: Time, addresses: &FourTuple) -> bool {
        if !self.is_handshake_confirmed() {
            return false;
        }
        if self.side().is_client() {
            return self.paths.is_remembered(addresses, now);
        }
        let preferred = |address: Option<SocketAddr>| address.is_some_and(|ours| same_address(ours, addresses.local));
        !self.settings.disable_active_migration
            || same_address(self.paths.active().addresses().local, addresses.local)
            || preferred(self.settings.preferred_ipv4.map(SocketAddr::V4))
            || preferred(self.settings.preferred_ipv6.map(SocketAddr::V6))
    }

    /// An authentic 1-RTT packet to our connection ID `used` came in: a path that was not known is one now.
    pub(super) fn admit_arrival(&mut self, now: Time, used: &ConnectionId) {
        let id = match self.paths.arrival() {
            Arrival::Known(id) => Some(id),
            // Only a client chooses its paths (RFC 9000 section 9).
            Arrival::Unknown { .. } if self.side().is_client() => None,
            Arrival::Unknown { addresses, .. } => self.admit_path(now, addresses, used),
        };
        if let Some(path) = id.and_then(|id| self.paths.get_mut(id)) {
            path.set_local_id(*used);
        }
    }

    /// `None` where there is no connection ID for the path, or no room: the peer is not answered on it.
    fn admit_path(&mut self, now: Time, addresses: FourTuple, used: &ConnectionId) -> Option<PathId> {
        self.make_room();
        let active = self.paths.active();
        let known = active.addresses();
        // RFC 9000 section 9.5: a peer that did not change its connection ID did not know that it moves; we need not
        // change ours either.
        let moved_by_nat = active.local_id() == Some(*used) && same_address(known.local, addresses.local);
        let (active_id, address_validated) = (active.remote_id(), active.is_validated());
        let remote_id = if moved_by_nat { active_id } else { self.remote_ids.take_spare(None)? };
        let validated = self.paths.is_remembered(&addresses, now);
        // What is validated for amplification is the peer's address, whichever of ours it uses (RFC 9000 section 8).
        let proven = validated || address_validated && known.remote == addresses.remote;
        let added = self.paths.add(NewPath { addresses, remote_id, validated, limited: !proven });
        let schedule = self.validation_schedule();
        match added {
            Some(id) if validated => self.allow_larger(id),
            Some(id) => {
                if let Some(path) = self.paths.get_mut(id) {
                    path.begin_validation(now, schedule);
                }
                self.tell(&TraceEvent::MigrationStateUpdated { new: MigrationState::ProbingStarted, path: addresses });
            }
            None => self.release_id(remote_id),
        }
        added
    }

    /// The packet in hand is not a probe and has the highest number so far: the peer is where it came from (RFC 9000
    /// section 9.3).
    pub(super) fn follow_peer(&mut self, now: Time) {
        let Arrival::Known(id) = self.paths.arrival() else { return };
        let active = self.paths.active();
        if self.side().is_client() || id == active.id() {
            return;
        }
        let local = active.addresses().local;
        let Some(path) = self.paths.get_mut(id) else { return };
        // RFC 9000 section 9.6.2: from another of its addresses a server sends only probes until that path is validated.
        if !path.is_validated() && !same_address(path.addresses().local, local) {
            path.set_wanted();
            return;
        }
        self.move_to(now, id);
    }

    /// Puts another path to use.
    fn move_to(&mut self, now: Time, id: PathId) {
        let schedule = self.validation_schedule();
        let before = self.paths.active().addresses();
        let before_size = self.paths.active().max_datagram_size();
        let before_ecn = self.paths.active().ecn();
        let fallback = self.paths.fallback();
        let Some(old) = self.paths.activate(id) else { return };
        let path = self.paths.active_mut();
        let addresses = path.addresses();
        // RFC 9000 section 9.4: behind another port is the same path, most likely.
        let rebound = before.local.ip() == addresses.local.ip() && before.remote.ip() == addresses.remote.ip();
        if rebound {
            path.set_max_datagram_size(before_size);
            path.inherit_ecn(before_ecn);
        }
        if path.is_validated() {
            // It was left while it was good: a challenge that is on its way there decides nothing any more.
            path.validate();
        } else if !path.is_validating() {
            path.begin_validation(now, schedule);
        }
        let validated = path.is_validated();
        self.remote_ids.activate(self.paths.active().remote_id());
        if !rebound {
            self.reset_congestion();
        }
        // The peer follows what is not a probe (RFC 9000 section 9.2).
        self.pending.ping |= self.side().is_client();
        self.announce_path(Event::PathChanged { path: addresses }, MigrationState::MigrationStarted);
        self.leave(now, old, fallback, schedule);
        if validated {
            self.settle_paths(now);
        }
    }

    /// What becomes of the path that was in use.
    fn leave(&mut self, now: Time, old: PathId, fallback: Option<PathId>, schedule: Schedule) {
        let client = self.side().is_client();
        let Some(path) = self.paths.get_mut(old) else { return };
        if path.is_validated() {
            let addresses = path.addresses();
            if !client {
                // RFC 9000 section 9.3.3: the packet that moved us may be a copy that an attacker forwarded.
                path.begin_validation(now, schedule);
            }
            self.paths.remember(addresses, now);
            if let Some(superseded) = fallback.filter(|id| *id != self.paths.active().id() && *id != old) {
                let until = self.lingering_until(now);
                self.paths.retire(superseded, until);
            }
        } else {
            self.drop_path(old);
        }
    }

    /// The path in use is validated: the others go when late packets have come in.
    fn settle_paths(&mut self, now: Time) {
        let until = self.lingering_until(now);
        self.paths.retire_others(until);
    }

    fn lingering_until(&self, now: Time) -> Time {
        now.saturating_add(self.recovery.pto(Space::Application).saturating_mul(3))
    }

    /// A PATH_RESPONSE arrived (RFC 9000 section 8.2.3).
    pub(super) fn on_path_response(&mut self, now: Time, data: &[u8; 8]) {
        let Some(proof) = self.paths.on_response(now, data).filter(|proof| proof.complete) else { return };
        let fallback = self.paths.fallback();
        let left = fallback.and_then(|id| self.paths.get(id)).map(|path| path.addresses().remote.ip());
        let Some(path) = self.paths.get_mut(proof.path) else { return };
        let (addresses, wanted) = (path.addresses(), path.is_wanted());
        self.allow_larger(proof.path);
        let active = proof.path == self.paths.active().id();
        let new_peer_address = active && left.is_some_and(|left| left != addresses.remote.ip());
        let validated = Event::PathValidated { path: addresses, new_peer_address };
        self.announce_path(validated, MigrationState::ProbingSuccessful);
        if active {
            self.tell(&TraceEvent::MigrationStateUpdated { new: MigrationState::MigrationComplete, path: addresses });
            self.apply_path_size();
            self.settle_paths(now);
        } else if wanted {
            self.move_to(now, proof.path);
        } else {
            let until = self.lingering_until(now);
            self.paths.retire(proof.path, until);
        }
    }

    /// What time brings to paths and connection IDs.
    pub(super) fn on_path_timeout(&mut self, now: Time) {
        self.local_ids.on_timeout(now);
        while let Some(due) = self.paths.poll_due(now) {
            match due {
                PathDue::Unneeded(id) => self.drop_path(id),
                PathDue::Failed(id) => self.on_path_failed(now, id),
            }
        }
    }

    /// A path's validation has failed: back to the last good one, if it is the path in use (RFC 9000 section 9.3.2).
    fn on_path_failed(&mut self, now: Time, id: PathId) {
        let Some(path) = self.paths.get(id) else { return };
        let (addresses, limited) = (path.addresses(), path.allowance() < u64::MAX);
        self.paths.forget(&addresses);
        self.announce_path(Event::PathFailed { path: addresses }, MigrationState::ProbingAbandoned);
        if id != self.paths.active().id() {
            return self.drop_path(id);
        }
        let other = || self.paths.iter().find(|path| path.id() != id && path.is_validated()).map(crate::path::Path::id);
        let Some(good) = self.paths.fallback().or_else(other) else {
            return self.on_no_viable_path(now, limited);
        };
        self.paths.activate(good);
        self.remote_ids.activate(self.paths.active().remote_id());
        self.reset_congestion();
        let path = self.paths.active().addresses();
        self.announce_path(Event::PathChanged { path }, MigrationState::MigrationAbandoned);
        self.drop_path(id);
    }

    /// RFC 9000 section 9.3.2: silently, where the peer has never been seen at the address. A path that is only too
    /// small for QUIC still carries the news (section 8.2.4).
    fn on_no_viable_path(&mut self, now: Time, limited: bool) {
        const ERROR: TransportError = TransportError::new(TransportErrorCode::NO_VIABLE_PATH, "no path is left");
        if limited {
            let (code, reason) = (ERROR.code, ERROR.reason.as_ref().into());
            self.abandon(ConnectionError::Transport { code, frame_type: 0, reason, by_peer: false });
        } else {
            self.fail(now, ERROR);
        }
    }

    /// Gives up the oldest path that is not needed, if there are as many as may be.
    fn make_room(&mut self) {
        if let Some(id) = self.paths.dispensable() {
            self.drop_path(id);
        }
    }

    pub(super) fn drop_path(&mut self, id: PathId) {
        if let Some(path) = self.paths.remove(id) {
            self.release_id(path.remote_id());
        }
    }

    /// Starts over with congestion control and the round-trip time (RFC 9000 section 9.4).
    fn reset_congestion(&mut self) {
        self.recovery.on_path_changed();
        self.paths.active_mut().forget_size_probe();
        let size = self.paths.active().max_datagram_size() as u64;
        self.congestion = self.settings.congestion.build(size);
        self.pacer = Pacer::new(size);
        self.timers.pacing = None;
    }

    /// Tells those who count in datagrams how large they are on the path in use.
    pub(super) fn apply_path_size(&mut self) {
        let size = self.paths.active().max_datagram_size() as u64;
        self.congestion.on_mtu(size);
        self.pacer.on_mtu(size);
    }

    /// The largest datagram that may go out on a validated path: what both ends' settings allow.
    pub(super) fn path_size(&self) -> usize {
        let peer = self.handshake.peer().map_or(u64::MAX, |peer| peer.max_udp_payload_size);
        usize::try_from(u64::from(self.settings.max_udp_payload_size).min(peer)).unwrap_or(usize::MAX)
    }

    /// RFC 9000 section 8.2.4: three times the larger of the probe timeout and that of a path without samples.
    fn validation_schedule(&self) -> Schedule {
        let pto = self.recovery.pto(Space::Application);
        let initial = u64::try_from(self.settings.initial_rtt.as_nanos()).unwrap_or(u64::MAX).saturating_mul(3);
        Schedule { interval: pto.min(initial), timeout: pto.max(initial).saturating_mul(3) }
    }

    /// A server that would rather be reached elsewhere issues the connection ID for it before its transport parameters
    /// are made (RFC 9000 section 9.6.1).
    pub(super) fn prepare_preferred_address(&mut self) -> Result<(), TransportError> {
        let (ipv4, ipv6) = (self.settings.preferred_ipv4, self.settings.preferred_ipv6);
        let offered = ipv4.is_some() || ipv6.is_some();
        if offered && self.handshake.preferred.is_none() && !self.local_ids.uses_empty_id() {
            let (connection_id, stateless_reset_token) = self.new_connection_id()?;
            self.local_ids.issue_preferred(connection_id, stateless_reset_token);
            self.handshake.preferred = Some(PreferredAddress { ipv4, ipv6, connection_id, stateless_reset_token });
        }
        Ok(())
    }

    /// A client whose handshake is confirmed goes to the address at which the server would rather be reached, if it is
    /// of the family in use (RFC 9000 section 9.6.1).
    pub(super) fn follow_preferred_address(&mut self, now: Time) {
        let Some(preferred) = self.handshake.peer().and_then(|peer| peer.preferred_address) else { return };
        let (ipv4, ipv6) = (preferred.ipv4, preferred.ipv6);
        self.events.push_back(Event::PreferredAddress { ipv4, ipv6 });
        let FourTuple { local, remote } = self.paths.active().addresses();
        let offered = if remote.is_ipv4() { ipv4.map(SocketAddr::V4) } else { ipv6.map(SocketAddr::V6) };
        let Some(remote) = offered.filter(|offered| self.settings.follow_preferred_address && *offered != remote)
        else {
            return;
        };
        let added = self.add_path(now, FourTuple { local, remote }, Some(1));
        if let Some(path) = added.and_then(|id| self.paths.get_mut(id)) {
            path.set_wanted();
        }
    }
}

/// Whether both are one address of ours. An unspecified IP address means that the host does not know it.
fn same_address(a: SocketAddr, b: SocketAddr) -> bool {
    let unknown = |ip: IpAddr| ip.is_unspecified();
    a.port() == b.port() && (a.ip() == b.ip() || unknown(a.ip()) || unknown(b.ip()))
}
