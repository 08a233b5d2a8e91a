//! Ctrl-C and the polite kill.

use crate::Failure;

/// SIGINT and SIGTERM, caught from [`catch`](Self::catch) on.
pub(crate) struct Interruption {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
}

impl Interruption {
    /// Catches the signals: they no longer end the process by themselves.
    pub(crate) fn catch() -> Result<Self, Failure> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let failed = |error: std::io::Error| format!("cannot catch signals: {error}");
            let signals = [signal(SignalKind::interrupt()), signal(SignalKind::terminate())];
            let [interrupt, terminate] = signals.map(|signal| signal.map_err(failed));
            Ok(Self { signals: [interrupt?, terminate?] })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for one of them.
    pub(crate) async fn wait(&mut self) {
        #[cfg(unix)]
        {
            let [interrupt, terminate] = &mut self.signals;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
