//! The story that the demo tells: steps, each of which either happened as it
//! must or failed with a reason.

mod people;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use http::Method;
use id_registry::{LicenceRegister, Population};
use transport::{Body, Target};
use xroad_message::fault::Fault;

use crate::compose::{Country, MESSAGE_PORT};
use crate::consumer::{
    Answer, Consumer, RestCall, SOAP_CONTENT_TYPE, element, element_text, soap_request,
};
use crate::instance::Instance;
use crate::narrator::Narrator;
use crate::parties::{self, Pair};
use crate::random;
use crate::running::Running;
use crate::tampered::Interceptor;

pub use people::{Invitation, People};

const PATIENCE: Duration = Duration::from_secs(60);

/// The steps of the exchange in the order in which they are told; those of [`people`] follow.
pub const STEPS: [&str; 8] = [
    "soap",
    "rest",
    "attachment",
    "refused",
    "central-server-down",
    "tampered",
    "evidence-exported",
    "evidence-verified",
];

/// How a step ended.
#[derive(Debug)]
enum Ended {
    /// As it must, and what there is to say about it.
    Well(String),
    /// Left out, and why.
    LeftOut(String),
}

type Step = Result<Ended, String>;

/// How the story ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Steps that failed.
    pub failed: usize,
}

/// The story of a running country.
pub struct Story<'a, 'r> {
    country: &'a Country,
    running: &'r mut Running,
    narrator: &'a Narrator,
    consumer: Consumer,
    population: Population,
    told: Option<Told>,
    evidence: Option<PathBuf>,
}

/// The exchange whose evidence is exported.
struct Told {
    query_id: String,
    client: String,
    server: String,
}

