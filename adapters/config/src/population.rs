//! Who sees what of the population register.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use id_registry::{Detail, Event, Grant, Purpose};
use serde::Deserialize;
use xroad_id::{ClientId, ServiceId};

use crate::{ConfigError, read};

/// What one client of the exchange may ask the population register. Everything is denied that is not said here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopulationClient {
    /// The client.
    pub client: ClientId,
    /// What it sees of a person.
    pub grant: Grant,
    /// Whether it may ask if given data are right, without seeing any.
    pub verify: bool,
    /// Whether it may ask whose records changed.
    pub changes: bool,
    /// Whether it may ask who may act for whom by the register (an identity provider).
    pub may_act: bool,
    /// The kinds of acts that it enters and takes back.
    pub acts: BTreeSet<String>,
    /// Whether its officers decide who has two numbers, and see who may have.
    pub doubles: bool,
    /// The relying party whose people ask through it about themselves (`client_id`); without it nobody does.
    pub own: Option<String>,
    /// The service at which it is told whose records change.
    pub push: Option<ServiceId>,
    /// For what it asks: a person who locked the number for this purpose is not shown to it.
    pub purpose: Option<Purpose>,
}

/// The identity provider whose signed answers tell the register who a person is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProviderKeys {
    /// Its name, as `iss` says it.
    pub issuer: String,
    /// File with its JWK Set; read for each question, so that it can be replaced at any time.
    pub keys: PathBuf,
}

/// How subscribers are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushSettings {
    /// Address of the register's own Security Server, without a slash at the end.
    pub security_server: String,
    /// The register as a client of the exchange.
    pub client: ClientId,
}

/// Who may do what with the population register.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PopulationAccess {
    /// The clients of the exchange.
    pub clients: Vec<PopulationClient>,
    /// Whose sign-ins are accepted; without it nobody asks about the own record.
    pub identity_provider: Option<IdentityProviderKeys>,
    /// How subscribers are reached.
    pub push: Option<PushSettings>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    client: Vec<Client>,
    identity_provider: Option<Provider>,
    push: Option<Push>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    issuer: String,
    keys: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Push {
    security_server: String,
    client: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    id: String,
    #[serde(default)]
    details: BTreeSet<Detail>,
    #[serde(default)]
    verify: bool,
    #[serde(default)]
    changes: bool,
    #[serde(default)]
    may_act: bool,
    #[serde(default)]
    acts: BTreeSet<String>,
    #[serde(default)]
    doubles: bool,
    own: Option<String>,
    push: Option<String>,
    #[serde(default)]
    protected: bool,
    #[serde(default)]
    adoption_secrets: bool,
    purpose: Option<Purpose>,
}

