//! An information system that asks: what a bank's software does with its
//! Security Server.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Request, StatusCode};
use transport::{
    Body, ClientTls, HttpClient, PoolLimits, RequestOptions, ServerVerification, TlsIdentity,
};
use xroad_id::{ClientId, ServiceId};

/// Largest answer that is read.
const LARGEST_ANSWER: usize = 256 << 20;

/// An answer with what it took.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// From the call to the first byte of the answer.
    pub until_head: Duration,
    /// From the call to the last byte.
    pub until_end: Duration,
}

impl Answer {
    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The fault code, if the answer is a fault of a service or of a Security Server.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let error = self.header("x-road-error");
        if !error.is_empty() {
            return Some(error.to_owned());
        }
        let text = self.text();
        if !text.contains(":Fault") && !text.contains("<Fault") {
            return None;
        }
        Some(element_text(&text, "faultcode").unwrap_or_default())
    }
}

/// The text of the first element with this local name, as far as a person wants to see it.
#[must_use]
pub fn element_text(xml: &str, local_name: &str) -> Option<String> {
    let mut rest = xml;
    while let Some(at) = rest.find(local_name) {
        let before = rest[..at].chars().next_back();
        let after = &rest[at + local_name.len()..];
        let opens =
            matches!(before, Some('<')) || (before == Some(':') && !rest[..at].ends_with("</"));
        if opens && after.starts_with(['>', ' ', '/']) {
            let start = after.find('>')? + 1;
            let text = &after[start..];
            return Some(text[..text.find("</")?].trim().to_owned());
        }
        rest = after;
    }
    None
}

/// Why there is no answer at all.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {url}: {reason}")]
pub struct NoAnswer {
    url: String,
    reason: String,
}

/// A client of Security Servers.
#[derive(Debug, Clone)]
pub struct Consumer {
    http: HttpClient,
    options: RequestOptions,
}

impl Consumer {
    /// A client that waits at most `patience` for an answer to begin.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(patience: Duration) -> Result<Self, transport::TlsSetupError> {
        Ok(Self {
            http: HttpClient::new(PoolLimits::default())?,
            options: RequestOptions::default().with_timeouts(Duration::from_secs(10), patience),
        })
    }

    /// Shows this certificate to Security Servers that ask for one (8443). Theirs is self-signed and
    /// taken as it is: like the demo and `curl -k`, this client is for trying things out.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn with_identity(
        mut self,
        identity: &TlsIdentity,
    ) -> Result<Self, transport::TlsSetupError> {
        let tls = ClientTls::new(&ServerVerification::Off, Some(identity))?;
        self.options = self.options.with_tls(tls);
        Ok(self)
    }

    /// Sends any request.
    ///
    /// # Errors
    /// The server cannot be reached or breaks off.
    pub async fn send(&self, request: Request<Body>) -> Result<Answer, NoAnswer> {
        let url = request.uri().to_string();
        let failed = |reason: String| NoAnswer {
            url: url.clone(),
            reason,
        };
        let started = Instant::now();
        let response = self
            .http
            .request(request, &self.options)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let until_head = started.elapsed();
        let (head, body) = response.into_parts();
        let body = body
            .collect(LARGEST_ANSWER)
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            until_head,
            until_end: started.elapsed(),
        })
    }

    /// Sends a SOAP message to the Security Server at `server` (`http://…`).
    ///
    /// # Errors
    /// As [`Consumer::send`].
    pub async fn soap(
        &self,
        server: &str,
        content_type: &str,
        message: impl Into<Body>,
    ) -> Result<Answer, NoAnswer> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/", server.trim_end_matches('/')))
            .header(CONTENT_TYPE, content_type)
            .body(message.into())
            .map_err(|error| NoAnswer {
                url: server.to_owned(),
                reason: error.to_string(),
            })?;
        self.send(request).await
    }

    /// Calls a REST service through the Security Server at `server`. `path` begins with `/` or is empty.
    ///
    /// # Errors
    /// As [`Consumer::send`].
    pub async fn rest(&self, server: &str, call: RestCall<'_>) -> Result<Answer, NoAnswer> {
        let url = format!(
            "{}/r1/{}{}",
            server.trim_end_matches('/'),
            call.service.path(),
            call.path
        );
        let mut request = Request::builder()
            .method(call.method)
            .uri(&url)
            .header("X-Road-Client", call.client.path())
            .header("Accept", "application/json, */*");
        if let Some(id) = call.id {
            request = request.header("X-Road-Id", id);
        }
        for (name, value) in call.headers {
            request = request.header(name.as_str(), value.as_str());
        }
        let request = request.body(call.body).map_err(|error| NoAnswer {
            url,
            reason: error.to_string(),
        })?;
        self.send(request).await
    }
}

