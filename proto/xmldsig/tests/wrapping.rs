//! Signature wrapping: documents in which what is verified and what is used could differ.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod common;

use common::World;
use pki::{Certificate, DigestAlgorithm, KeyType};
use xmldsig::{Signature, SignatureError, SignaturePolicyRule, SignatureTarget};

fn verify(document: &str) -> Result<(), SignatureError> {
    let signature = Signature::decode(document.as_bytes())?;
    let certificate = Certificate::decode(signature.certificate_der())
        .map_err(|_| SignatureError::Malformed("certificate"))?;
    signature
        .verify_value(&certificate, SignaturePolicyRule::STRICT)
        .map(|_| ())
}

fn signed() -> String {
    let world = World::new(KeyType::EcP256);
    let digest = DigestAlgorithm::Sha512.digest(b"message");
    let target = SignatureTarget::Message(&digest);
    String::from_utf8(
        world
            .template()
            .sign(&world.member_key, &target, world.now)
            .unwrap(),
    )
    .unwrap()
}

/// The text between and including two marks.
fn cut<'d>(document: &'d str, from: &str, to: &str) -> &'d str {
    let start = document.find(from).unwrap();
    let end = document[start..].find(to).unwrap() + start + to.len();
    &document[start..end]
}

fn refused(document: &str, why: &str) {
    let error = verify(document).expect_err(why);
    assert!(
        matches!(
            error.code(),
            "malformed_signature" | "invalid_signature_value"
        ),
        "{why}: {error}"
    );
}

#[test]
fn unharmed() {
    verify(&signed()).unwrap();
}

#[test]
fn moved_and_doubled_elements() {
    let good = signed();
    let properties = cut(
        &good,
        "<xades:SignedProperties ",
        "</xades:SignedProperties>",
    );
    let forged = properties.replace("text/xml", "text/html");
    let signature = cut(&good, "<ds:Signature ", "</ds:Signature>");
    let info = cut(&good, "<ds:SignedInfo>", "</ds:SignedInfo>");
    let object = cut(&good, "<ds:Object>", "</ds:Object>");

    // The genuine properties elsewhere, forged ones in their place.
    refused(
        &good.replace(properties, &forged).replace(
            "</ds:Signature></asic:XAdESSignatures>",
            &format!("</ds:Signature>{properties}</asic:XAdESSignatures>"),
        ),
        "genuine properties beside the signature",
    );
    refused(
        &good.replace(properties, &format!("{forged}{properties}")),
        "two SignedProperties, the forged first",
    );
    refused(
        &good.replace(properties, &format!("{properties}{forged}")),
        "two SignedProperties, the forged last",
    );
    refused(
        &good
            .replace(
                properties,
                &forged.replace("\"signed-properties\"", "\"other\""),
            )
            .replace(
                object,
                &format!("{object}<ds:Object>{properties}</ds:Object>"),
            ),
        "genuine properties in another object",
    );
    let hidden = format!(
        "<xades:SignedProperties Id=\"x\">{}<x>{properties}</x></xades:SignedProperties>",
        forged
            .split_once('>')
            .unwrap()
            .1
            .strip_suffix("</xades:SignedProperties>")
            .unwrap()
    );
    refused(
        &good.replace(properties, &hidden),
        "genuine properties inside of forged ones",
    );

    // Second signatures.
    refused(
        &good.replace(signature, &format!("{signature}{signature}")),
        "the same signature twice",
    );
    let other = signature
        .replace("Id=\"", "Id=\"b-")
        .replace("\"#", "\"#b-");
    refused(
        &good.replace(signature, &format!("{other}{signature}")),
        "another signature first",
    );
    refused(
        &good.replace(signature, &format!("{signature}{other}")),
        "another signature last",
    );
    refused(
        &good.replace("</ds:Object>", &format!("{other}</ds:Object>")),
        "a signature inside of the object",
    );
    refused(
        &good.replace("<ds:KeyInfo>", &format!("<ds:KeyInfo>{other}")),
        "a signature inside of KeyInfo",
    );

    // SignedInfo.
    refused(
        &good.replace(info, &format!("{info}{info}")),
        "SignedInfo twice",
    );
    refused(
        &good.replace(
            info,
            &format!("{}{info}", info.replace("/message.xml", "/other.xml")),
        ),
        "a forged SignedInfo first",
    );
    refused(&good.replace(info, ""), "no SignedInfo");
    refused(&good.replace(object, ""), "no Object");
    refused(
        &good.replace(object, &format!("{object}<ds:Object/>")),
        "an empty second Object",
    );
    refused(&good.replace(properties, ""), "no SignedProperties");
}

