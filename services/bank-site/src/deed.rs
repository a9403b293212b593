//! A deed as a PDF file: headings, paragraphs and facts on A4 pages, tagged so that it can be read aloud (PDF/UA-1), with
//! its fonts in it so that it looks the same in thirty years (PDF/A-2a).

use std::num::NonZeroU16;

use krilla::configure::{Accessibility, Archival, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::Point;
use krilla::metadata::{DateTime, Metadata};
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::surface::Surface;
use krilla::tagging::{Artifact, ArtifactType, ContentTag, Node, SpanTag, Tag, TagGroup, TagTree};
use krilla::text::{Font, TextDirection};
use krilla::{Document, SerializeSettings};
use time::{OffsetDateTime, UtcOffset};
use ttf_parser::Face;

const REGULAR: &[u8] = include_bytes!("../fonts/NotoSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../fonts/NotoSans-Bold.ttf");

/// A4 in points.
const WIDTH: f32 = 595.28;
const HEIGHT: f32 = 841.89;
const MARGIN: f32 = 62.0;
/// Where the values of facts begin.
const VALUES: f32 = 245.0;
/// Size of running text, and the distance of its lines.
const SIZE: f32 = 10.5;
const LINE: f32 = 15.5;

/// A part of a deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A heading.
    Heading(String),
    /// Running text.
    Paragraph(String),
    /// What it is called, and what it is.
    Fact(String, String),
}

/// A deed.
#[derive(Debug, Clone)]
pub struct Deed {
    /// Its language (ISO 639-1).
    pub language: &'static str,
    /// Its title.
    pub title: String,
    /// Its number.
    pub number: String,
    /// Whose form it is.
    pub organisation: String,
    /// When it was drawn up.
    pub at: OffsetDateTime,
    /// What it says.
    pub blocks: Vec<Block>,
}

/// Why there is no file: a character is in none of the fonts, or this build is broken.
#[derive(Debug, thiserror::Error)]
#[error("the deed cannot be written as PDF: {0}")]
pub struct DeedError(String);

struct Letters {
    font: Font,
    face: Face<'static>,
}

impl Letters {
    fn new(data: &'static [u8]) -> Result<Self, DeedError> {
        let broken = || DeedError("a font of this build cannot be read".to_owned());
        Ok(Self {
            font: Font::new(data.into(), 0).ok_or_else(broken)?,
            face: Face::parse(data, 0).map_err(|_| broken())?,
        })
    }

    /// The width of a text in points; kerning makes it a little less.
    fn width(&self, text: &str, size: f32) -> f32 {
        let units: f32 = text
            .chars()
            .filter_map(|letter| self.face.glyph_index(letter))
            .filter_map(|glyph| self.face.glyph_hor_advance(glyph))
            .map(f32::from)
            .sum();
        units * size / f32::from(self.face.units_per_em())
    }

    /// Lines of at most this width. A word that is longer stands in a line of its own.
    fn lines(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut line = String::new();
        // Spaces that do not break hold amounts together.
        for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
            let longer = if line.is_empty() {
                word.to_owned()
            } else {
                format!("{line} {word}")
            };
            if !line.is_empty() && self.width(&longer, size) > width {
                // The space keeps the words apart for those who copy or listen.
                line.push(' ');
                lines.push(std::mem::replace(&mut line, word.to_owned()));
            } else {
                line = longer;
            }
        }
        lines.push(line);
        lines
    }

    fn draw(&self, surface: &mut Surface<'_>, at: (f32, f32), size: f32, text: &str) {
        let point = Point::from_xy(at.0, at.1);
        let direction = TextDirection::LeftToRight;
        surface.draw_text(point, self.font.clone(), size, text, false, direction);
    }
}

/// One line on a page, and to which part it belongs.
struct Line<'a> {
    x: f32,
    y: f32,
    letters: &'a Letters,
    size: f32,
    text: String,
    part: usize,
}

/// Lines on pages, top down.
struct Layout<'a> {
    pages: Vec<Vec<Line<'a>>>,
    parts: Vec<TagGroup>,
    y: f32,
}

impl<'a> Layout<'a> {
    const TOP: f32 = MARGIN + 20.0;

    fn new() -> Self {
        Self {
            pages: vec![Vec::new()],
            parts: Vec::new(),
            y: Self::TOP,
        }
    }

    fn part(&mut self, group: TagGroup) {
        self.parts.push(group);
    }