impl<'a, 'r> Story<'a, 'r> {
    /// Prepares to tell the story of `country`, whose servers run.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(
        country: &'a Country,
        running: &'r mut Running,
        narrator: &'a Narrator,
    ) -> Result<Self, String> {
        Ok(Self {
            country,
            running,
            narrator,
            consumer: Consumer::new(PATIENCE).map_err(|error| error.to_string())?,
            population: Population::demonstration(),
            told: None,
            evidence: None,
        })
    }

    /// Tells it, a line per step; gives the people in it, if there are sites that they use.
    pub async fn tell(mut self) -> (Outcome, Option<People<'a>>) {
        let mut outcome = Outcome { failed: 0 };
        for name in STEPS {
            let ended = match name {
                "soap" => self.soap().await,
                "rest" => self.rest().await,
                "attachment" => self.attachment().await,
                "refused" => self.refused().await,
                "central-server-down" => self.central_server_down().await,
                "tampered" => self.tampered().await,
                "evidence-exported" => self.evidence_exported().await,
                _ => self.evidence_verified().await,
            };
            self.say_how(name, ended, &mut outcome);
        }
        let sites = self.instance().sites.as_ref();
        let mut people = sites.map(|sites| People::new(self.country, self.narrator, sites));
        for name in people::STEPS {
            let ended = match &mut people {
                Some(people) => people.tell(name).await,
                None => Ok(Ended::LeftOut(
                    "it needs the table [sites]; the instance has none".into(),
                )),
            };
            self.say_how(name, ended, &mut outcome);
        }
        (outcome, people)
    }

    fn say_how(&self, name: &str, ended: Step, outcome: &mut Outcome) {
        match ended {
            Ok(Ended::Well(detail)) => {
                self.narrator.say(&format!("  {detail}"));
                self.narrator.line(&format!("ok {name}"));
            }
            Ok(Ended::LeftOut(reason)) => self
                .narrator
                .line(&format!("left out step {name}: {reason}")),
            Err(reason) => {
                outcome.failed += 1;
                let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
                self.narrator.line(&format!("FAILED {name}: {reason}"));
            }
        }
    }

    fn instance(&self) -> &'a Instance {
        &self.country.instance
    }

    async fn soap(&mut self) -> Step {
        let Some(pair) =
            parties::allowed(self.instance(), "population:soap", Some("personByNumber"))
        else {
            return Ok(Ended::LeftOut(parties::why_nobody_may(
                "population:soap",
                Some("personByNumber"),
            )));
        };
        let person = self
            .population
            .person(4711)
            .ok_or("there is no resident 4711")?;
        let (asking, asked) = pair.names(self.instance());
        self.narrator.say(&format!(
            "{asking} asks {asked}, over SOAP: who holds the number {}?",
            person.number
        ));
        let query_id = random::uuid();
        let message = question(&pair, &query_id, person.number.as_str());
        let answer = self.ask_soap(&pair, message).await?;
        expect_answer(&answer)?;
        let text = answer.text();
        let latin = element_text(&text, "familyName").unwrap_or_default();
        if !text.contains(&person.family_name.cyrillic) {
            return Err(format!("the answer names somebody else: {latin}"));
        }
        self.told = Some(Told {
            query_id,
            client: pair.client.path(),
            server: pair.consumer_server.id.path(),
        });
        Ok(Ended::Well(format!(
            "{} {} {}, born on {}; answered in {}. Both servers signed, checked and logged it.",
            person.family_name.cyrillic,
            person.given_name.cyrillic,
            person.patronymic.cyrillic,
            person.born_on,
            took(&answer)
        )))
    }

    async fn rest(&mut self) -> Step {
        let Some(pair) = parties::allowed(self.instance(), "population:rest", None) else {
            return Ok(Ended::LeftOut(parties::why_nobody_may(
                "population:rest",
                None,
            )));
        };
        let (asking, asked) = pair.names(self.instance());
        self.narrator
            .say(&format!("{asking} asks {asked} again, over REST."));
        let answer = self.ask_about_somebody(&pair, 1789).await?;
        Ok(Ended::Well(format!(
            "Answered in JSON in {}.",
            took(&answer)
        )))
    }

    /// Asks the population register over REST; the answer is the right one.
    async fn ask_about_somebody(&self, pair: &Pair<'_>, index: u32) -> Result<Answer, String> {
        let person = self
            .population
            .person(index)
            .ok_or("there is no such resident")?;
        let answer = self
            .ask_rest(pair, "/persons", person.number.as_str())
            .await?;
        expect_answer(&answer)?;
        let read: serde_json::Value = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("the answer is not JSON: {error}"))?;
        if read["number"].as_str() == Some(person.number.as_str()) {
            Ok(answer)
        } else {
            Err("the answer is about somebody else".into())
        }
    }

    async fn attachment(&mut self) -> Step {
        let Some(pair) =
            parties::allowed(self.instance(), "licences:soap", Some("licenceDocument"))
        else {
            return Ok(Ended::LeftOut(parties::why_nobody_may(
                "licences:soap",
                Some("licenceDocument"),
            )));
        };
        let licence = LicenceRegister::new(self.population)
            .first_from(100)
            .ok_or("nobody drives")?;
        let (asking, asked) = pair.names(self.instance());
        self.narrator.say(&format!(
            "{asking} asks {asked} for a driving licence; the document comes attached."
        ));
        let message = question(&pair, &random::uuid(), licence.holder.number.as_str());
        let answer = self.ask_soap(&pair, message).await?;
        expect_answer(&answer)?;
        let text = answer.text();
        let picture = text
            .find("<svg")
            .and_then(|start| text[start..].find("</svg>").map(|end| end + 6));
        match picture {
            Some(size) if text.contains(&licence.number) => Ok(Ended::Well(format!(
                "Licence {}, a picture of {size} bytes, covered by the signature; in {}.",
                licence.number,
                took(&answer)
            ))),
            _ => Err("the document is not attached to the answer".into()),
        }
    }

    async fn refused(&mut self) -> Step {
        let Some(pair) = parties::not_allowed(self.instance()) else {
            return Ok(Ended::LeftOut(parties::why_nobody_is_refused(
                self.instance(),
            )));
        };
        let (asking, asked) = pair.names(self.instance());
        self.narrator.say(&format!(
            "{asking} asks {asked} for its service {}, without a right to it.",
            pair.service.code
        ));
        let answer = self.ask_rest(&pair, "/customers", "1").await?;
        let code = answer.fault().unwrap_or_default();
        if is_code(&code, "access_denied") {
            Ok(Ended::Well(format!(
                "Refused by the other side's Security Server: {code}."
            )))
        } else {
            Err(format!(
                "it was not refused for lack of a right: {} {code} {}",
                answer.status,
                short(&answer.text())
            ))
        }
    }

    async fn central_server_down(&mut self) -> Step {
        let Some(pair) = parties::allowed(self.instance(), "population:rest", None) else {
            return Ok(Ended::LeftOut(parties::why_nobody_may(
                "population:rest",
                None,
            )));
        };
        self.narrator.say("The Central Server is switched off. The Security Servers go on with what they have stored.");
        self.running.stop_central_server().await;
        let answered = self.ask_about_somebody(&pair, 31_415).await;
        let restarted = self.running.start_central_server(self.country).await;
        let answer = answered?;
        restarted.map_err(|error| error.to_string())?;
        Ok(Ended::Well(format!(
            "Answered all the same, in {}; the Central Server is back.",
            took(&answer)
        )))
    }

    async fn tampered(&mut self) -> Step {
        let Some(pair) =
            parties::allowed(self.instance(), "population:soap", Some("personByNumber"))
        else {
            return Ok(Ended::LeftOut(parties::why_nobody_may(
                "population:soap",
                Some("personByNumber"),
            )));
        };
        self.narrator.say(
            "Somebody between the servers changes one digit of a signed question, with everything else in order.",
        );
        let mine = self
            .population
            .person(7)
            .ok_or("there is no such resident")?
            .number;
        let other = self
            .population
            .person(8)
            .ok_or("there is no such resident")?
            .number;
        let message = question(&pair, &random::uuid(), mine.as_str());
        let keys = self.country.keys_of(pair.consumer_server, pair.client)?;
        let interceptor = Interceptor::new(keys.as_peer_keys()).await?;
        let target = Target::new(&pair.provider_server.address.to_string(), MESSAGE_PORT);
        let untouched = interceptor.send(&target, &message, str::to_owned).await?;
        if Fault::decode(&untouched).is_ok() {
            return Err(format!(
                "the message as it was signed is refused too: {}",
                short(&String::from_utf8_lossy(&untouched))
            ));
        }
        let answer = interceptor
            .send(&target, &message, |text| {
                text.replace(mine.as_str(), other.as_str())
            })
            .await?;
        let fault = Fault::decode(&answer).map_err(|_| "the altered message was answered")?;
        if is_code(&fault.code, "invalid_signature_value") {
            Ok(Ended::Well(format!(
                "Caught before it reached the register: {}.",
                fault.code
            )))
        } else {
            Err(format!(
                "the altered message was refused, but for another reason: {}",
                fault.code
            ))
        }
    }

    async fn evidence_exported(&mut self) -> Step {
        let Some(told) = &self.told else {
            return Ok(Ended::LeftOut("there was no exchange to export".into()));
        };
        self.narrator.say("Years later there is a dispute about the first question. Its evidence is taken from the log.");
        let folder = self.country.state.join("evidence");
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let file = folder.join(format!("{}.zip", told.query_id));
        let configuration = self.country.server_folder(&told.server).join("server.toml");
        let arguments = [
            "evidence".as_ref(),
            "export".as_ref(),
            "--config".as_ref(),
            configuration.as_os_str(),
            "--query-id".as_ref(),
            told.query_id.as_ref(),
            "--client".as_ref(),
            told.client.as_ref(),
            "--output".as_ref(),
            file.as_os_str(),
        ];
        let (code, said) = run_self(&arguments).await?;
        let size = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        if code != Some(0) || size == 0 {
            return Err(format!("the export failed: {}", short(&said)));
        }
        self.evidence = Some(file.clone());
        Ok(Ended::Well(format!(
            "{} ({size} bytes), time-stamped.",
            shown(&file)
        )))
    }

    async fn evidence_verified(&mut self) -> Step {
        let Some(file) = &self.evidence else {
            return Ok(Ended::LeftOut("there is no evidence to verify".into()));
        };
        self.narrator.say(
            "A judge who trusts neither side verifies it with nothing but the file and the anchor.",
        );
        let anchor = self.country.anchor();
        let arguments = [
            "evidence".as_ref(),
            "verify".as_ref(),
            file.as_os_str(),
            "--anchor".as_ref(),
            anchor.as_os_str(),
        ];
        let (code, said) = run_self(&arguments).await?;
        if code == Some(0) {
            Ok(Ended::Well(said.trim().replace('\n', "\n  ")))
        } else {
            Err(format!("exit code {code:?}: {}", short(&said)))
        }
    }

    async fn ask_soap(&self, pair: &Pair<'_>, message: String) -> Result<Answer, String> {
        let _busy = self.narrator.busy("waiting for the answer");
        self.consumer
            .soap(&pair.http_url(), SOAP_CONTENT_TYPE, message.into_bytes())
            .await
            .map_err(|error| error.to_string())
    }

    /// Asks about the holder of a number.
    async fn ask_rest(&self, pair: &Pair<'_>, path: &str, number: &str) -> Result<Answer, String> {
        let _busy = self.narrator.busy("waiting for the answer");
        let question = serde_json::json!({ "number": number });
        let call = RestCall {
            client: pair.client,
            service: &pair.service_id(),
            method: Method::POST,
            path,
            id: None,
            headers: &[("Content-Type".into(), "application/json".into())],
            body: Body::full(question.to_string()),
        };
        self.consumer
            .rest(&pair.http_url(), call)
            .await
            .map_err(|error| error.to_string())
    }
}

