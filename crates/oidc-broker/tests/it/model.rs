//! The broker against a naive model: random callers with random tokens of several sessions, random
//! failures, under a paused clock. What may be asked of the provider is what the model allows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oidc_broker::TransportError;
use proptest::prelude::*;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::*;

#[derive(Clone, Debug)]
enum Op {
    /// So many callers of this session present its newest or its first token at once.
    Present {
        session: usize,
        first: bool,
        callers: usize,
    },
    Wait(u64),
    /// The next token request fails before it reaches the provider.
    Unreachable,
    Keys(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..3usize, any::<bool>(), 1..5usize)
            .prop_map(|(session, first, callers)| Op::Present { session, first, callers }),
        3 => (0..9_000u64).prop_map(Op::Wait),
        1 => Just(Op::Unreachable),
        1 => any::<bool>().prop_map(Op::Keys),
    ]
}

/// The provider's view: of each session the newest token, and whether it was killed by a replay.
#[derive(Default)]
struct Sessions {
    newest: HashMap<String, usize>,
    killed: Vec<String>,
    fail_next: bool,
}

/// `session.number`, as the provider writes its refresh tokens.
fn parts(token: &str) -> (String, usize) {
    let (session, number) = token.split_once('.').expect("ours");
    (session.to_owned(), number.parse().expect("ours"))
}

fn provider(sessions: &Arc<Mutex<Sessions>>) -> Arc<Idp> {
    let sessions = Arc::clone(sessions);
    Idp::answering(move |token, _| {
        let mut sessions = sessions.lock().expect("unpoisoned");
        if std::mem::take(&mut sessions.fail_next) {
            return (Duration::ZERO, Answer::Fail(TransportError::Unreachable));
        }
        let (session, number) = parts(token);
        let newest = sessions.newest.entry(session.clone()).or_default();
        if number != *newest {
            sessions.killed.push(token.to_owned());
            return (
                Duration::ZERO,
                Answer::Reply(400, json!({"error": "invalid_grant"})),
            );
        }
        *newest += 1;
        let next = format!("{session}.{newest}");
        (Duration::from_millis(20), Answer::Tokens(next))
    })
}

async fn run(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let sessions = Arc::new(Mutex::new(Sessions::default()));
    let idp = provider(&sessions);
    idp.set(|idp| idp.life = 20);
    let broker = broker(&idp);
    // What each session's clients know: the first token, good for its window, and the newest.
    let mut known: HashMap<usize, String> = HashMap::new();
    let mut first_traded: HashMap<usize, tokio::time::Instant> = HashMap::new();
    for op in ops {
        match op {
            Op::Wait(millis) => sleep(Duration::from_millis(millis)).await,
            Op::Unreachable => sessions.lock().expect("unpoisoned").fail_next = true,
            Op::Keys(at_hand) => idp.set(|idp| idp.keys_down = !at_hand),
            Op::Present {
                session,
                first,
                callers,
            } => {
                let newest = known
                    .get(&session)
                    .cloned()
                    .unwrap_or(format!("s{session}.0"));
                let in_window = first_traded
                    .get(&session)
                    .is_none_or(|at| at.elapsed() < Duration::from_secs(29));
                let token = if first && in_window {
                    format!("s{session}.0")
                } else {
                    newest
                };
                let before = idp.calls("token");
                let mut running = JoinSet::new();
                for _ in 0..callers {
                    let (broker, token) = (broker.clone(), token.clone());
                    running.spawn(async move { present(&broker, &token).await });
                }
                let results = running.join_all().await;
                prop_assert!(
                    idp.calls("token") <= before + 1,
                    "more than one request for one token"
                );
                let codes: Vec<_> = results
                    .iter()
                    .map(|r| r.as_ref().err().map(|d| d.reason().code()))
                    .collect();
                prop_assert!(codes.iter().all(|code| *code == codes[0]), "{codes:?}");
                match &results[0] {
                    Ok(_) => {
                        known.insert(session, newest_of(&results[0]));
                        first_traded
                            .entry(session)
                            .or_insert_with(tokio::time::Instant::now);
                    }
                    Err(denial) => prop_assert!(
                        denial.reason().status().as_u16() == 503,
                        "{token}: {denial}"
                    ),
                }
            }
        }
        let killed = sessions.lock().expect("unpoisoned").killed.clone();
        prop_assert!(killed.is_empty(), "replayed: {killed:?}");
    }
    Ok(())
}

fn newest_of(result: &Result<Arc<oidc_core::grant::Granted>, oidc_core::Denial>) -> String {
    newest(result).to_owned()
}

proptest! {
    #[test]
    fn no_session_is_killed_and_no_token_is_sent_twice(ops in proptest::collection::vec(op(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(run(ops))?;
    }
}
