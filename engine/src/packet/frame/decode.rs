use core::iter::FusedIterator;

use super::{Ack, ConnectionClose, Frame, MAX_STREAM_COUNT, frame_type};
use crate::error::{TransportError, TransportErrorCode};
use crate::wire::{ConnectionId, Dir, Reader, StreamId, UnexpectedEnd, varint};

/// The frames of a packet's payload, each with the type it has on the wire. Ends after the first error.
///
/// The errors close the connection and name the frame's type: FRAME_ENCODING_ERROR for a frame that is malformed or
/// of an unknown type (RFC 9000 section 12.4), PROTOCOL_VIOLATION for a type that is not in its shortest encoding.
/// A payload without any frame is an error too (section 12.4): that is the caller's to see.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    reader: Reader<'a>,
}

impl<'a> Frames<'a> {
    /// The frames in `payload`.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { reader: Reader::new(payload) }
    }

    fn read_type(&mut self) -> Result<u64, TransportError> {
        let start = self.reader.position();
        let ty = self.reader.varint().map_err(|UnexpectedEnd| Malformed::from(UnexpectedEnd).in_frame(0))?;
        if self.reader.position() - start == varint::len(ty) {
            Ok(ty)
        } else {
            const LONG: &str = "a frame type is not in its shortest encoding";
            Err(TransportError::new(TransportErrorCode::PROTOCOL_VIOLATION, LONG).in_frame(ty))
        }
    }

    fn read(&mut self) -> Result<(u64, Frame<'a>), TransportError> {
        let ty = self.read_type()?;
        let frame = decode(&mut self.reader, ty).map_err(|malformed| malformed.in_frame(ty))?;
        Ok((ty, frame))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<(u64, Frame<'a>), TransportError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let item = self.read();
        if item.is_err() {
            self.reader.rest();
        }
        Some(item)
    }
}

impl FusedIterator for Frames<'_> {}

/// What is wrong with a frame, for people.
pub(super) struct Malformed(pub(super) &'static str);

impl Malformed {
    fn in_frame(self, ty: u64) -> TransportError {
        TransportError::new(TransportErrorCode::FRAME_ENCODING_ERROR, self.0).in_frame(ty)
    }
}

impl From<UnexpectedEnd> for Malformed {
    fn from(_: UnexpectedEnd) -> Self {
        Self("the packet ends inside a frame")
    }
}

/// Reads what follows a frame's type.
fn decode<'a>(r: &mut Reader<'a>, ty: u64) -> Result<Frame<'a>, Malformed> {
    Ok(match ty {
        frame_type::PADDING => padding(r),
        frame_type::PING => Frame::Ping,
        frame_type::ACK | frame_type::ACK_ECN => Frame::Ack(Ack::decode(r, ty == frame_type::ACK_ECN)?),
        frame_type::RESET_STREAM => {
            Frame::ResetStream { id: StreamId(r.varint()?), code: r.varint()?, final_size: r.varint()? }
        }
        frame_type::STOP_SENDING => Frame::StopSending { id: StreamId(r.varint()?), code: r.varint()? },
        frame_type::CRYPTO => {
            let offset = r.varint()?;
            Frame::Crypto { offset, data: ends_in_range(offset, r.varint_bytes()?)? }
        }
        frame_type::NEW_TOKEN => match r.varint_bytes()? {
            [] => return Err(Malformed("the token is empty")),
            token => Frame::NewToken { token },
        },
        frame_type::STREAM..=frame_type::STREAM_LAST => stream(r, ty)?,
        frame_type::MAX_DATA => Frame::MaxData { limit: r.varint()? },
        frame_type::MAX_STREAM_DATA => Frame::MaxStreamData { id: StreamId(r.varint()?), limit: r.varint()? },
        frame_type::MAX_STREAMS_BIDI => Frame::MaxStreams { dir: Dir::Bidi, limit: stream_count(r)? },
        frame_type::MAX_STREAMS_UNI => Frame::MaxStreams { dir: Dir::Uni, limit: stream_count(r)? },
        frame_type::DATA_BLOCKED => Frame::DataBlocked { limit: r.varint()? },
        frame_type::STREAM_DATA_BLOCKED => Frame::StreamDataBlocked { id: StreamId(r.varint()?), limit: r.varint()? },
        frame_type::STREAMS_BLOCKED_BIDI => Frame::StreamsBlocked { dir: Dir::Bidi, limit: stream_count(r)? },
        frame_type::STREAMS_BLOCKED_UNI => Frame::StreamsBlocked { dir: Dir::Uni, limit: stream_count(r)? },
        frame_type::NEW_CONNECTION_ID => new_connection_id(r)?,
        frame_type::RETIRE_CONNECTION_ID => Frame::RetireConnectionId { sequence: r.varint()? },
        frame_type::PATH_CHALLENGE => Frame::PathChallenge(r.array()?),
        frame_type::PATH_RESPONSE => Frame::PathResponse(r.array()?),
        frame_type::CONNECTION_CLOSE => Frame::ConnectionClose(ConnectionClose::Transport {
            code: TransportErrorCode(r.varint()?),
            frame_type: r.varint()?,
            reason: r.varint_bytes()?,
        }),
        frame_type::APPLICATION_CLOSE => {
            Frame::ConnectionClose(ConnectionClose::Application { code: r.varint()?, reason: r.varint_bytes()? })
        }
        frame_type::HANDSHAKE_DONE => Frame::HandshakeDone,
        frame_type::DATAGRAM => Frame::Datagram { data: r.rest() },
        frame_type::DATAGRAM_WITH_LENGTH => Frame::Datagram { data: r.varint_bytes()? },
        _ => return Err(Malformed("the frame type is not known")),
    })
}

