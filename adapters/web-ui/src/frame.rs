//! What every page has, and the pages that every site needs.

use askama::Template;

use crate::text::{Language, Texts};

/// What every page has.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The site's texts.
    pub texts: &'a Texts,
    /// The person's language.
    pub language: Language,
    /// The value that every form sends back.
    pub csrf: &'a str,
    /// Key of the text that says what went wrong.
    pub error: Option<&'a str>,
}

impl Frame<'_> {
    /// A text in the person's language; the key itself if there is none, which the tests do not let happen.
    #[must_use]
    pub fn say(&self, key: &str) -> String {
        self.texts
            .find(self.language, key, None)
            .unwrap_or_else(|| key.to_owned())
    }

    /// A text with a value.
    #[must_use]
    pub fn say_of(&self, key: &str, value: impl AsRef<str>) -> String {
        self.texts
            .find(self.language, key, Some(value.as_ref()))
            .unwrap_or_else(|| key.to_owned())
    }

    /// The country, on sites of the state: those whose texts hold `country`. Others do not carry its emblem.
    #[must_use]
    pub fn country(&self) -> Option<String> {
        self.texts.find(self.language, "country", None)
    }

    /// The languages to choose from.
    #[must_use]
    pub const fn languages(&self) -> [Language; 3] {
        Language::ALL
    }
}

/// Something that becomes HTML.
pub trait Page {
    /// The HTML.
    ///
    /// # Errors
    /// Memory ran out.
    fn html(&self) -> Result<String, std::fmt::Error>;
}

impl<T: Template> Page for T {
    fn html(&self) -> Result<String, std::fmt::Error> {
        self.render().map_err(|_| std::fmt::Error)
    }
}

/// A message, perhaps with a code that is shown once and a way on.
#[derive(Debug, Template)]
#[template(path = "message.html")]
pub struct MessagePage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Key of the title.
    pub title: &'a str,
    /// Key of the text.
    pub text: &'a str,
    /// The code.
    pub code: Option<&'a str>,
    /// Where to, and the key of the link's text.
    pub next: Option<(&'a str, &'a str)>,
}

/// Is the person sure?
#[derive(Debug, Template)]
#[template(path = "confirm.html")]
pub struct ConfirmPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Key of the title.
    pub title: &'a str,
    /// Key of the text.
    pub text: &'a str,
    /// Key of the button.
    pub button: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// Whether it cannot simply be undone.
    pub grave: bool,
    /// Where to instead, and the key of the link's text.
    pub back: (&'a str, &'a str),
}