    /// Puts a text in lines of a width at `x`; it belongs to the newest part.
    fn put(&mut self, letters: &'a Letters, size: f32, x: f32, width: f32, step: f32, text: &str) {
        for text in letters.lines(text, size, width) {
            if self.y > HEIGHT - MARGIN {
                self.pages.push(Vec::new());
                self.y = Self::TOP;
            }
            let line = Line {
                x,
                y: self.y,
                letters,
                size,
                text,
                part: self.parts.len().saturating_sub(1),
            };
            if let Some(page) = self.pages.last_mut() {
                page.push(line);
            }
            self.y += step;
        }
    }
}

impl Deed {
    /// Writes the file.
    ///
    /// # Errors
    /// See [`DeedError`].
    pub fn to_pdf(&self) -> Result<Vec<u8>, DeedError> {
        let (regular, bold) = (Letters::new(REGULAR)?, Letters::new(BOLD)?);
        let Layout {
            pages, mut parts, ..
        } = self.layout(&regular, &bold);
        let failed = |error: &dyn std::fmt::Debug| DeedError(format!("{error:?}"));
        let configuration = ConfigurationBuilder::new()
            .with_archival_validator(Archival::A2_A)
            .with_accessibility_validator(Accessibility::UA1)
            .finish()
            .map_err(|error| failed(&error))?;
        let mut document = Document::new_with(SerializeSettings {
            configuration,
            ..SerializeSettings::default()
        });
        let size = PageSettings::from_wh(WIDTH, HEIGHT).ok_or_else(|| failed(&"A4"))?;
        let count = pages.len();
        for (place, lines) in pages.into_iter().enumerate() {
            let mut page = document.start_page_with(size.clone());
            let mut surface = page.surface();
            for line in lines {
                let span = surface.start_tagged(ContentTag::Span(SpanTag::empty()));
                line.letters
                    .draw(&mut surface, (line.x, line.y), line.size, &line.text);
                surface.end_tagged();
                if let Some(part) = parts.get_mut(line.part) {
                    part.push(Node::Leaf(span));
                }
            }
            let foot = format!("{} · {} / {count}", self.number, place + 1);
            let artifact = Artifact::new(ArtifactType::Footer, None);
            surface.start_tagged(ContentTag::Artifact(artifact));
            regular.draw(&mut surface, (MARGIN, HEIGHT - MARGIN / 2.0), 8.5, &foot);
            surface.end_tagged();
            surface.finish();
            page.finish();
        }
        let mut tree = TagTree::new().with_lang(Some(self.language.to_owned()));
        for part in parts {
            tree.push(part);
        }
        document.set_tag_tree(tree);
        let top = XyzDestination::new(0, Point::from_xy(0.0, 0.0));
        let mut outline = Outline::new();
        outline.push_child(OutlineNode::new(self.title.clone(), top));
        document.set_outline(outline);
        document.set_metadata(self.metadata());
        document.finish().map_err(|error| failed(&error))
    }

    fn metadata(&self) -> Metadata {
        let at = self.at.to_offset(UtcOffset::UTC);
        let written = DateTime::new(u16::try_from(at.year()).unwrap_or_default())
            .month(at.month().into())
            .day(at.day())
            .hour(at.hour())
            .minute(at.minute())
            .second(at.second())
            .utc_offset_hour(0)
            .utc_offset_minute(0);
        Metadata::new()
            .title(self.title.clone())
            .authors(vec![self.organisation.clone()])
            .language(self.language.to_owned())
            .creation_date(written)
            .document_id(self.number.clone())
    }

