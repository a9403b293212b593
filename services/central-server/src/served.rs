//! What is served now, and the answers to requests.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use central::{Audience, Publication};
use globalconf::FormatVersion;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode, Uri};
use transport::Body;

/// How many publications can still be downloaded: a client that read a directory
/// just before it was replaced gets the parts that it names.
const KEPT: usize = 3;

/// What can be downloaded. Made whole and replaced whole.
#[derive(Default, Clone)]
pub(crate) struct Served {
    directories: HashMap<(u8, &'static str), Bytes>,
    /// Newest first: name of the directory of parts, then path to content.
    parts: VecDeque<(String, Arc<HashMap<String, Bytes>>)>,
}

impl Served {
    /// The same with a new publication.
    pub(crate) fn with(&self, publication: &Publication) -> Self {
        let mut next = self.clone();
        next.directories = publication
            .directories
            .iter()
            .map(|directory| {
                (
                    (
                        directory.version.number(),
                        directory.audience.path_segment(),
                    ),
                    Bytes::copy_from_slice(&directory.file.content),
                )
            })
            .collect();
        if next.parts.front().map(|(moment, _)| moment) != Some(&publication.moment) {
            let parts = publication
                .parts
                .iter()
                .map(|part| (part.path.clone(), Bytes::copy_from_slice(&part.content)))
                .collect();
            next.parts
                .push_front((publication.moment.clone(), Arc::new(parts)));
            next.parts.truncate(KEPT);
        }
        next
    }

    /// The directories of parts that are still served.
    pub(crate) fn moments(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|(moment, _)| moment.as_str())
    }

    fn find(&self, uri: &Uri) -> Option<(Bytes, &'static str)> {
        let path = uri.path();
        for audience in [Audience::Internal, Audience::External] {
            if path.strip_prefix('/') == Some(audience.path_segment()) {
                let version = version(uri.query())?;
                let content = self
                    .directories
                    .get(&(version.number(), audience.path_segment()))?;
                return Some((content.clone(), "application/octet-stream"));
            }
        }
        self.parts
            .iter()
            .find_map(|(_, parts)| parts.get(path))
            .map(|content| (content.clone(), "text/xml"))
    }

    /// The answer to a request.
    pub(crate) fn answer(&self, method: &Method, uri: &Uri) -> Response<Body> {
        let (status, body, content_type) = if !matches!(*method, Method::GET | Method::HEAD) {
            (
                StatusCode::METHOD_NOT_ALLOWED,
                Bytes::from_static(b"Only GET and HEAD.\n"),
                "text/plain",
            )
        } else {
            match self.find(uri) {
                Some((content, content_type)) => (StatusCode::OK, content, content_type),
                None => (
                    StatusCode::NOT_FOUND,
                    Bytes::from_static(b"There is nothing at this address.\n"),
                    "text/plain",
                ),
            }
        };
        let mut response = Response::new(if *method == Method::HEAD {
            Body::empty()
        } else {
            Body::full(body)
        });
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

/// The version asked for: 2 if none (T-GC-9), `None` if it is none of ours.
fn version(query: Option<&str>) -> Option<FormatVersion> {
    let asked = query
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix("version="));
    match asked {
        None => Some(FormatVersion::OLDEST),
        Some(text) if text.len() == 1 => text.parse().ok().and_then(FormatVersion::new),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_two_by_default_and_unknown_ones_are_none() {
        assert_eq!(version(None), Some(FormatVersion::OLDEST));
        assert_eq!(version(Some("other=1")), Some(FormatVersion::OLDEST));
        assert_eq!(version(Some("a=b&version=6")), Some(FormatVersion::NEWEST));
        for unknown in [
            "version=",
            "version=1",
            "version=7",
            "version=06",
            "version=x",
        ] {
            assert_eq!(version(Some(unknown)), None, "{unknown}");
        }
    }
}
