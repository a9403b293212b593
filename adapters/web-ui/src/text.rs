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
}

/// A site's texts as they are in its files, in the syntax of Fluent.
#[derive(Debug, Clone, Copy)]
pub struct Sources {
    /// Kyrgyz.
    pub ky: &'static str,
    /// Russian.
    pub ru: &'static str,
    /// English.
    pub en: &'static str,
}

/// The files `texts/ky.ftl`, `ru.ftl` and `en.ftl` of the crate that calls.
#[macro_export]
macro_rules! sources {
    () => {
        $crate::Sources {
            ky: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/texts/ky.ftl")),
            ru: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/texts/ru.ftl")),
            en: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/texts/en.ftl")),
        }
    };
}

/// What every site says.
pub(crate) const COMMON: Sources = sources!();

impl Sources {
    pub(crate) const fn of(&self, language: Language) -> &'static str {
        match language {
            Language::Kyrgyz => self.ky,
            Language::Russian => self.ru,
            Language::English => self.en,
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

/// All texts of a site.
pub struct Texts {
    bundles: Vec<(Language, FluentBundle<FluentResource>)>,
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Texts").finish_non_exhaustive()
    }
}

impl Texts {
    /// Reads a site's own texts and those that all sites have. No key may be in both.
    ///
    /// # Errors
    /// See [`TextError`].
    pub fn new(site: Sources) -> Result<Self, TextError> {
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
            let mut bundle = FluentBundle::new_concurrent(vec![id]);
            // Marks around values would show in titles and attributes.
            bundle.set_use_isolating(false);
            for source in [COMMON, site] {
                let resource = FluentResource::try_new(source.of(language).to_owned())
                    .map_err(|(_, errors)| fail(format!("{errors:?}")))?;
                bundle
                    .add_resource(resource)
                    .map_err(|errors| fail(format!("{errors:?}")))?;
            }
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
