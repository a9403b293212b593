//! What one Security Server knows of its own: its clients, their services and
//! who may use them (X-Road's `serverconf`, ug-ss sections 4 and 6).
//!
//! Access is denied unless a right says otherwise. A right belongs to a service
//! **code**, whatever the version (`ServerConfImpl`, reference B2), and covers
//! the whole service or one endpoint (method and path pattern) of a REST service.

mod access;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use access::{AccessRight, Endpoint, Groups, Permit, Subject};
use xroad_id::{ClientId, SecurityServerId, ServiceId};

/// How the information systems of a client connect to this server (M25).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Plain HTTP is allowed (`NOSSL`), and so is HTTPS.
    Http,
    /// HTTPS, the information system shows no certificate (`SSLNOAUTH`).
    HttpsNoAuth,
    /// HTTPS, and the information system's certificate is one of the client's (`SSLAUTH`).
    Https,
}

/// What kind of service a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// An operation of a WSDL, called with SOAP.
    Soap,
    /// A base path, called with REST.
    Rest,
    /// A base path with an OpenAPI description, called with REST.
    OpenApi,
}

impl ServiceKind {
    /// Whether the service is called with REST messages.
    pub fn is_rest(self) -> bool {
        matches!(self, Self::Rest | Self::OpenApi)
    }
}

/// A member or subsystem that this server serves.
#[derive(Debug, Clone)]
pub struct Client {
    /// Who it is.
    pub id: ClientId,
    /// How its information systems connect.
    pub connection: Connection,
    /// DER certificates of its information systems, for [`Connection::Https`].
    pub certificates: Vec<Vec<u8>>,
}

/// One service of one of the clients.
#[derive(Debug, Clone)]
pub struct Service {
    /// Who provides it and its code and version.
    pub id: ServiceId,
    /// SOAP or REST.
    pub kind: ServiceKind,
    /// Where the information system that answers it is: an `http` or `https` URL.
    pub url: String,
    /// Namespace of the SOAP operation; informative.
    pub namespace: Option<String>,
    /// How long the information system may take to begin its answer.
    pub timeout: Duration,
    /// The operator's notice, if the service is switched off.
    pub disabled: Option<String>,
    /// Where its WSDL or OpenAPI description is: a path or an `http(s)` URL.
    pub description: Option<String>,
    /// DER certificates one of which the information system must show over HTTPS; empty: any.
    pub certificates: Vec<Vec<u8>>,
}

/// The configuration of one Security Server, immutable; a change makes a new one.
#[derive(Debug, Clone)]
pub struct ServerConfiguration {
    id: SecurityServerId,
    clients: HashMap<ClientId, Client>,
    services: HashMap<ServiceId, Arc<Service>>,
    rights: HashMap<(ClientId, String), Vec<AccessRight>>,
    local_groups: HashMap<(ClientId, String), Vec<ClientId>>,
}

/// Why a configuration contradicts itself. The fault is the administrator's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// The same client stands twice.
    #[error("the client {0} is configured twice")]
    DuplicateClient(Box<ClientId>),
    /// The same service stands twice.
    #[error("the service {0} is configured twice")]
    DuplicateService(Box<ServiceId>),
    /// A service of a client that this server does not serve.
    #[error("the service {0} belongs to a client that is not configured on this server")]
    UnknownProvider(Box<ServiceId>),
    /// A local group of a client that this server does not serve.
    #[error("the local group {0} belongs to {1}, which is not configured on this server")]
    UnknownGroupOwner(String, Box<ClientId>),
    /// A REST service with a version: its identifier has no place for one.
    #[error("the REST service {0} has a version; REST services have none")]
    RestVersion(Box<ServiceId>),
    /// An endpoint right on a SOAP service.
    #[error(
        "the SOAP service {0} has a right with method or path; only REST services have endpoints"
    )]
    SoapEndpoint(Box<ServiceId>),
    /// The URL is neither http nor https.
    #[error("the URL of the service {0} must begin with http:// or https://")]
    Url(Box<ServiceId>),
}

