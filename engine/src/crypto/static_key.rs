use super::Secret;

/// A key that outlives connections and processes, and the one that it replaced: for address tokens, stateless resets and
/// the like.
///
/// Several workers behind one address share it, and a restarted process takes it up again. To change it, give every
/// worker the new key with the old one as the previous, and drop the old one when what was made with it has expired.
/// Cleared when dropped, redacted in `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticKey {
    current: Secret,
    previous: Option<Secret>,
}

impl StaticKey {
    /// A key of 32 bytes from a cryptographic source. What is new is made with it.
    #[must_use]
    pub fn new(current: [u8; 32]) -> Self {
        Self { current: secret(current), previous: None }
    }

    /// The same key, with one that it replaced: what was made with that is still accepted.
    #[must_use]
    pub fn with_previous(mut self, previous: [u8; 32]) -> Self {
        self.previous = Some(secret(previous));
        self
    }

    /// The key with which new things are made.
    #[must_use]
    pub const fn current(&self) -> &Secret {
        &self.current
    }

    /// The key that it replaced.
    #[must_use]
    pub const fn previous(&self) -> Option<&Secret> {
        self.previous.as_ref()
    }
}

/// 32 bytes always fit.
fn secret(mut bytes: [u8; 32]) -> Secret {
    let secret = Secret::new(&bytes).unwrap_or_else(|| Secret::zeroed(bytes.len()));
    zeroize::Zeroize::zeroize(&mut bytes);
    secret
}
