//! The messages of the benchmark, written and answered without an XML library, so that load generator and provider
//! cost as little as possible.

use bytes::Bytes;
use transport::Body;

/// The operation of the SOAP service.
pub(super) const OPERATION: &str = "echo";

/// The smallest and largest message whose length [`Shape::Soap`] keeps to.
const PADDING: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

/// Who asks whom.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Parties {
    /// The consumer, `INSTANCE/CLASS/CODE/SUBSYSTEM`.
    pub(super) client: String,
    /// The provider, in the same form.
    pub(super) provider: String,
}

/// Makes requests that all differ: the same bytes twice would be answered out of caches for signatures.
#[derive(Debug)]
pub(super) struct SoapWriter {
    before_id: String,
    between: String,
    after: &'static str,
    length: usize,
}

impl SoapWriter {
    /// For messages of this length in bytes (longer where the headers alone are).
    pub(super) fn new(parties: &Parties, length: usize) -> Self {
        let mut before_id = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:i=\"http://x-road.eu/xsd/identifiers\"><e:Header>",
        );
        before_id.push_str(&identifier("client", "SUBSYSTEM", &parties.client, None));
        before_id.push_str(&identifier(
            "service",
            "SERVICE",
            &parties.provider,
            Some(OPERATION),
        ));
        before_id.push_str("<x:id>");
        let between = format!(
            "</x:id><x:userId>bench</x:userId><x:protocolVersion>4.0</x:protocolVersion></e:Header>\
             <e:Body><b:{OPERATION} xmlns:b=\"urn:bench\"><b:payload>"
        );
        Self {
            before_id,
            between,
            after: "</b:payload></b:echo></e:Body></e:Envelope>",
            length,
        }
    }

    /// The message with this identifier; the identifier is also its payload's beginning.
    pub(super) fn write(&self, id: &str) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.length + 256);
        for piece in [&self.before_id, id, &self.between, id] {
            message.extend_from_slice(piece.as_bytes());
        }
        let mut missing = self.length.saturating_sub(message.len() + self.after.len());
        while missing > 0 {
            let piece = PADDING
                .as_bytes()
                .get(..missing.min(PADDING.len()))
                .unwrap_or_default();
            message.extend_from_slice(piece);
            missing -= piece.len();
        }
        message.extend_from_slice(self.after.as_bytes());
        message
    }
}

fn identifier(tag: &str, kind: &str, id: &str, code: Option<&str>) -> String {
    let names = [
        "xRoadInstance",
        "memberClass",
        "memberCode",
        "subsystemCode",
    ];
    let mut text = format!("<x:{tag} i:objectType=\"{kind}\">");
    for (name, value) in names.iter().zip(id.split('/')) {
        text.push_str(&format!("<i:{name}>{value}</i:{name}>"));
    }
    if let Some(code) = code {
        text.push_str(&format!("<i:serviceCode>{code}</i:serviceCode>"));
    }
    text.push_str(&format!("</x:{tag}>"));
    text
}

/// The provider's answer to a message of [`SoapWriter`]: the same with the operation's answer element.
pub(super) fn soap_answer(request: &[u8]) -> Option<Vec<u8>> {
    const OPEN: &[u8] = b"<b:echo ";
    const CLOSE: &[u8] = b"</b:echo>";
    let open = find(request, OPEN)?;
    let close = request.len().checked_sub(find_back(request, CLOSE)?)?;
    let mut answer = Vec::with_capacity(request.len() + 32);
    answer.extend_from_slice(request.get(..open)?);
    answer.extend_from_slice(b"<b:echoResponse ");
    answer.extend_from_slice(request.get(open + OPEN.len()..close)?);
    answer.extend_from_slice(b"</b:echoResponse>");
    answer.extend_from_slice(request.get(close + CLOSE.len()..)?);
    Some(answer)
}

/// Whether the answer belongs to the message with this identifier and is no fault.
pub(super) fn is_answer(answer: &[u8], id: &str) -> bool {
    // The wrapper stands before the payload, which is the last occurrence of the identifier.
    find(answer, b"<b:echoResponse ").is_some_and(|at| {
        answer
            .get(at..)
            .is_some_and(|rest| find(rest, id.as_bytes()).is_some())
    })
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, word)
}

/// How many bytes from the end the last occurrence of the word begins.
fn find_back(text: &[u8], word: &[u8]) -> Option<usize> {
    memchr::memmem::rfind(text, word).map(|at| text.len() - at)
}

/// The content type of a request for a large answer.
pub(super) const WANTED_ANSWER: &str = "text/plain";

/// A request for an answer of so many bytes that begins with the identifier.
pub(super) fn wanted_answer(length: usize, id: &str) -> String {
    format!("{length} {id}")
}

/// The answer to [`wanted_answer`].
pub(super) fn large_answer(block: Bytes, request: &[u8]) -> Option<Body> {
    let (length, id) = str::from_utf8(request).ok()?.split_once(' ')?;
    Some(large_body(block, id, length.parse().ok()?))
}

/// A body of so many bytes: the identifier, and then the block over and over.
pub(super) fn large_body(block: Bytes, id: &str, length: usize) -> Body {
    let (mut sender, body) = Body::channel_with_length(4, length as u64);
    let mut piece = Bytes::from(id.to_owned());
    tokio::spawn(async move {
        let mut left = length;
        while left > 0 {
            if piece.is_empty() {
                piece = block.clone();
            }
            let part = piece.split_to(piece.len().min(left).min(64 * 1024));
            left -= part.len();
            if sender.send(part).await.is_err() {
                return;
            }
        }
        sender.finish();
    });
    body
}

/// A block of bytes that does not compress, for large bodies.
pub(super) fn block(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_length_and_its_answer() {
        let parties = Parties {
            client: "KG/COM/80000001/bench".into(),
            provider: "KG/GOV/70000001/bench".into(),
        };
        let id = "0123456789abcdef";
        let message = SoapWriter::new(&parties, 1024).write(id);
        assert!((1000..=1100).contains(&message.len()), "{}", message.len());
        let answer = soap_answer(&message).unwrap();
        assert!(is_answer(&answer, id));
        assert!(!is_answer(&message, id));
        assert!(!is_answer(&answer, "fedcba9876543210"));
        assert_eq!(SoapWriter::new(&parties, 102_400).write(id).len(), 102_400);
        assert_eq!(block(100).len(), 100);
    }
}
