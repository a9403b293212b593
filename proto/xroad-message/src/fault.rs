//! X-Road's fault codes (section 1.17 of the protocol notes) and faults.
//!
//! A code is a path `<source>.<...>.<leaf>`, for example
//! `server.serverproxy.service_failed.invalid_soap`. Up to 7.7 its parts were
//! written in CamelCase (`Server.ServerProxy.ServiceFailed.InvalidSoap`). We store
//! the spelling of 7.8 and render the older one on demand; a fault that comes from a
//! peer is relayed as it came (F5).

mod encoding;

use std::fmt;

pub(crate) use encoding::read;
pub use encoding::{Fault, FaultError, MAX_FAULT_LENGTH, RestErrorBody, encode_rest_error};

/// Who found the failure: the beginning of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The consumer's information system sent something that cannot be used.
    Client,
    /// The consumer's Security Server.
    ServerClientProxy,
    /// The provider's Security Server.
    ServerServerProxy,
    /// The provider's operational monitoring.
    ServerServerProxyOpMonitor,
    /// The keeper of the keys.
    Signer,
}

impl Source {
    /// The prefix in the spelling of 7.8.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::ServerClientProxy => "server.clientproxy",
            Self::ServerServerProxy => "server.serverproxy",
            Self::ServerServerProxyOpMonitor => "server.serverproxy.opmonitor",
            Self::Signer => "signer",
        }
    }
}

/// How codes are spelt in what we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Style {
    /// `server.serverproxy.access_denied`, from 7.8.0.
    #[default]
    V78,
    /// `Server.ServerProxy.AccessDenied`, up to 7.7.
    V77,
}

impl Style {
    /// Reads the setting `"7.8"` or `"7.7"`.
    pub fn from_setting(text: &str) -> Option<Self> {
        match text {
            "7.8" => Some(Self::V78),
            "7.7" => Some(Self::V77),
            _ => None,
        }
    }
}

