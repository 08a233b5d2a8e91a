use alloc::sync::Arc;
use core::fmt::Debug;

use crate::rng::Rng;
use crate::wire::ConnectionId;

/// Makes connection IDs, such as ones by which a load balancer finds the server.
///
/// It is handed a generator of random numbers and hands an ID back: it cannot reach the connection or the endpoint that
/// asks. Whoever wants runs to be replayed draws on nothing else.
pub trait Generator: Send + Sync + Debug {
    /// The length of every ID, in bytes: 4 to 20, or 0 for a client that needs none.
    fn id_len(&self) -> usize;

    /// The next ID, of exactly that length, and most likely another than all before. One that is in use is asked for
    /// again, a few times; one of another length is an error: the connection that it is for is not made, or closed with
    /// INTERNAL_ERROR.
    fn generate(&self, rng: &mut Rng) -> ConnectionId;
}

/// Who makes the connection IDs of an endpoint.
#[derive(Clone, Debug, Default)]
pub enum IdGeneration {
    /// They are random.
    #[default]
    Random,
    /// The caller's own generator.
    Custom(Arc<dyn Generator>),
}

impl IdGeneration {
    /// The generator; `len` is the length of random IDs.
    #[must_use]
    pub fn generator(&self, len: usize) -> Arc<dyn Generator> {
        match self {
            Self::Random => Arc::new(RandomIds { len }),
            Self::Custom(generator) => Arc::clone(generator),
        }
    }
}

/// Two generators of the caller's own are equal where they are the same object.
impl PartialEq for IdGeneration {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Random, Self::Random) => true,
            (Self::Custom(one), Self::Custom(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for IdGeneration {}

/// Random connection IDs.
#[derive(Clone, Copy, Debug)]
pub struct RandomIds {
    /// Their length, 0 to 20 bytes.
    pub len: usize,
}

impl Generator for RandomIds {
    fn id_len(&self) -> usize {
        self.len
    }

    fn generate(&self, rng: &mut Rng) -> ConnectionId {
        let bytes: [u8; ConnectionId::MAX_LEN] = rng.bytes();
        bytes.get(..self.len).and_then(ConnectionId::new).unwrap_or(ConnectionId::EMPTY)
    }
}

/// The next ID for which `is_free` holds. `None` where the generator does not keep to its length, or to a length that is
/// allowed, or makes IDs that are in use again and again.
pub fn generate_free(
    generator: &dyn Generator,
    rng: &mut Rng,
    mut is_free: impl FnMut(&ConnectionId) -> bool,
) -> Option<ConnectionId> {
    const ATTEMPTS: usize = 8;
    let len = generator.id_len();
    if !matches!(len, 0 | 4..=ConnectionId::MAX_LEN) {
        return None;
    }
    for _ in 0..ATTEMPTS {
        let id = generator.generate(rng);
        if id.len() != len {
            return None;
        }
        if is_free(&id) {
            return Some(id);
        }
    }
    None
}
