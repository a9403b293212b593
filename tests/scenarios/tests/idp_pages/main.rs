//! The identity provider's pages in a real browser: Chromium with its virtual authenticator, driven over WebDriver. People
//! sign up, come back, share, act for others and freeze; officers do what officers do; in each language, and without a
//! script. Every page is looked at (`testkit::Browser::look`), and a page that nobody visits fails the test.
//!
//! Needs Debian's `chromium` and `chromium-driver`. With `TUNDUK_SCREENSHOTS` set to a folder it leaves pictures there.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

#[path = "../../../../services/idp-server/tests/common/mod.rs"]
mod common;
mod officers;
mod people;
mod site;

use std::collections::BTreeSet;

use idp_server::pages::view::{ActingTask, DeskTask};
use site::{Site, Story};
use testkit::Browser;
use web_ui::Language;

/// Addresses of pages and forms, as the code and the templates of the server name them.
fn routes() -> BTreeSet<String> {
    let server = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services/idp-server");
    let quoted = |text: &str| -> Vec<String> {
        let parts = text.split('"').skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    };
    let pages = std::fs::read_to_string(server.join("src/pages/mod.rs")).unwrap();
    let between = |from: &str, to: &str| {
        let start = pages.find(from).expect(from);
        let end = pages[start..].find(to).expect(to);
        &pages[start..start + end]
    };
    let mut routes: BTreeSet<String> = quoted(between("fn shows(", "fn not_found("))
        .into_iter()
        .chain(
            quoted(between("fn page_of(", "fn does("))
                .into_iter()
                .map(|first| format!("/{first}")),
        )
        .chain(quoted(between("fn does(", "path => {")))
        .collect();
    let files = ["templates", "src/pages"].map(|folder| server.join(folder));
    for file in files
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
    {
        let path = file.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        for sign in [" action=\"", " data-options=\"", " action: \""] {
            for rest in text.split(sign).skip(1) {
                routes.insert(rest.split('"').next().unwrap().to_owned());
            }
        }
    }
    for (pattern, names) in [
        (
            "/desk/{{ task.name() }}",
            DeskTask::ALL.map(DeskTask::name).to_vec(),
        ),
        (
            "/acting/{{ task.name() }}",
            ActingTask::ALL.map(ActingTask::name).to_vec(),
        ),
    ] {
        assert!(routes.remove(pattern), "{pattern}");
        let place = pattern.split("{{").next().unwrap();
        routes.extend(names.iter().map(|name| format!("{place}{name}")));
    }
    assert!(
        routes.len() > 50 && routes.iter().all(|route| route.starts_with('/')),
        "{routes:?}"
    );
    routes
}

async fn every_page(language: Language) {
    let site = Site::start().await;
    tokio::task::spawn_blocking(move || {
        let browser = Browser::start(&["--host-resolver-rules=MAP bank.example ~NOTFOUND"]);
        browser.add_authenticator("internal");
        let story = Story::new(&browser, &site, language);
        people::strangers(&story);
        officers::appointed(&story);
        people::sign_up(&story);
        people::add_ways_in(&story);
        people::come_back(&story);
        people::lend_a_screen(&story);
        people::register_services(&story);
        people::share(&story);
        people::act_for_others(&story);
        officers::serve_people(&story);
        officers::keep_organisations(&story);
        officers::read_events(&story);
        people::leave_for_good(&story);
        let (asked, _) = site.asked();
        let missing: Vec<_> = routes().difference(&asked).cloned().collect();
        assert!(missing.is_empty(), "nobody visits {missing:?}");
        story.must_have_seen_all();
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and ChromeDriver: cargo xtask test"]
async fn every_page_in_kyrgyz() {
    every_page(Language::Kyrgyz).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and ChromeDriver: cargo xtask test"]
async fn every_page_in_russian() {
    every_page(Language::Russian).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and ChromeDriver: cargo xtask test"]
async fn every_page_in_english() {
    every_page(Language::English).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and ChromeDriver: cargo xtask test"]
async fn all_but_passkeys_works_without_a_script() {
    let site = Site::start().await;
    tokio::task::spawn_blocking(move || {
        let browser = Browser::start(&["--host-resolver-rules=MAP bank.example ~NOTFOUND"]);
        browser.without_scripts();
        let story = Story::new(&browser, &site, Language::Kyrgyz);
        story.open("/sign-in");
        story.see("passkey-needs-script");
        people::strangers(&story);
        officers::appointed(&story);
        people::sign_up(&story);
        people::lend_a_screen(&story);
        people::register_services(&story);
        people::share(&story);
        people::act_for_others(&story);
        officers::keep_organisations(&story);
        officers::read_events(&story);
        people::leave_for_good(&story);
    })
    .await
    .unwrap();
}
