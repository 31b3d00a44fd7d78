//! What a user of each workflow sees, against the embedded provider and a real Keycloak alike.

mod acl;
mod authorization;
mod bearer;
mod client_authentication;
mod client_credentials;
mod consumers;
mod headers;
mod introspection;
mod mtls;
mod outage;
mod password;
mod possession;
mod recall;
mod refresh_token;
mod refusals;
mod rotation;
mod single_flight;
mod token_exchange;
mod userinfo;
