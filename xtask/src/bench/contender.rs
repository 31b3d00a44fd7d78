//! Whom the gateway is compared with, and the gateway's own ways: who needs what, and who checks.

use super::plan::Part;
use super::tools::Tool;

/// Somebody who answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Contender {
    /// No proxy at all: the limit.
    Upstream,
    Nginx,
    NginxTwo,
    Haproxy,
    HaproxyJwt,
    ApacheJwt,
    HyperProxy,
    /// The gateway without a plugin.
    Gateway,
    /// A bearer token, verified once and remembered.
    Bearer,
    BearerTwo,
    /// A bearer token, verified each time.
    Verified,
    Refresh,
    Password,
    /// [`Bearer`](Self::Bearer) beside a flood of tokens of unknown keys.
    Flooded,
}

/// What a contender is asked with, and what it makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The access token, which nobody looks at.
    Carried,
    /// The access token.
    Bearer,
    /// The refresh token.
    Refresh,
    /// The user's name and password.
    Password,
}

impl Contender {
    /// Everybody, in the order of the report.
    pub(crate) const ALL: &[Self] = &[
        Self::Upstream,
        Self::Nginx,
        Self::Haproxy,
        Self::HyperProxy,
        Self::HaproxyJwt,
        Self::ApacheJwt,
        Self::Gateway,
        Self::Bearer,
        Self::Verified,
        Self::Refresh,
        Self::Password,
        Self::Flooded,
        Self::NginxTwo,
        Self::BearerTwo,
    ];

    /// As files and options name it.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Nginx => "nginx",
            Self::NginxTwo => "nginx-2",
            Self::Haproxy => "haproxy",
            Self::HaproxyJwt => "haproxy-jwt",
            Self::ApacheJwt => "apache-jwt",
            Self::HyperProxy => "hyper",
            Self::Gateway => "gateway",
            Self::Bearer => "gateway-bearer",
            Self::BearerTwo => "gateway-bearer-2",
            Self::Verified => "gateway-verified",
            Self::Refresh => "gateway-refresh",
            Self::Password => "gateway-password",
            Self::Flooded => "gateway-flooded",
        }
    }

    /// As people read it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Upstream => "no proxy (the limit)",
            Self::Nginx => "nginx, plain",
            Self::NginxTwo => "nginx, plain, 2 workers",
            Self::Haproxy => "haproxy, plain",
            Self::HaproxyJwt => "haproxy, jwt_verify",
            Self::ApacheJwt => "Apache, mod_auth_openidc",
            Self::HyperProxy => "plain hyper proxy",
            Self::Gateway => "gateway, no plugin",
            Self::Bearer => "gateway, bearer token",
            Self::BearerTwo => "gateway, bearer token, 2 workers",
            Self::Verified => "gateway, bearer token verified each time",
            Self::Refresh => "gateway, refresh token",
            Self::Password => "gateway, password",
            Self::Flooded => "gateway, bearer token, beside 500 unknown keys a second",
        }
    }

    /// The one with this id.
    pub(crate) fn find(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.id() == id)
    }

    /// The program that it is.
    pub(crate) const fn needs(self) -> Option<Tool> {
        match self {
            Self::Nginx | Self::NginxTwo => Some(Tool::Nginx),
            Self::Haproxy | Self::HaproxyJwt => Some(Tool::Haproxy),
            Self::ApacheJwt => Some(Tool::Apache),
            _ => None,
        }
    }

    /// How many threads or processes it has to work with.
    pub(crate) const fn workers(self) -> u32 {
        match self {
            Self::NginxTwo | Self::BearerTwo => 2,
            _ => 1,
        }
    }

    /// What it is asked with.
    pub(crate) const fn credential(self) -> Credential {
        match self {
            Self::Upstream | Self::Nginx | Self::NginxTwo | Self::Haproxy => Credential::Carried,
            Self::HyperProxy | Self::Gateway => Credential::Carried,
            Self::HaproxyJwt | Self::ApacheJwt => Credential::Bearer,
            Self::Bearer | Self::BearerTwo | Self::Verified | Self::Flooded => Credential::Bearer,
            Self::Refresh => Credential::Refresh,
            Self::Password => Credential::Password,
        }
    }

    /// Whether it is measured in this part.
    pub(crate) const fn is_in(self, part: Part) -> bool {
        match part {
            Part::Small => !matches!(self, Self::Flooded),
            Part::Large => matches!(
                self,
                Self::Upstream
                    | Self::Nginx
                    | Self::Haproxy
                    | Self::HaproxyJwt
                    | Self::ApacheJwt
                    | Self::Gateway
                    | Self::Bearer
            ),
            Part::Http2 => matches!(
                self,
                Self::Nginx
                    | Self::Haproxy
                    | Self::HaproxyJwt
                    | Self::ApacheJwt
                    | Self::Gateway
                    | Self::Bearer
            ),
            Part::Tls => matches!(self, Self::Nginx | Self::Haproxy | Self::Bearer),
            Part::Flood => matches!(self, Self::Nginx | Self::Bearer | Self::Flooded),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Contender;
    use crate::bench::plan::Part;

    #[test]
    fn everybody_has_a_name_of_its_own() {
        let ids: BTreeSet<_> = Contender::ALL.iter().map(|one| one.id()).collect();
        let names: BTreeSet<_> = Contender::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(ids.len(), Contender::ALL.len());
        assert_eq!(names.len(), Contender::ALL.len());
        for one in Contender::ALL {
            assert_eq!(Contender::find(one.id()), Some(*one));
        }
    }

    #[test]
    fn every_part_has_what_the_others_are_compared_with() {
        for part in Part::ALL {
            assert!(Contender::Nginx.is_in(*part), "{part:?}");
        }
    }
}
