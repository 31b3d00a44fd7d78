//! The password workflow: a user's name and password are traded for tokens.

use gateway_tests::{World, on_both};
use keycloak_testkit::{Endpoint, claims};
use serde_json::json;

on_both!(
    by_basic_by_query_and_by_form,
    World::app(),
    |world: World| async move {
        let client = world.client();
        let basic = client
            .get("/")
            .basic("john", "doe")
            .send()
            .await
            .expect(200);
        assert_eq!(claims(&basic.access_token())["preferred_username"], "john");
        let query = client
            .get("/?a=1&username=john&password=doe&b=%20")
            .send()
            .await
            .expect(200);
        assert_eq!(query.json()["args"], json!({"a": "1", "b": " "}));
        let form = client.post_form("/", "x=1&username=john&password=doe&y=2");
        let form = form.send().await.expect(200);
        assert_eq!(form.json()["form"], json!({"x": "1", "y": "2"}));
        assert_eq!(world.idp.count(Endpoint::Token), 1, "one login, remembered");
    }
);

on_both!(
    a_wrong_password_is_no_invalid_token,
    World::app(),
    |world: World| async move {
        let answer = world.client().get("/").basic("john", "wrong").send().await;
        assert_eq!(
            answer.header("www-authenticate"),
            r#"Bearer realm="127.0.0.1""#
        );
        answer.refused(401, "password.invalid_grant");
        assert_eq!(world.upstream.count(), 0);
    }
);

on_both!(
    a_password_given_twice_is_nobodys_guess,
    World::app(),
    |world: World| async move {
        let client = world.client();
        let request = client
            .get("/?username=john&password=doe")
            .basic("john", "doe");
        request.send().await.refused(400, "credential.repeated");
        assert_eq!(world.idp.count(Endpoint::Token), 0);
    }
);

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_keeps_nothing_is_served_nothing_that_another_keeps() {
    let world = World::app()
        .config(|config| {
            let service = &mut config.value()["services"][0];
            let keeping = service["plugins"].clone();
            let mut forgetting = keeping.clone();
            forgetting[0]["config"]["cache_tokens"] = json!(false);
            service["routes"] = json!([
                {"name": "keeping", "paths": ["/keeping"], "plugins": keeping},
                {"name": "forgetting", "paths": ["/forgetting"], "plugins": forgetting},
            ]);
        })
        .embedded()
        .await;
    for (path, logins) in [
        ("/keeping", 1),
        ("/keeping", 1),
        ("/forgetting", 2),
        ("/forgetting", 3),
        ("/keeping", 3),
    ] {
        let request = world.client().get(path).basic("john", "doe");
        request.send().await.expect(200);
        assert_eq!(world.idp.count(Endpoint::Token), logins, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_by_an_unchecked_certificate_is_not_served_where_they_are_checked() {
    let world = World::app()
        .config(|config| {
            let mut other = config.value()["services"][0].clone();
            other["name"] = json!("unchecked");
            other["routes"] = json!([{"name": "unchecked", "paths": ["/unchecked"]}]);
            other["plugins"][0]["config"]["ssl_verify"] = json!(false);
            let services = config.value()["services"].as_array_mut();
            services.expect("services").push(other);
        })
        .embedded()
        .await;
    let client = world.client();
    for (target, calls) in [("/unchecked", 1), ("/unchecked", 1), ("/", 2), ("/", 2)] {
        let answer = client.get(target).basic("john", "doe").send().await;
        answer.expect(200);
        assert_eq!(world.idp.count(Endpoint::Token), calls, "{target}");
    }
}