macro_rules! codes {
    ($($constant:ident = $new:literal, $old:literal, $what:literal;)*) => {
        /// The parts of codes in the spelling of 7.8 (F2): leaves and prefixes that nest.
        pub mod code {
            $(#[doc = $what] pub const $constant: &str = $new;)*
        }
        /// Every part with its older spelling (F3).
        const PARTS: &[(&str, &str)] = &[$(($new, $old)),*];
    };
}

codes! {
    IO_ERROR = "io_error", "IOError", "Reading or writing failed.";
    NETWORK_ERROR = "network_error", "NetworkError", "No connection.";
    INTERNAL_ERROR = "internal_error", "InternalError", "Something that has no code of its own.";
    BAD_REQUEST = "bad_request", "BadRequest", "The request cannot be understood.";
    NOT_FOUND = "not_found", "NotFound", "What was asked for does not exist.";
    HTTP_ERROR = "http_error", "HttpError", "An HTTP status that is not expected.";
    UNKNOWN_HOST = "unknown_host", "UnknownHost", "A host name that does not resolve.";
    DATABASE_ERROR = "database_error", "DatabaseError", "The database failed.";
    INVALID_REQUEST = "invalid_request", "InvalidRequest", "A request that is not allowed in this form.";
    INVALID_RESPONSE = "invalid_response", "InvalidResponse", "An answer that is not allowed in this form.";
    CANNOT_CREATE_SIGNATURE = "cannot_create_signature", "CannotCreateSignature", "Signing failed.";
    CERT_VALIDATION = "cert_validation", "CertValidation", "A certificate is revoked, unknown or expired.";
    MISSING_VALIDATION_INFO = "missing_validation_info", "MissingValidationInfo", "No OCSP response.";
    INCORRECT_VALIDATION_INFO = "incorrect_validation_info", "IncorrectValidationInfo", "An OCSP response that cannot be used.";
    CANNOT_CREATE_CERT_PATH = "cannot_create_cert_path", "CannotCreateCertPath", "No path to an approved authority.";
    CERT_VALIDITY_TIME = "cert_validity_time", "CertValidityTime", "A certificate outside its time.";
    INCORRECT_CERTIFICATE = "incorrect_certificate", "IncorrectCertificate", "The certificate of somebody else.";
    UNSUPPORTED_ALGORITHM = "unsupported_algorithm", "UnsupportedAlgorithm", "An algorithm that is not accepted.";
    INVALID_SIGNATURE_VALUE = "invalid_signature_value", "InvalidSignatureValue", "The signature does not fit what was signed.";
    MALFORMED_SIGNATURE = "malformed_signature", "MalformedSignature", "A signature document that is not in order.";
    INVALID_XML = "invalid_xml", "InvalidXml", "XML that does not fit its schema.";
    INVALID_REFERENCE = "invalid_reference", "InvalidReference", "A reference that resolves to nothing.";
    INVALID_CERT_PATH = "invalid_cert_path", "InvalidCertPath", "The path of the signing certificate is not good; nests.";
    SIGNATURE_VERIFICATION = "signature_verification", "SignatureVerification", "The signature is not good; nests.";
    MALFORMED_SOAP = "malformed_soap", "MalformedSoap", "SOAP that cannot be read.";
    TIMESTAMP_VALIDATION = "timestamp_validation", "TimestampValidation", "A time-stamp that is not good.";
    INVALID_HASH_CHAIN = "invalid_hash_chain", "InvalidHashChain", "A hash chain with another result.";
    MALFORMED_HASH_CHAIN = "malformed_hash_chain", "MalformedHashChain", "A hash chain that is not in order.";
    HASHCHAIN_UNUSED_INPUTS = "hashchain_unused_inputs", "HashChainUnusedInputs", "Parts that the hash chain leaves out.";
    INVALID_HASH_CHAIN_REF = "invalid_hash_chain_ref", "InvalidHashChainRef", "A reference of the hash chain to nothing.";
    SSL_AUTHENTICATION_FAILED = "ssl_authentication_failed", "SslAuthenticationFailed", "The other side of the connection is not who it should be.";
    LOGGING_FAILED = "logging_failed", "LoggingFailed", "The message log refused; nests.";
    TIMESTAMPING_FAILED = "timestamping_failed", "TimestampingFailed", "No time-stamps; nests.";
    INVALID_CONTENT_TYPE = "invalid_content_type", "InvalidContentType", "A content type that is not expected there.";
    INVALID_SOAP_ACTION = "invalid_soap_action", "InvalidSoapAction", "A SOAPAction that is not a quoted URI.";
    INVALID_HTTP_METHOD = "invalid_http_method", "InvalidHttpMethod", "Not POST.";
    INVALID_MESSAGE = "invalid_message", "InvalidMessage", "A message that is not in order.";
    INVALID_SECURITY_SERVER = "invalid_security_server", "InvalidSecurityServer", "Not the Security Server that was named.";
    MIME_PARSING_FAILED = "mime_parsing_failed", "MimeParsingFailed", "A multipart that cannot be read.";
    MISSING_HEADER = "missing_header", "MissingHeader", "SOAP without a header.";
    MISSING_HEADER_FIELD = "missing_header_field", "MissingHeaderField", "A header field that must be there is not.";
    DUPLICATE_HEADER_FIELD = "duplicate_header_field", "DuplicateHeaderField", "A header field twice.";
    MISSING_BODY = "missing_body", "MissingBody", "SOAP without a body.";
    INVALID_BODY = "invalid_body", "InvalidBody", "A SOAP body without or with several elements.";
    INCONSISTENT_HEADERS = "inconsistent_headers", "InconsistentHeaders", "The body is not that of the service.";
    INCONSISTENT_RESPONSE = "inconsistent_response", "InconsistentResponse", "The answer does not belong to the request.";
    MISSING_SOAP = "missing_soap", "MissingSoap", "No SOAP part.";
    INVALID_SOAP = "invalid_soap", "InvalidSoap", "Not SOAP 1.1.";
    MISSING_REST = "missing_rest", "MissingRest", "No REST part.";
    INVALID_REST = "invalid_rest", "InvalidRest", "A REST part that cannot be read.";
    ACCESS_DENIED = "access_denied", "AccessDenied", "No right.";
    SERVICE_DISABLED = "service_disabled", "ServiceDisabled", "The service is switched off.";
    SERVICE_FAILED = "service_failed", "ServiceFailed", "The other side failed; nests.";
    MISSING_SIGNATURE = "missing_signature", "MissingSignature", "No signature.";
    UNKNOWN_SERVICE = "unknown_service", "UnknownService", "No such service.";
    INVALID_PROTOCOL_VERSION = "invalid_protocol_version", "InvalidProtocolVersion", "Not version 4 of the message protocol.";
    INVALID_CLIENT_IDENTIFIER = "invalid_client_identifier", "InvalidClientIdentifier", "An identifier of a client that cannot be read.";
    SERVICE_TYPE = "service_type", "ServiceType", "A service of the other kind (SOAP, REST).";
    CLIENT_PROXY_VERSION_NOT_SUPPORTED = "client_proxy_version_not_supported", "ClientProxyVersionNotSupported", "The peer is too old.";
    ASIC_INVALID_CONTAINER = "asic_invalid_container", "AsicInvalidContainer", "Not an ASiC container.";
    ASIC_MIME_TYPE_NOT_FOUND = "asic_mime_type_not_found", "AsicMimeTypeNotFound", "A container without media type.";
    ASIC_SIGNATURE_NOT_FOUND = "asic_signature_not_found", "AsicSignatureNotFound", "A container without signature.";
    ASIC_MESSAGE_NOT_FOUND = "asic_message_not_found", "AsicMessageNotFound", "A container without message.";
    ASIC_INVALID_MIME_TYPE = "asic_invalid_mime_type", "AsicInvalidMimeType", "A container of another media type.";
    ASIC_HASH_CHAIN_RESULT_NOT_FOUND = "asic_hash_chain_result_not_found", "AsicHashChainResultNotFound", "A container without hash chain result.";
    ASIC_HASH_CHAIN_NOT_FOUND = "asic_hash_chain_not_found", "AsicHashChainNotFound", "A container without hash chain.";
    ASIC_TIMESTAMP_NOT_FOUND = "asic_timestamp_not_found", "AsicTimestampNotFound", "A container without time-stamp.";
    ASIC_MANIFEST_NOT_FOUND = "asic_manifest_not_found", "AsicManifestNotFound", "A container without manifest.";
    UNKNOWN_MEMBER = "unknown_member", "UnknownMember", "No such member.";
    MALFORMED_SERVER_CONF = "malformed_server_conf", "MalformedServerConf", "The server's configuration cannot be read.";
    MALFORMED_KEY_CONF = "malformed_key_conf", "MalformedKeyConf", "The keys' configuration cannot be read.";
    MALFORMED_GLOBAL_CONF = "malformed_global_conf", "MalformedGlobalConf", "The global configuration cannot be read.";
    MALFORMED_OPTIONAL_PARTS_CONF = "malformed_optional_parts_conf", "MalformedOptionalPartsConf", "An optional part of the configuration cannot be read.";
    GLOBAL_CONF_OUTDATED = "global_conf_outdated", "OutdatedGlobalConf", "The global configuration has expired.";
    SERVICE_MISSING_URL = "service_missing_url", "ServiceMissingUrl", "A service without URL.";
    SERVICE_MALFORMED_URL = "service_malformed_url", "ServiceMalformedUrl", "A service with a URL that cannot be read.";
    ADAPTER_WSDL_NOT_FOUND = "adapter_wsdl_not_found", "AdapterWsdlNotFound", "No WSDL.";
    HSM_NON_OPERATIONAL = "hsm_non_operational", "HSMNonOperational", "The hardware token does not answer.";
    MAINTENANCE_MODE = "maintenance_mode", "MaintenanceMode", "Every server of the provider is in maintenance.";
    MALFORMED_ANCHOR = "malformed_anchor", "MalformedAnchor", "The anchor cannot be read.";
    ANCHOR_FILE_NOT_FOUND = "anchor_file_not_found", "AnchorFileNotFound", "No anchor.";
    GLOBAL_CONF_PART_DUPLICATE_TARGET = "global_conf_part_duplicate_target", "GlobalConfPartDuplicateTarget", "Two parts for one file.";
    GLOBAL_CONF_PART_RESERVED_FILE_NAME = "global_conf_part_reserved_file_name", "GlobalConfPartReservedFileName", "A part with a reserved name.";
    GLOBAL_CONF_HEADER_FIELD_WRONG_VALUE = "global_conf_header_field_wrong_value", "GlobalConfHeaderFieldWrongValue", "A header of a part with a wrong value.";
    GLOBAL_CONF_HEADER_FIELD_MISSING = "global_conf_header_field_missing", "GlobalConfHeaderFieldMissing", "A header of a part is missing.";
    GLOBAL_CONF_PART_INVALID_INSTANCE_IDENTIFIER = "global_conf_part_invalid_instance_identifier", "GlobalConfPartInvalidInstanceIdentifier", "A part of another instance.";
    GLOBAL_CONF_PART_BLANK_INSTANCE_IDENTIFIER = "global_conf_part_blank_instance_identifier", "GlobalConfPartBlankInstanceIdentifier", "A part without instance.";
    GLOBAL_CONF_PART_INVALID_CONTENT_LOCATION = "global_conf_part_invalid_content_location", "GlobalConfPartInvalidContentLocation", "A part with a location that is not allowed.";
    GLOBAL_CONF_PART_DOWNLOADED_FILE_INTEGRITY_FAILURE = "global_conf_part_downloaded_file_integrity_failure", "GlobalConfPartDownloadedFileIntegrityFailure", "A part with another digest.";
    GLOBAL_CONF_MISSING_SIGNED_DATA_EXPIRATION_DATE = "global_conf_missing_signed_data_expiration_date", "GlobalConfMissingSignedDataExpirationDate", "A directory without expiry.";
    GLOBAL_CONF_MISSING_VERIFICATION_CERT = "global_conf_missing_verification_cert", "GlobalConfMissingVerificationCert", "A directory signed by a key that is not known.";
    GLOBAL_CONF_SIGNATURE_VERIFICATION_FAILURE = "global_conf_signature_verification_failure", "GlobalConfSignatureVerificationFailure", "A directory whose signature is not good.";
    KEY_NOT_FOUND = "key_not_found", "KeyNotFound", "No such key.";
    KEY_NOT_AVAILABLE = "key_not_available", "KeyNotAvailable", "The key cannot be used now.";
    CERT_NOT_FOUND = "cert_not_found", "CertNotFound", "No such certificate.";
    CERT_EXISTS = "cert_exists", "CertExists", "The certificate is there already.";
    CERT_IMPORT_FAILED = "cert_import_failed", "CertImportFailed", "The certificate could not be imported.";
    CSR_NOT_FOUND = "csr_not_found", "CsrNotFound", "No such request.";
    TOKEN_NOT_FOUND = "token_not_found", "TokenNotFound", "No such token.";
    TOKEN_NOT_ACTIVE = "token_not_active", "TokenNotActive", "The token is locked.";
    TOKEN_NOT_INITIALIZED = "token_not_initialized", "TokenNotInitialized", "The token has no PIN yet.";
    TOKEN_NOT_AVAILABLE = "token_not_available", "TokenNotAvailable", "The token does not answer.";
    TOKEN_READONLY = "token_readonly", "TokenReadOnly", "The token cannot be changed.";
    TOKEN_PIN_POLICY_FAILURE = "token_pin_policy_failure", "TokenPinPolicyFailure", "The PIN is too weak.";
    CANNOT_SIGN = "cannot_sign", "CannotSign", "The key did not sign.";
    UNSUPPORTED_SIGN_ALGORITHM = "unsupported_sign_algorithm", "UnsupportedSignAlgorithm", "The key has no such algorithm.";
    WRONG_CERT_USAGE = "wrong_cert_usage", "WrongCertUsage", "A certificate for another purpose.";
    PIN_INCORRECT = "pin_incorrect", "PinIncorrect", "A wrong PIN.";
    LOGIN_FAILED = "login_failed", "LoginFailed", "The token did not open.";
    LOGOUT_FAILED = "logout_failed", "LogoutFailed", "The token did not close.";
    TIMESTAMPER_FAILED = "timestamper_failed", "TimestamperFailed", "No time-stamp was got.";
}

/// The words of [`Source`], which nest in front.
const SOURCES: &[(&str, &str)] = &[
    ("client", "Client"),
    ("server", "Server"),
    ("clientproxy", "ClientProxy"),
    ("serverproxy", "ServerProxy"),
    ("opmonitor", "OpMonitor"),
    ("signer", "Signer"),
];

fn table() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    SOURCES.iter().chain(PARTS)
}