/// Why a service cannot be used by a client, in the order in which it is checked (T-order 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessRefused {
    /// No such service of this provider here.
    UnknownService,
    /// The service is SOAP and was called with REST, or the other way round.
    ServiceType {
        /// What the service is.
        expected: ServiceKind,
    },
    /// No right covers the client and, for REST, the method and path.
    AccessDenied,
    /// Switched off by the provider's administrator, with this notice.
    ServiceDisabled(String),
}

impl ServerConfiguration {
    /// Puts a configuration together.
    ///
    /// `services` gives each service with its rights; rights of several versions
    /// of one code are joined. `local_groups` gives owner, code and members.
    ///
    /// # Errors
    /// The parts contradict one another.
    pub fn new(
        id: SecurityServerId,
        clients: Vec<Client>,
        services: Vec<(Service, Vec<AccessRight>)>,
        local_groups: Vec<(ClientId, String, Vec<ClientId>)>,
    ) -> Result<Self, ConfigurationError> {
        let mut configuration = Self {
            id,
            clients: HashMap::new(),
            services: HashMap::new(),
            rights: HashMap::new(),
            local_groups: HashMap::new(),
        };
        for client in clients {
            let client_id = client.id.clone();
            if configuration
                .clients
                .insert(client_id.clone(), client)
                .is_some()
            {
                return Err(ConfigurationError::DuplicateClient(Box::new(client_id)));
            }
        }
        for (service, rights) in services {
            let service_id = service.id.clone();
            if !configuration.clients.contains_key(&service_id.client) {
                return Err(ConfigurationError::UnknownProvider(Box::new(service_id)));
            }
            if service.kind.is_rest() && service_id.service_version.is_some() {
                return Err(ConfigurationError::RestVersion(Box::new(service_id)));
            }
            if !service.kind.is_rest() && rights.iter().any(|right| right.endpoint.is_some()) {
                return Err(ConfigurationError::SoapEndpoint(Box::new(service_id)));
            }
            if !(service.url.starts_with("http://") || service.url.starts_with("https://")) {
                return Err(ConfigurationError::Url(Box::new(service_id)));
            }
            let key = (service_id.client.clone(), service_id.service_code.clone());
            configuration.rights.entry(key).or_default().extend(rights);
            if configuration
                .services
                .insert(service_id.clone(), Arc::new(service))
                .is_some()
            {
                return Err(ConfigurationError::DuplicateService(Box::new(service_id)));
            }
        }
        for (owner, code, members) in local_groups {
            if !configuration.clients.contains_key(&owner) {
                return Err(ConfigurationError::UnknownGroupOwner(code, Box::new(owner)));
            }
            configuration
                .local_groups
                .entry((owner, code))
                .or_default()
                .extend(members);
        }
        Ok(configuration)
    }

    /// The server's own identifier.
    pub fn id(&self) -> &SecurityServerId {
        &self.id
    }

    /// The client `id`, if it is served here.
    pub fn client(&self, id: &ClientId) -> Option<&Client> {
        self.clients.get(id)
    }

