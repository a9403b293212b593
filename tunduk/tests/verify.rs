//! `tunduk verify`: one command, the same exit statuses for every kind of signed thing.

use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../../domain/document-signature/tests/common/mod.rs"]
#[allow(clippy::unwrap_used)]
mod world;

use world::{QUALIFIED, SIMPLE, World, files, minutes, page};

fn tunduk(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tunduk"))
        .args(arguments)
        .output()
        .expect("the binary runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A trust list for a world.
fn trust_list(folder: &Path, world: &World) -> PathBuf {
    let root = world.root.certificate.to_pem();
    std::fs::write(folder.join("root.pem"), root).expect("written");
    let list = folder.join("trust.toml");
    let lines = format!(
        "[[authority]]\ncertificate = \"root.pem\"\nsimple = [\"{SIMPLE}\"]\nqualified = [\"{QUALIFIED}\"]\n\
         [[time_stamping]]\ncertificate = \"root.pem\"\n"
    );
    std::fs::write(&list, lines).expect("written");
    list
}

#[test]
fn documents_are_judged_by_the_trust_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::new(&[QUALIFIED]);
    let trust = trust_list(folder.path(), &world);
    for (name, stamped) in [
        ("contract.pdf", world.stamped_pdf(&page(), minutes(1))),
        ("files.asice", world.stamped_container(files(), minutes(1))),
    ] {
        let document = world.archived(
            &world.extended(&stamped, minutes(2)),
            &world.tsa,
            minutes(3),
        );
        let place = folder.path().join(name);
        let judge = |bytes: &[u8], arguments: &[&str]| {
            std::fs::write(&place, bytes).expect("written");
            let mut all = vec!["verify", text(&place)];
            all.extend(arguments);
            tunduk(&all)
        };
        let with_trust = ["--trust", text(&trust)];
        let (status, told, _) = judge(&document, &with_trust);
        assert_eq!(status, Some(0), "{told}");
        for line in [
            "(qualified signature, B-LTA)",
            "who:        Асан Үсөнов, personal number 20101199012345\n",
            "when:       2026-11-25T08:01:00Z at the latest",
            "document:   whole, as it was signed",
            "then valid: yes",
            "verdict:    valid\n",
        ] {
            assert!(told.contains(line), "{line}: {told}");
        }
        // Without proof that the certificate was good, and without anybody to trust.
        let (status, told, _) = judge(&stamped, &with_trust);
        assert_eq!(status, Some(2), "{told}");
        let (status, told, _) = judge(&document, &[]);
        assert_eq!(status, Some(2), "{told}");
        assert!(told.contains("give --trust"), "{told}");
        // Cut, and unsigned.
        let (status, told, _) = judge(&document[..document.len() / 2], &with_trust);
        assert_eq!(status, Some(1), "{told}");
        // A trust list that cannot be used is a mistake of whoever calls.
        let (status, _, said) = judge(&document, &["--trust", "/nowhere/trust.toml"]);
        assert_eq!(status, Some(64), "{said}");
    }
    let (status, told, _) = tunduk(&["verify", text(&trust)]);
    assert_eq!(status, Some(1), "{told}");
    assert_eq!(tunduk(&["verify", "/nowhere/file"]).0, Some(64));
    assert_eq!(tunduk(&["verify"]).0, Some(64));
}

#[test]
fn evidence_is_judged_by_the_same_code() {
    let vectors = std::env::var_os("TUNDUK_XROAD_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/xroad"),
        PathBuf::from,
    );
    if !vectors.is_dir() {
        assert!(
            std::env::var_os("CI").is_none_or(|value| value != "true"),
            "X-Road's vectors are absent"
        );
        println!(
            "not tested: X-Road's vectors are absent: {}",
            vectors.display()
        );
        return;
    }
    let mut statuses = Vec::new();
    for (name, configuration) in [
        ("made/soap-ok.asice", "made/globalconf"),
        ("made/batch.asice", "made/globalconf"),
        ("made/ocsp-revoked.asice", "made/globalconf"),
        ("made/no-timestamp.asice", "made/globalconf"),
        (
            "asic/valid-signed-hashchain.asice",
            "globalconf/globalconf_good2_v3",
        ),
        ("asic/wrong-message.asice", "globalconf/globalconf_good2_v3"),
    ] {
        let file = vectors.join(name);
        let configuration = vectors.join(configuration);
        let by = ["--globalconf", text(&configuration)];
        let one = tunduk(&[&["verify", text(&file)], &by[..]].concat());
        let other = tunduk(&[&["evidence", "verify", text(&file)], &by[..]].concat());
        assert_eq!(one, other, "{name}");
        statuses.push(one.0);
        // Nothing is fetched: without a configuration there is nothing to judge by.
        let (status, _, said) = tunduk(&["verify", text(&file)]);
        assert_eq!(status, Some(64), "{said}");
        assert!(said.contains("--globalconf"), "{said}");
    }
    assert_eq!(
        statuses,
        [0, 0, 1, 1, 2, 1].map(Some),
        "valid, invalid and incomplete"
    );
}
