//! Where plugins are attached: to a service, to a route, or to everything. The most specific place
//! wins, for each plugin by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oidc_core::authorize::Acl;

use super::acl;
use super::plugin::{self, OidcPlugin};
use super::reader::{Item, Section};
use super::routes::Route;
use super::services::{EXPORTED, reference};

/// Plugins by what they are attached to.
#[derive(Default)]
pub(super) struct Attached<'a> {
    oidc: Places<OidcPlugin>,
    acl: Places<Acl>,
    services: BTreeSet<String>,
    routes: BTreeSet<String>,
    /// What the plugins at the top refer to.
    referred: Vec<(Item<'a>, Place)>,
}

/// One kind of plugin.
struct Places<P> {
    global: Option<Arc<P>>,
    services: BTreeMap<String, Arc<P>>,
    routes: BTreeMap<String, Arc<P>>,
}

/// What a plugin is attached to.
#[derive(Clone)]
pub(super) enum Place {
    /// Everything.
    Global,
    /// All routes of this service.
    Service(String),
    /// This route.
    Route(String),
}

enum Plugin {
    Oidc(Arc<OidcPlugin>),
    Acl(Arc<Acl>),
}

impl<P> Default for Places<P> {
    fn default() -> Self {
        Self {
            global: None,
            services: BTreeMap::new(),
            routes: BTreeMap::new(),
        }
    }
}

impl<P> Places<P> {
    /// Whether something was there already.
    fn put(&mut self, place: Place, plugin: Arc<P>) -> bool {
        let before = match place {
            Place::Route(route) => self.routes.insert(route, plugin),
            Place::Service(service) => self.services.insert(service, plugin),
            Place::Global => self.global.replace(plugin),
        };
        before.is_some()
    }

    fn in_force(&self, route: &Route) -> Option<Arc<P>> {
        let own = self.routes.get(&route.name);
        own.or_else(|| self.services.get(&route.service.name))
            .or(self.global.as_ref())
            .cloned()
    }
}

impl<'a> Attached<'a> {
    /// Takes the plugins at the top of the file, which name what they are attached to.
    pub(super) fn take_referring(&mut self, section: &mut Section<'a>) {
        for item in listed(section) {
            let Some(mut own) = item.section() else {
                continue;
            };
            let route = own.take("route");
            let service = own.take("service");
            let place = match (&route, &service) {
                (Some(route), _) => reference(route).map(Place::Route),
                (None, Some(service)) => reference(service).map(Place::Service),
                (None, None) => Some(Place::Global),
            };
            // One that is attached to nothing that can be read must not be everywhere instead.
            let Some(place) = place else {
                read(&item, own);
                continue;
            };
            if let Some(at) = route.or(service) {
                self.referred.push((at, place.clone()));
            }
            self.put(&item, own, place);
        }
    }

    /// Takes the plugins of a service or a route.
    pub(super) fn take_own(&mut self, section: &mut Section<'a>, place: &Place) {
        for item in listed(section) {
            if let Some(own) = item.section() {
                self.put(&item, own, place.clone());
            }
        }
    }

    /// There is such a service.
    pub(super) fn know_service(&mut self, name: &str) {
        self.services.insert(name.to_owned());
    }

    /// There is such a route; gives whether it is the first of this name.
    pub(super) fn know_route(&mut self, name: &str) -> bool {
        self.routes.insert(name.to_owned())
    }

    /// Gives each route the plugins that are in force on it, once all of the file is read.
    pub(super) fn apply(&self, routes: &mut [Route]) {
        for (item, place) in &self.referred {
            let missing = match place {
                Place::Service(name) if !self.services.contains(name) => ("service", name),
                Place::Route(name) if !self.routes.contains(name) => ("route", name),
                _ => continue,
            };
            item.problem::<()>(format!(
                "there is no {} {}",
                missing.0,
                item.shown(missing.1)
            ));
        }
        for route in routes {
            route.plugin = self.oidc.in_force(route);
            route.acl = self.acl.in_force(route);
        }
    }

    fn put(&mut self, item: &Item<'a>, section: Section<'a>, place: Place) {
        let (twice, name) = match read(item, section) {
            Some(Plugin::Oidc(plugin)) => (self.oidc.put(place, plugin), "openid-connect"),
            Some(Plugin::Acl(plugin)) => (self.acl.put(place, plugin), "acl"),
            None => return,
        };
        if twice {
            item.problem::<()>(format!("a second {name} plugin at the same place"));
        }
    }
}

fn listed<'a>(section: &mut Section<'a>) -> Vec<Item<'a>> {
    section
        .take("plugins")
        .map(|item| item.list())
        .unwrap_or_default()
}

/// A plugin; `None` if it is disabled, or wrong.
fn read(item: &Item<'_>, mut section: Section<'_>) -> Option<Plugin> {
    section.ignore(EXPORTED);
    section.ignore(&["instance_name", "protocols"]);
    for name in ["consumer", "consumer_group", "ordering"] {
        section.only_default(name, "");
    }
    let enabled = section
        .take("enabled")
        .is_none_or(|item| item.bool().unwrap_or(true));
    let name = section.required("name")?;
    let config = section.take("config");
    section.finish(&["config", "enabled", "name", "route", "service"]);
    if let Some(word) = name.text()
        && matches!(word.as_str(), "tls-handshake-modifier" | "mtls-auth")
    {
        return name.problem(format!(
            "{} is not a plugin here: clients are asked for certificates by client_auth of gateway.listen",
            name.shown(&word)
        ));
    }
    let is_acl = name.one_of(&[("openid-connect", false), ("acl", true)])?;
    let plugin = match (is_acl, config) {
        (true, Some(config)) => acl::read(&config).map(|acl| Plugin::Acl(Arc::new(acl))),
        (true, None) => return item.problem("config is required, with allow or deny"),
        (false, Some(config)) => plugin::read(&config).map(|oidc| Plugin::Oidc(Arc::new(oidc))),
        (false, None) => return item.problem("config is required, with an issuer"),
    };
    plugin.filter(|_| enabled)
}
