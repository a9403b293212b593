//! Every page in every language: no text is missing, nothing that is put in becomes markup, every form carries its
//! token, every field has its label.

use std::collections::BTreeSet;

use web_ui::{
    AccountPage, CodePage, ConfirmPage, ConsentPage, DeskPage, DeviceChoosePage, DevicePage,
    EventRow, FirstKeyPage, Frame, Language, MessagePage, Page, Row, ScopeRow, ScreenPage,
    SignInPage, Texts,
};

const HOSTILE: &str = "<script>alert('x')</script>\"&";

fn keys(source: &str) -> BTreeSet<&str> {
    source
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, _)| key)
        .collect()
}

#[test]
fn every_language_has_the_same_texts() {
    let ky = keys(include_str!("../texts/ky.ftl"));
    assert!(ky.len() > 100);
    assert_eq!(ky, keys(include_str!("../texts/ru.ftl")));
    assert_eq!(ky, keys(include_str!("../texts/en.ftl")));
    let texts = Texts::new().expect("texts");
    for language in Language::ALL {
        for key in &ky {
            let text = texts.find(language, key, Some("X")).expect("text");
            assert!(!text.is_empty() && !text.contains('{'), "{key}: {text}");
        }
    }
}

#[test]
fn values_stand_in_the_same_texts() {
    let with_value = |source: &'static str| -> BTreeSet<&str> {
        source
            .lines()
            .filter(|line| line.contains("{ $value }"))
            .filter_map(|line| line.split_once(" = "))
            .map(|(key, _)| key)
            .collect()
    };
    let ky = with_value(include_str!("../texts/ky.ftl"));
    assert_eq!(ky, with_value(include_str!("../texts/ru.ftl")));
    assert_eq!(ky, with_value(include_str!("../texts/en.ftl")));
}

fn pages(texts: &Texts, language: Language) -> Vec<(&'static str, String)> {
    let frame = Frame {
        texts,
        language,
        csrf: "csrf-token",
        error: Some("error-credentials"),
    };
    let row = Row {
        id: "identifier".to_owned(),
        label: HOSTILE.to_owned(),
        since: "2026-11-25 10:00".to_owned(),
        current: true,
    };
    let rows = [row];
    let scopes = [ScopeRow {
        name: "profile".to_owned(),
        text: "scope-profile".to_owned(),
        purpose: Some(HOSTILE.to_owned()),
    }];
    let events = [EventRow {
        at: "2026-11-25 10:00".to_owned(),
        text: "event-signed-in",
        network: Some("192.0.2.0/24".to_owned()),
    }];
    let scope_texts = ["scope-profile".to_owned()];
    let all: Vec<(&'static str, Box<dyn Page + '_>)> = vec![
        (
            "sign-in",
            Box::new(SignInPage {
                frame,
                client: Some(HOSTILE),
                level: Some("level-high"),
            }),
        ),
        (
            "code",
            Box::new(CodePage {
                frame,
                attempt: HOSTILE,
            }),
        ),
        (
            "consent",
            Box::new(ConsentPage {
                frame,
                client: HOSTILE,
                organisation: HOSTILE,
                scopes: &scopes,
            }),
        ),
        (
            "message",
            Box::new(MessagePage {
                frame,
                title: "frozen-title",
                text: "frozen-text",
                code: Some(HOSTILE),
                next: Some(("/sign-in", "sign-in-link")),
            }),
        ),
        (
            "confirm",
            Box::new(ConfirmPage {
                frame,
                title: "freeze-title",
                text: "freeze-confirm",
                button: "freeze-link",
                action: "/account/freeze",
                grave: true,
            }),
        ),
        ("first-key", Box::new(FirstKeyPage { frame })),
        ("device", Box::new(DevicePage { frame })),
        (
            "device-choose",
            Box::new(DeviceChoosePage {
                frame,
                client: Some(HOSTILE),
                place: Some(HOSTILE),
                browser: Some(HOSTILE),
                scopes: &scope_texts,
                choices: &[12, 47, 83],
                user_code: HOSTILE,
            }),
        ),
        (
            "screen",
            Box::new(ScreenPage {
                frame,
                address: "https://id.example.kg/device",
                user_code: "ABCD-EFGH",
                number: 47,
                interval: 5,
            }),
        ),
        (
            "account",
            Box::new(AccountPage {
                frame,
                done: Some("done-changed"),
                level: "level-high",
                number: Some("12345678901234"),
                officer: true,
                keys: &rows,
                sessions: &rows,
                devices: &rows,
                consents: &rows,
                events: &events,
            }),
        ),
        (
            "desk",
            Box::new(DeskPage {
                frame,
                office: HOSTILE,
            }),
        ),
    ];
    all.into_iter()
        .map(|(name, page)| (name, page.html().expect("html")))
        .collect()
}

/// The values of an attribute in a page.
fn attribute<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(start.as_str())
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

#[test]
fn every_page_holds_in_every_language() {
    let texts = Texts::new().expect("texts");
    let known = keys(include_str!("../texts/en.ftl"));
    for language in Language::ALL {
        for (name, html) in pages(&texts, language) {
            let place = format!("{name} in {}", language.code());
            assert!(
                html.contains(&format!("<html lang=\"{}\">", language.code())),
                "{place}"
            );
            assert_eq!(html.matches("<h1>").count(), 1, "{place}: one heading");
            // A text that is missing shows as its key.
            for key in &known {
                let shown = [format!(">{key}<"), format!("\"{key}\"")];
                let is_text = key.contains('-') && html.contains(&shown[0]);
                assert!(!is_text, "{place} shows the key {key}");
            }
            // What was put in stays text, and nothing runs inline.
            assert!(!html.contains("<script>"), "{place}");
            assert!(
                !html.contains(" style=") && !html.contains("<style"),
                "{place}"
            );
            assert!(
                !html.contains(" onclick") && !html.contains("javascript:"),
                "{place}"
            );
            let posts = html.matches("<form method=\"post\"").count();
            assert_eq!(html.matches("<form").count(), posts, "{place}");
            let tokens = html.matches("name=\"csrf\" value=\"csrf-token\"").count();
            assert_eq!(tokens, posts, "{place}: every form has its token");
            // Labels name fields, ids are unique, descriptions exist.
            let ids = attribute(&html, "id");
            let unique: BTreeSet<_> = ids.iter().collect();
            assert_eq!(ids.len(), unique.len(), "{place}: ids are unique");
            for referred in ["for", "aria-labelledby", "aria-describedby"] {
                for id in attribute(&html, referred) {
                    assert!(ids.contains(&id), "{place}: {referred}={id}");
                }
            }
            let labels = attribute(&html, "for");
            for input in html.split("<input").skip(1) {
                let input = input.split('>').next().unwrap_or_default();
                if !input.contains("type=\"hidden\"") {
                    let id = attribute(input, "id");
                    assert!(id.len() == 1 && labels.contains(&id[0]), "{place}: {input}");
                }
            }
            // Nothing that a person types is kept from being pasted or filled in (WCAG 3.3.8).
            assert!(!html.contains("onpaste"), "{place}");
        }
    }
}

#[test]
fn languages_are_chosen_as_browsers_ask() {
    assert_eq!(
        Language::accepted("de-CH, ru;q=0.8, en;q=0.5"),
        Language::Russian
    );
    assert_eq!(Language::accepted("en-GB,en;q=0.9"), Language::English);
    assert_eq!(Language::accepted("*"), Language::Kyrgyz);
    assert_eq!(Language::accepted(""), Language::Kyrgyz);
    assert_eq!(Language::accepted("ёё,ru"), Language::Russian);
}
