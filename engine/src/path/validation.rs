//! Path validation (RFC 9000 section 8.2): challenges sent, and the answer that proves the path.

use crate::wire::Time;

/// Challenges whose answer still counts; of more, the newest.
const MAX_CHALLENGES: usize = 4;

/// When challenges are sent, and when to give up. Durations in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// From the first challenge to the second; it doubles from one to the next.
    pub interval: u64,
    /// From the start to the failure (RFC 9000 section 8.2.4).
    pub timeout: u64,
}

/// A PATH_CHALLENGE that was sent.
#[derive(Clone, Copy, Debug)]
struct Challenge {
    data: [u8; 8],
    sent: Time,
    /// Whether its datagram had 1200 bytes.
    full_size: bool,
}

/// What an answer proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// From the challenge to its answer.
    pub(super) rtt: u64,
    pub(super) full_size: bool,
}

/// A validation that is under way.
#[derive(Clone, Debug)]
pub(super) struct Validation {
    challenges: [Option<Challenge>; MAX_CHALLENGES],
    sent: usize,
    schedule: Schedule,
    interval: u64,
    next: Time,
    until: Time,
}

impl Validation {
    pub(super) const fn new(now: Time, schedule: Schedule) -> Self {
        Self {
            challenges: [None; MAX_CHALLENGES],
            sent: 0,
            schedule,
            interval: schedule.interval,
            next: now,
            until: now.saturating_add(schedule.timeout),
        }
    }

    /// Once more, because the challenge that was answered was too small to prove that 1200 bytes pass (RFC 9000
    /// section 8.2.1).
    pub(super) const fn again(&self, now: Time) -> Self {
        Self::new(now, self.schedule)
    }

    pub(super) const fn is_due(&self, now: Time) -> bool {
        self.next <= now
    }

    /// When the next challenge is due.
    pub(super) const fn next(&self) -> Time {
        self.next
    }

    /// When the validation has failed.
    pub(super) const fn until(&self) -> Time {
        self.until
    }

    pub(super) fn on_sent(&mut self, now: Time, data: [u8; 8], full_size: bool) {
        if let Some(slot) = self.challenges.get_mut(self.sent % MAX_CHALLENGES) {
            *slot = Some(Challenge { data, sent: now, full_size });
        }
        self.sent = self.sent.wrapping_add(1);
        self.next = now.saturating_add(self.interval);
        self.interval = self.interval.saturating_mul(2);
    }

    pub(super) fn on_response(&self, now: Time, data: &[u8; 8]) -> Option<Answer> {
        let challenge = self.challenges.iter().flatten().find(|challenge| challenge.data == *data)?;
        Some(Answer { rtt: now.saturating_sub(challenge.sent), full_size: challenge.full_size })
    }
}
