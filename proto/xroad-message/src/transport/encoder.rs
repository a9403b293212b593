//! Writing a transport message.

use bytes::{BufMut, BytesMut};

use super::{
    TYPE_HASH_CHAIN, TYPE_HASH_CHAIN_RESULT, TYPE_OCSP, TYPE_REST_BODY, TYPE_SIGNATURE,
    content_type,
};
use crate::multipart::{Headers, write_end, write_part_start};

/// Writes the parts of a transport message in the layout of T22 and T23. The data of
/// attachments and REST bodies are not written here: the caller sends what was
/// written so far, then the data, then goes on.
///
/// The order is the caller's duty: OCSP responses, message, attachments or REST
/// body, hash chain result, hash chain, signature (or fault), [`TransportEncoder::end`].
#[derive(Debug, Clone)]
pub struct TransportEncoder {
    boundary: String,
    attachment_boundary: String,
    started: bool,
}

impl TransportEncoder {
    /// An encoder with the boundaries of the message and of its attachments; see
    /// [`crate::multipart::boundary_from`].
    pub fn new(boundary: String, attachment_boundary: String) -> Self {
        Self {
            boundary,
            attachment_boundary,
            started: false,
        }
    }

    /// The HTTP content type of the message.
    pub fn content_type(&self) -> String {
        content_type(&self.boundary)
    }

    fn start<'a>(
        &mut self,
        out: &mut BytesMut,
        kind: &'a str,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) {
        let first = !std::mem::replace(&mut self.started, true);
        let kind = std::iter::once(("content-type", kind.as_bytes()));
        write_part_start(out, &self.boundary, first, kind.chain(headers));
    }

    fn part(&mut self, out: &mut BytesMut, kind: &str, bytes: &[u8]) {
        out.reserve(bytes.len() + self.boundary.len() + 64);
        self.start(out, kind, std::iter::empty());
        out.put_slice(bytes);
    }

    /// An OCSP response in DER.
    pub fn ocsp_response(&mut self, out: &mut BytesMut, der: &[u8]) {
        self.part(out, TYPE_OCSP, der);
    }

    /// The SOAP message or the head of the REST message. `headers` are the other
    /// headers that its part had at the information system.
    pub fn message(&mut self, out: &mut BytesMut, kind: &str, headers: &Headers, bytes: &[u8]) {
        out.reserve(bytes.len() + self.boundary.len() + 64);
        let others = headers
            .iter()
            .filter(|(n, _)| !n.eq_ignore_ascii_case("content-type"));
        self.start(out, kind, others);
        out.put_slice(bytes);
    }

    /// An attachment of a SOAP message; its data follow. `first` opens the part that
    /// holds them all. The content type is written first, the rest in alphabetical
    /// order (T23).
    pub fn attachment_start(&mut self, out: &mut BytesMut, first: bool, headers: &Headers) {
        if first {
            let kind = content_type(&self.attachment_boundary);
            self.start(out, &kind, std::iter::empty());
            out.put_slice(b"\r\n");
        }
        let kind = headers
            .get("content-type")
            .unwrap_or(b"application/octet-stream");
        let mut others: Vec<_> = headers
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"))
            .collect();
        others.sort_by_key(|(name, _)| *name);
        let all = std::iter::once(("content-type", kind)).chain(others);
        write_part_start(out, &self.attachment_boundary, first, all);
    }

    /// The last attachment is complete.
    pub fn attachments_end(&mut self, out: &mut BytesMut) {
        write_end(out, &self.attachment_boundary);
    }

    /// The body of a REST message; its data follow.
    pub fn rest_body_start(&mut self, out: &mut BytesMut) {
        self.start(out, TYPE_REST_BODY, std::iter::empty());
    }

    /// The result of the hash chain and the chain.
    pub fn hash_chain(&mut self, out: &mut BytesMut, result: &[u8], chain: &[u8]) {
        self.part(out, TYPE_HASH_CHAIN_RESULT, result);
        self.part(out, TYPE_HASH_CHAIN, chain);
    }

    /// The signature.
    pub fn signature(&mut self, out: &mut BytesMut, signature: &[u8]) {
        self.part(out, TYPE_SIGNATURE, signature);
    }

    /// A SOAP fault in place of the signature (T20).
    pub fn fault(&mut self, out: &mut BytesMut, fault: &[u8]) {
        self.part(out, super::CONTENT_TYPE_SOAP, fault);
    }

    /// The end of the message.
    pub fn end(&mut self, out: &mut BytesMut) {
        write_end(out, &self.boundary);
    }
}
