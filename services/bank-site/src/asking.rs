//! Asking another server.

use bytes::Bytes;
use http::{Request, StatusCode};
use transport::{Body, HttpClient, RequestOptions};

/// Largest answer that is taken, in bytes.
const LARGEST: usize = 256 * 1024;

/// Asks, and takes the whole answer.
///
/// # Errors
/// In words: there is none, or it is too large.
pub(crate) async fn ask(
    http: &HttpClient,
    options: &RequestOptions,
    request: Request<Body>,
) -> Result<(StatusCode, Bytes), String> {
    let answer = http
        .request(request, options)
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = answer.into_body().collect(LARGEST).await;
    Ok((status, body.map_err(|error| error.to_string())?))
}
