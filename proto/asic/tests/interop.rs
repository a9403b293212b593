//! What is written here, read by others: documents by `xmllint` with X-Road's schemas, containers
//! by `unzip`, Python and Java.
//!
//! Ignored by a bare `cargo test`, because they need programs that are not part of the project.
//! `cargo xtask test` runs them.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]

#[path = "../../../testkit/vectors.rs"]
mod vectors;

use asic::container::{BatchTimeStamp, ContainerParts, ContainerWriter, asic_manifest};
use asic::hash_chain::{BatchTree, Names, single};
use pki::issue::{Profile, Template, self_signed};
use pki::{AttributeType, Digest, DigestAlgorithm, KeyType, Name, Signer, SoftwareKey};
use std::io::Cursor;
use std::path::Path;
use std::process::{Command, Output};
use time::{Duration, OffsetDateTime};
use xmldsig::{SignatureTarget, SignatureTemplate};

fn digest(text: &str) -> Digest {
    DigestAlgorithm::Sha512.digest(text.as_bytes())
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap()
}

/// Signatures with both kinds of target, with and without certificates in between.
fn signatures() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for kind in [KeyType::EcP256, KeyType::Rsa2048] {
        let key = SoftwareKey::generate(kind).unwrap();
        let subject = Name::builder()
            .push(AttributeType::from_short_name("C").unwrap(), "KG")
            .push(
                AttributeType::from_short_name("O").unwrap(),
                "A & \"B\" <C>",
            )
            .push(AttributeType::from_short_name("CN").unwrap(), "70000001")
            .build()
            .unwrap();
        let template = Template {
            subject,
            public_key: key.public_key().clone(),
            serial: vec![1],
            not_before: now() - Duration::days(1),
            not_after: now() + Duration::days(1),
            profile: Profile::Authority,
            ocsp_url: None,
        };
        let certificate = self_signed(&template, &key).unwrap();
        for intermediates in [&[][..], &[certificate.clone(), certificate.clone()]] {
            let template = SignatureTemplate::new(
                &certificate,
                &[b"status".to_vec(), b"another".to_vec()],
                intermediates,
                key.algorithm(),
            );
            let digest = digest("message");
            for target in [
                SignatureTarget::Message(&digest),
                SignatureTarget::HashChainResult(&digest),
            ] {
                all.push(template.sign(&key, &target, now()).unwrap());
            }
        }
    }
    let stamped = xmldsig::with_time_stamp(&all[0], b"token").unwrap();
    all.push(stamped);
    all
}

