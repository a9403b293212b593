//! What a browser brings to every page, and what every reply has.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HeaderName,
    LOCATION, ORIGIN, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use time::OffsetDateTime;
use time::macros::{format_description, offset};

use crate::text::Language;

/// Cookie with the token of the browser, which every form sends back. The prefix binds it to this host and to HTTPS
/// (RFC 6265bis 4.1.3.2).
const CSRF_COOKIE: &str = "__Host-csrf";
const LANGUAGE_COOKIE: &str = "__Host-language";
/// How long a language is remembered, in seconds.
const LANGUAGE_LASTS: u32 = 365 * 24 * 3600;
/// Letters of a token: 256 bits in base64url.
const TOKEN_LENGTH: usize = 43;

/// A moment as pages show it: Bishkek's time.
#[must_use]
pub fn shown(at: OffsetDateTime) -> String {
    let at = at.to_offset(offset!(+6));
    let form = format_description!("[day].[month].[year] [hour]:[minute]");
    at.format(form).unwrap_or_default()
}

/// Before which place a list is to begin, by the `before` of a query.
#[must_use]
pub fn before(query: &str) -> Option<u64> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("before=")?.parse().ok())
}

/// Files of all sites: path, media type, content.
const ASSETS: &[(&str, &str, &str)] = &[
    (
        "/assets/style.css",
        "text/css; charset=utf-8",
        include_str!("../assets/style.css"),
    ),
    (
        "/assets/passkey.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/passkey.js"),
    ),
    (
        "/assets/emblem.svg",
        "image/svg+xml",
        include_str!("../assets/emblem.svg"),
    ),
];

/// The operating system gives no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no randomness")]
pub struct NoRandomness;

/// What a browser brings to every page: its language, and the token that ties forms to it.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The person's language: just chosen, chosen earlier, or as the browser asks.
    pub language: Language,
    /// The value that every form sends back.
    pub csrf: String,
    new_token: bool,
    chose_language: bool,
}

/// The value of a cookie; none if it is there twice, for then somebody else may have set one.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split("; "))
        .filter_map(|pair| pair.split_once('='))
        .filter(|(cookie, _)| *cookie == name)
        .map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

impl Visitor {
    /// Reads the headers and the query of a request. A browser without a token gets a new one.
    ///
    /// # Errors
    /// See [`NoRandomness`].
    pub fn new(headers: &HeaderMap, query: &str) -> Result<Self, NoRandomness> {
        let asked = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("language="))
            .and_then(Language::of_code);
        let language = asked
            .or_else(|| cookie(headers, LANGUAGE_COOKIE).and_then(Language::of_code))
            .unwrap_or_else(|| {
                let header = headers.get(ACCEPT_LANGUAGE);
                let header = header.and_then(|value| value.to_str().ok());
                Language::accepted(header.unwrap_or_default())
            });
        let known = cookie(headers, CSRF_COOKIE).filter(|token| {
            token.len() == TOKEN_LENGTH
                && token
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        });
        let csrf = match known {
            Some(token) => token.to_owned(),
            None => {
                let mut random = [0; 32];
                getrandom::fill(&mut random).map_err(|_| NoRandomness)?;
                URL_SAFE_NO_PAD.encode(random)
            }
        };
        Ok(Self {
            language,
            csrf,
            new_token: known.is_none(),
            chose_language: asked.is_some(),
        })
    }

    /// Whether a form is this browser's and this site's: it sent the browser's token back, and comes from `origin`
    /// (scheme, host and port without a slash) if the browser says from where.
    #[must_use]
    pub fn sent(&self, token: Option<&str>, headers: &HeaderMap, origin: &str) -> bool {
        let same = token.is_some_and(|token| same_text(token, &self.csrf));
        let from = headers.get(ORIGIN);
        let here = from.is_none_or(|from| from.as_bytes() == origin.as_bytes());
        !self.new_token && same && here
    }

    /// A page of this browser: HTML with its policy, the token if it is new, and the language if it was chosen.
    #[must_use]
    pub fn page(&self, status: StatusCode, html: String, policy: &str) -> Response<String> {
        let mut reply = bare(status, "text/html; charset=utf-8", html);
        if let Ok(value) = HeaderValue::from_str(policy) {
            reply.headers_mut().insert(CONTENT_SECURITY_POLICY, value);
        }
        if self.new_token {
            set_cookie(&mut reply, CSRF_COOKIE, &self.csrf, None);
        }
        if self.chose_language {
            let code = self.language.code();
            set_cookie(&mut reply, LANGUAGE_COOKIE, code, Some(LANGUAGE_LASTS));
        }
        reply
    }
}

/// Compares without telling by the time where two texts differ.
fn same_text(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one
            .bytes()
            .zip(other.bytes())
            .fold(0, |differs, (one, other)| differs | (one ^ other))
            == 0
}

/// The policy of a page (Content Security Policy 3): files of this site only, nothing inline, in nobody's frame. Forms
/// go to this site and to `places`: space-separated origins to which a form's redirection may lead. `images` names
/// further sources of images, as `data:`.
#[must_use]
pub fn page_policy(places: &str, images: &str) -> String {
    let space = |text: &str| {
        if text.is_empty() {
            String::new()
        } else {
            format!(" {text}")
        }
    };
    format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'{}; \
         form-action 'self'{}; base-uri 'none'; frame-ancestors 'none'",
        space(images),
        space(places)
    )
}

