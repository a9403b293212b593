//! Who sees what of the population register.

use std::collections::BTreeSet;
use std::path::Path;

use id_registry::{Detail, Grant, Purpose};
use serde::Deserialize;
use xroad_id::ClientId;

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
    /// For what it asks: a person who locked the number for this purpose is not shown to it.
    pub purpose: Option<Purpose>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    client: Vec<Client>,
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
    protected: bool,
    #[serde(default)]
    adoption_secrets: bool,
    purpose: Option<Purpose>,
}

/// Reads the file with the clients of the population register: a table `[[client]]` for each.
///
/// # Errors
/// The file cannot be read, is not of this form, or names a client twice.
pub fn read_population_clients(path: &Path) -> Result<Vec<PopulationClient>, ConfigError> {
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
            purpose: one.purpose,
        });
    }
    Ok(clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<PopulationClient>, ConfigError> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("population-access.toml");
        std::fs::write(&file, text).expect("written");
        read_population_clients(&file)
    }

    #[test]
    fn what_is_not_said_is_denied() {
        let clients = read_text(
            "[[client]]\nid = \"KG/COM/80000001/bank\"\ndetails = [\"names\", \"bornOn\"]\nverify = true\n\
             purpose = \"credit\"\n[[client]]\nid = \"KG/GOV/1/b\"\n",
        )
        .expect("clients");
        assert_eq!(
            clients[0].grant.details,
            [Detail::Names, Detail::BornOn].into()
        );
        assert!(clients[0].verify && !clients[0].changes && !clients[0].grant.protected);
        assert_eq!(clients[1].grant, Grant::default());
        assert!(!clients[1].verify && clients[1].purpose.is_none());
    }

    #[test]
    fn mistakes_stop_the_start() {
        for text in [
            "[[client]]\nid = \"KG\"\n",
            "[[client]]\nid = \"KG/GOV/1/b\"\ndetails = [\"everything\"]\n",
            "[[client]]\nid = \"KG/GOV/1/b\"\nproteced = true\n",
            "[[client]]\nid = \"KG/GOV/1/b\"\npurpose = \"Any thing\"\n",
            "[[client]]\nid = \"KG/GOV/1/b\"\n[[client]]\nid = \"KG/GOV/1/b\"\n",
        ] {
            assert!(read_text(text).is_err(), "{text}");
        }
    }
}