/// Reads the file of access to the population register: a table `[[client]]` for each client, and tables
/// `[identity_provider]` and `[push]`.
///
/// # Errors
/// The file cannot be read, is not of this form, or names a client twice.
pub fn read_population_access(path: &Path) -> Result<PopulationAccess, ConfigError> {
    let file: File = toml::from_str(&read(path)?).map_err(|source| ConfigError::Form {
        path: path.into(),
        source: Box::new(source),
    })?;
    let wrong = |message: String| ConfigError::Value {
        path: path.into(),
        message,
    };
    let mut clients: Vec<PopulationClient> = Vec::new();
    for one in file.client {
        let client = ClientId::from_path(&one.id)
            .map_err(|error| wrong(format!("{:?} is no client: {error}", one.id)))?;
        if clients.iter().any(|known| known.client == client) {
            return Err(wrong(format!("{client} is there twice")));
        }
        let unknown = |kind: &&String| !Event::OFFICES_ENTER.contains(&kind.as_str());
        if let Some(kind) = one.acts.iter().find(unknown) {
            let known = Event::OFFICES_ENTER.join(", ");
            return Err(wrong(format!(
                "{kind:?} is no kind of act that {client} could enter; there are {known}"
            )));
        }
        let push = one.push.map(|service| {
            ServiceId::from_path(&service)
                .map_err(|error| wrong(format!("push of {client}: {service:?}: {error}")))
        });
        let push = push.transpose()?;
        if push.is_some() && !(one.changes && file.push.is_some()) {
            return Err(wrong(format!(
                "push of {client} needs `changes = true` and a table [push]"
            )));
        }
        if one.own.is_some() && file.identity_provider.is_none() {
            return Err(wrong(format!(
                "own of {client} needs a table [identity_provider]"
            )));
        }
        clients.push(PopulationClient {
            client,
            grant: Grant {
                details: one.details,
                protected: one.protected,
                adoption_secrets: one.adoption_secrets,
            },
            verify: one.verify,
            changes: one.changes,
            may_act: one.may_act,
            acts: one.acts,
            doubles: one.doubles,
            own: one.own,
            push,
            purpose: one.purpose,
        });
    }
    let push = file.push.map(|push| {
        let client = ClientId::from_path(&push.client)
            .map_err(|error| wrong(format!("push: {:?} is no client: {error}", push.client)))?;
        if !["http://", "https://"]
            .iter()
            .any(|scheme| push.security_server.starts_with(scheme))
        {
            return Err(wrong(format!(
                "push: security_server {:?} is no address such as http://127.0.0.1:8080",
                push.security_server
            )));
        }
        Ok(PushSettings {
            security_server: push.security_server.trim_end_matches('/').to_owned(),
            client,
        })
    });
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(PopulationAccess {
        clients,
        identity_provider: file.identity_provider.map(|provider| IdentityProviderKeys {
            issuer: provider.issuer,
            keys: folder.join(provider.keys),
        }),
        push: push.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<PopulationAccess, ConfigError> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("population-access.toml");
        std::fs::write(&file, text).expect("written");
        read_population_access(&file)
    }

    #[test]
    fn what_is_not_said_is_denied() {
        let clients = read_text(
            "[[client]]\nid = \"KG/COM/80000001/bank\"\ndetails = [\"names\", \"bornOn\"]\nverify = true\n\
             purpose = \"credit\"\n[[client]]\nid = \"KG/GOV/1/b\"\n",
        )
        .expect("clients")
        .clients;
        assert_eq!(
            clients[0].grant.details,
            [Detail::Names, Detail::BornOn].into()
        );
        assert!(clients[0].verify && !clients[0].changes && !clients[0].grant.protected);
        assert_eq!(clients[1].grant, Grant::default());
        assert!(!clients[1].verify && clients[1].purpose.is_none());
    }

    #[test]
    fn what_offices_portals_and_subscribers_may_do() {
        let access = read_text(
            "[identity_provider]\nissuer = \"https://id.localhost:8883\"\nkeys = \"keys.json\"\n\
             [push]\nsecurity_server = \"http://127.0.0.11:8080/\"\nclient = \"KG/GOV/1/population\"\n\
             [[client]]\nid = \"KG/GOV/1/zags\"\nacts = [\"birth\", \"reversal\"]\ndoubles = true\n\
             [[client]]\nid = \"KG/GOV/1/portal\"\nown = \"portal\"\n\
             [[client]]\nid = \"KG/GOV/1/social\"\nchanges = true\npush = \"KG/GOV/1/social/news\"\n",
        )
        .expect("access");
        let [zags, portal, social] = access.clients.as_slice() else {
            panic!("{access:?}")
        };
        assert!(zags.acts.contains("birth") && !zags.acts.contains("death") && zags.doubles);
        assert_eq!(portal.own.as_deref(), Some("portal"));
        assert!(social.push.is_some() && social.acts.is_empty());
        let push = access.push.expect("push");
        assert_eq!(push.security_server, "http://127.0.0.11:8080");
        let keys = access.identity_provider.expect("a provider").keys;
        assert!(keys.is_absolute() && keys.ends_with("keys.json"));
    }

    #[test]
    fn mistakes_stop_the_start() {
        for text in [
            "[[client]]\nid = \"KG\"\n",
            "[[client]]\nid = \"KG/GOV/1/b\"\ndetails = [\"everything\"]\n",
            "[[client]]\nid = \"KG/GOV/1/b\"\nproteced = true\n",
            "[[client]]\nid = \"KG/GOV/1/b\"\npurpose = \"Any thing\"\n",
            "[[client]]\nid = \"KG/GOV/1/b\"\nacts = [\"takenOver\"]\n",
            "[[client]]\nid = \"KG/GOV/1/b\"\nown = \"portal\"\n",
            "[[client]]\nid = \"KG/GOV/1/b\"\nchanges = true\npush = \"KG/GOV/1/b/changes\"\n",
            "[push]\nsecurity_server = \"127.0.0.1\"\nclient = \"KG/GOV/1/population\"\n",
            "[[client]]\nid = \"KG/GOV/1/b\"\n[[client]]\nid = \"KG/GOV/1/b\"\n",
        ] {
            assert!(read_text(text).is_err(), "{text}");
        }
    }
}
