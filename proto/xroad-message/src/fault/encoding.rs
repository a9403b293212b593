//! Faults as SOAP 1.1 (M21) and as the error bodies of PR-REST (R8).

use crate::xml::{Event, Scanner, XmlError, escape, unescape};
use crate::{NS_SOAP, fault::FaultCode, fault::Style, fault::code};

/// Longest SOAP fault that is read, in bytes.
pub const MAX_FAULT_LENGTH: usize = 256 * 1024;

/// A fault: code, sentence, actor and detail, each as written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fault {
    /// The code in whatever style it came; never respelt when relayed (F5).
    pub code: String,
    /// What went wrong, for people.
    pub string: String,
    /// Who found it; X-Road leaves it empty.
    pub actor: String,
    /// The support id: a UUID that stands in the server's log (F4). `None` if the
    /// fault has no detail.
    pub detail: Option<String>,
}

/// Why bytes are not a SOAP fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// Longer than [`MAX_FAULT_LENGTH`].
    #[error("the fault is longer than {MAX_FAULT_LENGTH} bytes")]
    TooLong,
    /// Not well-formed.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Not an envelope with a fault.
    #[error("the message is not a SOAP fault")]
    NotAFault,
}

impl FaultError {
    /// The leaf of the fault code: X-Road's consumer says `invalid_soap` for bytes
    /// that are not SOAP and `invalid_message` for SOAP that is not a fault.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong | Self::NotAFault => code::INVALID_MESSAGE,
            Self::Xml(_) => code::INVALID_SOAP,
        }
    }
}

impl Fault {
    /// A fault of our own, spelt in `style`.
    pub fn new(
        code: &FaultCode,
        style: Style,
        string: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            code: code.render(style),
            string: string.into(),
            actor: String::new(),
            detail: Some(detail.into()),
        }
    }

    /// The code, for comparison across styles.
    pub fn fault_code(&self) -> FaultCode {
        FaultCode::parse(&self.code)
    }

    /// The SOAP 1.1 message, byte for byte as X-Road writes it (M21).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = String::with_capacity(480 + self.code.len() + self.string.len());
        out.push_str(concat!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope xmlns:SOAP-ENV=",
            "\"http://schemas.xmlsoap.org/soap/envelope/\"><SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>"
        ));
        escape(&self.code, &mut out);
        out.push_str("</faultcode><faultstring>");
        escape(&self.string, &mut out);
        out.push_str("</faultstring><faultactor>");
        escape(&self.actor, &mut out);
        out.push_str("</faultactor>");
        if let Some(detail) = &self.detail {
            out.push_str("<detail><faultDetail xmlns=\"\">");
            escape(detail, &mut out);
            out.push_str("</faultDetail></detail>");
        }
        out.push_str("</SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>");
        out.into_bytes()
    }

    /// Reads a SOAP 1.1 fault.
    ///
    /// # Errors
    /// The bytes are too long, not XML, or not a fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, FaultError> {
        if bytes.len() > MAX_FAULT_LENGTH {
            return Err(FaultError::TooLong);
        }
        let mut scanner = Scanner::new(bytes, 64)?;
        let mut fault = None;
        loop {
            match scanner.next()? {
                Event::Start(_) => {
                    let (namespace, local) = scanner.resolved();
                    let soap = namespace == NS_SOAP;
                    match scanner.depth() {
                        1 if !(soap && local == "Envelope") => return Err(FaultError::NotAFault),
                        2 if soap && local == "Body" => {}
                        3 if soap && local == "Fault" && fault.is_none() => {
                            fault = Some(read(&mut scanner)?)
                        }
                        2.. => skip(&mut scanner)?,
                        _ => {}
                    }
                }
                Event::Eof => return fault.ok_or(FaultError::NotAFault),
                _ => {}
            }
        }
    }
}

/// Skips the element whose start was just read.
fn skip(scanner: &mut Scanner<'_>) -> Result<(), XmlError> {
    let depth = scanner.depth();
    while scanner.depth() >= depth {
        scanner.next()?;
    }
    Ok(())
}

/// Reads the children of a `Fault` element whose start was just read, up to its end.
pub(crate) fn read(scanner: &mut Scanner<'_>) -> Result<Fault, XmlError> {
    let base = scanner.depth();
    let mut fault = Fault::default();
    let mut child = "";
    let mut detail_text = String::new();
    let mut fault_detail: Option<String> = None;
    let mut in_fault_detail = false;
    loop {
        match scanner.next()? {
            Event::Start(_) => {
                let (_, local) = scanner.resolved();
                let depth = scanner.depth() - base;
                if depth == 1 {
                    child = local;
                    if local == "detail" {
                        fault.detail = Some(String::new());
                    }
                } else if depth == 2 && child == "detail" && local == "faultDetail" {
                    in_fault_detail = true;
                    fault_detail = Some(String::new());
                }
            }
            Event::End(_) => {
                if scanner.depth() < base {
                    break;
                }
                if scanner.depth() - base <= 1 {
                    in_fault_detail = false;
                }
                if scanner.depth() == base {
                    child = "";
                }
            }
            event @ (Event::Text(_) | Event::CData(_)) => {
                let text = match event {
                    Event::Text(raw) => unescape(raw),
                    Event::CData(text) => text.into(),
                    _ => break,
                };
                match (child, scanner.depth() - base) {
                    ("faultcode", 1) => fault.code.push_str(&text),
                    ("faultstring", 1) => fault.string.push_str(&text),
                    ("faultactor", 1) => fault.actor.push_str(&text),
                    ("detail", 2) if in_fault_detail => {
                        if let Some(inner) = &mut fault_detail {
                            inner.push_str(&text);
                        }
                    }
                    ("detail", _) => detail_text.push_str(&text),
                    _ => {}
                }
            }
            Event::Eof => break,
        }
    }
    if fault.detail.is_some() {
        fault.detail = Some(fault_detail.unwrap_or_else(|| detail_text.trim().to_owned()));
    }
    Ok(fault)
}

