//! The paths of one connection.

use alloc::vec::Vec;

use super::history::History;
use super::{EcnState, NewPath, Path, PathId, PathStats};
use crate::wire::{FourTuple, Time};

/// Paths of one connection at once, the one in use included.
pub const MAX_PATHS: usize = 4;

/// Where the datagram in hand came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// From a path that is known.
    Known(PathId),
    /// From elsewhere; what it brings is counted once it has proved authentic.
    Unknown {
        /// The addresses.
        addresses: FourTuple,
        /// The size of the datagram.
        bytes: usize,
    },
}

/// What a PATH_RESPONSE proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The path whose challenge it answers.
    pub path: PathId,
    /// Whether the challenge had 1200 bytes: the validation is complete. Otherwise only the address is validated.
    pub complete: bool,
}

/// What time brings to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathDue {
    /// No answer came: its validation has failed (RFC 9000 section 8.2.4).
    Failed(PathId),
    /// It is not needed any more.
    Unneeded(PathId),
}

/// The paths of one connection. See the [module documentation](super).
#[derive(Debug)]
pub struct Paths {
    active: Path,
    others: Vec<Path>,
    /// The last good path, as long as the one in use is not validated.
    fallback: Option<PathId>,
    arrival: Arrival,
    history: History,
    next_id: u64,
}

impl Paths {
    /// One path, that of the handshake: `limited` says whether it is a server's, which has to validate the client's
    /// address.
    #[must_use]
    pub fn new(addresses: FourTuple, limited: bool) -> Self {
        let new = NewPath { addresses, remote_id: 0, validated: !limited, limited };
        let active = Path::new(PathId(0), new);
        let (history, arrival) = (History::default(), Arrival::Known(active.id));
        Self { active, others: Vec::new(), fallback: None, arrival, history, next_id: 1 }
    }

    /// The path in use.
    #[must_use]
    pub const fn active(&self) -> &Path {
        &self.active
    }

    /// The path in use.
    pub const fn active_mut(&mut self) -> &mut Path {
        &mut self.active
    }