#[test]
fn ambiguous_ids() {
    let good = signed();
    refused(
        &good.replace("<ds:KeyInfo>", "<ds:KeyInfo Id=\"signed-properties\">"),
        "the Id of the properties on KeyInfo",
    );
    refused(
        &good.replace("<ds:KeyInfo>", "<ds:KeyInfo id=\"signed-properties\">"),
        "the Id of the properties in lower case",
    );
    refused(
        &good.replace("<ds:KeyInfo>", "<ds:KeyInfo xml:id=\"signed-properties\">"),
        "the Id of the properties as xml:id",
    );
    refused(
        &good.replace("<ds:KeyInfo>", "<ds:KeyInfo Id=\"signed&#45;properties\">"),
        "the Id of the properties with a reference",
    );
    refused(
        &good.replace("Id=\"ocsp-response-1\"", "Id=\"signature\""),
        "the signature's Id twice",
    );
    refused(
        &good.replace("Target=\"#signature\"", "Target=\"#other\""),
        "another target",
    );
}

#[test]
fn references_elsewhere() {
    let good = signed();
    for (from, to, why) in [
        (
            "URI=\"#signed-properties\"",
            "URI=\"#signature-value\"",
            "properties elsewhere",
        ),
        (
            "URI=\"#signed-properties\"",
            "URI=\"\"",
            "the whole document",
        ),
        (
            "URI=\"#signed-properties\"",
            "URI=\"#xpointer(id('signed-properties'))\"",
            "a pointer",
        ),
        ("01903#SignedProperties", "01903#Other", "another type"),
        (
            "URI=\"/message.xml\"",
            "URI=\"#signature\"",
            "a part inside of the document",
        ),
        ("URI=\"/message.xml\"", "", "no URI"),
        (
            "<ds:DigestValue>",
            "<ds:DigestValue><!---->",
            "a comment in a digest",
        ),
        (
            "urn:oid:1.3.6",
            "urn:oid:1.3.<!-- -->6",
            "a comment in the policy",
        ),
        ("urn:oid:1.3.6", "urn:oid:1.3.7", "another policy"),
        (
            "<ds:Reference Id=\"signature-reference-0\" URI=\"/message.xml\">",
            "<ds:Reference Id=\"signature-reference-0\" URI=\"/message.xml\"><ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#base64\"/></ds:Transforms>",
            "a transform of the message",
        ),
        (
            "xmlenc#sha512\"></ds:DigestMethod><ds:DigestValue>",
            "xmlenc#sha512\"><x/></ds:DigestMethod><ds:DigestValue>",
            "parameters of a digest",
        ),
        (
            "REC-xml-c14n-20010315\"",
            "REC-xml-c14n-20010315#WithComments\"",
            "canonical form with comments",
        ),
        ("?><asic", "?><!DOCTYPE x><asic", "a DOCTYPE"),
        (
            "<ds:KeyInfo>",
            "<ds:KeyInfo><!-- -->&amp;<x:y/>",
            "an undeclared prefix",
        ),
        (
            "http://uri.etsi.org/01903/v1.3.2#",
            "http://uri.etsi.org/01903/v1.4.1#",
            "other XAdES",
        ),
    ] {
        assert!(good.contains(from), "{why}");
        refused(&good.replace(from, to), why);
    }
    let reference = cut(
        &good,
        "<ds:Reference Id=\"signature-reference-0\"",
        "</ds:Reference>",
    );
    refused(
        &good.replace(
            reference,
            &format!("{reference}{}", reference.replace("-0", "-9")),
        ),
        "the message referenced twice",
    );
    refused(&good.replace(reference, ""), "the message not referenced");
    let own = cut(
        &good,
        "<ds:Reference Id=\"signature-reference-1\"",
        "</ds:Reference>",
    );
    refused(&good.replace(own, ""), "the properties not referenced");
    refused(
        &good.replace(
            own,
            &format!("{own}{}", own.replace("reference-1", "reference-9")),
        ),
        "the properties referenced twice",
    );
}

#[test]
fn sha1_is_refused_unless_allowed() {
    let good = signed();
    let weak = good.replace("xmlenc#sha512\"></ds:DigestMethod><ds:DigestValue>", "@@");
    let weak = weak.replacen(
        "@@",
        "xmlenc#sha512\"></ds:DigestMethod><ds:DigestValue>",
        1,
    );
    let weak = weak.replace(
        "http://www.w3.org/2001/04/@@",
        "http://www.w3.org/2000/09/xmldsig#sha1\"></ds:DigestMethod><ds:DigestValue>",
    );
    let signature = Signature::decode(weak.as_bytes()).unwrap();
    let certificate = Certificate::decode(signature.certificate_der()).unwrap();
    let error = signature
        .clone()
        .verify_value(&certificate, SignaturePolicyRule::STRICT)
        .unwrap_err();
    assert!(matches!(error, SignatureError::Algorithm(_)), "{error}");
    let error = signature
        .verify_value(&certificate, SignaturePolicyRule::STRICT.sha1_allowed())
        .unwrap_err();
    assert!(!matches!(error, SignatureError::Algorithm(_)), "{error}");
}
