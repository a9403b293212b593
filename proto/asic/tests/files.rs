//! Containers with any files: signed here, read here; other programs read them in `tests/interop`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

use asic::files::{File, Files, FilesError, uri_of};
use pki::issue::{Profile, Template, self_signed};
use pki::tsp::{Request, Stamp, build_token};
use pki::{
    AttributeType, Certificate, DigestAlgorithm, KeyType, Name, SignatureAlgorithm, Signer as _,
    SoftwareKey,
};
use std::io::{Cursor, Write as _};
use time::OffsetDateTime;
use time::macros::datetime;
use xmldsig::baseline::{self, Baseline, StampKind};
use xmldsig::{SignatureError, SignaturePolicyRule};

const NOW: OffsetDateTime = datetime!(2026-11-25 08:00 UTC);
const RULE: SignaturePolicyRule = SignaturePolicyRule::STRICT;

struct Person {
    key: SoftwareKey,
    certificate: Certificate,
}

fn person(key_type: KeyType, algorithm: SignatureAlgorithm, profile: Profile) -> Person {
    let key = SoftwareKey::generate(key_type)
        .unwrap()
        .with_algorithm(algorithm)
        .unwrap();
    let template = Template {
        subject: Name::builder()
            .push(AttributeType::CommonName, "Асан <Үсөнов>")
            .build()
            .unwrap(),
        public_key: key.public_key().clone(),
        serial: vec![5],
        not_before: datetime!(2026-01-01 0:00 UTC),
        not_after: datetime!(2036-01-01 0:00 UTC),
        profile,
        ocsp_url: None,
    };
    let certificate = self_signed(&template, &key).unwrap();
    Person { key, certificate }
}

fn signer() -> Person {
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    person(KeyType::EcP256, algorithm, Profile::Signing)
}

fn file(name: &str, bytes: &[u8]) -> File {
    File {
        name: name.to_owned(),
        media_type: "text/plain".to_owned(),
        bytes: bytes.to_vec(),
    }
}

fn files() -> Files {
    Files::new(vec![
        file("contract.txt", b"the contract"),
        file("Тиркеме № 1 & more.txt", b"an annex"),
        file("folder/data.bin", &[0, 1, 2, 255]),
    ])
    .unwrap()
}

fn sign(files: &mut Files, person: &Person) {
    let algorithm = person.key.algorithm();
    let prepared = files
        .prepare(
            DigestAlgorithm::Sha256,
            &person.certificate,
            &[],
            algorithm,
            NOW,
        )
        .unwrap();
    assert_eq!(
        prepared.digest(),
        algorithm.digest().digest(prepared.to_be_signed())
    );
    let value = person.key.sign(prepared.to_be_signed()).unwrap();
    files.add_signature(prepared.finish(&value).unwrap());
}

/// Value and coverage of every signature of a container.
fn verdict(container: &[u8]) -> Result<usize, String> {
    let files = Files::open(container).map_err(|error| error.to_string())?;
    let mut count = 0;
    for (_, document) in files.signatures() {
        let signature = Baseline::decode(document).map_err(|error| error.to_string())?;
        let certificate = Certificate::decode(signature.signature().certificate_der())
            .map_err(|error| error.to_string())?;
        let value = signature.signature().clone();
        value
            .verify_value(&certificate, RULE)
            .map_err(|error| error.to_string())?;
        files
            .check_covered(&signature)
            .map_err(|error| error.to_string())?;
        count += 1;
    }
    if count == 0 {
        return Err("not signed".to_owned());
    }
    Ok(count)
}

#[test]
fn every_kind_of_key_signs_any_files() {
    use DigestAlgorithm::{Sha256, Sha512};
    for (key_type, algorithm) in [
        (KeyType::EcP256, SignatureAlgorithm::Ecdsa(Sha256)),
        (KeyType::Rsa2048, SignatureAlgorithm::RsaPkcs1(Sha512)),
        (KeyType::Rsa2048, SignatureAlgorithm::RsaPss(Sha256)),
    ] {
        let mut files = files();
        sign(&mut files, &person(key_type, algorithm, Profile::Signing));
        let container = files.write(NOW).unwrap();
        assert_eq!(verdict(&container), Ok(1), "{algorithm:?}");
        let again = Files::open(&container).unwrap();
        assert_eq!(again, files);
        // A second person signs the same files.
        let mut again = again;
        sign(&mut again, &signer());
        assert_eq!(verdict(&again.write(NOW).unwrap()), Ok(2));
    }
}

