//! Keycloak's admin REST interface, as much of it as tests need.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::http_client::HttpClient;
use crate::keys::{Algorithm, SigningKey};
use crate::{ClientKeys, Error, Realm};

/// How long an admin's token is used. It lives for a minute.
const TOKEN_TIME: Duration = Duration::from_secs(30);

/// What the keys of a realm are, among its components.
const KEY_PROVIDER: &str = "org.keycloak.keys.KeyProvider";

/// An administrator of a Keycloak server.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    base: String,
    user: String,
    password: String,
    http: HttpClient,
    token: Mutex<Option<(String, Instant)>>,
}

impl Admin {
    /// The administrator with this name and password, of the server at this base address.
    #[must_use]
    pub fn new(
        base: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        Self(Arc::new(Inner {
            base: base.into().trim_end_matches('/').to_owned(),
            user: user.into(),
            password: password.into(),
            http: HttpClient::new(),
            token: Mutex::new(None),
        }))
    }

    /// The server's base address.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.0.base
    }

    /// Makes a realm. Its RSA keys are made here: that takes Keycloak seconds.
    ///
    /// # Errors
    /// If the server refuses, for example since there is one of this name.
    pub async fn create_realm(&self, realm: &Realm) -> Result<(), Error> {
        self.create(realm.algorithm, realm.to_json()).await
    }

    /// Makes a realm that calls itself by this base address, whichever way it is asked.
    pub(crate) async fn create_realm_at(&self, realm: &Realm, base: &str) -> Result<(), Error> {
        let mut settings = realm.to_json();
        settings["attributes"]["frontendUrl"] = json!(base);
        self.create(realm.algorithm, settings).await
    }

    async fn create(&self, algorithm: Algorithm, mut settings: Value) -> Result<(), Error> {
        let keys = [
            signing_key(algorithm, 100),
            ENCRYPTION_KEY.clone(),
            key("hmac-generated", 100, json!({"algorithm": ["HS512"]})),
            key("aes-generated", 100, json!({})),
        ];
        settings["components"] = json!({KEY_PROVIDER: keys});
        self.call(Method::POST, "", Some(&settings)).await?;
        Ok(())
    }

    /// Removes a realm.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn delete_realm(&self, realm: &str) -> Result<(), Error> {
        self.call(Method::DELETE, &format!("/{realm}"), None)
            .await?;
        Ok(())
    }

    /// Changes settings of a realm; those not named stay.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn change_realm(&self, realm: &str, settings: &Value) -> Result<(), Error> {
        self.call(Method::PUT, &format!("/{realm}"), Some(settings))
            .await?;
        Ok(())
    }

    /// Adds a key that signs from now on.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn add_key(&self, realm: &str, algorithm: Algorithm) -> Result<(), Error> {
        let settings = self.call(Method::GET, &format!("/{realm}"), None).await?;
        let highest = self.keys(realm).await?.iter().map(priority).max();
        let mut key = signing_key(algorithm, highest.unwrap_or_default() + 100);
        key["providerType"] = json!(KEY_PROVIDER);
        key["parentId"] = settings["id"].clone();
        let path = format!("/{realm}/components");
        self.call(Method::POST, &path, Some(&key)).await?;
        Ok(())
    }

    /// Removes every signing key but the one that signs.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn remove_old_keys(&self, realm: &str) -> Result<(), Error> {
        let mut keys = self.keys(realm).await?;
        keys.sort_by_key(priority);
        keys.pop();
        for key in &keys {
            let id = key["id"].as_str().unwrap_or_default();
            let path = format!("/{realm}/components/{id}");
            self.call(Method::DELETE, &path, None).await?;
        }
        Ok(())
    }

    /// Ends a user's sessions.
    ///
    /// # Errors
    /// If the server refuses, or there is no such user.
    pub async fn log_out(&self, realm: &str, user: &str) -> Result<(), Error> {
        let id = self.user(realm, user).await?;
        let path = format!("/{realm}/users/{id}/logout");
        self.call(Method::POST, &path, None).await?;
        Ok(())
    }

    /// Changes a user; what is not named stays.
    ///
    /// # Errors
    /// If the server refuses, or there is no such user.
    pub async fn change_user(&self, realm: &str, user: &str, change: &Value) -> Result<(), Error> {
        let id = self.user(realm, user).await?;
        let path = format!("/{realm}/users/{id}");
        self.call(Method::PUT, &path, Some(change)).await?;
        Ok(())
    }

    /// Removes a user.
    ///
    /// # Errors
    /// If the server refuses, or there is no such user.
    pub async fn delete_user(&self, realm: &str, user: &str) -> Result<(), Error> {
        let id = self.user(realm, user).await?;
        let path = format!("/{realm}/users/{id}");
        self.call(Method::DELETE, &path, None).await?;
        Ok(())
    }

    /// Gives a client another secret.
    ///
    /// # Errors
    /// If the server refuses, or there is no such client.
    pub async fn set_client_secret(
        &self,
        realm: &str,
        client: &str,
        secret: &str,
    ) -> Result<(), Error> {
        self.change_client(realm, client, |client| client["secret"] = json!(secret))
            .await
    }

    /// Changes where a client's keys come from.
    ///
    /// # Errors
    /// If the server refuses, or there is no such client.
    pub async fn set_client_keys(
        &self,
        realm: &str,
        client: &str,
        keys: &ClientKeys,
    ) -> Result<(), Error> {
        self.change_client(realm, client, |client| {
            for (name, value) in keys.attributes() {
                client["attributes"][name] = value;
            }
        })
        .await
    }

    /// Changes a client's representation.
    ///
    /// # Errors
    /// If the server refuses, or there is no such client.
    pub async fn change_client(
        &self,
        realm: &str,
        client: &str,
        change: impl FnOnce(&mut Value) + Send,
    ) -> Result<(), Error> {
        let path = format!("/{realm}/clients?clientId={}", encoded(client));
        let found = self.call(Method::GET, &path, None).await?;
        let mut found = found
            .get(0)
            .cloned()
            .ok_or_else(|| Error::Unknown(format!("client {client:?}")))?;
        change(&mut found);
        let id = found["id"].as_str().unwrap_or_default();
        let path = format!("/{realm}/clients/{id}");
        self.call(Method::PUT, &path, Some(&found)).await?;
        Ok(())
    }

    /// Calls the admin interface at a path below `/admin/realms`.
    ///
    /// # Errors
    /// If the server does not answer with a status of success.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let doing = format!("{method} /admin/realms{path}");
        let token = self.token().await?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/admin/realms{path}", self.0.base))
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        self.send(&doing, request.body(bytes)).await
    }

    async fn token(&self) -> Result<String, Error> {
        {
            let known = self.0.token.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((token, since)) = &*known
                && since.elapsed() < TOKEN_TIME
            {
                return Ok(token.clone());
            }
        }
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("client_id", "admin-cli")
            .append_pair("username", &self.0.user)
            .append_pair("password", &self.0.password)
            .finish();
        let url = format!(
            "{}/realms/master/protocol/openid-connect/token",
            self.0.base
        );
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form));
        let answer = self.send("logging in as administrator", request).await?;
        let token = answer["access_token"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let mut known = self.0.token.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((token.clone(), Instant::now()));
        Ok(token)
    }

    async fn send(
        &self,
        doing: &str,
        request: Result<Request<Bytes>, http::Error>,
    ) -> Result<Value, Error> {
        let request = request.map_err(|error| Error::NoAnswer {
            url: self.0.base.clone(),
            reason: error.to_string(),
        })?;
        let response = self.0.http.send(request).await?;
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        if response.status().is_success() {
            return Ok(body);
        }
        let said = ["errorMessage", "error_description", "error"];
        let text = said.iter().find_map(|name| body.get(name)?.as_str());
        Err(Error::Unexpected {
            doing: doing.to_owned(),
            status: response.status().as_u16(),
            text: text.unwrap_or("no reason given").to_owned(),
        })
    }

    async fn user(&self, realm: &str, name: &str) -> Result<String, Error> {
        let path = format!("/{realm}/users?exact=true&username={}", encoded(name));
        let found = self.call(Method::GET, &path, None).await?;
        let id = found.get(0).and_then(|user| user["id"].as_str());
        id.map(str::to_owned)
            .ok_or_else(|| Error::Unknown(format!("user {name:?}")))
    }

    /// The components that are keys for signatures.
    async fn keys(&self, realm: &str) -> Result<Vec<Value>, Error> {
        let path = format!("/{realm}/components?type={KEY_PROVIDER}");
        let found = self.call(Method::GET, &path, None).await?;
        let signing = ["rsa", "rsa-generated", "ecdsa-generated", "eddsa-generated"];
        let mut keys = found.as_array().cloned().unwrap_or_default();
        keys.retain(|key| {
            signing
                .iter()
                .any(|provider| key["providerId"] == *provider)
        });
        Ok(keys)
    }
}

