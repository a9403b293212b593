//! The driving licence as a picture: the document that people download.

use id_registry::Licence;
use quick_xml::escape::escape;

/// File name of the document of a licence.
pub(crate) fn file_name(licence: &Licence) -> String {
    format!("driving-licence-{}.svg", licence.number)
}

/// Content type of [`draw`]'s result.
pub(crate) const CONTENT_TYPE: &str = "image/svg+xml";

/// Draws the card (SVG 1.1). Synthetic, and says so.
pub(crate) fn draw(licence: &Licence) -> String {
    let holder = &licence.holder;
    let categories: Vec<&str> = licence
        .categories
        .iter()
        .map(|category| category.as_str())
        .collect();
    let lines = [
        (
            "1.",
            format!(
                "{} / {}",
                holder.family_name.cyrillic, holder.family_name.latin
            ),
        ),
        (
            "2.",
            format!(
                "{} / {}",
                holder.given_name.cyrillic, holder.given_name.latin
            ),
        ),
        ("3.", format!("{}, {}", holder.born_on, holder.birth_place)),
        ("4a.", licence.issued_on.to_string()),
        ("4b.", licence.expires_on.to_string()),
        ("4d.", holder.number.to_string()),
        ("5.", licence.number.clone()),
        ("9.", categories.join(", ")),
    ];
    let mut rows = String::new();
    for (place, (label, text)) in lines.iter().enumerate() {
        let height = 96 + place * 26;
        rows.push_str(&format!(
            "<text x=\"200\" y=\"{height}\" font-weight=\"bold\">{label}</text>\
             <text x=\"240\" y=\"{height}\">{}</text>",
            escape(text.as_str())
        ));
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"400\" font-family=\"sans-serif\" font-size=\"16\">\
         <rect width=\"640\" height=\"400\" rx=\"18\" fill=\"#f6e7ea\" stroke=\"#a11b2c\" stroke-width=\"3\"/>\
         <text x=\"30\" y=\"46\" font-size=\"22\" font-weight=\"bold\">Айдоочунун күбөлүгү · Driving licence · KG</text>\
         <rect x=\"30\" y=\"80\" width=\"140\" height=\"180\" fill=\"#ddd\" stroke=\"#888\"/>\
         {rows}\
         <text x=\"30\" y=\"375\" font-size=\"13\" fill=\"#666\">Synthetic demonstration document. This person does not exist.</text>\
         </svg>"
    )
}