/// The part in the spelling of 7.8, whichever it came in. Words that no table
/// holds are taken apart at their capitals.
fn to_snake(part: &str, out: &mut String) {
    if let Some((new, _)) =
        table().find(|(new, old)| *new == part || old.eq_ignore_ascii_case(part))
    {
        out.push_str(new);
        return;
    }
    let mut previous_lower = false;
    for c in part.chars() {
        if c.is_uppercase() {
            if previous_lower {
                out.push('_');
            }
            out.extend(c.to_lowercase());
        } else {
            out.push(c);
        }
        previous_lower = c.is_lowercase() || c.is_ascii_digit();
    }
}

fn to_camel(part: &str, out: &mut String) {
    if let Some((_, old)) = table().find(|(new, _)| *new == part) {
        out.push_str(old);
        return;
    }
    for word in part.split('_') {
        let mut chars = word.chars();
        out.extend(chars.next().into_iter().flat_map(char::to_uppercase));
        out.push_str(chars.as_str());
    }
}

/// A whole fault code, kept in the spelling of 7.8. Two codes are equal if they
/// mean the same, in whichever style they were read (V1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FaultCode(String);

impl FaultCode {
    /// The code `code` found by `source`; `code` is a leaf or a path of several
    /// parts (`service_failed.invalid_soap`), in either style.
    ///
    /// ```
    /// use xroad_message::fault::{FaultCode, Source, Style, code};
    /// let code = FaultCode::new(Source::ServerServerProxy, code::ACCESS_DENIED);
    /// assert_eq!(code.as_str(), "server.serverproxy.access_denied");
    /// assert_eq!(code.render(Style::V77), "Server.ServerProxy.AccessDenied");
    /// ```
    pub fn new(source: Source, code: &str) -> Self {
        let mut text = String::with_capacity(source.prefix().len() + 1 + code.len());
        text.push_str(source.prefix());
        append(code, &mut text);
        Self(text)
    }

