//! Certificate profiles: which fields of a certificate's subject say which member
//! it belongs to (reference C6, C7, G28).
//!
//! Shared parameters name a profile by the Java class that implements it in X-Road
//! (`certificateProfileInfo`). Here a profile is data: rules that read a subject and
//! templates that make one. Those which ship with X-Road are built in; further ones
//! can be given to [`CertificateProfiles::with`], which is how a national profile is
//! added without code.

use std::borrow::Cow;
use std::collections::HashMap;

use pki::Name;
use serde::Deserialize;
use xroad_id::{ClientId, SecurityServerId};

/// Package of the classes that ship with X-Road.
const PACKAGE: &str = "ee.ria.xroad.common.certificateprofile.impl.";

/// Why no member can be read from a subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The class is not known. The fault is the configuration's, or ours for not
    /// knowing the class.
    #[error(
        "certificate profile {0:?} is not known: the members of its certificates cannot be told"
    )]
    UnknownClass(String),
    /// The subject has not the fields of the profile. The fault is the CA's.
    #[error("the certificate's subject does not follow profile {class}: {reason}")]
    Subject {
        /// The profile's class.
        class: String,
        /// What is missing or wrong.
        reason: String,
    },
}

/// Where a part of an identifier comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The value of an attribute of the subject, by its short name (`C`, `O`, `OU`,
    /// `CN`, `serialNumber`, `businessCategory`, `organizationIdentifier`).
    Attribute(Cow<'static, str>),
    /// One of exactly `of` parts, separated by `/`, of an attribute; `index` from 0.
    Slash {
        /// Short name of the attribute.
        attribute: Cow<'static, str>,
        /// Which part.
        index: usize,
        /// How many there must be.
        of: usize,
    },
    /// A value that the subject does not have.
    Constant(Cow<'static, str>),
    /// The instance of the member that is expected.
    ExpectedInstance,
    /// The value of an attribute without the first `length` characters.
    After {
        /// Short name of the attribute.
        attribute: Cow<'static, str>,
        /// How many characters are left out.
        length: usize,
    },
}

/// What must hold of an attribute for a rule to apply, or else for the subject to be good.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// The attribute is there and not empty.
    Present(Cow<'static, str>),
    /// The attribute is not there, or empty.
    Absent(Cow<'static, str>),
    /// The attribute has exactly this value.
    Equals(Cow<'static, str>, Cow<'static, str>),
    /// The attribute begins with this text.
    StartsWith(Cow<'static, str>, Cow<'static, str>),
    /// The attribute has exactly so many characters, all decimal digits.
    Digits(Cow<'static, str>, usize),
}

/// One way to read a subject. The first rule whose conditions all hold is taken, and
/// then its demands must hold too.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MemberRule {
    /// When the rule applies.
    #[serde(default)]
    pub when: Cow<'static, [Test]>,
    /// What the subject must have then.
    #[serde(default)]
    pub demand: Cow<'static, [Test]>,
    /// Where the instance comes from.
    pub instance: Part,
    /// Where the member class comes from.
    pub member_class: Part,
    /// Where the member code comes from.
    pub member_code: Part,
}

/// What a field of a new certificate's subject is made of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Code of the instance.
    Instance,
    /// Class of the member or of the server's owner.
    MemberClass,
    /// Code of the member or of the server's owner.
    MemberCode,
    /// Code of the server.
    ServerCode,
    /// `instance/server code/member class`.
    InstanceServerClass,
    /// `instance/member class/member code/server code`.
    Server,
    /// Full name of the member.
    MemberName,
    /// Host name of the server.
    DnsName,
    /// Country of the member, two letters.
    Country,
    /// A constant.
    Constant(Cow<'static, str>),
}

type Template = Cow<'static, [(Cow<'static, str>, Field)]>;

/// A certificate profile.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CertificateProfile {
    /// Full name of the Java class.
    pub class: Cow<'static, str>,
    /// How a signing certificate's subject is read.
    pub member: Cow<'static, [MemberRule]>,
    /// Fields of a signing certificate's subject, in order.
    pub signing_subject: Template,
    /// Fields of an authentication certificate's subject, in order.
    pub authentication_subject: Template,
}

