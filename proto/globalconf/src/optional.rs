//! The optional parts of an internal configuration (reference G18, G29): whether
//! `nextUpdate` of OCSP answers is checked, how often they are fetched, and who may
//! query monitoring data.

use xroad_id::ClientId;

use crate::decode::client_id;
use crate::encode;
use crate::xml::{Document, ParametersError, Writer};

const NEXT_UPDATE: &str = "verifyNextUpdate";
const FETCH_INTERVAL: &str = "ocspFetchInterval";

/// Reads `ocsp-nextupdate-params.xml`: whether `nextUpdate` is checked.
///
/// # Errors
/// See [`ParametersError`].
pub fn decode_next_update(bytes: &[u8]) -> Result<bool, ParametersError> {
    single(bytes, NEXT_UPDATE, |document| document.boolean(NEXT_UPDATE))
}

/// Writes `ocsp-nextupdate-params.xml`.
pub fn encode_next_update(check: bool) -> Vec<u8> {
    let mut xml = Writer::new("conf", 512);
    xml.text(NEXT_UPDATE, if check { "true" } else { "false" });
    xml.finish().into_bytes()
}

/// Reads `ocsp-fetchinterval-params.xml`: seconds between fetches.
///
/// # Errors
/// See [`ParametersError`].
pub fn decode_fetch_interval(bytes: &[u8]) -> Result<u64, ParametersError> {
    single(bytes, FETCH_INTERVAL, |document| {
        document.value(FETCH_INTERVAL, "seconds")
    })
}

/// Writes `ocsp-fetchinterval-params.xml`.
pub fn encode_fetch_interval(seconds: u64) -> Vec<u8> {
    let mut xml = Writer::new("conf", 512);
    xml.text(FETCH_INTERVAL, &seconds.to_string());
    xml.finish().into_bytes()
}

fn single<T>(
    bytes: &[u8],
    name: &'static str,
    mut value: impl FnMut(&mut Document) -> Result<T, ParametersError>,
) -> Result<T, ParametersError> {
    let mut document = Document::open(bytes, "conf")?;
    let mut found = None;
    while let Some(element) = document.child()? {
        if element.unqualified() == name {
            found = Some(value(&mut document)?);
        } else {
            document.skip()?;
        }
    }
    document.finish()?;
    found.ok_or(ParametersError::Missing(name))
}

/// Reads `monitoring-params.xml`: who may query the monitoring data of every server.
///
/// # Errors
/// See [`ParametersError`].
pub fn decode_monitoring(bytes: &[u8]) -> Result<Option<ClientId>, ParametersError> {
    let mut document = Document::open(bytes, "conf")?;
    let mut client = None;
    while let Some(element) = document.child()? {
        if element.unqualified() != "monitoringClient" {
            document.skip()?;
            continue;
        }
        while let Some(element) = document.child()? {
            if element.unqualified() == "monitoringClientId" {
                client = Some(client_id(&mut document)?);
            } else {
                document.skip()?;
            }
        }
    }
    document.finish()?;
    Ok(client)
}

/// Writes `monitoring-params.xml`.
pub fn encode_monitoring(client: Option<&ClientId>) -> Vec<u8> {
    let mut xml = Writer::new("conf", 1024);
    xml.start("monitoringClient", None);
    if let Some(client) = client {
        encode::client_id(&mut xml, "monitoringClientId", client);
    }
    xml.end();
    xml.finish().into_bytes()
}
