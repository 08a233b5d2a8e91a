use crate::wire::{FourTuple, Time};

/// Paths that are remembered.
const MAX_REMEMBERED: usize = 4;
/// For how long: 10 minutes.
const REMEMBERED_FOR: u64 = 600 * 1_000_000_000;

/// Paths that were validated lately: a peer that comes back needs no new validation (RFC 9000 section 9.3).
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    seen: [Option<(FourTuple, Time)>; MAX_REMEMBERED],
}

impl History {
    /// Notes that the path was valid at `now`; the one seen longest ago gives way.
    pub(super) fn note(&mut self, addresses: FourTuple, now: Time) {
        let place = self.seen.iter().position(|seen| seen.is_some_and(|(known, _)| known == addresses));
        let place = place.or_else(|| {
            (0..MAX_REMEMBERED).min_by_key(|at| self.seen.get(*at).copied().flatten().map(|(_, time)| time))
        });
        if let Some(slot) = place.and_then(|at| self.seen.get_mut(at)) {
            *slot = Some((addresses, now));
        }
    }

    pub(super) fn contains(&self, addresses: &FourTuple, now: Time) -> bool {
        let recent = |time: Time| now.saturating_sub(time) < REMEMBERED_FOR;
        self.seen.iter().flatten().any(|(known, time)| known == addresses && recent(*time))
    }

    /// Forgets a path that has failed.
    pub(super) fn forget(&mut self, addresses: &FourTuple) {
        for slot in &mut self.seen {
            if slot.is_some_and(|(known, _)| known == *addresses) {
                *slot = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way_and_time_forgets() {
        let path = |port: u16| FourTuple { local: ([0, 0, 0, 0], 1).into(), remote: ([10, 0, 0, 1], port).into() };
        let mut history = History::default();
        for port in 1..=5 {
            history.note(path(port), Time::from(port));
        }
        assert!(!history.contains(&path(1), 6), "the fifth took its place");
        assert!(history.contains(&path(2), 6) && history.contains(&path(5), 6));
        assert!(!history.contains(&path(5), 6 + REMEMBERED_FOR));
        history.forget(&path(5));
        assert!(!history.contains(&path(5), 6));
    }
}
