//! The core against a provider that rotates refresh tokens and detects their reuse, under a
//! virtual clock and with callers that present old and new tokens as they please. Whatever
//! happens in between, within the successor window the provider never sees a token twice, and the
//! session lives.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use oidc_core::flight::{Entered, FlightTable};
use oidc_core::grant::{
    AwaitFlight, Ended, GrantPolicy, Granted, MemoryPlan, ProviderReply, Step, Unavailable,
};
use oidc_core::rotation::{Remembered, newest};
use oidc_core::{Credential, Denial, Fingerprint, Reason, Secret, UnixTime};
use proptest::prelude::*;
use serde_json::json;

use crate::support::*;

/// A provider with one session: only the newest refresh token is good, an older one ends it all.
struct Provider {
    issued: usize,
    replayed: Option<usize>,
    life: Duration,
}

impl Provider {
    fn answer(&mut self, form: &str, now: UnixTime) -> ProviderReply {
        let token = form.split_once("refresh_token=rt").expect("a refresh").1;
        let presented: usize = token.parse().expect("one of ours");
        if presented != self.issued {
            self.replayed = self.replayed.or(Some(presented));
        }
        if self.replayed.is_some() {
            return reply(400, &json!({"error": "invalid_grant"}));
        }
        self.issued += 1;
        let life = self.life;
        tokens(
            now,
            &json!({
                "access_token": access_token(now, life),
                "expires_in": life.as_secs(),
                "refresh_token": format!("rt{}", self.issued),
            }),
        )
    }
}

/// A leader on its way: what it does next, and when.
struct Leader {
    key: Fingerprint,
    plan: MemoryPlan,
    step: Step,
    due: UnixTime,
    /// The provider's answer, on its way back.
    reply: Option<ProviderReply>,
}

/// Both sides, and the clock between them.
struct Pair {
    now: UnixTime,
    policy: Arc<GrantPolicy>,
    table: FlightTable<()>,
    provider: Provider,
    leaders: Vec<Leader>,
    keys_at_hand: bool,
    latency: Duration,
    /// The tokens that callers know, with the time at which each was superseded.
    known: HashMap<usize, Option<UnixTime>>,
    /// Callers who wait, by what they presented and the flight that they wait for.
    waiting: Vec<(AwaitFlight, Fingerprint)>,
    led: usize,
    finished: usize,
}

impl Pair {
    fn new(policy: GrantPolicy) -> Self {
        Self {
            now: at(0),
            policy: Arc::new(policy),
            table: FlightTable::new(10_000),
            provider: Provider {
                issued: 0,
                replayed: None,
                life: Duration::from_secs(60),
            },
            leaders: Vec::new(),
            keys_at_hand: true,
            latency: Duration::from_millis(50),
            known: HashMap::from([(0, None)]),
            waiting: Vec::new(),
            led: 0,
            finished: 0,
        }
    }

    /// A caller presents one of the tokens that it may: the newest that it was given, or an older
    /// one within its window.
    fn present(&mut self, pick: usize) -> Result<(), TestCaseError> {
        let window = self
            .policy
            .successor_window
            .max(self.policy.follow_rotation.unwrap_or_default());
        let mut fit: Vec<usize> = self
            .known
            .iter()
            .filter(|(_, superseded)| superseded.is_none_or(|at| self.now < at.plus(window)))
            .map(|(token, _)| *token)
            .collect();
        fit.sort_unstable();
        let token = fit[pick % fit.len()];
        let credential = Credential::RefreshToken(Secret::new(format!("rt{token}")));
        self.enter(flight(&self.policy, credential))
    }

