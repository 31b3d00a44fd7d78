//! Claims that a client's mappers add: groups and attributes of the user, and roles (Keycloak's
//! protocol mappers).

use serde_json::{Map, Value, json};

use super::state::Account;
use crate::Client;

/// What goes into access tokens, ID tokens and the user's information alike.
pub(super) fn mapped(client: &Client, account: &Account) -> Map<String, Value> {
    let user = &account.user;
    let mut claims = Map::new();
    if client.groups_claim && !user.groups.is_empty() {
        let mut groups = user.groups.clone();
        groups.sort();
        claims.insert("groups".to_owned(), json!(groups));
    }
    for name in &client.attribute_claims {
        let mut values = user
            .attributes
            .iter()
            .filter(|(attribute, _)| attribute == name)
            .map(|(_, value)| value);
        if let Some(first) = values.next() {
            claims.insert(name.clone(), json!(first));
        }
    }
    claims
}

/// The claim `resource_access`: roles by the client that they are of.
pub(super) fn resource_access(account: &Account) -> Value {
    let mut clients = Map::new();
    for (client, role) in &account.user.client_roles {
        let roles = clients
            .entry(client.clone())
            .or_insert_with(|| json!({"roles": []}));
        if let Some(roles) = roles["roles"].as_array_mut() {
            roles.push(json!(role));
        }
    }
    clients.insert(
        "account".to_owned(),
        json!({"roles": ["manage-account", "manage-account-links", "view-profile"]}),
    );
    Value::Object(clients)
}
