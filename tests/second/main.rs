//! What a user sees with a certified provider that is not Keycloak.

mod bearer;
mod client_authentication;
mod client_credentials;
mod introspection;
mod issuers;
mod keys;
mod mtls;
mod possession;
mod provider;
mod refresh_token;
mod userinfo;
mod world;