    fn enter(&mut self, mut state: AwaitFlight) -> Result<(), TestCaseError> {
        loop {
            let key = state.key();
            match self.table.enter(key, self.now, || ()) {
                Entered::Lead { subject, received } => {
                    self.led += 1;
                    let plan = state.memory(&fingerprints());
                    self.waiting.push((state.clone(), key));
                    let step = match received {
                        Some(received) => state.verify(received),
                        None => state.lead(subject, moment(self.now)),
                    };
                    self.leaders.push(Leader {
                        key,
                        plan,
                        step,
                        due: self.now.plus(self.latency),
                        reply: None,
                    });
                    return Ok(());
                }
                Entered::Join(()) => {
                    self.waiting.push((state, key));
                    return Ok(());
                }
                Entered::Serve { granted, successor } => {
                    let granted = self.newest(key, granted, successor);
                    if state.presented_key() != key
                        && let Some(news) =
                            self.table.remembered(&key).and_then(|r| r.shortcut(key))
                    {
                        self.table.advance(state.presented_key(), &news);
                    }
                    return self.delivered(&Ok(granted));
                }
                Entered::Refresh(successor) => match state.follow(successor) {
                    Step::Flight(next) => state = next,
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                },
                Entered::Refuse(denial) => return self.delivered(&Err(denial)),
                Entered::Full => return Err(TestCaseError::fail("the table is full")),
            }
        }
    }

    fn newest(
        &mut self,
        key: Fingerprint,
        granted: Arc<Granted>,
        successor: Option<Fingerprint>,
    ) -> Arc<Granted> {
        let Some(successor) = successor else {
            return granted;
        };
        let found = newest(granted, successor, self.now, |key| {
            self.table.remembered(key).cloned()
        });
        if let Some(shortcut) = found.shortcut {
            self.table.advance(key, &shortcut);
        }
        found.granted
    }

    /// A caller has its answer, and knows the refresh token in it from now on.
    fn delivered(&mut self, result: &Result<Arc<Granted>, Denial>) -> Result<(), TestCaseError> {
        let granted = match result {
            Ok(granted) => granted,
            Err(denial) => {
                let away = matches!(
                    denial.reason(),
                    Reason::KeysUnavailable | Reason::ProviderTimeout
                );
                prop_assert!(away, "a caller within its window is refused: {denial}");
                return Ok(());
            }
        };
        prop_assert!(
            granted.expires_at() > self.now,
            "an access token that has ended"
        );
        let token = granted.refresh_token().expect("issued").expose();
        let token: usize = token
            .strip_prefix("rt")
            .expect("ours")
            .parse()
            .expect("ours");
        let known = self.known.entry(token).or_insert(None);
        prop_assert_eq!(
            *known,
            None,
            "a caller is given a refresh token that was superseded"
        );
        Ok(())
    }

