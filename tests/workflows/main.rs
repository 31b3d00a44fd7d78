//! What a user of each workflow sees, against the embedded provider and a real Keycloak alike.

mod refresh_token;
