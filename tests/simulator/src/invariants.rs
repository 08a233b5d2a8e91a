//! What must hold after every step, whatever happens.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use quillon::{ConnectionHandle, Time};

use crate::host::Host;

/// What is remembered of a connection to judge what it does next.
#[derive(Debug, Default)]
struct Watched {
    /// Its probe timeouts so far.
    probe_timeouts: u64,
    /// Bytes of probes that it may have in flight beyond the window.
    probe_bytes: u64,
    bytes_in_flight: u64,
    closed: bool,
}

/// What an address was sent and has sent.
#[derive(Debug, Default)]
struct Account {
    received: u64,
    sent: u64,
    /// The client showed that it receives there.
    validated: bool,
}

/// The watch over one node.
#[derive(Debug, Default)]
pub struct Watch {
    connections: BTreeMap<u32, Watched>,
    accounts: BTreeMap<SocketAddr, Account>,
    /// Whether it accepts connections, so that others could use it to flood a third.
    serves: bool,
}

impl Watch {
    /// A watch over a node that accepts connections, or not.
    #[must_use]
    pub fn new(serves: bool) -> Self {
        Self { serves, ..Self::default() }
    }

    /// A connection began.
    pub fn on_begun(&mut self, connection: ConnectionHandle) {
        self.connections.entry(connection.raw()).or_default();
    }

    /// A connection is closed: it may still answer.
    pub fn on_closed(&mut self, connection: ConnectionHandle) {
        self.connections.entry(connection.raw()).or_default().closed = true;
    }

    /// Nothing is left of a connection.
    pub fn on_drained(&mut self, connection: ConnectionHandle) {
        self.connections.remove(&connection.raw());
    }

    /// A datagram arrived from `remote`.
    pub fn on_received(&mut self, remote: SocketAddr, datagram: &[u8]) {
        let account = self.accounts.entry(remote).or_default();
        account.received += datagram.len() as u64;
    }

    /// A datagram was sent to `remote`.
    pub fn on_sent(&mut self, remote: SocketAddr, len: usize) {
        self.accounts.entry(remote).or_default().sent += len as u64;
    }

    /// Before the node may send: what its connections have in flight.
    pub fn before_transmit(&mut self, host: &mut dyn Host) {
        for (raw, watched) in &mut self.connections {
            let Some(stats) = host.stats(ConnectionHandle::from_raw(*raw)) else { continue };
            watched.bytes_in_flight = stats.bytes_in_flight;
            // RFC 9002 section 6.2.4: up to two datagrams for each space.
            let new = stats.probe_timeouts - watched.probe_timeouts;
            watched.probe_bytes += new * 2 * stats.max_udp_payload_size;
            watched.probe_timeouts = stats.probe_timeouts;
        }
        self.note_validated(host);
    }

    /// After the node has sent everything that it can.
    ///
    /// # Panics
    /// Where it did what it must not.
    pub fn after_transmit(&mut self, now: Time, host: &mut dyn Host) {
        let mut open = 0;
        for (raw, watched) in &mut self.connections {
            let Some(stats) = host.stats(ConnectionHandle::from_raw(*raw)) else { continue };
            if watched.closed {
                continue;
            }
            open += 1;
            let grown = stats.bytes_in_flight.saturating_sub(watched.bytes_in_flight);
            if grown > 0 && stats.bytes_in_flight > stats.congestion_window {
                // Only probes go out beyond the window (RFC 9002 section 7.5).
                let beyond = grown.min(stats.bytes_in_flight - stats.congestion_window);
                assert!(
                    beyond <= watched.probe_bytes,
                    "at {now}: {beyond} bytes beyond the window, of which probes {}: {stats:?}",
                    watched.probe_bytes
                );
                watched.probe_bytes -= beyond;
            }
        }
        if self.serves {
            self.check_amplification(now, host);
        }
        let (used, budget) = host.memory();
        assert!(used <= budget, "at {now}: {used} bytes held of {budget}");
        // Every connection has at least an idle timeout here, and a closed one the end of its closing period.
        let timeout = host.timeout();
        assert!(
            timeout.is_some() || host.connection_count() == 0,
            "at {now}: {open} open connections of {} and no deadline",
            host.connection_count()
        );
    }

    /// RFC 9000 section 8: to an address that is not validated goes at most three times what came from it.
    fn check_amplification(&mut self, now: Time, host: &mut dyn Host) {
        self.note_validated(host);
        for (remote, account) in &self.accounts {
            assert!(
                account.validated || account.sent <= 3 * account.received,
                "at {now}: {} bytes to {remote}, which is not validated and sent {}",
                account.sent,
                account.received
            );
        }
    }

    fn note_validated(&mut self, host: &mut dyn Host) {
        if !self.serves {
            return;
        }
        for (remote, account) in self.accounts.iter_mut().filter(|(_, account)| !account.validated) {
            account.validated = self
                .connections
                .keys()
                .any(|raw| host.is_limited(ConnectionHandle::from_raw(*raw), *remote) == Some(false));
        }
    }
}
