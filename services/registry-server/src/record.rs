//! One description of an answer, written as XML for SOAP and as JSON for REST.

use std::borrow::Cow;

use id_registry::{Address, Customer, Licence, Name, Relation, Residence, Territory, View};

use crate::soap::element;

/// A value in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(u64),
    Truth(bool),
    Group(Record),
    List(&'static str, Vec<Value>),
}

/// Named values in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Record(Vec<(Cow<'static, str>, Value)>);

impl Record {
    pub(crate) fn text(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.0.push((name.into(), Value::Text(text.into())));
        self
    }

    pub(crate) fn number(mut self, name: &'static str, number: impl Into<u64>) -> Self {
        self.0.push((name.into(), Value::Number(number.into())));
        self
    }

    pub(crate) fn truth(mut self, name: &'static str, truth: bool) -> Self {
        self.0.push((name.into(), Value::Truth(truth)));
        self
    }

    pub(crate) fn group(mut self, name: &'static str, group: Self) -> Self {
        self.0.push((name.into(), Value::Group(group)));
        self
    }

    /// Groups under one name, each in an element `item`.
    pub(crate) fn list(
        mut self,
        name: &'static str,
        item: &'static str,
        groups: Vec<Self>,
    ) -> Self {
        let values = groups.into_iter().map(Value::Group).collect();
        self.0.push((name.into(), Value::List(item, values)));
        self
    }

    /// Texts under one name, each in an element `item`.
    pub(crate) fn texts<'t>(
        mut self,
        name: &'static str,
        item: &'static str,
        texts: impl Iterator<Item = &'t str>,
    ) -> Self {
        let values = texts.map(|text| Value::Text(text.to_owned())).collect();
        self.0.push((name.into(), Value::List(item, values)));
        self
    }

    /// A text, if there is one.
    fn perhaps(self, name: &'static str, text: Option<impl Into<String>>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// A text under a name that is not known beforehand; only for JSON.
    pub(crate) fn text_of_any_name(mut self, name: &str, text: &str) -> Self {
        self.0
            .push((name.to_owned().into(), Value::Text(text.to_owned())));
        self
    }

    pub(crate) fn name(self, name: &'static str, both: &Name) -> Self {
        let group = Self::default()
            .text("cyrillic", both.cyrillic.as_str())
            .text("latin", both.latin.as_str());
        let group = match &both.russian {
            Some(russian) => group.text("russian", russian.as_str()),
            None => group,
        };
        self.group(name, group)
    }

    /// The record as elements without a namespace prefix, in this order.
    pub(crate) fn to_xml(&self) -> String {
        self.0
            .iter()
            .map(|(name, value)| xml(name, value))
            .collect()
    }

    /// The record as a JSON object, in this order.
    pub(crate) fn to_json(&self) -> String {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{}:{}", json_text(name), json(value)))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

fn xml(name: &str, value: &Value) -> String {
    match value {
        Value::Text(text) => element(name, Some(text)),
        Value::Number(number) => element(name, Some(&number.to_string())),
        Value::Truth(truth) => element(name, Some(&truth.to_string())),
        Value::Group(group) => format!("<{name}>{}</{name}>", group.to_xml()),
        Value::List(item, values) => {
            let items: String = values.iter().map(|value| xml(item, value)).collect();
            format!("<{name}>{items}</{name}>")
        }
    }
}

fn json(value: &Value) -> String {
    match value {
        Value::Text(text) => json_text(text),
        Value::Number(number) => number.to_string(),
        Value::Truth(truth) => truth.to_string(),
        Value::Group(group) => group.to_json(),
        Value::List(_, values) => {
            let items: Vec<String> = values.iter().map(json).collect();
            format!("[{}]", items.join(","))
        }
    }
}

/// A moment as answers write it: RFC 3339, in UTC, to the second.
pub(crate) fn moment(at: time::OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    let at = at.replace_nanosecond(0).unwrap_or(at);
    at.format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default()
}

/// A text as JSON writes it.
pub(crate) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What a viewer sees of a person. What is withheld is left out, as is what is not known.
pub(crate) fn person(view: &View<'_>, territory: &Territory) -> Record {
    let mut record = Record::default()
        .text("number", view.number().as_str())
        .perhaps("sex", view.sex().map(|sex| sex.letter()))
        .perhaps("bornOn", view.born_on().map(|day| day.to_string()));
    if let Some(names) = view.names() {
        record = record
            .name("familyName", &names.family)
            .name("givenName", &names.given);
        if let Some(patronymic) = &names.patronymic {
            record = record.name("patronymic", patronymic);
        }
    }
    record = record.perhaps("birthPlace", view.birth_place()).perhaps(
        "citizenship",
        view.citizenship().map(|country| country.code()),
    );
    record = addresses(record, view, territory)
        .perhaps(
            "familyStatus",
            view.civil_status().map(|status| status.as_str()),
        )
        .perhaps("diedOn", view.died_on().map(|day| day.to_string()));
    if let Some(document) = view.documents().first() {
        let card = Record::default()
            .text("kind", document.kind.as_str())
            .text("number", document.number.as_str())
            .text("issuedOn", document.issued_on.to_string())
            .perhaps("expiresOn", document.expires_on.map(|day| day.to_string()))
            .text("authority", document.authority.as_str());
        record = record.group("document", card);
    }
    record
}

/// The addresses that a viewer sees.
pub(crate) fn addresses(record: Record, view: &View<'_>, territory: &Territory) -> Record {
    [
        ("address", Residence::Registered),
        ("actualAddress", Residence::Actual),
    ]
    .into_iter()
    .fold(record, |record, (name, residence)| {
        match view.address(residence) {
            Some(found) => record.group(name, address(found, territory)),
            None => record,
        }
    })
}

fn address(address: &Address, territory: &Territory) -> Record {
    let path = territory.path(&address.unit);
    let level = |place: usize| {
        let unit = path.get(place).or(path.last());
        unit.map(|unit| unit.name.as_str()).unwrap_or_default()
    };
    Record::default()
        .text("unit", address.unit.as_str())
        .text("oblast", level(0))
        .text("district", level(1))
        .text("locality", level(2))
        .text("street", address.street.as_str())
        .text("house", address.house.as_str())
        .perhaps("flat", address.flat.as_deref())
}

/// Relatives: how they are related and, where the viewer sees names, who they are.
pub(crate) fn relations(view: &View<'_>, relatives: &[(Relation, View<'_>)]) -> Record {
    let items = relatives
        .iter()
        .map(|(relation, relative)| {
            let item = Record::default()
                .text("relation", relation.as_str())
                .text("number", relative.number().as_str());
            match relative.names() {
                Some(names) => item
                    .name("familyName", &names.family)
                    .name("givenName", &names.given),
                None => item,
            }
        })
        .collect();
    Record::default()
        .text("number", view.number().as_str())
        .list("relations", "relative", items)
}

