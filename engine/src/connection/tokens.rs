//! Address tokens: those of a server to its client, and what the client's first token proves (RFC 9000 section 8.1).

use alloc::vec::Vec;

use super::close::State;
use super::sent::SentFrame;
use super::{Connection, Event};
use crate::crypto::initial_keys;
use crate::error::TransportError;
use crate::packet::Frame;
use crate::token;
use crate::wire::{ConnectionId, Side, Writer};

/// A NEW_TOKEN frame's type and the length of its token.
const OVERHEAD: usize = 1 + 2;

impl Connection {
    /// A server's caller found the client's address proven by the token of its first Initial: it may be sent any amount
    /// (RFC 9000 section 8.1). `retry_source` is the connection ID that this Initial was sent to where it answers a
    /// Retry; the connection was then made with the one that came before the Retry. Call it before
    /// [`receive`](Self::receive).
    pub fn validate_address(&mut self, retry_source: Option<ConnectionId>) {
        if self.side().is_client() {
            return;
        }
        self.paths.active_mut().validate();
        if let Some(id) = retry_source {
            if let Some(original) = self.handshake.take_original_route() {
                self.local_ids.unroute_original(original);
            }
            self.handshake.accept_retry(id);
            self.local_ids.route_original(id);
            self.keys.set_initial(initial_keys(self.crypto.as_ref(), self.version, &id, Side::Server));
        }
    }

    /// Gives the client a token for a later connection (RFC 9000 section 8.1.3). An [`Endpoint`](crate::Endpoint) does
    /// it by itself; a caller that does without one makes its own tokens, of 1 to [`token::MAX_LEN`] bytes.
    ///
    /// `false`, and nothing is sent, on a client, before the handshake is complete, after the close, for a token of
    /// another length, and while 8 tokens wait to be acknowledged.
    pub fn issue_token(&mut self, token: Vec<u8>) -> bool {
        let open = matches!(self.state, State::Open) && self.is_handshake_complete() && !self.side().is_client();
        open && (1..=token::MAX_LEN).contains(&token.len()) && self.issued_tokens.push(token)
    }

    pub(super) fn on_new_token(&mut self, token: &[u8]) -> Result<(), TransportError> {
        if self.side() == Side::Server {
            return Err(Self::protocol_violation("NEW_TOKEN from a client"));
        }
        self.received_tokens.push(token);
        Ok(())
    }

    pub(super) fn poll_token(&mut self) -> Option<Event> {
        self.received_tokens.pop().map(|token| Event::NewToken { token })
    }

    pub(super) fn write_tokens(&mut self, writer: &mut Writer<'_>, limit: usize, frames: &mut Vec<SentFrame>) {
        loop {
            let room = limit.saturating_sub(writer.position()).saturating_sub(OVERHEAD);
            let Some((sequence, token)) = self.issued_tokens.next(room) else { return };
            Frame::NewToken { token }.encode(writer);
            frames.push(SentFrame::NewToken { sequence });
        }
    }
}
