//! The pages, without the servers behind them.

use std::sync::Arc;

use http::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use pki::{DigestAlgorithm, KeyType, SignatureAlgorithm, SoftwareKey};
use transport::PoolLimits;
use web_ui::{faults, text_faults};

use super::*;
use crate::identity::{HIGH, Person, SUBSTANTIAL};

const ORIGIN_HERE: &str = "https://bank.example";

fn key() -> SigningKey {
    let key = SoftwareKey::generate(KeyType::EcP256).expect("a key");
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    SigningKey::new(Arc::new(key.with_algorithm(algorithm).expect("ES256"))).expect("a signing key")
}

struct Place {
    site: BankSite,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Nobody listens there.
        let nowhere = "https://127.0.0.1:1".to_owned();
        let site = BankSite::new(Parts {
            origin: ORIGIN_HERE.to_owned(),
            contracts: folder.path().join("contracts"),
            http: HttpClient::new(PoolLimits::default()).expect("a client"),
            options: RequestOptions::default(),
            issuer: nowhere.clone(),
            identity_client: "bank".to_owned(),
            identity_key: key(),
            dpop_key: key(),
            signing_service: nowhere.clone(),
            signing_client: "bank".to_owned(),
            signing_key: key(),
            trust: Trust::default(),
            time_stamping: nowhere.clone(),
            verification: "https://verify.example/".to_owned(),
        })
        .expect("a site");
        Self {
            site,
            _folder: folder,
        }
    }

    fn somebody(&self, subject: &str, level: &str) -> String {
        let now = OffsetDateTime::now_utc();
        let visit = Visit {
            person: Some(Person::invented(subject, level, now)),
            ..Visit::default()
        };
        self.site.visits.renew(None, visit, now).expect("a visit")
    }

    async fn get(&self, path: &str, visit: &str) -> Reply {
        let request = Request::get(path)
            .header(COOKIE, format!("{VISIT_COOKIE}={visit}"))
            .body(Body::empty())
            .expect("a request");
        self.site.answered(request).await
    }

    async fn post(&self, path: &str, visit: &str, fields: &[(&str, &str)], origin: &str) -> Reply {
        let token = "t".repeat(43);
        let mut all = vec![("csrf", token.as_str())];
        all.extend(fields);
        let request = Request::post(path)
            .header(
                COOKIE,
                format!("{VISIT_COOKIE}={visit}; __Host-csrf={token}"),
            )
            .header(ORIGIN, origin)
            .body(Body::full(oauth2::form(&all)))
            .expect("a request");
        self.site.answered(request).await
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(reply.body()).into_owned()
}

fn location(reply: &Reply) -> &str {
    assert_eq!(reply.status(), StatusCode::SEE_OTHER);
    reply.headers()[LOCATION].to_str().expect("an address")
}

#[test]
fn every_language_has_every_text() {
    assert_eq!(text_faults(web_ui::sources!()), Vec::<String>::new());
}