    /// Every path, the one in use first.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        core::iter::once(&self.active).chain(&self.others)
    }

    /// Every path but the one in use.
    pub fn others_mut(&mut self) -> impl Iterator<Item = &mut Path> {
        self.others.iter_mut()
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Path> {
        core::iter::once(&mut self.active).chain(&mut self.others)
    }

    /// A path; `None` if it is gone.
    #[must_use]
    pub fn get(&self, id: PathId) -> Option<&Path> {
        self.iter().find(|path| path.id == id)
    }

    /// A path; `None` if it is gone.
    pub fn get_mut(&mut self, id: PathId) -> Option<&mut Path> {
        self.iter_mut().find(|path| path.id == id)
    }

    /// The path with these addresses.
    pub fn find(&mut self, addresses: &FourTuple) -> Option<PathId> {
        self.iter_mut().find_map(|path| path.matches(addresses).then_some(path.id))
    }

    /// The last good path, as long as the one in use is not validated.
    #[must_use]
    pub const fn fallback(&self) -> Option<PathId> {
        self.fallback
    }

    /// A datagram of `bytes` arrived. Counts it on its path, if that is known.
    pub fn arrive(&mut self, addresses: FourTuple, bytes: usize) -> Arrival {
        let known = self.iter_mut().find_map(|path| {
            path.matches(&addresses).then(|| {
                path.on_received(bytes);
                path.id
            })
        });
        self.arrival = known.map_or(Arrival::Unknown { addresses, bytes }, Arrival::Known);
        self.arrival
    }

    /// Where the datagram in hand came from.
    #[must_use]
    pub const fn arrival(&self) -> Arrival {
        self.arrival
    }

    /// The datagram in hand came from the path in use.
    pub const fn arrive_on_active(&mut self) {
        self.arrival = Arrival::Known(self.active.id);
    }

    /// Whether the datagram in hand came from the path in use.
    #[must_use]
    pub fn arrived_on_active(&self) -> bool {
        self.arrival == Arrival::Known(self.active.id)
    }

    /// Adds a path; the datagram in hand, if it came from there, is counted on it. `None` when there are as many as
    /// may be, and each is needed: the fallback, and those that are wanted.
    pub fn add(&mut self, new: NewPath) -> Option<PathId> {
        if self.others.len() + 1 >= MAX_PATHS {
            return None;
        }
        let mut path = Path::new(PathId(self.next_id), new);
        self.next_id += 1;
        if self.active.ecn_state() == EcnState::Off {
            path.disable_ecn();
        }
        if let Arrival::Unknown { addresses, bytes } = self.arrival
            && addresses == new.addresses
        {
            path.on_received(bytes);
            self.arrival = Arrival::Known(path.id);
        }
        let id = path.id;
        self.others.push(path);
        Some(id)
    }

    /// The path to give up for a new one, when there are as many as may be: the oldest that is neither in use, the
    /// fallback, nor wanted.
    #[must_use]
    pub fn dispensable(&self) -> Option<PathId> {
        if self.others.len() + 1 < MAX_PATHS {
            return None;
        }
        self.others.iter().filter(|path| !path.wanted && Some(path.id) != self.fallback).map(|path| path.id).min()
    }

    /// Removes a path other than the one in use.
    pub fn remove(&mut self, id: PathId) -> Option<Path> {
        if self.fallback == Some(id) {
            self.fallback = None;
        }
        let at = self.others.iter().position(|path| path.id == id)?;
        Some(self.others.swap_remove(at))
    }

    /// Puts another path to use. The one in use before stays, as the fallback if it is validated and the new one is
    /// not. Returns it.
    pub fn activate(&mut self, id: PathId) -> Option<PathId> {
        let other = self.others.iter_mut().find(|path| path.id == id)?;
        core::mem::swap(&mut self.active, other);
        self.active.wanted = false;
        self.active.expires = None;
        let before = other.id;
        if self.active.validated || self.fallback == Some(id) {
            self.fallback = None;
        }
        if other.validated && !self.active.validated {
            self.fallback = Some(before);
        }
        Some(before)
    }

    /// Lets every path that is not needed any more go at `until`: late packets come in until then.
    pub fn retire_others(&mut self, until: Time) {
        self.fallback = None;
        for path in self.others.iter_mut().filter(|path| !path.wanted && path.validation.is_none()) {
            path.expires = path.expires.or(Some(until));
        }
    }

    /// Lets a path go at `until` unless it is needed by then.
    pub fn retire(&mut self, id: PathId, until: Time) {
        if self.fallback != Some(id)
            && let Some(path) = self.others.iter_mut().find(|path| path.id == id)
        {
            path.expires = Some(until);
        }
    }

    /// A PATH_CHALLENGE arrived: it is answered on the path on which it came (RFC 9000 section 8.2.2), as long as
    /// that is known.
    pub fn on_challenge(&mut self, data: [u8; 8]) {
        if let Arrival::Known(id) = self.arrival
            && let Some(path) = self.get_mut(id)
        {
            path.on_challenge(data);
        }
    }

    /// A PATH_RESPONSE arrived. It counts for the path on which its challenge was sent, whichever path it came on
    /// (RFC 9000 section 8.2.3); one that answers no challenge means nothing.
    pub fn on_response(&mut self, now: Time, data: &[u8; 8]) -> Option<Proof> {
        let (path, addresses, answer) = self
            .iter_mut()
            .find_map(|path| path.on_response(now, data).map(|answer| (path.id, path.addresses, answer)))?;
        if answer.full_size {
            self.history.note(addresses, now);
        }
        Some(Proof { path, complete: answer.full_size })
    }

    /// Whether a path with these addresses was valid lately.
    #[must_use]
    pub fn is_remembered(&self, addresses: &FourTuple, now: Time) -> bool {
        self.history.contains(addresses, now)
    }

    /// Remembers that a path is valid.
    pub fn remember(&mut self, addresses: FourTuple, now: Time) {
        self.history.note(addresses, now);
    }

    /// Forgets that a path was valid.
    pub fn forget(&mut self, addresses: &FourTuple) {
        self.history.forget(addresses);
    }

    /// A path on which a PATH_CHALLENGE or a PATH_RESPONSE is to be sent now.
    #[must_use]
    pub fn next_probe(&self, now: Time) -> Option<PathId> {
        self.iter().find(|path| path.has_probe(now)).map(|path| path.id)
    }

    /// When [`poll_due`](Self::poll_due) or [`next_probe`](Self::next_probe) is to be asked again.
    #[must_use]
    pub fn timeout(&self) -> Option<Time> {
        let due = |path: &Path| {
            let validation = path.validation.as_ref().map(|validation| {
                // A challenge that amplification holds back waits for a datagram, not for time.
                if path.allowance() < super::MIN_PROBE_SIZE {
                    validation.until()
                } else {
                    validation.until().min(validation.next())
                }
            });
            [validation, path.expires].into_iter().flatten().min()
        };
        self.iter().filter_map(due).min()
    }

    /// What is due by `now`; the path in use comes last. The caller acts on it: a failed path has no validation any
    /// more, an unneeded one is to be removed.
    pub fn poll_due(&mut self, now: Time) -> Option<PathDue> {
        for path in self.others.iter_mut().chain(core::iter::once(&mut self.active)) {
            if path.validation.as_ref().is_some_and(|validation| validation.until() <= now) {
                path.validation = None;
                return Some(PathDue::Failed(path.id));
            }
            if path.expires.is_some_and(|expires| expires <= now) {
                path.expires = None;
                return Some(PathDue::Unneeded(path.id));
            }
        }
        None
    }

    /// Counts and measures, of the path in use first.
    pub fn stats(&self) -> impl Iterator<Item = PathStats> {
        self.iter().map(|path| path.stats(path.id == self.active.id))
    }
}
