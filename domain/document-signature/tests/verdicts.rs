//! Who, when, whole or changed, valid then: for PDF files and containers alike.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod common;

use asic::files::{File, Files};
use common::{NOW, QUALIFIED, SIGNED, SIMPLE, World, files, minutes, page};
use document_signature::{
    Class, Integrity, Level, PreparedDocument, Refusal, Report, Trust, Validity, Verdict, Weakened,
    extend, is_renewal_due, verify,
};
use pades::sign::Statement;
use pki::DigestAlgorithm;
use pki::ocsp::CertificateStatus;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// One document of each kind, level B-T, stamped at this time.
fn stamped(world: &World, at: OffsetDateTime) -> [Vec<u8>; 2] {
    [
        world.stamped_pdf(&page(), at),
        world.stamped_container(files(), at),
    ]
}

#[track_caller]
fn says(report: &Report, expected: &str) {
    let text = report.verdict.to_string();
    assert!(text.contains(expected), "{report}");
}

#[test]
fn every_level_says_what_it_proves() {
    let world = World::new(&[QUALIFIED]);
    let trust = world.trust();
    let both = [world.pdf(&page()), world.container(files())];
    for document in both {
        let report = verify(&document, Some(&trust), NOW);
        says(&report, "incomplete: there is no time-stamp");
        assert_eq!(report.signatures[0].level, Level::B);
        assert_eq!(report.signatures[0].when.claimed, Some(SIGNED));
        assert_eq!(report.signatures[0].when.proven, None);
    }
    for document in stamped(&world, minutes(1)) {
        let report = verify(&document, Some(&trust), NOW);
        says(&report, "no statement of its authority on whether");
        let signature = &report.signatures[0];
        assert_eq!(signature.level, Level::T);
        assert_eq!(signature.when.proven, Some(minutes(1)));
        assert_eq!(signature.class, Some(Class::Qualified));
        assert!(!signature.is(Class::Qualified), "not valid yet");
        assert!(!is_renewal_due(&report, NOW, Duration::days(30)));

        let long = world.extended(&document, minutes(2));
        let report = verify(&long, Some(&trust), NOW);
        assert_eq!(report.verdict, Verdict::Valid, "{report}");
        let signature = &report.signatures[0];
        assert_eq!(signature.level, Level::LT);
        assert_eq!(signature.validity, Validity::Valid);
        let signer = signature.signer.as_ref().unwrap();
        assert_eq!(signer.name, "Асан Үсөнов");
        assert_eq!(signer.number.as_deref(), Some("20101199012345"));
        assert!(signature.is(Class::Qualified) && signature.is(Class::Simple));
        assert!(is_renewal_due(&report, NOW, Duration::days(30)));

        let archived = world.archived(&long, &world.tsa, minutes(3));
        let report = verify(&archived, Some(&trust), NOW);
        assert_eq!(report.verdict, Verdict::Valid, "{report}");
        assert_eq!(report.signatures[0].level, Level::LTA);
        assert_eq!(report.signatures[0].when.proven, Some(minutes(1)));
        assert!(!is_renewal_due(&report, NOW, Duration::days(30)));
        assert!(is_renewal_due(&report, NOW, Duration::days(3_600)));
        let text = report.to_string();
        for line in [
            "who:        Асан Үсөнов, personal number 20101199012345\n",
            "when:       2026-11-25T08:01:00Z at the latest",
            "document:   whole, as it was signed",
            "then valid: yes",
            "(qualified signature, B-LTA)",
            "verdict:    valid\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}

#[test]
fn simple_and_qualified_are_told_apart_by_policy_and_authority() {
    for (policies, class) in [
        (&[QUALIFIED][..], Class::Qualified),
        (&[SIMPLE], Class::Simple),
        (&[SIMPLE, QUALIFIED], Class::Other),
        (&["1.2.3.4"], Class::Other),
        (&[], Class::Other),
    ] {
        let world = World::new(policies);
        for document in stamped(&world, minutes(1)) {
            let document = world.extended(&document, minutes(2));
            let report = verify(&document, Some(&world.trust()), NOW);
            assert_eq!(report.verdict, Verdict::Valid, "{report}");
            let signature = &report.signatures[0];
            assert_eq!(signature.class, Some(class));
            assert_eq!(signature.is(Class::Qualified), class == Class::Qualified);
            assert_eq!(signature.is(Class::Simple), class != Class::Other);
            assert!(report.to_string().contains(class.name()));
            // The policy alone proves nothing: the trust list has to let the authority issue under it.
            let mut narrow = world.trust();
            narrow.authorities[0].qualified.clear();
            let report = verify(&document, Some(&narrow), NOW);
            assert!(!report.signatures[0].is(Class::Qualified), "{report}");
        }
    }
}

#[test]
fn a_certificate_that_was_not_valid_when_it_signed_is_refused() {
    let world = World::new(&[QUALIFIED]);
    let person = &world.person.certificate;
    let revoked = |at| CertificateStatus::Revoked {
        at,
        reason: Some(1),
    };
    for document in stamped(&world, minutes(10)) {
        let judged = |status, at| {
            let status = world.status(person, status, at);
            let certificates = std::slice::from_ref(&world.tsa.certificate);
            let extended = extend(&document, certificates, &[status], minutes(20)).unwrap();
            verify(&extended, Some(&world.trust()), NOW)
        };
        let good = CertificateStatus::Good;
        says(&judged(good, minutes(11)), "valid");
        // Revoked before it signed, in the same second, and after.
        says(&judged(revoked(minutes(9)), minutes(11)), "revoked on");
        says(&judged(revoked(minutes(10)), minutes(11)), "revoked on");
        let report = judged(revoked(minutes(11)), minutes(12));
        assert_eq!(report.verdict, Verdict::Valid, "{report}");
        assert_eq!(report.signatures[0].revoked_later, Some(minutes(11)));
        // An old statement says nothing about the time of signing.
        assert_eq!(judged(good, minutes(-49)).verdict, Verdict::Valid);
        says(&judged(good, minutes(-51)), "incomplete");
        says(
            &judged(CertificateStatus::Unknown, minutes(11)),
            "does not know",
        );
        // A statement from the future, or after the certificate's end.
        says(&judged(good, NOW + Duration::days(1)), "incomplete");
        // A statement that a stranger signed.
        let stranger = World::new(&[QUALIFIED]);
        let forged = stranger.status(person, good, minutes(11));
        let extended = extend(&document, &[], &[forged], minutes(20)).unwrap();
        says(
            &verify(&extended, Some(&world.trust()), NOW),
            "incomplete: the document holds no statement",
        );
        // A good one beside one that says revoked does not help.
        let both = [
            world.status(person, good, minutes(11)),
            world.status(person, revoked(minutes(5)), minutes(12)),
        ];
        let extended = extend(&document, &[], &both, minutes(20)).unwrap();
        says(&verify(&extended, Some(&world.trust()), NOW), "revoked on");
    }
    // Signed before the certificate's time and after it.
    for at in [
        datetime!(2026-05-01 0:00 UTC),
        datetime!(2027-07-01 0:00 UTC),
    ] {
        let later = at + Duration::days(30);
        for document in stamped(&world, at) {
            let document = world.extended(&document, at + Duration::minutes(1));
            let report = verify(&document, Some(&world.trust()), later);
            assert!(report.verdict != Verdict::Valid, "{report}");
        }
    }
}

#[test]
fn only_trusted_authorities_count() {
    let world = World::new(&[QUALIFIED]);
    let stranger = World::new(&[QUALIFIED]);
    for document in stamped(&world, minutes(1)) {
        let document = world.extended(&document, minutes(2));
        let report = verify(&document, None, NOW);
        says(&report, "incomplete: there is no trust list");
        assert!(matches!(
            report.signatures[0].integrity,
            Integrity::Whole { .. }
        ));
        // Nothing of this country is trusted.
        let report = verify(&document, Some(&stranger.trust()), NOW);
        assert!(report.verdict != Verdict::Valid, "{report}");
        // Its time-stampers, but not its authorities.
        let trust = Trust {
            time_stampers: world.trust().time_stampers,
            ..stranger.trust()
        };
        says(
            &verify(&document, Some(&trust), NOW),
            "invalid: the signer's certificate",
        );
        // Its authorities, but not its time-stampers.
        let trust = Trust {
            time_stampers: Vec::new(),
            ..world.trust()
        };
        says(&verify(&document, Some(&trust), NOW), "does not know");
        // The person's own certificate does not stamp time, even if somebody lists it.
        let trust = Trust {
            time_stampers: vec![world.person.certificate.clone()],
            ..world.trust()
        };
        says(&verify(&document, Some(&trust), NOW), "does not know");
        // The time-stamper itself may be listed instead of its authority.
        let trust = Trust {
            time_stampers: vec![world.tsa.certificate.clone()],
            ..world.trust()
        };
        assert_eq!(verify(&document, Some(&trust), NOW).verdict, Verdict::Valid);
    }
}

#[test]
fn renewed_documents_outlive_their_certificates_and_algorithms() {
    let world = World::new(&[QUALIFIED]);
    let trust = world.trust();
    let tsa2 = world.younger_tsa(
        datetime!(2035-01-01 0:00 UTC),
        datetime!(2055-01-01 0:00 UTC),
    );
    for document in stamped(&world, minutes(1)) {
        let once = world.archived(
            &world.extended(&document, minutes(2)),
            &world.tsa,
            minutes(3),
        );
        // The first authority's certificate ends in 2036.
        assert_eq!(
            verify(&once, Some(&trust), datetime!(2036-05-01 0:00 UTC)).verdict,
            Verdict::Valid
        );
        says(
            &verify(&once, Some(&trust), datetime!(2036-07-01 0:00 UTC)),
            "was not renewed",
        );
        let in_time = datetime!(2036-01-01 0:00 UTC);
        let renewed = world.archived(&world.extended(&once, in_time), &tsa2, in_time);
        let far = datetime!(2050-01-01 0:00 UTC);
        let report = verify(&renewed, Some(&trust), far);
        assert_eq!(report.verdict, Verdict::Valid, "{report}");
        assert_eq!(report.signatures[0].when.proven, Some(minutes(1)));
        assert_eq!(report.signatures[0].level, Level::LTA);
        // Renewed too late is not renewed.
        let late = datetime!(2036-08-01 0:00 UTC);
        let renewed_late = world.archived(&world.extended(&once, late), &tsa2, late);
        says(&verify(&renewed_late, Some(&trust), far), "was not renewed");
        // SHA-256 falls in 2040. The signature and its first time-stamp used it; the stamps over everything did not.
        let mut aged = trust.clone();
        let fall = datetime!(2040-01-01 0:00 UTC);
        aged.weakened
            .push(Weakened::Digest(DigestAlgorithm::Sha256, fall));
        assert_eq!(verify(&renewed, Some(&aged), far).verdict, Verdict::Valid);
        // It fell before the document was renewed.
        let mut early = trust.clone();
        let fall = datetime!(2026-11-25 08:02:30 UTC);
        early
            .weakened
            .push(Weakened::Digest(DigestAlgorithm::Sha256, fall));
        says(
            &verify(&renewed, Some(&early), far),
            "not renewed in time: SHA-256",
        );
        let mut curves = trust.clone();
        let fall = datetime!(2045-01-01 0:00 UTC);
        curves.weakened.push(Weakened::CurveBelow(384, fall));
        says(
            &verify(&renewed, Some(&curves), far),
            "curves below 384 bits",
        );
        assert_eq!(
            verify(&renewed, Some(&curves), fall - Duration::days(1)).verdict,
            Verdict::Valid
        );
    }
}

#[test]
fn changed_and_cut_documents_are_never_valid() {
    let world = World::new(&[QUALIFIED]);
    let trust = world.trust();
    for document in stamped(&world, minutes(1)) {
        let document = world.archived(
            &world.extended(&document, minutes(2)),
            &world.tsa,
            minutes(3),
        );
        assert_eq!(verify(&document, Some(&trust), NOW).verdict, Verdict::Valid);
        let step = document.len() / 400 + 1;
        for at in (0..document.len()).step_by(step) {
            let cut = verify(&document[..at], Some(&trust), NOW);
            // A PDF file up to the end of one of its revisions is what it was before the next was added.
            let earlier = document[..at].trim_ascii_end().ends_with(b"%%EOF");
            assert!(earlier || cut.verdict != Verdict::Valid, "{at}: {cut}");
            let mut changed = document.clone();
            changed[at] ^= 1;
            let report = verify(&changed, Some(&trust), NOW);
            // What nobody covers may change: the zip's times, a time-stamp's place for certificates. Never the files.
            if report.verdict == Verdict::Valid {
                let same = verify(&document, Some(&trust), NOW);
                assert_eq!(report.files, same.files, "{at}");
                assert_eq!(report.signatures[0].signer, same.signatures[0].signer);
                assert_eq!(
                    report.signatures[0].when.proven,
                    same.signatures[0].when.proven
                );
            }
        }
    }
    for nothing in [&b""[..], b"%PDF-", b"PK\x03\x04", b"hello", &page()] {
        let report = verify(nothing, Some(&trust), NOW);
        assert!(
            matches!(report.verdict, Verdict::Invalid { .. }),
            "{report}"
        );
        assert_eq!(report.verdict.exit_status(), 1);
    }
}

#[test]
fn a_small_container_does_not_ask_for_hours() {
    let signed = World::new(&[]).container(files());
    let signed = Files::open(&signed).unwrap();
    let signature = signed.signatures().next().unwrap().1.to_vec();
    let large = File {
        name: "zeros".to_owned(),
        media_type: String::new(),
        bytes: vec![0; 32 << 20],
    };
    let mut container = Files::new(vec![large]).unwrap();
    for _ in 0..=(8_u64 << 30) / (32 << 20) {
        container.add_signature(signature.clone());
    }
    let container = container.write(NOW).unwrap();
    assert!(container.len() < 1 << 20);
    says(&verify(&container, None, NOW), "larger than the limits");
}

#[test]
fn several_signatures_are_judged_apart() {
    let (one, two) = (World::new(&[QUALIFIED]), World::new(&[SIMPLE]));
    let first = one.extended(&one.stamped_pdf(&page(), minutes(1)), minutes(2));
    let both = two.extended(&two.stamped_pdf(&first, minutes(5)), minutes(6));
    let mut trust = one.trust();
    trust.authorities.extend(two.trust().authorities);
    trust.time_stampers.extend(two.trust().time_stampers);
    let report = verify(&both, Some(&trust), NOW);
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
    let classes: Vec<_> = report.signatures.iter().map(|s| s.class).collect();
    assert_eq!(classes, [Some(Class::Qualified), Some(Class::Simple)]);
    assert!(
        report
            .to_string()
            .contains("later: the signature Signature2")
    );
    let container = one.extended(&one.stamped_container(files(), minutes(1)), minutes(2));
    let container = two.countersigned(&container, minutes(3));
    let report = verify(&container, Some(&trust), NOW);
    says(&report, "no statement of its authority");
    assert_eq!(report.signatures.len(), 2);
    assert_eq!(report.signatures[0].verdict, Verdict::Valid, "{report}");
    // One of two that cannot be trusted decides for the document, not for the other signature.
    let report = verify(&both, Some(&one.trust()), NOW);
    assert!(report.verdict != Verdict::Valid);
    assert_eq!(report.signatures[0].verdict, Verdict::Valid, "{report}");
}

#[test]
fn only_the_right_value_and_the_right_time_stamp_complete_a_document() {
    use pki::Signer as _;
    let (world, stranger) = (World::new(&[QUALIFIED]), World::new(&[QUALIFIED]));
    let signer = world.signing();
    let prepared = [
        PreparedDocument::pdf(&page(), &signer, &Statement::default(), SIGNED).unwrap(),
        PreparedDocument::files(files(), &signer, SIGNED).unwrap(),
    ];
    for prepared in prepared {
        let digest = DigestAlgorithm::Sha256.digest(prepared.to_be_signed());
        assert_eq!(prepared.digest(), digest);
        let foreign = stranger.person.key.sign(prepared.to_be_signed()).unwrap();
        assert!(prepared.clone().finish(&foreign).is_err());
        let other = world.person.key.sign(b"something else").unwrap();
        assert!(prepared.clone().finish(&other).is_err());
        let value = world.person.key.sign(prepared.to_be_signed()).unwrap();
        let signed = prepared.finish(&value).unwrap();
        let mut request = signed.time_stamp_request(DigestAlgorithm::Sha256).unwrap();
        request.imprint = DigestAlgorithm::Sha256.digest(b"something else");
        let token = world.stamp(&world.tsa, &request, minutes(1));
        assert!(signed.with_time_stamp(&token).is_err());
    }
    assert!(PreparedDocument::pdf(b"no PDF", &signer, &Statement::default(), SIGNED).is_err());
    assert!(PreparedDocument::container(b"no container", &signer, SIGNED).is_err());
    assert!(PreparedDocument::files(Vec::new(), &signer, SIGNED).is_err());
}

#[test]
fn why_there_is_no_signature_to_judge() {
    let world = World::new(&[SIMPLE]);
    let container = world.container(files());
    let unsigned = asic::files::Files::new(files()).unwrap();
    let unsigned_container = unsigned.write(SIGNED).unwrap();
    for (document, refusal) in [
        (page(), Some(Refusal::Unsigned)),
        (unsigned_container, Some(Refusal::Unsigned)),
        (b"a letter".to_vec(), Some(Refusal::OtherKind)),
        (Vec::new(), Some(Refusal::OtherKind)),
        (page()[..200].to_vec(), Some(Refusal::Damaged)),
        (container[..200].to_vec(), Some(Refusal::Damaged)),
        (world.pdf(&page()), None),
        (container.clone(), None),
    ] {
        let report = verify(&document, None, NOW);
        assert_eq!(report.refusal, refusal, "{report}");
        assert_eq!(report.refusal.is_some(), report.signatures.is_empty());
    }
}
