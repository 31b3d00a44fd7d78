//! What is allowed, and to whom: tables of claims and what comes of them. Each refusal stands
//! beside a twin that passes.

use std::sync::Arc;

use oidc_core::authorize::{
    Acl, AclRule, ClaimSources, Consumer, ConsumerBy, ConsumerGroupRule, ConsumerRule, Consumers,
    Identity, IdentityRule, Requirements,
};
use oidc_core::grant::Granted;
use oidc_core::{Credential, Secret};
use serde_json::{Value, json};

use crate::support::*;

/// What is known of a caller.
#[derive(Default)]
struct Told {
    /// Claims of the access token; an opaque one without.
    access: Option<Value>,
    id: Option<Value>,
    user_info: Option<Value>,
}

fn access(claims: Value) -> Told {
    Told {
        access: Some(claims),
        ..Told::default()
    }
}

impl Told {
    fn id(mut self, claims: Value) -> Self {
        self.id = Some(claims);
        self
    }

    fn user_info(mut self, claims: Value) -> Self {
        self.user_info = Some(claims);
        self
    }

    fn granted(&self) -> Arc<Granted> {
        let token = |claims: &Value, more: Value| {
            let mut all = more;
            let members = claims.as_object().expect("an object").clone();
            all.as_object_mut().expect("an object").extend(members);
            json!(signed(&header(), &all))
        };
        let (iat, exp) = (at(0).as_secs(), at(60).as_secs());
        let common = json!({"iss": ISSUER, "iat": iat, "exp": exp});
        let mut for_client = common.clone();
        for_client["sub"] = json!("john");
        for_client["aud"] = json!(CLIENT);
        let access_token = match &self.access {
            Some(claims) => token(claims, common),
            None => json!("opaque"),
        };
        let id_token = self.id.as_ref().map(|claims| token(claims, for_client));
        let mut changes = json!({"access_token": access_token});
        if let Some(id_token) = id_token {
            changes["id_token"] = id_token;
        }
        let reply = tokens(at(0), &changes);
        let step = led(policy(), password()).answered(Ok(reply), at(0));
        let granted = match step {
            oidc_core::grant::Step::Keys(state) => granted(state.found(&keys(), at(0))),
            step => granted(step),
        };
        match &self.user_info {
            None => granted,
            Some(members) => Arc::new(granted.with(&described(members)).expect("the same user")),
        }
    }
}

/// What the userinfo endpoint says.
fn described(members: &Value) -> Arc<Granted> {
    let mut policy = policy();
    let endpoint = "https://idp.test/userinfo".parse().expect("a URL");
    policy.provider.endpoints.userinfo = Some(endpoint);
    let asked = led(policy, Credential::UserInfo(Secret::new("opaque")));
    let mut answer = json!({"sub": "john"});
    let members = members.as_object().expect("an object").clone();
    answer.as_object_mut().expect("an object").extend(members);
    granted(asked.answered(Ok(reply(200, &answer)), at(0)))
}

#[test]
fn a_claim_is_looked_for_in_the_access_token_then_the_id_token_then_the_user_info() {
    let all = || {
        access(json!({"a": 1, "nested": {"x": "access"}}))
            .id(json!({"a": 2, "b": 2, "null": null}))
            .user_info(json!({"a": 3, "b": 3, "c": 3, "null": 3, "nested": {"y": "told"}}))
    };
    for (path, without, with) in [
        (&["a"][..], json!(1), json!(1)),
        (&["b"], json!(2), json!(2)),
        (&["c"], json!(null), json!(3)),
        (&["d"], json!(null), json!(null)),
        // What is there and says nothing hides nothing.
        (&["null"], json!(null), json!(3)),
        (&["nested", "x"], json!("access"), json!("access")),
        (&["nested", "y"], json!(null), json!("told")),
        (&["a", "x"], json!(null), json!(null)),
    ] {
        let granted = all().granted();
        for (user_info, expected) in [(false, &without), (true, &with)] {
            let found = ClaimSources::new(user_info).find(&granted, path);
            assert_eq!(
                found.unwrap_or(&Value::Null),
                expected,
                "{path:?} {user_info}"
            );
        }
    }
    // What alone vouches for a token counts for it in any case.
    let vouched = described(&json!({"a": 4}));
    let found = ClaimSources::default().find(&vouched, &["a"]);
    assert_eq!(found, Some(&json!(4)));
}

