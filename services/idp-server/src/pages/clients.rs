//! Relying parties: registered by whoever builds them, looked at and approved by an officer.

use std::collections::{BTreeMap, BTreeSet};

use http::{StatusCode, Uri};
use jose::JwkSet;
use oauth2::Parameters;
use oidc_provider::{
    CertificateName, Client, ClientAuthentication, ClientForm, ClientId, ClientStanding, Duty,
    Level, Profile, Refusal, SCOPES, Secret, Tenant,
};
use web_ui::{Language, see_other};

use super::acting::{THEMES, theme_text};
use super::view::{
    ApprovalRow, ApprovalsPage, Choice, ClientFormPage, ClientRow, ClientsPage, ScopeField,
};
use super::{Pages, Problem, Reply, Visit, field, level_text};

/// Relying parties on one page.
const ON_A_PAGE: usize = 20;
const METHODS: [(&str, &str); 3] = [
    ("private_key_jwt", "method-private-key-jwt"),
    ("self_signed_tls_client_auth", "method-tls-key"),
    ("tls_client_auth", "method-tls-name"),
];
const PROFILES: [(Profile, &str, &str); 2] = [
    (Profile::Fapi2, "fapi2", "profile-fapi2"),
    (Profile::Standard, "standard", "profile-standard"),
];

const fn method(form: &ClientForm) -> &'static str {
    match form.authentication {
        ClientAuthentication::PrivateKeyJwt => METHODS[0].0,
        ClientAuthentication::TlsKey => METHODS[1].0,
        ClientAuthentication::TlsName { .. } => METHODS[2].0,
    }
}

/// The kind and the name by which its certificate is known.
fn certificate_name(form: &ClientForm) -> Option<(&'static str, String)> {
    match &form.authentication {
        ClientAuthentication::TlsName { name } => Some(name.parts()),
        _ => None,
    }
}

const fn state(client: &Client) -> &'static str {
    match client.standing {
        ClientStanding::Registered => "client-registered",
        ClientStanding::Approved { .. } => "client-approved",
        ClientStanding::Stopped { .. } => "client-stopped",
    }
}

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::Low => "low",
        Level::Substantial => "substantial",
        Level::High => "high",
    }
}

