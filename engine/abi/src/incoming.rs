//! Clients that wait for the host's decision, where the endpoint's configuration asks.

use quillon::{AcceptError, AddressValidation, AlreadyValidated, Incoming};

use crate::constants::*;
use crate::endpoint::time;
use crate::failure::Failure;
use crate::instance::{Instance, call};
use crate::layout::write_path;
use crate::memory;

/// A client that waits, and the endpoint that it waits at.
#[derive(Debug)]
pub(crate) struct Waiting {
    endpoint: u32,
    incoming: Incoming,
}

/// Takes the next client that waits for a decision. Returns its handle, 0 where there is none. Call it after
/// `quillon_endpoint_receive`.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_endpoint_poll_incoming(endpoint: u32) -> i32 {
    call(|instance| {
        let Some(incoming) = instance.endpoints.find(endpoint)?.endpoint.poll_incoming() else { return Ok(0) };
        instance.incoming.insert(Waiting { endpoint, incoming })
    })
}

/// Copies out what is known of a client under `key`, as many bytes as `capacity` holds. Returns its length.
///
/// # Safety
///
/// `out` is valid for writing `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_incoming_info(incoming: u32, key: u32, out: *mut u8, capacity: u32) -> i32 {
    call(|instance| {
        let incoming = &instance.incoming.find(incoming)?.incoming;
        // SAFETY: by this function's contract.
        let answer = |bytes: &[u8]| unsafe { memory::output(bytes, out, capacity) };
        match key {
            QUILLON_INCOMING_PATH => answer(&write_path(&incoming.path())),
            QUILLON_INCOMING_ADDRESS_VALIDATION => {
                answer(&address_validation(incoming.address_validation()).to_le_bytes())
            }
            QUILLON_INCOMING_VERSION => answer(&incoming.version().0.to_le_bytes()),
            QUILLON_INCOMING_ORIGINAL_DESTINATION => answer(incoming.original_destination().as_slice()),
            _ => Err(Failure::invalid("a client has nothing under this key")),
        }
    })
}

fn address_validation(validation: AddressValidation) -> u32 {
    match validation {
        AddressValidation::None => QUILLON_ADDRESS_UNPROVEN,
        AddressValidation::Retry => QUILLON_ADDRESS_RETRY,
        AddressValidation::NewToken => QUILLON_ADDRESS_TOKEN,
    }
}

/// The client that `handle` names, off the list, if it waits at this endpoint.
fn take(instance: &mut Instance, endpoint: u32, handle: u32) -> Result<Incoming, Failure> {
    if instance.incoming.find(handle)?.endpoint != endpoint {
        return Err(Failure::invalid("the client waits at another endpoint"));
    }
    instance.endpoints.find(endpoint)?;
    instance.incoming.remove(handle).map(|waiting| waiting.incoming)
}

/// Accepts a client with `config` or, where that is 0, with what the endpoint listens with. Returns the connection's
/// handle.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_incoming_accept(endpoint: u32, incoming: u32, config: u32, now_lo: u32, now_hi: u32) -> i32 {
    call(|instance| {
        let config = if config == 0 { None } else { Some(instance.configs.find(config)?.server()?) };
        let incoming = take(instance, endpoint, incoming)?;
        let endpoint = &mut instance.endpoints.find(endpoint)?.endpoint;
        let connection = endpoint.accept(time(now_lo, now_hi), incoming, config.as_ref())?;
        instance.status.set_deadline(endpoint.timeout());
        i32::try_from(connection.raw()).map_err(|_| Failure::too_many("there can be no more connections"))
    })
}

/// Refuses a client: it is told so. Transmit afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_incoming_refuse(endpoint: u32, incoming: u32, now_lo: u32, now_hi: u32) -> i32 {
    call(|instance| {
        let incoming = take(instance, endpoint, incoming)?;
        instance.endpoints.find(endpoint)?.endpoint.refuse(time(now_lo, now_hi), incoming);
        Ok(0)
    })
}

/// Has a client prove its address first. Transmit afterwards. Where a token proves the address already, it goes on
/// waiting under the same handle.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_incoming_retry(endpoint: u32, incoming: u32, now_lo: u32, now_hi: u32) -> i32 {
    call(|instance| {
        if instance.incoming.find(incoming)?.incoming.address_validation() != AddressValidation::None {
            return Err(Failure::invalid_state(&"a token already proves the client's address"));
        }
        let incoming = take(instance, endpoint, incoming)?;
        let retried = instance.endpoints.find(endpoint)?.endpoint.retry(time(now_lo, now_hi), incoming);
        retried.map_err(|AlreadyValidated(_)| Failure::invalid_handle())?;
        Ok(0)
    })
}

/// Drops what a client sent, without a word.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_incoming_ignore(endpoint: u32, incoming: u32) -> i32 {
    call(|instance| {
        let incoming = take(instance, endpoint, incoming)?;
        instance.endpoints.find(endpoint)?.endpoint.ignore(incoming);
        Ok(0)
    })
}

impl From<AcceptError> for Failure {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Refused(error) => error.into(),
            error => Self::invalid_state(&error),
        }
    }
}