#[test]
fn forbidden_claims_and_audiences() {
    let requirements = |forbidden: &[&str], audience: &[&str], user_info: bool| {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let mut requirements = Requirements::default();
        requirements.forbidden = owned(forbidden);
        requirements.audience.any_of = owned(audience);
        requirements.sources = ClaimSources::new(user_info);
        requirements
    };
    for (told, requirements, expected) in [
        (
            access(json!({"a": 1})),
            requirements(&["b"], &[], false),
            None,
        ),
        (
            access(json!({"a": 1})),
            requirements(&["b", "a"], &[], false),
            Some("authorization.claim_forbidden"),
        ),
        // A claim that says nothing is there all the same.
        (
            access(json!({"a": null})),
            requirements(&["a"], &[], false),
            Some("authorization.claim_forbidden"),
        ),
        (
            access(json!({})).id(json!({"a": 1})),
            requirements(&["a"], &[], false),
            Some("authorization.claim_forbidden"),
        ),
        (
            access(json!({})).user_info(json!({"a": 1})),
            requirements(&["a"], &[], true),
            Some("authorization.claim_forbidden"),
        ),
        (
            access(json!({})).user_info(json!({"a": 1})),
            requirements(&["a"], &[], false),
            None,
        ),
        // What cannot be seen cannot be seen to be absent.
        (
            Told::default(),
            requirements(&["a"], &[], false),
            Some("authorization.claims_unavailable"),
        ),
        (
            Told::default().id(json!({})),
            requirements(&["a"], &[], false),
            Some("authorization.claims_unavailable"),
        ),
        (
            Told::default().id(json!({"a": 1})),
            requirements(&["a"], &[], false),
            Some("authorization.claim_forbidden"),
        ),
        // Only the access token says whom it is for.
        (
            access(json!({"aud": "api"})),
            requirements(&[], &["api"], true),
            None,
        ),
        (
            access(json!({}))
                .id(json!({}))
                .user_info(json!({"aud": CLIENT})),
            requirements(&[], &[CLIENT], true),
            Some("authorization.audience_missing"),
        ),
        (
            Told::default().id(json!({})),
            requirements(&[], &[CLIENT], true),
            Some("authorization.claims_unavailable"),
        ),
    ] {
        let granted = told.granted();
        let found = requirements.check(&granted).err();
        let found = found.map(|denial| denial.reason().code());
        assert_eq!(found, expected, "{requirements:?}");
    }
}

fn consumers() -> Arc<Consumers> {
    Arc::new(Consumers::new([
        Consumer {
            id: "c-1".to_owned(),
            username: Some("john".to_owned()),
            custom_id: Some("4711".to_owned()),
            acl_groups: vec!["staff".to_owned()],
            groups: vec!["gold".to_owned()],
        },
        Consumer {
            id: "c-2".to_owned(),
            username: Some("4711".to_owned()),
            ..Consumer::default()
        },
    ]))
}

fn by_claims(claims: &[&[&str]], by: &[ConsumerBy]) -> ConsumerRule {
    ConsumerRule {
        consumers: consumers(),
        claims: claims
            .iter()
            .map(|path| path.iter().map(|name| (*name).to_owned()).collect())
            .collect(),
        by: by.to_vec(),
        ignore_case: false,
        optional: false,
    }
}

