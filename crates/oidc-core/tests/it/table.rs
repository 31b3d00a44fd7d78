//! The bounds of the flight table: how much it holds, and what gives way to what.

use std::time::Duration;

use oidc_core::Fingerprint;
use oidc_core::flight::{Entered, FlightTable};
use oidc_core::rotation::{Recall, Remembered};
use oidc_core::{Denial, Reason};
use proptest::prelude::*;
use serde_json::json;

use crate::support::*;

fn key(number: u16) -> Fingerprint {
    fingerprints().fingerprint(&[&number.to_be_bytes()])
}

fn refused(second: u64) -> Remembered {
    let denial = Denial::new(Reason::RefreshTokenRefused);
    Remembered::refused(&denial, at(second)).expect("remembered")
}

fn issued(second: u64) -> Remembered {
    Remembered::Issued {
        subject: None,
        until: at(second),
    }
}

/// A result that protects a session: served for 55 s, followed for 30.
fn protecting() -> Remembered {
    let state = flight(&std::sync::Arc::new(policy()), refresh());
    let plan = state.memory(&fingerprints());
    let reply = tokens(at(0), &json!({"access_token": "opaque"}));
    let ended = end_of(token_of(state.lead(None, moment(at(0)))).answered(Ok(reply), at(0)));
    plan.remember(&ended, at(0)).flight.expect("remembered")
}

fn lead(table: &mut FlightTable<()>, number: u16, second: u64) -> bool {
    matches!(
        table.enter(key(number), at(second), || ()),
        Entered::Lead { .. }
    )
}

#[test]
fn flights_take_half_of_the_table_at_most() {
    let mut table = FlightTable::new(4);
    assert!(lead(&mut table, 1, 0) && lead(&mut table, 2, 0));
    assert!(matches!(table.enter(key(3), at(0), || ()), Entered::Full));
    assert!(matches!(
        table.enter(key(1), at(0), || ()),
        Entered::Join(())
    ));
    table.finish(key(1), None);
    assert!(lead(&mut table, 3, 0));
    assert_eq!(table.len(), (2, 2));
}

#[test]
fn what_protects_a_session_gives_way_last() {
    let mut table = FlightTable::new(4);
    for (number, remembered) in [(1, protecting()), (2, refused(0)), (3, issued(86_400))] {
        assert!(lead(&mut table, number, 0));
        table.finish(key(number), Some(remembered));
    }
    for number in 4..50 {
        assert!(lead(&mut table, number, 0));
        table.finish(key(number), Some(refused(0)));
        assert!(table.len().0 <= 4);
    }
    assert!(table.remembered(&key(1)).is_some());
    assert!(table.remembered(&key(3)).is_none());
}

#[test]
fn what_has_ended_makes_room_and_leaves_whom_it_was_about() {
    let mut table = FlightTable::new(100);
    assert!(lead(&mut table, 1, 0));
    table.finish(key(1), Some(refused(0)));
    table.note(key(2), issued(10), at(0));
    assert_eq!(table.len().0, 2);
    assert!(lead(&mut table, 3, 11));
    assert_eq!(table.len(), (1, 1));
}

#[test]
fn a_flight_without_a_result_restores_what_was_known() {
    let mut table = FlightTable::new(10);
    table.note(key(1), issued(100), at(0));
    assert!(lead(&mut table, 1, 1));
    assert!(table.remembered(&key(1)).is_none());
    table.finish(key(1), None);
    assert!(matches!(
        table.remembered(&key(1)),
        Some(Remembered::Issued { .. })
    ));
    // Finished twice, or never begun: nothing happens.
    table.finish(key(1), Some(refused(0)));
    table.finish(key(9), Some(refused(0)));
    assert!(matches!(
        table.remembered(&key(1)),
        Some(Remembered::Issued { .. })
    ));
}

#[test]
fn a_note_replaces_nothing_that_is_known_better() {
    let mut table = FlightTable::new(10);
    assert!(lead(&mut table, 1, 0));
    table.note(key(1), issued(100), at(0));
    table.finish(key(1), Some(protecting()));
    table.note(key(1), issued(100), at(1));
    let known = table.remembered(&key(1)).expect("known");
    assert!(matches!(known.recall(at(1)), Recall::Serve { .. }));
}

#[derive(Clone, Debug)]
enum Op {
    Enter(u16),
    Finish(u16, u8),
    Note(u16),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..20u16).prop_map(Op::Enter),
        ((0..20u16), 0..3u8).prop_map(|(number, what)| Op::Finish(number, what)),
        (0..20u16).prop_map(Op::Note),
        (0..20u64).prop_map(Op::Wait),
    ]
}

proptest! {
    #[test]
    fn it_stays_within_its_bounds_and_no_flight_is_led_twice(
        capacity in 1..12usize,
        ops in proptest::collection::vec(op(), 0..200),
    ) {
        let mut table = FlightTable::new(capacity);
        let mut flying = std::collections::BTreeSet::new();
        let mut now = at(0);
        for op in ops {
            match op {
                Op::Enter(number) => match table.enter(key(number), now, || ()) {
                    Entered::Lead { .. } => prop_assert!(flying.insert(number), "led twice"),
                    Entered::Join(()) => prop_assert!(flying.contains(&number)),
                    _ => prop_assert!(!flying.contains(&number)),
                },
                Op::Finish(number, what) => {
                    let remembered = match what {
                        0 => None,
                        1 => Some(protecting()),
                        _ => Some(refused(now.since(at(0)).as_secs())),
                    };
                    if flying.remove(&number) {
                        table.finish(key(number), remembered);
                    }
                }
                Op::Note(number) => table.note(key(number), issued(86_400), now),
                Op::Wait(seconds) => now = now.plus(Duration::from_secs(seconds)),
            }
            let (slots, flights) = table.len();
            prop_assert!(slots <= capacity && flights <= capacity.div_ceil(2));
            prop_assert_eq!(flights, flying.len());
        }
    }
}
