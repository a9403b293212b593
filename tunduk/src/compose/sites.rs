//! The sites that people use: certificates, keys and settings of each, in a directory of its own.
//!
//! ```text
//! STATE/sites/trust.toml       whose signatures on documents count
//!             identity/        identity provider: idp.toml, tls.pem, tls.key, its database and keys
//!             signing/         signing service
//!             verification/    the page that verifies signatures: verification.toml
//!             cards/           the authority that issues identity cards, with its responder
//!             bank/            the bank's site: bank.toml, its keys at the others, its contracts
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ca::SignatureKind;
use config::SigningServerSettings;
use jose::JwkSet;
use pki::{AttributeType, KeyType, Name, PublicKey, Signer as _, SoftwareKey};
use serde::Serialize;
use trust_server::{NewTrustStore, TrustStore};

use super::trust::Trust;
use super::{at, make_folder, tsa_url, write, write_secret};
use crate::instance::{BANK, CARD, IDENTITY, Instance, SIGNING, Site, Sites, VERIFICATION};
use crate::parties::bracketed;
use crate::serving;

/// What the bank is called at the identity provider and at the signing service.
const BANK_CLIENT: &str = "peoples-bank";
/// What the signing service is called at the certification authority.
const SIGNING_AUTHORITY: &str = "signing-service";
/// What the identity provider is called at the signing service.
const IDENTITY_CLIENT: &str = "identity-provider";
/// The list of authorities whose signatures count.
pub(crate) const TRUST_LIST: &str = "trust.toml";

/// Where a site's files are.
pub(crate) fn folder(state: &Path, site: Site) -> PathBuf {
    let name = match site.port {
        port if port == SIGNING.port => "signing",
        port if port == VERIFICATION.port => "verification",
        port if port == BANK.port => "bank",
        _ => "identity",
    };
    state.join("sites").join(name)
}

/// Writes everything that the sites need before they start.
pub(super) fn write_all(
    instance: &Instance,
    sites: &Sites,
    state: &Path,
    trust: &Trust,
) -> Result<(), String> {
    for (site, names) in [
        (IDENTITY, vec![IDENTITY.host, CARD.host]),
        (SIGNING, vec![SIGNING.host]),
        (VERIFICATION, vec![VERIFICATION.host]),
        (BANK, vec![BANK.host]),
    ] {
        let folder = folder(state, site);
        make_folder(&folder)?;
        certified(&folder, &names, sites, trust)?;
    }
    let list = format!(
        "# Written by the demo: its own authority, for simple and qualified signatures, and its time-stamps.\n\
         [[authority]]\ncertificate = \"../trust/ca.pem\"\nsimple = [\"{}\"]\nqualified = [\"{}\"]\n\n\
         [[time_stamping]]\ncertificate = \"../trust/ca.pem\"\n",
        SignatureKind::Simple.policy(),
        SignatureKind::Qualified.policy(),
    );
    write(&state.join("sites").join(TRUST_LIST), list.as_bytes())?;
    card_authority(instance, sites, state)?;
    let identity_folder = folder(state, IDENTITY);
    let bank_folder = folder(state, BANK);
    for (folder, name) in [
        (&identity_folder, "signing"),
        (&bank_folder, "identity"),
        (&bank_folder, "signing"),
    ] {
        client_key(folder, name)?;
    }
    settings(&identity_folder, "idp.toml", &identity(instance, sites)?)?;
    settings(
        &folder(state, SIGNING),
        "signing.toml",
        &signing(instance, sites),
    )?;
    signing_keys(&folder(state, SIGNING), trust)?;
    settings(&bank_folder, "registration.toml", &registration())?;
    let client_id = crate::idp_server::prepare(
        &identity_folder.join("idp.toml"),
        &bank_folder.join("registration.toml"),
    )?;
    settings(
        &bank_folder,
        "bank.toml",
        &bank(instance, sites, &client_id),
    )?;
    let verification = Verification {
        listen: sites.listen(VERIFICATION).to_string(),
        trust: format!("../{TRUST_LIST}"),
        anchor: "../../anchor.xml",
    };
    settings(
        &folder(state, VERIFICATION),
        "verification.toml",
        &verification,
    )
}

/// Where the authority of identity cards has its files.
pub(crate) fn card_folder(state: &Path) -> PathBuf {
    state.join("sites").join("cards")
}