    fn layout<'a>(&self, regular: &'a Letters, bold: &'a Letters) -> Layout<'a> {
        let heading = |rank: u16, text: &str| {
            let rank = NonZeroU16::new(rank).unwrap_or(NonZeroU16::MIN);
            TagGroup::new(Tag::Hn(rank, Some(text.to_owned())))
        };
        let full = WIDTH - 2.0 * MARGIN;
        let mut layout = Layout::new();
        layout.part(heading(1, &self.title));
        layout.put(bold, 18.0, MARGIN, full, 24.0, &self.title);
        layout.part(TagGroup::new(Tag::P));
        let number = format!("№ {}", self.number);
        layout.put(regular, SIZE, MARGIN, full, LINE, &number);
        layout.y += LINE;
        for block in &self.blocks {
            match block {
                Block::Heading(text) => {
                    layout.y += LINE / 2.0;
                    layout.part(heading(2, text));
                    layout.put(bold, 12.5, MARGIN, full, LINE + 3.0, text);
                }
                Block::Paragraph(text) => {
                    layout.part(TagGroup::new(Tag::P));
                    layout.put(regular, SIZE, MARGIN, full, LINE, text);
                    layout.y += LINE / 2.0;
                }
                Block::Fact(name, value) => {
                    layout.part(TagGroup::new(Tag::P));
                    // Both begin in the same line.
                    let name = format!("{name}:\u{a0}");
                    layout.put(regular, SIZE, MARGIN, full, 0.0, &name);
                    layout.put(bold, SIZE, VALUES, WIDTH - MARGIN - VALUES, LINE, value);
                }
            }
        }
        layout
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn deed(text: &str, times: usize) -> Deed {
        Deed {
            language: "ky",
            title: "Насыя келишими".to_owned(),
            number: "2026-0001".to_owned(),
            organisation: "Элдик банк".to_owned(),
            at: datetime!(2026-11-25 12:00 +6),
            blocks: vec![
                Block::Heading("Шарттар".to_owned()),
                Block::Fact("Суммасы".to_owned(), "50\u{a0}000,00\u{a0}сом".to_owned()),
                Block::Paragraph(text.repeat(times)),
            ],
        }
    }

    #[test]
    fn every_letter_of_the_country_is_there_and_long_deeds_have_pages() {
        let letters = "Ңң Өө Үү Ёё Ъъ Щщ «тырмакча» № – O‘zbek ";
        let short = deed(letters, 1).to_pdf().expect("a file");
        assert!(short.starts_with(b"%PDF-1.7"));
        let long = deed(letters, 400).to_pdf().expect("a file");
        let pages = |file: &[u8]| {
            let text = String::from_utf8_lossy(file).into_owned();
            text.matches("/Type/Page/").count() + text.matches("/Type /Page\n").count()
        };
        assert_eq!(pages(&short), 1);
        assert!(pages(&long) > 2, "{}", pages(&long));
    }

    #[test]
    fn a_deed_can_be_signed_and_a_change_shows() {
        use document_signature::{Integrity, PreparedDocument, SigningCertificate, verify};
        use pki::issue::{Template, self_signed};
        use pki::{DigestAlgorithm, KeyType, SignatureAlgorithm, Signer as _, SoftwareKey};

        let key = SoftwareKey::generate(KeyType::EcP256).expect("a key");
        let now = datetime!(2026-11-25 12:00 UTC);
        let certificate = self_signed(
            &Template {
                subject: ca::person_subject("20101199000011", "Асанова", "Айгүл").expect("a name"),
                public_key: key.public_key().clone(),
                serial: vec![1],
                not_before: now,
                not_after: datetime!(2027-11-25 12:00 UTC),
                profile: ca::SignatureKind::Qualified.profile(),
                ocsp_url: None,
            },
            &key,
        )
        .expect("a certificate");
        let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
        let signer = SigningCertificate {
            certificate,
            chain: Vec::new(),
            algorithm,
        };
        let pdf = deed("Келишим ", 3).to_pdf().expect("a file");
        let statement = pades::sign::Statement::default();
        let prepared = PreparedDocument::pdf(&pdf, &signer, &statement, now).expect("prepared");
        let key = key.with_algorithm(algorithm).expect("ES256");
        let value = key.sign(prepared.to_be_signed()).expect("a value");
        let signed = prepared.finish(&value).expect("signed");
        let mut signed = signed.into_bytes().expect("a file");
        let whole = |file: &[u8]| {
            let report = verify(file, None, now);
            let signatures = &report.signatures;
            signatures.len() == 1 && matches!(signatures[0].integrity, Integrity::Whole { .. })
        };
        assert!(whole(&signed));
        let middle = pdf.len() / 2;
        signed[middle] ^= 1;
        assert!(!whole(&signed));
    }

    #[test]
    fn a_letter_that_no_font_has_is_not_left_out_silently() {
        assert!(deed("漢", 1).to_pdf().is_err());
    }

    #[test]
    fn lines_keep_within_their_width() {
        let letters = Letters::new(REGULAR).expect("the font");
        let text = "жүз элүү миң сом ".repeat(40);
        let lines = letters.lines(&text, SIZE, 200.0);
        assert!(lines.len() > 10);
        for line in &lines {
            assert!(letters.width(line.trim_end(), SIZE) <= 200.0, "{line}");
        }
        assert_eq!(lines.concat().trim_end(), text.trim_end());
        assert_eq!(letters.lines("150\u{a0}000\u{a0}сом", SIZE, 10.0).len(), 1);
    }
}
