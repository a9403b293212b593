//! Signed documents: what we sign is judged by pdfsig, pyHanko, xmlsec1, signxml and `openssl ts`; what pyHanko signs is
//! judged by us; and what was changed fails in all of them.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use document_signature::{Class, Level, Verdict, verify};
use interop::{output_of, run, script};
use pki::pem;
use serde_json::Value;
use time::macros::datetime;

#[path = "../../../domain/document-signature/tests/common/mod.rs"]
mod world;

use world::{Holder, NOW, QUALIFIED, World, files, minutes, page};

/// A world with its certificates and keys in files.
struct Stand {
    world: World,
    folder: tempfile::TempDir,
}

impl Stand {
    fn new() -> Stand {
        let world = World::new(&[QUALIFIED]);
        let folder = tempfile::tempdir().unwrap();
        // pyHanko's own time-stamper for tests knows no other keys.
        let (start, end) = (
            datetime!(2026-06-01 0:00 UTC),
            datetime!(2046-06-01 0:00 UTC),
        );
        let rsa_tsa = world.rsa_tsa(start, end);
        for (name, holder) in [
            ("root", &world.root),
            ("person", &world.person),
            ("tsa", &world.tsa),
            ("rsa_tsa", &rsa_tsa),
        ] {
            let write = |kind: &str, text: String| {
                std::fs::write(folder.path().join(format!("{name}.{kind}")), text).unwrap();
            };
            write("pem", holder.certificate.to_pem());
            write("key", key(holder));
        }
        Stand { world, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn moment(&self) -> String {
        NOW.unix_timestamp().to_string()
    }

    /// What `documents.py` says about these files, by name.
    fn judged(&self, kind: &str, names: &[&str]) -> BTreeMap<String, Value> {
        let mut command = script("documents.py");
        command
            .arg(kind)
            .arg(self.path("root.pem"))
            .arg(self.path("tsa.pem"))
            .arg(self.moment())
            .args(names.iter().map(|name| self.path(name)));
        lines(&run(&mut command))
    }

    fn verdict(&self, document: &[u8]) -> Verdict {
        verify(document, Some(&self.world.trust()), NOW).verdict
    }
}

fn key(holder: &Holder) -> String {
    pem::encode(&holder.key.to_pkcs8_der().unwrap(), "PRIVATE KEY")
}

fn lines(text: &str) -> BTreeMap<String, Value> {
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|value| (value["file"].as_str().unwrap().to_owned(), value))
        .collect()
}

/// The lines of pdfsig that say whether the signatures hold.
fn pdfsig(file: &Path) -> Vec<String> {
    let (_, text) = output_of(Command::new("pdfsig").arg("-nocert").arg(file));
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("- Signature Validation: "))
        .map(str::to_owned)
        .collect()
}

fn all_true(list: &Value) -> bool {
    list.as_array()
        .is_some_and(|list| !list.is_empty() && list.iter().all(|one| *one == true))
}

fn all_hold(signatures: &Value) -> bool {
    signatures
        .as_array()
        .is_some_and(|list| !list.is_empty() && list.iter().all(|one| one["holds"] == true))
}

const VALID: &str = "Signature is Valid.";

#[test]
#[ignore = "needs poppler-utils and Python packages: cargo xtask test"]
fn pdf_files_hold_elsewhere_too() {
    let stand = Stand::new();
    let world = &stand.world;
    let stamped = world.stamped_pdf(&page(), minutes(1));
    let long = world.extended(&stamped, minutes(2));
    let archived = world.archived(&long, &world.tsa, minutes(3));
    let renewed = world.archived(
        &world.extended(&archived, minutes(4)),
        &world.tsa,
        minutes(5),
    );
    let second = world.stamped_pdf(&renewed, minutes(6));
    let documents = [
        ("b.pdf", world.pdf(&page()), 1, 0),
        ("t.pdf", stamped, 1, 1),
        ("lt.pdf", long, 1, 1),
        ("lta.pdf", archived, 1, 2),
        ("renewed.pdf", renewed, 1, 3),
        ("second.pdf", second, 2, 4),
    ];
    let names: Vec<&str> = documents.iter().map(|(name, ..)| *name).collect();
    for (name, bytes, ..) in &documents {
        stand.write(name, bytes);
    }
    let judged = stand.judged("pdf", &names);
    for (name, bytes, signatures, stamps) in &documents {
        let found = &judged[*name];
        let count = |key: &str| found[key].as_array().unwrap().len();
        assert_eq!(
            (count("signatures"), count("stamps")),
            (*signatures, *stamps),
            "{found}"
        );
        assert!(all_hold(&found["signatures"]), "{found}");
        assert!(*stamps == 0 || all_true(&found["stamps"]), "{found}");
        let said = pdfsig(&stand.path(name));
        let valid = said.iter().filter(|line| *line == VALID).count();
        assert_eq!(valid, *signatures, "{name}: {said:?}");
        if *name != "b.pdf" && *name != "t.pdf" && *name != "second.pdf" {
            assert_eq!(stand.verdict(bytes), Verdict::Valid, "{name}");
        }
    }
}