/// The authority that issues identity cards, made once. It is another than that of signatures and servers.
fn card_authority(instance: &Instance, sites: &Sites, state: &Path) -> Result<(), String> {
    let folder = card_folder(state);
    if folder.exists() {
        return Ok(());
    }
    let name = format!("{} identity cards", instance.instance);
    let ocsp_url = Some(format!("http://{}/ocsp", sites.card_authority()));
    NewTrustStore::for_instance(&name, KeyType::EcP256)
        .and_then(|new| TrustStore::create(&folder, &NewTrustStore { ocsp_url, ..new }))
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A key by which a site proves who it is to another one, made once, and the public key for that one.
fn client_key(folder: &Path, name: &str) -> Result<(), String> {
    let (secret, public) = (
        folder.join(format!("{name}.key")),
        folder.join(format!("{name}.jwks")),
    );
    if secret.exists() && public.exists() {
        return Ok(());
    }
    let _ = std::fs::remove_file(&secret);
    let key = serving::make_signing_key(&secret)?;
    let set = JwkSet::new(vec![key.public().clone()]);
    write(&public, set.to_value().to_string().as_bytes())
}

/// The signing service's own keys, made once; the authority takes its orders of certificates.
fn signing_keys(folder: &Path, trust: &Trust) -> Result<(), String> {
    let public = folder.join("orders.pub");
    if !public.exists() {
        let settings = SigningServerSettings::read(&folder.join("signing.toml"));
        let settings = settings.map_err(|error| error.to_string())?;
        for left in [&settings.master, &folder.join("orders.key")] {
            let _ = std::fs::remove_file(left);
        }
        let pem = crate::signing_server::create_keys(&settings)?;
        write(&public, pem.as_bytes())?;
    }
    let pem = std::fs::read(&public).map_err(|error| at(&public, error))?;
    let der = pki::pem::decode(&pem, "PUBLIC KEY").map_err(|error| at(&public, error))?;
    let key = PublicKey::from_spki_der(&der).map_err(|error| at(&public, error))?;
    trust.admit(SIGNING_AUTHORITY, &key)
}

/// The certificate of a site, made once, with its key.
fn certified(folder: &Path, names: &[&str], sites: &Sites, trust: &Trust) -> Result<(), String> {
    let (certificate, secret) = (folder.join("tls.pem"), folder.join("tls.key"));
    if certificate.exists() && secret.exists() {
        return Ok(());
    }
    let key = SoftwareKey::generate(KeyType::EcP256).map_err(|error| error.to_string())?;
    let pkcs8 = key.to_pkcs8_der().map_err(|error| error.to_string())?;
    let subject = Name::builder()
        .push(AttributeType::CommonName, names[0])
        .build()
        .map_err(|error| error.to_string())?;
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let issued = trust.tls_server(subject, key.public_key(), names, vec![sites.address])?;
    // Left by an attempt that was cut short: nobody has seen what it is for.
    let _ = std::fs::remove_file(&secret);
    write_secret(&secret, pki::pem::encode(&pkcs8, "PRIVATE KEY").as_bytes())?;
    // With the authority's own, so that a browser can be told to trust this one key.
    let chain = format!("{}{}", issued.to_pem(), trust.authority().to_pem());
    write(&certificate, chain.as_bytes())
}

fn settings(folder: &Path, name: &str, settings: &impl Serialize) -> Result<(), String> {
    let text = toml::to_string(settings).map_err(|error| at(&folder.join(name), error))?;
    let text =
        format!("# Written by `tunduk demo` from the instance file at every start.\n\n{text}");
    write(&folder.join(name), text.as_bytes())
}

#[derive(Serialize)]
struct IdentityFile {
    issuer: String,
    listen: String,
    authorities: &'static str,
    password_threads: usize,
    hosts: BTreeMap<String, std::net::IpAddr>,
    card: Card,
    register: Register,
    signing: Peer,
}

#[derive(Serialize)]
struct Peer {
    url: String,
    client_id: &'static str,
    key: &'static str,
}

#[derive(Serialize)]
struct SigningFile {
    origin: String,
    listen: String,
    authorities: &'static str,
    card_authorities: &'static str,
    authority: Authority,
    client: Vec<SigningClient>,
}

#[derive(Serialize)]
struct Authority {
    url: String,
    name: &'static str,
    key: &'static str,
}

#[derive(Serialize)]
struct SigningClient {
    id: &'static str,
    names: BTreeMap<&'static str, &'static str>,
    keys: &'static str,
    redirect_uris: Vec<String>,
    duties: Vec<&'static str>,
}

#[derive(Serialize)]
struct Card {
    address: String,
    listen: String,
    authorities: &'static str,
}

#[derive(Serialize)]
struct Register {
    security_server: String,
    client: String,
    service: String,
}

#[derive(Serialize)]
struct BankFile<'a> {
    origin: String,
    listen: String,
    trust: String,
    time_stamping: String,
    verification: String,
    authorities: &'static str,
    hosts: BTreeMap<String, std::net::IpAddr>,
    identity_provider: BankPeer<'a>,
    signing_service: BankPeer<'a>,
}

#[derive(Serialize)]
struct BankPeer<'a> {
    url: String,
    client_id: &'a str,
    key: &'static str,
}