/// A reply that nobody keeps.
#[must_use]
pub fn bare(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let set: [(HeaderName, &'static str); 4] = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer` browsers send `Origin: null` with our own forms.
        (REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in set {
        reply
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    reply
}

/// After a form: the browser goes on by GET (RFC 9110 15.4.4). To a path of this site, or to an address that somebody
/// registered; never to what a request names.
#[must_use]
pub fn see_other(location: &str) -> Response<String> {
    let kind = "text/plain; charset=utf-8";
    let mut reply = bare(StatusCode::SEE_OTHER, kind, String::new());
    match HeaderValue::from_str(location) {
        Ok(value) => {
            reply.headers_mut().insert(LOCATION, value);
        }
        Err(_) => *reply.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    reply
}

/// Sets a cookie for this host alone; for so many seconds, or as long as the browser is open. Its name begins with
/// `__Host-`.
pub fn set_cookie(reply: &mut Response<String>, name: &str, value: &str, lasts: Option<u32>) {
    let lasts = lasts.map_or_else(String::new, |lasts| format!("; Max-Age={lasts}"));
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{lasts}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        reply.headers_mut().append(SET_COOKIE, value);
    }
}

/// The reply for a path of a common file; none for other paths.
#[must_use]
pub fn asset(path: &str) -> Option<Response<String>> {
    let (_, kind, content) = ASSETS.iter().find(|(known, ..)| *known == path)?;
    let mut reply = bare(StatusCode::OK, kind, (*content).to_owned());
    let kept = HeaderValue::from_static("public, max-age=3600");
    reply.headers_mut().insert(CACHE_CONTROL, kept);
    let policy = HeaderValue::from_static("default-src 'none'");
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_form_is_this_browsers_and_this_sites() {
        const HERE: &str = "https://id.example";
        let first = Visitor::new(&HeaderMap::new(), "").unwrap();
        // A browser that had no token sent no form.
        assert!(!first.sent(Some(&first.csrf), &HeaderMap::new(), HERE));
        let kept = format!("{CSRF_COOKIE}={}", first.csrf);
        let from = |origin: &str| headers(&[(COOKIE, &kept), (ORIGIN, origin)]);
        let visitor = Visitor::new(&from(HERE), "").unwrap();
        assert_eq!(visitor.csrf, first.csrf);
        assert!(visitor.sent(Some(&first.csrf), &from(HERE), HERE));
        assert!(visitor.sent(Some(&first.csrf), &headers(&[(COOKIE, &kept)]), HERE));
        for origin in ["https://evil.example", "null", "http://id.example", ""] {
            assert!(
                !visitor.sent(Some(&first.csrf), &from(origin), HERE),
                "{origin}"
            );
        }
        let other = Visitor::new(&HeaderMap::new(), "").unwrap().csrf;
        for token in [None, Some(""), Some(other.as_str())] {
            assert!(!visitor.sent(token, &from(HERE), HERE), "{token:?}");
        }
        // A token that somebody else put beside ours is worth nothing, and neither is one that could end an attribute.
        let twice = format!("{kept}; {CSRF_COOKIE}={other}");
        let visitor = Visitor::new(&headers(&[(COOKIE, &twice)]), "").unwrap();
        assert!(visitor.new_token);
        let broken = format!("{CSRF_COOKIE}={}", "\"".repeat(TOKEN_LENGTH));
        let visitor = Visitor::new(&headers(&[(COOKIE, &broken)]), "").unwrap();
        assert!(visitor.new_token);
    }

    #[test]
    fn a_chosen_language_is_remembered() {
        let russian = headers(&[(ACCEPT_LANGUAGE, "ru")]);
        let visitor = Visitor::new(&russian, "language=en&x=1").unwrap();
        assert_eq!(visitor.language, Language::English);
        let reply = visitor.page(StatusCode::OK, String::new(), &page_policy("", ""));
        let cookies: Vec<_> = reply.headers().get_all(SET_COOKIE).iter().collect();
        assert_eq!(cookies.len(), 2);
        let text = cookies[1].to_str().unwrap();
        assert!(text.starts_with("__Host-language=en; Path=/; Secure; HttpOnly; SameSite=Lax"));
        let kept = headers(&[(ACCEPT_LANGUAGE, "ru"), (COOKIE, "__Host-language=en")]);
        let visitor = Visitor::new(&kept, "language=xx").unwrap();
        assert_eq!(visitor.language, Language::English);
        assert_eq!(
            Visitor::new(&russian, "").unwrap().language,
            Language::Russian
        );
    }

    #[test]
    fn moments_are_those_of_bishkek_and_lists_go_back() {
        let at = time::macros::datetime!(2026-11-25 20:05 UTC);
        assert_eq!(shown(at), "26.11.2026 02:05");
        assert_eq!(before("language=en&before=7"), Some(7));
        assert_eq!(before("before=x&before=8"), Some(8));
        assert_eq!(before("after=7"), None);
    }

    #[test]
    fn policies_let_nothing_else_in() {
        assert!(
            page_policy("https://bank.example", "data:").contains(
                "img-src 'self' data:; form-action 'self' https://bank.example; base-uri 'none'; frame-ancestors 'none'"
            )
        );
        assert!(asset("/assets/../secret").is_none());
        assert_eq!(
            asset("/assets/emblem.svg").unwrap().headers()[CONTENT_TYPE],
            "image/svg+xml"
        );
    }
}
