//! The load generator: a program that takes jobs as JSON, one a line, and answers each with a line of results. It keeps
//! its connections between jobs.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use serde::{Deserialize, Serialize};
use transport::{Body, HttpClient, PoolLimits, RequestOptions};

use super::message::{self, Parties, SoapWriter};
use super::{Failure, runtime};

/// One job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Job {
    /// Where to.
    pub(super) url: String,
    /// Names in the messages.
    pub(super) parties: Parties,
    /// Which form the messages have.
    pub(super) shape: Shape,
    /// Bytes of the whole SOAP message, or of the REST body that is large.
    pub(super) bytes: usize,
    /// Requests under way at the same time.
    pub(super) clients: usize,
    /// When no new request is begun.
    pub(super) until: Until,
    /// Requests per second over all clients; without it each client asks again at once.
    pub(super) rate: Option<f64>,
    /// Whether the time of each exchange is wanted.
    pub(super) each: bool,
}

/// The form of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Shape {
    /// A SOAP message.
    Soap,
    /// A POST with a body.
    Rest,
    /// A small POST that is answered with a body.
    RestAnswer,
}

/// The end of a job.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Until {
    /// After this time.
    Milliseconds(u64),
    /// After this many requests.
    Exchanges(u64),
}

/// The result of a job.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// Answers that came and were right.
    pub(super) exchanges: u64,
    /// Answers that were missing or wrong.
    pub(super) failed: u64,
    /// What went wrong first.
    pub(super) first_failure: Option<String>,
    /// From the first request to the last answer.
    pub(super) seconds: f64,
    /// Times from request to answer, in microseconds: median, 99 of 100, longest.
    pub(super) p50: f64,
    /// See [`Outcome::p50`].
    pub(super) p99: f64,
    /// See [`Outcome::p50`].
    pub(super) longest: f64,
    /// The time of each exchange in nanoseconds, where wanted.
    pub(super) times: Vec<u64>,
}

/// Takes jobs until standard input ends.
pub(super) fn run() -> Result<(), Failure> {
    let runtime = runtime()?;
    let client = HttpClient::new(PoolLimits {
        max_idle: 512,
        idle_timeout: Duration::from_secs(50),
    })
    .map_err(|error| error.to_string())?;
    let client = Arc::new(client);
    let seed = std::process::id();
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        let line = line.map_err(|error| error.to_string())?;
        let job: Job = serde_json::from_str(&line).map_err(|error| format!("job: {error}"))?;
        let outcome = runtime.block_on(perform(
            Arc::new(job),
            client.clone(),
            format!("{seed:08x}{number:06x}"),
        ))?;
        let text = serde_json::to_string(&outcome).map_err(|error| error.to_string())?;
        let mut output = std::io::stdout().lock();
        writeln!(output, "{text}")
            .and_then(|()| output.flush())
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

struct Shared {
    job: Arc<Job>,
    client: Arc<HttpClient>,
    writer: SoapWriter,
    uri: Uri,
    block: Bytes,
    begun: AtomicU64,
    start: Instant,
    name: String,
}

async fn perform(job: Arc<Job>, client: Arc<HttpClient>, name: String) -> Result<Outcome, Failure> {
    let uri: Uri = job
        .url
        .parse()
        .map_err(|error| format!("{}: {error}", job.url))?;
    let writer = SoapWriter::new(&job.parties, job.bytes);
    let block = if job.shape == Shape::Rest {
        message::block(job.bytes.min(1024 * 1024))
    } else {
        Bytes::new()
    };
    let (clients, each) = (job.clients, job.each);
    let start = Instant::now();
    let shared = Arc::new(Shared {
        job,
        client,
        writer,
        uri,
        block,
        begun: AtomicU64::new(0),
        start,
        name,
    });
    let mut tasks = Vec::with_capacity(clients);
    for number in 0..clients {
        tasks.push(tokio::spawn(ask(shared.clone(), number)));
    }
    let mut times = Vec::new();
    let mut outcome = Outcome::default();
    for task in tasks {
        let (more, failures) = task.await.map_err(|error| error.to_string())?;
        times.extend(more);
        outcome.failed += failures.len() as u64;
        outcome.first_failure = outcome.first_failure.or(failures.into_iter().next());
    }
    outcome.seconds = start.elapsed().as_secs_f64();
    times.sort_unstable();
    outcome.exchanges = times.len() as u64;
    let at = |part: f64| {
        let index = (part * times.len() as f64) as usize;
        times
            .get(index.min(times.len().saturating_sub(1)))
            .map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1000.0)
    };
    (outcome.p50, outcome.p99, outcome.longest) = (at(0.5), at(0.99), at(1.0));
    if each {
        outcome.times = times;
    }
    Ok(outcome)
}

