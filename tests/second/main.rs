//! What a user sees with a certified provider that is not Keycloak.

mod bearer;
mod client_authentication;
mod client_credentials;
mod introspection;
mod keys;
mod provider;
mod refresh_token;
mod userinfo;
mod world;
