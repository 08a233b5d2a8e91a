use super::{ConnectionClose, Frame, frame_type};
use crate::wire::{StreamId, Writer, varint};

/// Where frames are written: to a buffer, or only counted. One description of each frame serves both, so that
/// `encoded_len` and `encode` cannot disagree.
pub(super) trait Sink {
    fn bytes(&mut self, bytes: &[u8]);
    fn zeros(&mut self, count: usize);
    fn varint(&mut self, value: u64);

    fn varint_bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.bytes(bytes);
    }
}

impl Sink for Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        Writer::bytes(self, bytes);
    }

    fn zeros(&mut self, count: usize) {
        Writer::zeros(self, count);
    }

    fn varint(&mut self, value: u64) {
        Writer::varint(self, value);
    }
}

/// Counts the bytes.
struct Count(usize);

impl Sink for Count {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn zeros(&mut self, count: usize) {
        self.0 += count;
    }

    fn varint(&mut self, value: u64) {
        self.0 += varint::len(value);
    }
}

impl Frame<'_> {
    /// How many bytes [`encode`](Self::encode) writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut count = Count(0);
        self.write(&mut count);
        count.0
    }

    /// Writes the frame. STREAM and DATAGRAM frames get a Length.
    pub fn encode(&self, w: &mut Writer<'_>) {
        self.write(w);
    }

    /// Writes the frame as a packet's last: STREAM and DATAGRAM frames get no Length and extend to the packet's
    /// end (RFC 9000 section 19.8, RFC 9221 section 4). Other frames are written as by [`encode`](Self::encode).
    pub fn encode_to_end(&self, w: &mut Writer<'_>) {
        match *self {
            Self::Stream { id, offset, fin, data } => {
                encode_stream_header(w, id, offset, data.len(), fin, false);
                w.bytes(data);
            }
            Self::Datagram { data } => {
                w.varint(frame_type::DATAGRAM);
                w.bytes(data);
            }
            _ => self.write(w),
        }
    }

    fn write(&self, sink: &mut impl Sink) {
        if let Self::Padding { len } = *self {
            return sink.zeros(len);
        }
        sink.varint(self.frame_type());
        match *self {
            Self::Padding { .. } | Self::Ping | Self::HandshakeDone => {}
            Self::Ack(ref ack) => ack.encode(sink),
            Self::ResetStream { id, code, final_size } => {
                sink.varint(id.0);
                sink.varint(code);
                sink.varint(final_size);
            }
            Self::StopSending { id, code } => {
                sink.varint(id.0);
                sink.varint(code);
            }
            Self::Crypto { offset, data } => {
                sink.varint(offset);
                sink.varint_bytes(data);
            }
            Self::NewToken { token } => sink.varint_bytes(token),
            Self::Stream { id, offset, data, .. } => {
                write_stream_fields(sink, id, offset, Some(data.len()));
                sink.bytes(data);
            }
            Self::MaxData { limit }
            | Self::MaxStreams { limit, .. }
            | Self::DataBlocked { limit }
            | Self::StreamsBlocked { limit, .. } => sink.varint(limit),
            Self::MaxStreamData { id, limit } | Self::StreamDataBlocked { id, limit } => {
                sink.varint(id.0);
                sink.varint(limit);
            }
            Self::NewConnectionId { sequence, retire_prior_to, cid, reset_token } => {
                sink.varint(sequence);
                sink.varint(retire_prior_to);
                sink.bytes(&[cid.len() as u8]);
                sink.bytes(cid.as_slice());
                sink.bytes(&reset_token);
            }
            Self::RetireConnectionId { sequence } => sink.varint(sequence),
            Self::PathChallenge(data) | Self::PathResponse(data) => sink.bytes(&data),
            Self::ConnectionClose(ConnectionClose::Transport { code, frame_type, reason }) => {
                sink.varint(code.0);
                sink.varint(frame_type);
                sink.varint_bytes(reason);
            }
            Self::ConnectionClose(ConnectionClose::Application { code, reason }) => {
                sink.varint(code);
                sink.varint_bytes(reason);
            }
            Self::Datagram { data } => sink.varint_bytes(data),
        }
    }
}

fn write_stream_fields(sink: &mut impl Sink, id: StreamId, offset: u64, len: Option<usize>) {
    sink.varint(id.0);
    if offset > 0 {
        sink.varint(offset);
    }
    if let Some(len) = len {
        sink.varint(len as u64);
    }
}

/// Writes a STREAM frame up to its data: `len` bytes are to follow. Without a Length they have to reach the
/// packet's end (RFC 9000 section 19.8).
pub fn encode_stream_header(w: &mut Writer<'_>, id: StreamId, offset: u64, len: usize, fin: bool, with_length: bool) {
    w.varint(frame_type::stream(offset, fin, with_length));
    write_stream_fields(w, id, offset, with_length.then_some(len));
}

/// Writes a CRYPTO frame up to its data: `len` bytes are to follow (RFC 9000 section 19.6).
pub fn encode_crypto_header(w: &mut Writer<'_>, offset: u64, len: usize) {
    w.varint(frame_type::CRYPTO);
    w.varint(offset);
    w.varint(len as u64);
}

/// How many bytes a STREAM frame takes beside its `len` bytes of data.
#[must_use]
pub const fn stream_frame_overhead(id: StreamId, offset: u64, len: usize, with_length: bool) -> usize {
    let offset = if offset > 0 { varint::len(offset) } else { 0 };
    let length = if with_length { varint::len(len as u64) } else { 0 };
    1 + varint::len(id.0) + offset + length
}

/// How many bytes a CRYPTO frame takes beside its `len` bytes of data.
#[must_use]
pub const fn crypto_frame_overhead(offset: u64, len: usize) -> usize {
    1 + varint::len(offset) + varint::len(len as u64)
}
