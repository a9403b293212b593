//! What later revisions did to a signed document.
//!
//! After a signature a document may still get further signatures, time-stamps and validation data, and nothing else.
//! Each later revision is compared with the one before it, object by object. What is not on the short list of this
//! module is a change: pages that look different, form fields filled in, objects that a prepared document referred to
//! before they existed, objects replaced through a detour ("shadow attacks"), bytes that no cross-reference mentions.
//! Also refused are things that other programs tolerate, visible signatures added later among them: what is laid over
//! a signed page changes what it says.

use std::collections::{BTreeSet, HashMap};

use crate::pdf::{
    Dictionary, Document, Entry, Indirect, Object, ObjectId, PdfError, Revision, View,
};
use crate::signature::{Kind, SignatureField, walk};
use crate::text;

/// Something that a later revision added and was allowed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addition {
    /// A signature in this field.
    Signature(String),
    /// A document time-stamp in this field.
    TimeStamp(String),
    /// Certificates and statuses for verification.
    ValidationData,
    /// A new description of the file for catalogues and search: when it was last changed, by which program. No page
    /// shows it.
    Description,
}

/// What one revision did: only what is allowed, or something else, in words.
pub type Transition = Result<Vec<Addition>, String>;

/// Judges every revision behind `from`, the oldest first.
///
/// # Errors
/// If the document cannot be read up to `from`. What cannot be read later is a change.
pub fn since(document: &Document<'_>, from: usize) -> Result<Vec<Transition>, PdfError> {
    let mut graph = Graph::of(&document.at(from))?;
    let mut transitions = Vec::new();
    for index in from + 1..document.revisions().len() {
        let transition = judge(document, index, &graph);
        let after = document.at(index);
        let updated = graph.update(&after, &document.revisions()[index]);
        transitions.push(match (transition, updated) {
            (Ok(transition), Ok(())) => transition,
            (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
        });
    }
    Ok(transitions)
}

/// Which object refers to which.
struct Graph {
    targets: HashMap<u32, Vec<u32>>,
    /// Who refers to an object, and how often.
    owners: HashMap<u32, HashMap<u32, usize>>,
    /// Everything that was ever referred to.
    mentioned: BTreeSet<u32>,
}

impl Graph {
    fn of(view: &View<'_, '_>) -> Result<Self, PdfError> {
        let mut graph = Graph {
            targets: HashMap::new(),
            owners: HashMap::new(),
            mentioned: BTreeSet::new(),
        };
        for number in view.numbers() {
            graph.set(number, view.load(number)?.as_ref());
        }
        view.trailer()
            .references(&mut |id| _ = graph.mentioned.insert(id.number));
        Ok(graph)
    }

    fn set(&mut self, number: u32, object: Option<&Indirect>) {
        for target in self.targets.remove(&number).unwrap_or_default() {
            if let Some(owners) = self.owners.get_mut(&target) {
                owners.remove(&number);
            }
        }
        let mut targets = Vec::new();
        if let Some(object) = object {
            object.references(&mut |id| targets.push(id.number));
        }
        for target in &targets {
            let owners = self.owners.entry(*target).or_default();
            *owners.entry(number).or_default() += 1;
            self.mentioned.insert(*target);
        }
        self.targets.insert(number, targets);
    }

    fn update(&mut self, after: &View<'_, '_>, revision: &Revision) -> Result<(), PdfError> {
        for number in revision.entries.keys() {
            let object = after.load(*number)?;
            self.set(*number, object.as_ref());
        }
        Ok(())
    }

    /// Whether exactly this object refers to it, once: then it has no second role.
    fn is_owned_by(&self, number: u32, owner: u32) -> bool {
        self.owner_of(number) == Some(owner)
    }

    /// The only object that refers to it, if there is one and it does so once.
    fn owner_of(&self, number: u32) -> Option<u32> {
        let owners = self.owners.get(&number)?;
        match owners.iter().next() {
            Some((owner, 1)) if owners.len() == 1 => Some(*owner),
            _ => None,
        }
    }
}

struct Judge<'g, 'd, 'a> {
    before: View<'d, 'a>,
    after: View<'d, 'a>,
    graph: &'g Graph,
    /// Objects whose change was found to be allowed.
    explained: BTreeSet<u32>,
    /// Fields that were added.
    fields: Vec<ObjectId>,
    additions: Vec<Addition>,
}

