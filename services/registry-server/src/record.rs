//! One description of an answer, written as XML for SOAP and as JSON for REST.

use std::borrow::Cow;

use id_registry::{Customer, Licence, Name, Resident, Territory};

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

    /// A text under a name that is not known beforehand; only for JSON.
    pub(crate) fn text_of_any_name(mut self, name: &str, text: &str) -> Self {
        self.0
            .push((name.to_owned().into(), Value::Text(text.to_owned())));
        self
    }

    fn name(self, name: &'static str, both: &Name) -> Self {
        let group = Self::default()
            .text("cyrillic", both.cyrillic.as_str())
            .text("latin", both.latin.as_str());
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

/// A text as JSON writes it.
pub(crate) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A resident.
pub(crate) fn person(person: &Resident, territory: &Territory) -> Record {
    let address = &person.address;
    let path = territory.path(&address.unit);
    let level = |place: usize| {
        let unit = path.get(place).or(path.last());
        unit.map(|unit| unit.name.as_str()).unwrap_or_default()
    };
    let mut home = Record::default()
        .text("oblast", level(0))
        .text("district", level(1))
        .text("locality", level(2))
        .text("street", address.street.as_str())
        .text("house", address.house.as_str());
    if let Some(flat) = &address.flat {
        home = home.text("flat", flat.as_str());
    }
    let mut record = Record::default()
        .text("number", person.number.as_str())
        .text("sex", person.sex.letter())
        .text("bornOn", person.born_on.to_string())
        .name("familyName", &person.family_name)
        .name("givenName", &person.given_name)
        .name("patronymic", &person.patronymic)
        .text("birthPlace", person.birth_place.as_str())
        .group("address", home)
        .text("familyStatus", person.civil_status.as_str());
    if let Some(document) = &person.document {
        let mut card = Record::default()
            .text("number", document.number.as_str())
            .text("issuedOn", document.issued_on.to_string());
        if let Some(day) = document.expires_on {
            card = card.text("expiresOn", day.to_string());
        }
        let card = card.text("authority", document.authority.as_str());
        record = record.group("document", card);
    }
    record
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
        let licence_found = LicenceRegister::new(population)
            .first_from(0)
            .expect("somebody drives");
        let territory = id_registry::demonstration::territory();
        for record in [
            person(&licence_found.holder, &territory),
            licence(&licence_found),
        ] {
            let read: serde_json::Value = serde_json::from_str(&record.to_json()).expect("JSON");
            let number = read["number"].as_str().expect("a number");
            assert!(
                record
                    .to_xml()
                    .contains(&format!("<number>{number}</number>"))
            );
        }
        assert!(
            licence(&licence_found)
                .to_xml()
                .contains("<categories><category>")
        );
    }

    #[test]
    fn markup_is_escaped() {
        let record = Record::default()
            .text("a", "<&\"\u{1}")
            .truth("b", false)
            .number("c", 7_u32);
        assert_eq!(record.to_json(), r#"{"a":"<&\"\u0001","b":false,"c":7}"#);
        assert!(record.to_xml().starts_with("<a>&lt;&amp;"));
    }
}
