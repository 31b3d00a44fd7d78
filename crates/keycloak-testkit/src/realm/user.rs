//! A user who can log in at once: Keycloak refuses the password grant to an incomplete profile.

use std::fmt;

use serde_json::{Value, json};

/// A user of a realm.
#[derive(Clone)]
pub struct User {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) email: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) roles: Vec<String>,
    /// Roles of clients, each with its client.
    pub(crate) client_roles: Vec<(String, String)>,
    pub(crate) groups: Vec<String>,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) enabled: bool,
}

impl User {
    /// A user with a verified e-mail address and a full name.
    #[must_use]
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            email: format!("{name}@example.test"),
            first_name: "Test".to_owned(),
            last_name: "User".to_owned(),
            name,
            password: password.into(),
            roles: Vec::new(),
            client_roles: Vec::new(),
            groups: Vec::new(),
            attributes: Vec::new(),
            enabled: true,
        }
    }

    /// First and last name.
    #[must_use]
    pub fn named(mut self, first: impl Into<String>, last: impl Into<String>) -> Self {
        self.first_name = first.into();
        self.last_name = last.into();
        self
    }

    /// The e-mail address.
    #[must_use]
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = email.into();
        self
    }

    /// Gives the user a role of the realm.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Gives the user a role of a client of the realm; the role is made if need be.
    #[must_use]
    pub fn client_role(mut self, client: impl Into<String>, role: impl Into<String>) -> Self {
        self.client_roles.push((client.into(), role.into()));
        self
    }

    /// Puts the user into a group, named by its path, such as `/staff/it`; groups on the path are
    /// made if need be.
    #[must_use]
    pub fn group(mut self, path: impl Into<String>) -> Self {
        self.groups.push(path.into());
        self
    }

    /// Gives the user an attribute, of whatever text; more than once for more values.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Whether the user may log in.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    pub(crate) fn to_json(&self, realm: &str) -> Value {
        // Imported users have no roles of their own, and without the default ones no account
        // audience and no offline access.
        let mut roles = vec![format!("default-roles-{realm}")];
        roles.extend(self.roles.iter().cloned());
        let mut user = json!({
            "username": self.name,
            "enabled": self.enabled,
            "email": self.email,
            "emailVerified": true,
            "firstName": self.first_name,
            "lastName": self.last_name,
            "requiredActions": [],
            "realmRoles": roles,
            "credentials": [{"type": "password", "value": self.password, "temporary": false}],
        });
        for (client, role) in &self.client_roles {
            push(&mut user["clientRoles"][client], role);
        }
        for group in &self.groups {
            push(&mut user["groups"], group);
        }
        for (name, value) in &self.attributes {
            push(&mut user["attributes"][name], value);
        }
        user
    }
}

/// Adds to a list, which there may not be yet.
fn push(list: &mut Value, text: &str) {
    match list {
        Value::Array(list) => list.push(json!(text)),
        other => *other = json!([text]),
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("roles", &self.roles)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}