type Judged<T = ()> = Result<Result<T, String>, PdfError>;

/// Hands on a finding; both kinds of errors end a judgement.
macro_rules! demand {
    ($judged:expr) => {
        match $judged? {
            Ok(value) => value,
            Err(change) => return Ok(Err(change)),
        }
    };
}

fn changed<T>(what: impl Into<String>) -> Judged<T> {
    Ok(Err(what.into()))
}

fn judge(document: &Document<'_>, index: usize, graph: &Graph) -> Result<Transition, PdfError> {
    let revision = &document.revisions()[index];
    demand!(layout(document, index));
    let mut judge = Judge {
        before: document.at(index - 1),
        after: document.at(index),
        graph,
        explained: BTreeSet::new(),
        fields: Vec::new(),
        additions: Vec::new(),
    };
    demand!(judge.catalogue());
    let mut rest = Vec::new();
    for (number, entry) in &revision.entries {
        let (old, new) = (judge.before.load(*number)?, judge.after.load(*number)?);
        match (old, new) {
            (None, None) => {}
            (Some(_), None) => return changed(format!("object {number} was deleted")),
            (None, Some(_)) if graph.mentioned.contains(number) => {
                return changed(format!(
                    "object {number} was added, to which the signed document already referred"
                ));
            }
            (None, Some(_)) => {}
            (Some(old), Some(new)) => {
                let is_same = judge.is_same(&old, &new)
                    && generation(judge.before.entry(*number)) == generation(Some(*entry));
                if !is_same && !judge.explained.contains(number) {
                    rest.push((*number, old, new));
                }
            }
        }
    }
    for (number, old, new) in &rest {
        demand!(judge.object(*number, old, new));
    }
    Ok(Ok(judge.additions))
}

fn generation(entry: Option<Entry>) -> u16 {
    match entry {
        Some(Entry::At { generation, .. }) => generation,
        _ => 0,
    }
}

/// The revision consists of the objects that it lists and of its cross-references, without a byte between them.
fn layout(document: &Document<'_>, index: usize) -> Judged {
    let revision = &document.revisions()[index];
    let bytes = document.bytes();
    let after = document.at(index);
    let stray = || changed("there are bytes in the update that belong to no object");
    if revision.is_hybrid {
        return changed("the update has a part that old readers do not see");
    }
    let mut at = document.revisions()[index - 1].end;
    let mut seen = BTreeSet::new();
    loop {
        while bytes.get(at).is_some_and(|b| b.is_ascii_whitespace()) {
            at += 1;
        }
        if at >= revision.section.start {
            break;
        }
        let (id, end) = after.end_of(at)?;
        let listed = Entry::At {
            offset: at,
            generation: id.generation,
        };
        if revision.entries.get(&id.number) != Some(&listed) || end <= at {
            return stray();
        }
        seen.insert(id.number);
        at = end;
    }
    if at != revision.section.start {
        return stray();
    }
    for (number, entry) in &revision.entries {
        let fits = match entry {
            Entry::Free => true,
            Entry::At { offset, .. } => seen.contains(number) || *offset == revision.section.start,
            Entry::InStream { stream, .. } => seen.contains(stream),
        };
        if !fits {
            return changed(format!(
                "object {number} is taken from another place of the file"
            ));
        }
    }
    Ok(Ok(()))
}

/// The keys whose values are not the same.
fn different(before: &Dictionary, after: &Dictionary) -> Vec<String> {
    let mut keys: BTreeSet<&[u8]> = before.entries().map(|(key, _)| key).collect();
    keys.extend(after.entries().map(|(key, _)| key));
    keys.into_iter()
        .map(|key| String::from_utf8_lossy(key).into_owned())
        .filter(|key| before.get(key) != after.get(key))
        .collect()
}

