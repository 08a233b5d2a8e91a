//! The key log file, in the format that Wireshark reads (NSS; RFC 9850).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Where the secrets of an endpoint's connections are written. Whoever reads the file can read the connections.
#[derive(Debug)]
pub struct KeyLog {
    file: File,
}

impl KeyLog {
    /// Opens the file to append to it; a new one is readable by its owner only.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn append(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self { file: options.open(path)? })
    }

    /// Writes one line in one call, so that several processes can share the file.
    pub(crate) fn write(&mut self, line: &str) -> io::Result<()> {
        let mut line = line.trim_end().to_owned();
        line.push('\n');
        self.file.write_all(line.as_bytes())
    }
}
