//! The layer rule of ARCHITECTURE.md, read off every Cargo.toml.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Outcome;

/// A layer, from the bottom up. A crate may use crates of lower layers and, where [`Layer::own_kind`] says so, of
/// its own; nothing ever points up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Proto,
    Domain,
    Adapters,
    Services,
    Tunduk,
    Testkit,
    Tests,
    Xtask,
}

impl Layer {
    fn of(path: &str) -> Option<Self> {
        Some(match path.split('/').next()? {
            "proto" => Self::Proto,
            "domain" => Self::Domain,
            "adapters" => Self::Adapters,
            "services" => Self::Services,
            "tunduk" => Self::Tunduk,
            "testkit" => Self::Testkit,
            "tests" => Self::Tests,
            "xtask" => Self::Xtask,
            _ => return None,
        })
    }

    /// Whether crates of this layer may use one another.
    fn own_kind(self) -> bool {
        matches!(self, Self::Proto | Self::Domain)
    }

    fn may_use(self, other: Self) -> bool {
        match self {
            Self::Xtask => false,
            _ => other < self || (other == self && self.own_kind()),
        }
    }
}

/// The third-party crates that proto/ may use: cryptography, codecs, and data types without any input or output.
const PROTO_THIRD_PARTY: &[&str] = &[
    "aws-lc-rs",
    "base64",
    "bytes",
    "encoding_rs",
    "flate2",
    "hex",
    "http",
    "memchr",
    "percent-encoding",
    "quick-xml",
    "rasn",
    "rasn-cms",
    "rasn-ocsp",
    "rasn-pkix",
    "rcgen",
    "roxmltree",
    "serde",
    "serde_json",
    "thiserror",
    "time",
    "zeroize",
    "zip",
];

/// What domain/ may use on top of that: nothing does input or output either.
const DOMAIN_THIRD_PARTY: &[&str] = &[
    "arc-swap",
    "crc32fast",
    "fluent",
    "lz4_flex",
    "toml",
    "unic-langid",
    "uuid",
];

/// Third-party crates that only some crates may name, with those crates (a trailing `/` means a whole layer) and why.
const RESERVED: &[(&[&str], &[&str], &str)] = &[
    (
        &[
            "openssl",
            "openssl-sys",
            "tokio-openssl",
            "native-tls",
            "openssl-src",
        ],
        &["adapters/transport"],
        "TLS with OpenSSL belongs to adapters/transport alone",
    ),
    (
        &["rustls", "tokio-rustls", "rustls-pki-types", "webpki-roots"],
        &["adapters/"],
        "a TLS library belongs to adapters/",
    ),
    (
        &[
            "rusqlite",
            "tokio-postgres",
            "postgres",
            "sqlx",
            "deadpool-postgres",
            "diesel",
            "redb",
            "fjall",
        ],
        &["adapters/store-sqlite", "adapters/store-postgres"],
        "SQL drivers belong to the store crates",
    ),
];

/// Test-only third-party crates that every layer may name in `[dev-dependencies]`.
const TEST_THIRD_PARTY: &[&str] = &["proptest", "tempfile", "insta"];

#[derive(Debug)]
struct Manifest {
    /// Folder of the crate relative to the workspace, with `/` between its parts.
    path: String,
    layer: Layer,
    value: toml::Table,
}

/// Checks every crate of the workspace; prints one line when all is well.
pub(crate) fn run(root: &Path) -> Outcome {
    let mut manifests = Vec::new();
    for folder in crate_folders(root)? {
        let file = root.join(&folder).join("Cargo.toml");
        let text = fs::read_to_string(&file)
            .map_err(|error| vec![format!("{}: {error}", file.display())])?;
        let value: toml::Table = text
            .parse()
            .map_err(|error| vec![format!("{}: {error}", file.display())])?;
        let Some(layer) = Layer::of(&folder) else {
            return Err(vec![format!(
                "{folder}: belongs to no layer of ARCHITECTURE.md"
            )]);
        };
        manifests.push(Manifest {
            path: folder,
            layer,
            value,
        });
    }
    let mut problems = check(&manifests);
    problems.extend(check_lint_files(root)?);
    if problems.is_empty() {
        println!("layers: {} crates, all point downwards", manifests.len());
        Ok(())
    } else {
        Err(problems)
    }
}

/// The lint files that keep clock, randomness, files and network out of proto/ and domain/ ban the same things.
fn check_lint_files(root: &Path) -> Outcome<Option<String>> {
    let read = |name: &str| -> Outcome<toml::Table> {
        let text = fs::read_to_string(root.join(name))
            .map_err(|error| vec![format!("{name}: {error}")])?;
        text.parse()
            .map_err(|error| vec![format!("{name}: {error}")])
    };
    let same = read("proto/clippy.toml")? == read("domain/clippy.toml")?;
    Ok((!same)
        .then(|| "proto/clippy.toml and domain/clippy.toml differ; keep them equal".to_owned()))
}

fn crate_folders(root: &Path) -> Outcome<Vec<String>> {
    let file = root.join("Cargo.toml");
    let text =
        fs::read_to_string(&file).map_err(|error| vec![format!("{}: {error}", file.display())])?;
    let value: toml::Table = text
        .parse()
        .map_err(|error| vec![format!("{}: {error}", file.display())])?;
    let members = value
        .get("workspace")
        .and_then(|workspace| workspace.get("members"))
        .and_then(toml::Value::as_array);
    let mut folders = Vec::new();
    for member in members
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_str)
    {
        match member.strip_suffix("/*") {
            Some(parent) => {
                let entries = fs::read_dir(root.join(parent))
                    .map_err(|error| vec![format!("{parent}: {error}")])?;
                for entry in entries.flatten() {
                    if entry.path().join("Cargo.toml").is_file() {
                        folders.push(format!("{parent}/{}", entry.file_name().to_string_lossy()));
                    }
                }
            }
            None => folders.push(member.to_owned()),
        }
    }
    folders.sort();
    Ok(folders)
}

