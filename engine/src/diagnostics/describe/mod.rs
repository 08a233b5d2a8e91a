//! Events in the words of a schema: their names and their fields.

mod connectivity;
mod frames;
mod packets;
mod parameters;
mod recovery;
mod streams;

use super::event::{Initiator, KeyTrigger, KeyType, TraceEvent};
use super::fields::Fields;
use crate::wire::{Side, Space};

/// Which words events are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QlogSchema {
    /// qlog 0.3 (draft-ietf-quic-qlog-main-schema-02 and draft-ietf-quic-qlog-quic-events-01), which the common
    /// tools read, qvis among them.
    #[default]
    V03,
    /// The present draft (draft-ietf-quic-qlog-main-schema and draft-ietf-quic-qlog-quic-events).
    Draft,
}

impl QlogSchema {
    /// `old` in 0.3, `new` in the draft.
    pub(super) const fn pick<T: Copy>(self, old: T, new: T) -> T {
        match self {
            Self::V03 => old,
            Self::Draft => new,
        }
    }

    /// What 0.3 calls the owner of something.
    const fn initiator(self) -> &'static str {
        self.pick("owner", "initiator")
    }
}

/// The event's category in 0.3, and its name in 0.3 and in the draft, where there is only the category `quic`.
pub(super) const fn name(event: &TraceEvent<'_>) -> (&'static str, &'static str, &'static str) {
    let (category, name) = match event {
        TraceEvent::ConnectionStarted { .. } => ("connectivity", "connection_started"),
        TraceEvent::ConnectionClosed(_) => ("connectivity", "connection_closed"),
        TraceEvent::ConnectionIdUpdated { .. } => ("connectivity", "connection_id_updated"),
        TraceEvent::ConnectionStateUpdated { .. } => ("connectivity", "connection_state_updated"),
        TraceEvent::PathAssigned { .. } => return ("connectivity", "path_assigned", "tuple_assigned"),
        TraceEvent::MtuUpdated { .. } => ("connectivity", "mtu_updated"),
        TraceEvent::MigrationStateUpdated { .. } => ("connectivity", "migration_state_updated"),
        TraceEvent::VersionInformation { .. } => ("transport", "version_information"),
        TraceEvent::AlpnInformation { .. } => ("transport", "alpn_information"),
        TraceEvent::ParametersSet { .. } => ("transport", "parameters_set"),
        TraceEvent::ParametersRestored(_) => ("transport", "parameters_restored"),
        TraceEvent::PacketSent(_) => ("transport", "packet_sent"),
        TraceEvent::PacketReceived(_) => ("transport", "packet_received"),
        TraceEvent::PacketDropped { .. } => ("transport", "packet_dropped"),
        TraceEvent::PacketBuffered { .. } => ("transport", "packet_buffered"),
        TraceEvent::PacketAcked { .. } => ("transport", "packets_acked"),
        TraceEvent::DatagramSent { .. } => return ("transport", "datagrams_sent", "udp_datagrams_sent"),
        TraceEvent::DatagramReceived { .. } => return ("transport", "datagrams_received", "udp_datagrams_received"),
        TraceEvent::DatagramDropped { .. } => return ("transport", "datagram_dropped", "udp_datagram_dropped"),
        TraceEvent::StreamStateUpdated { .. } => ("transport", "stream_state_updated"),
        TraceEvent::StreamDataMoved { .. } => return ("transport", "data_moved", "stream_data_moved"),
        TraceEvent::DatagramDataMoved { .. } => ("transport", "datagram_data_moved"),
        TraceEvent::ConnectionDataBlockedUpdated { .. } => ("transport", "connection_data_blocked_updated"),
        TraceEvent::KeyUpdated { .. } => ("security", "key_updated"),
        TraceEvent::KeyDiscarded { .. } => ("security", "key_discarded"),
        TraceEvent::RecoveryParametersSet(_) => return ("recovery", "parameters_set", "recovery_parameters_set"),
        TraceEvent::MetricsUpdated(_) => return ("recovery", "metrics_updated", "recovery_metrics_updated"),
        TraceEvent::CongestionStateUpdated { .. } => ("recovery", "congestion_state_updated"),
        TraceEvent::TimerUpdated { .. } => return ("recovery", "loss_timer_updated", "timer_updated"),
        TraceEvent::PacketLost { .. } => ("recovery", "packet_lost"),
        TraceEvent::MarkedForRetransmit(_) => ("recovery", "marked_for_retransmit"),
        TraceEvent::EcnStateUpdated { .. } => ("recovery", "ecn_state_updated"),
    };
    (category, name, name)
}

