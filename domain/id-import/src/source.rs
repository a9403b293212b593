//! The form of a source: columns, and rows of CSV (RFC 4180) or JSON, one object a line.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, de};

/// Longest row, in bytes. A longer one is kept out without being read.
pub const LONGEST_ROW: usize = 64 * 1024;

/// A column of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// The 14 digits.
    Number,
    /// `F` or `M`; also `Ж` and `М`, or the digit of the number.
    Sex,
    /// `YYYY-MM-DD` or `DD.MM.YYYY`, as all dates.
    BirthDate,
    /// In Cyrillic letters, as all names.
    FamilyName,
    /// Given name.
    GivenName,
    /// Patronymic.
    Patronymic,
    /// The family name as the passport prints it; computed where it is empty.
    FamilyNameLatin,
    /// The given name as the passport prints it.
    GivenNameLatin,
    /// Place of birth.
    BirthPlace,
    /// Three capital letters; `XXA` for a stateless person.
    Citizenship,
    /// `single`, `married`, `divorced` or `widowed`; empty means single.
    CivilStatus,
    /// Number of husband or wife.
    Spouse,
    /// Number of the mother.
    Mother,
    /// Number of the father.
    Father,
    /// Code of the administrative unit of the registered address.
    Unit,
    /// Street.
    Street,
    /// House.
    House,
    /// Flat.
    Flat,
    /// `identityCard`, `passport`, `birthCertificate` or `residencePermit`.
    DocumentKind,
    /// Series and number.
    DocumentNumber,
    /// First day of validity.
    DocumentIssued,
    /// Last day of validity.
    DocumentExpires,
    /// Number of the issuing office.
    DocumentAuthority,
    /// Day of death.
    DeathDate,
}

impl Column {
    /// How many there are.
    pub const COUNT: usize = 24;

    /// All columns, in the order in which this program writes them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Number,
        Self::Sex,
        Self::BirthDate,
        Self::FamilyName,
        Self::GivenName,
        Self::Patronymic,
        Self::FamilyNameLatin,
        Self::GivenNameLatin,
        Self::BirthPlace,
        Self::Citizenship,
        Self::CivilStatus,
        Self::Spouse,
        Self::Mother,
        Self::Father,
        Self::Unit,
        Self::Street,
        Self::House,
        Self::Flat,
        Self::DocumentKind,
        Self::DocumentNumber,
        Self::DocumentIssued,
        Self::DocumentExpires,
        Self::DocumentAuthority,
        Self::DeathDate,
    ];

    /// Those that a source must have.
    const REQUIRED: [Self; 5] = [
        Self::Number,
        Self::Sex,
        Self::BirthDate,
        Self::FamilyName,
        Self::GivenName,
    ];

    /// Its name in a header or object.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Sex => "sex",
            Self::BirthDate => "birth_date",
            Self::FamilyName => "family_name",
            Self::GivenName => "given_name",
            Self::Patronymic => "patronymic",
            Self::FamilyNameLatin => "family_name_latin",
            Self::GivenNameLatin => "given_name_latin",
            Self::BirthPlace => "birth_place",
            Self::Citizenship => "citizenship",
            Self::CivilStatus => "civil_status",
            Self::Spouse => "spouse",
            Self::Mother => "mother",
            Self::Father => "father",
            Self::Unit => "unit",
            Self::Street => "street",
            Self::House => "house",
            Self::Flat => "flat",
            Self::DocumentKind => "document_kind",
            Self::DocumentNumber => "document_number",
            Self::DocumentIssued => "document_issued",
            Self::DocumentExpires => "document_expires",
            Self::DocumentAuthority => "document_authority",
            Self::DeathDate => "death_date",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }
}

/// Where a row is in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The first byte.
    pub offset: u64,
    /// Bytes, without the line's end.
    pub length: u32,
}

/// The values of a row, one a column, without the space around them. An empty one says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells<'a>([Cow<'a, str>; Column::COUNT]);

impl Cells<'_> {
    /// The value of a column.
    #[must_use]
    pub fn get(&self, column: Column) -> &str {
        &self.0[column as usize]
    }

    /// The value of a column, if it has one.
    #[must_use]
    pub fn filled(&self, column: Column) -> Option<&str> {
        Some(self.get(column)).filter(|text| !text.is_empty())
    }

    /// What tells two rows apart: equal for rows whose values are all equal (FNV-1a, 64 bits).
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut digest = Fnv::new();
        for cell in &self.0 {
            digest.write(cell.as_bytes());
            digest.write(&[0]);
        }
        digest.0
    }
}

/// Fowler, Noll and Vo's hash, variant 1a: the same on every machine and in every version of this program.
pub(crate) struct Fnv(pub(crate) u64);