fn lines(form: &Parameters, name: &str) -> BTreeSet<String> {
    let text = form.get(name).unwrap_or_default();
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn joined(lines: &BTreeSet<String>) -> String {
    lines
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The texts of the three languages under a name; those that are empty are not there.
pub(super) fn in_languages(form: &Parameters, name: &str) -> BTreeMap<String, String> {
    Language::ALL
        .into_iter()
        .filter_map(|language| {
            let text = form.get(&format!("{name}-{}", language.code()))?.trim();
            (!text.is_empty()).then(|| (language.code().to_owned(), text.to_owned()))
        })
        .collect()
}

fn by_language(texts: Option<&BTreeMap<String, String>>) -> [String; 3] {
    Language::ALL.map(|language| {
        texts
            .and_then(|texts| texts.get(language.code()))
            .cloned()
            .unwrap_or_default()
    })
}

/// A registration, as the form was filled in.
fn read(form: &Parameters) -> Result<ClientForm, Problem> {
    let text = |name: &str| form.get(name).unwrap_or_default().trim().to_owned();
    let redirect_uris = lines(form, "redirect-uris");
    // OpenID Connect Core 8.1: where nothing else is said, the host of the redirect URIs is the sector.
    let hosts: BTreeSet<String> = redirect_uris
        .iter()
        .filter_map(|uri| uri.parse::<Uri>().ok()?.host().map(str::to_owned))
        .collect();
    if hosts.len() > 1 {
        return Err(Problem::Text("error-client-hosts"));
    }
    let keys = text("keys");
    if !keys.is_empty() && JwkSet::decode(&keys).is_err() {
        return Err(Problem::Text("error-client-keys"));
    }
    let organisation = text("organisation");
    let authentication = match field(form, "method")? {
        "private_key_jwt" => ClientAuthentication::PrivateKeyJwt,
        "self_signed_tls_client_auth" => ClientAuthentication::TlsKey,
        "tls_client_auth" => {
            let name = CertificateName::new(field(form, "tls-name-kind")?, &text("tls-name"))
                .ok_or(Problem::Text("error-client-tls-name"))?;
            ClientAuthentication::TlsName { name }
        }
        _ => return Err(Problem::Form),
    };
    let profile = field(form, "profile")?;
    let level = field(form, "level")?;
    let theme = text("theme");
    Ok(ClientForm {
        names: in_languages(form, "name"),
        sector: hosts
            .into_iter()
            .next()
            .unwrap_or_else(|| organisation.clone()),
        organisation,
        contact: text("contact"),
        redirect_uris,
        after_logout_uris: lines(form, "after-logout-uris"),
        logout_uri: Some(text("logout-uri")).filter(|uri| !uri.is_empty()),
        authentication,
        keys,
        profile: PROFILES
            .iter()
            .find(|(_, name, _)| *name == profile)
            .map(|(profile, ..)| *profile)
            .ok_or(Problem::Form)?,
        purposes: SCOPES
            .iter()
            .filter(|(scope, _)| form.get(&format!("scope-{scope}")) == Some("yes"))
            .map(|(scope, _)| {
                let purposes = in_languages(form, &format!("purpose-{scope}"));
                ((*scope).to_owned(), purposes)
            })
            .collect(),
        level: Level::ALL
            .into_iter()
            .find(|known| level_name(*known) == level)
            .ok_or(Problem::Form)?,
        device_flow: form.get("device-flow") == Some("yes"),
        theme: THEMES
            .iter()
            .find(|(_, name)| *name == theme)
            .map(|(theme, _)| *theme),
    })
}

/// Digest of a registration, so that an officer approves what he or she saw.
fn seen(client: &Client) -> Result<String, Problem> {
    let text = serde_json::to_string(&client.form).map_err(|_| Problem::Text("failed-text"))?;
    let digest = Secret::new(format!("{} {text}", client.id.as_str())).digest();
    Ok(digest.as_str().to_owned())
}

impl Pages {
    pub(super) fn clients_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let own = self
            .oauth
            .provider()
            .clients_of(&visit.who()?.account().id)?;
        let clients: Vec<ClientRow> = own
            .iter()
            .map(|client| ClientRow {
                id: client.id.as_str().to_owned(),
                name: client.name(visit.language().code()).to_owned(),
                state: state(client),
                good: client.is_approved(),
                can_change: !matches!(client.standing, ClientStanding::Stopped { .. }),
            })
            .collect();
        let page = ClientsPage {
            frame: self.frame(visit, error),
            places: &self.places(visit, "/clients"),
            done: (visit.call.query == "done").then_some("clients-done"),
            sandbox: self.tenant == Tenant::Sandbox,
            clients: &clients,
        };
        Ok(Self::page(visit, status, &page))
    }

    fn client_form(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
        id: &str,
        form: Option<&ClientForm>,
    ) -> Reply {
        let chosen = form.map_or(METHODS[0].0, method);
        let level = form.map_or(Level::Substantial, |form| form.level);
        let profile = form.map_or(Profile::Fapi2, |form| form.profile);
        let theme = form.and_then(|form| form.theme);
        let choice = |name: &str, text: &str, chosen| Choice {
            name: name.to_owned(),
            text: text.to_owned(),
            chosen,
        };
        let scopes: Vec<ScopeField> = SCOPES
            .iter()
            .map(|(scope, _)| {
                let purposes = form.and_then(|form| form.purposes.get(*scope));
                ScopeField {
                    name: (*scope).to_owned(),
                    text: format!("scope-{scope}"),
                    chosen: purposes.is_some() || (form.is_none() && *scope == "openid"),
                    purposes: by_language(purposes),
                }
            })
            .collect();
        let themes: Vec<Choice> = THEMES
            .iter()
            .map(|(known, text)| choice(text, text, theme == Some(*known)))
            .collect();
        let text = |of: fn(&ClientForm) -> String| form.map(of).unwrap_or_default();
        let (kind, tls_name) = form.and_then(certificate_name).unwrap_or_default();
        let kinds = CertificateName::KINDS.map(|known| choice(known, known, known == kind));
        let offered = self.oauth.certificates_offered();
        let methods: Vec<Choice> = METHODS
            .iter()
            .filter(|(name, _)| match *name {
                "tls_client_auth" => offered.is_some_and(|offered| offered.by_name),
                "self_signed_tls_client_auth" => offered.is_some(),
                _ => true,
            })
            .map(|(name, text)| choice(name, text, *name == chosen))
            .collect();
        let page = ClientFormPage {
            frame: self.frame(visit, error),
            places: &self.places(visit, "/clients"),
            id,
            names: by_language(form.map(|form| &form.names)),
            organisation: text(|form| form.organisation.clone()),
            contact: text(|form| form.contact.clone()),
            redirect_uris: text(|form| joined(&form.redirect_uris)),
            after_logout_uris: text(|form| joined(&form.after_logout_uris)),
            logout_uri: text(|form| form.logout_uri.clone().unwrap_or_default()),
            keys: text(|form| form.keys.clone()),
            methods: &methods,
            tls_name_kinds: offered
                .is_some_and(|offered| offered.by_name)
                .then_some(kinds.as_slice()),
            tls_name,
            profiles: PROFILES.map(|(known, name, text)| choice(name, text, known == profile)),
            levels: Level::ALL
                .map(|known| choice(level_name(known), level_text(known), known == level)),
            scopes: &scopes,
            themes: &themes,
            device_flow: form.is_some_and(|form| form.device_flow),
        };
        Self::page(visit, status, &page)
    }

    pub(super) fn change_clients(
        &self,
        visit: &Visit<'_>,
        what: &str,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let who = visit.who()?;
        let id = form.get("id").unwrap_or_default();
        match what {
            "form" if id.is_empty() => Ok(self.client_form(visit, StatusCode::OK, None, "", None)),
            "form" => {
                let own = provider.clients_of(&who.account().id)?;
                let client = own.iter().find(|client| client.id.as_str() == id);
                let client = client.ok_or(Refusal::Nothing)?;
                Ok(self.client_form(visit, StatusCode::OK, None, id, Some(&client.form)))
            }
            "save" => {
                let filled = read(form)?;
                let saved = if id.is_empty() {
                    provider
                        .register_client(who, &filled, visit.seed())
                        .map(|_| ())
                } else {
                    provider.change_client(who, &ClientId::new(id), &filled)
                };
                match saved.map_err(Problem::from) {
                    Ok(()) => Ok(see_other("/clients?done")),
                    // What was filled in is not lost.
                    Err(problem) => {
                        let (status, text) = (problem.status(), problem.text());
                        Ok(self.client_form(visit, status, Some(text), id, Some(&filled)))
                    }
                }
            }
            _ => Err(Problem::Form),
        }
    }

    pub(super) fn approvals_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let by = provider.on_duty(visit.who()?, Duty::Clients)?;
        let query = Parameters::decode(visit.call.query).ok();
        let after = query.as_ref().and_then(|query| query.get("after"));
        let found = provider.clients(&by, after.unwrap_or_default(), ON_A_PAGE)?;
        let language = visit.language().code();
        let mut clients = Vec::new();
        for client in &found {
            let form = &client.form;
            let mut facts = vec![
                ("client-organisation", form.organisation.clone()),
                ("client-contact", form.contact.clone()),
                ("client-redirect-uris", joined(&form.redirect_uris)),
                ("client-method", method(form).to_owned()),
                ("client-level", level_name(form.level).to_owned()),
            ];
            if let Some((kind, name)) = certificate_name(form) {
                facts.push(("client-tls-name", format!("{kind}: {name}")));
            }
            if let Some(theme) = form.theme {
                let theme = self.frame(visit, None).say(theme_text(theme));
                facts.push(("client-theme", theme));
            }
            for (scope, purposes) in &form.purposes {
                let purpose = purposes.get(language).or_else(|| purposes.values().next());
                let purpose = purpose.map_or("", String::as_str);
                facts.push(("client-scopes", format!("{scope}: {purpose}")));
            }
            clients.push(ApprovalRow {
                id: client.id.as_str().to_owned(),
                name: client.name(language).to_owned(),
                state: state(client),
                facts,
                seen: seen(client)?,
                waits: client.standing == ClientStanding::Registered,
                lives: !matches!(client.standing, ClientStanding::Stopped { .. }),
            });
        }
        let last = (found.len() == ON_A_PAGE)
            .then(|| clients.last().map(|client| client.id.clone()))
            .flatten();
        let page = ApprovalsPage {
            frame: self.frame(visit, error),
            places: &self.places(visit, "/approvals"),
            done: (visit.call.query == "done").then_some("done-changed"),
            clients: &clients,
            more_after: last.as_deref(),
        };
        Ok(Self::page(visit, status, &page))
    }

    pub(super) fn change_approvals(
        &self,
        visit: &Visit<'_>,
        what: &str,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let by = provider.on_duty(visit.who()?, Duty::Clients)?;
        let id = ClientId::new(field(form, "id")?);
        match what {
            "approve" => {
                let client = provider.registered(&by, &id)?;
                if seen(&client)? != field(form, "seen")? {
                    return Err(Refusal::Over.into());
                }
                provider.approve_client(&by, &client)?;
            }
            "stop" => provider.stop_client(&by, &id)?,
            _ => return Err(Problem::Form),
        }
        Ok(see_other("/approvals?done"))
    }
}
