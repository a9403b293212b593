//! The signing service, used by a client that is made with libraries of other people: pyHanko's client of the Cloud
//! Signature Consortium's API signs a PDF file, Authlib proves who the client is. What comes of it is judged by pdfsig and
//! by us.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

#[path = "../../scenarios/tests/signing_site/mod.rs"]
mod signing_site;

use std::process::Command;

use document_signature::{Class, Verdict, verify};
use interop::{output_of, run, script};
use serde_json::json;
use signing_site::*;
use time::OffsetDateTime;
use webauthn::SoftwareAuthenticator;

/// A page of text as a PDF file.
fn page() -> Vec<u8> {
    let content = "BT /F1 24 Tf 72 700 Td (Loan contract) Tj ET";
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << >> >>"
            .to_owned(),
        format!(
            "<< /Length {} >>\nstream\n{content}\nendstream",
            content.len()
        ),
    ];
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut table = String::from("xref\n0 5\n0000000000 65535 f \n");
    for (index, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.extend_from_slice(format!("{} 0 obj\n{object}\nendobj\n", index + 1).as_bytes());
    }
    let place = file.len();
    let end = format!("{table}trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n{place}\n%%EOF\n");
    file.extend_from_slice(end.as_bytes());
    file
}

#[tokio::test]
#[ignore = "needs Python packages and poppler-utils: cargo xtask test"]
async fn pyhanko_signs_through_the_signing_service() {
    let mut site = Site::new();
    let officer = authenticator("officer");
    site.set_up(&officer);
    site.start();
    let key = p256();
    let id = b"person".to_vec();
    secret(&site.path("person.key"), &pem(&key));
    let person = SoftwareAuthenticator::with_key(NAME, id, key, false).unwrap();
    site.enrolled(&officer, &person).await;
    std::fs::write(site.path("contract.pdf"), page()).unwrap();
    let settings = json!({
        "base": site.origin(),
        "host": NAME,
        "address": site.address.to_string(),
        "client": "bank",
        "redirect_uri": REDIRECT,
        "user": PERSON,
        "passkey": person.credential_id(),
    });
    std::fs::write(site.path("settings.json"), settings.to_string()).unwrap();
    let mut command = script("signing_client.py");
    command.arg(site.folder.path());
    let printed = tokio::task::spawn_blocking(move || run(&mut command))
        .await
        .unwrap();
    assert!(printed.ends_with("done\n"), "{printed}");
    let refused = printed
        .lines()
        .filter(|line| line.starts_with("refused "))
        .count();
    assert_eq!(refused, 3, "{printed}");

    // A time-stamp and the status of the certificate are added by us; then it is known to hold, and what kind it is.
    let list = format!(
        "[[authority]]\ncertificate = \"ca.pem\"\nqualified = [\"{}\"]\n[[time_stamping]]\ncertificate = \"ca.pem\"\n",
        ca::SignatureKind::Qualified.policy()
    );
    std::fs::write(site.path("trust.toml"), list).unwrap();
    let mut renew = Command::new(testkit::binary());
    renew
        .arg("renew")
        .arg(site.path("signed.pdf"))
        .arg("--trust")
        .arg(site.path("trust.toml"));
    renew.args(["--tsa", &format!("{}/tsa", site.authority)]);
    let said = run(&mut renew);
    let signed = std::fs::read(site.path("signed.pdf")).unwrap();
    let trust = config::read_trust_list(&site.path("trust.toml")).unwrap();
    let report = verify(&signed, Some(&trust), OffsetDateTime::now_utc());
    assert_eq!(report.verdict, Verdict::Valid, "{said}\n{report}");
    assert!(report.to_string().contains("Асанова Айгүл"), "{report}");
    assert_eq!(
        report.signatures[0].class,
        Some(Class::Qualified),
        "{report}"
    );
    let (_, said) = output_of(
        Command::new("pdfsig")
            .arg("-nocert")
            .arg(site.path("signed.pdf")),
    );
    assert!(
        said.contains("- Signature Validation: Signature is Valid."),
        "{said}"
    );
    let mut changed = signed;
    let place = changed
        .windows(13)
        .position(|part| part == b"Loan contract")
        .unwrap();
    changed[place] = b'B';
    let report = verify(&changed, Some(&trust), OffsetDateTime::now_utc());
    assert!(
        matches!(report.verdict, Verdict::Invalid { .. }),
        "{report}"
    );
}
