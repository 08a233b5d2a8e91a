//! What a client remembers of a server for its early data (RFC 9000 section 7.4.1).

use alloc::vec::Vec;
use core::fmt;

use super::TransportParameters;
use crate::wire::Side;

/// The first byte of the saved form: which parameters follow, and how.
const FORMAT: u8 = 1;

/// The longest saved form: ten parameters of at most 18 bytes.
const MAX_LEN: usize = 256;

/// The transport parameters of a server that hold for early data on a resumed connection until those of the new
/// handshake arrive (RFC 9000 section 7.4.1): limits, and nothing that belongs to one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedParameters(TransportParameters);

/// The bytes are not a saved form of [`RememberedParameters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidRemembered;

impl fmt::Display for InvalidRemembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the saved transport parameters cannot be read: start without them")
    }
}

impl core::error::Error for InvalidRemembered {}

impl RememberedParameters {
    /// What there is to remember of `server`.
    #[must_use]
    pub fn of(server: &TransportParameters) -> Self {
        Self(TransportParameters {
            max_idle_timeout: server.max_idle_timeout,
            max_udp_payload_size: server.max_udp_payload_size,
            initial_max_data: server.initial_max_data,
            initial_max_stream_data_bidi_local: server.initial_max_stream_data_bidi_local,
            initial_max_stream_data_bidi_remote: server.initial_max_stream_data_bidi_remote,
            initial_max_stream_data_uni: server.initial_max_stream_data_uni,
            initial_max_streams_bidi: server.initial_max_streams_bidi,
            initial_max_streams_uni: server.initial_max_streams_uni,
            disable_active_migration: server.disable_active_migration,
            active_connection_id_limit: server.active_connection_id_limit,
            // RFC 9221 section 3.
            max_datagram_frame_size: server.max_datagram_frame_size,
            ..TransportParameters::default()
        })
    }

    /// The saved form: bytes to keep, of at most 256.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = alloc::vec![FORMAT];
        self.0.encode(&mut bytes, None);
        bytes
    }

    /// Reads the saved form; parameters that are not to be remembered are left out.
    ///
    /// # Errors
    ///
    /// [`InvalidRemembered`] where the bytes are too many, of another format, or not allowed as transport parameters.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidRemembered> {
        match bytes.split_first() {
            Some((&FORMAT, encoded)) if bytes.len() <= MAX_LEN => {
                let parameters = TransportParameters::decode(encoded, Side::Server).map_err(|_| InvalidRemembered)?;
                Ok(Self::of(&parameters))
            }
            _ => Err(InvalidRemembered),
        }
    }

    /// The parameters; those that are not remembered are at their defaults.
    #[must_use]
    pub const fn get(&self) -> &TransportParameters {
        &self.0
    }

    /// Whether `server`, who takes early data that was sent under these limits, lowers none of them (RFC 9000 section
    /// 7.4.1, RFC 9221 section 3).
    #[must_use]
    pub fn are_kept_by(&self, server: &TransportParameters) -> bool {
        let limits = |parameters: &TransportParameters| {
            [
                parameters.active_connection_id_limit,
                parameters.initial_max_data,
                parameters.initial_max_stream_data_bidi_local,
                parameters.initial_max_stream_data_bidi_remote,
                parameters.initial_max_stream_data_uni,
                parameters.initial_max_streams_bidi,
                parameters.initial_max_streams_uni,
                parameters.max_datagram_frame_size,
            ]
        };
        limits(&self.0).into_iter().zip(limits(server)).all(|(before, now)| now >= before)
    }
}
