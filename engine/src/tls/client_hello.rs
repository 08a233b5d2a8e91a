//! A reader of the ClientHello (RFC 8446 section 4.1.2), for what a server must know before there is a TLS session:
//! server name, application protocols, transport parameters.
//!
//! It is bounded ([`MAX_LEN`], [`MAX_PROTOCOLS`]) and judges as little as it can: a TLS session reads the same bytes and
//! judges the rest. Invariant: whatever the input, no panic, and the answer depends on nothing but the bytes.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::{TlsError, alert};
use crate::wire::{Reader, UnexpectedEnd};

/// The longest ClientHello in bytes, its header of four bytes included.
pub const MAX_LEN: usize = 16 * 1024;

/// How many application protocols are read; those after them are passed over.
pub const MAX_PROTOCOLS: usize = 64;

const HEADER_LEN: usize = 4;
const CLIENT_HELLO: u8 = 1;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
/// RFC 9001 section 8.2.
const QUIC_TRANSPORT_PARAMETERS: u16 = 57;

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The DNS name of the server it wants (RFC 6066 section 3), as sent; `None` where there is none that can be read.
    pub server_name: Option<String>,
    /// The application protocols it offers, in its order of preference (RFC 7301), at most [`MAX_PROTOCOLS`]; may be
    /// empty.
    pub alpn: Vec<Vec<u8>>,
    /// Its transport parameters, encoded.
    pub transport_parameters: Vec<u8>,
    /// The cipher suites it offers, by their numbers in IANA's registry, in its order of preference.
    pub cipher_suites: Vec<u16>,
    /// Its random, which identifies the connection in key logs.
    pub random: [u8; 32],
}

/// How far the reader came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The bytes are the beginning of a ClientHello.
    NeedMore,
    /// The ClientHello is complete.
    Done(ClientHello),
}

/// Reads a ClientHello from the start of the CRYPTO stream of Initial packets. Cheap to call again with more
/// bytes: nothing is parsed before the message is complete.
///
/// Errors name the alert to send: unexpected_message where it is another message, decode_error where it cannot be read
/// or is longer than [`MAX_LEN`], illegal_parameter where an extension comes twice, missing_extension without
/// transport parameters (RFC 9001 section 8.2).
pub fn parse(bytes: &[u8]) -> Result<Progress, TlsError> {
    let Some((&message_type, rest)) = bytes.split_first() else {
        return Ok(Progress::NeedMore);
    };
    if message_type != CLIENT_HELLO {
        return Err(TlsError::new(alert::UNEXPECTED_MESSAGE, "the client's first message is not a ClientHello"));
    }
    let Some(&[a, b, c]) = rest.first_chunk() else {
        return Ok(Progress::NeedMore);
    };
    let len = u32::from_be_bytes([0, a, b, c]) as usize;
    if len > MAX_LEN - HEADER_LEN {
        return Err(TlsError::new(alert::DECODE_ERROR, "the client's ClientHello is longer than 16 KiB"));
    }
    match rest.get(3..3 + len) {
        Some(body) => read(body).map(Progress::Done),
        None => Ok(Progress::NeedMore),
    }
}

impl From<UnexpectedEnd> for TlsError {
    fn from(_: UnexpectedEnd) -> Self {
        Self::new(alert::DECODE_ERROR, "the client's ClientHello cannot be read")
    }
}

fn read(body: &[u8]) -> Result<ClientHello, TlsError> {
    let mut reader = Reader::new(body);
    let _legacy_version = reader.u16()?;
    let random = reader.array()?;
    let _legacy_session_id = list8(&mut reader)?;
    let mut suites = Reader::new(list16(&mut reader)?);
    let _legacy_compression_methods = list8(&mut reader)?;
    let mut extensions = Reader::new(list16(&mut reader)?);
    if !reader.is_empty() {
        return Err(UnexpectedEnd.into());
    }

    let mut cipher_suites = Vec::with_capacity(suites.remaining() / 2);
    while !suites.is_empty() {
        cipher_suites.push(suites.u16()?);
    }

    let (mut server_name, mut alpn, mut transport_parameters) = (None, None, None);
    while !extensions.is_empty() {
        let extension_type = extensions.u16()?;
        let data = list16(&mut extensions)?;
        let slot = match extension_type {
            SERVER_NAME => &mut server_name,
            ALPN => &mut alpn,
            QUIC_TRANSPORT_PARAMETERS => &mut transport_parameters,
            _ => continue,
        };
        if slot.replace(data).is_some() {
            return Err(TlsError::new(alert::ILLEGAL_PARAMETER, "the client's ClientHello has an extension twice"));
        }
    }

    let transport_parameters = transport_parameters.ok_or_else(|| {
        TlsError::new(alert::MISSING_EXTENSION, "the client's ClientHello has no QUIC transport parameters")
    })?;
    Ok(ClientHello {
        server_name: server_name.map(read_server_name).transpose()?.flatten(),
        alpn: alpn.map(read_alpn).transpose()?.unwrap_or_default(),
        transport_parameters: transport_parameters.to_owned(),
        cipher_suites,
        random,
    })
}

/// The first DNS name of the list.
fn read_server_name(data: &[u8]) -> Result<Option<String>, TlsError> {
    const HOST_NAME: u8 = 0;
    let mut names = Reader::new(whole_list16(data)?);
    while !names.is_empty() {
        let name_type = names.u8()?;
        let name = list16(&mut names)?;
        if name_type == HOST_NAME {
            let name = core::str::from_utf8(name).ok().filter(|name| name.is_ascii() && !name.is_empty());
            return Ok(name.map(ToOwned::to_owned));
        }
    }
    Ok(None)
}

fn read_alpn(data: &[u8]) -> Result<Vec<Vec<u8>>, TlsError> {
    let mut names = Reader::new(whole_list16(data)?);
    let mut protocols = Vec::new();
    while !names.is_empty() {
        let protocol = list8(&mut names)?;
        // RFC 7301 section 3.1: "Empty strings MUST NOT be included."
        if protocol.is_empty() {
            return Err(UnexpectedEnd.into());
        }
        if protocols.len() < MAX_PROTOCOLS {
            protocols.push(protocol.to_owned());
        }
    }
    Ok(protocols)
}

/// A vector of TLS with a length of one byte.
fn list8<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], UnexpectedEnd> {
    let len = reader.u8()?;
    reader.bytes(len.into())
}

/// A vector of TLS with a length of two bytes.
fn list16<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], UnexpectedEnd> {
    let len = reader.u16()?;
    reader.bytes(len.into())
}

/// A vector of TLS that is all there is.
fn whole_list16(data: &[u8]) -> Result<&[u8], UnexpectedEnd> {
    let mut reader = Reader::new(data);
    let list = list16(&mut reader)?;
    if reader.is_empty() { Ok(list) } else { Err(UnexpectedEnd) }
}
