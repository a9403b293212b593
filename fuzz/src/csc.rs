//! Targets of the crate `csc`.

use ::csc::{
    AuthorizationDetail, CredentialsListRequest, CscError, SignDocRequest, SignHashRequest,
    decode_hashes,
};

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[("csc", csc)];

/// What clients send: whatever is read keeps to its bounds and is read again as it was written.
pub fn csc(data: &[u8]) {
    if let Ok(request) = CscError::reading::<SignHashRequest>(data) {
        if let Ok(hashes) = request.hashes() {
            assert!((1..=::csc::MAX_HASHES).contains(&hashes.len()));
            assert!(hashes.iter().all(|hash| hash.len() == 32));
        }
        let text = serde_json::to_vec(&request).expect("written");
        assert_eq!(CscError::reading::<SignHashRequest>(&text), Ok(request));
    }
    if let Ok(request) = CscError::reading::<SignDocRequest>(data) {
        for digests in &request.digests {
            let _ = digests.hashes();
        }
        for document in &request.documents {
            let _ = document.document();
        }
    }
    let _ = CscError::reading::<CredentialsListRequest>(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(detail) = AuthorizationDetail::decode(text) {
        if let Ok(documents) = detail.documents() {
            assert!((1..=::csc::MAX_HASHES).contains(&documents.len()));
        }
        let again = serde_json::to_string(&[&detail]).expect("written");
        assert_eq!(AuthorizationDetail::decode(&again), Ok(detail));
    }
    if let Ok(hashes) = decode_hashes(text) {
        assert!(hashes.iter().all(|hash| hash.len() == 32));
    }
}
