//! Connections and paths.

use core::net::{IpAddr, SocketAddr};

use super::super::event::{Closure, ConnectionState, MigrationState};
use super::super::fields::Fields;
use super::{QlogSchema, whose};
use crate::error::TransportErrorCode;
use crate::wire::{ConnectionId, FourTuple};

pub(super) fn started(
    schema: QlogSchema,
    path: &FourTuple,
    local_id: &ConnectionId,
    remote_id: &ConnectionId,
    f: &mut Fields<'_>,
) {
    match schema {
        QlogSchema::V03 => {
            f.word("ip_version", if path.remote.is_ipv4() { "v4" } else { "v6" });
            f.display("src_ip", path.local.ip());
            f.display("dst_ip", path.remote.ip());
            f.word("protocol", "QUIC");
            f.number("src_port", path.local.port().into());
            f.number("dst_port", path.remote.port().into());
            f.display("src_cid", local_id);
            f.display("dst_cid", remote_id);
        }
        QlogSchema::Draft => {
            f.object("local", |f| endpoint(path.local, Some(local_id), f));
            f.object("remote", |f| endpoint(path.remote, Some(remote_id), f));
        }
    }
}

pub(super) fn assigned(schema: QlogSchema, path: &FourTuple, f: &mut Fields<'_>) {
    let (id, remote, local) =
        schema.pick(("path_id", "path_remote", "path_local"), ("tuple_id", "tuple_remote", "tuple_local"));
    f.display(id, TupleId(path));
    f.object(remote, |f| endpoint(path.remote, None, f));
    f.object(local, |f| endpoint(path.local, None, f));
}

pub(super) fn migration(schema: QlogSchema, new: MigrationState, path: &FourTuple, f: &mut Fields<'_>) {
    f.word(
        "new",
        match new {
            MigrationState::ProbingStarted => "probing_started",
            MigrationState::ProbingAbandoned => "probing_abandoned",
            MigrationState::ProbingSuccessful => "probing_successful",
            MigrationState::MigrationStarted => "migration_started",
            MigrationState::MigrationAbandoned => "migration_abandoned",
            MigrationState::MigrationComplete => "migration_complete",
        },
    );
    assigned(schema, path, f);
}

/// What stands for a path: its addresses.
struct TupleId<'a>(&'a FourTuple);

impl core::fmt::Display for TupleId<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}-{}", self.0.local, self.0.remote)
    }
}

fn endpoint(address: SocketAddr, id: Option<&ConnectionId>, f: &mut Fields<'_>) {
    let (ip, port) = match address.ip() {
        IpAddr::V4(_) => ("ip_v4", "port_v4"),
        IpAddr::V6(_) => ("ip_v6", "port_v6"),
    };
    f.display(ip, address.ip());
    f.number(port, address.port().into());
    if let Some(id) = id {
        f.list("connection_ids", |list| list.display(id));
    }
}

pub(super) const fn state(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Attempted => "attempted",
        ConnectionState::HandshakeStarted => "handshake_started",
        ConnectionState::PeerValidated => "peer_validated",
        ConnectionState::HandshakeComplete => "handshake_complete",
        ConnectionState::HandshakeConfirmed => "handshake_confirmed",
        ConnectionState::Closing => "closing",
        ConnectionState::Draining => "draining",
        ConnectionState::Closed => "closed",
    }
}

pub(super) fn closed(schema: QlogSchema, closure: &Closure<'_>, f: &mut Fields<'_>) {
    match *closure {
        Closure::Transport { initiator, code, reason } => {
            f.word(schema.initiator(), whose(initiator));
            error(schema, "connection_error", "connection_code", code, f);
            if !reason.is_empty() {
                f.text("reason", reason);
            }
            f.word(
                "trigger",
                if code == TransportErrorCode::NO_ERROR { schema.pick("clean", "unspecified") } else { "error" },
            );
        }
        Closure::Application { initiator, code, reason } => {
            f.word(schema.initiator(), whose(initiator));
            match schema {
                QlogSchema::V03 => f.number("application_code", code),
                QlogSchema::Draft => {
                    f.word("application_error", "unknown");
                    f.number("error_code", code);
                }
            }
            if !reason.is_empty() {
                f.text("reason", reason);
            }
            f.word("trigger", "application");
        }
        Closure::IdleTimeout => f.word("trigger", "idle_timeout"),
        Closure::HandshakeTimeout => {
            f.text("reason", b"the handshake timed out");
            f.word("trigger", schema.pick("handshake_timeout", "aborted"));
        }
        Closure::VersionMismatch => f.word("trigger", "version_mismatch"),
        Closure::StatelessReset => f.word("trigger", "stateless_reset"),
        Closure::Other(reason) => {
            f.text("reason", reason.as_bytes());
            f.word("trigger", schema.pick("error", "unspecified"));
        }
    }
}

/// A transport error by its name, in the field `key` of the draft or `key_v03` of 0.3; its number where it has none.
pub(super) fn error(schema: QlogSchema, key: &str, key_v03: &str, code: TransportErrorCode, f: &mut Fields<'_>) {
    match (code.name(), code.alert(), schema) {
        (Some(name), _, _) => f.word(schema.pick(key_v03, key), &name.to_ascii_lowercase()),
        (None, Some(alert), _) => f.display(schema.pick(key_v03, key), CryptoError(alert)),
        (None, None, QlogSchema::V03) => f.number(key_v03, code.0),
        (None, None, QlogSchema::Draft) => {
            f.word(key, "unknown");
            f.number("error_code", code.0);
        }
    }
}

struct CryptoError(u8);

impl core::fmt::Display for CryptoError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "crypto_error_0x1{:02x}", self.0)
    }
}
