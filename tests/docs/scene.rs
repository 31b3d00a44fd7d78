//! A page with what it talks about: a provider, an upstream, a directory, and the gateway once its
//! configuration is reached.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use keycloak_testkit::pki::Authority;
use keycloak_testkit::{ClientKeys, EchoUpstream, EmbeddedIdp, IdentityProvider, Keycloak, Realm};
use proxy_bin::Server;
use tempfile::TempDir;

use crate::page::{Page, Part};
use crate::pattern::fits;
use crate::shell::Shell;

/// The addresses on the pages.
const ISSUER: &str = "http://127.0.0.1:8080/realms/kong";
const ISSUER_BY_HTTPS: &str = "https://127.0.0.1:8443/realms/kong";
const UPSTREAM: &str = "http://127.0.0.1:9080";

/// Where the pages keep their files.
const DIRECTORY: &str = "/tmp/gateway";

/// A page that is about to be followed.
pub(crate) struct Scene {
    page: Page,
    idp: Box<dyn IdentityProvider>,
    upstream: EchoUpstream,
    directory: TempDir,
    /// Kept for as long as the provider's realm is in use.
    _embedded: Option<EmbeddedIdp>,
}

impl Page {
    /// With the embedded provider.
    pub(crate) async fn embedded(self) -> Scene {
        let idp = EmbeddedIdp::start().await.expect("an embedded provider");
        let realm = idp.realm(&realm());
        self.around(Box::new(realm), Some(idp)).await
    }

    /// With a real Keycloak; `None` if there is none here, which is said aloud.
    pub(crate) async fn keycloak(self) -> Option<Scene> {
        let keycloak = Keycloak::start_or_skip().await?;
        let realm = keycloak.realm(&realm()).await.expect("a realm");
        Some(self.around(Box::new(realm), None).await)
    }

    async fn around(self, idp: Box<dyn IdentityProvider>, embedded: Option<EmbeddedIdp>) -> Scene {
        let directory = tempfile::tempdir().expect("a directory");
        certificates(directory.path());
        Scene {
            page: self,
            idp,
            upstream: EchoUpstream::start().await.expect("an upstream"),
            directory,
            _embedded: embedded,
        }
    }
}

fn realm() -> Realm {
    Realm::seed("kong").unique()
}

/// What the pages about certificates have their reader bring along.
fn certificates(directory: &Path) {
    let authority = Authority::shared();
    authority.write(directory, "provider-ca").expect("a file");
    let client = authority.client("CN=JohnDoe, OU=IT");
    client.write(directory, "client").expect("files");
}

impl Scene {
    /// Does all that the page says, in its order.
    pub(crate) async fn play(self) {
        let Some(mut shell) = Shell::start(self.directory.path()) else {
            return;
        };
        let mut names = self.names();
        // Stopped at the end.
        let mut gateway = None;
        for part in &self.page.parts {
            match part {
                Part::Configuration(text) => {
                    let (server, listeners) = self.start(text, &names).await;
                    names.extend(listeners);
                    gateway = Some(server);
                }
                Part::Commands {
                    line,
                    commands,
                    printed,
                } => {
                    let commands = replaced(commands, &names);
                    let expected = replaced(printed.as_deref().unwrap_or("…"), &names);
                    let found = shell.run(&commands).await;
                    assert!(
                        found.succeeded && fits(&expected, &found.stdout),
                        "docs/{}, line {line}:\n{commands}\nsucceeded: {}\n\nprinted:\n{}\n\nexpected:\n{expected}\nerrors:\n{}",
                        self.page.file,
                        found.succeeded,
                        found.stdout,
                        found.stderr,
                    );
                }
            }
        }
        if let Some(gateway) = gateway {
            gateway.stop().await;
        }
    }

    /// What the page calls by one name, and is called by another here.
    fn names(&self) -> Vec<(String, String)> {
        let mut names = vec![
            (ISSUER.to_owned(), self.idp.issuer()),
            (
                UPSTREAM.to_owned(),
                format!("http://{}", self.upstream.address()),
            ),
            (
                DIRECTORY.to_owned(),
                self.directory.path().display().to_string(),
            ),
        ];
        if let Some(tls) = self.idp.tls() {
            let issuer = format!("{}/realms/{}", tls.base_url(), self.idp.realm());
            names.push((ISSUER_BY_HTTPS.to_owned(), issuer));
        }
        names
    }