impl Fnv {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Why a source cannot be read at all. The fault is that of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A column that does not exist.
    #[error("the source has a column {0:?}, which is not known; the columns are: {columns}", columns = columns())]
    Unknown(String),
    /// A column that is there twice.
    #[error("the source has the column {0} twice")]
    Twice(&'static str),
    /// A column that must be there.
    #[error("the source has no column {0}")]
    Missing(&'static str),
    /// Not text.
    #[error("the first line of the source is not UTF-8")]
    Encoding,
}

fn columns() -> String {
    Column::ALL.map(Column::name).join(", ")
}

/// Why a row cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Not UTF-8.
    Encoding,
    /// Other than as many values as columns, or a quote out of place.
    Form,
}

/// How the rows of a source are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// Values separated by commas or semicolons, in the order of the header.
    Separated {
        /// The separator.
        by: u8,
        /// The columns.
        columns: Vec<Column>,
    },
    /// One JSON object a line.
    Objects,
}

impl Layout {
    /// The layout that a header says.
    ///
    /// # Errors
    /// See [`LayoutError`].
    pub fn of_header(header: &[u8]) -> Result<Self, LayoutError> {
        let text = str::from_utf8(header).map_err(|_| LayoutError::Encoding)?;
        let text = text.trim_start_matches('\u{feff}');
        let by = if text.contains(';') { b';' } else { b',' };
        let names = split(text, by).map_err(|_| LayoutError::Unknown(short(text)))?;
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let name = name.trim().to_lowercase();
            let column = Column::named(&name).ok_or_else(|| LayoutError::Unknown(short(&name)))?;
            if columns.contains(&column) {
                return Err(LayoutError::Twice(column.name()));
            }
            columns.push(column);
        }
        match Column::REQUIRED
            .into_iter()
            .find(|column| !columns.contains(column))
        {
            Some(missing) => Err(LayoutError::Missing(missing.name())),
            None => Ok(Self::Separated { by, columns }),
        }
    }

    /// Whether a row has one value for each column.
    #[must_use]
    pub fn is_row(&self, row: &[u8]) -> bool {
        self.cells(row).is_ok()
    }

    pub(crate) fn cells<'a>(&self, row: &'a [u8]) -> Result<Cells<'a>, Unreadable> {
        let text = str::from_utf8(row).map_err(|_| Unreadable::Encoding)?;
        let mut cells = Cells([const { Cow::Borrowed("") }; Column::COUNT]);
        match self {
            Self::Separated { by, columns } => {
                let values = split(text, *by)?;
                if values.len() != columns.len() {
                    return Err(Unreadable::Form);
                }
                for (column, value) in columns.iter().zip(values) {
                    cells.0[*column as usize] = tidy(value);
                }
            }
            Self::Objects => {
                let object: Object = serde_json::from_str(text).map_err(|_| Unreadable::Form)?;
                let mut said = Vec::with_capacity(Column::COUNT);
                for (name, value) in object.0 {
                    let column = Column::named(&name).ok_or(Unreadable::Form)?;
                    // Whoever says a thing twice says nothing.
                    if said.contains(&column) {
                        return Err(Unreadable::Form);
                    }
                    said.push(column);
                    let value = match value {
                        serde_json::Value::Null => continue,
                        serde_json::Value::String(text) => text,
                        serde_json::Value::Number(number) => number.to_string(),
                        _ => return Err(Unreadable::Form),
                    };
                    cells.0[column as usize] = tidy(Cow::Owned(value));
                }
            }
        }
        Ok(cells)
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The members of a JSON object, those of one name too.
struct Object(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with at most one member for each column")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    if members.len() == Column::COUNT {
                        return Err(de::Error::invalid_length(Column::COUNT + 1, &self));
                    }
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Where a row of CSV is that is read line by line. A quote counts only where a value begins or within a value that began
/// with one (RFC 4180), so that a stray one spoils no other row.
#[derive(Debug, Clone)]
pub struct Quotes {
    by: u8,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value begins.
    Begins,
    /// Within a value without quotes, or behind one that was quoted.
    Plain,
    /// Within a quoted value.
    Quoted,
    /// At a quote within a quoted value: its end, or the first of two.
    Quote,
}

impl Quotes {
    /// At the beginning of a row.
    #[must_use]
    pub const fn new(by: u8) -> Self {
        Self {
            by,
            state: State::Begins,
        }
    }

    /// Reads on up to an end of line. Whether the row goes on behind it, as it is within a quoted value.
    pub fn are_open_after(&mut self, line: &[u8]) -> bool {
        for byte in line {
            self.state = match (self.state, *byte) {
                (State::Begins, b'"') | (State::Quote, b'"') => State::Quoted,
                (State::Quoted, b'"') => State::Quote,
                (State::Quoted, _) => State::Quoted,
                (_, byte) if byte == self.by => State::Begins,
                _ => State::Plain,
            };
        }
        self.state == State::Quoted
    }
}

