//! `tunduk renew`: the job that lets signed documents outlive their certificates and algorithms.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use config::read_trust_list;
use document_signature::{
    Archiving, Level, Needs, Report, Trust, Verdict, extend, is_renewal_due, needs, verify,
};
use pki::ocsp::{self, Freshness};
use pki::tsp::{self, Token};
use pki::{Certificate, DigestAlgorithm};
use time::OffsetDateTime;
use transport::{HttpClient, PoolLimits, PostError, RequestOptions};

use crate::cli::USAGE;

/// Exit code when a document could not be renewed, or must not be.
const FAILED: u8 = 1;
/// Largest answer of a responder or authority, in bytes.
const MAXIMUM_ANSWER: usize = 256 << 10;
/// Stronger than what signatures use today, so that it ages later.
const DIGEST: DigestAlgorithm = DigestAlgorithm::Sha512;

/// Which documents to renew, and by whom. Exit status: 0 all of them are good for longer than the margin, 1 one of them
/// is not (the others are done all the same), 64 the arguments cannot be used.
#[derive(Debug, Args)]
pub struct RenewArguments {
    /// Signed PDF files and containers (.asice); each is replaced once its renewed form was verified
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The list of authorities to trust (docs/signature.md)
    #[arg(long)]
    trust: PathBuf,
    /// URL of the time-stamping authority
    #[arg(long)]
    tsa: String,
    /// URL of the OCSP responder, for certificates that do not name one
    #[arg(long)]
    ocsp: Option<String>,
    /// Days before the end of the youngest time-stamp's certificate in which it is renewed
    #[arg(long, default_value_t = 180)]
    margin_days: u32,
}

struct Job {
    arguments: RenewArguments,
    trust: Trust,
    client: HttpClient,
}

/// Runs the subcommand and says how to exit.
pub async fn run(arguments: RenewArguments) -> u8 {
    let trust = match read_trust_list(&arguments.trust) {
        Ok(trust) => trust,
        Err(error) => {
            eprintln!("tunduk: {error}");
            return USAGE;
        }
    };
    let client = match HttpClient::new(PoolLimits::default()) {
        Ok(client) => client,
        Err(error) => {
            eprintln!("tunduk: {error}");
            return FAILED;
        }
    };
    let job = Job {
        arguments,
        trust,
        client,
    };
    let mut status = 0;
    for file in &job.arguments.files {
        match job.renew(file).await {
            Ok(done) => println!("{}: {done}", file.display()),
            Err(error) => {
                eprintln!("tunduk: {}: {error}", file.display());
                status = FAILED;
            }
        }
    }
    status
}

impl Job {
    async fn renew(&self, file: &Path) -> Result<String, String> {
        let document = std::fs::read(file).map_err(|error| error.to_string())?;
        let now = OffsetDateTime::now_utc();
        let report = verify(&document, Some(&self.trust), now);
        if let Verdict::Invalid { reason } = &report.verdict {
            return Err(format!("it is not valid and is left alone: {reason}"));
        }
        let margin = time::Duration::days(i64::from(self.arguments.margin_days));
        let is_archived = report
            .signatures
            .iter()
            .all(|signature| signature.level == Level::LTA);
        if is_archived && !is_renewal_due(&report, now, margin) {
            return Ok(format!("nothing to do {}", until(&report)));
        }
        let needs = needs(&document, &self.trust).map_err(|error| error.to_string())?;
        let statuses = self.statuses(&needs, now).await?;
        let extended = extend(&document, &needs.certificates, &statuses, now)
            .map_err(|error| error.to_string())?;
        let archiving = Archiving::new(&extended).map_err(|error| error.to_string())?;
        let mut tokens = Vec::new();
        for request in archiving
            .requests(DIGEST)
            .map_err(|error| error.to_string())?
        {
            tokens.push(self.stamp(request).await?);
        }
        let renewed = archiving
            .finish(&tokens, now)
            .map_err(|error| error.to_string())?;
        // What is written has been judged; the old form stays until then.
        let now = OffsetDateTime::now_utc();
        let report = verify(&renewed, Some(&self.trust), now);
        match &report.verdict {
            Verdict::Valid if !is_renewal_due(&report, now, margin) => {}
            Verdict::Valid => {
                return Err(
                    "the time-stamping authority's certificate ends within the margin, too"
                        .to_owned(),
                );
            }
            verdict => return Err(format!("its renewed form would be {verdict}")),
        }
        replace(file, &renewed).map_err(|error| error.to_string())?;
        Ok(format!("renewed {}", until(&report)))
    }

