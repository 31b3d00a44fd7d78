//! The token endpoint's grants: password, client credentials and refresh token (RFC 6749 §4, §6);
//! token exchange is in a file of its own.

use serde_json::{Value, json};

use super::authenticate::Form;
use super::exchange;
use super::issue::{DEFAULT_SCOPES, Grant, OPTIONAL_SCOPES};
use super::possession::{Binding, Presented};
use super::refusal::{invalid_grant, invalid_request, invalid_scope, not_allowed};
use super::session::{ClientSession, Session};
use super::state::{Account, LiveRealm, State};
use crate::{Client, Refusal, clock, random};

/// A login that is granted.
pub(super) struct Login<'a> {
    pub(super) client: &'a Client,
    pub(super) account: &'a Account,
    pub(super) scopes: Vec<String>,
    pub(super) binding: Binding,
    pub(super) mark: &'static str,
}

impl LiveRealm {
    /// The answer to an authenticated token request.
    pub(super) fn grant(
        &self,
        client: &Client,
        form: &Form,
        presented: &Presented,
    ) -> Result<Value, Refusal> {
        let response = match form.get("grant_type") {
            Some("password") => self.password(client, form, presented)?,
            Some("client_credentials") => self.client_credentials(client, form, presented)?,
            Some(exchange::GRANT) => self.exchange(client, form, presented)?,
            Some("refresh_token") => self.refresh(client, form, presented)?,
            _ => {
                return Err(Refusal::new(
                    400,
                    "unsupported_grant_type",
                    "Unsupported grant_type",
                ));
            }
        };
        Ok(self.alterations.apply(|set| &set.token_response, response))
    }

    fn password(
        &self,
        client: &Client,
        form: &Form,
        presented: &Presented,
    ) -> Result<Value, Refusal> {
        if !client.direct_grants {
            return Err(not_allowed(
                400,
                "Client not allowed for direct access grants",
            ));
        }
        let scopes = scopes(form)?;
        let binding = self.binding_with_certificate(client, presented)?;
        let Some(name) = form.get("username") else {
            return Err(Refusal::new(
                401,
                "invalid_request",
                "Missing parameter: username",
            ));
        };
        let mut state = self.state();
        let account = state
            .user_mut(name)
            .map(|account| account.clone())
            .filter(|account| form.get("password") == Some(&account.user.password))
            .ok_or_else(|| invalid_grant("Invalid user credentials"))?;
        if !account.user.enabled {
            return Err(invalid_grant("Account disabled"));
        }
        let login = Login {
            client,
            account: &account,
            scopes,
            binding,
            mark: "onrtro",
        };
        Ok(self.log_in(&mut state, login))
    }

    fn client_credentials(
        &self,
        client: &Client,
        form: &Form,
        presented: &Presented,
    ) -> Result<Value, Refusal> {
        if client.is_public() {
            return Err(not_allowed(
                401,
                "Public client not allowed to retrieve service account",
            ));
        }
        if !client.service_accounts {
            return Err(not_allowed(
                401,
                "Client not enabled to retrieve service account",
            ));
        }
        let scopes = scopes(form)?;
        let binding = self.binding_with_certificate(client, presented)?;
        let mut state = self.state();
        let account = state
            .users
            .iter()
            .find(|account| account.client.as_deref() == Some(&client.id))
            .cloned()
            .ok_or_else(|| invalid_request("Client has no service account"))?;
        if client.refresh_tokens_for_itself {
            let login = Login {
                client,
                account: &account,
                scopes,
                binding,
                mark: "trrtcc",
            };
            return Ok(self.log_in(&mut state, login));
        }
        let grant = Grant {
            client,
            account: &account,
            session: None,
            scopes: &scopes,
            audience: None,
            binding: &binding,
            mark: "trrtcc",
        };
        Ok(self.token_response(&mut state, &grant))
    }

    /// Starts a session and issues its first tokens.
    pub(super) fn log_in(&self, state: &mut State, login: Login<'_>) -> Value {
        let Login {
            client,
            account,
            scopes,
            binding,
            mark,
        } = login;
        let now = clock::now();
        let id = random::hex(12);
        let offline = scopes.iter().any(|scope| scope == "offline_access");
        let mut session = Session {
            account: account.id.clone(),
            offline,
            started: now,
            last_refresh: now,
            clients: std::iter::once((client.id.clone(), ClientSession::new(scopes.clone())))
                .collect(),
        };
        let grant = Grant {
            client,
            account,
            session: Some((&id, offline)),
            scopes: &scopes,
            audience: None,
            binding: &binding,
            mark,
        };
        let chain = state.realm.rotation.then(random::uuid);
        let response = self.with_refresh_token(state, &grant, &mut session, chain.as_deref());
        state.sessions.insert(id, session);
        response
    }

