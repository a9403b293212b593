//! The drill for a leaked key: whoever holds a copy of the key that signs tokens can forge them; how long until nobody
//! takes a forgery any more?
//!
//! The forgery is an ID token as a hint for signing out (OpenID Connect RP-Initiated Logout 1.0), which a server takes
//! or refuses without anything else happening.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ::idp_server::token_keys::TokenKeys;
use config::IdpSettings;
use http::StatusCode;
use jose::JwkSet;
use serde_json::json;
use time::OffsetDateTime;
use transport::{Body, HttpClient, PoolLimits, Request, RequestOptions};

/// How long servers may take to follow; longer, the drill has failed.
const LONGEST: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
const LARGEST: usize = 64 * 1024;

/// One server of the issuer.
struct Node {
    address: SocketAddr,
    http: HttpClient,
    options: RequestOptions,
    base: String,
}

impl Node {
    fn new(settings: &IdpSettings, address: SocketAddr) -> Result<Self, String> {
        let issuer: http::Uri = settings
            .issuer
            .parse()
            .map_err(|_| "the issuer is no address")?;
        let host = issuer.host().ok_or("the issuer names no host")?;
        let http = HttpClient::new(PoolLimits::default()).map_err(|error| error.to_string())?;
        let hosts = BTreeMap::from([(host.to_owned(), address.ip())]);
        Ok(Self {
            address,
            http: http.with_hosts(hosts),
            options: crate::idp_server::outgoing(settings.authorities.as_deref())?
                .with_total(LONGEST),
            base: format!("https://{host}:{}", address.port()),
        })
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, Vec<u8>), String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", self.address);
        let request = Request::get(format!("{}{path}", self.base))
            .body(Body::empty())
            .map_err(|error| failed(&error))?;
        let answer = self
            .http
            .request(request, &self.options)
            .await
            .map_err(|error| failed(&error))?;
        let status = answer.status();
        let body = answer.into_body().collect(LARGEST).await;
        Ok((status, body.map_err(|error| failed(&error))?.to_vec()))
    }

    async fn published(&self) -> Result<Vec<String>, String> {
        let (_, body) = self.get("/jwks").await?;
        let text = String::from_utf8_lossy(&body);
        let set = JwkSet::decode(&text).map_err(|error| format!("{}: {error}", self.address))?;
        let kids = set.keys().iter().filter_map(|key| key.kid());
        Ok(kids.map(str::to_owned).collect())
    }

    /// Whether it takes an ID token for its own.
    async fn takes(&self, token: &str) -> Result<bool, String> {
        let (status, _) = self
            .get(&format!("/oauth2/logout?id_token_hint={token}"))
            .await?;
        match status {
            StatusCode::SEE_OTHER => Ok(true),
            StatusCode::BAD_REQUEST => Ok(false),
            other => Err(format!("{}: status {other}", self.address)),
        }
    }
}

/// Runs the drill; gives what it found, line by line.
///
/// # Errors
/// In words: a server cannot be reached, or it takes the forgery for too long.
pub(crate) async fn run(settings: &IdpSettings, nodes: &[SocketAddr]) -> Result<String, String> {
    let addresses = if nodes.is_empty() {
        vec![settings.listen]
    } else {
        nodes.to_vec()
    };
    let nodes = addresses
        .into_iter()
        .map(|address| Node::new(settings, address))
        .collect::<Result<Vec<_>, _>>()?;
    let keys = TokenKeys::at(&settings.keys);
    let now = OffsetDateTime::now_utc();
    // The copy that somebody else has.
    let leaked = keys.load(now).map_err(|error| error.to_string())?.active;
    let kid = leaked.public().kid().unwrap_or_default().to_owned();
    let claims = json!({
        "iss": settings.issuer,
        "aud": "drill",
        "sub": "drill",
        "sid": "drill",
        "iat": now.unix_timestamp(),
        "exp": now.unix_timestamp() + 300,
    });
    let forged = leaked
        .sign("JWT", &claims)
        .map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    let mut before = Vec::new();
    for node in &nodes {
        if !node.takes(&forged).await? {
            return Err(format!(
                "{} does not take what the active key {kid} signed: does it run with these keys?",
                node.address
            ));
        }
        before.push(node.published().await?);
    }
    lines.push(format!(
        "{kid} leaked: {} servers take a forgery",
        nodes.len()
    ));
    let begun = Instant::now();
    let ring = keys
        .withdraw(&kid, OffsetDateTime::now_utc())
        .map_err(|error| error.to_string())?;
    let signs = ring
        .active()
        .map_err(|error| error.to_string())?
        .kid
        .clone();
    for (node, before) in nodes.iter().zip(&before) {
        if !before.contains(&signs) {
            return Err(format!(
                "{} did not publish {signs} before it signs; relying parties meet an unknown key",
                node.address
            ));
        }
        loop {
            if !node.takes(&forged).await? && !node.published().await?.contains(&kid) {
                break;
            }
            if begun.elapsed() > LONGEST {
                return Err(format!(
                    "{} still takes the forgery after {} seconds",
                    node.address,
                    LONGEST.as_secs()
                ));
            }
            tokio::time::sleep(PAUSE).await;
        }
        let took = begun.elapsed().as_millis();
        lines.push(format!("{} refuses it after {took} ms", node.address));
    }
    lines.push(format!("{signs} signs; it was published before"));
    lines.push(
        "relying parties that keep the published keys follow within 5 minutes; ask them to fetch the keys now"
            .to_owned(),
    );
    Ok(lines.join("\n"))
}