    /// The status of each certificate, verified to be good before it goes into a document.
    async fn statuses(&self, needs: &Needs, now: OffsetDateTime) -> Result<Vec<Vec<u8>>, String> {
        let mut statuses = Vec::new();
        for (certificate, issuer) in &needs.statuses {
            let subject = certificate.subject();
            let url = certificate.ocsp_url().or(self.arguments.ocsp.as_deref());
            let Some(url) = url else {
                return Err(format!(
                    "the certificate of {subject} names no OCSP responder; give --ocsp"
                ));
            };
            statuses.push(self.status(url, certificate, issuer, now).await?);
        }
        Ok(statuses)
    }

    async fn status(
        &self,
        url: &str,
        certificate: &Certificate,
        issuer: &Certificate,
        now: OffsetDateTime,
    ) -> Result<Vec<u8>, String> {
        let failed = |error: &dyn std::fmt::Display| {
            format!(
                "the status of {} from {url}: {error}",
                certificate.subject()
            )
        };
        let request = ocsp::Request::for_certificate(certificate, issuer).encode();
        let answer = self
            .ask(
                url,
                request,
                ("application/ocsp-request", "application/ocsp-response"),
            )
            .await
            .map_err(|error| failed(&error))?;
        let response = ocsp::Response::decode(&answer).map_err(|error| failed(&error))?;
        match response.verify(certificate, issuer, &[], now, &Freshness::default()) {
            // A signer who was revoked after signing is a matter for the verdict, not for us.
            Ok(_) | Err(ocsp::OcspError::Revoked { .. }) => Ok(answer.to_vec()),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn stamp(&self, request: tsp::Request) -> Result<Token, String> {
        let request = request.with_nonce(crate::random::uuid().as_bytes());
        let url = &self.arguments.tsa;
        let failed = |error: &dyn std::fmt::Display| format!("the time-stamp from {url}: {error}");
        let answer = self
            .ask(
                url,
                request.encode(),
                ("application/timestamp-query", "application/timestamp-reply"),
            )
            .await
            .map_err(|error| failed(&error))?;
        let token = tsp::decode_response(&answer).map_err(|error| failed(&error))?;
        token
            .check_nonce(&request)
            .map_err(|error| failed(&error))?;
        Ok(token)
    }

    async fn ask(
        &self,
        url: &str,
        body: Vec<u8>,
        types: (&'static str, &'static str),
    ) -> Result<Bytes, PostError> {
        let options = RequestOptions::default()
            .with_timeouts(Duration::from_secs(20), Duration::from_secs(60))
            .with_total(Duration::from_secs(120));
        self.client
            .post(url, types, body, &options, MAXIMUM_ANSWER)
            .await
    }
}

/// Until when all signatures of a document can be relied on.
fn until(report: &Report) -> String {
    let end = report
        .signatures
        .iter()
        .filter_map(|signature| signature.renew_before)
        .min();
    end.map_or_else(String::new, |end| format!("(good until {})", end.date()))
}

/// Puts the new form in the place of the old one, never half of it.
fn replace(file: &Path, document: &[u8]) -> std::io::Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(document)?;
    let permissions = std::fs::metadata(file)?.permissions();
    std::fs::set_permissions(new.path(), permissions)?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    std::fs::File::open(folder)?.sync_all()
}
