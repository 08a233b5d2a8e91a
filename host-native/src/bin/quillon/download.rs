//! A file under way: written beside its final name, and renamed when it is complete.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt, Stdout};

use crate::Failure;
use crate::url::Url;

/// Bytes that are handed to the operating system at once.
const WRITE_LEN: usize = 512 * 1024;

/// Where a download goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output.
    Stdout,
    /// A file, under its final name.
    File(PathBuf),
}

impl Destination {
    /// Chooses it: `--output`, or the URL's last part, in the folder that `--output` names.
    pub(crate) fn choose(output: Option<&Path>, url: &Url) -> Result<Self, Failure> {
        let named = || {
            url.file_name().map(PathBuf::from).ok_or_else(|| format!("{url} names no file: say where to with --output"))
        };
        match output {
            Some(output) if output == Path::new("-") => Ok(Self::Stdout),
            Some(output) if output.is_dir() => Ok(Self::File(output.join(named()?))),
            Some(output) => Ok(Self::File(output.to_owned())),
            None => Ok(Self::File(named()?)),
        }
    }
}

/// An open destination. Dropped before [`finish`](Self::finish), it leaves nothing behind.
#[derive(Debug)]
pub(crate) enum Download {
    Stdout(Stdout),
    File { file: File, part: PartFile, destination: PathBuf },
}

impl Download {
    pub(crate) async fn create(destination: Destination) -> Result<Self, Failure> {
        let Destination::File(destination) = destination else { return Ok(Self::Stdout(tokio::io::stdout())) };
        if destination.is_dir() {
            return Err(format!("cannot write {}: it is a folder", destination.display()));
        }
        let mut name = destination.clone().into_os_string();
        name.push(OsString::from(".part"));
        let part = PartFile(name.into());
        let mut file = match File::create(&part.0).await {
            Ok(file) => file,
            Err(error) => {
                let failure = format!("cannot write {}: {error}", part.0.display());
                // Somebody else's, perhaps: not ours to remove.
                std::mem::forget(part);
                return Err(failure);
            }
        };
        file.set_max_buf_size(WRITE_LEN);
        Ok(Self::File { file, part, destination })
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let sink: &mut (dyn AsyncWrite + Unpin + Send) = match self {
            Self::Stdout(stdout) => stdout,
            Self::File { file, .. } => file,
        };
        sink.write_all(bytes).await.map_err(|error| self.failure(&error))
    }

    /// Puts the file under its final name.
    pub(crate) async fn finish(mut self) -> Result<(), Failure> {
        let flushed = match &mut self {
            Self::Stdout(stdout) => stdout.flush().await,
            Self::File { file, .. } => file.flush().await,
        };
        flushed.map_err(|error| self.failure(&error))?;
        if let Self::File { part, destination, .. } = &self {
            let renamed = tokio::fs::rename(&part.0, destination).await;
            renamed.map_err(|error| format!("cannot write {}: {error}", destination.display()))?;
        }
        Ok(())
    }

    fn failure(&self, error: &io::Error) -> Failure {
        match self {
            Self::Stdout(_) => format!("cannot write to standard output: {error}"),
            Self::File { part, .. } => format!("cannot write {}: {error}", part.0.display()),
        }
    }
}

/// The file `NAME.part`, removed when this is dropped; after a rename there is nothing to remove.
#[derive(Debug)]
pub(crate) struct PartFile(PathBuf);

impl Drop for PartFile {
    fn drop(&mut self) {
        // A failure leaves a `.part` file, which is what its name says.
        let _ = std::fs::remove_file(&self.0);
    }
}
