//! A transfer on one stream, with its measures.

use std::net::SocketAddr;

use quillon::{ConnectionHandle, Dir, Event, StreamId, Time};

use crate::content::Content;
use crate::host::{Host, Reading};
use crate::network::{Network, NodeId};

/// Bytes offered to a stream at once.
const PIECE: usize = 64 << 10;

/// Opens a connection and runs until both ends have completed the handshake; returns both handles. `None` where that
/// takes until `bound` or one end gives up.
pub fn connect<H: Host>(
    network: &mut Network<H>,
    (client, local): (NodeId, SocketAddr),
    (server, remote): (NodeId, SocketAddr),
    bound: Time,
) -> Option<(ConnectionHandle, ConnectionHandle)> {
    let handle = network.connect(client, local, remote);
    let (mut connected, mut accepted) = (false, None);
    while network.now() < bound && network.step() {
        while let Some((of, event)) = network.poll_event(client) {
            match event {
                Event::HandshakeComplete if of == handle => connected = true,
                Event::Closed(_) if of == handle => return None,
                _ => {}
            }
        }
        while let Some((of, event)) = network.poll_event(server) {
            if event == Event::HandshakeComplete {
                accepted = Some(of);
            }
        }
        if let (true, Some(accepted)) = (connected, accepted) {
            return Some((handle, accepted));
        }
    }
    None
}

/// A transfer of so many bytes.
#[derive(Debug)]
pub struct Flow {
    /// Who sends, on which connection.
    pub from: (NodeId, ConnectionHandle),
    /// Who receives.
    pub to: (NodeId, ConnectionHandle),
    /// When it began.
    pub began: Time,
    /// When the last byte was read, if it was.
    pub ended: Option<Time>,
    /// Bytes read.
    pub read: u64,
    id: StreamId,
    content: Content,
    len: u64,
    written: u64,
}

impl Flow {
    /// Opens a stream for `len` bytes.
    ///
    /// # Panics
    /// Where the peer grants no stream.
    pub fn begin<H: Host>(
        network: &mut Network<H>,
        from: (NodeId, ConnectionHandle),
        to: (NodeId, ConnectionHandle),
        len: u64,
    ) -> Self {
        let id = network.host(from.0).open(from.1, Dir::Uni).expect("the peer grants streams");
        let content = Content(id.0 ^ (from.0 as u64) << 32);
        let mut flow = Self { from, to, began: network.now(), ended: None, read: 0, id, content, len, written: 0 };
        flow.write(network);
        flow
    }

    /// Bits a second, as read from its beginning until its end or until `now`.
    #[must_use]
    pub fn goodput(&self, now: Time) -> u64 {
        let time = self.ended.unwrap_or(now).saturating_sub(self.began).max(1);
        let bits = u128::from(self.read) * 8 * u128::from(crate::SECOND) / u128::from(time);
        u64::try_from(bits).unwrap_or(u64::MAX)
    }

    fn write<H: Host>(&mut self, network: &mut Network<H>) {
        let (node, connection) = self.from;
        let mut piece = vec![0; PIECE];
        while self.written < self.len {
            let len = (self.len - self.written).min(PIECE as u64) as usize;
            self.content.fill(self.written, &mut piece[..len]);
            let taken = network.host(node).write(connection, self.id, &piece[..len]).expect("the stream is open");
            self.written += taken as u64;
            if taken < len {
                return;
            }
        }
        assert!(network.host(node).finish(connection, self.id), "the stream is open");
    }

    fn read<H: Host>(&mut self, network: &mut Network<H>) {
        let (node, connection) = self.to;
        let (content, read) = (self.content, &mut self.read);
        let reading = network.host(node).read(connection, self.id, usize::MAX, &mut |bytes| {
            assert_eq!(content.mismatch(*read, bytes), None, "a byte is out of place");
            *read += bytes.len() as u64;
        });
        match reading {
            Reading::Open => {}
            Reading::Finished => {
                assert_eq!(self.read, self.len, "the stream ends where it was finished");
                self.ended.get_or_insert(network.now());
            }
            Reading::Over => panic!("nobody gave the stream up"),
        }
    }
}

/// Runs until all flows have ended or until `until`; whether they have.
///
/// # Panics
/// Where a connection closes, or a byte is out of place.
pub fn run<H: Host>(network: &mut Network<H>, flows: &mut [Flow], until: Time) -> bool {
    let mut nodes: Vec<_> = flows.iter().flat_map(|flow| [flow.from.0, flow.to.0]).collect();
    nodes.sort_unstable();
    nodes.dedup();
    loop {
        for node in &nodes {
            while let Some((connection, event)) = network.poll_event(*node) {
                let at = (*node, connection);
                match event {
                    Event::StreamReadable { id } => {
                        if let Some(flow) = flows.iter_mut().find(|flow| flow.to == at && flow.id == id) {
                            flow.read(network);
                        }
                    }
                    Event::StreamWritable { id } => {
                        if let Some(flow) = flows.iter_mut().find(|flow| flow.from == at && flow.id == id) {
                            flow.write(network);
                        }
                    }
                    Event::Closed(error) => panic!("at {}: the connection of node {node} ends: {error}", network.now()),
                    _ => {}
                }
            }
        }
        if flows.iter().all(|flow| flow.ended.is_some()) {
            return true;
        }
        if network.next_event().is_none_or(|next| next > until) {
            return false;
        }
        network.step();
    }
}

/// Jain's index of fairness of shares, in thousandths: 1000 where all are equal.
#[must_use]
pub fn jain(shares: &[u64]) -> u64 {
    let sum: u128 = shares.iter().map(|share| u128::from(*share)).sum();
    let squares: u128 = shares.iter().map(|share| u128::from(*share).pow(2)).sum();
    let index = (sum * sum * 1_000).checked_div(squares * shares.len() as u128).unwrap_or(1_000);
    u64::try_from(index).unwrap_or(1_000)
}

#[cfg(test)]
mod tests {
    use super::jain;

    #[test]
    fn jains_index_is_that_of_its_definition() {
        assert_eq!(jain(&[5, 5]), 1_000);
        assert_eq!(jain(&[10, 0]), 500);
        assert_eq!(jain(&[1, 2]), 900);
    }
}
