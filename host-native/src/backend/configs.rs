//! Client configurations that are in use: a session is resumed only with the one that it comes from.

use std::collections::VecDeque;

use crate::config::ClientConfig;

/// Configurations that are kept; the oldest goes.
const MAX_KEPT: usize = 8;

/// What a backend made of the last few configurations.
pub(super) struct Configs<T> {
    kept: VecDeque<(ClientConfig, T)>,
}

impl<T> Default for Configs<T> {
    fn default() -> Self {
        Self { kept: VecDeque::new() }
    }
}

impl<T> Configs<T> {
    /// What was made of a configuration like this one.
    pub(super) fn find(&self, config: &ClientConfig) -> Option<&T> {
        self.kept.iter().find(|(kept, _)| config.is_like(kept)).map(|(_, made)| made)
    }

    /// Keeps what was made of a configuration; gives back what has to go for it.
    pub(super) fn keep(&mut self, config: &ClientConfig, made: T) -> Option<T> {
        self.kept.push_back((config.lasting(), made));
        if self.kept.len() > MAX_KEPT { self.kept.pop_front().map(|(_, made)| made) } else { None }
    }
}