#[test]
fn the_first_claim_that_names_a_consumer_decides() {
    use ConsumerBy::{CustomId, Id, Username};
    let kongs = [CustomId, Username];
    for (claims, rule, expected) in [
        (
            json!({"u": "john"}),
            by_claims(&[&["u"]], &kongs),
            Some("c-1"),
        ),
        // The custom id goes first, as in Kong.
        (
            json!({"u": "4711"}),
            by_claims(&[&["u"]], &kongs),
            Some("c-1"),
        ),
        (
            json!({"u": 4711}),
            by_claims(&[&["u"]], &kongs),
            Some("c-1"),
        ),
        (
            json!({"u": "4711"}),
            by_claims(&[&["u"]], &[Username]),
            Some("c-2"),
        ),
        (json!({"u": "c-2"}), by_claims(&[&["u"]], &kongs), None),
        (
            json!({"u": "c-2"}),
            by_claims(&[&["u"]], &[Id]),
            Some("c-2"),
        ),
        (
            json!({"u": "nobody", "n": {"u": "john"}}),
            by_claims(&[&["u"], &["n", "u"]], &kongs),
            Some("c-1"),
        ),
        (json!({"u": ["john"]}), by_claims(&[&["u"]], &kongs), None),
        (json!({"u": ""}), by_claims(&[&["u"]], &kongs), None),
        (json!({"u": "JOHN"}), by_claims(&[&["u"]], &kongs), None),
        (json!({}), by_claims(&[&["u"]], &kongs), None),
        (json!({"u": "john"}), by_claims(&[], &kongs), None),
    ] {
        let granted = access(claims.clone()).granted();
        for optional in [false, true] {
            let mut identity = IdentityRule::default();
            identity.consumer = Some(ConsumerRule {
                optional,
                ..rule.clone()
            });
            let found = identity.identify(&granted);
            match (expected, optional) {
                (None, false) => {
                    let denial = found.expect_err("refused");
                    assert_eq!(denial.reason().code(), "authorization.consumer_unknown");
                    assert_eq!(denial.reason().status(), 403, "{claims}");
                }
                _ => {
                    let found = found.expect("let through");
                    let id = found.consumer().map(|consumer| consumer.id.as_str());
                    assert_eq!(id, expected, "{claims}");
                }
            }
        }
    }
}

#[test]
fn consumer_groups_are_those_that_there_are() {
    for (value, expected) in [
        (json!("gold"), &["gold"][..]),
        (json!("gold silver tin"), &["gold", "silver"]),
        (json!(["tin", "silver", "silver"]), &["silver"]),
        (json!("two words"), &["two words"]),
        (json!(["two words", "gold"]), &["two words", "gold"]),
        (json!("tin"), &[]),
        (json!(null), &[]),
        (json!({"gold": true}), &[]),
    ] {
        let granted = access(json!({"groups": value})).granted();
        for optional in [false, true] {
            let mut rule = IdentityRule::default();
            let known = ["gold", "silver", "two words"].map(str::to_owned);
            rule.consumer_groups = Some(ConsumerGroupRule {
                known: Arc::new(known.into()),
                claim: vec!["groups".to_owned()],
                optional,
            });
            match (expected.is_empty(), optional) {
                (true, false) => {
                    let denial = rule.identify(&granted).expect_err("refused");
                    let reason = denial.reason();
                    assert_eq!(reason.code(), "authorization.consumer_group_unknown");
                    assert_eq!(reason.status(), 401);
                }
                _ => {
                    let identity = rule.identify(&granted).expect("let through");
                    assert_eq!(identity.consumer_groups(), expected, "{value}");
                }
            }
        }
    }
}

#[test]
fn a_credential_and_groups_are_taken_from_their_claims() {
    let told =
        access(json!({"scope": "openid email openid", "n": {"id": 7}})).id(json!({"sub": "john"}));
    let granted = told.granted();
    let mut rule = IdentityRule::default();
    let identity = rule.identify(&granted).expect("let through");
    assert_eq!(identity.credential(), Some("john"));
    assert_eq!(identity.authenticated_groups(), None);
    assert!(!identity.is_anonymous());
    rule.credential_claim = vec!["n".to_owned(), "id".to_owned()];
    rule.authenticated_groups_claim = Some(vec!["scope".to_owned()]);
    let identity = rule.identify(&granted).expect("let through");
    assert_eq!(identity.credential(), Some("7"));
    let groups = identity.authenticated_groups().expect("the claim is there");
    assert_eq!(groups, ["openid", "email"]);
    rule.authenticated_groups_claim = Some(vec!["absent".to_owned()]);
    rule.credential_claim = vec!["n".to_owned()];
    let identity = rule.identify(&granted).expect("let through");
    assert_eq!(identity.authenticated_groups(), None);
    assert_eq!(identity.credential(), None);
}

