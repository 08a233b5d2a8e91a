//! Configurations: settings by key, so that new ones need no new function.
//!
//! A configuration is frozen when it is first used; afterwards it can be used again but not changed, apart from what is
//! good for one connection: token and session.

mod bytes;
mod numbers;
mod tls;

use std::sync::Arc;

use quillon::tls::external::ExternalTls;
use quillon::{ClientConfig, EndpointConfig, SavedSession, ServerConfig, TransportSettings};

use crate::constants::*;
use crate::failure::Failure;
use crate::instance::call;
use crate::memory;
use numbers::within;
use tls::Tls;

/// Room for 64 received datagrams of the largest size on Ethernet, or one GRO batch.
const DEFAULT_RECEIVE_ARENA: usize = QUILLON_ARENA_DATA as usize + 128 * 1024;
/// Room for one full GSO batch.
const DEFAULT_TRANSMIT_ARENA: usize = QUILLON_ARENA_DATA as usize + 64 * 1024;

/// The settings of connections and endpoints.
#[derive(Debug)]
pub(crate) struct Config {
    is_server: bool,
    transport: TransportSettings,
    tls: Tls,
    token: Vec<u8>,
    session: Option<SavedSession>,
    ask_on_client_hello: bool,
    pub(crate) endpoint: EndpointConfig,
    pub(crate) receive_arena: usize,
    pub(crate) transmit_arena: usize,
    built: Option<Built>,
}

#[derive(Debug)]
enum Built {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            is_server: false,
            transport: TransportSettings::default(),
            tls: Tls::default(),
            token: Vec::new(),
            session: None,
            ask_on_client_hello: false,
            endpoint: EndpointConfig::default(),
            receive_arena: DEFAULT_RECEIVE_ARENA,
            transmit_arena: DEFAULT_TRANSMIT_ARENA,
            built: None,
        }
    }
}

impl Config {
    /// What `quillon_endpoint_connect` uses.
    pub(crate) fn client(&mut self) -> Result<Arc<ClientConfig>, Failure> {
        if self.is_server {
            return Err(Failure::invalid("this configuration is a server's"));
        }
        match self.freeze()? {
            Built::Client(config) => {
                let config = ClientConfig::clone(config);
                let (token, session) = (self.token.clone(), self.session.clone());
                Ok(Arc::new(ClientConfig { token, session, ..config }))
            }
            Built::Server(_) => Err(Failure::invalid("this configuration is a server's")),
        }
    }

    /// What `quillon_endpoint_listen` uses.
    pub(crate) fn server(&mut self) -> Result<Arc<ServerConfig>, Failure> {
        if !self.is_server {
            return Err(Failure::invalid("this configuration is a client's"));
        }
        match self.freeze()? {
            Built::Server(config) => Ok(Arc::clone(config)),
            Built::Client(_) => Err(Failure::invalid("this configuration is a client's")),
        }
    }

    fn build_client(&self) -> Result<Built, Failure> {
        let tls: Arc<dyn quillon::tls::ClientConfig> =
            if self.tls.external { Arc::new(ExternalTls) } else { Arc::new(self.tls.client()?) };
        let mut config = ClientConfig::new(tls);
        config.transport = self.transport.clone();
        config.early_data = self.tls.early_data;
        Ok(Built::Client(Arc::new(config)))
    }

    fn build_server(&self) -> Result<Built, Failure> {
        let tls: Arc<dyn quillon::tls::ServerConfig> =
            if self.tls.external { Arc::new(ExternalTls) } else { Arc::new(self.tls.server()?) };
        let mut config = ServerConfig::new(tls);
        config.transport = self.transport.clone();
        config.ask_on_client_hello = self.ask_on_client_hello;
        Ok(Built::Server(Arc::new(config)))
    }

    fn freeze(&mut self) -> Result<&Built, Failure> {
        if self.built.is_none() {
            self.built = Some(if self.is_server { self.build_server()? } else { self.build_client()? });
        }
        self.built.as_ref().ok_or_else(Failure::invalid_handle)
    }
}

/// Makes a configuration with the defaults. Returns its handle.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_config_new(role: u32) -> i32 {
    call(|instance| {
        let is_server = within::<u8>(u64::from(role), 0, 1)? == 1;
        instance.configs.insert(Config { is_server, ..Config::default() })
    })
}

/// Gives a configuration up. What was made with it lives on.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_config_free(config: u32) -> i32 {
    call(|instance| instance.configs.remove(config).map(|_| 0))
}

/// Sets the number under `key`, one of those below 64.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_config_set_number(config: u32, key: u32, value: u64) -> i32 {
    call(|instance| changeable(instance.configs.find(config)?)?.set_number(key, value).map(|()| 0))
}

/// Sets the bytes under `key`, one of those from 64, or appends them where the key names a list.
///
/// # Safety
///
/// `value` is valid for reading `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_config_set_bytes(config: u32, key: u32, value: *const u8, len: u32) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let value = unsafe { memory::input(value, len) }?;
        let config = instance.configs.find(config)?;
        let config = if key == QUILLON_CONFIG_TOKEN { config } else { changeable(config)? };
        config.set_bytes(key, value).map(|()| 0)
    })
}

/// Has a client resume a session of an earlier connection with the same configuration, which may be in use. One
/// connection can: for a later one the session is passed over. 0: has it resume none.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_config_set_session(config: u32, session: u32) -> i32 {
    call(|instance| {
        let session = if session == 0 { None } else { Some(instance.sessions.find(session)?.clone()) };
        instance.configs.find(config)?.session = session;
        Ok(0)
    })
}

fn changeable(config: &mut Config) -> Result<&mut Config, Failure> {
    if config.built.is_some() { Err(Failure::invalid("the configuration is in use: make another")) } else { Ok(config) }
}
