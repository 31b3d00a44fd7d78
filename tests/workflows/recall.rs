//! A credential that was found good is answered from memory: the same as it would be without, for
//! as long as nothing has changed that the answer rests on. Each case asks often enough for that.

use std::time::Duration;

use gateway_tests::{APP, Answer, Client, World, WorldBuilder, eventually, on_both};
use keycloak_testkit::Endpoint;
use serde_json::{Value, json};

/// The first finds out, the second is answered by what is remembered, and the others by what came
/// of that.
const OFTEN: usize = 5;

fn bearer() -> WorldBuilder {
    World::app().plugin("auth_methods", json!(["bearer"]))
}

/// A service like the one that there is, below this path, with other plugins besides.
fn beside(world: WorldBuilder, path: &'static str, change: fn(&mut Value)) -> WorldBuilder {
    world.config(move |config| {
        let services = config.value()["services"].as_array_mut().expect("a list");
        let mut service = services[0].clone();
        service["name"] = json!(path);
        service["routes"] = json!([{"name": path, "paths": [format!("/{path}")]}]);
        change(&mut service);
        services.push(service);
    })
}

fn plugin(service: &mut Value) -> &mut Value {
    &mut service["plugins"][0]["config"]
}

async fn get(client: Client, path: &str, token: &str) -> Answer {
    client.get(path).bearer(token).send().await
}

fn rules() -> WorldBuilder {
    let world = beside(bearer(), "scoped", |service| {
        plugin(service)["scopes_required"] = json!(["nobody-has-it"]);
    });
    let world = beside(world, "listed", |service| {
        plugin(service)["authenticated_groups_claim"] = json!(["scope"]);
        let plugins = service["plugins"].as_array_mut().expect("a list");
        plugins.push(json!({"name": "acl", "config": {"deny": ["email"]}}));
    });
    let world = beside(world, "elsewhere", |service| {
        plugin(service)["issuers_allowed"] = json!(["https://somebody.else"]);
    });
    beside(world, "told", |service| {
        plugin(service)["upstream_headers"] =
            json!([{"header": "x_name", "path": ["preferred_username"]}]);
        plugin(service)["upstream_access_token_header"] = json!("x_token");
        plugin(service)["downstream_headers"] =
            json!([{"header": "x_who", "path": ["preferred_username"]}]);
    })
}

on_both!(
    each_route_holds_a_token_to_its_own_rules_whoever_served_it_before,
    rules(),
    |world: World| async move {
        let client = world.client();
        let paths = ["/", "/scoped", "/listed", "/elsewhere", "/told"];
        let (forwards, backwards) = (paths.to_vec(), paths.into_iter().rev().collect());
        for order in [forwards, backwards] {
            // Another token each time, so that another route is the first to see it.
            let token = world.john().await.access_token;
            for _ in 0..OFTEN {
                for path in &order {
                    let answer = get(client, path, &token).await;
                    match *path {
                        "/scoped" => answer.refused(403, "authorization.scope_missing"),
                        "/listed" => answer.refused(403, "acl.group_not_allowed"),
                        "/elsewhere" => answer.refused(401, "token.issuer_mismatch"),
                        "/told" => {
                            let answer = answer.expect(200);
                            assert_eq!(answer.header("x-who"), "john");
                            let told = answer.upstream_header("X-Name");
                            assert_eq!(told.as_deref(), Some("john"));
                            assert_eq!(answer.upstream_header("X-Token"), Some(token.clone()));
                            assert_eq!(answer.upstream_header("Authorization"), None);
                        }
                        _ => {
                            let answer = answer.expect(200);
                            assert_eq!(answer.header("x-who"), "");
                            assert_eq!(answer.upstream_header("X-Name"), None);
                            assert_eq!(answer.access_token(), token);
                        }
                    }
                }
            }
        }
        assert_eq!(world.idp.count(Endpoint::Token), 0);
        assert_eq!(world.idp.count(Endpoint::Jwks), 1);
    }
);

on_both!(
    a_key_that_is_withdrawn_ends_what_is_answered_from_memory_too,
    bearer().plugin("rediscovery_lifetime", json!(0)),
    |world: World| async move {
        let client = world.client();
        let before = world.john().await.access_token;
        for _ in 0..OFTEN {
            get(client, "/", &before).await.expect(200);
        }
        world.idp.rotate_keys().await.expect("a new key");
        world.idp.withdraw_old_keys().await.expect("withdrawn");
        let after = world.john().await.access_token;
        // Somebody's token of the new key brings the newest set.
        for _ in 0..OFTEN {
            get(client, "/", &after).await.expect(200);
            get(client, "/", &before)
                .await
                .refused(401, "token.key_unknown");
        }
    }
);

on_both!(
    a_token_is_refused_from_its_end_on_however_often_it_was_taken_before,
    bearer(),
    |world: World| async move {
        let lifespan = Duration::from_secs(3);
        let set = world.idp.set_access_token_lifespan(lifespan).await;
        set.expect("a short life");
        let client = world.client();
        let token = world.john().await.access_token;
        for _ in 0..OFTEN {
            get(client, "/", &token).await.expect(200);
        }
        eventually("the token's end", || async {
            get(client, "/", &token).await.status == 401
        })
        .await;
        for _ in 0..OFTEN {
            get(client, "/", &token).await.refused(401, "token.expired");
        }
    }
);

on_both!(
    whoever_presents_an_older_refresh_token_gets_the_newest_at_once,
    World::app()
        .realm(|realm| realm.rotation(true))
        .plugin("downstream_refresh_token_header", json!("refresh_token")),
    |world: World| async move {
        let client = world.client();
        let ask = async |token: &str| {
            let answer = client.get("/").refresh_token(token).send().await;
            let answer = answer.expect(200);
            let newest = answer.refresh_token();
            assert_eq!(answer.header("refresh-token"), newest);
            (newest, answer.access_token())
        };
        let mut line = vec![world.john().await.refresh().to_owned()];
        for _ in 0..3 {
            let presented = line.last().expect("the first").clone();
            let (newest, access_token) = ask(&presented).await;
            assert_ne!(newest, presented);
            // All of them are answered the same, again and again, until the next is traded.
            for _ in 0..OFTEN {
                for token in &line {
                    assert_eq!(ask(token).await, (newest.clone(), access_token.clone()));
                }
            }
            line.push(newest);
        }
        assert_eq!(world.idp.token_requests().len(), 3);
    }
);

on_both!(
    a_password_is_answered_from_memory_and_another_is_not,
    World::app(),
    |world: World| async move {
        let client = world.client();
        for _ in 0..OFTEN {
            client
                .get("/")
                .basic("john", "doe")
                .send()
                .await
                .expect(200);
            let other = client.get("/").basic("john", "do").send().await;
            other.refused(401, "password.invalid_grant");
        }
    }
);

on_both!(
    an_answer_is_no_longer_given_once_the_provider_was_asked_again,
    World::app()
        .realm(|realm| realm.change_client(APP, |client| client.audience(APP)))
        .plugin("auth_methods", json!(["introspection"]))
        .plugin("cache_ttl_max", json!(2)),
    |world: World| async move {
        let client = world.client();
        let tokens = world.john().await;
        for _ in 0..OFTEN {
            get(client, "/", &tokens.access_token).await.expect(200);
        }
        world.idp.log_out("john").await.expect("logged out");
        eventually("the answer's end", || async {
            get(client, "/", &tokens.access_token).await.status == 401
        })
        .await;
        for _ in 0..OFTEN {
            get(client, "/", &tokens.access_token).await.expect(401);
        }
    }
);