    /// Lets time pass, and what is due happen.
    fn wait(&mut self, until: UnixTime) -> Result<(), TestCaseError> {
        while let Some(index) = (0..self.leaders.len()).min_by_key(|i| self.leaders[*i].due)
            && self.leaders[index].due <= until
        {
            let leader = self.leaders.swap_remove(index);
            self.now = self.now.max(leader.due);
            self.proceed(leader)?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    fn proceed(&mut self, mut leader: Leader) -> Result<(), TestCaseError> {
        let step = match (leader.step, leader.reply.take()) {
            (Step::Call(state), None) => {
                let form = state.request().body().expect("a form").expose();
                leader.reply = Some(self.provider.answer(form, self.now));
                Step::Call(state)
            }
            (Step::Call(state), Some(reply)) => state.answered(Ok(reply), self.now),
            (Step::Keys(state), _) if self.keys_at_hand => state.found(&keys(), self.now),
            (Step::Keys(state), _) => state.unavailable(Reason::KeysUnavailable, None),
            (Step::Done(ended), _) => return self.land(leader.key, &leader.plan, &ended),
            (step, _) => return Err(TestCaseError::fail(format!("{step:?}"))),
        };
        leader.step = step;
        leader.due = match (&leader.step, &leader.reply) {
            (Step::Done(_), _) => self.now,
            _ => self.now.plus(self.latency),
        };
        self.leaders.push(leader);
        Ok(())
    }

    fn land(
        &mut self,
        key: Fingerprint,
        plan: &MemoryPlan,
        ended: &Ended,
    ) -> Result<(), TestCaseError> {
        let remember = plan.remember(ended, self.now);
        if let Some((successor, note)) = remember.issued {
            self.table.note(successor, note, self.now);
        }
        if let Some((presented, news)) = remember.presented {
            self.table.advance(presented, &news);
        }
        // From here on the window of the token that was traded runs.
        let granted = matches!(remember.flight, Some(Remembered::Granted { .. }));
        self.table.finish(key, remember.flight);
        self.finished += 1;
        if granted {
            let now = self.now;
            let newest = self.provider.issued;
            for (token, superseded) in &mut self.known {
                if *token < newest && superseded.is_none() {
                    *superseded = Some(now);
                }
            }
        }
        let (landed, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, of)| *of == key);
        self.waiting = waiting;
        for (state, _) in landed {
            let ended = end_of(state.landed(ended.result.clone()));
            self.delivered(&ended.result)?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Op {
    Present(usize),
    Wait(u64),
    Keys(bool),
    Life(u64),
    Latency(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => any::<usize>().prop_map(Op::Present),
        6 => prop_oneof![0..300u64, 0..30_000u64].prop_map(Op::Wait),
        1 => any::<bool>().prop_map(Op::Keys),
        1 => prop_oneof![4..10u64, 10..600u64].prop_map(Op::Life),
        1 => (0..300u64).prop_map(Op::Latency),
    ]
}

fn simulate(policy: GrantPolicy, ops: &[Op]) -> Result<Pair, TestCaseError> {
    let mut pair = Pair::new(policy);
    for op in ops {
        match op {
            Op::Present(pick) => pair.present(*pick)?,
            Op::Wait(millis) => pair.wait(pair.now.plus(Duration::from_millis(*millis)))?,
            Op::Keys(at_hand) => pair.keys_at_hand = *at_hand,
            Op::Life(seconds) => pair.provider.life = Duration::from_secs(*seconds),
            Op::Latency(millis) => pair.latency = Duration::from_millis(*millis),
        }
        prop_assert_eq!(pair.provider.replayed, None, "the provider sees a replay");
    }
    pair.wait(pair.now.plus(Duration::from_secs(60)))?;
    prop_assert_eq!(pair.provider.replayed, None, "the provider sees a replay");
    prop_assert!(
        pair.waiting.is_empty() && pair.leaders.is_empty(),
        "somebody waits for ever"
    );
    prop_assert_eq!(pair.led, pair.finished);
    prop_assert_eq!(pair.table.len().1, 0);
    Ok(pair)
}

proptest! {
    #[test]
    fn within_its_window_no_token_is_replayed(ops in proptest::collection::vec(op(), 1..60)) {
        simulate(policy(), &ops)?;
    }

    #[test]
    fn a_followed_token_is_good_for_as_long_as_it_is_followed(
        ops in proptest::collection::vec(op(), 1..60),
    ) {
        let mut policy = policy();
        policy.follow_rotation = Some(Duration::from_secs(24 * 3600));
        simulate(policy, &ops)?;
    }

    #[test]
    fn without_a_cache_the_window_holds_all_the_same(
        ops in proptest::collection::vec(op(), 1..60),
    ) {
        let mut policy = policy();
        policy.cache_tokens = false;
        simulate(policy, &ops)?;
    }
}

#[test]
fn a_client_that_never_learns_is_served_through_a_thousand_rotations() {
    let mut policy = policy();
    policy.follow_rotation = Some(Duration::from_secs(24 * 3600));
    let mut pair = Pair::new(policy);
    for _ in 0..1_000 {
        pair.known.retain(|token, _| *token == 0);
        pair.present(0).expect("served");
        pair.wait(pair.now.plus(Duration::from_secs(56)))
            .expect("served");
    }
    assert_eq!(
        (pair.provider.issued, pair.provider.replayed),
        (1_000, None)
    );
}

#[test]
fn past_its_window_a_token_is_the_providers_to_judge() {
    let mut pair = Pair::new(policy());
    pair.present(0).expect("served");
    pair.wait(at(56)).expect("served");
    pair.known = HashMap::from([(0, None)]);
    pair.present(0).expect("sent");
    assert!(pair.wait(at(60)).is_err(), "the caller is refused");
    assert_eq!(pair.provider.replayed, Some(0));
}

#[test]
fn an_answer_that_was_lost_is_not_asked_for_again_by_the_machine() {
    let state = led(policy(), refresh());
    let step = state.answered(Err(Unavailable::Cut), at(0));
    assert_eq!(code(step), "provider.cut");
}