/// One for all realms of a process.
static ENCRYPTION_KEY: LazyLock<Value> = LazyLock::new(|| {
    let pair = SigningKey::generate(Algorithm::Rs256);
    let config = json!({
        "algorithm": ["RSA-OAEP"],
        "privateKey": [pair.private_base64()],
    });
    key("rsa-enc", 100, config)
});

/// A new key for signatures, as a component of a realm.
fn signing_key(algorithm: Algorithm, priority: i64) -> Value {
    let (provider, special) = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 => {
            let pair = SigningKey::generate(algorithm);
            ("rsa", json!({"privateKey": [pair.private_base64()]}))
        }
        Algorithm::Es256 => (
            "ecdsa-generated",
            json!({"ecdsaEllipticCurveKey": ["P-256"]}),
        ),
        Algorithm::Es384 => (
            "ecdsa-generated",
            json!({"ecdsaEllipticCurveKey": ["P-384"]}),
        ),
        Algorithm::EdDsa => (
            "eddsa-generated",
            json!({"eddsaEllipticCurveKey": ["Ed25519"]}),
        ),
    };
    let mut component = key(provider, priority, special);
    component["config"]["algorithm"] = json!([algorithm.name()]);
    component
}

fn key(provider: &str, priority: i64, mut config: Value) -> Value {
    config["priority"] = json!([priority.to_string()]);
    config["enabled"] = json!(["true"]);
    config["active"] = json!(["true"]);
    json!({
        "name": format!("{provider}-{priority}"),
        "providerId": provider,
        "config": config,
    })
}

fn priority(component: &Value) -> i64 {
    let text = component["config"]["priority"][0].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("base_url", &self.0.base)
            .field("user", &self.0.user)
            .finish_non_exhaustive()
    }
}
