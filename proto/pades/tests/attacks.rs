//! What was done to signed documents in public attacks, and more of the kind: all of it is refused.
//!
//! Names of the attacks: universal forgery, incremental saving, signature wrapping (Mladenov and others, 2019), and
//! the shadow attacks hide, replace, hide-and-replace (Mainka and others, 2021).

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod common;

use common::{ALGORITHM, NOW, World, with_stream, with_table};
use pades::changes::since;
use pades::pdf::{Document, Object, ObjectId, PdfError, Update};
use pades::signature::{Kind, find};
use pki::{DigestAlgorithm, Signer as _, cms, tsp};

/// Whether everything about a document holds that this crate can say; the number of signatures, or what is wrong.
fn verdict(file: &[u8]) -> Result<usize, String> {
    let document = Document::open(file).map_err(|error| error.to_string())?;
    let fields = find(&document).map_err(|error| error.to_string())?;
    let mut first = usize::MAX;
    for field in &fields {
        let found = field.signature.as_ref();
        let found = found.map_err(|defect| format!("{}: {defect}", field.name))?;
        first = first.min(found.revision());
        match found.kind() {
            Kind::Signature => {
                let signature =
                    cms::Signature::decode(found.value()).map_err(|error| error.to_string())?;
                let digest = signature.digest_algorithm().ok_or("no digest")?;
                let digest = found.digest(file, digest);
                signature
                    .verify(&digest)
                    .map_err(|error| error.to_string())?;
            }
            Kind::TimeStamp => {
                let token = tsp::Token::decode(found.value()).map_err(|error| error.to_string())?;
                let (algorithm, imprint) = token.imprint();
                let algorithm = algorithm.ok_or("no digest")?;
                if found.digest(file, algorithm) != *imprint {
                    return Err("time-stamp over something else".to_owned());
                }
            }
        }
    }
    if fields.is_empty() {
        return Err("not signed".to_owned());
    }
    for transition in since(&document, first).map_err(|error| error.to_string())? {
        transition?;
    }
    Ok(fields.len())
}

#[track_caller]
fn refused(file: &[u8], reason: &str) {
    let verdict = verdict(file);
    assert!(
        matches!(&verdict, Err(found) if found.contains(reason)),
        "{verdict:?}, not: {reason}"
    );
}

/// An update with these objects, as a sound writer makes it.
fn updated(file: &[u8], objects: &[(u32, &str)]) -> Vec<u8> {
    let document = Document::open(file).unwrap();
    let mut update = Update::new(&document).unwrap();
    for (number, body) in objects {
        while update.reserve().number < *number {}
        let id = ObjectId {
            number: *number,
            generation: 0,
        };
        update.write_bytes(id, body.as_bytes());
    }
    update.finish().unwrap()
}

