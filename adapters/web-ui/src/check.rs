//! What is wrong with a page's markup: for the tests of sites.

use std::collections::BTreeSet;

use crate::text::{COMMON, Language, Sources};

/// Keys of a file of texts, with whether a value stands in each.
fn keys(source: &str) -> BTreeSet<(&str, bool)> {
    source
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, text)| (key, text.contains("{ $value }")))
        .collect()
}

/// What is wrong with a site's texts: one that a language lacks, or whose value a language leaves out.
#[must_use]
pub fn text_faults(site: Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for sources in [COMMON, site] {
        let all: BTreeSet<_> = Language::ALL
            .iter()
            .flat_map(|language| keys(sources.of(*language)))
            .collect();
        for language in Language::ALL {
            for (key, value) in all.difference(&keys(sources.of(language))) {
                let with = if *value { "with" } else { "without" };
                faults.push(format!("{} lacks {key} {with} a value", language.code()));
            }
        }
    }
    faults
}

/// The values of an attribute in a page.
fn attribute<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(start.as_str())
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

/// Whether an address tells of a person: it holds what may be a person's number, an address for mail, or letters that only
/// names and texts have. Addresses stay in histories, logs and what other sites are told.
#[must_use]
pub fn tells_of_a_person(address: &str) -> bool {
    let number = |word: &str| word.len() == 14 && word.bytes().all(|byte| byte.is_ascii_digit());
    // `@` and the first bytes of Cyrillic letters, as they stand in addresses.
    let encoded = ["@", "%40", "%D0", "%D1", "%d0", "%d1"];
    !address.is_ascii()
        || encoded.iter().any(|part| address.contains(part))
        || address
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(number)
}

/// The addresses in a page, of links, forms and pictures, that tell of a person.
#[must_use]
pub fn telling_addresses(html: &str) -> Vec<&str> {
    ["href", "action", "src", "formaction", "data-options"]
        .into_iter()
        .flat_map(|name| attribute(html, name))
        .filter(|address| !address.starts_with("data:") && tells_of_a_person(address))
        .collect()
}

/// What is wrong with a page in a language, whose forms carry the token `csrf`: language and heading, texts that show
/// as their keys, inline code, forms without the token or with another method, fields without a label, ids that are
/// there twice or nowhere, addresses that tell of a person, and what keeps people from pasting or filling in (WCAG 2.2: 1.3.1, 2.4.2, 3.1.1, 3.3.2, 3.3.8).
#[must_use]
pub fn faults(html: &str, language: Language, csrf: &str, site: Sources) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            faults.push(what);
        }
    };
    let lang = format!("<html lang=\"{}\">", language.code());
    check(html.contains(&lang), "the language is not named".to_owned());
    check(
        html.matches("<h1").count() == 1,
        "there is not one heading of the first rank".to_owned(),
    );
    check(
        html.contains("<title>") && !html.contains("<title> –"),
        "there is no title".to_owned(),
    );
    for source in [COMMON, site] {
        for (key, _) in keys(source.of(language)) {
            let shows = key.contains('-') && html.contains(&format!(">{key}<"));
            check(!shows, format!("the key {key} shows"));
        }
    }
    for inline in [
        "<script>",
        " style=",
        "<style",
        " onclick",
        "javascript:",
        "onpaste",
    ] {
        check(!html.contains(inline), format!("there is {inline}"));
    }
    check(
        !html.contains("autocomplete=\"off\" type=\"password\""),
        "a password cannot be filled in".to_owned(),
    );
    let posts = html.matches("<form method=\"post\"").count();
    let forms = html.matches("<form").count();
    check(forms == posts, format!("{forms} forms, {posts} by POST"));
    let token = format!("name=\"csrf\" value=\"{csrf}\"");
    let tokens = html.matches(&token).count();
    check(
        tokens == posts,
        format!("{posts} forms, {tokens} with the token"),
    );
    for address in telling_addresses(html) {
        check(false, format!("an address tells of a person: {address}"));
    }
    let ids = attribute(html, "id");
    let unique: BTreeSet<_> = ids.iter().collect();
    check(
        ids.len() == unique.len(),
        format!("an id is there twice: {ids:?}"),
    );
    for referred in ["for", "aria-labelledby", "aria-describedby"] {
        for id in attribute(html, referred)
            .iter()
            .flat_map(|value| value.split(' '))
        {
            check(ids.contains(&id), format!("{referred}={id} leads nowhere"));
        }
    }
    let labels = attribute(html, "for");
    for element in ["<input", "<select", "<textarea"] {
        for field in html.split(element).skip(1) {
            let field = field.split('>').next().unwrap_or_default();
            let id = attribute(field, "id");
            let labelled = id.first().is_some_and(|id| labels.contains(id));
            check(
                field.contains("type=\"hidden\"") || labelled,
                format!("no label: {element}{field}"),
            );
        }
    }
    for image in html.split("<img").skip(1) {
        let image = image.split('>').next().unwrap_or_default();
        check(
            image.contains(" alt=\""),
            format!("no alternative text: {image}"),
        );
    }
    faults
}
