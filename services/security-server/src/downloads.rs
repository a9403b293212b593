//! Evidence that a client downloads over the consumer ports: `/asic` and
//! `/verificationconf` (A14).

use std::io::Write as _;

use http::{HeaderValue, Response, StatusCode, header};
use messagelog::{Direction, RecordQuery, Side as LogSide};
use proxy::consumer::authenticate_client;
use proxy::{Refusal, Side};
use store_segments::Exported;
use time::OffsetDateTime;
use transport::{Body, Connection};
use xroad_message::asic_request::{AsicRequest, Wanted};

use crate::consumer::system;
use crate::refusals::log_refusal;
use crate::server::Server;

/// Records of one identifier up to which they are looked at one by one.
const FEW: usize = 16;

/// Answers `GET /asic`: the containers of one exchange of the client that asks.
pub async fn asic(server: &Server, query: Option<&str>, connection: &Connection) -> Response<Body> {
    match find(server, query, connection).await {
        Ok(exported) => stream(exported),
        Err(refusal) => refused(server, &refusal),
    }
}

fn refused(server: &Server, refusal: &Refusal) -> Response<Body> {
    let mut response = server.faults.soap(refusal, Side::Consumer);
    *response.status_mut() = match refusal {
        Refusal::Evidence(_) => StatusCode::NOT_FOUND,
        Refusal::RestRequest { .. } => StatusCode::BAD_REQUEST,
        Refusal::ClientAuthentication { .. } | Refusal::UnknownClient(_) => {
            StatusCode::UNAUTHORIZED
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    response
}

async fn find(
    server: &Server,
    query: Option<&str>,
    connection: &Connection,
) -> Result<Exported, Refusal> {
    let wanted = AsicRequest::decode(query).map_err(|error| Refusal::RestRequest {
        detail: error.to_string(),
    })?;
    let configuration = server.current(OffsetDateTime::now_utc())?;
    let own = server.own.load_full();
    authenticate_client(
        &wanted.client,
        &configuration,
        &own,
        &system(server, connection),
    )?;
    let query = RecordQuery {
        query_id: Some(wanted.query_id.clone()),
        party: Some(wanted.client.clone()),
        direction: match wanted.wanted {
            Wanted::Both => None,
            Wanted::RequestOnly => Some(Direction::Request),
            Wanted::ResponseOnly => Some(Direction::Response),
        },
        ..RecordQuery::default()
    };
    // Records have their messages with them: of many only the first are looked at.
    let records = server
        .log
        .find(RecordQuery {
            limit: Some(FEW),
            ..query.clone()
        })
        .await
        .map_err(|error| log_refusal(&error))?;
    if records.is_empty() {
        return Err(Refusal::Evidence(
            "there is no message with this identifier of this client".into(),
        ));
    }
    // With client and provider on one server both sides have logged the exchange.
    let most = if wanted.wanted == Wanted::Both { 2 } else { 1 };
    let on = |side| {
        records
            .iter()
            .filter(|found| found.record.side == side)
            .count()
    };
    if wanted.unique && on(LogSide::Consumer).max(on(LogSide::Provider)) > most {
        return Err(Refusal::Evidence(
            "there are several messages with this identifier of this client".into(),
        ));
    }
    let is_many = records.len() == FEW;
    if is_many || records.iter().any(|record| record.timestamp.is_none()) {
        let ids: Vec<_> = records.iter().map(|record| record.id).collect();
        let stamped = if is_many {
            server.timestamper.stamp_pending().await.map(|_| ())
        } else {
            server.timestamper.stamp_now(ids).await
        };
        if let Err(error) = stamped {
            tracing::warn!(%error, "no time-stamp for evidence that was asked for");
            if !wanted.force {
                return Err(Refusal::Evidence(
                    "it has no time-stamp yet and none can be had now".into(),
                ));
            }
        }
    }
    match records.as_slice() {
        [one] => server.log.export(one.id).await,
        _ => server.log.export_archive(query).await,
    }
    .map_err(|error| log_refusal(&error))
}

fn stream(mut exported: Exported) -> Response<Body> {
    let content_type = if exported.name.ends_with(".zip") {
        "application/zip"
    } else {
        "application/vnd.etsi.asic-e+zip"
    };
    let disposition = format!("attachment; filename=\"{}\"", exported.name);
    let (mut sender, body) = Body::channel_with_length(4, exported.len);
    tokio::spawn(async move {
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let piece = exported.next_piece();
                (exported, piece)
            });
            let Ok((back, piece)) = read.await else {
                return sender.abort();
            };
            exported = back;
            match piece {
                Ok(Some(piece)) => {
                    if sender.send(piece).await.is_err() {
                        return;
                    }
                }
                Ok(None) => return sender.finish(),
                Err(error) => {
                    tracing::error!(%error, "an export could not be read back");
                    return sender.abort();
                }
            }
        }
    });
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// Answers `GET /verificationconf`: the stored global configuration as a zip, to verify
/// evidence without a network.
pub fn verification_configuration(
    server: &Server,
    stored: Option<&globalconf::StoredDirectory>,
) -> Response<Body> {
    let Some(stored) = stored else {
        return refused(server, &Refusal::ConfigurationOutdated("(never)".into()));
    };
    let zip = || -> Result<Vec<u8>, zip::result::ZipError> {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (path, bytes) in stored.encode() {
            archive.start_file(
                format!("verificationconf/{path}"),
                zip::write::SimpleFileOptions::default(),
            )?;
            archive.write_all(&bytes)?;
        }
        Ok(archive.finish()?.into_inner())
    };
    match zip() {
        Ok(bytes) => {
            let mut response = Response::new(Body::full(bytes));
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/zip"),
            );
            response.headers_mut().insert(
                header::CONTENT_DISPOSITION,
                HeaderValue::from_static("attachment; filename=\"verificationconf.zip\""),
            );
            response
        }
        Err(error) => refused(server, &Refusal::Internal(error.to_string())),
    }
}
