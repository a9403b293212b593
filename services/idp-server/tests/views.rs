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

fn html(page: &dyn Page) -> String {
    page.html().expect("html")
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
        whose: Some("whose-officer"),
        client: Some(HOSTILE.to_owned()),
        factor: Some("factor-card"),
        level: Some("level-high"),
        network: Some("192.0.2.0/24".to_owned()),
        office: Some(HOSTILE.to_owned()),
        ground: Some("ground-court"),
        reference: Some(HOSTILE.to_owned()),
    }];
    let scope_texts = ["scope-profile".to_owned()];
    let places = [Place {
        path: "/account",
        text: "account-title",
        current: true,
    }];
    let cases = [CaseRow {
        id: HOSTILE.to_owned(),
        text: "desk-recovery",
        number: "12345678901234".to_owned(),
        since: "2026-11-25 10:00".to_owned(),
    }];
    let mandate = |to_answer| MandateRow {
        id: "mandate".to_owned(),
        other: HOSTILE.to_owned(),
        themes: vec!["theme-health".to_owned(), "theme-family".to_owned()],
        until: "2027-01-01".to_owned(),
        state: "mandate-granted",
        to_answer,
        lives: true,
        may_pass_on: !to_answer,
    };
    let mandates = [mandate(true), mandate(false)];
    let choices = [Choice {
        name: "theme-health".to_owned(),
        text: "theme-health".to_owned(),
        chosen: true,
    }];
    let organisations = [OrganisationRow {
        number: "00101199410123".to_owned(),
        name: HOSTILE.to_owned(),
        people: vec![RepresentativeRow {
            id: "appointment".to_owned(),
            number: "12345678901234".to_owned(),
            themes: vec!["theme-health".to_owned(), "theme-family".to_owned()],
            until: "2027-01-01".to_owned(),
        }],
    }];
    vec![
        (
            "sign-in",
            html(&SignInPage {
                frame,
                client: Some(HOSTILE),
                level: Some("level-high"),
                card: Some("https://card.id.example/card"),
            }),
        ),
        (
            "code",
            html(&CodePage {
                frame,
                attempt: HOSTILE,
            }),
        ),
        (
            "consent",
            html(&ConsentPage {
                frame,
                client: HOSTILE,
                organisation: HOSTILE,
                request: HOSTILE,
                scopes: &scopes,
                theme: Some("theme-health"),
                represented: &["12345678901234".to_owned()],
            }),
        ),
        (
            "events",
            html(&EventsPage {
                frame,
                places: &places,
                events: &events,
                latest: false,
                older: Some(3),
            }),
        ),
        (
            "investigation",
            html(&InvestigationPage {
                frame,
                places: &places,
                grounds: &[GroundField {
                    name: "ground-court",
                    text: "ground-court",
                }],
                found: Some(FoundEvents {
                    number: "12345678901234",
                    ground: "ground-court",
                    reference: HOSTILE,
                    events: &events,
                    older: Some(3),
                }),
            }),
        ),
        (
            "printed",
            html(&PrintedPage {
                frame,
                places: &places,
                codes: &[HOSTILE, "ABCD-EFGH"],
            }),
        ),
        ("counter", html(&CounterPage { frame })),
        ("unfreeze", html(&UnfreezePage { frame })),
        ("first-key", html(&FirstKeyPage { frame })),
        ("device", html(&DevicePage { frame })),
        (
            "device-choose",
            html(&DeviceChoosePage {
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
            html(&ScreenPage {
                frame,
                address: "https://id.example.kg/device",
                user_code: "ABCD-EFGH",
                number: 47,
                interval: 5,
            }),
        ),
        (
            "account",
            html(&AccountPage {
                frame,
                places: &places,
                done: Some("done-changed"),
                level: "level-high",
                number: Some("12345678901234"),
                keys: &rows,
                sessions: &rows,
                devices: &rows,
                consents: &rows,
                events: &events,
            }),
        ),
        (
            "desk",
            html(&DeskPage {
                frame,
                places: &places,
                office: HOSTILE,
                cases: &cases,
            }),
        ),
        (
            "person",
            html(&PersonPage {
                frame,
                places: &places,
                number: "12345678901234",
                name: Some(HOSTILE),
                portrait: Some("data:image/jpeg;base64,AAAA"),
                state: "desk-has-account",
                careful_until: Some("2026-11-26 10:00".to_owned()),
                tasks: &DeskTask::ALL,
            }),
        ),
        (
            "case",
            html(&CasePage {
                frame,
                places: &places,
                id: HOSTILE,
                number: "12345678901234",
                name: None,
                portrait: None,
                task: DeskTask::Confirm,
            }),
        ),
        (
            "acting",
            html(&ActingPage {
                frame,
                places: &places,
                done: Some("acting-done"),
                given: &mandates[..1],
                held: &mandates[1..],
                themes: &choices,
                days: ("2026-11-25", "2029-11-24"),
            }),
        ),
        (
            "clients",
            html(&ClientsPage {
                frame,
                places: &places,
                done: Some("clients-done"),
                sandbox: true,
                clients: &[ClientRow {
                    id: HOSTILE.to_owned(),
                    name: HOSTILE.to_owned(),
                    state: "client-registered",
                    good: true,
                    can_change: true,
                }],
            }),
        ),
        (
            "client-form",
            html(&ClientFormPage {
                frame,
                places: &places,
                id: HOSTILE,
                names: [HOSTILE; 3].map(str::to_owned),
                organisation: HOSTILE.to_owned(),
                contact: HOSTILE.to_owned(),
                redirect_uris: format!("{HOSTILE}</textarea>"),
                after_logout_uris: String::new(),
                logout_uri: HOSTILE.to_owned(),
                keys: HOSTILE.to_owned(),
                methods: &["a", "b"].map(|name| Choice {
                    name: name.to_owned(),
                    text: "method-tls-key".to_owned(),
                    chosen: name == "a",
                }),
                tls_name_kinds: Some(&[Choice {
                    name: "san_dns".to_owned(),
                    text: "san_dns".to_owned(),
                    chosen: true,
                }]),
                tls_name: HOSTILE.to_owned(),
                profiles: ["a", "b"].map(|name| Choice {
                    name: name.to_owned(),
                    text: "profile-fapi2".to_owned(),
                    chosen: name == "a",
                }),
                levels: ["a", "b", "c"].map(|name| Choice {
                    name: name.to_owned(),
                    text: "level-high".to_owned(),
                    chosen: name == "a",
                }),
                scopes: &[ScopeField {
                    name: "profile".to_owned(),
                    text: "scope-profile".to_owned(),
                    chosen: true,
                    purposes: [HOSTILE; 3].map(str::to_owned),
                }],
                themes: &choices,
                device_flow: true,
            }),
        ),
        (
            "approvals",
            html(&ApprovalsPage {
                frame,
                places: &places,
                done: None,
                clients: &[ApprovalRow {
                    id: "client".to_owned(),
                    name: HOSTILE.to_owned(),
                    state: "client-registered",
                    facts: vec![("client-contact", HOSTILE.to_owned())],
                    seen: "digest".to_owned(),
                    waits: true,
                    lives: true,
                }],
                more_after: Some(HOSTILE),
            }),
        ),
        (
            "organisations",
            html(&OrganisationsPage {
                frame,
                places: &places,
                done: Some("done-changed"),
                headed: &organisations,
                represented: &organisations,
                themes: &choices,
                days: ("2026-11-25", "2029-11-24"),
            }),
        ),
        (
            "record",
            html(&RecordPage {
                frame,
                places: &places,
                done: Some("done-changed"),
            }),
        ),
        (
            "officers",
            html(&OfficersPage {
                frame,
                places: &places,
                done: None,
                officers: &[OfficerRow {
                    number: "12345678901234".to_owned(),
                    office: HOSTILE.to_owned(),
                    duties: vec!["duty-desk", "duty-clients"],
                }],
                duties: &[DutyField {
                    name: "duty-desk",
                    text: "duty-desk",
                }],
            }),
        ),
    ]
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