/// The rest of a run of PADDING whose first byte has been read.
fn padding<'a>(r: &mut Reader<'a>) -> Frame<'a> {
    let rest = r.clone().rest();
    // Padding fills most of an Initial: whole blocks first.
    let blocks = rest.as_chunks::<32>().0.iter().take_while(|block| **block == [0; 32]).count();
    let tail = rest.iter().skip(32 * blocks).take_while(|byte| **byte == 0).count();
    Frame::Padding { len: 1 + r.bytes(32 * blocks + tail).map_or(0, <[u8]>::len) }
}

fn stream<'a>(r: &mut Reader<'a>, ty: u64) -> Result<Frame<'a>, Malformed> {
    let id = StreamId(r.varint()?);
    let offset = if ty & frame_type::STREAM_OFF != 0 { r.varint()? } else { 0 };
    let data = if ty & frame_type::STREAM_LEN != 0 { r.varint_bytes()? } else { r.rest() };
    Ok(Frame::Stream { id, offset, fin: ty & frame_type::STREAM_FIN != 0, data: ends_in_range(offset, data)? })
}

/// Offsets end at 2^62 - 1 (RFC 9000 sections 19.6 and 19.8).
fn ends_in_range(offset: u64, data: &[u8]) -> Result<&[u8], Malformed> {
    if offset + data.len() as u64 <= varint::MAX { Ok(data) } else { Err(Malformed("data lies beyond 2^62 - 1")) }
}

/// RFC 9000 sections 19.11 and 19.14.
fn stream_count(r: &mut Reader<'_>) -> Result<u64, Malformed> {
    match r.varint()? {
        count @ ..=MAX_STREAM_COUNT => Ok(count),
        _ => Err(Malformed("more than 2^60 streams")),
    }
}

/// RFC 9000 section 19.15.
fn new_connection_id<'a>(r: &mut Reader<'a>) -> Result<Frame<'a>, Malformed> {
    let sequence = r.varint()?;
    let retire_prior_to = r.varint()?;
    let len = r.u8()?;
    let cid = ConnectionId::new(r.bytes(len.into())?).ok_or(Malformed("the connection ID is longer than 20 bytes"))?;
    let reset_token = r.array()?;
    if cid.is_empty() {
        return Err(Malformed("the connection ID is empty"));
    }
    if retire_prior_to > sequence {
        return Err(Malformed("Retire Prior To is larger than the sequence number"));
    }
    Ok(Frame::NewConnectionId { sequence, retire_prior_to, cid, reset_token })
}
