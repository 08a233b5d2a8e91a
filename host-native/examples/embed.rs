//! A plugin host in one file: `quillon.wasm` in wasmtime, a socket of the host's own, and the C ABI (`quillon.h`).
//! The module imports nothing. All that it gets is what this file hands it: a seed, the time, datagrams.
//!
//! `cargo run --example embed -- target/wasm/quillon.wasm ca.pem 127.0.0.1:4433 localhost /file > copy`

use std::io::Write;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls_pki_types::{CertificateDer, pem::PemObject};
use wasmtime::{Engine, Error, Instance, Memory, Module, Result, Store, WasmParams, WasmResults, bail};

/// An instance of the module, a buffer in its memory through which arguments go in, and its socket.
struct Plugin {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    scratch: u32,
    socket: UdpSocket,
    started: Instant,
}

impl Plugin {
    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, arguments: P) -> Result<R> {
        self.instance.get_typed_func::<P, R>(&mut self.store, name)?.call(&mut self.store, arguments)
    }

    /// A call whose result is an error where it is negative.
    fn check<P: WasmParams>(&mut self, name: &str, arguments: P) -> Result<u32> {
        let code: i32 = self.call(name, arguments)?;
        u32::try_from(code).map_err(|_| Error::msg(format!("{name} fails with {code}")))
    }

    /// Lays bytes into the scratch buffer; gives their address and length.
    fn put(&mut self, bytes: &[u8]) -> Result<(u32, u32)> {
        self.memory.write(&mut self.store, self.scratch as usize, bytes)?;
        Ok((self.scratch, bytes.len() as u32))
    }

    /// The little-endian number of 4 bytes at an address in the module's memory.
    fn number(&self, at: usize) -> usize {
        u32::from_le_bytes(*self.memory.data(&self.store)[at..].first_chunk().unwrap_or(&[0; 4])) as usize
    }

    /// The time in nanoseconds: its lower and upper half.
    fn now(&self) -> (u32, u32) {
        let now = self.started.elapsed().as_nanos() as u64;
        (now as u32, (now >> 32) as u32)
    }

    /// Sends what the engine has to send.
    fn transmit(&mut self, endpoint: u32) -> Result<()> {
        let arena: u32 = self.call("quillon_endpoint_transmit_arena", endpoint)?;
        let (lo, hi) = self.now();
        while let batches @ 1.. = self.check("quillon_endpoint_transmit", (endpoint, 1, lo, hi))? {
            for descriptor in (arena as usize..).step_by(64).take(batches as usize) {
                let (offset, len) = (self.number(descriptor), self.number(descriptor + 4));
                self.socket.send(&self.memory.data(&self.store)[arena as usize + offset..][..len])?;
            }
        }
        Ok(())
    }

    /// Sends, then waits for a datagram, received straight into the module's memory, or for the deadline.
    fn wait(&mut self, endpoint: u32, route: &[u8], status: usize) -> Result<()> {
        self.transmit(endpoint)?;
        let arena = self.call::<_, u32>("quillon_endpoint_receive_arena", endpoint)? as usize;
        let deadline = (self.number(status + 4) as u64) << 32 | self.number(status) as u64;
        let left = Duration::from_nanos(deadline).saturating_sub(self.started.elapsed());
        self.socket.set_read_timeout(Some(left.clamp(Duration::from_micros(1), Duration::from_secs(1))))?;
        let received = self.socket.recv(&mut self.memory.data_mut(&mut self.store)[arena + 4096..][..65_535]);
        let (lo, hi) = self.now();
        if let Ok(len) = received {
            let head = [4096, len as u32, 0, 0].map(u32::to_le_bytes);
            self.memory.write(&mut self.store, arena, &[head.as_flattened(), route].concat())?;
            self.check("quillon_endpoint_receive", (endpoint, 1, lo, hi))?;
        }
        self.check("quillon_endpoint_handle_timeout", (endpoint, lo, hi)).map(drop)
    }
}