const FORM_KEYS: [&str; 2] = ["Fields", "SigFlags"];
const STORE_KEYS: [&str; 5] = ["Type", "Certs", "OCSPs", "CRLs", "VRI"];
/// What a signature field that is added may have. Actions, appearances and everything unknown are missing.
const FIELD_KEYS: [&str; 13] = [
    "Type", "Subtype", "FT", "T", "TU", "V", "F", "Rect", "P", "Lock", "Ff", "NM", "M",
];

impl Judge<'_, '_, '_> {
    fn is_same(&self, old: &Indirect, new: &Indirect) -> bool {
        match (old, new) {
            (Indirect::Direct(old), Indirect::Direct(new)) => old == new,
            (Indirect::Stream(old, old_data), Indirect::Stream(new, new_data)) => {
                let bytes = self.before.document().bytes();
                old == new && bytes[old_data.clone()] == bytes[new_data.clone()]
            }
            _ => false,
        }
    }

    /// If a value is a reference to an object that nothing else refers to, its change is explained by its role here.
    fn explain(&mut self, value: Option<&Object>, owner: u32) {
        if let Some(Object::Reference(id)) = value
            && self.graph.is_owned_by(id.number, owner)
        {
            self.explained.insert(id.number);
        }
    }

    fn catalogue(&mut self) -> Judged {
        let (root, before) = self.before.catalogue()?;
        let (new_root, after) = self.after.catalogue()?;
        if root != new_root {
            return changed("the document was replaced by another one");
        }
        let info = |view: &View<'_, '_>| view.trailer().get("Info").cloned();
        if info(&self.before) != info(&self.after) {
            return changed("the document's description was replaced");
        }
        for key in different(&before, &after) {
            match key.as_str() {
                "AcroForm" | "DSS" | "Extensions" | "Metadata" | "Version" => {}
                other => return changed(format!("the document's property {other} was changed")),
            }
        }
        self.explained.insert(root.number);
        demand!(self.description(&before, &after, root));
        demand!(self.form(&before, &after, root));
        self.store(&before, &after, root)
    }

    /// The description of the file, in its two forms: a stream of XML, and a dictionary of which only the time of the
    /// last change and the program's name may become others.
    fn description(&mut self, before: &Dictionary, after: &Dictionary, root: ObjectId) -> Judged {
        let (old, new) = (before.get("Metadata"), after.get("Metadata"));
        let is_description = |object: Option<Indirect>| {
            matches!(object, Some(Indirect::Stream(stream, _))
                if stream.get("Type").is_some_and(|kind| kind.is_name("Metadata"))
                    && stream.get("Subtype").is_some_and(|kind| kind.is_name("XML")))
        };
        let read = |view: &View<'_, '_>, value: Option<&Object>| match value {
            Some(Object::Reference(id)) => view.get(*id),
            _ => Ok(None),
        };
        if new != old && !is_description(read(&self.after, new)?) {
            return changed("the document's property Metadata was changed");
        }
        if is_description(read(&self.before, old)?) && is_description(read(&self.after, new)?) {
            self.explain(old, root.number);
        }
        if new != old {
            self.additions.push(Addition::Description);
        }
        let Some(Object::Reference(info)) = self.before.trailer().get("Info") else {
            return Ok(Ok(()));
        };
        let has_other_roles = self
            .graph
            .owners
            .get(&info.number)
            .is_some_and(|o| !o.is_empty());
        let (old, new) = (self.before.get(*info)?, self.after.get(*info)?);
        if let (
            Some(Indirect::Direct(Object::Dictionary(old))),
            Some(Indirect::Direct(Object::Dictionary(new))),
        ) = (&old, &new)
            && !has_other_roles
            && old != new
        {
            for key in different(old, new) {
                if key != "ModDate" && key != "Producer" {
                    return changed(format!("the document's description was changed ({key})"));
                }
            }
            self.explained.insert(info.number);
            self.additions.push(Addition::Description);
        }
        Ok(Ok(()))
    }

    fn form(&mut self, before: &Dictionary, after: &Dictionary, root: ObjectId) -> Judged {
        let (old, new) = (before.get("AcroForm"), after.get("AcroForm"));
        let owner = match old {
            Some(Object::Reference(id)) => {
                if new != old {
                    return changed("the form was replaced");
                }
                self.explain(old, root.number);
                id.number
            }
            _ => root.number,
        };
        let empty = Dictionary::new();
        let old = self.before.value(before, "AcroForm")?;
        let new = self.after.value(after, "AcroForm")?;
        let old = old.as_dictionary().unwrap_or(&empty);
        let new = new.as_dictionary().unwrap_or(&empty);
        for key in different(old, new) {
            if !FORM_KEYS.contains(&key.as_str()) {
                return changed(format!("the form's property {key} was changed"));
            }
        }
        self.explain(old.get("Fields"), owner);
        let (was, is) = (
            self.before.value(old, "Fields")?,
            self.after.value(new, "Fields")?,
        );
        let (was, is) = (
            was.as_array().unwrap_or_default(),
            is.as_array().unwrap_or_default(),
        );
        let Some(added) = is.strip_prefix(was) else {
            return changed("form fields were taken out or replaced");
        };
        let mut names = BTreeSet::new();
        walk(&self.before, &mut |field: SignatureField| {
            names.insert(field.name);
            Ok(())
        })?;
        for field in added {
            demand!(self.new_field(field, &mut names));
        }
        Ok(Ok(()))
    }

    /// A signature field that was added: signed, invisible, nothing else.
    fn new_field(&mut self, field: &Object, names: &mut BTreeSet<String>) -> Judged {
        let refused = || changed("a form field was added that is no invisible signature");
        let Some(id) = field.as_reference() else {
            return refused();
        };
        if !matches!(self.before.entry(id.number), None | Some(Entry::Free)) {
            return refused();
        }
        let Some(Indirect::Direct(Object::Dictionary(field))) = self.after.get(id)? else {
            return refused();
        };
        let has_only = field
            .entries()
            .all(|(key, _)| FIELD_KEYS.iter().any(|known| known.as_bytes() == key));
        let is_signature = field.get("FT").is_some_and(|kind| kind.is_name("Sig"));
        if !has_only || !is_signature || !self.is_invisible(&field)? {
            return refused();
        }
        let name = match field.get("T") {
            Some(Object::String(name)) => text::decode(&name.bytes),
            _ => return refused(),
        };
        if !names.insert(name.clone()) {
            return changed("a form field was added under the name of another");
        }
        demand!(self.signed(name, field.get("V")));
        self.fields.push(id);
        Ok(Ok(()))
    }

    /// Whether a field takes no space on its page: its rectangle is empty, as written.
    fn is_invisible(&self, field: &Dictionary) -> Result<bool, PdfError> {
        let number = |object: &Object| match object {
            Object::Integer(value) => Some(*value as f64),
            Object::Real(value) => Some(*value),
            _ => None,
        };
        let Some(rectangle) = field.get("Rect") else {
            return Ok(true);
        };
        let corners: Vec<f64> = rectangle
            .as_array()
            .unwrap_or_default()
            .iter()
            .filter_map(number)
            .collect();
        Ok(
            matches!(corners.as_slice(), &[left, bottom, right, top] if left == right && bottom == top),
        )
    }

    fn signed(&mut self, field: String, value: Option<&Object>) -> Judged {
        let value = match value {
            Some(value) => self.after.resolve(value)?,
            None => Object::Null,
        };
        let kind = value.as_dictionary().and_then(|value| value.get("Type"));
        let kind = match kind {
            Some(kind) if kind.is_name("DocTimeStamp") => Kind::TimeStamp,
            Some(kind) if kind.is_name("Sig") => Kind::Signature,
            None if value.as_dictionary().is_some() => Kind::Signature,
            _ => return changed("a form field was added that is not signed"),
        };
        self.additions.push(match kind {
            Kind::Signature => Addition::Signature(field),
            Kind::TimeStamp => Addition::TimeStamp(field),
        });
        Ok(Ok(()))
    }

    /// The document security store: what is in it is judged when it is used.
    fn store(&mut self, before: &Dictionary, after: &Dictionary, root: ObjectId) -> Judged {
        let old = before.get("DSS");
        let owner = match old {
            Some(Object::Reference(id)) => id.number,
            _ => root.number,
        };
        self.explain(old, root.number);
        let new = self.after.value(after, "DSS")?;
        let was = self.before.value(before, "DSS")?;
        if let Some(store) = new.as_dictionary()
            && !store
                .entries()
                .all(|(key, _)| STORE_KEYS.iter().any(|known| known.as_bytes() == key))
        {
            return changed("the store of validation data holds something else");
        }
        if let Some(store) = was.as_dictionary() {
            for key in ["Certs", "OCSPs", "CRLs", "VRI"] {
                self.explain(store.get(key), owner);
            }
            if let Object::Dictionary(each) = self.before.value(store, "VRI")? {
                let owner = match store.get("VRI") {
                    Some(Object::Reference(id)) => id.number,
                    _ => owner,
                };
                for (_, value) in each.entries() {
                    self.explain(Some(value), owner);
                }
            }
        }
        if was != new || old != after.get("DSS") {
            self.additions.push(Addition::ValidationData);
        }
        Ok(Ok(()))
    }

    /// Another object that changed: a page, its list of annotations, or a signature field that waited to be signed.
    fn object(&mut self, number: u32, old: &Indirect, new: &Indirect) -> Judged {
        let is_page =
            |object: &Dictionary| object.get("Type").is_some_and(|kind| kind.is_name("Page"));
        let refused = || changed(format!("object {number} was changed"));
        match (old, new) {
            (
                Indirect::Direct(Object::Dictionary(old)),
                Indirect::Direct(Object::Dictionary(new)),
            ) if is_page(old) => {
                if different(old, new).iter().any(|key| key != "Annots") {
                    return changed(format!("a page was changed (object {number})"));
                }
                let (was, is) = (old.get("Annots"), new.get("Annots"));
                // A list that is an object of its own is judged as that object.
                if matches!(was, Some(Object::Reference(_))) {
                    return changed(format!(
                        "the annotations of a page were replaced (object {number})"
                    ));
                }
                let (was, is) = (
                    was.cloned().unwrap_or(Object::Array(Vec::new())),
                    match is {
                        Some(list) => self.after.resolve(list)?,
                        None => Object::Null,
                    },
                );
                self.annotations(number, &was, &is)
            }
            (Indirect::Direct(was @ Object::Array(_)), Indirect::Direct(is @ Object::Array(_))) => {
                let Some(owner) = self.graph.owner_of(number) else {
                    return refused();
                };
                let Some(Indirect::Direct(Object::Dictionary(owner))) = self.before.load(owner)?
                else {
                    return refused();
                };
                let is_list = matches!(owner.get("Annots"), Some(Object::Reference(id)) if id.number == number);
                if !is_page(&owner) || !is_list {
                    return refused();
                }
                self.annotations(number, was, is)
            }
            (
                Indirect::Direct(Object::Dictionary(old)),
                Indirect::Direct(Object::Dictionary(new)),
            ) if old.get("FT").is_some_and(|kind| kind.is_name("Sig")) => {
                if old.get("V").is_some() || different(old, new) != ["V"] {
                    return changed(format!("a signature field was changed (object {number})"));
                }
                let mut name = None;
                walk(&self.after, &mut |field: SignatureField| {
                    if field.id.number == number {
                        name = Some(field.name);
                    }
                    Ok(())
                })?;
                match name {
                    Some(name) => self.signed(name, new.get("V")),
                    None => refused(),
                }
            }
            _ => refused(),
        }
    }

    fn annotations(&self, number: u32, was: &Object, is: &Object) -> Judged {
        let refused = || {
            changed(format!(
                "annotations were laid over a page or taken away (object {number})"
            ))
        };
        let (Some(was), Some(is)) = (was.as_array(), is.as_array()) else {
            return refused();
        };
        let Some(added) = is.strip_prefix(was) else {
            return refused();
        };
        let all_known = added.iter().all(|annotation| {
            annotation
                .as_reference()
                .is_some_and(|id| self.fields.contains(&id))
        });
        if all_known { Ok(Ok(())) } else { refused() }
    }
}
