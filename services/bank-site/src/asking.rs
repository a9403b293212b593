//! Asking another server.

use bytes::Bytes;
use http::{Request, Response};
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
) -> Result<Response<Bytes>, String> {
    let answer = http
        .request(request, options)
        .await
        .map_err(|error| error.to_string())?;
    let (head, body) = answer.into_parts();
    let body = body.collect(LARGEST).await;
    let body = body.map_err(|error| error.to_string())?;
    Ok(Response::from_parts(head, body))
}
