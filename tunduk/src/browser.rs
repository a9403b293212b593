//! The browser of the people in the story: it keeps cookies, fills in forms, follows redirections, and has a phone that
//! answers for passkeys. It talks to the sites over HTTPS like any other and trusts the country's authority alone.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{Method, Request, StatusCode};
use jose::from_base64url;
use pki::Certificate;
use serde_json::Value;
use transport::{
    Body, ClientTls, HttpClient, PoolLimits, RequestOptions, ServerVerification, TlsIdentity,
    TlsSetupError,
};
use webauthn::SoftwareAuthenticator;

use crate::instance::Sites;

/// Most redirections in a row.
const MOST_REDIRECTIONS: usize = 10;
/// Largest page or file.
const LARGEST: usize = 16 << 20;
const FORM: &str = "application/x-www-form-urlencoded";

/// A browser.
#[derive(Debug)]
pub struct Browser {
    http: HttpClient,
    options: RequestOptions,
    /// By host, then name.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    language: &'static str,
}

/// What a browser shows.
#[derive(Debug)]
pub struct Page {
    /// Its address.
    pub url: String,
    /// Its status.
    pub status: StatusCode,
    /// Its contents.
    pub body: Vec<u8>,
}

/// The scheme, host and port of an address.
fn origin_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    &url[..end]
}

fn host_of(url: &str) -> &str {
    let origin = origin_of(url);
    origin.split("://").nth(1).unwrap_or(origin)
}

/// What an attribute's text stands for.
fn unescaped(text: &str) -> String {
    text.replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = format!(" {name}=\"");
    let rest = tag.split(start.as_str()).nth(1)?;
    rest.split('"').next().map(unescaped)
}

impl Page {
    /// The contents as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What it says, without markup, cut short: for errors.
    #[must_use]
    pub fn said(&self) -> String {
        let html = self.text();
        let main = html.split("<main").nth(1).unwrap_or(&html);
        let mut text = String::new();
        let mut inside = main.starts_with("<!");
        for letter in main.chars() {
            match letter {
                '<' => inside = true,
                '>' => {
                    inside = false;
                    text.push(' ');
                }
                letter if !inside => text.push(letter),
                _ => {}
            }
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let words: String = words.join(" ").chars().take(300).collect();
        format!("{} {}: {words}", self.status, self.url)
    }

    /// The opening tag of the form with this action, and what is in the form.
    fn form(&self, action: &str) -> Result<(String, String), String> {
        let html = self.text();
        for form in html.split("<form").skip(1) {
            let (tag, rest) = form.split_once('>').unwrap_or((form, ""));
            if attribute(tag, "action").as_deref() == Some(action) {
                let inner = rest.split("</form>").next().unwrap_or_default();
                return Ok((tag.to_owned(), inner.to_owned()));
            }
        }
        Err(format!("there is no form {action} on {}", self.said()))
    }

    /// Whether there is such a form.
    #[must_use]
    pub fn has_form(&self, action: &str) -> bool {
        self.form(action).is_ok()
    }

    /// The action of the first form that begins like this and ends like that.
    #[must_use]
    pub fn action(&self, begin: &str, end: &str) -> Option<String> {
        let html = self.text();
        html.split("<form")
            .skip(1)
            .filter_map(|form| attribute(form.split('>').next()?, "action"))
            .find(|action| action.starts_with(begin) && action.ends_with(end))
    }

    /// What a form sends without being changed: hidden fields, and boxes that are ticked.
    fn fields(inner: &str) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        for input in inner.split("<input").skip(1) {
            let tag = input.split('>').next().unwrap_or_default();
            let kind = attribute(tag, "type").unwrap_or_default();
            let sent = match kind.as_str() {
                "checkbox" | "radio" => tag.ends_with(" checked") || tag.contains(" checked "),
                _ => true,
            };
            if let (true, Some(name)) = (sent, attribute(tag, "name")) {
                fields.push((name, attribute(tag, "value").unwrap_or_default()));
            }
        }
        fields
    }

    /// The first link that begins like this.
    #[must_use]
    pub fn link(&self, begin: &str) -> Option<String> {
        let html = self.text();
        html.split("<a")
            .skip(1)
            .filter_map(|link| attribute(link.split('>').next()?, "href"))
            .find(|link| link.starts_with(begin))
    }

