//! Names of the signature profile (PR-SIGDOC, ETSI TS 101 903 v1.3.2, ETSI TS 102 918).

/// XML-DSig.
pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// XAdES 1.3.2.
pub(crate) const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
/// XAdES 1.4.1: archive time-stamps and their validation data.
pub(crate) const XADES141: &str = "http://uri.etsi.org/01903/v1.4.1#";
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
/// The same digest as bytes.
pub(crate) const POLICY_DIGEST_BYTES: [u8; 64] = [
    0x06, 0xe3, 0xb4, 0x10, 0x33, 0x5f, 0x93, 0x14, 0x95, 0x95, 0x46, 0xf1, 0x0b, 0x39, 0x90, 0x3f,
    0x35, 0xf5, 0x01, 0x41, 0x75, 0xff, 0x1c, 0x7d, 0xca, 0xd5, 0x87, 0x93, 0x7f, 0xfa, 0x48, 0x03,
    0x9e, 0x3f, 0x14, 0x22, 0x9e, 0x21, 0x1f, 0x0d, 0x89, 0x3e, 0xf7, 0x44, 0x1e, 0x61, 0xbd, 0xe5,
    0x5a, 0x95, 0x77, 0x23, 0x38, 0x6e, 0xcf, 0xd7, 0xca, 0x69, 0x8c, 0x84, 0xfa, 0x54, 0xdc, 0x5f,
];
/// Where the policy document was published.
pub(crate) const POLICY_LOCATION: &str = "https://repo.cyber.ee/dsig-profile-1.2.pdf";

/// The name of the message part, as references write it.
pub const MESSAGE: &str = "/message.xml";
/// The name of the signed hash chain result, as references write it.
pub const HASH_CHAIN_RESULT: &str = "/sig-hashchainresult.xml";

#[cfg(test)]
mod tests {
    use super::{POLICY_DIGEST, POLICY_DIGEST_BYTES};

    #[test]
    fn the_policy_digest_is_the_same_in_both_forms() {
        assert_eq!(
            crate::base64_text::decode(POLICY_DIGEST).as_deref(),
            Some(&POLICY_DIGEST_BYTES[..])
        );
    }
}
