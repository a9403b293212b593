//! Every page of the identity provider in every language: no text is missing, nothing that is put in becomes markup,
//! every form carries its token, every field has its label.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use idp_server::pages::TEXTS;
use idp_server::pages::view::*;
use web_ui::{Frame, Language, Page, Texts, faults, text_faults};

const HOSTILE: &str = "<script>alert('x')</script>\"&";

#[test]
fn every_language_has_the_same_texts() {
    assert_eq!(text_faults(TEXTS), Vec::<String>::new());
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
                card: Some("https://card.id.example/card"),
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

#[test]
fn every_page_holds_in_every_language() {
    let texts = Texts::new(TEXTS).unwrap();
    for language in Language::ALL {
        for (name, html) in pages(&texts, language) {
            let place = format!("{name} in {}", language.code());
            let faults = faults(&html, language, "csrf-token", TEXTS);
            assert_eq!(faults, Vec::<String>::new(), "{place}");
            assert!(!html.contains("alert('x')"), "{place}");
        }
    }
}