/// The values of a row of CSV.
fn split(text: &str, by: u8) -> Result<Vec<Cow<'_, str>>, Unreadable> {
    let mut values = Vec::with_capacity(Column::COUNT);
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted_end(quoted).ok_or(Unreadable::Form)?;
            let value = &quoted[..end];
            values.push(if value.contains('"') {
                Cow::Owned(value.replace("\"\"", "\""))
            } else {
                Cow::Borrowed(value)
            });
            let after = &quoted[end + 1..];
            match after.as_bytes().first() {
                None => return Ok(values),
                Some(byte) if *byte == by => rest = &after[1..],
                Some(_) => return Err(Unreadable::Form),
            }
        } else {
            let end = rest.bytes().position(|byte| byte == by);
            let value = &rest[..end.unwrap_or(rest.len())];
            if value.contains('"') {
                return Err(Unreadable::Form);
            }
            values.push(Cow::Borrowed(value));
            match end {
                None => return Ok(values),
                Some(end) => rest = &rest[end + 1..],
            }
        }
        if values.len() > Column::COUNT {
            return Err(Unreadable::Form);
        }
    }
}

/// Where the quote is that ends a value; doubled ones stand for one of its own.
fn quoted_end(quoted: &str) -> Option<usize> {
    let bytes = quoted.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'"' {
            if bytes.get(at + 1) != Some(&b'"') {
                return Some(at);
            }
            at += 1;
        }
        at += 1;
    }
    None
}

/// Without the space around it, and with one blank for several.
fn tidy(value: Cow<'_, str>) -> Cow<'_, str> {
    let plain = value.trim() == value.as_ref()
        && !value.contains("  ")
        && !value.contains(['\t', '\n', '\r', '\u{a0}']);
    if plain {
        value
    } else {
        Cow::Owned(value.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"\xef\xbb\xbfNumber; sex;birth_date;family_name;given_name;street";

    #[test]
    fn rows_of_csv_are_read_as_the_header_says() {
        let layout = Layout::of_header(HEADER).expect("a layout");
        let cells = layout
            .cells("1; F ;;\"А\"\"б;\n  в\";Г  Д;\"\"".as_bytes())
            .expect("cells");
        assert_eq!(cells.get(Column::Number), "1");
        assert_eq!(cells.filled(Column::Sex), Some("F"));
        assert_eq!(cells.filled(Column::BirthDate), None);
        assert_eq!(cells.get(Column::FamilyName), "А\"б; в");
        assert_eq!(cells.get(Column::GivenName), "Г Д");
        assert_eq!(cells.get(Column::Street), "");
        for (row, error) in [
            (&b"1;F;;a;b"[..], Unreadable::Form),
            (b"1;F;;a;b;c;d", Unreadable::Form),
            (b"1;F;;a;\"b;c", Unreadable::Form),
            (b"1;F;;a;\"b\"x;c", Unreadable::Form),
            (b"1;F;;a;b\"x;c", Unreadable::Form),
            (b"1;F;;a;\xd0;c", Unreadable::Encoding),
        ] {
            assert_eq!(layout.cells(row), Err(error), "{row:?}");
        }
    }

    #[test]
    fn a_row_goes_on_behind_a_line_only_within_a_quoted_value() {
        for (line, open) in [
            ("a,\"b\"\"c\"", false),
            ("a,\"b", true),
            ("a,\"b,\"\"", true),
            ("a,\"b\"\"", true),
            ("\"", true),
            ("\"\"", false),
            ("a \"b,c", false),
            ("a\",\"b\"c\",d", false),
        ] {
            assert_eq!(
                Quotes::new(b',').are_open_after(line.as_bytes()),
                open,
                "{line}"
            );
        }
        let mut quotes = Quotes::new(b';');
        assert!(quotes.are_open_after(b"a;\"b\n"));
        assert!(quotes.are_open_after(b"\"\";c\n"));
        assert!(!quotes.are_open_after(b"d\";e\n"));
    }

    #[test]
    fn an_object_a_line_says_the_same() {
        let header = Layout::of_header(HEADER).expect("a layout");
        let row = header
            .cells("7;F;;Асанова;Айгүл;".as_bytes())
            .expect("cells");
        let object = r#"{"given_name":" Айгүл ","sex":"F","number":7,"street":null,"family_name":"Асанова"}"#;
        let object = Layout::Objects.cells(object.as_bytes()).expect("cells");
        assert_eq!(object, row);
        assert_eq!(object.digest(), row.digest());
        let other = header
            .cells("7;F;;Асанов;аАйгүл;".as_bytes())
            .expect("cells");
        assert_ne!(other.digest(), row.digest());
        for text in [
            "{}x",
            "[]",
            r#"{"nmber":1}"#,
            r#"{"number":[1]}"#,
            r#"{"number":1,"number":2}"#,
        ] {
            assert_eq!(
                Layout::Objects.cells(text.as_bytes()),
                Err(Unreadable::Form)
            );
        }
    }

    #[test]
    fn headers_that_cannot_be_meant_are_refused() {
        for (header, error) in [
            ("number,sex", LayoutError::Missing("birth_date")),
            ("number,sex,number", LayoutError::Twice("number")),
            ("number,shoe", LayoutError::Unknown("shoe".to_owned())),
        ] {
            assert_eq!(Layout::of_header(header.as_bytes()), Err(error));
        }
        let every = Column::ALL.map(Column::name).join(",");
        assert!(Layout::of_header(every.as_bytes()).is_ok());
        for (place, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column as usize, place);
        }
    }
}
