//! `tunduk renew` against the trust services of a test network, over HTTP.

use std::path::Path;
use std::process::Command;

use asic::files::File;
use document_signature::{
    Authority, Level, PreparedDocument, SigningCertificate, Trust, Verdict, verify,
};
use pades::sign::Statement;
use pki::{AttributeType, DigestAlgorithm, KeyType, Name, SignatureAlgorithm, Signer, SoftwareKey};
use time::OffsetDateTime;
use transport::validation_data::Sources;
use transport::{HttpClient, PoolLimits};
use trust_server::{NewTrustStore, Profile, RevocationReason, TrustServerSettings, TrustStore};

#[path = "../../domain/document-signature/tests/common/mod.rs"]
#[allow(clippy::unwrap_used)]
mod world;

const POLICY: &str = "1.2.3.4.2.2";

struct Run {
    status: Option<i32>,
    text: String,
}

async fn renew(arguments: Vec<String>) -> Run {
    tokio::task::spawn_blocking(move || {
        let output = Command::new(env!("CARGO_BIN_EXE_tunduk"))
            .arg("renew")
            .args(arguments)
            .output()
            .expect("the binary runs");
        Run {
            status: output.status.code(),
            text: format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    })
    .await
    .expect("it ran")
}

fn word(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_get_what_makes_them_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    let listen = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .expect("a free port");
    let new = NewTrustStore {
        ocsp_url: Some(format!("http://{listen}/ocsp")),
        ..NewTrustStore::for_instance("KG", KeyType::EcP256).expect("settings")
    };
    let store = TrustStore::create(&place("trust"), &new).expect("a trust store");
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    let key = SoftwareKey::generate(KeyType::EcP256)
        .and_then(|key| key.with_algorithm(algorithm))
        .expect("a key");
    let subject = Name::builder()
        .push(AttributeType::CommonName, "Асан Үсөнов")
        .build()
        .expect("a name");
    let profile = Profile::Person {
        policies: vec![POLICY.to_owned()],
    };
    let certificate = store
        .issue(profile, subject, key.public_key())
        .expect("a certificate");
    let root = store.ca_certificate().clone();
    std::fs::write(place("root.pem"), root.to_pem()).expect("written");
    let list = format!(
        "[[authority]]\ncertificate = \"root.pem\"\nqualified = [\"{POLICY}\"]\n[[time_stamping]]\ncertificate = \"root.pem\"\n"
    );
    std::fs::write(place("trust.toml"), list).expect("written");
    let trust = Trust {
        authorities: vec![Authority {
            certificate: root.clone(),
            simple: Vec::new(),
            qualified: vec![POLICY.to_owned()],
        }],
        time_stampers: vec![root],
        weakened: Vec::new(),
    };

    let signer = SigningCertificate {
        certificate: certificate.clone(),
        chain: Vec::new(),
        algorithm,
    };
    let sign = |prepared: PreparedDocument| {
        let value = key.sign(prepared.to_be_signed()).expect("a value");
        let signed = prepared.finish(&value).expect("signed");
        signed.into_bytes().expect("a document")
    };
    let now = OffsetDateTime::now_utc();
    let pdf = PreparedDocument::pdf(&world::page(), &signer, &Statement::default(), now);
    let pdf = sign(pdf.expect("prepared"));
    let files = vec![File {
        name: "a.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        bytes: b"a".to_vec(),
    }];
    let container = sign(PreparedDocument::files(files, &signer, now).expect("prepared"));

    let (started, address) = tokio::sync::oneshot::channel();
    let settings = TrustServerSettings::new(store.path().to_owned(), listen);
    let server = tokio::spawn(trust_server::run(
        settings,
        std::future::pending(),
        |address| started.send(address).expect("somebody waits"),
    ));
    let address = address.await.expect("an address");
    let arguments = |files: &[&str]| {
        let mut all: Vec<String> = files.iter().map(|name| word(&place(name))).collect();
        all.extend([
            "--trust".to_owned(),
            word(&place("trust.toml")),
            "--tsa".to_owned(),
            format!("http://{address}/tsa"),
        ]);
        all
    };

    let broken = &pdf[..pdf.len() / 2];
    for (name, document) in [
        ("a.pdf", pdf.as_slice()),
        ("b.asice", &container),
        ("broken.pdf", broken),
    ] {
        std::fs::write(place(name), document).expect("written");
    }
    let run = renew(arguments(&["a.pdf", "broken.pdf", "b.asice"])).await;
    assert_eq!(run.status, Some(1), "{}", run.text);
    assert!(
        run.text.contains("broken.pdf: it is not valid"),
        "{}",
        run.text
    );
    assert_eq!(std::fs::read(place("broken.pdf")).expect("read"), broken);
    let mut renewed = Vec::new();
    for name in ["a.pdf", "b.asice"] {
        let document = std::fs::read(place(name)).expect("read");
        let report = verify(&document, Some(&trust), OffsetDateTime::now_utc());
        assert_eq!(report.verdict, Verdict::Valid, "{}{report}", run.text);
        assert_eq!(report.signatures[0].level, Level::LTA);
        renewed.push(document);
    }
    // Nothing is done twice; with a margin beyond the authority's own certificate nothing can be done.
    let run = renew(arguments(&["a.pdf", "b.asice"])).await;
    assert_eq!(run.status, Some(0), "{}", run.text);
    assert_eq!(
        run.text.matches("nothing to do (good until").count(),
        2,
        "{}",
        run.text
    );
    let mut wide = arguments(&["a.pdf"]);
    wide.extend(["--margin-days".to_owned(), "20000".to_owned()]);
    let run = renew(wide).await;
    assert_eq!(run.status, Some(1), "{}", run.text);
    for (name, document) in ["a.pdf", "b.asice"].iter().zip(&renewed) {
        assert_eq!(std::fs::read(place(name)).expect("read"), *document);
    }

    // Signed and stamped, then the person revokes the certificate; and another one that is stamped only afterwards.
    let client = HttpClient::new(PoolLimits::default()).expect("a client");
    let sources = Sources::new(client, format!("http://{address}/tsa"));
    let stamped = async || {
        let now = OffsetDateTime::now_utc();
        let prepared = PreparedDocument::pdf(&world::page(), &signer, &Statement::default(), now);
        let prepared = prepared.expect("prepared");
        let value = key.sign(prepared.to_be_signed()).expect("a value");
        let signed = prepared.finish(&value).expect("signed");
        let request = signed.time_stamp_request(DigestAlgorithm::Sha256);
        let token = sources.stamp(request.expect("a request")).await;
        let stamped = signed.with_time_stamp(&token.expect("a time-stamp"));
        stamped.expect("stamped").into_bytes().expect("a document")
    };
    let before = stamped().await;
    // Times are in whole seconds, and a signature of the second of the revocation does not count.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    store
        .revoke(&certificate, RevocationReason::KeyCompromise)
        .expect("revoked");
    let after = stamped().await;
    std::fs::write(place("before.pdf"), &before).expect("written");
    std::fs::write(place("after.pdf"), &after).expect("written");
    let run = renew(arguments(&["before.pdf", "after.pdf"])).await;
    assert_eq!(run.status, Some(1), "{}", run.text);
    assert!(run.text.contains("before.pdf: renewed"), "{}", run.text);
    assert!(
        run.text
            .contains("after.pdf: its renewed form would be invalid")
            && run.text.contains("was revoked"),
        "{}",
        run.text
    );
    let report = verify(
        &std::fs::read(place("before.pdf")).expect("read"),
        Some(&trust),
        OffsetDateTime::now_utc(),
    );
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
    // The status that the document brings along is that it was revoked, later.
    assert!(report.signatures[0].revoked_later.is_some(), "{report}");
    assert!(report.to_string().contains("revoked later"), "{report}");

    // A document of somebody whose certificate was revoked before anything proved when it was signed.
    std::fs::write(place("late.pdf"), &pdf).expect("written");
    let run = renew(arguments(&["late.pdf"])).await;
    assert_eq!(run.status, Some(1), "{}", run.text);
    assert!(run.text.contains("was revoked"), "{}", run.text);
    assert_eq!(std::fs::read(place("late.pdf")).expect("read"), pdf);
    // Those that were renewed before stay valid.
    let report = verify(&renewed[0], Some(&trust), OffsetDateTime::now_utc());
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
    server.abort();
    // Without the services nothing changes either.
    let run = renew(arguments(&["late.pdf"])).await;
    assert_eq!(run.status, Some(1), "{}", run.text);
}
