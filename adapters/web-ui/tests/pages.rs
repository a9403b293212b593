//! The pages that every site has, in every language, and what the checks of pages find.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use web_ui::{
    ConfirmPage, Frame, Language, MessagePage, Page, Sources, Texts, faults, telling_addresses,
    tells_of_a_person, text_faults,
};

const SITE: Sources = Sources {
    ky: "service-name = Кызмат\nfooter = Эч ким сурабайт.\nwho-text = Бул { $value }\n",
    ru: "service-name = Служба\nfooter = Никто не спрашивает.\nwho-text = Это { $value }\n",
    en: "service-name = Service\nfooter = Nobody asks.\nwho-text = This is { $value }\n",
};
const HOSTILE: &str = "<script>alert('x')</script>\"&";

fn frame(texts: &Texts, language: Language) -> Frame<'_> {
    Frame {
        texts,
        language,
        csrf: "csrf-token",
        error: Some("error-form"),
    }
}

#[test]
fn common_pages_hold_in_every_language() {
    assert_eq!(text_faults(SITE), Vec::<String>::new());
    let texts = Texts::new(SITE).unwrap();
    for language in Language::ALL {
        let frame = frame(&texts, language);
        let message = MessagePage {
            frame,
            title: "failed-title",
            text: "failed-text",
            code: Some(HOSTILE),
            next: Some(("/", "continue-button")),
        };
        let confirm = ConfirmPage {
            frame,
            title: "refused-title",
            text: "failed-text",
            button: "continue-button",
            action: "/x",
            grave: true,
            back: ("/", "continue-button"),
        };
        for html in [message.html().unwrap(), confirm.html().unwrap()] {
            assert_eq!(
                faults(&html, language, "csrf-token", SITE),
                Vec::<String>::new()
            );
            assert!(!html.contains("alert('x')"));
        }
        assert!(frame.say_of("who-text", "Айбек").ends_with("Айбек"));
    }
}

#[test]
fn faults_are_found() {
    let texts = Texts::new(SITE).unwrap();
    let page = MessagePage {
        frame: frame(&texts, Language::English),
        title: "failed-title",
        text: "no-such-text",
        code: None,
        next: None,
    };
    let good = page.html().unwrap();
    let found = |html: &str| faults(html, Language::English, "csrf-token", SITE);
    let broken = [
        ("<form action=\"/x\">", "by POST"),
        (
            "<form method=\"post\" action=\"/x\"></form>",
            "with the token",
        ),
        ("<input id=\"name\" name=\"name\">", "no label"),
        ("<p id=\"main\"></p>", "twice"),
        ("<label for=\"nothing\">x</label>", "leads nowhere"),
        ("<p style=\"color: red\"></p>", " style="),
        ("<script>1</script>", "<script>"),
        ("<img src=\"/x\">", "alternative"),
        ("<h1>x</h1>", "heading"),
        ("<p>failed-text</p>", "failed-text shows"),
    ];
    for (piece, what) in broken {
        let html = good.replace("</main>", &format!("{piece}</main>"));
        let all = found(&html);
        assert!(
            all.iter().any(|fault| fault.contains(what)),
            "{piece}: {all:?}"
        );
    }
    assert!(!found(&good.replace("lang=\"en\">", "lang=\"ru\">")).is_empty());
}

#[test]
fn texts_that_a_language_lacks_are_found() {
    let lacking = Sources {
        ky: "service-name = Кызмат\nfooter = Эч\nwho-text = Бул ким\n",
        ..SITE
    };
    let all = text_faults(lacking);
    assert!(
        all.iter()
            .any(|fault| fault.contains("ky lacks who-text with")),
        "{all:?}"
    );
    // A site that says a common text again would say it differently on different pages.
    let doubled = Sources {
        en: "continue-button = Go\nservice-name = Service\nfooter = x\n",
        ..SITE
    };
    assert!(Texts::new(doubled).is_err());
    let broken = Sources {
        en: "service-name = {",
        ..SITE
    };
    assert!(Texts::new(broken).is_err());
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

#[test]
fn addresses_tell_of_nobody() {
    for address in [
        "/account/events?before=1234567",
        "/contract/0123456789abcdef20101199012345ab",
        "https://bank.example/back?code=21705199000003x&iss=https%3A%2F%2Fid.example",
    ] {
        assert!(!tells_of_a_person(address), "{address}");
    }
    for address in [
        "/desk/20101199012345",
        "/desk?number=20101199012345&x",
        "/x?mail=a%40b.kg",
        "mailto:a@b.kg",
        "/x/%D0%90",
        "/Асан",
    ] {
        assert!(tells_of_a_person(address), "{address}");
        let html = format!("<a href=\"/\">x</a><a class=\"y\" href=\"{address}\">x</a>");
        assert_eq!(telling_addresses(&html), [address]);
        let wrong = faults(&html, Language::English, "", SITE);
        assert!(
            wrong.iter().any(|fault| fault.contains(address)),
            "{wrong:?}"
        );
    }
}
