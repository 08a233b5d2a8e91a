//! Moving a connection from one path to another (RFC 9000 section 9).

use super::Connection;
use crate::wire::FourTuple;

impl Connection {
    /// Whether packets from a path that is not known may be authentic: the peer may move once the handshake is
    /// confirmed, and only clients move (RFC 9000 section 9).
    pub(super) fn may_arrive_from(&self, _addresses: &FourTuple) -> bool {
        false
    }
}
