//! Targets of the crate `id-import`.

use std::sync::LazyLock;

use id_import::{Layout, Place, Quotes, Survey};
use id_registry::{OpaqueSerial, Rules, Territory, demonstration};
use time::macros::date;

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[("rows", rows)];

static TERRITORY: LazyLock<Territory> = LazyLock::new(demonstration::territory);

/// An earlier register, a header or an object first and then rows: every row is counted, whatever is in it, and what is
/// wrong is told of a row that there is.
pub fn rows(data: &[u8]) {
    let mut lines = data.split(|byte: &u8| *byte == b'\n').peekable();
    let layout = match lines.peek() {
        Some([b'{', ..]) => Layout::Objects,
        _ => match Layout::of_header(lines.next().unwrap_or_default()) {
            Ok(layout) => layout,
            Err(_) => return,
        },
    };
    let rules = Rules {
        numbers: &OpaqueSerial,
        territory: &TERRITORY,
        cooling_off: time::Duration::DAY,
    };
    let mut survey = Survey::new(layout, rules, date!(2026 - 11 - 25));
    let mut told = Vec::new();
    let mut read = 0;
    for row in lines {
        let _ = Quotes::new(b',').are_open_after(row);
        let place = Place {
            offset: 0,
            length: u32::try_from(row.len()).unwrap_or(u32::MAX),
        };
        survey.read(place, row, &mut |finding| told.push(finding));
        read += 1;
    }
    assert_eq!(survey.rows(), read);
    let (profile, alike, _) = survey.finish(&mut |finding| told.push(finding));
    assert!(profile.rows == read && profile.people <= read);
    assert!(told.iter().all(|finding| (1..=read).contains(&finding.row)));
    let pairs = usize::try_from(read * read).unwrap_or(usize::MAX);
    assert!(alike.len() <= pairs);
}
