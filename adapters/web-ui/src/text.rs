//! Texts in the languages of the country.

use fluent::concurrent::FluentBundle;
use fluent::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Kyrgyz.
    Kyrgyz,
    /// Russian.
    Russian,
    /// English.
    English,
}

impl Language {
    /// All, the state language first.
    pub const ALL: [Self; 3] = [Self::Kyrgyz, Self::Russian, Self::English];

    /// Its code (ISO 639-1).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Kyrgyz => "ky",
            Self::Russian => "ru",
            Self::English => "en",
        }
    }

    /// Its name in itself.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kyrgyz => "Кыргызча",
            Self::Russian => "Русский",
            Self::English => "English",
        }
    }

    /// The language of a code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.code() == code)
    }

    /// The first language of an `Accept-Language` header that there is (RFC 9110 section 12.5.4, in the order in which
    /// browsers write it); the state language if there is none.
    #[must_use]
    pub fn accepted(header: &str) -> Self {
        header
            .split(',')
            .take(20)
            .filter_map(|range| range.trim().get(..2))
            .find_map(|code| Self::of_code(&code.to_ascii_lowercase()))
            .unwrap_or(Self::Kyrgyz)
    }

    const fn source(self) -> &'static str {
        match self {
            Self::Kyrgyz => include_str!("../texts/ky.ftl"),
            Self::Russian => include_str!("../texts/ru.ftl"),
            Self::English => include_str!("../texts/en.ftl"),
        }
    }
}

/// The texts of this build cannot be read: the build is at fault.
#[derive(Debug, thiserror::Error)]
#[error("the texts in {language} cannot be read: {reason}")]
pub struct TextError {
    language: &'static str,
    reason: String,
}

/// All texts.
pub struct Texts {
    bundles: Vec<(Language, FluentBundle<FluentResource>)>,
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Texts").finish_non_exhaustive()
    }
}

impl Texts {
    /// Reads them.
    ///
    /// # Errors
    /// See [`TextError`].
    pub fn new() -> Result<Self, TextError> {
        let mut bundles = Vec::new();
        for language in Language::ALL {
            let fail = |reason: String| TextError {
                language: language.code(),
                reason,
            };
            let id: LanguageIdentifier = language
                .code()
                .parse()
                .map_err(|error| fail(format!("{error:?}")))?;
            let resource = FluentResource::try_new(language.source().to_owned())
                .map_err(|(_, errors)| fail(format!("{errors:?}")))?;
            let mut bundle = FluentBundle::new_concurrent(vec![id]);
            // Marks around values would show in titles and attributes.
            bundle.set_use_isolating(false);
            bundle
                .add_resource(resource)
                .map_err(|errors| fail(format!("{errors:?}")))?;
            bundles.push((language, bundle));
        }
        Ok(Self { bundles })
    }

    /// A text, with the one value it may hold. None: there is no such text.
    #[must_use]
    pub fn find(&self, language: Language, key: &str, value: Option<&str>) -> Option<String> {
        let (_, bundle) = self.bundles.iter().find(|(of, _)| *of == language)?;
        let pattern = bundle.get_message(key)?.value()?;
        let mut arguments = FluentArgs::new();
        if let Some(value) = value {
            arguments.set("value", value.to_owned());
        }
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, Some(&arguments), &mut errors);
        errors.is_empty().then(|| text.into_owned())
    }
}
