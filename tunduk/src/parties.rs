//! Who plays which part in the story: found in the instance, not fixed, so
//! that the story can also be told about another country.

use xroad_id::{ClientId, ServiceId};

use crate::instance::{ALL_CLIENTS, Instance, Right, Server, Service, owner_of};

/// Somebody who asks, and what.
#[derive(Debug, Clone)]
pub struct Pair<'a> {
    /// Who asks.
    pub client: &'a ClientId,
    /// The Security Server of who asks.
    pub consumer_server: &'a Server,
    /// What is asked.
    pub service: &'a Service,
    /// The Security Server of who answers.
    pub provider_server: &'a Server,
}

impl Pair<'_> {
    /// The identifier of the service.
    #[must_use]
    pub fn service_id(&self) -> ServiceId {
        ServiceId {
            client: self.service.provider.clone(),
            service_code: self.service.code.clone(),
            service_version: self.service.version.clone(),
        }
    }

    /// Where the client's information system calls.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!(
            "http://{}:8080",
            bracketed(&self.consumer_server.address.to_string())
        )
    }

    /// A member's name, for people.
    #[must_use]
    pub fn names<'i>(&self, instance: &'i Instance) -> (&'i str, &'i str) {
        (
            name_of(instance, self.client),
            name_of(instance, &self.service.provider),
        )
    }
}

/// The name of the member that `id` is or belongs to.
fn name_of<'i>(instance: &'i Instance, id: &ClientId) -> &'i str {
    instance
        .members
        .iter()
        .find(|member| member.id.is_same_member(id))
        .map_or("", |member| {
            member.name.as_deref().unwrap_or(&member.id.member_code)
        })
}

/// An address as it stands in a URL.
#[must_use]
pub fn bracketed(address: &str) -> String {
    if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    }
}

/// The first service of the registers' `word` (and, if given, with this code) that a client of another
/// server may use over plain HTTP.
#[must_use]
pub fn allowed<'a>(instance: &'a Instance, word: &str, code: Option<&str>) -> Option<Pair<'a>> {
    pairs(instance)
        .filter(|pair| {
            pair.service.url == word && code.is_none_or(|code| pair.service.code == code)
        })
        .find(|pair| may_use(instance, pair.client, pair.service))
}

/// The first service of the demo's registers that a client of another server may not use.
#[must_use]
pub fn not_allowed(instance: &Instance) -> Option<Pair<'_>> {
    pairs(instance).find(|pair| {
        pair.service.disabled.is_none()
            && pair.service.kind != crate::instance::ServiceKind::Soap
            && !may_use(instance, pair.client, pair.service)
    })
}

/// Why [`allowed`] finds nothing.
#[must_use]
pub fn why_nobody_may(word: &str, code: Option<&str>) -> String {
    let code = code.map_or_else(String::new, |code| format!(" and code = \"{code}\""));
    format!(
        "it needs a service with url = \"{word}\"{code} that a client with connection = \"http\" on another server may use; \
         the instance has none"
    )
}

/// Why [`not_allowed`] finds nothing.
#[must_use]
pub fn why_nobody_is_refused(instance: &Instance) -> String {
    let is_fit = |service: &Service| {
        service.disabled.is_none() && service.kind != crate::instance::ServiceKind::Soap
    };
    if !instance.services.iter().any(is_fit) {
        return "it needs a REST or OpenAPI service that somebody may not use; the instance has no such service at all"
            .into();
    }
    if !pairs(instance).any(|pair| is_fit(pair.service)) {
        return "it needs a client with connection = \"http\" on another server than a REST or OpenAPI service; the \
                instance has none"
            .into();
    }
    "every client that could ask may use every REST and OpenAPI service of the instance, so nobody can be refused"
        .into()
}

fn pairs(instance: &Instance) -> impl Iterator<Item = Pair<'_>> {
    instance.services.iter().flat_map(move |service| {
        let provider_server = instance.server_of(&service.provider);
        // The last servers first: in the default instance the bank is the last.
        instance.servers.iter().rev().flat_map(move |server| {
            server.clients.iter().filter_map(move |client| {
                let provider_server =
                    provider_server.filter(|provider| provider.id != server.id)?;
                (client.connection == "http").then_some(Pair {
                    client: &client.id,
                    consumer_server: server,
                    service,
                    provider_server,
                })
            })
        })
    })
}

