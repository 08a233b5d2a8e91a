//! Versions and transport parameters.

use super::super::fields::Fields;
use super::packets::VersionNumber;
use crate::crypto::CipherSuite;
use crate::transport_parameters::TransportParameters;
use crate::wire::Version;

/// The versions of one end that are written.
const MAX_VERSIONS: usize = 32;

pub(super) fn versions(server: &[Version], client: &[Version], chosen: Option<Version>, f: &mut Fields<'_>) {
    for (key, versions) in [("server_versions", server), ("client_versions", client)] {
        if !versions.is_empty() {
            f.list(key, |list| {
                versions.iter().take(MAX_VERSIONS).for_each(|version| list.display(VersionNumber(*version)));
            });
        }
    }
    if let Some(chosen) = chosen {
        f.display("chosen_version", VersionNumber(chosen));
    }
}

/// Every parameter; the stateless reset tokens stay secret.
pub(super) fn set(parameters: &TransportParameters, cipher_suite: Option<CipherSuite>, f: &mut Fields<'_>) {
    if let Some(suite) = cipher_suite {
        // The schema's example leaves the prefix out.
        let name = suite.name();
        f.word("tls_cipher", name.strip_prefix("TLS_").unwrap_or(name));
    }
    for (key, id) in [
        ("original_destination_connection_id", parameters.original_destination_connection_id),
        ("initial_source_connection_id", parameters.initial_source_connection_id),
        ("retry_source_connection_id", parameters.retry_source_connection_id),
    ] {
        if let Some(id) = id {
            f.display(key, id);
        }
    }
    restored(parameters, f);
    f.number("ack_delay_exponent", parameters.ack_delay_exponent);
    f.number("max_ack_delay", parameters.max_ack_delay);
    if let Some(preferred) = &parameters.preferred_address {
        f.object("preferred_address", |f| {
            if let Some(address) = preferred.ipv4 {
                f.display("ip_v4", address.ip());
                f.number("port_v4", address.port().into());
            }
            if let Some(address) = preferred.ipv6 {
                f.display("ip_v6", address.ip());
                f.number("port_v6", address.port().into());
            }
            f.display("connection_id", preferred.connection_id);
        });
    }
}

/// The parameters that a client may use again (RFC 9000 section 7.4.1).
pub(super) fn restored(parameters: &TransportParameters, f: &mut Fields<'_>) {
    f.flag("disable_active_migration", parameters.disable_active_migration);
    f.number("max_idle_timeout", parameters.max_idle_timeout);
    f.number("max_udp_payload_size", parameters.max_udp_payload_size);
    f.number("active_connection_id_limit", parameters.active_connection_id_limit);
    f.number("initial_max_data", parameters.initial_max_data);
    f.number("initial_max_stream_data_bidi_local", parameters.initial_max_stream_data_bidi_local);
    f.number("initial_max_stream_data_bidi_remote", parameters.initial_max_stream_data_bidi_remote);
    f.number("initial_max_stream_data_uni", parameters.initial_max_stream_data_uni);
    f.number("initial_max_streams_bidi", parameters.initial_max_streams_bidi);
    f.number("initial_max_streams_uni", parameters.initial_max_streams_uni);
    f.number("max_datagram_frame_size", parameters.max_datagram_frame_size);
    f.flag("grease_quic_bit", parameters.grease_quic_bit);
}
