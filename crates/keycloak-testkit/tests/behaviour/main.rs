//! The same cases against the embedded provider and against a real Keycloak: what the embedded
//! one answers is what Keycloak answers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod certificates;
mod clients;
mod dpop;
mod exchange;
mod mappers;
mod refresh;
mod requests;
mod sessions;
mod support;
mod tokens;

use keycloak_testkit::{IdentityProvider as _, Keycloak};

/// Makes a test of every case against each provider.
macro_rules! on_both {
    ($($module:ident: [$($case:ident),* $(,)?]),* $(,)?) => {
        mod embedded {
            $($(
                #[tokio::test]
                async fn $case() {
                    let kind = keycloak_testkit::ProviderKind::Embedded;
                    let realm = crate::support::realm();
                    let realm = kind.realm(&realm).await.unwrap().unwrap();
                    crate::$module::$case(&*realm).await;
                }
            )*)*
        }
        mod keycloak {
            $($(
                #[tokio::test]
                async fn $case() {
                    let kind = keycloak_testkit::ProviderKind::Keycloak;
                    let realm = crate::support::realm();
                    if let Some(realm) = kind.realm(&realm).await.unwrap() {
                        crate::$module::$case(&*realm).await;
                        realm.delete().await.unwrap();
                    }
                }
            )*)*
        }
    };
}

on_both!(
    tokens: [
        issues_tokens_of_this_shape,
        gives_tokens_to_a_client_itself,
        issues_refresh_tokens_as_the_client_is_set,
        issues_short_lived_tokens,
        signs_with_a_new_key_and_withdraws_the_old_one,
        introspects_for_the_audience_only,
    ],
    refresh: [
        refreshes_again_and_again_without_rotation,
        a_replay_ends_the_session,
        a_replay_after_newer_tokens_ends_the_session,
        one_of_many_replays_at_once_succeeds,
        refuses_a_token_of_another_client_and_keeps_it,
        refuses_what_is_no_refresh_token,
        narrows_scopes_and_refuses_unknown_ones,
        offline_tokens_have_no_end,
    ],
    sessions: [
        refuses_an_expired_token,
        refuses_after_logout,
        refuses_after_revocation,
        refuses_while_the_user_is_disabled,
        refuses_when_the_user_is_deleted,
        refuses_stale_tokens,
    ],
    clients: [
        refuses_clients_that_do_not_authenticate,
        refuses_bad_assertions,
        reads_the_keys_of_a_client_from_its_address,
        takes_another_secret,
    ],
    certificates: [
        authenticates_a_client_by_its_subject,
        binds_tokens_to_a_certificate,
        counts_and_breaks_by_https_too,
    ],
    dpop: [
        binds_tokens_to_a_key,
        binds_tokens_by_https_too,
        refuses_bad_proofs,
        tells_of_the_user_to_who_has_the_key,
    ],
    exchange: [
        exchanges_tokens_for_the_audience,
        refuses_to_exchange,
    ],
    mappers: [
        puts_roles_groups_and_attributes_into_tokens,
        signs_what_it_tells_of_users,
    ],
    requests: [
        refuses_users_and_grants,
        tells_what_is_wrong_with_the_request,
        counts_requests_and_goes_down_and_comes_back,
    ],
);

#[tokio::test]
async fn the_shared_server_is_one() {
    let Some(keycloak) = Keycloak::start_or_skip().await else {
        return;
    };
    let again = Keycloak::start().await.unwrap();
    assert!(std::ptr::eq(keycloak, again));
    let realm = support::realm().unique();
    let made = keycloak.realm(&realm).await.unwrap();
    let error = keycloak.realm(&realm).await.unwrap_err().to_string();
    assert!(error.contains("already exists"), "{error}");
    made.delete().await.unwrap();
}
