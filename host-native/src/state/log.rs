//! Logs of connections: qlog into files, text to standard error.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use quillon::TransportSettings;
use quillon::diagnostics::{QlogSettings, TextLogSettings};

use super::ConnectionKey;
use crate::backend::{Backend, BackendError, Log};

/// Where logs go.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    qlog_dir: Option<PathBuf>,
    to_stderr: bool,
    /// Open files; `None` where one could not be opened.
    files: BTreeMap<ConnectionKey, Option<File>>,
}

impl Logs {
    pub(crate) fn new(qlog_dir: Option<PathBuf>, to_stderr: bool) -> Self {
        Self { qlog_dir, to_stderr, files: BTreeMap::new() }
    }

    pub(super) const fn is_on(&self) -> bool {
        self.qlog_dir.is_some() || self.to_stderr
    }

    /// Has connections with these settings record what is asked for.
    pub(super) fn ask(&self, transport: &mut TransportSettings) {
        if self.qlog_dir.is_some() {
            transport.qlog.get_or_insert_with(QlogSettings::default);
        }
        if self.to_stderr {
            transport.text_log.get_or_insert_with(TextLogSettings::default);
        }
    }

    /// Writes what a connection has recorded. What cannot be written is lost: the connection is worth more.
    pub(super) fn take(
        &mut self,
        backend: &mut dyn Backend,
        key: ConnectionKey,
        is_client: bool,
    ) -> Result<(), BackendError> {
        if self.to_stderr
            && let Some(lines) = backend.poll_log(key.handle, Log::Text)?
        {
            let _ = std::io::stderr().write_all(lines.as_bytes());
        }
        if let Some(dir) = &self.qlog_dir
            && let Some(records) = backend.poll_log(key.handle, Log::Qlog)?
        {
            let file = self.files.entry(key).or_insert_with(|| {
                let side = if is_client { "client" } else { "server" };
                let name = original_destination(&records).map_or_else(|| key.handle.to_string(), str::to_owned);
                let path = dir.join(format!("{name}_{side}.sqlog"));
                OpenOptions::new().create(true).append(true).open(path).ok()
            });
            let _ = file.as_mut().map(|file| file.write_all(records.as_bytes()));
        }
        Ok(())
    }

    /// The connection is gone.
    pub(super) fn end(&mut self, key: ConnectionKey) {
        self.files.remove(&key);
    }
}

/// The connection ID that the client's first packet was sent to, in the first record of a qlog.
fn original_destination(records: &str) -> Option<&str> {
    let (_, rest) = records.split_once("\"ODCID\":\"").or_else(|| records.split_once("\"group_id\":\""))?;
    let (id, _) = rest.split_once('"')?;
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_plain.then_some(id)
}
