//! Rights and the proof that one was found.

use std::sync::Arc;

use xroad_id::{ClientId, GlobalGroupId, LocalGroupId};
use xroad_message::path::PathGlob;

use crate::Service;

/// Who holds a right (B1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Exactly this subsystem or member; a member does not cover its subsystems.
    Client(ClientId),
    /// The members of a group that the instance keeps.
    GlobalGroup(GlobalGroupId),
    /// The members of a group of the provider.
    LocalGroup(LocalGroupId),
}

/// A part of a REST service: method and path pattern (B3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// HTTP method, compared without case, or `*`.
    pub method: String,
    /// Path pattern: `*` is one segment, `**` any depth.
    pub path: String,
}

/// A right to call a service, or one endpoint of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRight {
    /// Who holds it.
    pub subject: Subject,
    /// The endpoint it is limited to; `None` is the whole service (`*` `**`).
    pub endpoint: Option<Endpoint>,
}

impl AccessRight {
    /// Whether the right covers a call of `endpoint` (method and normalised path), `None` being SOAP.
    pub fn covers_endpoint(&self, endpoint: Option<(&str, &str)>) -> bool {
        match (&self.endpoint, endpoint) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(right), Some((method, path))) => {
                (right.method == "*" || right.method.eq_ignore_ascii_case(method))
                    && PathGlob::new(&right.path).matches(path)
            }
        }
    }
}

/// Membership of the instance's groups, as the global configuration tells it (B5).
pub trait Groups {
    /// Whether exactly `client` is in `group`.
    fn contains(&self, group: &GlobalGroupId, client: &ClientId) -> bool;
}

/// Proof that a right covers the call and the service is switched on. Only
/// [`crate::ServerConfiguration::permit`] makes one.
#[derive(Debug, Clone)]
pub struct Permit {
    service: Arc<Service>,
}

impl Permit {
    pub(crate) fn assertion(service: Arc<Service>) -> Self {
        Self { service }
    }

    /// The service that may be called.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }
}