/// One client: the times of its exchanges in nanoseconds, and what failed.
async fn ask(shared: Arc<Shared>, number: usize) -> (Vec<u64>, Vec<String>) {
    let (mut times, mut failures) = (Vec::new(), Vec::new());
    let pause = shared
        .job
        .rate
        .map(|rate| Duration::from_secs_f64(shared.job.clients as f64 / rate));
    // Spread evenly, so that the clients do not ask in step.
    let mut due = shared.start
        + pause
            .unwrap_or_default()
            .mul_f64(number as f64 / shared.job.clients as f64);
    let mut serial = 0_u64;
    loop {
        let more = match shared.job.until {
            Until::Milliseconds(limit) => shared.start.elapsed() < Duration::from_millis(limit),
            Until::Exchanges(limit) => shared.begun.fetch_add(1, Ordering::Relaxed) < limit,
        };
        // A few failures tell enough; a dead server must not be asked in a tight loop.
        if !more || failures.len() >= 3 {
            return (times, failures);
        }
        let mut start = Instant::now();
        if let Some(pause) = pause {
            if due > start {
                tokio::time::sleep_until(due.into()).await;
                start = Instant::now();
            } else {
                // The last answer came late: the wait for it counts.
                start = due;
            }
            due += pause;
        }
        let id = format!("{}{number:04x}{serial:08x}", shared.name);
        serial += 1;
        let done = match shared.job.shape {
            Shape::Soap => soap(&shared, &id).await,
            Shape::Rest => rest(&shared, &id).await,
            Shape::RestAnswer => rest_answer(&shared, &id).await,
        };
        match done {
            Ok(()) => times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            Err(reason) => failures.push(reason),
        }
    }
}

async fn soap(shared: &Shared, id: &str) -> Result<(), String> {
    let mut request = Request::new(Body::from(shared.writer.write(id)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = shared.uri.clone();
    request.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/xml; charset=utf-8"),
    );
    let answer = send(shared, request).await?;
    if message::is_answer(&answer, id) {
        Ok(())
    } else {
        Err(format!(
            "wrong answer: {}",
            String::from_utf8_lossy(answer.get(..answer.len().min(1500)).unwrap_or_default())
        ))
    }
}

async fn rest(shared: &Shared, id: &str) -> Result<(), String> {
    let length = shared.job.bytes;
    let body = if length <= shared.block.len() {
        let mut bytes = shared.block.to_vec();
        bytes.splice(..id.len().min(bytes.len()), id.bytes());
        Body::from(bytes)
    } else {
        message::large_body(shared.block.clone(), id, length)
    };
    let request = rest_request(shared, body, "application/octet-stream")?;
    let answer = send(shared, request).await?;
    if answer == format!("{{\"length\":{length}}}") {
        Ok(())
    } else {
        Err(format!(
            "wrong answer: {}",
            String::from_utf8_lossy(answer.get(..answer.len().min(1500)).unwrap_or_default())
        ))
    }
}

async fn rest_answer(shared: &Shared, id: &str) -> Result<(), String> {
    let length = shared.job.bytes;
    let body = Body::from(message::wanted_answer(length, id).into_bytes());
    let request = rest_request(shared, body, message::WANTED_ANSWER)?;
    let options = RequestOptions::default();
    let response = shared
        .client
        .request(request, &options)
        .await
        .map_err(|error| error.to_string())?;
    let mut body = response.into_body();
    let (mut received, mut first) = (0, Vec::new());
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| error.to_string())?;
        received += piece.len();
        let missing = id.len().saturating_sub(first.len()).min(piece.len());
        first.extend_from_slice(piece.get(..missing).unwrap_or_default());
    }
    if received == length && first == id.as_bytes() {
        Ok(())
    } else {
        Err(format!(
            "wrong answer: {received} bytes that begin with {}",
            String::from_utf8_lossy(&first)
        ))
    }
}

fn rest_request(
    shared: &Shared,
    body: Body,
    content_type: &'static str,
) -> Result<Request<Body>, String> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = shared.uri.clone();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let client =
        HeaderValue::from_str(&shared.job.parties.client).map_err(|error| error.to_string())?;
    headers.insert(HeaderName::from_static("x-road-client"), client);
    Ok(request)
}

async fn send(shared: &Shared, request: Request<Body>) -> Result<Bytes, String> {
    let options = RequestOptions::default();
    let response = shared
        .client
        .request(request, &options)
        .await
        .map_err(|error| error.to_string())?;
    response
        .into_body()
        .collect(64 * 1024 * 1024)
        .await
        .map_err(|error| error.to_string())
}
