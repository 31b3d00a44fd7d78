//! What a user sees with a certified provider that is not Keycloak.

mod client_authentication;
mod client_credentials;
mod keys;
mod provider;
mod refresh_token;
mod world;