#[test]
fn the_value_of_another_key_makes_no_signature() {
    let (one, two) = (signer(), signer());
    let prepared = files()
        .prepare(
            DigestAlgorithm::Sha256,
            &one.certificate,
            std::slice::from_ref(&two.certificate),
            one.key.algorithm(),
            NOW,
        )
        .unwrap();
    let value = two.key.sign(prepared.to_be_signed()).unwrap();
    assert!(matches!(
        prepared.finish(&value),
        Err(SignatureError::Value(_))
    ));
}

#[test]
fn every_prefix_and_every_change_is_refused() {
    let mut files = files();
    sign(&mut files, &signer());
    let container = files.write(NOW).unwrap();
    for cut in 0..container.len() {
        assert!(verdict(&container[..cut]).is_err(), "{cut}");
    }
    // Data in front of the archive, which readers from the end would not see.
    assert!(verdict(&[b"x", container.as_slice()].concat()).is_err());

    let changed = |change: &dyn Fn(&mut Vec<File>)| {
        let mut list = files.files().to_vec();
        change(&mut list);
        let mut changed = Files::new(list).unwrap();
        for (_, signature) in files.signatures() {
            changed.add_signature(signature.to_vec());
        }
        verdict(&changed.write(NOW).unwrap()).unwrap_err()
    };
    let reason = changed(&|list| list[1].bytes.push(b'!'));
    assert!(reason.contains("digest of Тиркеме"), "{reason}");
    let reason = changed(&|list| list.push(file("more.txt", b"not signed")));
    assert!(reason.contains("does not cover more.txt"), "{reason}");
    let reason = changed(&|list| drop(list.remove(0)));
    assert!(reason.contains("not there"), "{reason}");
    let reason = changed(&|list| list[0].name = "Contract.txt".to_owned());
    assert!(reason.contains("not there"), "{reason}");
    let reason = changed(&|list| {
        let bytes = std::mem::take(&mut list[0].bytes);
        list[0].bytes = std::mem::replace(&mut list[1].bytes, bytes);
    });
    assert!(reason.contains("digest of"), "{reason}");

    // Each octet of the signature document.
    let (_, document) = files.signatures().next().unwrap();
    let document = document.to_vec();
    let mut unnoticed = Vec::new();
    for at in 0..document.len() {
        let mut other = document.clone();
        other[at] ^= 1;
        let mut forged = Files::new(files.files().to_vec()).unwrap();
        forged.add_signature(other);
        if verdict(&forged.write(NOW).unwrap()).is_ok() {
            unnoticed.push(at);
        }
    }
    // Only what no signature of this kind covers: the declaration, and names that mean nothing.
    let text = String::from_utf8(document.clone()).unwrap();
    for at in unnoticed {
        let free = ["<?xml", "Id=\"signature-value\""].iter().any(|word| {
            let start = text.find(word).unwrap();
            (start..start + 45).contains(&at)
        });
        assert!(free, "{at}: {}", &text[at.saturating_sub(20)..at + 20]);
    }
}

/// Puts bytes into a zip archive and moves what the directory says of the places behind them.
fn with_inserted(archive: &[u8], place: usize, bytes: &[u8]) -> Vec<u8> {
    let moved = u32::try_from(bytes.len()).unwrap();
    let mut all = [&archive[..place], bytes, &archive[place..]].concat();
    let read = |all: &[u8], at: usize| u32::from_le_bytes(all[at..at + 4].try_into().unwrap());
    let end = all.len() - 22;
    let mut at = read(&all, end + 16) as usize + bytes.len();
    all[end + 16..end + 20].copy_from_slice(&u32::try_from(at).unwrap().to_le_bytes());
    while at < end {
        let start = read(&all, at + 42);
        if start as usize >= place {
            all[at + 42..at + 46].copy_from_slice(&(start + moved).to_le_bytes());
        }
        let lengths =
            [28, 30, 32].map(|field| u16::from_le_bytes([all[at + field], all[at + field + 1]]));
        at += 46 + lengths.map(usize::from).iter().sum::<usize>();
    }
    all
}