/// What the subject of a new certificate is made from.
#[derive(Debug, Clone, Copy)]
pub struct SubjectOf<'a> {
    /// The member that signs; the owner of the server for an authentication certificate.
    pub member: &'a ClientId,
    /// The server at which the key is.
    pub server: &'a SecurityServerId,
    /// Full name of the member.
    pub member_name: &'a str,
    /// Host name of the server.
    pub dns_name: &'a str,
    /// Country of the member, two letters.
    pub country: &'a str,
}

impl CertificateProfile {
    /// The profile that ships with X-Road under this class name.
    ///
    /// # Errors
    /// [`ProfileError::UnknownClass`].
    pub fn from_class(class: &str) -> Result<Self, ProfileError> {
        CertificateProfiles::default().get(class).cloned()
    }

    /// The Java class name of the profile with this short name (`FiVRK`, `Ejbca`,
    /// `Basic`, `BasicACME`, `SkKlass3`, `SkEsteId`, `Is`, `Fo`).
    pub fn class_name(short: &str) -> String {
        format!("{PACKAGE}{short}CertificateProfileInfoProvider")
    }

    /// The member to which a signing certificate with this subject belongs.
    /// `expected_instance` is the instance in which it is approved: some profiles
    /// write none into the subject.
    ///
    /// # Errors
    /// [`ProfileError::Subject`].
    pub fn member_of(
        &self,
        subject: &Name,
        expected_instance: &str,
    ) -> Result<ClientId, ProfileError> {
        // X-Road reads the RFC 2253 form, which turns the order around, and takes
        // the first value there: the last of the encoded name.
        let values = |attribute: &str| subject.get_all(attribute).last();
        self.read(&values, expected_instance)
    }

    fn read<'a>(
        &self,
        value: &dyn Fn(&str) -> Option<&'a str>,
        expected_instance: &str,
    ) -> Result<ClientId, ProfileError> {
        let error = |reason: String| ProfileError::Subject {
            class: self.class.clone().into_owned(),
            reason,
        };
        let rule = self
            .member
            .iter()
            .find(|rule| rule.when.iter().all(|test| test.unmet(value).is_none()))
            .ok_or_else(|| error("none of its fields are there".to_owned()))?;
        if let Some(reason) = rule.demand.iter().find_map(|test| test.unmet(value)) {
            return Err(error(reason));
        }
        let part = |part: &Part| part.read(value, expected_instance).map_err(error);
        ClientId::member(
            &part(&rule.instance)?,
            &part(&rule.member_class)?,
            &part(&rule.member_code)?,
        )
        .map_err(|wrong| error(wrong.to_string()))
    }

    /// Subject of a new signing certificate: short names of attributes with their
    /// values, in the order of the encoded name. Fields without a value are left out.
    pub fn new_signing_subject(&self, of: &SubjectOf) -> Vec<(String, String)> {
        fill(&self.signing_subject, of)
    }

    /// Subject of a new authentication certificate, as
    /// [`CertificateProfile::new_signing_subject`].
    pub fn new_authentication_subject(&self, of: &SubjectOf) -> Vec<(String, String)> {
        fill(&self.authentication_subject, of)
    }
}

impl Test {
    /// Why the test is not met, `None` if it is.
    fn unmet<'a>(&self, value: &dyn Fn(&str) -> Option<&'a str>) -> Option<String> {
        let get = |attribute: &str| value(attribute).filter(|v| !v.is_empty());
        match self {
            Self::Present(a) => get(a).is_none().then(|| format!("{a} is missing")),
            Self::Absent(a) => get(a).is_some().then(|| format!("{a} is present")),
            Self::Equals(a, wanted) => {
                (get(a) != Some(wanted)).then(|| format!("{a} is not {wanted:?}"))
            }
            Self::StartsWith(a, start) => (!get(a).is_some_and(|v| v.starts_with(&**start)))
                .then(|| format!("{a} does not begin with {start:?}")),
            Self::Digits(a, count) => (!get(a)
                .is_some_and(|v| v.len() == *count && v.bytes().all(|b| b.is_ascii_digit())))
            .then(|| format!("{a} has not {count} digits")),
        }
    }
}