#[test]
#[ignore = "needs Python packages: cargo xtask test"]
fn archived_pdf_files_hold_elsewhere_after_the_certificate_ended() {
    let stand = Stand::new();
    let world = &stand.world;
    let long = world.extended(&world.stamped_pdf(&page(), minutes(1)), minutes(2));
    let archived = world.archived(&long, &world.tsa, minutes(3));
    stand.write("lta.pdf", &archived);
    // The person's certificate ended in 2027.
    let later = datetime!(2030-01-01 0:00 UTC);
    let report = verify(&archived, Some(&world.trust()), later);
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
    let mut command = script("documents.py");
    command
        .arg("archive")
        .arg(stand.path("root.pem"))
        .arg(later.unix_timestamp().to_string())
        .arg(stand.path("lta.pdf"));
    let found = &lines(&run(&mut command))["lta.pdf"];
    assert!(
        found["stamp"] == true && found["signature"] == true,
        "{found}"
    );
    #[allow(clippy::cast_precision_loss)]
    let proven = minutes(1).unix_timestamp() as f64;
    assert_eq!(found["proven"].as_f64(), Some(proven), "{found}");
}

#[test]
#[ignore = "needs poppler-utils and Python packages: cargo xtask test"]
fn changed_pdf_files_fail_everywhere() {
    let stand = Stand::new();
    let world = &stand.world;
    let document = world.extended(&world.stamped_pdf(&page(), minutes(1)), minutes(2));
    let place = |needle: &[u8]| {
        document
            .windows(needle.len())
            .position(|w| w == needle)
            .unwrap()
    };
    let mut content = document.clone();
    content[place(b"(Contract)") + 1] = b'K';
    let mut attribute = document.clone();
    let at = place(b"/M <") + 4;
    attribute[at + 9] ^= 1;
    for (name, bytes) in [("content.pdf", &content), ("attribute.pdf", &attribute)] {
        stand.write(name, bytes);
        assert!(
            matches!(stand.verdict(bytes), Verdict::Invalid { .. }),
            "{name}"
        );
        let said = pdfsig(&stand.path(name));
        assert!(
            !said.is_empty() && !said.contains(&VALID.to_owned()),
            "{name}: {said:?}"
        );
    }
    // Content that is added by an update: pdfsig only says that not the total document is signed.
    let read = pades::pdf::Document::open(&document).unwrap();
    let mut update = pades::pdf::Update::new(&read).unwrap();
    let contents = pades::pdf::ObjectId {
        number: 4,
        generation: 0,
    };
    update.write_bytes(contents, b"<< /Length 3 >>\nstream\nq Q\nendstream");
    let updated = update.finish().unwrap();
    stand.write("updated.pdf", &updated);
    assert!(matches!(stand.verdict(&updated), Verdict::Invalid { .. }));
    let (_, text) = output_of(
        Command::new("pdfsig")
            .arg("-nocert")
            .arg(stand.path("updated.pdf")),
    );
    assert!(text.contains("Not total document signed"), "{text}");

    let names = ["content.pdf", "attribute.pdf", "updated.pdf"];
    for (name, found) in stand.judged("pdf", &names) {
        assert!(!all_hold(&found["signatures"]), "{name}: {found}");
    }
}

