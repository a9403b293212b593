//! SOAP messages as an information system writes them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::http::{Answer, Request};

/// A request to a SOAP service.
#[derive(Debug, Clone)]
pub struct SoapCall {
    /// The consumer, `INSTANCE/CLASS/CODE/SUBSYSTEM`.
    pub client: String,
    /// The provider, in the same form.
    pub provider: String,
    /// Service code, also the wrapper element's name.
    pub code: String,
    /// Service version; may be empty.
    pub version: String,
    /// The message's identifier.
    pub id: String,
    /// The text in the wrapper element.
    pub payload: String,
    /// Further header elements, as XML; the prefixes `xro` and `iden` are bound.
    pub more_headers: String,
}

impl SoapCall {
    /// A call with a fresh identifier, and the identifier as payload.
    pub fn new(client: &str, provider: &str, code: &str) -> Self {
        let id = fresh_id();
        Self {
            client: client.to_owned(),
            provider: provider.to_owned(),
            code: code.to_owned(),
            version: String::new(),
            payload: id.clone(),
            more_headers: String::new(),
            id,
        }
    }

    /// The whole message.
    pub fn message(&self) -> String {
        let mut service = self.code.clone();
        if !self.version.is_empty() {
            service = format!("{service}/{}", self.version);
        }
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xro=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:iden=\"http://x-road.eu/xsd/identifiers\">\
             <soapenv:Header>{}{}<xro:userId>KG1</xro:userId><xro:id>{}</xro:id>\
             <xro:protocolVersion>4.0</xro:protocolVersion>{}</soapenv:Header>\
             <soapenv:Body><t:{code} xmlns:t=\"urn:test\"><t:payload>{}</t:payload></t:{code}></soapenv:Body></soapenv:Envelope>",
            identifier(
                "client",
                if self.client.split('/').count() == 3 {
                    "MEMBER"
                } else {
                    "SUBSYSTEM"
                },
                &self.client
            ),
            identifier(
                "service",
                "SERVICE",
                &format!("{}/{service}", self.provider)
            ),
            self.id,
            self.more_headers,
            self.payload,
            code = self.code,
        )
    }

    /// Sends it to a Security Server, `http://ADDRESS:8080/`.
    ///
    /// # Errors
    /// When the connection fails or the answer is cut.
    pub fn send(&self, url: &str) -> std::io::Result<Answer> {
        let message = self.message();
        let headers = [
            ("Content-Type", "text/xml; charset=UTF-8"),
            ("SOAPAction", "\"\""),
        ];
        Request {
            url,
            method: "POST",
            headers: &headers,
            body: message.as_bytes(),
        }
        .send()
    }

    /// Whether this is the right answer to it and no fault.
    pub fn is_answered_by(&self, answer: &Answer) -> bool {
        let text = answer.text();
        answer.status == 200
            && text.contains(&format!("{}Response", self.code))
            && text.contains(&format!(">{}</", self.payload))
            && text.contains(&format!("id>{}</", self.id))
    }
}

fn identifier(tag: &str, kind: &str, path: &str) -> String {
    let names = [
        "xRoadInstance",
        "memberClass",
        "memberCode",
        "subsystemCode",
        "serviceCode",
        "serviceVersion",
    ];
    let mut text = format!("<xro:{tag} iden:objectType=\"{kind}\">");
    for (name, part) in names.iter().zip(path.split('/')) {
        text.push_str(&format!("<iden:{name}>{part}</iden:{name}>"));
    }
    text.push_str(&format!("</xro:{tag}>"));
    text
}

/// A text that nothing else is called.
pub fn fresh_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    format!(
        "t{}-{now:x}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