/// One REST call.
#[derive(Debug)]
pub struct RestCall<'a> {
    /// Who asks.
    pub client: &'a ClientId,
    /// What is asked.
    pub service: &'a ServiceId,
    /// Verb.
    pub method: Method,
    /// What follows the service in the path, with the query.
    pub path: &'a str,
    /// Query id; the Security Server makes one if there is none.
    pub id: Option<&'a str>,
    /// Other headers.
    pub headers: &'a [(String, String)],
    /// Body.
    pub body: Body,
}

/// Content type of SOAP messages without attachments.
pub const SOAP_CONTENT_TYPE: &str = "text/xml; charset=UTF-8";

/// Writes a SOAP request with X-Road's headers (PR-MESS section 2.2). `content` is what the
/// operation's element holds.
#[must_use]
pub fn soap_request(
    client: &ClientId,
    service: &ServiceId,
    id: &str,
    namespace: &str,
    content: &str,
) -> String {
    let client_parts = identifier_parts(client);
    let mut service_parts = identifier_parts(&service.client);
    service_parts.push_str(&element("id:serviceCode", &service.service_code));
    if let Some(version) = &service.service_version {
        service_parts.push_str(&element("id:serviceVersion", version));
    }
    let operation = escape(&service.service_code);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xrd=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:id=\"http://x-road.eu/xsd/identifiers\">\n\
         <soap:Header>\n\
         <xrd:client id:objectType=\"{}\">{client_parts}</xrd:client>\n\
         <xrd:service id:objectType=\"SERVICE\">{service_parts}</xrd:service>\n\
         {}\n<xrd:protocolVersion>4.0</xrd:protocolVersion>\n\
         </soap:Header>\n\
         <soap:Body><q:{operation} xmlns:q=\"{}\">{content}</q:{operation}></soap:Body>\n\
         </soap:Envelope>",
        client.object_type(),
        element("xrd:id", id),
        escape(namespace),
    )
}

fn identifier_parts(client: &ClientId) -> String {
    [
        "id:xRoadInstance",
        "id:memberClass",
        "id:memberCode",
        "id:subsystemCode",
    ]
    .iter()
    .zip(client.parts())
    .map(|(name, part)| element(name, part))
    .collect()
}

/// An element with text.
#[must_use]
pub fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_all_headers_and_escapes() {
        let client = ClientId::from_path("KG/COM/80000001/bank").expect("an id");
        let provider = ClientId::from_path("KG/GOV/70000001/a%26b").expect("an id");
        let service = ServiceId::new(provider, "find", Some("v1")).expect("an id");
        let text = soap_request(&client, &service, "1", "urn:x", &element("number", "<2>"));
        assert!(text.contains("<id:subsystemCode>a&amp;b</id:subsystemCode>"));
        assert!(text.contains("<q:find xmlns:q=\"urn:x\"><number>&lt;2&gt;</number></q:find>"));
        assert!(text.contains("<id:serviceVersion>v1</id:serviceVersion>"));
        assert!(text.contains("<xrd:client id:objectType=\"SUBSYSTEM\">"));
    }

    #[test]
    fn texts_of_elements() {
        let xml = "<a:faultcode xmlns:a='u'> Server.X </a:faultcode><faultcode>Y</faultcode>";
        assert_eq!(element_text(xml, "faultcode").as_deref(), Some("Server.X"));
        assert_eq!(
            element_text("<faultcodes>a</faultcodes>", "faultcode"),
            None
        );
        assert_eq!(
            element_text("<a><matches>true</matches></a>", "matches").as_deref(),
            Some("true")
        );
    }
}
