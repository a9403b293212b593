//! Keys, certificates and servers for the tests.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509NameBuilder};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use transport::{Body, Connection, Request, Response, ServeLimits, TlsIdentity};

pub struct Pair {
    pub certificate: X509,
    pub key: PKey<Private>,
}

impl Pair {
    pub fn rsa(name: &str) -> Self {
        Self::of(name, PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap())
    }

    pub fn ec(name: &str) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        Self::of(
            name,
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap(),
        )
    }

    fn of(name: &str, key: PKey<Private>) -> Self {
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(7).unwrap();
        builder
            .set_serial_number(&Asn1Integer::from_bn(&serial).unwrap())
            .unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(&subject).unwrap();
        builder
            .set_not_before(&Asn1Time::days_from_now(0).unwrap())
            .unwrap();
        builder
            .set_not_after(&Asn1Time::days_from_now(10).unwrap())
            .unwrap();
        builder.set_pubkey(&key).unwrap();
        let names = SubjectAlternativeName::new()
            .dns("localhost")
            .ip("127.0.0.1")
            .build(&builder.x509v3_context(None, None))
            .unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self {
            certificate: builder.build(),
            key,
        }
    }

    pub fn der(&self) -> Vec<u8> {
        self.certificate.to_der().unwrap()
    }

    pub fn identity(&self) -> TlsIdentity {
        TlsIdentity::new(&[self.der()], &self.key.private_key_to_pkcs8().unwrap()).unwrap()
    }

    pub fn write_pem(&self, directory: &std::path::Path, name: &str) -> std::path::PathBuf {
        let path = directory.join(name);
        let mut pem = self.certificate.to_pem().unwrap();
        pem.extend(self.key.private_key_to_pem_pkcs8().unwrap());
        std::fs::write(&path, pem).unwrap();
        path
    }
}

pub struct Running {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    pub async fn stop(mut self) {
        self.stop.take();
        (&mut self.task).await.unwrap();
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

pub async fn start<S, F>(serve: S) -> Running
where
    S: FnOnce(TcpListener, oneshot::Receiver<()>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    Running {
        address,
        stop: Some(stop),
        task: tokio::spawn(serve(listener, stopped)),
    }
}

pub async fn start_http<H, F>(handler: H, limits: ServeLimits) -> Running
where
    H: Fn(Request<Body>, Arc<Connection>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    start(|listener, stopped| {
        transport::serve_http(listener, handler, limits, async move {
            let _ = stopped.await;
        })
    })
    .await
}

/// `/echo` returns the body; `/who` says which client port asked; `/close` also closes.
pub async fn example(request: Request<Body>, connection: Arc<Connection>) -> Response<Body> {
    match request.uri().path() {
        "/echo" => Response::new(request.into_body()),
        "/count" => {
            let mut body = request.into_body();
            let mut length = 0;
            while let Some(piece) = body.next().await {
                match piece {
                    Ok(piece) => length += piece.len(),
                    Err(error) => return Response::new(Body::full(format!("{error:?}"))),
                }
            }
            Response::new(Body::full(length.to_string()))
        }
        "/close" => {
            connection.close_after_response();
            Response::new(Body::full(connection.remote().port().to_string()))
        }
        _ => Response::new(Body::full(connection.remote().port().to_string())),
    }
}

pub async fn text(response: Response<Body>) -> String {
    let bytes: Bytes = response.into_body().collect(1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}