#[test]
fn who_reads_a_container_from_its_start_sees_what_others_see() {
    let mut signed = files();
    sign(&mut signed, &signer());
    let container = signed.write(NOW).unwrap();
    verdict(&container).unwrap();
    let name = container
        .windows(12)
        .position(|window| window == b"contract.txt")
        .unwrap();
    let header = name - 30;
    let refused = |bytes: &[u8], why: &str| {
        let error = verdict(bytes).unwrap_err();
        assert!(error.contains(why), "{error}");
    };
    // An entry that only those find who go from header to header.
    let mut hidden = container[header..name + 12].to_vec();
    hidden[8..10].fill(0);
    for size in [18, 22] {
        hidden[size..size + 4].copy_from_slice(&4_u32.to_le_bytes());
    }
    hidden.extend_from_slice(b"evil");
    let directory = container.len() - 22 + 16;
    let directory = u32::from_le_bytes(container[directory..directory + 4].try_into().unwrap());
    for place in [header, directory as usize] {
        refused(
            &with_inserted(&container, place, &hidden),
            "belong to no entry",
        );
    }
    refused(&[container.as_slice(), b"x"].concat(), "belong to no entry");
    // A header that says another method, or another length, than the directory.
    for (field, value) in [(8, 0_u16), (18, 5), (6, 1)] {
        let mut other = container.clone();
        other[header + field..header + field + 2].copy_from_slice(&value.to_le_bytes());
        refused(&other, "described in two ways");
    }
    // Another name for those who know that extension.
    let extra = b"\x75\x70\x0d\0\x01\0\0\0\0evil.txt";
    let mut named = with_inserted(&container, name + 12, extra);
    named[header + 28] = u8::try_from(extra.len()).unwrap();
    refused(&named, "two names");
}