/// The answer to a REST client whose request failed (R8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestErrorBody {
    /// Status of the HTTP answer: 500 if the code begins with `server`, else 400.
    pub status: u16,
    /// Its content type.
    pub content_type: &'static str,
    /// Its body.
    pub body: Vec<u8>,
}

/// Writes a fault as PR-REST does: JSON, or XML if the value of the consumer's
/// `Accept` header lists an XML type (or `text/*`) before JSON. The header `X-Road-Error` carries
/// `fault.code`.
pub fn encode_rest_error(fault: &Fault, accept: Option<&str>) -> RestErrorBody {
    let content_type = rest_error_type(accept);
    let detail = fault.detail.as_deref().unwrap_or("");
    let mut out = String::with_capacity(96 + fault.code.len() + fault.string.len() + detail.len());
    if content_type == "application/json" {
        out.push_str("{\"type\":");
        push_json(&fault.code, &mut out);
        out.push_str(",\"message\":");
        push_json(&fault.string, &mut out);
        out.push_str(",\"detail\":");
        push_json(detail, &mut out);
        out.push('}');
    } else {
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?><error><type>");
        escape(&fault.code, &mut out);
        out.push_str("</type><message>");
        escape(&fault.string, &mut out);
        out.push_str("</message><detail>");
        escape(detail, &mut out);
        out.push_str("</detail></error>");
    }
    RestErrorBody {
        status: fault.fault_code().rest_status(),
        content_type,
        body: out.into_bytes(),
    }
}

fn push_json(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn rest_error_type(accept: Option<&str>) -> &'static str {
    for range in accept.unwrap_or("").split(',') {
        let range = crate::multipart::essence(range);
        if range.eq_ignore_ascii_case("application/xml") {
            return "application/xml";
        }
        if range.eq_ignore_ascii_case("text/xml") || range.eq_ignore_ascii_case("text/*") {
            return "text/xml";
        }
        if range.eq_ignore_ascii_case("application/json") {
            break;
        }
    }
    "application/json"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Source;

    #[test]
    fn own_fault_has_the_bytes_of_x_road() {
        let code = FaultCode::service_failed(Source::ServerServerProxy, code::INVALID_CONTENT_TYPE);
        let fault = Fault::new(
            &code,
            Style::V77,
            "Invalid content type: application/json",
            "45f52cb9",
        );
        let bytes = fault.encode();
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\"><SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>Server.ServerProxy.ServiceFailed.InvalidContentType</faultcode><faultstring>Invalid content type: application/json</faultstring><faultactor></faultactor><detail><faultDetail xmlns=\"\">45f52cb9</faultDetail></detail></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>"
        );
        assert_eq!(Fault::decode(&bytes).unwrap(), fault);
        for length in 0..bytes.len() {
            assert!(Fault::decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn odd_text_survives() {
        let fault = Fault {
            code: "a&b".into(),
            string: "<\"Жашыл\">".into(),
            actor: "x".into(),
            detail: None,
        };
        assert_eq!(Fault::decode(&fault.encode()).unwrap(), fault);
    }

    #[test]
    fn what_is_no_fault() {
        assert_eq!(Fault::decode(b"").unwrap_err().code(), "invalid_soap");
        let soap = b"<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><x/></e:Body></e:Envelope>";
        assert_eq!(Fault::decode(soap).unwrap_err().code(), "invalid_message");
    }

    #[test]
    fn rest_errors_follow_accept() {
        let fault = Fault::new(
            &FaultCode::new(Source::ServerServerProxy, code::ACCESS_DENIED),
            Style::V78,
            "no \"right\"",
            "id",
        );
        let json = encode_rest_error(&fault, Some("*/*"));
        assert_eq!(json.status, 500);
        assert_eq!(
            std::str::from_utf8(&json.body).unwrap(),
            r#"{"type":"server.serverproxy.access_denied","message":"no \"right\"","detail":"id"}"#
        );
        for (accept, expected) in [
            (None, "application/json"),
            (Some("application/xml,application/json"), "application/xml"),
            (Some("application/json, text/xml"), "application/json"),
            (Some("image/png, text/*;q=0.1"), "text/xml"),
            (Some("text/xml"), "text/xml"),
        ] {
            assert_eq!(encode_rest_error(&fault, accept).content_type, expected);
        }
    }
}
