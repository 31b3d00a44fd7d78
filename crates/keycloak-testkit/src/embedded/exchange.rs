//! Token exchange (RFC 8693) as Keycloak's standard token exchange does it.

use serde_json::{Value, json};

use super::authenticate::Form;
use super::grants::scopes;
use super::issue::{Grant, audiences};
use super::possession::Presented;
use super::refusal::invalid_request;
use super::session::ClientSession;
use super::state::LiveRealm;
use crate::{Client, Refusal};

/// The grant's name.
pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// Parameters that only Keycloak's older token exchange knows.
const UNSUPPORTED: [&str; 2] = ["requested_subject", "subject_issuer"];

impl LiveRealm {
    pub(super) fn exchange(
        &self,
        client: &Client,
        form: &Form,
        presented: &Presented,
    ) -> Result<Value, Refusal> {
        check_request(client, form)?;
        let wanted = form.get("requested_token_type").unwrap_or(ACCESS_TOKEN);
        if ![ACCESS_TOKEN, ID_TOKEN].contains(&wanted) {
            return Err(invalid_request("requested_token_type unsupported"));
        }
        let binding = self.binding_with_certificate(client, presented)?;
        let mut state = self.state();
        let subject_token = form.get("subject_token").unwrap_or_default();
        let claims = self
            .active_claims(&state, subject_token)
            .filter(|claims| claims["typ"] != "ID")
            .ok_or_else(|| invalid_request("Invalid token"))?;
        check_requester(client, &claims)?;
        let scopes = scopes(form)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let account = text("sub").and_then(|id| state.account(id)).cloned();
        let account = account.ok_or_else(|| invalid_request("Invalid token"))?;
        let audience = match form.get("audience") {
            None => None,
            Some(asked) if state.client(asked).is_none() => {
                return Err(Refusal::new(400, "invalid_client", "Audience not found"));
            }
            Some(asked)
                if !audiences(client, &account)
                    .iter()
                    .any(|known| known == asked) =>
            {
                return Err(invalid_request(&format!(
                    "Requested audience not available: {asked}"
                )));
            }
            Some(asked) => Some(vec![asked.to_owned()]),
        };
        let session = text("sid").map(str::to_owned);
        if let Some(session) = session.as_ref().and_then(|id| state.sessions.get_mut(id)) {
            session
                .clients
                .entry(client.id.clone())
                .or_insert_with(|| ClientSession::new(scopes.clone()));
        }
        let grant = Grant {
            client,
            account: &account,
            session: session.as_deref().map(|id| (id, false)),
            scopes: &scopes,
            audience: audience.as_deref(),
            binding: &binding,
            mark: if session.is_some() {
                "ntrtte"
            } else {
                "trrtte"
            },
        };
        let mut response = self.token_response(&mut state, &grant);
        response["issued_token_type"] = json!(wanted);
        if wanted == ID_TOKEN {
            response["access_token"] = json!(self.id_token(&state, &grant, None));
            response["token_type"] = json!("N_A");
        }
        Ok(response)
    }
}

fn check_request(client: &Client, form: &Form) -> Result<(), Refusal> {
    if !client.token_exchange {
        return Err(invalid_request(
            "Standard token exchange is not enabled for the requested client",
        ));
    }
    if client.is_public() {
        return Err(Refusal::new(
            400,
            "invalid_client",
            "Public client is not allowed to exchange token",
        ));
    }
    for name in UNSUPPORTED {
        if form.get(name).is_some() {
            return Err(invalid_request(&format!(
                "Parameter '{name}' is not supported for standard token exchange"
            )));
        }
    }
    for name in ["subject_token", "subject_token_type"] {
        if form.get(name).is_none() {
            return Err(invalid_request(&format!(
                "Parameter '{name}' required for standard token exchange"
            )));
        }
    }
    if form.get("subject_token_type") != Some(ACCESS_TOKEN) {
        return Err(invalid_request(
            "Parameter 'subject_token' supports access tokens only",
        ));
    }
    Ok(())
}

/// Only who a token is for may exchange it, and nobody else's if it is bound.
fn check_requester(client: &Client, claims: &Value) -> Result<(), Refusal> {
    if claims["azp"] == *client.id {
        return Ok(());
    }
    if claims.get("cnf").is_some() {
        return Err(invalid_request(
            "Sender-constrained token exchange rejected as the token was not issued for the \
             requesting client",
        ));
    }
    if super::inspect::is_for(claims, &client.id) {
        return Ok(());
    }
    Err(Refusal::new(
        403,
        "access_denied",
        "Client is not within the token audience",
    ))
}
