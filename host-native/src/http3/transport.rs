//! The traits of `h3::quic` for this crate's handles.
//!
//! What cannot go on registers the task's waker with the connection or the stream, under the lock that the refused
//! call was made under. At most one frame per stream is buffered here, the one that is being sent: the rest of the
//! backpressure is the engine's.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, WriteBuf};

use crate::error::{ConnectionError, ReadError, WriteError};

/// Bytes that one read of a stream gives at most.
const CHUNK_LEN: usize = 64 * 1024;

/// A connection for HTTP/3. Clones are the same connection, and each opens streams.
#[derive(Clone, Debug)]
pub struct Connection {
    inner: crate::Connection,
}

impl From<crate::Connection> for Connection {
    fn from(inner: crate::Connection) -> Self {
        Self { inner }
    }
}

impl<B: Buf> quic::OpenStreams<B> for Connection {
    type BidiStream = BidiStream<B>;
    type SendStream = SendStream<B>;

    fn poll_open_bidi(&mut self, context: &mut Context<'_>) -> Poll<Result<BidiStream<B>, StreamErrorIncoming>> {
        self.inner.poll_open_bi(context).map_ok(BidiStream::new).map_err(|end| stream_end(&end))
    }

    fn poll_open_send(&mut self, context: &mut Context<'_>) -> Poll<Result<SendStream<B>, StreamErrorIncoming>> {
        self.inner.poll_open_uni(context).map_ok(SendStream::new).map_err(|end| stream_end(&end))
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.inner.close(code.value(), reason);
    }
}

impl<B: Buf> quic::Connection<B> for Connection {
    type RecvStream = RecvStream;
    type OpenStreams = Self;

    fn poll_accept_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<RecvStream, ConnectionErrorIncoming>> {
        self.inner.poll_accept_uni(context).map_ok(RecvStream::new).map_err(|end| connection_end(&end))
    }

    fn poll_accept_bidi(&mut self, context: &mut Context<'_>) -> Poll<Result<BidiStream<B>, ConnectionErrorIncoming>> {
        self.inner.poll_accept_bi(context).map_ok(BidiStream::new).map_err(|end| connection_end(&end))
    }

    fn opener(&self) -> Self {
        self.clone()
    }
}

/// The sending part of a stream.
///
/// Dropping it before the end resets the stream with H3_REQUEST_CANCELLED (RFC 9114 section 4.1.1).
pub struct SendStream<B: Buf> {
    stream: crate::SendStream,
    /// What `h3` handed over and the engine has not taken yet.
    unsent: Option<WriteBuf<B>>,
    /// Finished or reset.
    done: bool,
}

impl<B: Buf> fmt::Debug for SendStream<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendStream").field("id", &self.stream.id()).finish_non_exhaustive()
    }
}

impl<B: Buf> SendStream<B> {
    fn new(stream: crate::SendStream) -> Self {
        Self { stream, unsent: None, done: false }
    }

    fn cancel(&mut self, code: u64) {
        self.unsent = None;
        self.done = true;
        self.stream.reset(code);
    }
}

impl<B: Buf> quic::SendStream<B> for SendStream<B> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        while let Some(unsent) = self.unsent.as_mut().filter(|unsent| unsent.has_remaining()) {
            match ready!(self.stream.poll_write_some(context, unsent.chunk())) {
                Ok(taken) => unsent.advance(taken),
                Err(error) => {
                    self.unsent = None;
                    return Poll::Ready(Err(write_error(error)));
                }
            }
        }
        self.unsent = None;
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<B>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        if self.unsent.is_some() {
            let connection_error =
                ConnectionErrorIncoming::InternalError("a frame was sent before the last had left".to_owned());
            return Err(StreamErrorIncoming::ConnectionErrorIncoming { connection_error });
        }
        self.unsent = Some(data.into());
        Ok(())
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        ready!(self.poll_ready(context))?;
        let finished = self.stream.finish();
        self.done = true;
        Poll::Ready(finished.map_err(write_error))
    }

    fn reset(&mut self, code: u64) {
        self.cancel(code);
    }

    fn send_id(&self) -> quic::StreamId {
        id(self.stream.id())
    }
}