fn text_of(file: &[u8], number: u32) -> String {
    let document = Document::open(file).unwrap();
    let object = document.newest().load(number).unwrap().unwrap();
    let mut out = Vec::new();
    object.dictionary().unwrap().write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_prefix_is_refused() {
    let world = World::new();
    for file in [world.stamped(&with_table()), world.stamped(&with_stream())] {
        assert_eq!(verdict(&file), Ok(1));
        for cut in 0..file.len() {
            assert!(verdict(&file[..cut]).is_err(), "{cut}");
        }
    }
    // Of a document with several revisions those prefixes hold that were once the whole document, and no other.
    let long = world.long_term(&with_table());
    let archived = world.archived(&long, NOW);
    let whole = [world.stamped(&with_table()).len(), long.len()];
    let mut held = Vec::new();
    for cut in 0..archived.len() {
        if verdict(&archived[..cut]).is_ok() {
            held.push(cut);
        }
    }
    assert!(
        held.iter()
            .all(|cut| whole.iter().any(|end| end.abs_diff(*cut) <= 1)),
        "{held:?}"
    );
    assert_eq!(verdict(&archived), Ok(2));
}

#[test]
fn no_byte_outside_the_value_changes_unnoticed() {
    let world = World::new();
    for file in [world.signed(&with_table()), world.signed(&with_stream())] {
        let gap = {
            let document = Document::open(&file).unwrap();
            let fields = find(&document).unwrap();
            fields[0].signature.as_ref().unwrap().gap()
        };
        for at in (0..gap.start + 1).chain(gap.end - 1..file.len()) {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(verdict(&changed).is_err(), "{at}");
        }
        // Behind the value there is room, and nothing may be put there.
        let mut changed = file.clone();
        changed[gap.end - 3] = b'1';
        refused(&changed, "damaged");
        changed[gap.end - 3] = b' ';
        refused(&changed, "leaves out");
    }
}

/// The bytes that a signature leaves out are exactly its value, however well its value holds otherwise.
#[test]
fn ranges_that_leave_out_more_or_cover_less_are_refused() {
    let world = World::new();
    let prepared = world.prepare(&with_table());
    let bytes = prepared.bytes();
    let at = |needle: &[u8]| {
        bytes
            .windows(needle.len())
            .rposition(|w| w == needle)
            .unwrap()
    };
    let range_at = at(b"/ByteRange [") + "/ByteRange ".len();
    let (start, end) = (at(b"/Contents <") + 10, at(b"> >>\nendobj\n8 0 obj") + 1);
    let sign = |range: &str, start: usize, end: usize, covered: usize| {
        let mut file = bytes.to_vec();
        file[range_at..range_at + 36].fill(b' ');
        file[range_at..range_at + range.len()].copy_from_slice(range.as_bytes());
        let mut hasher = DigestAlgorithm::Sha256.hasher();
        hasher.update(&file[..start]);
        hasher.update(&file[end..covered]);
        let certificate = &world.person.certificate;
        let attributes =
            cms::SignedAttributes::new(&hasher.finish(), certificate, ALGORITHM).unwrap();
        let value = world.person.key.sign(attributes.to_be_signed()).unwrap();
        let der = cms::build(&attributes, certificate, &[], &value).unwrap();
        let place = at(b"/Contents <") + 11;
        let digits = hex(&der);
        file[place..place + digits.len()].copy_from_slice(digits.as_bytes());
        file
    };
    let len = bytes.len();
    // As it should be: the helper itself is sound.
    let right = sign(&format!("[0 {start} {end} {}]", len - end), start, end, len);
    assert_eq!(verdict(&right), Ok(1));
    for (from, to) in [
        (start - 11, end),
        (start, end + 3),
        (start - 1, end),
        (start, end - 1),
    ] {
        let range = format!("[0 {from} {to} {}]", len - to);
        refused(&sign(&range, from, to, len), "leaves out");
    }
    // Not to the end, so that what follows could be anything.
    let short = len - 40;
    let range = format!("[0 {start} {end} {}]", short - end);
    refused(&sign(&range, start, end, short), "does not cover");
    for range in [
        format!("[1 {start} {end} {}]", len - end),
        format!("[0 {start} {end} {} 0]", len - end),
        format!("[0 {start} {end}]"),
        format!("[0 {start} {end} -1]"),
        format!("[0 {start} {end} 9999999999]"),
        format!("[0 {end} {start} {}]", len - end),
        "null".to_owned(),
        "[]".to_owned(),
        "6 0 R".to_owned(),
    ] {
        refused(&sign(&range, start, end, len), "byte range");
    }
    // Universal forgery: the value is gone.
    for (from, to) in [
        ("/Contents <", "/Contentz <"),
        ("/Contents <30", "/Contents <zz"),
    ] {
        let mut file = right.clone();
        let place = file
            .windows(from.len())
            .rposition(|w| w == from.as_bytes())
            .unwrap();
        file[place..place + to.len()].copy_from_slice(to.as_bytes());
        assert!(verdict(&file).is_err());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Signature wrapping: the signed second half is moved to the end, and between the halves there is a new document
/// whose signature dictionary repeats the old value.
#[test]
fn wrapping_is_refused() {
    let world = World::new();
    let file = world.signed(&with_table());
    let document = Document::open(&file).unwrap();
    let fields = find(&document).unwrap();
    let signature = fields[0].signature.as_ref().unwrap();
    let gap = signature.gap();
    let second = &file[gap.end..];
    let mut wrapped = file[..gap.end].to_vec();
    wrapped.extend_from_slice(b" >>\nendobj\n");
    let object_at = wrapped.len();
    let forged = format!(
        "7 0 obj\n<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /Contents <{}> /ByteRange [0 {} XXXXXXXX {}] >>\nendobj\n",
        hex(signature.value()),
        gap.start,
        second.len(),
    );
    wrapped.extend_from_slice(forged.as_bytes());
    let content_at = wrapped.len();
    wrapped.extend_from_slice(b"4 0 obj\n<< /Length 3 >>\nstream\nq Q\nendstream\nendobj\n");
    let section = wrapped.len();
    let old = document.revisions()[0].section.start;
    wrapped.extend_from_slice(
        format!(
            "xref\n4 1\n{content_at:010} 00000 n \n7 1\n{object_at:010} 00000 n \ntrailer\n<< /Size 9 /Root 1 0 R /Prev {old} >>\nstartxref\n{section}\n%%EOF\n"
        )
        .as_bytes(),
    );
    let moved = wrapped.len();
    let place = wrapped.windows(8).rposition(|w| w == b"XXXXXXXX").unwrap();
    wrapped[place..place + 8].copy_from_slice(format!("{moved:<8}").as_bytes());
    wrapped.extend_from_slice(second);
    // The end of the file still names the old place of the cross-references, in the middle of the new bytes.
    assert!(verdict(&wrapped).is_err());
    // And if a reader looked at the forged revision only:
    let end = moved;
    assert!(verdict(&wrapped[..end]).is_err());
}

#[test]
fn content_that_is_added_after_signing_is_refused() {
    let world = World::new();
    for file in [
        world.signed(&with_table()),
        world.long_term(&with_table()),
        world.archived(&world.long_term(&with_table()), NOW),
    ] {
        let content = "<< /Length 3 >>\nstream\nq Q\nendstream";
        // Incremental saving: a new content stream, a new page, another catalogue, another font.
        refused(&updated(&file, &[(4, content)]), "object 4 was changed");
        let page = text_of(&file, 3).replace("/Contents 4 0 R", "/Contents 90 0 R");
        refused(
            &updated(&file, &[(3, &page), (90, content)]),
            "page was changed",
        );
        let pages = "<< /Type /Pages /Kids [90 0 R] /Count 1 >>";
        let added = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>";
        refused(
            &updated(&file, &[(2, pages), (90, added)]),
            "object 2 was changed",
        );
        let font = "<< /Type /Font /Subtype /Type1 /BaseFont /ZapfDingbats >>";
        refused(&updated(&file, &[(5, font)]), "object 5 was changed");
        let root = text_of(&file, 1);
        for (more, what) in [
            (
                "/OpenAction << /S /JavaScript /JS (app.alert(1)) >>",
                "OpenAction",
            ),
            (
                "/OCProperties << /D << /OFF [] >> /OCGs [] >>",
                "OCProperties",
            ),
            ("/Names << >>", "Names"),
            ("/Perms << >>", "Perms"),
        ] {
            let root = root.replacen("<<", &format!("<< {more}"), 1);
            refused(&updated(&file, &[(1, &root)]), what);
        }
        let info = "<< /Title (Another contract) >>";
        refused(&updated(&file, &[(6, info)]), "description was changed");
        // But a program may note when it last wrote the file, unless that object is something else, too.
        let info = text_of(&file, 6).replacen("<<", "<< /ModDate (D:2026)", 1);
        assert!(verdict(&updated(&file, &[(6, &info)])).is_ok());
        let root = text_of(&file, 1).replacen("<<", "<< /Metadata 4 0 R", 1);
        refused(&updated(&file, &[(1, &root)]), "Metadata");
        let root = root.replace("/Metadata 4 0 R", "/Metadata 90 0 R");
        let metadata = "<< /Type /Metadata /Subtype /XML /Length 4 >>\nstream\n<x/>\nendstream";
        assert!(verdict(&updated(&file, &[(1, &root), (90, metadata)])).is_ok());
        // An annotation over the page, and one in the form.
        let annotation =
            "<< /Type /Annot /Subtype /FreeText /Rect [0 0 595 842] /Contents (paid) >>";
        let page = text_of(&file, 3).replace("/Annots [", "/Annots [90 0 R ");
        refused(
            &updated(&file, &[(3, &page), (90, annotation)]),
            "annotations",
        );
        let page = text_of(&file, 3).replace("/Annots [8 0 R", "/Annots [8 0 R 90 0 R");
        refused(
            &updated(&file, &[(3, &page), (90, annotation)]),
            "annotations",
        );
        let field =
            "<< /Type /Annot /Subtype /Widget /FT /Tx /T (sum) /V (1000000) /Rect [0 0 9 9] >>";
        let root = text_of(&file, 1).replace("/Fields [8 0 R", "/Fields [8 0 R 90 0 R");
        refused(&updated(&file, &[(1, &root), (90, field)]), "form field");
        let root = text_of(&file, 1).replace("/SigFlags 3", "/SigFlags 3 /NeedAppearances true");
        refused(&updated(&file, &[(1, &root)]), "NeedAppearances");
        // The signature itself gets an appearance, or is taken away.
        let field = text_of(&file, 8).replace("/Rect [0 0 0 0]", "/Rect [0 0 595 842]");
        refused(
            &updated(&file, &[(8, &field)]),
            "signature field was changed",
        );
        let root = text_of(&file, 1).replace("/Fields [8 0 R", "/Fields [");
        assert!(verdict(&updated(&file, &[(1, &root)])).is_err());
    }
}

#[test]
fn bytes_that_no_reference_mentions_are_refused() {
    let world = World::new();
    let file = world.signed(&with_table());
    let start = Document::open(&file).unwrap().revisions()[1].section.start;
    let object = "4 0 obj\n<< /Length 3 >>\nstream\nq Q\nendstream\nendobj\n";
    // For readers that repair: an object without a cross-reference, and with the old one.
    for more in [
        object.to_owned(),
        format!("{object}startxref\n{start}\n%%EOF\n"),
        format!(
            "{object}xref\n0 0\ntrailer\n<< /Size 9 /Root 1 0 R /Prev {start} >>\nstartxref\n{}\n%%EOF\n",
            file.len() + object.len()
        ),
        "%%EOF\n".to_owned(),
        "x".to_owned(),
    ] {
        let mut changed = file.clone();
        changed.extend_from_slice(more.as_bytes());
        assert!(verdict(&changed).is_err(), "{more}");
    }
    // In front of the header.
    assert!(verdict(&[b"\n", file.as_slice()].concat()).is_err());
    // An update that takes an object from within the signed bytes ("hide and replace").
    let shown = updated(
        &with_table(),
        &[(4, "<< /Length 3 >>\nstream\nq Q\nendstream")],
    );
    let signed = world.signed(&shown);
    assert_eq!(verdict(&signed), Ok(1));
    let hidden_at = signed.windows(7).position(|w| w == b"4 0 obj").unwrap();
    let start = Document::open(&signed).unwrap().revisions()[2]
        .section
        .start;
    let place = signed.len();
    let section = format!(
        "xref\n4 1\n{hidden_at:010} 00000 n \ntrailer\n<< /Size 9 /Root 1 0 R /Info 6 0 R /Prev {start} >>\nstartxref\n{place}\n%%EOF\n"
    );
    refused(
        &[signed.as_slice(), section.as_bytes()].concat(),
        "another place",
    );
    // Deleting counts as changing.
    let section = format!(
        "xref\n4 1\n0000000000 00001 f \ntrailer\n<< /Size 9 /Root 1 0 R /Info 6 0 R /Prev {start} >>\nstartxref\n{place}\n%%EOF\n"
    );
    refused(&[signed.as_slice(), section.as_bytes()].concat(), "deleted");
    // Another catalogue that was in the document all along.
    let section = format!(
        "xref\n0 0\ntrailer\n<< /Size 9 /Root 2 0 R /Info 6 0 R /Prev {start} >>\nstartxref\n{place}\n%%EOF\n"
    );
    assert!(verdict(&[signed.as_slice(), section.as_bytes()].concat()).is_err());
}

#[test]
fn documents_that_were_prepared_for_a_later_change_are_refused_once_it_comes() {
    let world = World::new();
    // A reference to an object that does not exist yet.
    let file = with_table();
    let waiting = updated(
        &file,
        &[(
            3,
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents [4 0 R 90 0 R] >>",
        )],
    );
    let signed = world.signed(&waiting);
    assert_eq!(verdict(&signed), Ok(1));
    let content = "<< /Length 3 >>\nstream\nq Q\nendstream";
    refused(&updated(&signed, &[(90, content)]), "already referred");
    // A list of certificates that is also the content of a page.
    let waiting = updated(
        &file,
        &[
            (1, "<< /Type /Catalog /Pages 2 0 R /DSS 80 0 R >>"),
            (
                3,
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 81 0 R >>",
            ),
            (80, "<< /Type /DSS /Certs 81 0 R >>"),
            (81, "[4 0 R]"),
        ],
    );
    let signed = world.signed(&waiting);
    assert_eq!(verdict(&signed), Ok(1));
    refused(
        &updated(&signed, &[(81, "[4 0 R 95 0 R]"), (95, content)]),
        "object 81 was changed",
    );
    // The same with a list that has only the one role is an ordinary addition.
    let honest = updated(
        &file,
        &[
            (1, "<< /Type /Catalog /Pages 2 0 R /DSS 80 0 R >>"),
            (80, "<< /Type /DSS /Certs 81 0 R >>"),
            (81, "[]"),
        ],
    );
    let signed = world.signed(&honest);
    let added = updated(&signed, &[(81, "[95 0 R]"), (95, content)]);
    assert_eq!(verdict(&added), Ok(1));
    // The list of annotations of a page, used twice.
    let waiting = updated(
        &file,
        &[
            (
                3,
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 82 0 R /Annots 82 0 R >>",
            ),
            (82, "[4 0 R]"),
        ],
    );
    let signed = world.signed(&waiting);
    assert_eq!(verdict(&signed), Ok(1));
    assert!(verdict(&world.signed(&signed)).is_err());
}

#[test]
fn later_signatures_add_nothing_to_see() {
    let world = World::new();
    let file = world.signed(&with_table());
    let second = world.signed(&file);
    assert_eq!(verdict(&second), Ok(2));
    // The second signer's field gets a place on the page, an action, or the name of the first one.
    for (from, to) in [
        ("/Rect [0 0 0 0]", "/Rect [0 0 595 842]"),
        ("/F 132", "/F 132 /AA << >>"),
        ("/F 132", "/F 132 /AP << >>"),
        ("<5369676E617475726532>", "(Signature1)"),
    ] {
        let field = text_of(&second, 10).replace(from, to);
        let signature = text_of(&second, 9);
        let root = text_of(&second, 1);
        let page = text_of(&second, 3);
        let file = updated(
            &file,
            &[(1, &root), (3, &page), (9, &signature), (10, &field)],
        );
        let document = Document::open(&file).unwrap();
        let transitions = since(&document, 1).unwrap();
        assert!(transitions[0].is_err(), "{to}: {transitions:?}");
    }
}

#[test]
fn what_readers_understand_differently_is_no_document() {
    for (from, to) in [
        ("/Count 1", "/Kids [4 0 R] /Count 1"),
        ("%PDF-1.7", "%PDX-1.7"),
        ("0000000015", "0000000016"),
        ("/Size 7", "/Size 7 /Encrypt 5 0 R"),
        ("/Size 7", "/Size 7 /Prev 99999999"),
        ("xref\n0 7", "xref\n0 8"),
        ("endobj\n2 0", "endobx\n2 0"),
    ] {
        let text = with_table();
        let at = text
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        let mut changed = text[..at].to_vec();
        changed.extend_from_slice(to.as_bytes());
        changed.extend_from_slice(&text[at + from.len()..]);
        let world = World::new();
        let read = |file: &[u8]| -> Result<(), String> {
            let document = Document::open(file).map_err(|error| error.to_string())?;
            for number in document.newest().numbers() {
                document
                    .newest()
                    .load(number)
                    .map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        assert!(read(&changed).is_err(), "{from} -> {to}");
        assert!(read(&with_table()).is_ok());
        drop(world);
    }
    let mut deep = with_table();
    deep.splice(0..8, b"%PDF-1.4".iter().copied());
    let nested = "[".repeat(100_000);
    let body = format!("{nested}{}", "]".repeat(100_000));
    let file = updated(&deep, &[(20, &body)]);
    let document = Document::open(&file).unwrap();
    assert!(document.newest().load(20).is_err());
    assert_eq!(document.newest().load(21).unwrap(), None);
    assert!(matches!(
        document.newest().resolve(&Object::Null),
        Ok(Object::Null)
    ));
}

/// Many revisions with a large form are read only as often as the limit on reading allows.
#[test]
fn the_work_that_a_file_can_cause_is_bounded() {
    let updates = |file: Vec<u8>, count: usize| {
        (0..count).fold(file, |file, _| updated(&file, &[(90, "null")]))
    };
    let many = updates(with_table(), 256);
    assert_eq!(
        Document::open(&many).err(),
        Some(PdfError::TooLarge("revisions"))
    );
    let fields = "0 0 R ".repeat(400_000);
    let form = format!("<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [{fields}] >> >>");
    let file = updates(updated(&with_table(), &[(1, &form)]), 60);
    let document = Document::open(&file).unwrap();
    let transitions = since(&document, 0).unwrap();
    let last = transitions.last().unwrap();
    assert!(
        matches!(last, Err(change) if change.contains("work to read it")),
        "{last:?}"
    );
}