#[test]
#[ignore = "needs Python packages: cargo xtask test"]
fn what_pyhanko_signs_holds_here() {
    let stand = Stand::new();
    let world = &stand.world;
    let sign = |source: &str, target: &str| {
        let mut command = script("documents.py");
        command.arg("sign");
        for name in [
            "person.key",
            "person.pem",
            "rsa_tsa.key",
            "rsa_tsa.pem",
            "root.pem",
            source,
            target,
        ] {
            command.arg(stand.path(name));
        }
        run(&mut command);
        std::fs::read(stand.path(target)).unwrap()
    };
    stand.write("plain.pdf", &page());
    let signed = sign("plain.pdf", "signed.pdf");
    // pyHanko stamps with the clock of this machine; the status has to be as young.
    let now = time::OffsetDateTime::now_utc() + time::Duration::minutes(1);
    let long = world.extended(&signed, now);
    let archived = world.archived(&long, &world.tsa, now);
    let report = verify(
        &archived,
        Some(&world.trust()),
        now + time::Duration::minutes(1),
    );
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
    let signature = &report.signatures[0];
    assert_eq!(signature.level, Level::LTA);
    assert_eq!(signature.class, Some(Class::Qualified));
    assert_eq!(signature.reason.as_deref(), Some("Макулмун"));
    assert_eq!(signature.place, "PyHanko");
    // One signs here, the next there: neither spoils the other's signature.
    let ours = world.extended(&world.stamped_pdf(&page(), minutes(1)), minutes(2));
    stand.write("ours.pdf", &ours);
    let both = world.extended(&sign("ours.pdf", "both.pdf"), now);
    let report = verify(
        &both,
        Some(&world.trust()),
        now + time::Duration::minutes(1),
    );
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
    assert_eq!(report.signatures.len(), 2);
    for cut in [both.len() / 2, both.len() / 3] {
        let report = verify(&both[..cut], Some(&world.trust()), now);
        assert!(report.verdict != Verdict::Valid, "{cut}");
    }
}

#[test]
#[ignore = "needs xmlsec1 and Python packages: cargo xtask test"]
fn containers_hold_elsewhere_too_and_changed_ones_nowhere() {
    let stand = Stand::new();
    let world = &stand.world;
    let stamped = world.stamped_container(files(), minutes(1));
    let long = world.extended(&stamped, minutes(2));
    let archived = world.archived(&long, &world.tsa, minutes(3));
    let renewed = world.archived(
        &world.extended(&archived, minutes(4)),
        &world.tsa,
        minutes(5),
    );
    let documents = [
        ("b.asice", world.container(files()), 0),
        ("t.asice", stamped, 1),
        ("lt.asice", long, 1),
        ("lta.asice", archived, 2),
        ("renewed.asice", renewed.clone(), 3),
    ];
    let names: Vec<&str> = documents.iter().map(|(name, ..)| *name).collect();
    for (name, bytes, _) in &documents {
        stand.write(name, bytes);
    }
    let judged = stand.judged("container", &names);
    for (name, _, stamps) in &documents {
        let found = &judged[*name];
        assert!(found["zip"] == true && found["covered"] == true, "{found}");
        assert!(
            all_true(&found["xmlsec"]) && all_true(&found["signxml"]),
            "{found}"
        );
        assert_eq!(
            found["stamps"].as_array().unwrap().len(),
            *stamps,
            "{found}"
        );
        assert!(*stamps == 0 || all_true(&found["stamps"]), "{found}");
    }
    assert_eq!(stand.verdict(&renewed), Verdict::Valid);

    // One file changed, one signed property changed.
    let original = asic::files::Files::open(&renewed).unwrap();
    let mut list = original.files().to_vec();
    list[0].bytes.push(b'!');
    let mut file = asic::files::Files::new(list).unwrap();
    let mut property = asic::files::Files::new(original.files().to_vec()).unwrap();
    for (_, signature) in original.signatures() {
        file.add_signature(signature.to_vec());
        let text = String::from_utf8(signature.to_vec()).unwrap();
        property.add_signature(
            text.replacen("2026-11-25T08", "2026-11-25T07", 1)
                .into_bytes(),
        );
    }
    for (name, changed) in [("file.asice", file), ("property.asice", property)] {
        let bytes = changed.write(minutes(6)).unwrap();
        stand.write(name, &bytes);
        assert!(
            matches!(stand.verdict(&bytes), Verdict::Invalid { .. }),
            "{name}"
        );
        let found = &stand.judged("container", &[name])[name];
        assert!(!all_true(&found["xmlsec"]), "{found}");
        assert!(!all_true(&found["signxml"]), "{found}");
    }
}
