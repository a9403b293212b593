//! Canonical XML against the examples of the recommendation and hand-made corner cases.
#![allow(clippy::unwrap_used)]

use xmldsig::c14n::{Method, canonicalize_document, canonicalize_element};
use xmldsig::xml::{Document, Limits, XmlError};

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    depth: 64,
    elements: 10_000,
    attributes: 64,
};

fn whole(text: &str, method: &Method) -> String {
    let document = Document::parse(text.as_bytes(), &LIMITS).unwrap();
    let mut out = Vec::new();
    canonicalize_document(&document, method, &mut out);
    String::from_utf8(out).unwrap()
}

fn element(text: &str, local: &str, method: &Method) -> String {
    let document = Document::parse(text.as_bytes(), &LIMITS).unwrap();
    let found = document
        .elements()
        .find(|e| e.local_name() == local)
        .unwrap();
    let mut out = Vec::new();
    canonicalize_element(found, method, &mut out);
    String::from_utf8(out).unwrap()
}

fn refused(text: &str) -> XmlError {
    Document::parse(text.as_bytes(), &LIMITS).unwrap_err()
}

#[test]
fn instructions_comments_and_text_outside_the_root() {
    // After example 3.1 of the recommendation, without its DOCTYPE.
    let text = "<?xml version=\"1.0\"?>\n\n<?xml-stylesheet   href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n\n<doc>Hello, world!<!-- Comment 1 --></doc>\n\n<?pi-without-data     ?>\n\n<!-- Comment 2 -->\n\n<!-- Comment 3 -->\n";
    assert_eq!(
        whole(text, &Method::Inclusive),
        "<?xml-stylesheet href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n<doc>Hello, world!</doc>\n<?pi-without-data?>"
    );
}

#[test]
fn white_space_in_content_stays() {
    let text = "<doc>\n   <clean>   </clean>\n   <dirty>   A   B   </dirty>\n   <mixed>\n      A\n      <clean>   </clean>\n   </mixed>\n</doc>";
    assert_eq!(whole(text, &Method::Inclusive), text);
}

#[test]
fn start_and_end_tags() {
    // Example 3.3 without the attribute default of its DOCTYPE.
    let text = "<doc>\n   <e1   />\n   <e2   ></e2>\n   <e3   name = \"elem3\"   id=\"elem3\"   />\n   <e5 a:attr=\"out\" b:attr=\"sorted\" attr2=\"all\" attr=\"I'm\"\n      xmlns:b=\"http://www.ietf.org\"\n      xmlns:a=\"http://www.w3.org\"\n      xmlns=\"http://example.org\"/>\n   <e6 xmlns=\"\" xmlns:a=\"http://www.w3.org\">\n      <e7 xmlns=\"http://www.ietf.org\">\n         <e8 xmlns=\"\" xmlns:a=\"http://www.w3.org\">\n            <e9 xmlns=\"\" xmlns:a=\"http://www.ietf.org\"/>\n         </e8>\n      </e7>\n   </e6>\n</doc>";
    assert_eq!(
        whole(text, &Method::Inclusive),
        "<doc>\n   <e1></e1>\n   <e2></e2>\n   <e3 id=\"elem3\" name=\"elem3\"></e3>\n   <e5 xmlns=\"http://example.org\" xmlns:a=\"http://www.w3.org\" xmlns:b=\"http://www.ietf.org\" attr=\"I'm\" attr2=\"all\" b:attr=\"sorted\" a:attr=\"out\"></e5>\n   <e6 xmlns:a=\"http://www.w3.org\">\n      <e7 xmlns=\"http://www.ietf.org\">\n         <e8 xmlns=\"\">\n            <e9 xmlns:a=\"http://www.ietf.org\"></e9>\n         </e8>\n      </e7>\n   </e6>\n</doc>"
    );
}

#[test]
fn characters_and_references() {
    // After example 3.4.
    let text = "<doc>\r\n   <text>First line&#x0d;&#10;Second line</text>\n   <value>&#x32;</value>\n   <compute><![CDATA[value>\"0\" && value<\"10\" ?\"valid\":\"error\"]]></compute>\n   <compute expr='value>\"0\" &amp;&amp; value&lt;\"10\" ?\"valid\":\"error\"'>valid</compute>\n   <norm attr=' &apos;   &#x20;&#13;&#xa;&#9;   &apos; ' lit='a\tb\nc\r\nd'/>\n</doc>";
    assert_eq!(
        whole(text, &Method::Inclusive),
        "<doc>\n   <text>First line&#xD;\nSecond line</text>\n   <value>2</value>\n   <compute>value&gt;\"0\" &amp;&amp; value&lt;\"10\" ?\"valid\":\"error\"</compute>\n   <compute expr=\"value>&quot;0&quot; &amp;&amp; value&lt;&quot;10&quot; ?&quot;valid&quot;:&quot;error&quot;\">valid</compute>\n   <norm attr=\" '    &#xD;&#xA;&#x9;   ' \" lit=\"a b c d\"></norm>\n</doc>"
    );
}