/// Writes the event's own fields.
pub(super) fn data(event: &TraceEvent<'_>, schema: QlogSchema, f: &mut Fields<'_>) {
    match event {
        TraceEvent::ConnectionStarted { path, local_id, remote_id } => {
            connectivity::started(schema, path, local_id, remote_id, f);
        }
        TraceEvent::ConnectionClosed(closure) => connectivity::closed(schema, closure, f),
        TraceEvent::ConnectionIdUpdated { initiator, old, new } => {
            f.word(schema.initiator(), whose(*initiator));
            f.display("old", old);
            f.display("new", new);
        }
        TraceEvent::ConnectionStateUpdated { old, new } => {
            if let Some(old) = old {
                f.word("old", connectivity::state(*old));
            }
            f.word("new", connectivity::state(*new));
        }
        TraceEvent::PathAssigned { path } => connectivity::assigned(schema, path, f),
        TraceEvent::MtuUpdated { old, new } => {
            f.number("old", *old);
            f.number("new", *new);
        }
        TraceEvent::MigrationStateUpdated { new, path } => connectivity::migration(schema, *new, path, f),
        TraceEvent::VersionInformation { server, client, chosen } => {
            parameters::versions(server, client, *chosen, f);
        }
        TraceEvent::AlpnInformation { chosen } => match schema {
            QlogSchema::V03 => f.text("chosen_alpn", chosen),
            QlogSchema::Draft => f.object("chosen_alpn", |f| {
                f.hex("byte_value", chosen);
                f.text("string_value", chosen);
            }),
        },
        TraceEvent::ParametersSet { initiator, parameters, cipher_suite } => {
            f.word(schema.initiator(), whose(*initiator));
            parameters::set(parameters, *cipher_suite, f);
        }
        TraceEvent::ParametersRestored(parameters) => parameters::restored(parameters, f),
        TraceEvent::PacketSent(packet) | TraceEvent::PacketReceived(packet) => packets::packet(schema, packet, f),
        TraceEvent::PacketDropped { ty, len, trigger } => packets::dropped(schema, *ty, *len, *trigger, f),
        TraceEvent::PacketBuffered { ty, len } => packets::buffered(*ty, *len, f),
        TraceEvent::PacketAcked { space: of, pn } => {
            f.word("packet_number_space", space(*of));
            f.list("packet_numbers", |list| list.number(*pn));
        }
        TraceEvent::DatagramSent { len, ecn } | TraceEvent::DatagramReceived { len, ecn } => {
            packets::datagrams(schema, *len, *ecn, f);
        }
        TraceEvent::DatagramDropped { len } => f.object("raw", |f| f.number("length", *len as u64)),
        TraceEvent::StreamStateUpdated { id, state } => streams::state(*id, *state, f),
        TraceEvent::StreamDataMoved { id, len, movement, fin } => {
            f.number("stream_id", id.0);
            streams::moved(schema, *len, *movement, *fin, f);
        }
        TraceEvent::DatagramDataMoved { len, movement } => streams::moved(schema, *len, *movement, false, f),
        TraceEvent::ConnectionDataBlockedUpdated { old, new } => streams::blocked(*old, *new, f),
        TraceEvent::KeyUpdated { key, phase, trigger } | TraceEvent::KeyDiscarded { key, phase, trigger } => {
            f.word("key_type", key_type(*key));
            f.number_if(schema.pick("generation", "key_phase"), *phase);
            f.word("trigger", key_trigger(*trigger));
        }
        TraceEvent::RecoveryParametersSet(parameters) => recovery::parameters(parameters, f),
        TraceEvent::MetricsUpdated(metrics) => recovery::metrics(metrics, f),
        TraceEvent::CongestionStateUpdated { old, new, trigger } => recovery::congestion(*old, *new, *trigger, f),
        TraceEvent::TimerUpdated { timer, space, change } => recovery::timer(*timer, *space, *change, f),
        TraceEvent::PacketLost { space, pn, len, trigger } => packets::lost(*space, *pn, *len, *trigger, f),
        TraceEvent::MarkedForRetransmit(what) => f.list("frames", |list| frames::retransmission(schema, what, list)),
        TraceEvent::EcnStateUpdated { old, new } => {
            if let Some(old) = old {
                f.word("old", recovery::ecn(*old));
            }
            f.word("new", recovery::ecn(*new));
        }
    }
}

const fn whose(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::Local => "local",
        Initiator::Remote => "remote",
    }
}

const fn space(space: Space) -> &'static str {
    match space {
        Space::Initial => "initial",
        Space::Handshake => "handshake",
        Space::Application => "application_data",
    }
}

const fn key_type(key: KeyType) -> &'static str {
    match key {
        KeyType::Initial(Side::Server) => "server_initial_secret",
        KeyType::Initial(Side::Client) => "client_initial_secret",
        KeyType::Handshake(Side::Server) => "server_handshake_secret",
        KeyType::Handshake(Side::Client) => "client_handshake_secret",
        KeyType::ZeroRtt(Side::Server) => "server_0rtt_secret",
        KeyType::ZeroRtt(Side::Client) => "client_0rtt_secret",
        KeyType::OneRtt(Side::Server) => "server_1rtt_secret",
        KeyType::OneRtt(Side::Client) => "client_1rtt_secret",
    }
}

const fn key_trigger(trigger: KeyTrigger) -> &'static str {
    match trigger {
        KeyTrigger::Tls => "tls",
        KeyTrigger::LocalUpdate => "local_update",
        KeyTrigger::RemoteUpdate => "remote_update",
    }
}