/// Whether a right names the client, itself or through a group. Endpoints are not looked at.
fn may_use(instance: &Instance, client: &ClientId, service: &Service) -> bool {
    service
        .allowed
        .iter()
        .any(|right| names(instance, right, client, service))
}

fn names(instance: &Instance, right: &Right, client: &ClientId, service: &Service) -> bool {
    subjects(instance, right, service).contains(client)
}

/// The clients that a right names, those of a group one by one.
#[must_use]
pub fn subjects(instance: &Instance, right: &Right, service: &Service) -> Vec<ClientId> {
    let subject = right.subject();
    if let Some(group) = subject.strip_prefix("GLOBALGROUP:") {
        let code = group.rsplit('/').next().unwrap_or(group);
        if code == ALL_CLIENTS {
            return instance.clients().cloned().collect();
        }
        if code == central::OWNERS_GROUP {
            let own = instance.servers.iter().map(|server| owner_of(&server.id));
            let outside = instance
                .outside_servers
                .iter()
                .map(|server| server.owner.clone());
            return own.chain(outside).collect();
        }
        let groups = instance
            .global_groups
            .iter()
            .filter(|group| group.code == code);
        return groups.flat_map(|group| group.members.clone()).collect();
    }
    if let Some(code) = subject.strip_prefix("LOCALGROUP:") {
        let groups = instance
            .servers
            .iter()
            .flat_map(|server| &server.local_groups);
        let own = groups.filter(|group| group.code == code && group.client == service.provider);
        return own.flat_map(|group| group.members.clone()).collect();
    }
    ClientId::from_path(subject).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::DEFAULT;
    use std::path::Path;

    #[test]
    fn the_default_instance_has_all_parts() {
        let instance = Instance::read(DEFAULT, Path::new("/")).expect("the default");
        let soap =
            allowed(&instance, "population:soap", Some("personByNumber")).expect("asked over SOAP");
        assert_eq!(soap.client.path(), "KG/COM/80000001/bank");
        assert_eq!(soap.http_url(), "http://127.0.0.13:8080");
        assert_eq!(
            soap.names(&instance),
            ("People's bank", "Population register agency")
        );
        let rest = allowed(&instance, "population:rest", None).expect("asked over REST");
        assert_eq!(rest.client.path(), "KG/COM/80000001/bank");
        assert!(allowed(&instance, "licences:soap", Some("licenceDocument")).is_some());
        let refused = not_allowed(&instance).expect("somebody without a right");
        assert_eq!(refused.service.code, "licences");
        assert_eq!(refused.client.path(), "KG/GOV/70000003/identity");
    }

    #[test]
    fn an_instance_without_parties_has_none() {
        let text = DEFAULT.split("[[service]]").next().expect("the beginning");
        let instance = Instance::read(text, Path::new("/")).expect("an instance");
        assert!(allowed(&instance, "population:soap", None).is_none());
        assert!(not_allowed(&instance).is_none());
        assert!(why_nobody_is_refused(&instance).contains("no such service at all"));
    }

    #[test]
    fn nobody_is_refused_for_a_reason() {
        // Without the right's limits, every client may use what the bank offers.
        let text = DEFAULT.replace("connection = \"http\"", "connection = \"https\"");
        let text = text.split("[sites]").next().expect("a beginning");
        let instance = Instance::read(text, Path::new("/")).expect("an instance");
        assert!(not_allowed(&instance).is_none());
        assert!(why_nobody_is_refused(&instance).contains("on another server"));
        let mut instance = Instance::read(DEFAULT, Path::new("/")).expect("the default");
        instance
            .services
            .retain(|service| service.code != "customers");
        let all: Vec<_> = instance.clients().cloned().collect();
        for service in &mut instance.services {
            service.allowed = all
                .iter()
                .map(|client| Right::Subject(client.path()))
                .collect();
        }
        assert!(not_allowed(&instance).is_none());
        assert!(why_nobody_is_refused(&instance).contains("nobody can be refused"));
    }
}
