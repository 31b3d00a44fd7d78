//! One realm of a provider, embedded or real: what a test case needs to know of it and do to it.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::call::{Call, CallError, ClientLogin, Reply, TokenCall, Tokens};
use crate::wire::{Endpoint, Faults, TokenRequest};
use crate::{ClientKeys, Error, TlsSide};

/// A realm of an identity provider. A test case written for it runs against the embedded provider
/// and against a real Keycloak alike.
///
/// Clients are to use [`issuer`](Self::issuer) and what discovery names: that way leads over a
/// wire that counts requests and breaks on demand ([`faults`](Self::faults)). A test's own calls
/// ([`token`](Self::token) and so on) go around the wire, so they are not counted.
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// The realm's name.
    fn realm(&self) -> &str;

    /// Where the provider listens, such as `http://127.0.0.1:8080`.
    fn base_url(&self) -> &str;

    /// Where it is reached by https, by clients with certificates: always, unless it is a server
    /// that the kit did not start.
    fn tls(&self) -> Option<&TlsSide>;

    /// What goes wrong on the wire.
    fn faults(&self) -> &Faults;

    /// The token requests that clients have made to this realm, in order.
    fn token_requests(&self) -> Vec<TokenRequest>;

    /// How many calls an endpoint has had.
    fn count(&self, endpoint: Endpoint) -> usize;

    /// Counts from zero again.
    fn forget_requests(&self);

    /// Waits until an endpoint has had so many calls.
    ///
    /// # Panics
    /// If they do not come in 20 seconds.
    async fn wait_for(&self, endpoint: Endpoint, count: usize);

    /// Ends every connection and refuses new ones, as if the provider were gone.
    async fn go_down(&self);

    /// Listens again at the same address; sessions and keys are as they were.
    ///
    /// # Errors
    /// If something else listens there now.
    async fn come_back(&self) -> Result<(), Error>;

    /// Calls an endpoint, around the wire: by https if a certificate is to be shown.
    ///
    /// # Errors
    /// If there is no answer, or no https.
    async fn call(&self, endpoint: Endpoint, call: &Call) -> Result<Reply, Error>;

    /// Signs with a new key from now on. The old one stays published and its tokens stay good.
    ///
    /// # Errors
    /// If the server does not do it.
    async fn rotate_keys(&self) -> Result<(), Error>;

    /// Withdraws every key but the one that signs: tokens of older keys are no longer good.
    ///
    /// # Errors
    /// If the server does not do it.
    async fn withdraw_old_keys(&self) -> Result<(), Error>;

    /// Ends the user's sessions, except offline ones.
    ///
    /// # Errors
    /// If the server does not do it, or there is no such user.
    async fn log_out(&self, user: &str) -> Result<(), Error>;

    /// Allows or forbids a user to log in; a session of a forbidden one is not refreshed.
    ///
    /// # Errors
    /// If the server does not do it, or there is no such user.
    async fn set_user_enabled(&self, user: &str, enabled: bool) -> Result<(), Error>;

    /// Removes a user, with all sessions.
    ///
    /// # Errors
    /// If the server does not do it, or there is no such user.
    async fn delete_user(&self, user: &str) -> Result<(), Error>;

    /// Whether a refresh token is good for one use only.
    ///
    /// # Errors
    /// If the server does not do it.
    async fn set_rotation(&self, on: bool) -> Result<(), Error>;

    /// How long access tokens live that are issued from now on.
    ///
    /// # Errors
    /// If the server does not do it.
    async fn set_access_token_lifespan(&self, lifespan: Duration) -> Result<(), Error>;

    /// How long sessions live without use.
    ///
    /// # Errors
    /// If the server does not do it.
    async fn set_sso_session_idle(&self, idle: Duration) -> Result<(), Error>;

    /// Declares every token issued so far stale. When it returns, new ones are good: times in
    /// tokens are whole seconds, so it waits for the next one.
    ///
    /// # Errors
    /// If the server does not do it.
    async fn not_before_now(&self) -> Result<(), Error>;

    /// Gives a client another secret.
    ///
    /// # Errors
    /// If the server does not do it, or there is no such client.
    async fn set_client_secret(&self, client: &str, secret: &str) -> Result<(), Error>;

    /// Changes where the keys of a client come from that signs with a private key.
    ///
    /// # Errors
    /// If the server does not do it, or there is no such client.
    async fn set_client_keys(&self, client: &str, keys: ClientKeys) -> Result<(), Error>;

    /// Removes the realm.
    ///
    /// # Errors
    /// If the server does not do it.
    async fn delete(&self) -> Result<(), Error>;

    /// The issuer: base address and realm.
    fn issuer(&self) -> String {
        format!("{}/realms/{}", self.base_url(), self.realm())
    }

    /// The address of an endpoint.
    fn url(&self, endpoint: Endpoint) -> String {
        format!("{}{}", self.issuer(), path(endpoint))
    }

    /// The address of the token endpoint.
    fn token_endpoint(&self) -> String {
        self.url(Endpoint::Token)
    }

    /// The address by which this call is made.
    ///
    /// # Errors
    /// If it needs https and there is none.
    fn url_of(&self, endpoint: Endpoint, call: &Call) -> Result<String, Error> {
        match (call.identity(), self.tls()) {
            (None, _) => Ok(self.url(endpoint)),
            (Some(_), Some(tls)) => Ok(tls.url(endpoint)),
            (Some(_), None) => Err(Error::Unknown("side by https".to_owned())),
        }
    }

    /// Posts a form to an endpoint, around the wire.
    ///
    /// # Errors
    /// If there is no answer.
    async fn post(
        &self,
        endpoint: Endpoint,
        form: Vec<(String, String)>,
        authorization: Option<String>,
    ) -> Result<Reply, Error> {
        let mut call = Call::post(form);
        if let Some(value) = authorization {
            call = call.header("authorization", &value);
        }
        self.call(endpoint, &call).await
    }

    /// Waits until the token endpoint has had so many calls, and gives them.
    ///
    /// # Panics
    /// If they do not come in 20 seconds.
    async fn wait_for_token_requests(&self, count: usize) -> Vec<TokenRequest> {
        self.wait_for(Endpoint::Token, count).await;
        self.token_requests()
    }

    /// Gets tokens straight from the provider.
    ///
    /// # Errors
    /// If the provider refuses or does not answer.
    async fn token(&self, call: &TokenCall) -> Result<Tokens, CallError> {
        let call = call.to_call(&self.issuer());
        self.call(Endpoint::Token, &call).await?.tokens()
    }

    /// Logs a user in with the password grant.
    ///
    /// # Errors
    /// If the provider refuses or does not answer.
    async fn log_in(
        &self,
        user: &str,
        password: &str,
        login: ClientLogin,
    ) -> Result<Tokens, CallError> {
        self.token(&TokenCall::password(user, password, login))
            .await
    }

    /// Trades a refresh token for new tokens.
    ///
    /// # Errors
    /// If the provider refuses or does not answer.
    async fn refresh(&self, token: &str, login: ClientLogin) -> Result<Tokens, CallError> {
        self.token(&TokenCall::refresh(token, login)).await
    }

    /// Asks whether a token is active (RFC 7662).
    ///
    /// # Errors
    /// If the provider refuses or does not answer.
    async fn introspect(&self, token: &str, login: ClientLogin) -> Result<Value, CallError> {
        let reply = post_token(self, Endpoint::Introspection, "token", token, &login).await?;
        if reply.status == 200 {
            Ok(reply.body)
        } else {
            Err(reply.refused())
        }
    }

    /// Revokes a token (RFC 7009). Keycloak says that a token is none with status 200.
    ///
    /// # Errors
    /// If the provider refuses or does not answer.
    async fn revoke(&self, token: &str, login: ClientLogin) -> Result<(), CallError> {
        let reply = post_token(self, Endpoint::Revocation, "token", token, &login).await?;
        if reply.status == 200 && reply.body.get("error").is_none() {
            Ok(())
        } else {
            Err(reply.refused())
        }
    }

    /// Ends the session of a refresh token.
    ///
    /// # Errors
    /// If the provider refuses or does not answer.
    async fn end_session(&self, token: &str, login: ClientLogin) -> Result<(), CallError> {
        let reply = post_token(self, Endpoint::Logout, "refresh_token", token, &login).await?;
        if reply.status == 204 {
            Ok(())
        } else {
            Err(reply.refused())
        }
    }
}

/// The path of an endpoint below the issuer.
pub(crate) const fn path(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Discovery => "/.well-known/openid-configuration",
        Endpoint::Jwks => "/protocol/openid-connect/certs",
        Endpoint::Token => "/protocol/openid-connect/token",
        Endpoint::Introspection => "/protocol/openid-connect/token/introspect",
        Endpoint::Userinfo => "/protocol/openid-connect/userinfo",
        Endpoint::Revocation => "/protocol/openid-connect/revoke",
        Endpoint::Logout => "/protocol/openid-connect/logout",
        Endpoint::Other => "",
    }
}

async fn post_token<P: IdentityProvider + ?Sized>(
    provider: &P,
    endpoint: Endpoint,
    name: &str,
    token: &str,
    login: &ClientLogin,
) -> Result<Reply, Error> {
    let form = vec![(name.to_owned(), token.to_owned())];
    let call = Call::as_client(form, login, &provider.issuer());
    provider.call(endpoint, &call).await
}