    fn refresh(
        &self,
        client: &Client,
        form: &Form,
        presented: &Presented,
    ) -> Result<Value, Refusal> {
        let Some(token) = form.get("refresh_token") else {
            return Err(invalid_request("No refresh token"));
        };
        let asked = form.get("scope").map(|_| scopes(form)).transpose()?;
        let binding = self.binding(client, presented)?;
        let mut state = self.state();
        let invalid = || invalid_grant("Invalid refresh token");
        let claims = self.refresh_claims(&state, token).ok_or_else(invalid)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let now = clock::now();
        if claims
            .get("exp")
            .and_then(Value::as_u64)
            .is_some_and(|exp| exp <= now)
        {
            return Err(invalid_grant("Token is not active"));
        }
        if text("azp") != Some(&client.id) {
            return Err(invalid_grant(
                "Invalid refresh token. Token client and authorized client don't match",
            ));
        }
        let (Some(session_id), Some(id)) = (text("sid"), text("jti")) else {
            return Err(invalid());
        };
        let gone = || invalid_grant("Session not active");
        let mut session = state
            .sessions
            .get(session_id)
            .filter(|session| session.is_active(&state.realm, now))
            .cloned()
            .ok_or_else(gone)?;
        let account = state.account(&session.account).cloned().ok_or_else(gone)?;
        if !account.user.enabled {
            return Err(invalid_grant("User disabled"));
        }
        let issued = claims
            .get("iat")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        if issued < state.not_before.max(account.not_before) {
            return Err(invalid_grant("Stale token"));
        }
        let binding = binding.again(client, &claims, presented)?;
        let Some(client_session) = session.clients.get_mut(&client.id) else {
            return Err(invalid_grant("Session doesn't have required client"));
        };
        let chain = text("reuse_id");
        if state.realm.rotation
            && let Err(replay) = client_session.spend(chain.unwrap_or_default(), id)
        {
            // Someone else may hold the newer tokens, so they die as well.
            session.clients.remove(&client.id);
            state.sessions.insert(session_id.to_owned(), session);
            return Err(invalid_grant(replay.description()));
        }
        let granted = client_session.scopes.clone();
        let scopes = match asked {
            None => granted,
            Some(asked) => narrowed(&granted, &asked),
        };
        session.last_refresh = now;
        let grant = Grant {
            client,
            account: &account,
            session: Some((session_id, session.offline)),
            scopes: &scopes,
            audience: None,
            binding: &binding,
            mark: "onrtrt",
        };
        let chain = match (state.realm.rotation, chain) {
            (true, Some(chain)) => Some(chain.to_owned()),
            (true, None) => Some(random::uuid()),
            (false, _) => None,
        };
        let response = self.with_refresh_token(&mut state, &grant, &mut session, chain.as_deref());
        state.sessions.insert(session_id.to_owned(), session);
        Ok(response)
    }

    /// A token response with a refresh token, unless the client is to have none.
    fn with_refresh_token(
        &self,
        state: &mut State,
        grant: &Grant<'_>,
        session: &mut Session,
        chain: Option<&str>,
    ) -> Value {
        let mut response = self.token_response(state, grant);
        let expires = session.expires(&state.realm, clock::now());
        let Some(client) = session
            .clients
            .get_mut(&grant.client.id)
            .filter(|_| grant.client.refresh_tokens)
        else {
            return response;
        };
        // A new refresh token keeps the scopes of the login, however narrow the access token is.
        let scopes = client.scopes.clone();
        let (token, id, lifespan) = self.refresh_token(state, grant, &scopes, expires, chain);
        client.issued(&id);
        response["refresh_token"] = json!(token);
        response["refresh_expires_in"] = json!(lifespan);
        response
    }
}

/// The scopes asked for, with those that every client has.
pub(super) fn scopes(form: &Form) -> Result<Vec<String>, Refusal> {
    let text = form.get("scope").unwrap_or_default();
    let asked: Vec<&str> = text.split_ascii_whitespace().collect();
    let known = |scope: &&str| {
        *scope == "openid" || DEFAULT_SCOPES.contains(scope) || OPTIONAL_SCOPES.contains(scope)
    };
    if !asked.iter().all(known) {
        return Err(invalid_scope(text));
    }
    let mut scopes = Vec::new();
    if asked.contains(&"openid") {
        scopes.push("openid".to_owned());
    }
    scopes.extend(DEFAULT_SCOPES.map(str::to_owned));
    let optional = OPTIONAL_SCOPES.iter().filter(|scope| asked.contains(scope));
    scopes.extend(optional.map(|scope| (*scope).to_owned()));
    Ok(scopes)
}

/// What was granted of what is asked for; whether `openid` was is decided at the login.
fn narrowed(granted: &[String], asked: &[String]) -> Vec<String> {
    granted
        .iter()
        .filter(|scope| *scope == "openid" || asked.contains(scope))
        .cloned()
        .collect()
}