/// A driving licence; of the holder only what is printed on it.
pub(crate) fn licence(licence: &Licence) -> Record {
    let categories = licence
        .categories
        .iter()
        .map(|category| Value::Text(category.as_str().to_owned()))
        .collect();
    let mut record = Record::default()
        .text("number", licence.number.as_str())
        .text("holderNumber", licence.holder.number.as_str())
        .name("familyName", &licence.holder.family_name)
        .name("givenName", &licence.holder.given_name)
        .text("bornOn", licence.holder.born_on.to_string());
    record
        .0
        .push(("categories".into(), Value::List("category", categories)));
    record
        .text("issuedOn", licence.issued_on.to_string())
        .text("expiresOn", licence.expires_on.to_string())
        .text("status", licence.status.as_str())
}

/// A customer of the bank.
pub(crate) fn customer(customer: &Customer) -> Record {
    Record::default()
        .text("number", customer.number.as_str())
        .truth("customer", true)
        .text("since", customer.since.to_string())
        .number("accounts", customer.accounts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use id_registry::{LicenceRegister, Population};

    #[test]
    fn both_forms_hold_the_same_values() {
        let population = Population::demonstration();
        let found = LicenceRegister::new(population)
            .first_from(0)
            .expect("somebody drives");
        let record = licence(&found);
        let read: serde_json::Value = serde_json::from_str(&record.to_json()).expect("JSON");
        let number = read["number"].as_str().expect("a number");
        let xml = record.to_xml();
        assert!(xml.contains(&format!("<number>{number}</number>")));
        assert!(xml.contains("<categories><category>"));
    }

    #[test]
    fn markup_is_escaped() {
        let record = Record::default()
            .text("a", "<&\"\u{1}")
            .truth("b", false)
            .number("c", 7_u32);
        assert_eq!(record.to_json(), r#"{"a":"<&\"\u0001","b":false,"c":7}"#);
        assert!(
            record
                .to_xml()
                .starts_with("<a>&lt;&amp;&quot;\u{FFFD}</a>")
        );
    }
}