impl<B: Buf> Drop for SendStream<B> {
    fn drop(&mut self) {
        if !self.done {
            self.cancel(Code::H3_REQUEST_CANCELLED.value());
        }
    }
}

/// The receiving part of a stream.
///
/// Dropping it before the end asks the peer to stop with H3_REQUEST_CANCELLED (RFC 9114 section 4.1.1).
#[derive(Debug)]
pub struct RecvStream {
    stream: crate::RecvStream,
    /// The end was read, or the stream reset or stopped.
    done: bool,
}

impl RecvStream {
    const fn new(stream: crate::RecvStream) -> Self {
        Self { stream, done: false }
    }
}

impl quic::RecvStream for RecvStream {
    type Buf = Bytes;

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let data = ready!(self.stream.poll_read_chunk(context, CHUNK_LEN)).map_err(read_error);
        self.done |= !matches!(data, Ok(Some(_)));
        Poll::Ready(data)
    }

    fn stop_sending(&mut self, code: u64) {
        self.done = true;
        self.stream.stop(code);
    }

    fn recv_id(&self) -> quic::StreamId {
        id(self.stream.id())
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        if !self.done {
            self.stream.stop(Code::H3_REQUEST_CANCELLED.value());
        }
    }
}

/// A stream in both directions: a request and its response.
#[derive(Debug)]
pub struct BidiStream<B: Buf> {
    send: SendStream<B>,
    receive: RecvStream,
}

impl<B: Buf> BidiStream<B> {
    fn new((send, receive): (crate::SendStream, crate::RecvStream)) -> Self {
        Self { send: SendStream::new(send), receive: RecvStream::new(receive) }
    }
}

impl<B: Buf> quic::SendStream<B> for BidiStream<B> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.send.poll_ready(context)
    }

    fn send_data<T: Into<WriteBuf<B>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.send.send_data(data)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.send.poll_finish(context)
    }

    fn reset(&mut self, code: u64) {
        self.send.reset(code);
    }

    fn send_id(&self) -> quic::StreamId {
        self.send.send_id()
    }
}

impl<B: Buf> quic::RecvStream for BidiStream<B> {
    type Buf = Bytes;

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.receive.poll_data(context)
    }

    fn stop_sending(&mut self, code: u64) {
        self.receive.stop_sending(code);
    }

    fn recv_id(&self) -> quic::StreamId {
        self.receive.recv_id()
    }
}

impl<B: Buf> quic::BidiStream<B> for BidiStream<B> {
    type SendStream = SendStream<B>;
    type RecvStream = RecvStream;

    fn split(self) -> (SendStream<B>, RecvStream) {
        (self.send, self.receive)
    }
}

fn id(id: quillon::StreamId) -> quic::StreamId {
    quic::StreamId::try_from(id.0).expect("a stream's identifier is below 2^62")
}

fn connection_end(end: &ConnectionError) -> ConnectionErrorIncoming {
    match end {
        ConnectionError::Quic(quillon::ConnectionError::Application { code, by_peer: true, .. }) => {
            ConnectionErrorIncoming::ApplicationClose { error_code: *code }
        }
        ConnectionError::Quic(quillon::ConnectionError::IdleTimeout) => ConnectionErrorIncoming::Timeout,
        end => ConnectionErrorIncoming::Undefined(Arc::new(end.clone())),
    }
}

fn stream_end(end: &ConnectionError) -> StreamErrorIncoming {
    StreamErrorIncoming::ConnectionErrorIncoming { connection_error: connection_end(end) }
}

fn read_error(error: ReadError) -> StreamErrorIncoming {
    match error {
        ReadError::Reset(error_code) => StreamErrorIncoming::StreamTerminated { error_code },
        ReadError::Connection(end) => stream_end(&end),
        error @ ReadError::Closed => StreamErrorIncoming::Unknown(error.into()),
    }
}

fn write_error(error: WriteError) -> StreamErrorIncoming {
    match error {
        WriteError::Stopped(error_code) => StreamErrorIncoming::StreamTerminated { error_code },
        WriteError::Connection(end) => stream_end(&end),
        error @ WriteError::Closed => StreamErrorIncoming::Unknown(error.into()),
    }
}
