//! rustls' errors in words that say what to do.

use alloc::format;
use alloc::string::{String, ToString};

use ::rustls::{AlertDescription, CertificateError, Error, PeerIncompatible, PeerMisbehaved};

use super::session::Options;
use crate::error::TransportErrorCode;
use crate::tls::{TlsError, alert};

/// The error for people, with the alert that rustls chose, or the one that fits where it chose none.
pub(super) fn explain(error: &Error, chosen: Option<AlertDescription>, options: &Options) -> TlsError {
    // RFC 9001 section 4.6.1.
    if let Error::PeerMisbehaved(PeerMisbehaved::InvalidMaxEarlyDataSize) = error {
        let reason = "the server's ticket limits early data, which QUIC does with flow control";
        return TlsError::of_transport(TransportErrorCode::PROTOCOL_VIOLATION, reason);
    }
    let reason = match error {
        Error::InvalidCertificate(error) if options.server_name.is_none() => client_certificate(error),
        Error::InvalidCertificate(error) => certificate(error, options),
        Error::NoCertificatesPresented => "the client has shown no certificate, and the server requires one".into(),
        Error::NoApplicationProtocol => options.no_protocol.clone(),
        Error::PeerIncompatible(incompatible) => peer_incompatible(incompatible),
        Error::PeerMisbehaved(PeerMisbehaved::MissingQuicTransportParameters) => {
            "the peer sent no QUIC transport parameters: it may not speak QUIC version 1".into()
        }
        Error::PeerMisbehaved(PeerMisbehaved::KeyUpdateReceivedInQuicConnection) => {
            "the peer sent a TLS KeyUpdate, which QUIC forbids".into()
        }
        Error::PeerMisbehaved(fault) => format!("the peer broke the TLS protocol: {fault:?}"),
        Error::InvalidMessage(fault) => format!("the peer sent a TLS message that cannot be read: {fault:?}"),
        Error::InappropriateHandshakeMessage { got_type, .. } => {
            format!("the peer sent a TLS message out of turn: {got_type:?}")
        }
        Error::DecryptError => "the handshake was tampered with, or the peer is broken: its Finished is wrong".into(),
        Error::HandshakeNotComplete => "the handshake is not complete yet".into(),
        Error::FailedToGetRandomBytes => "no randomness: the call ran outside a seeded scope".into(),
        error => format!("TLS: {error}"),
    };
    let alert = chosen.map_or_else(|| fitting_alert(error), u8::from);
    TlsError::new(alert, reason)
}

/// A fault of this code.
pub(super) fn internal(what: &'static str) -> TlsError {
    TlsError::new(alert::INTERNAL_ERROR, format!("internal error in TLS: {what}"))
}

fn fitting_alert(error: &Error) -> u8 {
    match error {
        Error::InvalidMessage(fault) => AlertDescription::from(*fault).into(),
        Error::InvalidCertificate(error) => AlertDescription::from(error.clone()).into(),
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(PeerMisbehaved::KeyEpochWithPendingFragment) => alert::UNEXPECTED_MESSAGE,
        Error::PeerMisbehaved(_) => alert::ILLEGAL_PARAMETER,
        Error::PeerIncompatible(_) => alert::HANDSHAKE_FAILURE,
        Error::NoApplicationProtocol => alert::NO_APPLICATION_PROTOCOL,
        Error::NoCertificatesPresented => AlertDescription::CertificateRequired.into(),
        _ => alert::INTERNAL_ERROR,
    }
}

fn certificate(error: &CertificateError, options: &Options) -> String {
    use CertificateError as E;
    let name = options.server_name.as_deref().unwrap_or("this server");
    match error {
        E::UnknownIssuer => "the server's certificate is signed by an unknown authority: \
            pass its CA certificate, or accept any certificate in a test"
            .into(),
        E::NotValidForNameContext { presented, .. } if !presented.is_empty() => format!(
            "the server's certificate is not for {name} but for {}: connect to one of these names",
            names(presented)
        ),
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            format!("the server's certificate is not for {name}: connect to a name that it carries")
        }
        E::Expired => "the server's certificate has expired: it must be renewed".into(),
        E::ExpiredContext { time, not_after } => format!(
            "the server's certificate expired {} ago: it must be renewed, or the clock here is wrong",
            duration(time.as_secs().saturating_sub(not_after.as_secs()))
        ),
        E::NotValidYet => "the server's certificate is not valid yet: is the clock here right?".into(),
        E::NotValidYetContext { time, not_before } => format!(
            "the server's certificate becomes valid only in {}: is the clock here right?",
            duration(not_before.as_secs().saturating_sub(time.as_secs()))
        ),
        E::Revoked => "the server's certificate has been revoked".into(),
        E::BadSignature => "the server's certificate or its proof of the key has a wrong signature".into(),
        E::BadEncoding => "the server's certificate cannot be read".into(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "the server's certificate is not for servers: it needs the usage serverAuth".into()
        }
        E::Other(error) if error.to_string().contains("CaUsedAsEndEntity") => {
            "the server uses a CA certificate as its own: it needs one that the CA has signed".into()
        }
        error => format!("the server's certificate is not acceptable: {error}"),
    }
}

fn client_certificate(error: &CertificateError) -> String {
    use CertificateError as E;
    match error {
        E::UnknownIssuer => "the client's certificate is signed by an unknown authority".into(),
        E::Expired | E::ExpiredContext { .. } => "the client's certificate has expired: it must be renewed".into(),
        E::NotValidYet | E::NotValidYetContext { .. } => "the client's certificate is not valid yet".into(),
        E::BadSignature => "the client's certificate or its proof of the key has a wrong signature".into(),
        E::BadEncoding => "the client's certificate cannot be read".into(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "the client's certificate is not for clients: it needs the usage clientAuth".into()
        }
        error => format!("the client's certificate is not acceptable: {error}"),
    }
}

fn peer_incompatible(incompatible: &PeerIncompatible) -> String {
    match incompatible {
        PeerIncompatible::NoCipherSuitesInCommon => "the peer supports none of our cipher suites".into(),
        PeerIncompatible::NoKxGroupsInCommon => "the peer supports none of our key exchange groups".into(),
        PeerIncompatible::NoSignatureSchemesInCommon => {
            "the peer supports no signature that our certificate's key can make".into()
        }
        PeerIncompatible::Tls13RequiredForQuic | PeerIncompatible::SupportedVersionsExtensionRequired => {
            "the peer does not support TLS 1.3, which QUIC needs".into()
        }
        other => format!("the peer's TLS does not fit ours: {other:?}"),
    }
}

/// At most a few names: a certificate may have hundreds, and the text is one line. rustls prints some of them as
/// `DnsName("example.com")`; the name is what people look for.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text = String::new();
    for (index, name) in presented.iter().take(SHOWN).enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(name.split('"').nth(1).unwrap_or(name));
    }
    if let Some(more) = presented.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// The largest unit that fits.
fn duration(seconds: u64) -> String {
    let (count, unit) = match seconds {
        172_800.. => (seconds / 86_400, "days"),
        7_200.. => (seconds / 3_600, "hours"),
        120.. => (seconds / 60, "minutes"),
        _ => (seconds, "seconds"),
    };
    format!("{count} {unit}")
}