fn bank<'a>(instance: &Instance, sites: &Sites, client_id: &'a str) -> BankFile<'a> {
    BankFile {
        origin: BANK.origin(),
        listen: sites.listen(BANK).to_string(),
        trust: format!("../{TRUST_LIST}"),
        time_stamping: tsa_url(instance),
        verification: format!("{}/", VERIFICATION.origin()),
        authorities: "../../trust/ca.pem",
        hosts: sites.hosts(),
        identity_provider: BankPeer {
            url: IDENTITY.origin(),
            client_id,
            key: "identity.key",
        },
        signing_service: BankPeer {
            url: SIGNING.origin(),
            client_id: BANK_CLIENT,
            key: "signing.key",
        },
    }
}

#[derive(Serialize)]
struct Registration {
    client_id: &'static str,
    organisation: &'static str,
    contact: &'static str,
    sector: &'static str,
    redirect_uris: [String; 1],
    after_logout_uris: [String; 1],
    logout_uri: String,
    keys: &'static str,
    fapi: bool,
    level: &'static str,
    names: BTreeMap<&'static str, &'static str>,
    purposes: BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>,
}

/// The bank's registration at the identity provider, under the rules of FAPI 2.0.
fn registration() -> Registration {
    let at = |path: &str| format!("{}{path}", BANK.origin());
    let purpose = |ky, ru, en| BTreeMap::from([("ky", ky), ("ru", ru), ("en", en)]);
    Registration {
        client_id: BANK_CLIENT,
        organisation: "People's bank",
        contact: "it@bank.localhost",
        sector: BANK.host,
        redirect_uris: [at(bank_site::REDIRECT_PATH)],
        after_logout_uris: [at(bank_site::AFTER_LOGOUT_PATH)],
        logout_uri: at(bank_site::LOGOUT_PATH),
        keys: "identity.jwks",
        fapi: true,
        level: "substantial",
        names: bank_names(),
        purposes: BTreeMap::from([
            (
                "openid",
                purpose(
                    "сизди кайра таануу үчүн",
                    "чтобы узнать вас снова",
                    "to know you again",
                ),
            ),
            (
                "profile",
                purpose(
                    "келишимде атыңызды жазуу үчүн",
                    "чтобы указать ваше имя в договоре",
                    "to write your name in the agreement",
                ),
            ),
            (
                "number",
                purpose(
                    "келишим сиз менен түзүлүшү үчүн",
                    "чтобы договор был заключён именно с вами",
                    "so that the agreement is with you and nobody else",
                ),
            ),
        ]),
    }
}

#[derive(Serialize)]
struct Verification {
    listen: String,
    trust: String,
    anchor: &'static str,
}

/// The identity provider's settings. It asks the register through its own Security Server.
fn identity(instance: &Instance, sites: &Sites) -> Result<IdentityFile, String> {
    let client = &sites.identity_provider;
    let server = instance
        .server_of(client)
        .ok_or("the identity provider has no Security Server")?;
    let register = instance
        .services
        .iter()
        .find(|service| service.url == "population:rest")
        .ok_or("the identity provider needs a service with url = \"population:rest\"")?;
    Ok(IdentityFile {
        issuer: IDENTITY.origin(),
        listen: sites.listen(IDENTITY).to_string(),
        authorities: "../../trust/ca.pem",
        password_threads: 1,
        hosts: sites.hosts(),
        card: Card {
            address: CARD.origin(),
            listen: sites.listen(CARD).to_string(),
            authorities: "../cards/ca.pem",
        },
        register: Register {
            security_server: format!(
                "http://{}:{}",
                bracketed(&server.address.to_string()),
                super::HTTP_PORT
            ),
            client: client.path(),
            service: format!("{}/{}", register.provider.path(), register.code),
        },
        signing: Peer {
            url: SIGNING.origin(),
            client_id: IDENTITY_CLIENT,
            key: "signing.key",
        },
    })
}

/// The signing service's settings: the bank may ask people for signatures, the identity provider says who is frozen.
fn signing(instance: &Instance, sites: &Sites) -> SigningFile {
    SigningFile {
        origin: SIGNING.origin(),
        listen: sites.listen(SIGNING).to_string(),
        authorities: "../../trust/ca.pem",
        card_authorities: "../cards/ca.pem",
        authority: Authority {
            url: super::trust_url(instance),
            name: SIGNING_AUTHORITY,
            key: "orders.key",
        },
        client: vec![
            SigningClient {
                id: BANK_CLIENT,
                names: bank_names(),
                keys: "../bank/signing.jwks",
                redirect_uris: vec![format!("{}{}", BANK.origin(), bank_site::SIGNED_PATH)],
                duties: vec!["sign"],
            },
            SigningClient {
                id: IDENTITY_CLIENT,
                names: [
                    ("ky", "Кирүү кызматы"),
                    ("ru", "Служба входа"),
                    ("en", "Sign-in service"),
                ]
                .into(),
                keys: "../identity/signing.jwks",
                redirect_uris: Vec::new(),
                duties: vec!["freeze"],
            },
        ],
    }
}

/// What people know the bank as.
fn bank_names() -> BTreeMap<&'static str, &'static str> {
    [
        ("ky", "Элдик банк"),
        ("ru", "Народный банк"),
        ("en", "People's bank"),
    ]
    .into()
}
