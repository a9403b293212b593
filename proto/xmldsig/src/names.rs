//! Names of the signature profile (PR-SIGDOC, ETSI TS 101 903 v1.3.2, ETSI TS 102 918).

/// XML-DSig.
pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// XAdES 1.3.2.
pub(crate) const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
/// ASiC, as X-Road writes it.
pub(crate) const ASIC: &str = "http://uri.etsi.org/02918/v1.2.1#";
/// ASiC, as other versions of X-Road and of the standard wrote it.
pub(crate) const ASIC_OTHERS: [&str; 2] = [
    "http://uri.etsi.org/02918/v1.1.1#",
    "http://uri.etsi.org/2918/v1.2.1#",
];
/// The type of the reference to the signed properties.
pub(crate) const SIGNED_PROPERTIES_TYPE: &str = "http://uri.etsi.org/01903#SignedProperties";
/// X-Road's signature policy (S6).
pub(crate) const POLICY_IDENTIFIER: &str = "urn:oid:1.3.6.1.4.1.3516.16.2";
/// The policy's description.
pub(crate) const POLICY_DESCRIPTION: &str =
    "Profile for High Performance Digital Signatures (version 1.2)";
/// The SHA-512 digest of the policy document.
pub(crate) const POLICY_DIGEST: &str =
    "BuO0EDNfkxSVlUbxCzmQPzX1AUF1/xx9ytWHk3/6SAOePxQiniEfDYk+90QeYb3lWpV3Izhuz9fKaYyE+lTcXw==";
/// Where the policy document was published.
pub(crate) const POLICY_LOCATION: &str = "https://repo.cyber.ee/dsig-profile-1.2.pdf";

/// The name of the message part, as references write it.
pub const MESSAGE: &str = "/message.xml";
/// The name of the signed hash chain result, as references write it.
pub const HASH_CHAIN_RESULT: &str = "/sig-hashchainresult.xml";