    /// All clients served here, in no order.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.values()
    }

    /// The service `id`, if it is provided here.
    pub fn service(&self, id: &ServiceId) -> Option<&Arc<Service>> {
        self.services.get(id)
    }

    /// The services of `provider`, ordered by code and version.
    pub fn services_of(&self, provider: &ClientId) -> Vec<&Arc<Service>> {
        let mut services: Vec<_> = self
            .services
            .values()
            .filter(|service| service.id.client == *provider)
            .collect();
        services.sort_by(|a, b| a.id.cmp(&b.id));
        services
    }

    /// The endpoints for which `provider`'s service `code` has rights of their own, without repetition.
    pub fn endpoints_of(&self, provider: &ClientId, code: &str) -> Vec<Endpoint> {
        let mut endpoints: Vec<Endpoint> = self
            .rights
            .get(&(provider.clone(), code.to_owned()))
            .into_iter()
            .flatten()
            .filter_map(|right| right.endpoint.clone())
            .collect();
        endpoints.sort();
        endpoints.dedup();
        endpoints
    }

    /// Decides whether `client` may call `service`; `endpoint` is the method and the
    /// normalised access path of a REST call, `None` for SOAP.
    ///
    /// # Errors
    /// The first of unknown service, wrong type, no right, switched off.
    pub fn permit(
        &self,
        client: &ClientId,
        service: &ServiceId,
        endpoint: Option<(&str, &str)>,
        groups: &dyn Groups,
    ) -> Result<Permit, AccessRefused> {
        let found = self.service(service).ok_or(AccessRefused::UnknownService)?;
        if found.kind.is_rest() != endpoint.is_some() {
            return Err(AccessRefused::ServiceType {
                expected: found.kind,
            });
        }
        if !self.has_right(client, service, endpoint, groups) {
            return Err(AccessRefused::AccessDenied);
        }
        if let Some(notice) = &found.disabled {
            return Err(AccessRefused::ServiceDisabled(notice.clone()));
        }
        Ok(Permit::assertion(Arc::clone(found)))
    }

    /// Whether any right of `client` covers the service code (`allowedMethods`, D2):
    /// for REST, any endpoint counts.
    pub fn may_use(&self, client: &ClientId, service: &ServiceId, groups: &dyn Groups) -> bool {
        self.rights_of(service)
            .any(|right| self.covers(&right.subject, client, service, groups))
    }

    fn has_right(
        &self,
        client: &ClientId,
        service: &ServiceId,
        endpoint: Option<(&str, &str)>,
        groups: &dyn Groups,
    ) -> bool {
        self.rights_of(service).any(|right| {
            right.covers_endpoint(endpoint) && self.covers(&right.subject, client, service, groups)
        })
    }

    fn rights_of(&self, service: &ServiceId) -> impl Iterator<Item = &AccessRight> {
        self.rights
            .get(&(service.client.clone(), service.service_code.clone()))
            .into_iter()
            .flatten()
    }

    fn covers(
        &self,
        subject: &Subject,
        client: &ClientId,
        service: &ServiceId,
        groups: &dyn Groups,
    ) -> bool {
        match subject {
            Subject::Client(id) => id == client,
            Subject::GlobalGroup(group) => groups.contains(group, client),
            Subject::LocalGroup(group) => self
                .local_groups
                .get(&(service.client.clone(), group.group_code.clone()))
                .is_some_and(|members| members.contains(client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use xroad_id::{GlobalGroupId, LocalGroupId};

    use super::*;

    struct OneGroup(ClientId);

    impl Groups for OneGroup {
        fn contains(&self, group: &GlobalGroupId, client: &ClientId) -> bool {
            group.group_code == "all" && *client == self.0
        }
    }

    fn id(path: &str) -> ClientId {
        ClientId::from_path(path).unwrap()
    }

    fn service(code: &str, kind: ServiceKind, version: Option<&str>) -> Service {
        Service {
            id: ServiceId::new(id("KG/GOV/1/s"), code, version).unwrap(),
            kind,
            url: "http://127.0.0.1:1/".into(),
            namespace: None,
            timeout: Duration::from_secs(60),
            disabled: None,
            description: None,
            certificates: Vec::new(),
        }
    }

    fn configuration() -> ServerConfiguration {
        let right = |subject, endpoint| AccessRight { subject, endpoint };
        let endpoint = |method: &str, path: &str| {
            Some(Endpoint {
                method: method.into(),
                path: path.into(),
            })
        };
        let off = Service {
            disabled: Some("back on Monday".into()),
            ..service("off", ServiceKind::Soap, None)
        };
        ServerConfiguration::new(
            SecurityServerId::from_path("KG/GOV/1/ss1").unwrap(),
            vec![Client {
                id: id("KG/GOV/1/s"),
                connection: Connection::Http,
                certificates: vec![],
            }],
            vec![
                (
                    service("soap", ServiceKind::Soap, Some("v1")),
                    vec![right(Subject::Client(id("KG/COM/2/b")), None)],
                ),
                (service("soap", ServiceKind::Soap, Some("v2")), vec![]),
                (
                    service("rest", ServiceKind::Rest, None),
                    vec![
                        right(
                            Subject::Client(id("KG/COM/2/b")),
                            endpoint("GET", "/persons/*"),
                        ),
                        right(
                            Subject::LocalGroup(LocalGroupId {
                                group_code: "friends".into(),
                            }),
                            None,
                        ),
                        right(
                            Subject::GlobalGroup(GlobalGroupId {
                                instance: "KG".into(),
                                group_code: "all".into(),
                            }),
                            endpoint("*", "/open/**"),
                        ),
                    ],
                ),
                (off, vec![right(Subject::Client(id("KG/COM/2/b")), None)]),
            ],
            vec![(id("KG/GOV/1/s"), "friends".into(), vec![id("KG/COM/3/f")])],
        )
        .unwrap()
    }

    #[test]
    fn rights_are_denied_unless_given() {
        let configuration = configuration();
        let groups = OneGroup(id("KG/COM/4/g"));
        let bank = id("KG/COM/2/b");
        let call = |client: &ClientId, code: &str, version, endpoint| {
            let service = ServiceId::new(id("KG/GOV/1/s"), code, version).unwrap();
            configuration
                .permit(client, &service, endpoint, &groups)
                .map(|_| ())
        };
        assert_eq!(call(&bank, "soap", Some("v1"), None), Ok(()));
        assert_eq!(
            call(&bank, "soap", Some("v2"), None),
            Ok(()),
            "rights are of the code"
        );
        assert_eq!(
            call(&bank, "soap", None, None),
            Err(AccessRefused::UnknownService)
        );
        assert_eq!(
            call(&bank.to_member(), "soap", Some("v1"), None),
            Err(AccessRefused::AccessDenied)
        );
        assert_eq!(
            call(&bank, "soap", Some("v1"), Some(("GET", "/"))),
            Err(AccessRefused::ServiceType {
                expected: ServiceKind::Soap
            })
        );
        assert_eq!(
            call(&bank, "rest", None, None),
            Err(AccessRefused::ServiceType {
                expected: ServiceKind::Rest
            })
        );
        assert_eq!(
            call(&bank, "rest", None, Some(("GET", "/persons/1"))),
            Ok(())
        );
        assert_eq!(
            call(&bank, "rest", None, Some(("get", "/persons/1"))),
            Ok(())
        );
        assert_eq!(
            call(&bank, "rest", None, Some(("POST", "/persons/1"))),
            Err(AccessRefused::AccessDenied)
        );
        assert_eq!(
            call(&bank, "rest", None, Some(("GET", "/persons/1/2"))),
            Err(AccessRefused::AccessDenied)
        );
        assert_eq!(
            call(&id("KG/COM/3/f"), "rest", None, Some(("PUT", "/x/y"))),
            Ok(())
        );
        assert_eq!(
            call(&id("KG/COM/4/g"), "rest", None, Some(("PUT", "/open/a/b"))),
            Ok(())
        );
        assert_eq!(
            call(&id("KG/COM/4/g"), "rest", None, Some(("PUT", "/a"))),
            Err(AccessRefused::AccessDenied)
        );
        assert_eq!(
            call(&bank, "off", None, None),
            Err(AccessRefused::ServiceDisabled("back on Monday".into()))
        );
    }

    #[test]
    fn contradictions_are_refused() {
        let ss = SecurityServerId::from_path("KG/GOV/1/ss1").unwrap();
        let unknown = ServerConfiguration::new(
            ss,
            vec![],
            vec![(service("x", ServiceKind::Soap, None), vec![])],
            vec![],
        );
        assert!(matches!(
            unknown,
            Err(ConfigurationError::UnknownProvider(_))
        ));
    }
}