    /// The code with `service_failed` in front of its leaf: the other side of this
    /// Security Server failed.
    pub fn service_failed(source: Source, code: &str) -> Self {
        let mut this = Self::new(source, code::SERVICE_FAILED);
        append(code, &mut this.0);
        this
    }

    /// Reads a code in either style.
    pub fn parse(text: &str) -> Self {
        let mut out = String::with_capacity(text.len() + 8);
        append(text, &mut out);
        Self(out)
    }

    /// The code in the spelling of 7.8.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The code in the wanted style.
    pub fn render(&self, style: Style) -> String {
        match style {
            Style::V78 => self.0.clone(),
            Style::V77 => {
                let mut out = String::with_capacity(self.0.len());
                for part in self.0.split('.') {
                    if !out.is_empty() {
                        out.push('.');
                    }
                    to_camel(part, &mut out);
                }
                out
            }
        }
    }

    /// The last part.
    pub fn leaf(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or(&self.0)
    }

    /// Whether the code says that a server failed and not the one who asked: such
    /// REST errors are answered with status 500, others with 400 (R8).
    pub fn is_server(&self) -> bool {
        self.0.starts_with("server.")
    }

    /// The status of the HTTP answer of a REST error (R8).
    pub fn rest_status(&self) -> u16 {
        if self.is_server() { 500 } else { 400 }
    }
}

