//! A relying party's registration as an earlier provider exports it: client metadata of OpenID Connect Dynamic Client
//! Registration 1.0 section 2, one object or an array of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use oidc_provider::Level;
use serde::Deserialize;
use serde_json::Value;

/// Largest file, in bytes.
const LARGEST: u64 = 16 << 20;

/// The members that matter here. Others, secrets among them, are passed over.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) client_id: Option<String>,
    organization_name: Option<String>,
    #[serde(default)]
    contacts: Vec<String>,
    #[serde(default)]
    pub(crate) redirect_uris: BTreeSet<String>,
    #[serde(default)]
    pub(crate) post_logout_redirect_uris: BTreeSet<String>,
    pub(crate) backchannel_logout_uri: Option<String>,
    sector_identifier_uri: Option<String>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    token_endpoint_auth_method: Option<String>,
    response_types: Option<Vec<String>>,
    #[serde(default)]
    grant_types: Vec<String>,
    #[serde(default)]
    default_acr_values: Vec<String>,
    /// `client_name` and, with language tags, `client_name#ky` (section 2.1).
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl Metadata {
    /// Reads the registration of a client, or the only one of a file.
    ///
    /// # Errors
    /// In words: the file cannot be read, or does not hold it.
    pub(crate) fn read(path: &Path, client_id: Option<&str>) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let length = std::fs::metadata(path)
            .map_err(|error| failed(&error))?
            .len();
        if length > LARGEST {
            return Err(failed(&format!("it is larger than {LARGEST} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        let found = match serde_json::from_str(&text).map_err(|error| failed(&error))? {
            Value::Array(all) => {
                let Some(wanted) = client_id else {
                    return Err(failed(
                        &"it holds several relying parties; say which: client_id",
                    ));
                };
                let mut all = all.into_iter();
                all.find(|one| one.get("client_id").and_then(Value::as_str) == Some(wanted))
                    .ok_or_else(|| failed(&format!("{wanted} is not in it")))?
            }
            one => one,
        };
        let read: Self = serde_json::from_value(found).map_err(|error| failed(&error))?;
        match &read.response_types {
            Some(types) if !types.iter().any(|kind| kind == "code") => Err(failed(
                &"it does not use the code flow, and there is no other here: it changes first",
            )),
            _ => Ok(read),
        }
    }

    /// The names by language. One without a tag is taken for English.
    pub(crate) fn names(&self) -> BTreeMap<String, String> {
        let named = self.others.iter().filter_map(|(member, name)| {
            let rest = member.strip_prefix("client_name")?;
            let language = if rest.is_empty() {
                "en"
            } else {
                rest.strip_prefix('#')?
            };
            Some((language.to_owned(), name.as_str()?.to_owned()))
        });
        named.collect()
    }

    pub(crate) fn organisation(&self) -> Option<String> {
        self.organization_name.clone()
    }

    pub(crate) fn contact(&self) -> Option<String> {
        self.contacts.first().cloned()
    }

    /// The host of the sector identifier, or the one host of all redirect URIs (OpenID Connect Core 8.1).
    pub(crate) fn sector(&self) -> Option<String> {
        let host = |uri: &String| Some(uri.parse::<http::Uri>().ok()?.host()?.to_owned());
        if let Some(uri) = &self.sector_identifier_uri {
            return host(uri);
        }
        let hosts: BTreeSet<Option<String>> = self.redirect_uris.iter().map(host).collect();
        match hosts.into_iter().collect::<Vec<_>>().as_slice() {
            [Some(only)] => Some(only.clone()),
            _ => None,
        }
    }

    /// Its public keys.
    ///
    /// # Errors
    /// In words: where they are instead, or that it has none.
    pub(crate) fn keys(&self) -> Result<String, String> {
        match (&self.jwks, &self.jwks_uri) {
            (Some(keys), _) => Ok(keys.to_string()),
            (None, Some(uri)) => Err(format!(
                "its keys are published at {uri}: save and compare them, and name the file in `keys`"
            )),
            (None, None) => Err(format!(
                "it proved itself by {}; here it needs keys of its own: name their file in `keys`",
                self.token_endpoint_auth_method
                    .as_deref()
                    .unwrap_or("client_secret_basic")
            )),
        }
    }

    pub(crate) fn has_tls_key(&self) -> bool {
        self.token_endpoint_auth_method.as_deref() == Some("self_signed_tls_client_auth")
    }

    pub(crate) fn device_flow(&self) -> bool {
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        self.grant_types.iter().any(|grant| grant == device)
    }

    pub(crate) fn level(&self) -> Option<Level> {
        self.default_acr_values
            .iter()
            .find_map(|acr| acr.parse().ok())
    }
}
