//! Two issuers whose tokens one gateway takes, each by its own keys: this provider, and one that is
//! like Keycloak.

use gateway_tests::{Answer, ProviderOptions};
use keycloak_testkit::{ClientLogin, EmbeddedIdp, EmbeddedRealm, IdentityProvider as _, Realm};
use serde_json::{Value, json};

use crate::world::{World, app};

/// Whose provider the gateway is set up for; the other's keys are the further ones.
#[derive(Clone, Copy)]
enum Main {
    This,
    Other,
}

struct Both {
    world: World,
    other: EmbeddedRealm,
    _idp: EmbeddedIdp,
}

async fn both(main: Main) -> Option<Both> {
    let idp = EmbeddedIdp::start().await.expect("an embedded provider");
    let other = idp.realm(&Realm::seed("kong"));
    let others = other.issuer();
    let options = ProviderOptions::new().client(app().jwt_access_tokens());
    let world = World::start(options, |config| {
        let plugin = &config.value()["services"][0]["plugins"][0];
        let ours = plugin["config"]["issuer"].as_str().expect("an issuer");
        let ours = ours.to_owned();
        let (issuer, further) = match main {
            Main::This => (&ours, format!("{others}/protocol/openid-connect/certs")),
            Main::Other => (&others, format!("{ours}/jwks")),
        };
        config
            .plugin("issuer", json!(issuer))
            .plugin("auth_methods", json!(["bearer"]))
            .plugin("issuers_allowed", json!([ours, others]))
            .plugin("extra_jwks_uris", json!([further]));
    });
    Some(Both {
        world: world.await?,
        other,
        _idp: idp,
    })
}

impl Both {
    /// A good token of each.
    async fn tokens(&self) -> [String; 2] {
        let others = self.other.log_in("john", "doe", ClientLogin::service());
        let ours = self.world.john().await.access().to_owned();
        [ours, others.await.expect("john's tokens").access_token]
    }

    async fn answer(&self, token: &str) -> Answer {
        self.world.client().get("/").bearer(token).send().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_of_each_pass() {
    for main in [Main::This, Main::Other] {
        let Some(both) = both(main).await else {
            return;
        };
        for token in both.tokens().await {
            for _ in 0..2 {
                let answer = both.answer(&token).await.expect(200);
                assert_eq!(answer.access_token(), token);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_with_a_key_of_its_own_cannot_speak_for_the_other() {
    for main in [Main::This, Main::Other] {
        let Some(both) = both(main).await else {
            return;
        };
        let tokens = both.tokens().await;
        let good: Value = keycloak_testkit::claims(&tokens[0]);
        let key = both.other.signing_key();
        let ours_kid = keycloak_testkit::header(&tokens[0])["kid"].clone();
        let header = |kid: &Value| json!({"alg": "RS256", "typ": "at+jwt", "kid": kid});
        for (kid, reason) in [
            (json!(key.kid()), "token.key_unknown"),
            (ours_kid, "token.signature_invalid"),
        ] {
            let forged = key.sign_with_header(&header(&kid), &good);
            both.answer(&forged).await.refused(401, reason);
        }
        assert_eq!(both.world.upstream.count(), 0);
        // The same key is good for what its own issuer says.
        let mut own = good.clone();
        own["iss"] = json!(both.other.issuer());
        let own = key.sign_with_header(&header(&json!(key.kid())), &own);
        both.answer(&own).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_not_allowed_is_refused_though_its_keys_are_at_hand() {
    let Some(both) = both(Main::This).await else {
        return;
    };
    let key = both.other.signing_key();
    let mut claims = keycloak_testkit::claims(&both.tokens().await[1]);
    claims["iss"] = json!(format!("{}/somebody", both.other.base_url()));
    let foreign = key.sign_with_header(&json!({"alg": "RS256", "kid": key.kid()}), &claims);
    both.answer(&foreign).await.expect(401);
    assert_eq!(both.world.upstream.count(), 0);
}