    /// Starts the gateway on free ports, and tells by which names the page calls them.
    async fn start(
        &self,
        text: &str,
        names: &[(String, String)],
    ) -> (Server, Vec<(String, String)>) {
        let (text, listeners) = on_free_ports(text);
        let file = self.directory.path().join("gateway.yaml");
        std::fs::write(&file, replaced(&text, names)).expect("a file");
        let state = self.directory.path().join("state");
        let state = (
            "OIDC_PROXY__GATEWAY__STATE_DIR".to_owned(),
            state.display().to_string(),
        );
        let gateway = proxy_bin::config::load(&file, [state])
            .unwrap_or_else(|problems| panic!("docs/{}: {problems}", self.page.file));
        let server = Server::start(gateway, Some(file)).await.expect("a gateway");
        let jwks = format!("http://{}/openid-connect/jwks", server.admin_address());
        self.idp
            .set_client_keys("kong", ClientKeys::Url(jwks))
            .await
            .expect("the client's key set");
        let mut addresses = server.addresses().into_iter();
        let names = listeners.into_iter().flat_map(|listener| {
            let address = if listener.is_admin {
                server.admin_address()
            } else {
                addresses.next().expect("an address of each listener")
            };
            both_names(listener.port, address)
        });
        let names = names.collect();
        (server, names)
    }
}

/// Only the first listener is where `localhost` leads.
fn both_names(port: u16, address: SocketAddr) -> [(String, String); 2] {
    ["localhost", "127.0.0.1"].map(|host| {
        let found = if address.ip() == Ipv4Addr::LOCALHOST {
            format!("{host}:{}", address.port())
        } else {
            address.to_string()
        };
        (format!("{host}:{port}"), found)
    })
}

/// Where a page's gateway listens.
#[derive(Debug, PartialEq, Eq)]
struct Listener {
    port: u16,
    is_admin: bool,
}

/// A configuration with port 0 in place of each that it listens on. Those are the quoted addresses:
/// a URL has none. Each is of another address of this machine, as none may be listed twice.
fn on_free_ports(text: &str) -> (String, Vec<Listener>) {
    const MARK: &str = "\"127.0.0.1:";
    let mut out = String::new();
    let mut listeners: Vec<Listener> = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(MARK) {
        let (port, after) = after.split_once('"').expect("a closing quote");
        listeners.push(Listener {
            port: port.parse().expect("a port"),
            is_admin: before.ends_with("admin_listen: "),
        });
        out += before;
        out += &format!("\"127.0.0.{}:0\"", listeners.len());
        rest = after;
    }
    assert!(
        listeners.iter().any(|it| it.is_admin) && listeners.iter().any(|it| !it.is_admin),
        "the configuration names listen and admin_listen"
    );
    (out + rest, listeners)
}

fn replaced(text: &str, names: &[(String, String)]) -> String {
    names
        .iter()
        .fold(text.to_owned(), |text, (name, by)| text.replace(name, by))
}

#[test]
fn listeners_move_to_free_ports() {
    let text = "gateway:\n  listen: [\"127.0.0.1:8100\", {address: \"127.0.0.1:8143\"}]\n  admin_listen: \"127.0.0.1:8101\"\nurl: http://127.0.0.1:9080\n";
    let (moved, listeners) = on_free_ports(text);
    for address in ["127.0.0.1:0\"", "127.0.0.2:0\"", "127.0.0.3:0\""] {
        assert!(moved.contains(address), "{moved}");
    }
    assert!(moved.ends_with("url: http://127.0.0.1:9080\n"));
    let listener = |port, is_admin| Listener { port, is_admin };
    assert_eq!(
        listeners,
        [
            listener(8100, false),
            listener(8143, false),
            listener(8101, true)
        ]
    );
}