fn check(manifests: &[Manifest]) -> Vec<String> {
    let ours: BTreeMap<&str, &Manifest> = manifests
        .iter()
        .filter_map(|manifest| {
            Some((
                manifest.value.get("package")?.get("name")?.as_str()?,
                manifest,
            ))
        })
        .collect();
    let mut problems = Vec::new();
    for manifest in manifests {
        for (name, for_tests) in dependencies(&manifest.value) {
            match ours.get(name.as_str()) {
                Some(used) => {
                    if !manifest.layer.may_use(used.layer) {
                        problems.push(format!(
                            "{}: uses {} ({:?}); {:?} may only use lower layers{}",
                            manifest.path,
                            used.path,
                            used.layer,
                            manifest.layer,
                            if manifest.layer.own_kind() {
                                " and its own"
                            } else {
                                ""
                            }
                        ));
                    }
                }
                None => problems.extend(check_third_party(manifest, &name, for_tests)),
            }
        }
    }
    problems
}

fn check_third_party(manifest: &Manifest, name: &str, for_tests: bool) -> Option<String> {
    for (reserved, owners, reason) in RESERVED {
        let allowed = owners.iter().any(|owner| {
            manifest.path == *owner || (owner.ends_with('/') && manifest.path.starts_with(owner))
        });
        if reserved.contains(&name) && !allowed {
            return Some(format!("{}: names {name}; {reason}", manifest.path));
        }
    }
    let listed = match manifest.layer {
        Layer::Proto => PROTO_THIRD_PARTY.contains(&name),
        Layer::Domain => PROTO_THIRD_PARTY.contains(&name) || DOMAIN_THIRD_PARTY.contains(&name),
        _ => true,
    };
    if listed || (for_tests && TEST_THIRD_PARTY.contains(&name)) {
        return None;
    }
    Some(format!(
        "{}: names {name}, which is not on the list of third-party crates for its layer (xtask/src/layers.rs); \
         add it there only if it does no input or output and reads no clock",
        manifest.path
    ))
}

/// Every dependency of a manifest, of all tables and targets, under its real package name; the flag says that it is
/// a development dependency.
fn dependencies(manifest: &toml::Table) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    collect(manifest, &mut found);
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        for target in targets.values().filter_map(toml::Value::as_table) {
            collect(target, &mut found);
        }
    }
    found
}

fn collect(table: &toml::Table, found: &mut Vec<(String, bool)>) {
    for (section, for_tests) in [
        ("dependencies", false),
        ("build-dependencies", false),
        ("dev-dependencies", true),
    ] {
        for (key, value) in table
            .get(section)
            .and_then(toml::Value::as_table)
            .into_iter()
            .flatten()
        {
            let name = value
                .get("package")
                .and_then(toml::Value::as_str)
                .unwrap_or(key);
            found.push((name.to_owned(), for_tests));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(path: &str, text: &str) -> Manifest {
        Manifest {
            path: path.to_owned(),
            layer: Layer::of(path).unwrap(),
            value: text.parse().unwrap(),
        }
    }

    fn named(path: &str, dependencies: &str) -> Manifest {
        let name = path.rsplit('/').next().unwrap();
        manifest(
            path,
            &format!("[package]\nname = \"{name}\"\n{dependencies}"),
        )
    }

    #[test]
    fn downwards_is_fine() {
        let all = [
            named("proto/pki", "[dependencies]\nrasn = \"1\""),
            named(
                "domain/ca",
                "[dependencies]\npki.workspace = true\n[dev-dependencies]\nproptest = \"1\"",
            ),
            named(
                "adapters/transport",
                "[dependencies]\nopenssl = \"1\"\npki.workspace = true",
            ),
            named(
                "services/a",
                "[dependencies]\ntransport.workspace = true\nca.workspace = true",
            ),
            named("tunduk", "[dependencies]\na.workspace = true"),
        ];
        assert_eq!(check(&all), Vec::<String>::new());
    }

    #[test]
    fn upwards_and_sideways_are_refused() {
        let all = [
            named("proto/pki", "[dev-dependencies]\nca.workspace = true"),
            named("domain/ca", ""),
            named("services/a", "[dependencies]\nb.workspace = true"),
            named("services/b", ""),
            named("xtask", "[dependencies]\npki.workspace = true"),
        ];
        assert_eq!(check(&all).len(), 3);
    }

    #[test]
    fn a_tls_library_has_one_place() {
        for (path, dependencies) in [
            ("services/a", "[dependencies]\nopenssl = \"1\""),
            (
                "adapters/keystore",
                "[dependencies]\ntls = { package = \"openssl\", version = \"1\" }",
            ),
            (
                "domain/ca",
                "[target.'cfg(unix)'.dependencies]\nrustls = \"1\"",
            ),
            ("tunduk", "[dependencies]\nrusqlite = \"1\""),
        ] {
            assert_eq!(check(&[named(path, dependencies)]).len(), 1, "{path}");
        }
    }

    #[test]
    fn proto_names_only_listed_crates() {
        assert_eq!(
            check(&[named("proto/pki", "[dependencies]\ntokio = \"1\"")]).len(),
            1
        );
        assert_eq!(
            check(&[named("proto/pki", "[dependencies]\nproptest = \"1\"")]).len(),
            1
        );
        assert_eq!(
            check(&[named("domain/ca", "[build-dependencies]\ntokio = \"1\"")]).len(),
            1
        );
    }
}