fn append(code: &str, out: &mut String) {
    for part in code.split('.') {
        if !out.is_empty() {
            out.push('.');
        }
        to_snake(part, out);
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_survives_both_styles() {
        for (new, old) in table() {
            let code = FaultCode::parse(new);
            assert_eq!(code.as_str(), *new);
            assert_eq!(code.render(Style::V77), *old);
            assert_eq!(FaultCode::parse(old), code);
        }
    }

    #[test]
    fn irregular_and_unknown_codes() {
        assert_eq!(
            FaultCode::parse("Server.ServerProxy.OutdatedGlobalConf").as_str(),
            "server.serverproxy.global_conf_outdated"
        );
        assert_eq!(
            FaultCode::parse("Server.ServerProxy.LoggingFailed.IoError").leaf(),
            "io_error"
        );
        assert_eq!(
            FaultCode::parse("Client.SomethingNew2Come").as_str(),
            "client.something_new2_come"
        );
        assert_eq!(
            FaultCode::new(Source::Client, "CODE").as_str(),
            "client.code"
        );
        assert_eq!(
            FaultCode::service_failed(Source::ServerServerProxy, code::INVALID_SOAP)
                .render(Style::V77),
            "Server.ServerProxy.ServiceFailed.InvalidSoap"
        );
        assert_eq!(FaultCode::parse("soap:Server").as_str(), "soap:server");
        assert_eq!(FaultCode::parse("").as_str(), "");
        assert_eq!(FaultCode::parse("server.clientproxy.x").rest_status(), 500);
        assert_eq!(FaultCode::parse("Client.x").rest_status(), 400);
    }
}