/// An IPv4 address in the ABI's layout: family, port, IP, padding.
fn encode(address: SocketAddrV4) -> Vec<u8> {
    [&4u16.to_le_bytes()[..], &address.port().to_le_bytes(), &address.ip().octets(), &[0; 12]].concat()
}

/// Downloads a file over hq-interop.
pub(crate) fn download(arguments: &[String]) -> Result<Vec<u8>> {
    let [module, ca, remote, name, path] = arguments else { bail!("usage: embed MODULE CA ADDRESS NAME PATH") };
    let remote = remote.parse::<SocketAddrV4>()?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(remote)?;
    let SocketAddr::V4(local) = socket.local_addr()? else { bail!("the socket is not an IPv4 socket") };
    let route = [encode(local), encode(remote)].concat();
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &Module::from_file(&engine, module)?, &[])?;
    let Some(memory) = instance.get_memory(&mut store, "memory") else { bail!("{module} exports no memory") };
    let mut plugin = Plugin { store, instance, memory, scratch: 0, socket, started: Instant::now() };
    plugin.scratch = plugin.call("quillon_alloc", 65_536)?;
    let status = plugin.call::<_, u32>("quillon_status", ())? as usize;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(Error::msg)?;
    let (at, len) = plugin.put(&seed)?;
    plugin.check("quillon_seed", (at, len))?;
    plugin.check("quillon_set_unix_time", SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let config = plugin.check("quillon_config_new", 0)?;
    let root = CertificateDer::from_pem_file(ca).map_err(|error| Error::msg(format!("{ca}: {error}")))?;
    for (key, value) in [(64 /* ALPN */, b"hq-interop".as_slice()), (65 /* ROOT_CERTIFICATE */, &root)] {
        let (at, len) = plugin.put(value)?;
        plugin.check("quillon_config_set_bytes", (config, key, at, len))?;
    }
    let endpoint = plugin.check("quillon_endpoint_new", config)?;
    let ((at, len), (lo, hi)) = (plugin.put(&[&route, name.as_bytes()].concat())?, plugin.now());
    let connection = plugin.check("quillon_endpoint_connect", (endpoint, config, at + 40, len - 40, at, lo, hi))?;

    let mut file = Vec::new();
    loop {
        // 0 NONE, 2 HANDSHAKE_COMPLETE, 5 STREAM_READABLE (of stream 0, the only one), 8 STREAM_RESET, 12 CLOSED
        match plugin.check("quillon_endpoint_poll_event", endpoint)? {
            0 => plugin.wait(endpoint, &route, status)?,
            2 => {
                let stream: i64 = plugin.call("quillon_stream_open", (endpoint, connection, 0))?;
                let (at, len) = plugin.put(format!("GET {path}\r\n").as_bytes())?;
                plugin.check("quillon_stream_write", (endpoint, connection, stream, at, len))?;
                plugin.check("quillon_stream_finish", (endpoint, connection, stream))?;
            }
            5 => {
                while let len @ 0.. = plugin.call::<_, i32>("quillon_stream_peek", (endpoint, connection, 0i64))? {
                    let data = &plugin.memory.data(&plugin.store)[plugin.number(status + 16)..];
                    file.extend_from_slice(&data[..len as usize]);
                    if len == 0 {
                        let (lo, hi) = plugin.now();
                        plugin.check("quillon_connection_close", (endpoint, connection, 0i64, at, 0, lo, hi))?;
                        plugin.transmit(endpoint)?;
                        return Ok(file);
                    }
                    plugin.check("quillon_stream_consume", (endpoint, connection, 0i64, len))?;
                }
            }
            8 | 12 => bail!("the server refuses {path}, or is gone"),
            _ => {}
        }
    }
}

fn main() -> Result<()> {
    Ok(std::io::stdout().write_all(&download(&std::env::args().skip(1).collect::<Vec<_>>())?)?)
}