    /// The text of the first `code` element.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        let html = self.text();
        let rest = html.split("<code>").nth(1)?;
        rest.split("</code>").next().map(unescaped)
    }

    /// The text of the first element with this class.
    #[must_use]
    pub fn shown(&self, class: &str) -> Option<String> {
        let html = self.text();
        let start = format!("class=\"{class}\"");
        let rest = html.split(start.as_str()).nth(1)?;
        let rest = rest.split_once('>')?.1;
        let rest = rest.strip_prefix("<strong>").unwrap_or(rest);
        let text = rest.split('<').next()?.trim();
        Some(unescaped(text))
    }
}

impl Browser {
    /// A browser for the sites, which trusts this authority.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(sites: &Sites, authority: &Certificate) -> Result<Self, TlsSetupError> {
        let trusted = ServerVerification::Authorities(vec![authority.der().to_vec()]);
        let tls = ClientTls::new(&trusted, None)?;
        Ok(Self {
            http: HttpClient::new(PoolLimits::default())?.with_hosts(sites.hosts()),
            options: RequestOptions::default()
                .with_tls(tls)
                .with_timeouts(Duration::from_secs(10), Duration::from_secs(60)),
            cookies: BTreeMap::new(),
            language: "en",
        })
    }

    /// There is a card in the reader from now on: the browser shows it to sites that ask for one.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn read_card(
        &mut self,
        authority: &Certificate,
        card: &TlsIdentity,
    ) -> Result<(), TlsSetupError> {
        let trusted = ServerVerification::Authorities(vec![authority.der().to_vec()]);
        let tls = ClientTls::new(&trusted, Some(card))?;
        self.options = self.options.clone().with_tls(tls);
        Ok(())
    }

    /// Forgets everything that sites left in it.
    pub fn forget(&mut self) {
        self.cookies.clear();
    }

    async fn once(
        &mut self,
        method: Method,
        url: &str,
        origin: Option<&str>,
        (kind, body): (&str, Vec<u8>),
    ) -> Result<(Page, Option<String>), String> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("accept-language", self.language)
            .header("user-agent", "Tunduk demo Chrome/1 Linux");
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin).header(CONTENT_TYPE, kind);
        }
        let jar = self.cookies.entry(host_of(url).to_owned()).or_default();
        if !jar.is_empty() {
            let pairs: Vec<String> = jar.iter().map(|(k, v)| format!("{k}={v}")).collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        let request = request
            .body(Body::full(body))
            .map_err(|error| format!("{url}: {error}"))?;
        let answer = self
            .http
            .request(request, &self.options)
            .await
            .map_err(|error| format!("{url}: {error}"))?;
        let (head, body) = answer.into_parts();
        for cookie in head.headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap_or_default();
            let pair = text.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                if text.contains("Max-Age=0") {
                    jar.remove(name);
                } else {
                    jar.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        let body = body
            .collect(LARGEST)
            .await
            .map_err(|error| format!("{url}: {error}"))?;
        let location = head
            .headers
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let page = Page {
            url: url.to_owned(),
            status: head.status,
            body: body.to_vec(),
        };
        Ok((page, location.filter(|_| head.status.is_redirection())))
    }

    async fn follow(
        &mut self,
        mut page: Page,
        mut location: Option<String>,
    ) -> Result<Page, String> {
        for _ in 0..MOST_REDIRECTIONS {
            let Some(next) = location else {
                return Ok(page);
            };
            let next = if next.starts_with('/') {
                format!("{}{next}", origin_of(&page.url))
            } else {
                next
            };
            let nothing = (FORM, Vec::new());
            (page, location) = self.once(Method::GET, &next, None, nothing).await?;
        }
        Err(format!("{} is redirected for ever", page.url))
    }

    /// Opens an address.
    ///
    /// # Errors
    /// In words, why there is no page. A page with an error is a page.
    pub async fn open(&mut self, url: &str) -> Result<Page, String> {
        let nothing = (FORM, Vec::new());
        let (page, location) = self.once(Method::GET, url, None, nothing).await?;
        self.follow(page, location).await
    }

    async fn send(
        &mut self,
        page: &Page,
        action: &str,
        fields: &[(String, String)],
    ) -> Result<(Page, Option<String>), String> {
        let origin = origin_of(&page.url).to_owned();
        let url = format!("{origin}{action}");
        let pairs: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let body = oauth2::form(&pairs).into_bytes();
        self.once(Method::POST, &url, Some(&origin), (FORM, body))
            .await
    }

    /// Fills in a form of a page and sends it.
    ///
    /// # Errors
    /// As [`Browser::open`]; there is no such form.
    pub async fn submit(
        &mut self,
        page: &Page,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Result<Page, String> {
        let (_, inner) = page.form(action)?;
        let all = with(Page::fields(&inner), fields);
        let (next, location) = self.send(page, action, &all).await?;
        self.follow(next, location).await
    }

    /// Sends a form of a page that asks for a passkey, which the phone answers: with a new key, or with the one it has.
    ///
    /// # Errors
    /// As [`Browser::submit`].
    pub async fn submit_with_phone(
        &mut self,
        page: &Page,
        action: &str,
        fields: &[(&str, &str)],
        phone: &SoftwareAuthenticator,
    ) -> Result<Page, String> {
        let (tag, inner) = page.form(action)?;
        let mut all = with(Page::fields(&inner), fields);
        let asks_at =
            attribute(&tag, "data-options").unwrap_or_else(|| "/sign-in/options".to_owned());
        let (question, _) = self.send(page, &asks_at, &all).await?;
        let read: Value = serde_json::from_slice(&question.body)
            .map_err(|_| format!("no question for a passkey: {}", question.said()))?;
        let challenge = read["options"]["challenge"]
            .as_str()
            .and_then(from_base64url)
            .ok_or("the question for a passkey has no challenge")?;
        let origin = origin_of(&page.url).to_owned();
        let answer = if attribute(&tag, "data-passkey").as_deref() == Some("create") {
            phone.register(&origin, &challenge)
        } else {
            phone
                .assert(&origin, &challenge)
                .map_err(|error| error.to_string())?
        };
        let ceremony = read["ceremony"].as_str().unwrap_or_default().to_owned();
        all = with(all, &[("ceremony", &ceremony), ("answer", &answer)]);
        let (next, location) = self.send(page, action, &all).await?;
        self.follow(next, location).await
    }

    /// Sends a file to a form of a page (RFC 7578).
    ///
    /// # Errors
    /// As [`Browser::submit`].
    pub async fn upload(
        &mut self,
        page: &Page,
        action: &str,
        field: &str,
        name: &str,
        file: &[u8],
    ) -> Result<Page, String> {
        let (_, inner) = page.form(action)?;
        let boundary = "----tunduk-demo-5f0c7d";
        let mut body = Vec::new();
        for (key, value) in Page::fields(&inner).iter().filter(|(key, _)| key != field) {
            body.extend_from_slice(
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{key}\"\r\n\r\n{value}\r\n")
                    .as_bytes(),
            );
        }
        body.extend_from_slice(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
                 Content-Type: application/pdf\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(file);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let origin = origin_of(&page.url).to_owned();
        let kind = format!("multipart/form-data; boundary={boundary}");
        let url = format!("{origin}{action}");
        let (next, location) = self
            .once(Method::POST, &url, Some(&origin), (&kind, body))
            .await?;
        self.follow(next, location).await
    }
}

/// Fields with some of them filled in.
fn with(mut fields: Vec<(String, String)>, filled: &[(&str, &str)]) -> Vec<(String, String)> {
    for (name, value) in filled {
        fields.retain(|(known, _)| known != name);
        fields.push(((*name).to_owned(), (*value).to_owned()));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> Page {
        Page {
            url: "https://id.localhost:8883/account?x=1".to_owned(),
            status: StatusCode::OK,
            body: html.as_bytes().to_vec(),
        }
    }

    #[test]
    fn forms_are_read_as_browsers_do() {
        let page = page(
            "<main id=\"main\"><h1>A &amp; B</h1><form method=\"post\" action=\"/a\" data-passkey=\"get\">\
             <input type=\"hidden\" name=\"csrf\" value=\"x&#34;y\"><input type=\"checkbox\" name=\"c\" value=\"yes\" checked>\
             <input type=\"checkbox\" name=\"d\" value=\"yes\"><input name=\"amount\" value=\"5\"></form>\
             <p class=\"shown-code\"><strong>ABCD-1</strong></p></main>",
        );
        let (tag, inner) = page.form("/a").expect("the form");
        assert_eq!(attribute(&tag, "data-passkey").as_deref(), Some("get"));
        let fields = with(Page::fields(&inner), &[("amount", "7"), ("new", "z")]);
        let pairs: Vec<String> = fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(pairs, ["csrf=x\"y", "c=yes", "amount=7", "new=z"]);
        assert!(page.form("/b").is_err() && !page.has_form("/b"));
        assert_eq!(page.shown("shown-code").as_deref(), Some("ABCD-1"));
        assert!(page.said().contains("A &amp; B"));
        assert_eq!(page.action("/", "a").as_deref(), Some("/a"));
    }

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(origin_of("https://a:1/b/c"), "https://a:1");
        assert_eq!(origin_of("https://a:1"), "https://a:1");
        assert_eq!(host_of("https://a:1/b"), "a:1");
    }
}
