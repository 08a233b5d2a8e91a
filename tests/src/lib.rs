//! What the tests that cross Quillon's components share.
//!
//! - [`fixtures`]: certificates, bytes and directories.
//! - [`pair`]: a client and a server on a simulated path ([`link`]) in virtual time, driven through [`host`].
//! - [`echo`]: a whole life of a connection between the two, step by step.
//! - [`forge`]: packets of a peer that holds the keys and keeps no rules.
//! - [`module`]: the module under wasmtime, as one of the hosts.
//! - [`transport`]: what the transport can do beyond streams, of either build of the engine.
//! - [`udp`]: clients and servers of either build on real sockets, against other implementations.
//! - [`process`]: child processes that end with the test.
//! - [`command`]: the command `quillon` as such a process.

pub mod command;
pub mod echo;
pub mod fixtures;
pub mod forge;
pub mod host;
pub mod link;
pub mod module;
pub mod pair;
pub mod process;
pub mod transport;
pub mod udp;
