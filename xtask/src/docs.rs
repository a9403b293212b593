//! Every path that the documentation names must exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;

/// Documents at the top of the project; all of `docs/` comes on top.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
];

/// First parts of a path that make words between backticks a path of this project. `target/` is left out: it holds
/// what a build makes.
const TOPS: &[&str] = &[
    ".cargo",
    ".ci",
    "adapters",
    "catalogue",
    "deploy",
    "docs",
    "domain",
    "fuzz",
    "proto",
    "services",
    "testkit",
    "tests",
    "tunduk",
    "xtask",
];

/// Checks all documents; prints one line when all is well.
pub(crate) fn run(root: &Path) -> Outcome {
    let mut documents: Vec<PathBuf> = DOCUMENTS.iter().map(|name| root.join(name)).collect();
    markdown_below(&root.join("docs"), &mut documents);
    let mut problems = Vec::new();
    let mut checked = 0;
    let mut architecture = String::new();
    for document in &documents {
        let shown = document
            .strip_prefix(root)
            .unwrap_or(document)
            .display()
            .to_string();
        let text = match fs::read_to_string(document) {
            Ok(text) => text,
            Err(error) => {
                problems.push(format!("{shown}: {error}"));
                continue;
            }
        };
        for name in paths_in_code(&text) {
            checked += 1;
            if !root.join(&name).exists() {
                problems.push(format!("{shown}: names `{name}`, which does not exist"));
            }
        }
        for link in links(&text) {
            checked += 1;
            let folder = document.parent().unwrap_or(root);
            if !folder.join(&link).exists() {
                problems.push(format!("{shown}: links to {link}, which does not exist"));
            }
        }
        if shown == "ARCHITECTURE.md" {
            architecture = text;
        }
    }
    for folder in ["proto", "domain", "adapters", "services", "tests"] {
        for entry in fs::read_dir(root.join(folder))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().join("Cargo.toml").is_file()
                && !architecture.contains(&format!("`{name}`"))
            {
                problems.push(format!(
                    "ARCHITECTURE.md: does not say what `{name}` is for"
                ));
            }
        }
    }
    if problems.is_empty() {
        println!(
            "docs: {} documents, {checked} paths, all there",
            documents.len()
        );
        Ok(())
    } else {
        Err(problems)
    }
}

fn markdown_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            markdown_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Paths of this project that stand between backticks.
fn paths_in_code(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (index, piece) in text.split('`').enumerate() {
        if index % 2 == 0 {
            continue;
        }
        for word in piece.split_whitespace() {
            let word = word.trim_end_matches(['.', ',', ':', ';', ')']);
            let plain = word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
            let top = word.split('/').next().unwrap_or("");
            if plain && word.contains('/') && TOPS.contains(&top) {
                found.insert(word.trim_end_matches('/').to_owned());
            }
        }
    }
    found
}

/// Targets of Markdown links that are files, without their anchors.
fn links(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for piece in text.split("](").skip(1) {
        let Some((target, _)) = piece.split_once(')') else {
            continue;
        };
        let target = target.split('#').next().unwrap_or("");
        if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
            found.insert(target.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found() {
        let text = "see `proto/pki`, `docs/operating.md`: not `text/xml`, `/etc/x`, proto/none or `target/demo`";
        let expected: BTreeSet<String> =
            ["docs/operating.md".to_owned(), "proto/pki".to_owned()].into();
        assert_eq!(paths_in_code(text), expected);
    }

    #[test]
    fn links_are_found() {
        let text = "[a](docs/a.md#part) [b](https://example.org/) [c](#here)";
        assert_eq!(links(text), ["docs/a.md".to_owned()].into());
    }
}
