//! Certificate profiles: the built-in ones and one given as data.
#![allow(clippy::unwrap_used)]

use globalconf::{CertificateProfile, CertificateProfiles, ProfileError};
use pki::{AttributeType, Name};

type Fields = &'static [(&'static str, &'static str)];

fn name(fields: &[(&str, &str)]) -> Name {
    fields
        .iter()
        .fold(Name::builder(), |builder, (kind, value)| {
            builder.push(AttributeType::from_short_name(kind).unwrap(), *value)
        })
        .build()
        .unwrap()
}

fn member(profile: &str, fields: &[(&str, &str)]) -> Result<String, String> {
    CertificateProfile::from_class(&CertificateProfile::class_name(profile))
        .unwrap()
        .member_of(&name(fields), "EE")
        .map(|id| id.path())
        .map_err(|error| error.to_string())
}

#[test]
fn subjects_are_read_as_x_road_reads_them() {
    let good: &[(&str, Fields, &str)] = &[
        (
            "Ejbca",
            &[("C", "KG"), ("O", "GOV"), ("CN", "1")],
            "KG/GOV/1",
        ),
        (
            "FiVRK",
            &[
                ("C", "FI"),
                ("O", "Test"),
                ("serialNumber", "DEV/SS0/COM"),
                ("CN", "1234"),
            ],
            "DEV/COM/1234",
        ),
        (
            "FiVRK",
            &[("C", "FI"), ("O", "DEV"), ("OU", "COM"), ("CN", "1234")],
            "DEV/COM/1234",
        ),
        (
            "FiVRK",
            &[("C", "DEV"), ("O", "COM"), ("CN", "1")],
            "DEV/COM/1",
        ),
        (
            "Basic",
            &[("businessCategory", "GOV"), ("serialNumber", "7")],
            "EE/GOV/7",
        ),
        (
            "SkKlass3",
            &[("serialNumber", "70000001")],
            "EE/GOV/70000001",
        ),
        (
            "SkKlass3",
            &[("serialNumber", "10000001")],
            "EE/COM/10000001",
        ),
        (
            "SkKlass3",
            &[("serialNumber", "90000001")],
            "EE/NGO/90000001",
        ),
        (
            "SkKlass3",
            &[("organizationIdentifier", "NTREE-12345678")],
            "EE/COM/12345678",
        ),
        (
            "SkKlass3",
            &[("organizationIdentifier", "VATFI-1")],
            "EE/NEE/VATFI-1",
        ),
        (
            "SkEsteId",
            &[("serialNumber", "38001010000")],
            "EE/PERSON/38001010000",
        ),
        (
            "Fo",
            &[
                ("C", "FO"),
                ("O", "FO-TST"),
                ("OU", "GOV"),
                ("CN", "9"),
                ("serialNumber", "x"),
            ],
            "FO-TST/GOV/9",
        ),
        (
            "Is",
            &[("C", "IS-DEV"), ("O", "GOV"), ("CN", "9")],
            "IS-DEV/GOV/9",
        ),
        // Of two values X-Road takes the last in the encoding.
        (
            "Ejbca",
            &[("C", "KG"), ("O", "GOV"), ("CN", "1"), ("CN", "2")],
            "KG/GOV/2",
        ),
    ];
    for (profile, fields, expected) in good {
        assert_eq!(
            member(profile, fields).as_deref(),
            Ok(*expected),
            "{fields:?}"
        );
    }
    let bad: &[(&str, Fields)] = &[
        ("Ejbca", &[("C", "KG"), ("CN", "1")]),
        (
            "FiVRK",
            &[
                ("C", "EE"),
                ("O", "Test"),
                ("serialNumber", "DEV/SS0/COM"),
                ("CN", "1"),
            ],
        ),
        (
            "FiVRK",
            &[
                ("C", "FI"),
                ("O", "Test"),
                ("serialNumber", "DEV/COM"),
                ("CN", "1"),
            ],
        ),
        ("Basic", &[("serialNumber", "7")]),
        ("SkKlass3", &[("serialNumber", "7000000")]),
        ("SkKlass3", &[("serialNumber", "7000000x")]),
        ("SkKlass3", &[("serialNumber", "00000001")]),
        ("SkKlass3", &[("CN", "1")]),
        (
            "Fo",
            &[("C", "FO"), ("O", "FO-TST"), ("OU", "GOV"), ("CN", "9")],
        ),
    ];
    for (profile, fields) in bad {
        assert!(member(profile, fields).is_err(), "{profile} {fields:?}");
    }
}

#[test]
fn an_unknown_class_is_refused_until_it_is_given_as_data() {
    let class = "kg.tunduk.KgSkKlass3CertificateProfileInfoProvider";
    let error = CertificateProfile::from_class(class).unwrap_err();
    assert_eq!(error, ProfileError::UnknownClass(class.to_owned()));
    let data = serde_json::json!({
        "class": class,
        "member": [{
            "when": [{"present": "serialNumber"}],
            "demand": [{"digits": ["serialNumber", 14]}, {"equals": ["C", "KG"]}],
            "instance": "expected_instance",
            "member_class": {"attribute": "OU"},
            "member_code": {"attribute": "serialNumber"}
        }],
        "signing_subject": [["C", "country"], ["OU", "member_class"], ["serialNumber", "member_code"]],
        "authentication_subject": [["CN", "server_code"]]
    });
    let profile: CertificateProfile = serde_json::from_value(data).unwrap();
    let profiles = CertificateProfiles::default().with(profile);
    let subject = name(&[
        ("C", "KG"),
        ("OU", "GOV"),
        ("serialNumber", "01234567890123"),
    ]);
    assert_eq!(
        profiles
            .get(class)
            .unwrap()
            .member_of(&subject, "central-server")
            .unwrap()
            .path(),
        "central-server/GOV/01234567890123"
    );
}
