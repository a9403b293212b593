//! The sentences of faults in Kyrgyz, Russian and English.
//!
//! A text says what happened, on whose side, and what to do, and ends with the
//! support id under which this server's log has the rest. It may leave the
//! organisation, so it never holds host names, addresses, paths or certificates.

use fluent::concurrent::FluentBundle;
use fluent::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

use crate::refusal::{Blame, Refusal, Side};

const KYRGYZ: &str = include_str!("../texts/ky.ftl");
const RUSSIAN: &str = include_str!("../texts/ru.ftl");
const ENGLISH: &str = include_str!("../texts/en.ftl");

/// Language of fault texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Kyrgyz.
    Kyrgyz,
    /// Russian.
    Russian,
    /// English.
    English,
}

/// The texts of one language.
pub struct Texts {
    bundle: FluentBundle<FluentResource>,
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Texts").finish_non_exhaustive()
    }
}

impl Texts {
    /// Loads the texts of a language.
    pub fn new(language: Language) -> Self {
        let (tag, source) = match language {
            Language::Kyrgyz => ("ky", KYRGYZ),
            Language::Russian => ("ru", RUSSIAN),
            Language::English => ("en", ENGLISH),
        };
        let language: LanguageIdentifier = tag.parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![language]);
        // Isolation marks would break identifiers that people copy out of a fault.
        bundle.set_use_isolating(false);
        let resource = match FluentResource::try_new(source.to_owned()) {
            Ok(resource) | Err((resource, _)) => resource,
        };
        bundle.add_resource_overriding(resource);
        Self { bundle }
    }

    /// The whole text of a refusal: what happened and what to do, the side, the support id.
    pub fn explain(&self, refusal: &Refusal, side: Side, support_id: &str) -> String {
        if let Refusal::Relayed(fault) = refusal {
            return fault.string.clone();
        }
        let (key, arguments) = message(refusal);
        let mut text = self.format(key, &arguments);
        let side = match (refusal.blame(side), side) {
            (Blame::Client, _) => "side-client",
            (Blame::Service, _) => "side-provider-service",
            (Blame::Own, Side::Consumer) | (Blame::Peer, Side::Provider) => "side-consumer-server",
            (Blame::Own, Side::Provider) | (Blame::Peer, Side::Consumer) => "side-provider-server",
        };
        text.push(' ');
        text.push_str(&self.format(side, &[]));
        text.push(' ');
        text.push_str(&self.format("support", &[("id", support_id.to_owned())]));
        text
    }

    fn format(&self, key: &str, arguments: &[(&'static str, String)]) -> String {
        let Some(pattern) = self
            .bundle
            .get_message(key)
            .and_then(|message| message.value())
        else {
            return key.to_owned();
        };
        let mut values = FluentArgs::new();
        for (name, value) in arguments {
            values.set(*name, value.clone());
        }
        self.bundle
            .format_pattern(pattern, Some(&values), &mut Vec::new())
            .into_owned()
    }
}

fn message(refusal: &Refusal) -> (&'static str, Vec<(&'static str, String)>) {
    let provider = |id: &xroad_id::ClientId| vec![("provider", id.to_string())];
    let detail = |text: &str| vec![("detail", text.to_owned())];
    let service = |id: &xroad_id::ServiceId| vec![("service", id.to_string())];
    match refusal {
        Refusal::HttpMethod(method) => ("http-method", vec![("method", method.clone())]),
        Refusal::ContentType(found) => ("content-type", vec![("found", found.clone())]),
        Refusal::SoapAction => ("soap-action", vec![]),
        Refusal::Request { detail: text, .. } | Refusal::RestRequest { detail: text } => {
            ("request", detail(text))
        }
        Refusal::ClientFault { text, .. } => ("request", detail(text)),
        Refusal::TooLarge(limit) => ("too-large", vec![("limit", limit.to_string())]),
        Refusal::Crowded => ("crowded", vec![]),
        Refusal::UnknownClient(client) => ("unknown-client", vec![("client", client.to_string())]),
        Refusal::ClientAuthentication { client, detail } => (
            "client-authentication",
            vec![("client", client.to_string()), ("detail", detail.clone())],
        ),
        Refusal::UnknownProvider(id) => ("unknown-provider", provider(id)),
        Refusal::UnknownProviderHere(id) => ("unknown-provider-here", provider(id)),
        Refusal::UnknownSecurityServer { server, provider } => (
            "unknown-security-server",
            vec![
                ("server", server.to_string()),
                ("provider", provider.to_string()),
            ],
        ),
        Refusal::Maintenance { provider, notice } => (
            "maintenance",
            vec![
                ("provider", provider.to_string()),
                ("notice", notice.clone()),
            ],
        ),
        Refusal::ConfigurationOutdated(time) => {
            ("configuration-outdated", vec![("time", time.clone())])
        }
        Refusal::NoPeer(id) => ("no-peer", provider(id)),
        Refusal::PeerAuthentication(text) => ("peer-authentication", detail(text)),
        Refusal::PeerVersion { found, minimum } => (
            "peer-version",
            vec![("found", found.clone()), ("minimum", minimum.clone())],
        ),
        Refusal::PeerMessage { detail: text, .. } | Refusal::PeerForm { detail: text, .. } => {
            ("peer-message", detail(text))
        }
        Refusal::PeerBroken | Refusal::PeerSilent => ("peer-broken", vec![]),
        Refusal::MissingSignature => ("missing-signature", vec![]),
        Refusal::Signature { detail: text, .. } => ("signature", detail(text)),
        Refusal::RequestHash => ("request-hash", vec![]),
        Refusal::InconsistentResponse(field) => (
            "inconsistent-response",
            vec![("field", (*field).to_owned())],
        ),
        Refusal::UnknownService(id) => ("unknown-service", service(id)),
        Refusal::ServiceType { service, expected } => (
            "service-type",
            vec![
                ("service", service.to_string()),
                ("expected", (*expected).to_owned()),
            ],
        ),
        Refusal::AccessDenied { client, service } => (
            "access-denied",
            vec![
                ("client", client.to_string()),
                ("service", service.to_string()),
            ],
        ),
        Refusal::ServiceDisabled { service, notice } => (
            "service-disabled",
            vec![("service", service.to_string()), ("notice", notice.clone())],
        ),
        Refusal::ServiceUnreachable { service: id, .. } => ("service-unreachable", service(id)),
        Refusal::ServiceAuthentication(id) => ("service-authentication", service(id)),
        Refusal::ServiceTimeout(id) => ("service-timeout", service(id)),
        Refusal::ServiceStatus { service, status } => (
            "service-status",
            vec![
                ("service", service.to_string()),
                ("status", status.to_string()),
            ],
        ),
        Refusal::ServiceAnswer {
            service, detail, ..
        } => (
            "service-answer",
            vec![("service", service.to_string()), ("detail", detail.clone())],
        ),
        Refusal::ServiceBroken(id) => ("service-broken", service(id)),
        Refusal::Signing(text) => ("signing", detail(text)),
        Refusal::Logging(text) => ("logging", detail(text)),
        Refusal::Timestamping => ("timestamping", vec![]),
        Refusal::NotReady(text) => ("not-ready", detail(text)),
        Refusal::Metadata {
            service, detail, ..
        } => (
            "metadata",
            vec![("service", service.clone()), ("detail", detail.clone())],
        ),
        Refusal::Evidence(text) => ("evidence", detail(text)),
        Refusal::Relayed(_) | Refusal::Internal(_) => ("internal", vec![]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(source: &str) -> Vec<(String, Vec<String>)> {
        let mut keys: Vec<_> = source
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(" = "))
            .map(|(key, text)| {
                let mut variables: Vec<String> = text
                    .split("{ $")
                    .skip(1)
                    .filter_map(|part| part.split(' ').next())
                    .map(str::to_owned)
                    .collect();
                variables.sort();
                (key.to_owned(), variables)
            })
            .collect();
        keys.sort();
        keys
    }

    #[test]
    fn the_three_languages_have_the_same_texts_with_the_same_variables() {
        assert_eq!(keys(ENGLISH), keys(RUSSIAN));
        assert_eq!(keys(ENGLISH), keys(KYRGYZ));
    }

    #[test]
    fn a_text_names_what_side_and_support_id() {
        let client = xroad_id::ClientId::from_path("KG/COM/1/bank").unwrap();
        let service = xroad_id::ServiceId::from_path("KG/GOV/2/s/x").unwrap();
        let refusal = Refusal::AccessDenied { client, service };
        let text = Texts::new(Language::English).explain(&refusal, Side::Provider, "abc");
        assert_eq!(
            text,
            "The client SUBSYSTEM:KG/COM/1/bank has no right to use SERVICE:KG/GOV/2/s/x. Ask the provider to \
             grant it. Side: the calling information system. Support id: abc."
        );
        for language in [Language::Kyrgyz, Language::Russian] {
            let text = Texts::new(language).explain(&refusal, Side::Provider, "abc");
            assert!(
                text.contains("SERVICE:KG/GOV/2/s/x") && text.ends_with("abc."),
                "{text}"
            );
        }
    }
}
