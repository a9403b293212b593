//! The few shapes of HTTP answers.

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use transport::Body;

use crate::record::Record;

/// Content type of SOAP 1.1 messages.
pub(crate) const XML: &str = "text/xml; charset=UTF-8";

/// An answer with a body.
pub(crate) fn answer(
    status: StatusCode,
    content_type: &str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    if let Ok(value) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}

/// A record as JSON.
pub(crate) fn json(status: StatusCode, record: &Record) -> Response<Body> {
    answer(status, "application/json", record.to_json().into_bytes())
}

/// A refusal of a REST service: a short code and a sentence.
pub(crate) fn refusal(status: StatusCode, error: &str, message: &str) -> Response<Body> {
    json(
        status,
        &Record::default()
            .text("error", error)
            .text("message", message),
    )
}

/// The value of a header as text, empty if there is none or it is not text.
pub(crate) fn header<'a>(request: &'a Request<Body>, name: &str) -> &'a str {
    request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Refuses a REST request that did not come through X-Road: without the
/// headers that a Security Server always sends on (PR-REST section 4.3).
pub(crate) fn refuse_without_xroad(request: &Request<Body>) -> Option<Response<Body>> {
    let missing = ["x-road-client", "x-road-id"]
        .into_iter()
        .find(|name| !request.headers().contains_key(*name))?;
    let message =
        format!("This service is called through X-Road; the header {missing} is missing.");
    Some(refusal(StatusCode::BAD_REQUEST, "not_xroad", &message))
}