#[test]
fn what_programs_understand_differently_is_no_container() {
    for name in [
        "",
        "/a",
        "a//b",
        "../a",
        "a/../b",
        "./a",
        "a\\b",
        "c:a",
        "mimetype",
        "META-INF/a",
        "meta-inf/a",
        "a\0b",
        "a\nb",
        &"n".repeat(256),
    ] {
        let refused = Files::new(vec![file(name, b"")]);
        assert!(matches!(refused, Err(FilesError::Name(_))), "{name}");
    }
    let twice = Files::new(vec![file("A", b"1"), file("a", b"2")]);
    assert!(matches!(twice, Err(FilesError::Ambiguous(_))));
    assert_eq!(Files::new(Vec::new()), Err(FilesError::Empty));
    assert_eq!(uri_of("a b/ө.txt"), "a%20b/%D3%A9.txt");

    // Another name in the local header than in the directory.
    let mut signed = files();
    sign(&mut signed, &signer());
    let mut container = signed.write(NOW).unwrap();
    let at = container
        .windows(12)
        .position(|w| w == b"contract.txt")
        .unwrap();
    container[at] = b'k';
    assert!(verdict(&container).unwrap_err().contains("two names"));

    // mimetype missing, not first, or another; something unknown beside the signatures.
    let zip = |entries: &[(&str, &[u8])]| {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            zip.start_file(*name, zip::write::SimpleFileOptions::default())
                .unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let kind = asic::container::MEDIA_TYPE.as_bytes();
    for entries in [
        vec![("a", &b"a"[..])],
        vec![("a", b"a"), ("mimetype", kind)],
        vec![("mimetype", b"application/zip"), ("a", b"a")],
    ] {
        assert_eq!(Files::open(&zip(&entries)), Err(FilesError::MimeType));
    }
    let unknown = zip(&[("mimetype", kind), ("a", b"a"), ("META-INF/x.p7s", b"")]);
    assert!(matches!(Files::open(&unknown), Err(FilesError::Name(_))));
    assert_eq!(
        Files::open(&zip(&[("mimetype", kind)])),
        Err(FilesError::Empty)
    );
    assert!(matches!(
        Files::open(b"PK\x03\x04"),
        Err(FilesError::Damaged(_))
    ));
}

#[test]
fn time_stamps_cover_what_was_there_before_them() {
    let tsa = person(
        KeyType::EcP256,
        SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
        Profile::TimeStamping,
    );
    let token = |digest| {
        let stamp = Stamp {
            policy: "1.2.3",
            serial: &[1],
            time: NOW,
            accuracy_seconds: 1,
        };
        let request = Request::new(DigestAlgorithm::Sha256, digest);
        build_token(&request, &stamp, &tsa.certificate, &tsa.key).unwrap()
    };
    let mut files = files();
    sign(&mut files, &signer());
    let algorithm = DigestAlgorithm::Sha256;
    let hash = |uri: &str, hasher: &mut pki::Hasher| files.hash(uri, hasher);
    let (_, plain) = files.signatures().next().unwrap();
    let stamped = baseline::with_time_stamp(
        plain,
        &token(baseline::value_digest(plain, algorithm).unwrap()),
    )
    .unwrap();
    let certificate = tsa.certificate.der().to_vec();
    let with_data = |signature: &[u8], status: &[u8]| {
        let certificates = std::slice::from_ref(&certificate);
        baseline::with_validation_data(signature, certificates, &[status.to_vec()]).unwrap()
    };
    let archived = |signature: &[u8]| {
        let digest = baseline::archive_digest(signature, algorithm, &hash).unwrap();
        baseline::with_archive_time_stamp(signature, &token(digest)).unwrap()
    };
    let long = with_data(&stamped, b"status 1");
    let once = archived(&long);
    let twice = archived(&with_data(&once, b"status 2"));
    let signature = Baseline::decode(&twice).unwrap();
    assert_eq!(
        signature.ocsp_responses(),
        [b"status 1".to_vec(), b"status 2".to_vec()]
    );
    let stamps: Vec<_> = signature
        .stamps()
        .iter()
        .map(|stamp| {
            let token = pki::tsp::Token::decode(stamp.token()).unwrap();
            let holds = stamp.digest(algorithm, &hash) == Some(*token.imprint().1);
            (stamp.kind(), stamp.covered_ocsp_responses(), holds)
        })
        .collect();
    assert_eq!(
        stamps,
        [
            (StampKind::Signature, 0, true),
            (StampKind::Archive, 1, true),
            (StampKind::Archive, 2, true),
        ]
    );
    // Something slipped in before the second archive stamp breaks that one and no other.
    let text = String::from_utf8(twice).unwrap();
    let at = text.rfind("<xades141:ArchiveTimeStamp").unwrap();
    let mut forged = text.clone();
    forged.insert_str(at, "<x:y xmlns:x=\"urn:x\"></x:y>");
    let forged = Baseline::decode(forged.as_bytes()).unwrap();
    let holds: Vec<bool> = forged
        .stamps()
        .iter()
        .map(|stamp| {
            let token = pki::tsp::Token::decode(stamp.token()).unwrap();
            stamp.digest(algorithm, &hash) == Some(*token.imprint().1)
        })
        .collect();
    assert_eq!(holds, [true, true, false]);
    // A file that is not there cannot be stamped.
    let nothing = |_: &str, _: &mut pki::Hasher| false;
    assert!(baseline::archive_digest(&long, algorithm, &nothing).is_err());
    assert_eq!(signature.stamps()[1].digest(algorithm, &nothing), None);
    // Time-stamps that list what they cover are another profile.
    let listed = text.replacen(
        "<xades:SignatureTimeStamp xmlns:xades=\"http://uri.etsi.org/01903/v1.3.2#\">",
        "<xades:SignatureTimeStamp><xades:Include URI=\"#signature-value\"/>",
        1,
    );
    assert!(Baseline::decode(listed.as_bytes()).is_err());
}