#[test]
fn inclusive_takes_the_context_of_the_element_exclusive_does_not() {
    // The example of section 2.2 of Exclusive Canonical XML.
    let text = "<n0:local xmlns:n0=\"foo:bar\" xmlns:n3=\"ftp://example.org\" xml:lang=\"ky\"><n1:elem2 xmlns:n1=\"http://example.net\" xml:space=\"preserve\"><n3:stuff xmlns:n3=\"ftp://example.org\"/></n1:elem2></n0:local>";
    assert_eq!(
        element(text, "elem2", &Method::Inclusive),
        "<n1:elem2 xmlns:n0=\"foo:bar\" xmlns:n1=\"http://example.net\" xmlns:n3=\"ftp://example.org\" xml:lang=\"ky\" xml:space=\"preserve\"><n3:stuff></n3:stuff></n1:elem2>"
    );
    assert_eq!(
        element(text, "elem2", &Method::Exclusive(vec![])),
        "<n1:elem2 xmlns:n1=\"http://example.net\" xml:space=\"preserve\"><n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff></n1:elem2>"
    );
    assert_eq!(
        element(text, "elem2", &Method::Exclusive(vec!["n0".into()])),
        "<n1:elem2 xmlns:n0=\"foo:bar\" xmlns:n1=\"http://example.net\" xml:space=\"preserve\"><n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff></n1:elem2>"
    );
}

#[test]
fn exclusive_writes_no_superfluous_empty_default() {
    let text = "<a xmlns=\"urn:x\" xmlns:p=\"urn:p\"><p:b><c xmlns=\"\"/></p:b></a>";
    assert_eq!(
        element(text, "b", &Method::Exclusive(vec![])),
        "<p:b xmlns:p=\"urn:p\"><c></c></p:b>"
    );
    assert_eq!(
        element(text, "b", &Method::Inclusive),
        "<p:b xmlns=\"urn:x\" xmlns:p=\"urn:p\"><c xmlns=\"\"></c></p:b>"
    );
}

#[test]
fn what_the_reader_refuses() {
    assert_eq!(refused("<!DOCTYPE a><a/>"), XmlError::Doctype);
    assert!(matches!(refused("<a>&x;</a>"), XmlError::Reference(3)));
    assert!(matches!(refused("<a>&#0;</a>"), XmlError::Reference(3)));
    assert!(matches!(
        refused("<a>&#x110000;</a>"),
        XmlError::Reference(_)
    ));
    assert!(matches!(refused("<a b='&y;'/>"), XmlError::Reference(_)));
    assert!(matches!(refused("<p:a/>"), XmlError::Namespace(_)));
    assert!(matches!(refused("<a p:b=''/>"), XmlError::Namespace(_)));
    assert!(matches!(
        refused("<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>"),
        XmlError::Namespace(_)
    ));
    assert!(matches!(refused("<a xmlns:p=''/>"), XmlError::Namespace(_)));
    assert!(matches!(
        refused("<?xml version='1.0' encoding='ISO-8859-1'?><a/>"),
        XmlError::NotUtf8
    ));
    for text in [
        "",
        "x",
        "<a>",
        "</a>",
        "<a/><b/>",
        "<a/>x",
        "<a></b>",
        "<a b='1' b='2'/>",
        "<a b=1/>",
        "<a b='<'/>",
        "<a>]]></a>",
        "<a><!-- -- --></a>",
        "<a",
        "<a b='1'c='2'/>",
        "<a>\u{1}</a>",
        " <?xml version='1.0'?><a/>",
        "<a><?XML x?></a>",
        "<a><![CDATA[x]]</a>",
        "<1a/>",
        "<?xml encoding='UTF-8'?><a/>",
        "<a/><![CDATA[x]]>",
        "<?xml version='1.1'?><a/>",
    ] {
        assert!(
            matches!(refused(text), XmlError::NotWellFormed { .. }),
            "{text:?}: {:?}",
            refused(text)
        );
    }
    let deep = "<a>".repeat(65) + &"</a>".repeat(65);
    assert_eq!(refused(&deep), XmlError::TooDeep);
}

#[test]
fn a_value_has_no_comments_in_it() {
    let document =
        Document::parse(b"<a><b>x<!-- -->y</b><c>x&amp;&#13;\r\n</c></a>", &LIMITS).unwrap();
    let mut children = document.root().children();
    assert_eq!(children.next().unwrap().value(), None);
    assert_eq!(children.next().unwrap().value().unwrap(), "x&\r\n");
}

/// Whatever this reader accepts, another reader accepts too and sees the same elements.
#[test]
fn agrees_with_another_reader_on_damaged_documents() {
    let source = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><r:a xmlns:r=\"urn:r\" b=\"1&lt;\" r:c='2'><!-- c --><d>text &amp; &#13;\n]] ></d><?p q?><![CDATA[<e>]]><f/></r:a>";
    let replacements = b"<>&;\"'/=:!?-[] xa1\n";
    let mut accepted = 0;
    for at in 0..source.len() {
        for &byte in replacements {
            for cut in [0usize, 1, 2] {
                let mut bytes = source.as_bytes()[..at].to_vec();
                bytes.push(byte);
                bytes.extend_from_slice(&source.as_bytes()[(at + cut).min(source.len())..]);
                let Ok(document) = Document::parse(&bytes, &LIMITS) else {
                    continue;
                };
                accepted += 1;
                let text = std::str::from_utf8(&bytes).unwrap();
                let other = roxmltree::Document::parse(text)
                    .unwrap_or_else(|error| panic!("{text:?} accepted here, but {error}"));
                let ours: Vec<_> = document
                    .elements()
                    .map(|e| (e.namespace().to_owned(), e.local_name().to_owned()))
                    .collect();
                let theirs: Vec<_> = other
                    .descendants()
                    .filter(roxmltree::Node::is_element)
                    .map(|e| {
                        let name = e.tag_name();
                        (
                            name.namespace().unwrap_or("").to_owned(),
                            name.name().to_owned(),
                        )
                    })
                    .collect();
                assert_eq!(ours, theirs, "{text:?}");
            }
        }
    }
    assert!(accepted > 500, "only {accepted} accepted");
}
