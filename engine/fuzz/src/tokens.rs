//! Address tokens: whatever a client shows, only what we gave it counts, and that once.

use std::net::{Ipv4Addr, SocketAddr};

use quillon::TokenSettings;
use quillon::crypto::{self, Provider};
use quillon::rng::Rng;
use quillon::token::{Client, Tokens, Verdict};
use quillon::wire::{ConnectionId, Version};

/// A clock in milliseconds at which the tokens of the corpus are good.
const CLOCK: u64 = 1_000_000;

/// The bytes as a token that was sealed, as one under the null cipher, and as damage to tokens of ours.
pub(crate) fn tokens(data: &[u8]) {
    let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 1000));
    let client = Client { version: Version::V1, address };
    let destination = ConnectionId::new(&[8; 8]).expect("8 bytes");
    let (ring, null) = (crypto::ring::provider(), crypto::null::provider());
    let judge = |tokens: &Tokens, provider: &dyn Provider, token: &[u8]| {
        tokens.judge(provider, CLOCK, client, &destination, token)
    };
    let mut tokens = Tokens::new(TokenSettings::default(), [1; 32]);

    // Under a key that never sealed anything: the fuzzer would find out tokens that it sees compared.
    let verdict = judge(&Tokens::new(TokenSettings::default(), [3; 32]), &*ring, data);
    assert!(matches!(verdict, Verdict::Absent | Verdict::InvalidRetry), "{verdict:?} for a token of nobody's");

    // Anyone can seal under the null cipher: these reach the reader of what is inside.
    match judge(&tokens, &*null, data) {
        Verdict::Absent | Verdict::InvalidRetry => {}
        Verdict::Retry { original } => {
            let sealed = data.len() - crypto::TAG_LEN;
            assert!(data[..sealed].ends_with(original.as_slice()), "{original:?}");
        }
        Verdict::NewToken(ticket) => {
            tokens.spend(CLOCK, ticket);
            assert_eq!(judge(&tokens, &*null, data), Verdict::Absent, "the second use of a token");
        }
    }

    let mut rng = Rng::from_seed([2; 32]);
    let retry = tokens.retry(&*ring, &mut rng, CLOCK, client, (&ConnectionId::EMPTY, &destination));
    let new_token = tokens.new_token(&*ring, &mut rng, CLOCK, client);
    for token in [retry, new_token] {
        let mut damaged = token.clone();
        damaged.iter_mut().zip(data).for_each(|(byte, damage)| *byte ^= damage);
        let verdict = judge(&tokens, &*ring, &damaged);
        let taken = matches!(verdict, Verdict::Retry { .. } | Verdict::NewToken(_));
        assert_eq!(taken, damaged == token, "{verdict:?}");
    }
}
