//! Acting for an organisation, as browsers do it: recorded by an officer, appointed by its head, chosen at consent.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;
mod site;

use common::*;
use http::StatusCode;
use id_registry::Theme;
use idp_server::oauth::Reply;
use oidc_provider::*;
use site::*;

const BAKERY: &str = "00101199410123";

/// Person 1, who keeps the register of organisations, and persons 3 and 4.
fn people(site: &Site) -> [Browser<'_>; 3] {
    let mut boss = site.card(7);
    site.provider
        .appoint_first(number(7), Tenant::Sandbox, "ministry", now())
        .unwrap();
    let people = [1, 3, 4].map(|serial| site.card(serial));
    let fields = format!(
        "number={}&office=Osh&duty-organisations=yes",
        number(1).as_str()
    );
    boss.post("/officers/appoint", &fields);
    people
}

/// The form that records the bakery with person 3 as its head.
fn record() -> String {
    format!(
        "organisation={BAKERY}&name-en=Bakery&number={}",
        number(3).as_str()
    )
}

#[test]
fn an_organisation_is_recorded_and_its_head_appoints_who_acts_for_it() {
    let mut site = Site::new();
    let bank = site.provider.client(&ClientId::new(&*site.bank)).unwrap();
    let form = ClientForm {
        theme: Some(Theme::Benefits),
        ..bank.client().form.clone()
    };
    let id = site
        .provider
        .admit_client(None, &form, Tenant::Sandbox, now(), &seed());
    site.bank = id.unwrap().as_str().to_owned();
    let [mut registrar, mut head, mut clerk] = people(&site);

    let record = record();
    let page = head.post("/record", &record);
    assert!(page.body().contains("for officers only"));
    let wrong = record.replace(BAKERY, number(5).as_str());
    let page = registrar.post("/record", &wrong);
    assert!(page.body().contains("begins with 0"), "{}", page.body());
    assert_eq!(sent_to(&registrar.post("/record", &record)), "/record?done");
    assert!(head.get("/organisations").body().contains("Bakery"));
    assert!(!clerk.get("/organisations").body().contains("Bakery"));

    let appoint = format!(
        "organisation={BAKERY}&number={}&until=2027-06-01&theme-benefits=yes",
        number(4).as_str()
    );
    assert_eq!(
        clerk.post("/organisations/appoint", &appoint).status(),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        sent_to(&head.post("/organisations/appoint", &appoint)),
        "/organisations?done"
    );
    assert!(clerk.get("/organisations").body().contains("Bakery"));
    let consent = |page: &Reply| {
        let request = hidden(page, "request");
        format!("decision=allow&subject={BAKERY}&request={request}")
    };
    site.ask(&mut clerk, &["openid"]);
    let page = clerk.get("/continue");
    assert!(page.body().contains(BAKERY));
    assert!(sent_to(&clerk.post("/consent", &consent(&page))).contains("&code="));

    let page = head.get("/organisations");
    let dismiss = format!("organisation={BAKERY}&id={}", hidden(&page, "id"));
    assert_eq!(
        sent_to(&head.post("/organisations/dismiss", &dismiss)),
        "/organisations?done"
    );
    site.ask(&mut clerk, &["openid"]);
    let page = clerk.get("/continue");
    let page = clerk.post("/consent", &consent(&page));
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    assert!(page.body().contains("You cannot act for them"));
}

#[test]
fn acting_for_an_organisation_is_given_up_and_it_is_struck_off() {
    let site = Site::new();
    let [mut registrar, mut head, mut clerk] = people(&site);
    let record = record();
    assert_eq!(sent_to(&registrar.post("/record", &record)), "/record?done");
    let appoint = format!(
        "organisation={BAKERY}&number={}&until=2027-06-01&theme-benefits=yes",
        number(4).as_str()
    );
    assert_eq!(
        sent_to(&head.post("/organisations/appoint", &appoint)),
        "/organisations?done"
    );
    let page = clerk.get("/organisations");
    assert!(page.body().contains("Resign: Bakery"));
    let resign = format!("organisation={BAKERY}&id={}", hidden(&page, "id"));
    assert_eq!(
        sent_to(&clerk.post("/organisations/resign", &resign)),
        "/organisations?done"
    );
    assert!(!clerk.get("/organisations").body().contains("Bakery"));
    let again = clerk.post("/organisations/resign", &resign);
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);

    // What one cannot take back oneself is said twice.
    let bare = format!("organisation={BAKERY}");
    let sure = format!("{bare}&sure=yes");
    let page = head.post("/organisations/resign-as-head", &bare);
    assert!(page.body().contains("Confirm that you mean it"));
    assert!(head.get("/organisations").body().contains("Bakery"));
    assert_eq!(
        sent_to(&head.post("/organisations/resign-as-head", &sure)),
        "/organisations?done"
    );
    assert!(!head.get("/organisations").body().contains("Bakery"));

    assert_eq!(sent_to(&registrar.post("/record", &record)), "/record?done");
    assert!(head.get("/organisations").body().contains("Bakery"));
    let page = head.post("/record/strike-off", &sure);
    assert!(page.body().contains("for officers only"));
    let page = registrar.post("/record/strike-off", &bare);
    assert!(page.body().contains("Confirm that you mean it"));
    let other = sure.replace(BAKERY, "00101199410999");
    let page = registrar.post("/record/strike-off", &other);
    assert!(page.body().contains("No organisation is recorded"));
    assert_eq!(
        sent_to(&registrar.post("/record/strike-off", &sure)),
        "/record?done"
    );
    assert!(!head.get("/organisations").body().contains("Bakery"));
}
