//! No answer that stands ever differs from what the machine would say: random callers with random
//! tokens on two routes, while keys, lives and time change, under a paused clock.

use std::sync::Arc;
use std::time::Duration;

use oidc_broker::Standing;
use oidc_core::Credential;
use oidc_core::grant::Granted;
use proptest::prelude::*;
use tokio::time::sleep;

use crate::standing::{World, answer, bearer, holds};
use crate::support::*;

#[derive(Clone, Debug)]
enum Op {
    /// Somebody presents the refresh token that came so many before the newest, or an access token,
    /// where tokens are verified in one way or another.
    Refresh {
        back: usize,
        other: bool,
    },
    Bearer {
        which: usize,
        other: bool,
    },
    Wait(u64),
    Life(u64),
    Keys(bool),
    RotateKeys,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..4usize, any::<bool>()).prop_map(|(back, other)| Op::Refresh { back, other }),
        4 => (0..3usize, any::<bool>()).prop_map(|(which, other)| Op::Bearer { which, other }),
        3 => (0..20_000u64).prop_map(Op::Wait),
        1 => (5..400u64).prop_map(Op::Life),
        1 => any::<bool>().prop_map(Op::Keys),
        1 => Just(Op::RotateKeys),
    ]
}

/// What somebody who recalls gives, and what it says of whom.
struct Kept {
    by: (Credential, bool),
    granted: Arc<Granted>,
    standing: Standing,
}

async fn run(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let world = World::bearer();
    world.idp.set(|idp| idp.life = 60);
    let mut other = bearer_policy();
    other.verification.leeway = Duration::from_secs(3);
    let policies = [Arc::clone(&world.policy), Arc::new(other)];
    let bearers = [0, 1, 2].map(|n| world.idp.access_token(&format!("t{n}")));
    let mut kept: Vec<Kept> = Vec::new();
    for op in ops {
        let (credential, other) = match op {
            Op::Refresh { back, other } => {
                let number = world.idp.calls("token").saturating_sub(back);
                (refresh(&format!("rt{number}")), other)
            }
            Op::Bearer { which, other } => (bearer(&bearers[which]), other),
            Op::Wait(millis) => {
                sleep(Duration::from_millis(millis)).await;
                continue;
            }
            Op::Life(life) => {
                world.idp.set(|idp| idp.life = life);
                continue;
            }
            Op::Keys(at_hand) => {
                world.idp.set(|idp| idp.keys_down = !at_hand);
                continue;
            }
            Op::RotateKeys => {
                world.idp.set(|idp| idp.key = 1 - idp.key);
                continue;
            }
        };
        let by = (credential.clone(), other);
        let same = |kept: &&Kept| kept.by.1 == by.1 && told(&kept.by.0) == told(&by.0);
        let recalled = kept.iter().find(same).filter(|kept| holds(&kept.standing));
        let recalled = recalled.map(|kept| Arc::clone(&kept.granted));
        let answered = answer(&world.broker, &policies[usize::from(other)], credential).await;
        if let Some(recalled) = recalled {
            let Ok((granted, _)) = &answered else {
                let denial = answered.err();
                return Err(TestCaseError::fail(format!(
                    "{by:?}: stood, and {denial:?}"
                )));
            };
            let said = |granted: &Granted| {
                let refresh_token = granted
                    .refresh_token()
                    .map(|token| token.expose().to_owned());
                (granted.access_token().expose().to_owned(), refresh_token)
            };
            prop_assert_eq!(said(&recalled), said(granted), "{:?}", by);
        }
        kept.retain(|kept| !(kept.by.1 == by.1 && told(&kept.by.0) == told(&by.0)));
        if let Ok((granted, Some(standing))) = answered {
            kept.push(Kept {
                by,
                granted,
                standing,
            });
        }
    }
    Ok(())
}

fn told(credential: &Credential) -> &str {
    match credential {
        Credential::Bearer(token) | Credential::RefreshToken(token) => token.expose(),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn whatever_stands_is_what_the_machine_would_say(ops in proptest::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(run(ops))?;
    }
}