fn run(command: &mut Command, missing: &str) -> Output {
    command.output().unwrap_or_else(|_| panic!("{missing}"))
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn validate(folder: &Path, schema: &str, document: &[u8]) -> Output {
    let path = folder.join("document.xml");
    std::fs::write(&path, document).unwrap();
    run(
        Command::new("xmllint")
            .args(["--noout", "--nonet", "--schema"])
            .arg(folder.join(schema))
            .arg(path),
        "xmllint is missing: apt-get install --yes libxml2-utils",
    )
}

#[test]
#[ignore = "needs xmllint; run by cargo xtask test"]
fn documents_follow_the_schemas() {
    let Some(vectors) = vectors::vectors() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (from, to) in [
        (
            "tool_asic-verifier-cli_src_main_resources_xades-schema.xsd",
            "xades-schema.xsd",
        ),
        (
            "tool_asic-verifier-cli_src_main_resources_xmldsig-core-schema.xsd",
            "xmldsig-core-schema.xsd",
        ),
        (
            "common_common-message_src_main_resources_hashchain.xsd",
            "hashchain.xsd",
        ),
    ] {
        std::fs::copy(vectors.join("schemas").join(from), folder.join(to)).unwrap();
    }
    for name in ["signatures.xsd", "manifest.xsd"] {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas");
        std::fs::copy(Path::new(own).join(name), folder.join(name)).unwrap();
    }

    let mut documents: Vec<(&str, Vec<u8>)> = Vec::new();
    documents.extend(
        signatures()
            .into_iter()
            .map(|document| ("signatures.xsd", document)),
    );
    let chain = single(&[digest("message"), digest("one"), digest("two")]);
    documents.push(("manifest.xsd", asic_manifest(&chain.result).into_bytes()));
    documents.push(("hashchain.xsd", chain.result));
    documents.push(("hashchain.xsd", chain.chain));
    for names in [Names::Signature, Names::TimeStamp] {
        for size in [1, 2, 5] {
            let mut tree = BatchTree::new(names);
            for message in 0..size {
                let parts = [digest(&message.to_string()), digest("attachment")];
                let multiple = names == Names::Signature && message % 2 == 1;
                tree.add(&parts[..1 + usize::from(multiple)]);
            }
            let chains = tree.finish().unwrap();
            documents.push(("hashchain.xsd", chains.result));
            documents.extend(
                chains
                    .chains
                    .into_iter()
                    .map(|chain| ("hashchain.xsd", chain)),
            );
        }
    }
    for (schema, document) in &documents {
        let output = validate(folder, schema, document);
        let text = String::from_utf8_lossy(document);
        assert!(output.status.success(), "{}\n{text}", said(&output));
    }
    // The schemas do say no.
    for (schema, document, change) in [
        (
            "signatures.xsd",
            &documents[0].1,
            ("<xades:MimeType>", "<xades:Other>"),
        ),
        (
            "signatures.xsd",
            &documents[0].1,
            ("<xades:SigningTime>2", "<xades:SigningTime>x"),
        ),
        (
            "hashchain.xsd",
            &documents[documents.len() - 1].1,
            ("id=\"STEP0\"", "id=\"0\""),
        ),
    ] {
        let text = String::from_utf8(document.clone()).unwrap();
        let changed = text.replace(change.0, change.1);
        assert_ne!(changed, text);
        let output = validate(folder, schema, changed.as_bytes());
        assert!(!output.status.success(), "{change:?}");
    }
}

/// A container with everything, and the names of its entries with their sizes.
fn container() -> (Vec<u8>, Vec<(String, usize)>) {
    let documents: Vec<Vec<u8>> = (1..8).map(|size| vec![b'x'; size * 100]).collect();
    let [
        message,
        signature,
        result,
        chain,
        stamp_result,
        stamp_chain,
        token,
    ] = &documents[..]
    else {
        panic!();
    };
    let parts = ContainerParts {
        message,
        signature,
        signature_chain: Some((result, chain)),
        batch_time_stamp: Some(BatchTimeStamp {
            result: stamp_result,
            chain: stamp_chain,
            token,
        }),
    };
    let mut writer = ContainerWriter::new(Cursor::new(Vec::new()), &parts, now()).unwrap();
    // The second one does not become shorter.
    let noise: Vec<u8> = (0..4000u32)
        .flat_map(|index| digest(&index.to_string()).as_ref().to_vec())
        .collect();
    for attachment in [&b"one"[..], &noise, b""] {
        writer.start_attachment(attachment.len() as u64).unwrap();
        writer.write(attachment).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let mut archive = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
    let entries = (0..archive.len())
        .map(|index| {
            let entry = archive.by_index(index).unwrap();
            (entry.name().unwrap().into_owned(), entry.size() as usize)
        })
        .collect();
    (bytes, entries)
}

/// The lines that a program says of a container: names and sizes.
fn lines(entries: &[(String, usize)]) -> String {
    entries
        .iter()
        .map(|(name, size)| format!("{name} {size}\n"))
        .collect()
}

#[test]
fn stored_entries_have_their_sizes_in_front() {
    let (bytes, entries) = container();
    assert_eq!(entries.len(), 13);
    // Whoever reads from start to end cannot find the end of a stored entry otherwise
    // (APPNOTE 4.4.4, bit 3); X-Road reads the media type so.
    assert_eq!(&bytes[..4], b"PK\x03\x04");
    let flags = u16::from_le_bytes([bytes[6], bytes[7]]);
    let method = u16::from_le_bytes([bytes[8], bytes[9]]);
    assert_eq!((flags & 8, method), (0, 0));
    // No extra field: the media type is at byte 38 (ETSI TS 102 918 annex A.1).
    assert_eq!(&bytes[28..30], [0, 0]);
}

#[test]
#[ignore = "needs unzip and python3; run by cargo xtask test"]
fn containers_are_archives_to_others() {
    let (bytes, entries) = container();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("container.asice");
    std::fs::write(&path, &bytes).unwrap();

    let unzip = run(
        Command::new("unzip").arg("-t").arg(&path),
        "unzip is missing: apt-get install --yes unzip",
    );
    assert!(unzip.status.success(), "{}", said(&unzip));
    assert!(
        said(&unzip).contains("No errors detected"),
        "{}",
        said(&unzip)
    );

    const LIST: &str = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\nassert z.comment == b'mimetype=application/vnd.etsi.asic-e+zip'\nfor e in z.infolist(): print(e.filename, len(z.read(e)))";
    let python = run(
        Command::new("python3").args(["-c", LIST]).arg(&path),
        "python3 is missing",
    );
    assert!(python.status.success(), "{}", said(&python));
    assert_eq!(String::from_utf8_lossy(&python.stdout), lines(&entries));

    // X-Road is written in Java. Not every machine that runs the tests has it.
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/java/Entries.java");
    match Command::new("java").arg(source).arg(&path).output() {
        Ok(java) => {
            assert!(java.status.success(), "{}", said(&java));
            assert_eq!(String::from_utf8_lossy(&java.stdout), lines(&entries));
        }
        Err(_) => println!("skipped: no java"),
    }
}