#[tokio::test]
async fn every_page_holds_in_every_language() {
    let place = Place::new();
    let visit = place.somebody("aida", HIGH);
    let fields = [("amount", "75 000"), ("months", "12")];
    let drawn = place.post("/loan", &visit, &fields, ORIGIN_HERE).await;
    let contract = location(&drawn).to_owned();
    for language in Language::ALL {
        for (path, visit) in [
            ("/", ""),
            ("/", &visit),
            (contract.as_str(), visit.as_str()),
            ("/contract/none", &visit),
            ("/nothing", ""),
        ] {
            let reply = place
                .get(&format!("{path}?language={}", language.code()), visit)
                .await;
            let html = text(&reply);
            let csrf = html
                .split("name=\"csrf\" value=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .unwrap_or_default();
            let found = faults(&html, language, csrf, web_ui::sources!());
            assert_eq!(found, Vec::<String>::new(), "{path}: {html}");
            assert!(!html.contains("<b>"), "{path}");
            let policy = reply.headers()[CONTENT_SECURITY_POLICY].to_str();
            assert!(policy.expect("a policy").contains("frame-ancestors 'none'"));
        }
    }
}

#[tokio::test]
async fn a_contract_is_drawn_up_and_is_nobody_elses() {
    let place = Place::new();
    let visit = place.somebody("aida", HIGH);
    for (amount, months) in [("4999", "12"), ("50000", "0"), ("", "")] {
        let fields = [("amount", amount), ("months", months)];
        let reply = place.post("/loan", &visit, &fields, ORIGIN_HERE).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
        assert!(text(&reply).contains("role=\"alert\""));
    }
    let fields = [("amount", "75000"), ("months", "24")];
    let drawn = place.post("/loan", &visit, &fields, ORIGIN_HERE).await;
    let contract = location(&drawn).to_owned();
    assert!(text(&place.get("/", &visit).await).contains(&contract));
    let file = place
        .get(&format!("{contract}/agreement.pdf"), &visit)
        .await;
    assert!(file.body().starts_with(b"%PDF-1.7"));
    let signed = place.get(&format!("{contract}/signed.pdf"), &visit).await;
    assert_eq!(signed.status(), StatusCode::NOT_FOUND);

    let other = place.somebody("bakyt", HIGH);
    for visit in [other.as_str(), ""] {
        for path in [contract.clone(), format!("{contract}/agreement.pdf")] {
            let reply = place.get(&path, visit).await;
            assert_eq!(reply.status(), StatusCode::NOT_FOUND, "{path}");
        }
        let sign = format!("{contract}/sign");
        let reply = place.post(&sign, visit, &[], ORIGIN_HERE).await;
        assert_eq!(reply.status(), StatusCode::NOT_FOUND);
    }
    // Who is not signed in draws nothing up.
    let reply = place.post("/loan", "", &fields, ORIGIN_HERE).await;
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let place = Place::new();
    let visit = place.somebody("aida", HIGH);
    let fields = [("amount", "75000"), ("months", "24")];
    for origin in ["https://evil.example", "null"] {
        for path in ["/loan", "/sign-in", "/sign-out", "/contract/x/sign"] {
            let reply = place.post(path, &visit, &fields, origin).await;
            assert_eq!(reply.status(), StatusCode::FORBIDDEN, "{path} {origin}");
        }
    }
    let request = Request::post("/loan")
        .header(COOKIE, format!("{VISIT_COOKIE}={visit}"))
        .body(Body::full("amount=75000&months=24"))
        .expect("a request");
    assert_eq!(
        place.site.answered(request).await.status(),
        StatusCode::FORBIDDEN
    );
    let now = OffsetDateTime::now_utc();
    assert!(place.site.visits.find(&visit, now).is_some());
    assert!(place.site.contracts.of("aida").is_empty());
}

#[tokio::test]
async fn answers_to_no_question_are_refused_and_errors_tell_nothing() {
    let place = Place::new();
    let visit = place.somebody("aida", SUBSTANTIAL);
    for path in [
        "/signed-in?code=a&state=b&iss=https://127.0.0.1:1",
        "/signed-in?error=%3Cscript%3E",
        "/signed?code=a&state=b",
        "/signed",
    ] {
        let reply = place.get(path, &visit).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{path}");
        assert!(!text(&reply).contains("<script>"));
        assert!(reply.headers().get(LOCATION).is_none());
    }
    // The servers behind are not there: the person learns that, and no address of theirs.
    let reply = place.post("/sign-in", "", &[], ORIGIN_HERE).await;
    assert_eq!(reply.status(), StatusCode::BAD_GATEWAY);
    assert!(!text(&reply).contains("127.0.0.1"));
    let reply = place.post("/sign-out", &visit, &[], ORIGIN_HERE).await;
    assert_eq!(reply.status(), StatusCode::BAD_GATEWAY);
    let now = OffsetDateTime::now_utc();
    assert!(
        place.site.visits.find(&visit, now).is_none(),
        "signed out here all the same"
    );
    let reply = place
        .post("/logout", "", &[("logout_token", "x")], "")
        .await;
    assert_ne!(reply.status(), StatusCode::OK);
    assert!(reply.headers().get(SET_COOKIE).is_none());
}

#[tokio::test]
async fn the_level_high_does_not_last() {
    let now = OffsetDateTime::now_utc();
    let person =
        |level, minutes| Person::invented("aida", level, now - time::Duration::minutes(minutes));
    assert!(person(HIGH, 0).is_high(now));
    assert!(!person(HIGH, 16).is_high(now));
    assert!(!person(SUBSTANTIAL, 0).is_high(now));
    let place = Place::new();
    let visit = place.somebody("aida", SUBSTANTIAL);
    let fields = [("amount", "75000"), ("months", "24")];
    let drawn = place.post("/loan", &visit, &fields, ORIGIN_HERE).await;
    // A signature needs another sign-in first, and the provider is not there.
    let sign = format!("{}/sign", location(&drawn));
    let reply = place.post(&sign, &visit, &[], ORIGIN_HERE).await;
    assert_eq!(reply.status(), StatusCode::BAD_GATEWAY);
}