impl Part {
    fn read<'a>(
        &self,
        value: &dyn Fn(&str) -> Option<&'a str>,
        expected_instance: &str,
    ) -> Result<String, String> {
        let get =
            |attribute: &str| value(attribute).ok_or_else(|| format!("{attribute} is missing"));
        Ok(match self {
            Self::Attribute(attribute) => get(attribute)?.to_owned(),
            Self::Slash {
                attribute,
                index,
                of,
            } => {
                let text = get(attribute)?;
                let parts: Vec<&str> = text.split('/').collect();
                match parts.get(*index) {
                    Some(part) if parts.len() == *of => (*part).to_owned(),
                    _ => {
                        return Err(format!(
                            "{attribute} has not {of} parts separated by slashes"
                        ));
                    }
                }
            }
            Self::Constant(text) => text.clone().into_owned(),
            Self::ExpectedInstance => expected_instance.to_owned(),
            Self::After { attribute, length } => get(attribute)?.chars().skip(*length).collect(),
        })
    }
}

fn fill(template: &Template, of: &SubjectOf) -> Vec<(String, String)> {
    template
        .iter()
        .map(|(attribute, field)| {
            let value = match field {
                Field::Instance => of.member.instance.clone(),
                Field::MemberClass => of.member.member_class.clone(),
                Field::MemberCode => of.member.member_code.clone(),
                Field::ServerCode => of.server.server_code.clone(),
                Field::InstanceServerClass => format!(
                    "{}/{}/{}",
                    of.member.instance, of.server.server_code, of.member.member_class
                ),
                Field::Server => format!(
                    "{}/{}/{}/{}",
                    of.server.instance,
                    of.server.member_class,
                    of.server.member_code,
                    of.server.server_code
                ),
                Field::MemberName => of.member_name.to_owned(),
                Field::DnsName => of.dns_name.to_owned(),
                Field::Country => of.country.to_owned(),
                Field::Constant(text) => text.clone().into_owned(),
            };
            (attribute.clone().into_owned(), value)
        })
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// Profiles by class name. The default has those which ship with X-Road.
#[derive(Debug, Clone)]
pub struct CertificateProfiles(HashMap<Cow<'static, str>, CertificateProfile>);

impl Default for CertificateProfiles {
    fn default() -> Self {
        Self(
            built_in()
                .into_iter()
                .map(|profile| (profile.class.clone(), profile))
                .collect(),
        )
    }
}

impl CertificateProfiles {
    /// These and one more; an existing one of the same class is replaced.
    #[must_use]
    pub fn with(mut self, profile: CertificateProfile) -> Self {
        self.0.insert(profile.class.clone(), profile);
        self
    }

    /// The profile of a class.
    ///
    /// # Errors
    /// [`ProfileError::UnknownClass`].
    pub fn get(&self, class: &str) -> Result<&CertificateProfile, ProfileError> {
        self.0
            .get(class)
            .ok_or_else(|| ProfileError::UnknownClass(class.to_owned()))
    }
}

// The built-in table, written with short names for the sake of legibility.

const fn text(value: &'static str) -> Cow<'static, str> {
    Cow::Borrowed(value)
}
const fn attribute(name: &'static str) -> Part {
    Part::Attribute(text(name))
}
const fn present(name: &'static str) -> Test {
    Test::Present(text(name))
}
const fn absent(name: &'static str) -> Test {
    Test::Absent(text(name))
}
const fn equals(name: &'static str, value: &'static str) -> Test {
    Test::Equals(text(name), text(value))
}
const fn field(name: &'static str, field: Field) -> (Cow<'static, str>, Field) {
    (text(name), field)
}

/// `C` is the instance, `O` the class, `CN` the code.
const COUNTRY_IS_INSTANCE: MemberRule = MemberRule {
    when: Cow::Borrowed(&[]),
    demand: Cow::Borrowed(&[]),
    instance: attribute("C"),
    member_class: attribute("O"),
    member_code: attribute("CN"),
};

/// Fields of a signing certificate of the profiles of Iceland and the Faroes.
const fn organisation_unit_rule(when: &'static [Test], demand: &'static [Test]) -> MemberRule {
    MemberRule {
        when: Cow::Borrowed(when),
        demand: Cow::Borrowed(demand),
        instance: attribute("O"),
        member_class: attribute("OU"),
        member_code: attribute("CN"),
    }
}

const fn estonian_organisation(prefix: &'static [Test], class: &'static str) -> MemberRule {
    MemberRule {
        when: Cow::Borrowed(prefix),
        demand: Cow::Borrowed(&[]),
        instance: Part::ExpectedInstance,
        member_class: Part::Constant(text(class)),
        member_code: Part::After {
            attribute: text("organizationIdentifier"),
            length: 6,
        },
    }
}

const ESTONIAN_SERIAL: &[Test] = &[Test::Digits(text("serialNumber"), 8)];

fn estonian_serial(first_digit: &'static str, class: &'static str) -> MemberRule {
    MemberRule {
        when: Cow::Owned(vec![
            absent("organizationIdentifier"),
            Test::StartsWith(text("serialNumber"), text(first_digit)),
        ]),
        demand: Cow::Borrowed(ESTONIAN_SERIAL),
        instance: Part::ExpectedInstance,
        member_class: Part::Constant(text(class)),
        member_code: attribute("serialNumber"),
    }
}

const fn organisation_prefix(prefix: &'static str) -> Test {
    Test::StartsWith(text("organizationIdentifier"), text(prefix))
}

fn estonian_rules() -> Vec<MemberRule> {
    let mut rules = vec![
        estonian_organisation(const { &[organisation_prefix("NTREE-")] }, "COM"),
        estonian_organisation(const { &[organisation_prefix("GO:EE-")] }, "GOV"),
        estonian_organisation(const { &[organisation_prefix("NP:EE-")] }, "NGO"),
        MemberRule {
            when: Cow::Borrowed(const { &[present("organizationIdentifier")] }),
            demand: Cow::Borrowed(&[]),
            instance: Part::ExpectedInstance,
            member_class: Part::Constant(text("NEE")),
            member_code: attribute("organizationIdentifier"),
        },
    ];
    for digit in ["1", "2", "3", "4", "5", "6"] {
        rules.push(estonian_serial(digit, "COM"));
    }
    rules.push(estonian_serial("7", "GOV"));
    rules.push(estonian_serial("8", "NGO"));
    rules.push(estonian_serial("9", "NGO"));
    rules
}

fn built_in() -> Vec<CertificateProfile> {
    let profile =
        |short: &str,
         member: Cow<'static, [MemberRule]>,
         signing_subject: &'static [(Cow<'static, str>, Field)],
         authentication_subject: &'static [(Cow<'static, str>, Field)]| {
            CertificateProfile {
                class: Cow::Owned(CertificateProfile::class_name(short)),
                member,
                signing_subject: Cow::Borrowed(signing_subject),
                authentication_subject: Cow::Borrowed(authentication_subject),
            }
        };
    let ejbca_signing = const {
        &[
            field("C", Field::Instance),
            field("O", Field::MemberClass),
            field("CN", Field::MemberCode),
        ]
    };
    let ejbca_authentication =
        const { &[field("C", Field::Instance), field("CN", Field::ServerCode)] };
    let basic = || {
        Cow::Owned(vec![MemberRule {
            when: Cow::Borrowed(&[]),
            demand: Cow::Borrowed(&[]),
            instance: Part::ExpectedInstance,
            member_class: attribute("businessCategory"),
            member_code: attribute("serialNumber"),
        }])
    };
    vec![
        profile(
            "Ejbca",
            Cow::Borrowed(const { &[COUNTRY_IS_INSTANCE] }),
            ejbca_signing,
            ejbca_authentication,
        ),
        // The profile of X-Road's own test configurations; it is not part of a release.
        profile(
            "Test",
            Cow::Owned(vec![MemberRule {
                when: Cow::Borrowed(&[]),
                demand: Cow::Borrowed(&[]),
                instance: Part::ExpectedInstance,
                member_class: Part::Constant(text("BUSINESS")),
                member_code: attribute("CN"),
            }]),
            ejbca_signing,
            ejbca_authentication,
        ),
        profile(
            "FiVRK",
            Cow::Owned(vec![
                MemberRule {
                    when: Cow::Borrowed(const { &[present("serialNumber")] }),
                    demand: Cow::Borrowed(const { &[equals("C", "FI"), present("O")] }),
                    instance: Part::Slash {
                        attribute: text("serialNumber"),
                        index: 0,
                        of: 3,
                    },
                    member_class: Part::Slash {
                        attribute: text("serialNumber"),
                        index: 2,
                        of: 3,
                    },
                    member_code: attribute("CN"),
                },
                organisation_unit_rule(const { &[present("OU")] }, const { &[equals("C", "FI")] }),
                COUNTRY_IS_INSTANCE,
            ]),
            const {
                &[
                    field("C", Field::Constant(text("FI"))),
                    field("O", Field::MemberName),
                    field("serialNumber", Field::InstanceServerClass),
                    field("CN", Field::MemberCode),
                ]
            },
            const {
                &[
                    field("C", Field::Constant(text("FI"))),
                    field("O", Field::MemberName),
                    field("serialNumber", Field::InstanceServerClass),
                    field("CN", Field::DnsName),
                ]
            },
        ),
        profile(
            "Is",
            Cow::Owned(vec![
                MemberRule {
                    when: Cow::Borrowed(const { &[absent("serialNumber"), absent("OU")] }),
                    ..COUNTRY_IS_INSTANCE
                },
                organisation_unit_rule(
                    &[],
                    const { &[equals("C", "IS"), present("serialNumber")] },
                ),
            ]),
            const {
                &[
                    field("C", Field::Constant(text("IS"))),
                    field("O", Field::Instance),
                    field("OU", Field::MemberClass),
                    field("CN", Field::MemberCode),
                    field("serialNumber", Field::Server),
                ]
            },
            const {
                &[
                    field("C", Field::Constant(text("IS"))),
                    field("CN", Field::DnsName),
                    field("serialNumber", Field::Server),
                ]
            },
        ),
        profile(
            "Fo",
            Cow::Owned(vec![organisation_unit_rule(
                &[],
                const { &[equals("C", "FO"), present("serialNumber")] },
            )]),
            const {
                &[
                    field("C", Field::Constant(text("FO"))),
                    field("O", Field::Instance),
                    field("OU", Field::MemberClass),
                    field("CN", Field::MemberCode),
                    field("serialNumber", Field::Server),
                ]
            },
            const {
                &[
                    field("C", Field::Constant(text("FO"))),
                    field("O", Field::Instance),
                    field("CN", Field::Server),
                ]
            },
        ),
        profile(
            "Basic",
            basic(),
            const {
                &[
                    field("CN", Field::MemberName),
                    field("O", Field::MemberName),
                    field("businessCategory", Field::MemberClass),
                    field("C", Field::Country),
                    field("serialNumber", Field::MemberCode),
                ]
            },
            const {
                &[
                    field("CN", Field::DnsName),
                    field("serialNumber", Field::MemberCode),
                    field("C", Field::Country),
                    field("O", Field::MemberName),
                ]
            },
        ),
        profile(
            "BasicACME",
            basic(),
            const {
                &[
                    field("C", Field::Country),
                    field("O", Field::MemberName),
                    field("businessCategory", Field::MemberClass),
                    field("serialNumber", Field::MemberCode),
                    field("CN", Field::MemberName),
                ]
            },
            const {
                &[
                    field("C", Field::Country),
                    field("O", Field::MemberName),
                    field("serialNumber", Field::MemberCode),
                    field("CN", Field::DnsName),
                ]
            },
        ),
        profile(
            "SkKlass3",
            Cow::Owned(estonian_rules()),
            const {
                &[
                    field("serialNumber", Field::MemberCode),
                    field("CN", Field::MemberName),
                ]
            },
            const {
                &[
                    field("serialNumber", Field::MemberCode),
                    field("CN", Field::MemberName),
                ]
            },
        ),
        profile(
            "SkEsteId",
            Cow::Owned(vec![MemberRule {
                when: Cow::Borrowed(&[]),
                demand: Cow::Borrowed(const { &[present("serialNumber")] }),
                instance: Part::ExpectedInstance,
                member_class: Part::Constant(text("PERSON")),
                member_code: attribute("serialNumber"),
            }]),
            &[],
            &[],
        ),
    ]
}
