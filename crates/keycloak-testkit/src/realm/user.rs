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
        json!({
            "username": self.name,
            "enabled": self.enabled,
            "email": self.email,
            "emailVerified": true,
            "firstName": self.first_name,
            "lastName": self.last_name,
            "requiredActions": [],
            "realmRoles": roles,
            "credentials": [{"type": "password", "value": self.password, "temporary": false}],
        })
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