/// A question about the holder of a number.
fn question(pair: &Pair<'_>, query_id: &str, number: &str) -> String {
    let namespace = pair.service.namespace.as_deref().unwrap_or_default();
    soap_request(
        pair.client,
        &pair.service_id(),
        query_id,
        namespace,
        &element("number", number),
    )
}

fn expect_answer(answer: &Answer) -> Result<(), String> {
    match answer.fault() {
        None if answer.status.is_success() => Ok(()),
        None => Err(format!(
            "status {}: {}",
            answer.status,
            short(&answer.text())
        )),
        Some(code) => {
            let text = answer.text();
            let words = element_text(&text, "faultstring").unwrap_or_else(|| short(&text));
            Err(format!("{code}: {words}"))
        }
    }
}

/// Whether the last component of a fault code is this one, in either spelling.
fn is_code(code: &str, last: &str) -> bool {
    let plain = |text: &str| {
        text.rsplit('.')
            .next()
            .unwrap_or(text)
            .replace('_', "")
            .to_lowercase()
    };
    plain(code) == plain(last)
}

fn took(answer: &Answer) -> String {
    format!("{:.1} ms", answer.until_end.as_secs_f64() * 1000.0)
}

fn short(text: &str) -> String {
    text.chars().take(400).collect()
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

/// Runs this binary; gives exit code and all it said.
async fn run_self(arguments: &[&std::ffi::OsStr]) -> Result<(Option<i32>, String), String> {
    let binary = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = tokio::process::Command::new(binary)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| error.to_string())?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok((output.status.code(), said))
}

#[cfg(test)]
mod tests {
    use super::is_code;

    #[test]
    fn codes_in_both_spellings() {
        assert!(is_code("server.serverproxy.access_denied", "access_denied"));
        assert!(is_code("Server.ServerProxy.AccessDenied", "access_denied"));
        assert!(!is_code(
            "server.serverproxy.unknown_service",
            "access_denied"
        ));
    }
}
