//! The UDP socket: batches both ways, segmentation offload, ECN, and the local address of every datagram.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use quillon::{Ecn, FourTuple};
use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::backend::{Batch, RECEIVE_SLOTS, Received, SLOT_LEN};

/// What is asked of the operating system for each direction; it gives what its limits allow.
const BUFFER_LEN: usize = 8 << 20;

/// A bound socket that does not block.
pub(crate) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    meta: [RecvMeta; RECEIVE_SLOTS],
}

impl Socket {
    /// Binds; with `errors`, ICMP errors are kept for [`unreachable`](Self::unreachable).
    pub(crate) fn bind(address: SocketAddr, errors: bool) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // Short of the size asked for, the kernel gives the most it allows; a refusal leaves the default.
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), BUFFER_LEN);
        let _ = state.set_send_buffer_size(UdpSockRef::from(&socket), BUFFER_LEN);
        if errors {
            state.enable_transport_errors(UdpSockRef::from(&socket))?;
        }
        let local = socket.local_addr()?;
        Ok(Self { io: UdpSocket::from_std(socket)?, state, local, meta: [RecvMeta::default(); RECEIVE_SLOTS] })
    }

    pub(crate) const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Takes the place of another socket: the engine keeps to the address of that one.
    pub(crate) const fn stand_in_for(&mut self, other: &Self) {
        self.local = other.local;
    }

    /// Whether datagrams with this local address go out here.
    pub(crate) fn serves(&self, local: SocketAddr) -> bool {
        self.local.port() == local.port() && (self.local.ip().is_unspecified() || self.local.ip() == local.ip())
    }

    /// Datagrams that one send may carry.
    pub(crate) fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Receives into the slots of `buffer`, as many datagrams as are there; `WouldBlock` when none is.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], batch: &mut Vec<Received>) -> io::Result<()> {
        let Self { io, state, local, meta } = self;
        batch.clear();
        let mut slots = buffer.chunks_exact_mut(SLOT_LEN);
        let mut slices: [IoSliceMut<'_>; RECEIVE_SLOTS] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        let count =
            io.try_io(Interest::READABLE, || state.recv(UdpSockRef::from(&*io), &mut slices, meta.as_mut_slice()))?;
        batch.extend(meta.iter().take(count).enumerate().map(|(slot, meta)| Received {
            offset: slot * SLOT_LEN,
            len: meta.len,
            stride: meta.stride,
            ecn: Ecn::from_bits(meta.ecn.map_or(0, |ecn| ecn as u8)),
            path: FourTuple { local: local_of(*local, meta.dst_ip), remote: meta.addr },
        }));
        Ok(())
    }

    /// Sends a batch; `WouldBlock` when the socket's buffer is full.
    pub(crate) fn send(&self, batch: &Batch, contents: &[u8]) -> io::Result<()> {
        let transmit = Transmit {
            destination: batch.path.remote,
            ecn: EcnCodepoint::from_bits(batch.ecn as u8),
            contents,
            segment_size: (batch.segment_size < batch.len).then_some(batch.segment_size),
            src_ip: self.local.ip().is_unspecified().then(|| batch.path.local.ip()).filter(|ip| !ip.is_unspecified()),
        };
        self.io.try_io(Interest::WRITABLE, || self.state.try_send(UdpSockRef::from(&self.io), &transmit))
    }

    /// Takes a host that has told by ICMP, since the last call, that nobody listens on one of its ports.
    pub(crate) fn unreachable(&self) -> Option<IpAddr> {
        let next = || match self.state.recv_transport_error(UdpSockRef::from(&self.io))? {
            Some(error) => Ok(error),
            None => Err(io::ErrorKind::WouldBlock.into()),
        };
        while let Ok(error) = self.io.try_io(Interest::ERROR, next) {
            // Other kinds of unreachable, of a network or a host, may pass.
            let kind = io::Error::from_raw_os_error(error.raw_errno).kind();
            if kind == io::ErrorKind::ConnectionRefused
                && let Some(address) = error.addr
            {
                return Some(address.ip());
            }
        }
        None
    }

    /// Waits for a datagram, or for an error; whether there is an error.
    pub(crate) async fn readable(&self) -> bool {
        let ready = self.io.ready(Interest::READABLE | Interest::ERROR).await;
        ready.is_ok_and(|ready| ready.is_error())
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }
}

/// The local address of a datagram: a socket bound to one address has no other.
fn local_of(bound: SocketAddr, destination: Option<IpAddr>) -> SocketAddr {
    match destination {
        Some(ip) if bound.ip().is_unspecified() => SocketAddr::new(ip, bound.port()),
        _ => bound,
    }
}

/// The local address that the operating system chooses towards `remote`. A connected socket knows; nothing is sent.
pub(crate) fn local_towards(bound: SocketAddr, remote: SocketAddr) -> io::Result<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return Ok(bound);
    }
    let any = if remote.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let probe = std::net::UdpSocket::bind(SocketAddr::new(any, 0))?;
    probe.connect(remote)?;
    Ok(SocketAddr::new(probe.local_addr()?.ip(), bound.port()))
}