/// Somebody with these groups of the token's own, as this consumer, in these consumer groups.
fn somebody(own: Option<&str>, consumer: Option<&str>, groups: &str) -> Identity {
    let mut claims = json!({"groups": groups});
    if let Some(own) = own {
        claims["own"] = json!(own);
    }
    if let Some(name) = consumer {
        claims["u"] = json!(name);
    }
    let mut rule = IdentityRule::default();
    rule.authenticated_groups_claim = Some(vec!["own".to_owned()]);
    rule.consumer = Some(ConsumerRule {
        optional: true,
        ..by_claims(&[&["u"]], &[ConsumerBy::Username])
    });
    rule.consumer_groups = Some(ConsumerGroupRule {
        known: Arc::new(["silver".to_owned()].into()),
        claim: vec!["groups".to_owned()],
        optional: true,
    });
    rule.identify(&access(claims).granted()).expect("known")
}

fn nobody(consumer: &str) -> Identity {
    let mut rule = IdentityRule::default();
    rule.anonymous = consumers().named(consumer).cloned();
    rule.anonymous().expect("a consumer")
}

#[test]
fn a_list_lets_through_whom_it_should() {
    let john = || Some("john");
    // By columns: the groups of the token, its consumer (john is staff, and gold), its consumer
    // groups; whether the token's groups go first and consumer groups count; whether `allow: [x]`
    // and `deny: [x]` let through, for x the last column.
    for (who, always, include, group, allowed, not_denied) in [
        (
            somebody(Some("a b"), None, ""),
            false,
            false,
            "b",
            true,
            false,
        ),
        (
            somebody(Some("a b"), None, ""),
            false,
            false,
            "c",
            false,
            true,
        ),
        (somebody(Some(""), None, ""), false, false, "a", false, true),
        (
            somebody(None, john(), ""),
            false,
            false,
            "staff",
            true,
            false,
        ),
        (somebody(None, john(), ""), false, false, "a", false, true),
        // A consumer's own groups go first, unless the settings say otherwise.
        (
            somebody(Some("a"), john(), ""),
            false,
            false,
            "a",
            false,
            true,
        ),
        (
            somebody(Some("a"), john(), ""),
            false,
            false,
            "staff",
            true,
            false,
        ),
        (
            somebody(Some("a"), john(), ""),
            true,
            false,
            "a",
            true,
            false,
        ),
        (
            somebody(Some("a"), john(), ""),
            true,
            false,
            "staff",
            false,
            true,
        ),
        (
            somebody(None, john(), ""),
            true,
            false,
            "staff",
            true,
            false,
        ),
        // A consumer without groups has none of the token's.
        (
            somebody(Some("a"), Some("4711"), ""),
            false,
            false,
            "a",
            false,
            true,
        ),
        // Consumer groups count only where the settings say so.
        (
            somebody(None, john(), "silver"),
            false,
            false,
            "silver",
            false,
            true,
        ),
        (
            somebody(None, john(), "silver"),
            false,
            true,
            "silver",
            true,
            false,
        ),
        (somebody(None, john(), ""), false, true, "gold", true, false),
        (
            somebody(None, john(), ""),
            false,
            true,
            "staff",
            true,
            false,
        ),
        (
            somebody(None, None, "silver"),
            false,
            true,
            "silver",
            true,
            false,
        ),
        // Of whom no groups are known, nobody is let through.
        (
            somebody(None, None, "silver"),
            false,
            false,
            "silver",
            false,
            false,
        ),
        (somebody(None, None, ""), true, true, "a", false, false),
        // Nobody is who the anonymous consumer is.
        (nobody("john"), false, false, "staff", true, false),
        (nobody("john"), false, true, "gold", true, false),
        (nobody("4711"), false, false, "staff", false, true),
    ] {
        for (rule, expected) in [
            (
                AclRule::Allow(vec!["x".to_owned(), group.to_owned()]),
                allowed,
            ),
            (
                AclRule::Deny(vec!["x".to_owned(), group.to_owned()]),
                not_denied,
            ),
        ] {
            let acl = Acl {
                rule,
                always_use_authenticated_groups: always,
                include_consumer_groups: include,
                hide_groups_header: false,
            };
            let found = acl.admit(Some(&who));
            assert_eq!(found.is_ok(), expected, "{who:?} {acl:?}");
            if let Err(denial) = found {
                assert_eq!(denial.reason().code(), "acl.group_not_allowed");
            }
            assert!(acl.admit(None).is_err(), "nobody was authenticated");
        }
    }
}
