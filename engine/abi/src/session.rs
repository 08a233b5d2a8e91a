//! Sessions that later connections can resume.

use crate::failure::Failure;
use crate::instance::call;

/// After `QUILLON_EVENT_NEW_SESSION`, before the next poll: keeps the session that it told of. Returns its handle.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_session_take() -> i32 {
    call(|instance| {
        let session = instance.event_session.take();
        let session = session.ok_or_else(|| Failure::invalid_state(&"the last event told of no session"))?;
        instance.sessions.insert(session)
    })
}

/// Gives a session up.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_session_free(session: u32) -> i32 {
    call(|instance| instance.sessions.remove(session).map(|_| 0))
}
