//! One task per endpoint: datagrams in, timeouts, events, datagrams out; then it waits for the socket, the clock or
//! a handle.
//!
//! A turn is bounded: one receive call, a few transmit calls and some hundred events. Where more is left the task
//! yields first, so that the readers and writers of the same runtime have their turn.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::backend::{BackendError, Batch, MAX_BATCH_LEN, Received};
use crate::error::ConnectionError;
use crate::socket::Socket;
use crate::state::{NewSocket, Shared, State};

/// Transmit calls of one turn.
const TRANSMIT_CALLS: usize = 4;

/// Events of one turn.
const EVENTS: usize = 512;

/// Socket errors in a row after which the socket counts as lost.
const MAX_ERRORS: u32 = 64;

/// Sockets at once; the oldest of those that were added goes.
const MAX_SOCKETS: usize = 16;

/// What follows a turn.
enum Next {
    /// More is there already.
    Again,
    /// The socket, a handle, or the deadline; with `writable` also room in the socket's buffer.
    Wait { deadline: Option<Instant>, writable: bool },
    /// Nobody is left.
    Stop,
}

/// The driver of one endpoint.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    /// The first is the endpoint's own; the others were added for other paths.
    sockets: Vec<Socket>,
    received: Vec<Received>,
    /// Batches that the socket had no room for; nothing else is sent before them. At most one transmit call's.
    unsent: VecDeque<(Batch, Vec<u8>)>,
    /// The sockets' error queues are to be read.
    has_error: bool,
    /// Failures to receive, in a row.
    errors: u32,
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, sockets: Vec<Socket>) -> Self {
        Self { shared, sockets, received: Vec::new(), unsent: VecDeque::new(), has_error: false, errors: 0 }
    }

    /// Runs until every handle is gone and every connection forgotten, or the socket fails.
    pub(crate) async fn run(mut self) {
        let sleep = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(sleep);
        loop {
            match self.turn() {
                Next::Again => tokio::task::yield_now().await,
                Next::Stop => return,
                Next::Wait { deadline, writable } => {
                    if let Some(deadline) = deadline
                        && deadline != sleep.deadline()
                    {
                        sleep.as_mut().reset(deadline);
                    }
                    tokio::select! {
                        () = self.shared.wake.notified() => {}
                        has_error = readable(&self.sockets) => self.has_error = has_error,
                        () = self.writable(), if writable => {}
                        () = &mut sleep, if deadline.is_some() => {}
                    }
                }
            }
        }
    }

    fn turn(&mut self) -> Next {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        match self.step(&mut state) {
            Ok(next) => next,
            // A backend that refuses the driver's calls is as broken as one that traps.
            Err(trap) => match state.replace_backend(&shared, &trap.to_string()) {
                Ok(()) => Next::Again,
                Err(error) => {
                    state.fail(&shared, &ConnectionError::Trapped(error.to_string()));
                    Next::Stop
                }
            },
        }
    }

    fn step(&mut self, state: &mut State) -> Result<Next, BackendError> {
        state.refresh_wall_clock()?;
        self.take_sockets(state);
        if std::mem::take(&mut self.has_error) {
            self.take_errors(state)?;
        }
        let received = self.receive(state)?;
        let now = state.now();
        if state.backend.timeout()?.is_some_and(|deadline| deadline <= now) {
            state.backend.handle_timeout(now)?;
        }
        // Telling of an event may free what can be sent (a stream that is over makes room for another), and sending
        // may end a connection.
        state.dispatch(&self.shared, EVENTS)?;
        let unsent = self.transmit(state)?;
        let events = state.dispatch(&self.shared, EVENTS)? > 0;
        state.write_logs()?;
        if self.errors > MAX_ERRORS {
            state.fail(&self.shared, &ConnectionError::EndpointClosed);
            return Ok(Next::Stop);
        }
        if state.is_over() {
            return Ok(Next::Stop);
        }
        if received || unsent || events {
            return Ok(Next::Again);
        }
        let deadline = state.backend.timeout()?.map(|time| state.instant(time).into());
        Ok(Next::Wait { deadline, writable: !self.unsent.is_empty() })
    }

    /// Takes over the sockets that handles have made.
    fn take_sockets(&mut self, state: &mut State) {
        for socket in state.new_sockets.drain(..) {
            match socket {
                NewSocket::Another(socket) => {
                    self.sockets.push(socket);
                    if self.sockets.len() > MAX_SOCKETS {
                        self.sockets.remove(1);
                    }
                }
                NewSocket::Instead(mut socket) => {
                    if let Some(first) = self.sockets.first_mut() {
                        socket.stand_in_for(first);
                        *first = socket;
                    }
                }
            }
        }
    }

    /// One receive call for each socket, straight into the backend's memory; whether any gave anything.
    fn receive(&mut self, state: &mut State) -> Result<bool, BackendError> {
        let mut any = false;
        for index in 0..self.sockets.len() {
            any |= self.receive_from(state, index)?;
        }
        Ok(any)
    }

    fn receive_from(&mut self, state: &mut State, index: usize) -> Result<bool, BackendError> {
        let Some(socket) = self.sockets.get_mut(index) else { return Ok(false) };
        match socket.receive(state.backend.receive_buffer(), &mut self.received) {
            Ok(()) => {
                self.errors = 0;
                let now = state.now();
                state.backend.receive(now, &self.received)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(_) => {
                self.errors += 1;
                self.take_errors(state)?;
                Ok(true)
            }
        }
    }

    /// The socket of a path, or else the endpoint's own.
    fn socket_of(&self, local: SocketAddr) -> Option<&Socket> {
        self.sockets.iter().find(|socket| socket.serves(local)).or_else(|| self.sockets.first())
    }

    /// Waits until the first batch that was held back may go.
    async fn writable(&self) {
        let next = self.unsent.front().and_then(|(batch, _)| self.socket_of(batch.path.local));
        if let Some(socket) = next {
            let _ = socket.writable().await;
        }
    }

    /// Sends until the engine is idle, the socket full or the turn's share used up; whether it was the last.
    fn transmit(&mut self, state: &mut State) -> Result<bool, BackendError> {
        while let Some((batch, contents)) = self.unsent.pop_front() {
            if !self.send(state, &batch, &contents)? {
                self.unsent.push_front((batch, contents));
                return Ok(false);
            }
        }
        let offload = self.sockets.iter().map(Socket::max_segments).min().unwrap_or(1);
        let max_segments = offload.min(MAX_BATCH_LEN / state.max_udp_payload_size()).max(1);
        for _ in 0..TRANSMIT_CALLS {
            let now = state.now();
            let count = state.backend.transmit(now, max_segments)?;
            if count == 0 {
                return Ok(false);
            }
            for index in 0..count {
                let Some(batch) = state.backend.batch(index) else { continue };
                if self.unsent.is_empty() && self.send_from(state, &batch)? {
                    continue;
                }
                self.unsent.push_back((batch, state.backend.contents(&batch).to_vec()));
            }
            if !self.unsent.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn send_from(&mut self, state: &mut State, batch: &Batch) -> Result<bool, BackendError> {
        let sent = match self.socket_of(batch.path.local) {
            Some(socket) => socket.send(batch, state.backend.contents(batch)),
            None => Ok(()),
        };
        self.sent(state, sent)
    }

    fn send(&mut self, state: &mut State, batch: &Batch, contents: &[u8]) -> Result<bool, BackendError> {
        let sent = self.socket_of(batch.path.local).map_or(Ok(()), |socket| socket.send(batch, contents));
        self.sent(state, sent)
    }

    /// Whether the batch left, or is lost: loss recovery sees to what the network refuses.
    fn sent(&mut self, state: &mut State, sent: io::Result<()>) -> Result<bool, BackendError> {
        match sent {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(_) => {
                self.take_errors(state)?;
                Ok(true)
            }
        }
    }

    fn take_errors(&mut self, state: &mut State) -> Result<(), BackendError> {
        for socket in &self.sockets {
            while let Some(host) = socket.unreachable() {
                state.fail_unreachable(host)?;
            }
        }
        Ok(())
    }
}

/// Waits until one of the sockets has a datagram, or an error; whether it is an error.
async fn readable(sockets: &[Socket]) -> bool {
    if let [socket] = sockets {
        return socket.readable().await;
    }
    let mut waiting: Vec<_> = sockets.iter().map(|socket| Box::pin(socket.readable())).collect();
    poll_fn(|context| {
        let mut ready = waiting.iter_mut().map(|socket| socket.as_mut().poll(context));
        ready.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}
