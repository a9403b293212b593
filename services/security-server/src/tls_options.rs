//! TLS of connections to information systems that provide services.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serverconf::Service;
use transport::{ClientTls, RequestOptions, ServerVerification, TlsIdentity, TlsSetupError};

/// TLS settings by the certificates that a service may show; made once each.
pub struct ServiceTls {
    identity: TlsIdentity,
    made: Mutex<HashMap<Vec<Vec<u8>>, ClientTls>>,
}

impl ServiceTls {
    /// We show `identity` to services that ask for it.
    pub fn new(identity: TlsIdentity) -> Self {
        Self {
            identity,
            made: Mutex::default(),
        }
    }

    /// Time limits and TLS for a call of `service`. Without configured certificates any is
    /// taken, as X-Road does when `verify TLS certificate` is off.
    ///
    /// # Errors
    /// A configured certificate cannot be used.
    pub fn options(&self, service: &Service) -> Result<RequestOptions, TlsSetupError> {
        let options = RequestOptions {
            connect_timeout: Some(service.timeout),
            read_timeout: Some(service.timeout),
            total_timeout: None,
            tls: None,
        };
        if !service.url.starts_with("https://") {
            return Ok(options);
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = made.get(&service.certificates) {
            return Ok(options.with_tls(tls.clone()));
        }
        let verification = if service.certificates.is_empty() {
            ServerVerification::Off
        } else {
            ServerVerification::Pinned(service.certificates.clone())
        };
        let tls = ClientTls::new(&verification, Some(&self.identity))?;
        made.insert(service.certificates.clone(), tls.clone());
        Ok(options.with_tls(tls))
    }
}
