//! Targets of the crate `pki`.

use pki::csr::CertificateRequest;
use pki::{Certificate, ocsp, pem, tsp};

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[
    ("certificate", certificate),
    ("cms", cms),
    ("certification_request", certification_request),
    ("ocsp_request", ocsp_request),
    ("ocsp_response", ocsp_response),
    ("time_stamp_request", time_stamp_request),
    ("time_stamp_response", time_stamp_response),
    ("pem_text", pem_text),
];

/// A certificate; what was read keeps its bytes.
pub fn certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::decode(data) {
        assert_eq!(certificate.der(), data);
    }
}

/// A request for a certificate.
pub fn certification_request(data: &[u8]) {
    let _ = CertificateRequest::decode(data);
}

/// A request for the status of a certificate.
pub fn ocsp_request(data: &[u8]) {
    let _ = ocsp::Request::decode(data);
}

/// The status of a certificate.
pub fn ocsp_response(data: &[u8]) {
    let _ = ocsp::Response::decode(data);
}

/// A request for a time-stamp.
pub fn time_stamp_request(data: &[u8]) {
    let _ = tsp::Request::decode(data);
}

/// An authority's answer, or a time-stamp.
pub fn time_stamp_response(data: &[u8]) {
    let _ = tsp::decode_response(data);
    let _ = tsp::Token::decode(data);
}

/// Certificates as text; what was read is read again from what is written.
pub fn pem_text(data: &[u8]) {
    if let Ok(found) = pem::decode_all(data, "CERTIFICATE") {
        let text: String = found
            .iter()
            .map(|der| pem::encode(der, "CERTIFICATE"))
            .collect();
        assert_eq!(
            pem::decode_all(text.as_bytes(), "CERTIFICATE").ok(),
            Some(found)
        );
    }
    let _ = Certificate::all_from_pem(data);
}

/// A detached CMS signature.
pub fn cms(data: &[u8]) {
    if let Ok(signature) = pki::cms::Signature::decode(data) {
        let digest = pki::DigestAlgorithm::Sha256.digest(b"content");
        let _ = signature.verify(&digest);
        let _ = signature.with_time_stamp(&[0x30, 0x00]);
    }
}
