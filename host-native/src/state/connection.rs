//! One connection, and its streams, as the handles see them.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::task::{Context, Waker};

use quillon::{Event, Stats, StreamId};

use crate::backend::SessionHandle;
use crate::error::ConnectionError;

/// Sessions, and tokens, that wait to be taken; the oldest goes.
const MAX_GIFTS: usize = 8;

/// Adds to a list; gives what has to go for it.
fn add<T>(list: &mut VecDeque<T>, entry: T) -> Option<T> {
    list.push_back(entry);
    if list.len() > MAX_GIFTS { list.pop_front() } else { None }
}

/// One connection as the handles see it.
pub(crate) struct ConnectionState {
    pub(crate) remote: SocketAddr,
    pub(crate) is_client: bool,
    pub(crate) handshake_complete: bool,
    pub(crate) closed: Option<ConnectionError>,
    pub(super) drained: bool,
    /// A `Connection` or a stream refers to it, or will.
    pub(crate) referenced: bool,
    /// The tasks that wait for the handshake, for streams to open or accept, or for the end; each at most once.
    waiting: Vec<Waker>,
    pub(crate) opened: [VecDeque<StreamId>; 2],
    pub(crate) streams: BTreeMap<StreamId, StreamState>,
    pub(crate) alpn: Option<Vec<u8>>,
    /// As they were when the connection was closed.
    pub(crate) last_stats: Option<Stats>,
    pub(crate) handshake_confirmed: bool,
    /// The server does not take the early data: streams from before have no meaning any more.
    pub(crate) early_data_rejected: bool,
    /// Sessions and address tokens that nobody took yet, at most [`MAX_GIFTS`] of each.
    pub(crate) sessions: VecDeque<SessionHandle>,
    pub(crate) tokens: VecDeque<Vec<u8>>,
}

impl ConnectionState {
    pub(super) fn new(remote: SocketAddr, is_client: bool) -> Self {
        Self {
            remote,
            is_client,
            handshake_complete: false,
            closed: None,
            drained: false,
            referenced: is_client,
            waiting: Vec::new(),
            opened: [VecDeque::new(), VecDeque::new()],
            streams: BTreeMap::new(),
            alpn: None,
            last_stats: None,
            handshake_confirmed: false,
            early_data_rejected: false,
            sessions: VecDeque::new(),
            tokens: VecDeque::new(),
        }
    }

    /// The server does not take the early data.
    pub(super) fn reject_early_data(&mut self) {
        self.early_data_rejected = true;
        for mut stream in std::mem::take(&mut self.streams).into_values() {
            stream.wake_reader();
            stream.wake_writer();
        }
        self.wake_all();
    }

    /// Keeps a session; gives the one that has to go for it.
    pub(super) fn add_session(&mut self, session: SessionHandle) -> Option<SessionHandle> {
        self.wake_all();
        add(&mut self.sessions, session)
    }

    pub(super) fn add_token(&mut self, token: Vec<u8>) {
        let _ = add(&mut self.tokens, token);
        self.wake_all();
    }

    /// Wakes the task at the next change.
    pub(crate) fn wait(&mut self, context: &Context<'_>) {
        if !self.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            self.waiting.push(context.waker().clone());
        }
    }

    pub(super) fn wake_all(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    /// Ends it for everybody who waits.
    pub(super) fn end(&mut self, error: ConnectionError) {
        self.closed.get_or_insert(error);
        for stream in self.streams.values_mut() {
            stream.wake_reader();
            stream.wake_writer();
        }
        self.wake_all();
    }
}

/// One stream that has handles, or will when it is accepted.
#[derive(Debug, Default)]
pub(crate) struct StreamState {
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Handles that are left, one for each direction.
    pub(crate) handles: u8,
    /// Everything sent was acknowledged.
    pub(crate) acknowledged: bool,
    /// The peer's RESET_STREAM.
    pub(crate) reset: Option<u64>,
    /// The peer's STOP_SENDING.
    pub(crate) stopped: Option<u64>,
    /// The peer opened it in early data.
    pub(crate) early: bool,
}

impl StreamState {
    /// A stream that the peer opened, in early data or not.
    pub(super) fn opened_by_peer(early: bool) -> Self {
        Self { early, ..Self::default() }
    }

    pub(crate) fn wait_to_read(&mut self, context: &Context<'_>) {
        self.reader = Some(context.waker().clone());
    }

    pub(crate) fn wait_to_write(&mut self, context: &Context<'_>) {
        self.writer = Some(context.waker().clone());
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

impl ConnectionState {
    pub(super) fn stream_event(&mut self, event: &Event) {
        match *event {
            Event::StreamReadable { id } => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.wake_reader();
                }
            }
            Event::StreamWritable { id } => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.wake_writer();
                }
            }
            Event::StreamFinished { id } => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.acknowledged = true;
                    stream.wake_writer();
                }
            }
            Event::StreamReset { id, code } => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.reset = Some(code);
                    stream.wake_reader();
                }
            }
            Event::StreamStopped { id, code } => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.stopped = Some(code);
                    stream.wake_writer();
                }
            }
            _ => {}
        }
    }
}
