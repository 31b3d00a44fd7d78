//! What adds claims to a client's tokens (Keycloak's protocol mappers).

use serde_json::{Value, json};

use super::client::Client;
use super::texts;

/// Every mapper of a client.
pub(super) fn mappers(client: &Client) -> Vec<Value> {
    let mut mappers: Vec<Value> = client.audiences.iter().map(|name| audience(name)).collect();
    if client.groups_claim {
        mappers.push(groups());
    }
    mappers.extend(client.attribute_claims.iter().map(|name| attribute(name)));
    mappers
}

fn audience(name: &str) -> Value {
    json!({
        "name": format!("audience {name}"),
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": texts([
            ("included.custom.audience", name.to_owned()),
            ("access.token.claim", "true".to_owned()),
            ("introspection.token.claim", "true".to_owned()),
        ]),
    })
}

fn groups() -> Value {
    let mut config = texts([
        ("claim.name", "groups".to_owned()),
        ("full.path", "true".to_owned()),
    ]);
    config.extend(everywhere());
    json!({
        "name": "groups",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-group-membership-mapper",
        "config": config,
    })
}

fn attribute(name: &str) -> Value {
    let mut config = texts([
        ("user.attribute", name.to_owned()),
        // A dot would make an object of it.
        ("claim.name", name.replace('.', "\\.")),
        ("jsonType.label", "String".to_owned()),
    ]);
    config.extend(everywhere());
    json!({
        "name": format!("attribute {name}"),
        "protocol": "openid-connect",
        "protocolMapper": "oidc-usermodel-attribute-mapper",
        "config": config,
    })
}

fn everywhere() -> serde_json::Map<String, Value> {
    texts(
        [
            "access.token.claim",
            "id.token.claim",
            "userinfo.token.claim",
            "introspection.token.claim",
        ]
        .map(|name| (name, "true".to_owned())),
    )
}
