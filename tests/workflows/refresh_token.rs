//! The refresh token workflow, as the page tells it that the gateway was asked for with.

use gateway_tests::{World, on_both};

on_both!(
    the_seeds_two_requests,
    World::seed(),
    |world: World| async move {
        let first = world
            .client()
            .get("/")
            .basic("john", "doe")
            .send()
            .await
            .expect(200);
        let token = first.refresh_token();
        let second = world
            .client()
            .get("/")
            .refresh_token(&token)
            .send()
            .await
            .expect(200);
        assert_ne!(second.access_token(), "");
        assert_ne!(second.refresh_token(), "");
        let requests = world.idp.token_requests();
        let grants: Vec<_> = requests
            .iter()
            .map(|request| request.grant.as_str())
            .collect();
        assert_eq!(grants, ["password", "refresh_token"]);
        for request in &requests {
            assert_eq!(request.authentication, "private_key_jwt");
            assert_eq!(request.client_id.as_deref(), Some("kong"));
        }
    }
);
