//! Back-channel logout over real sockets: a relying party that does not answer holds up nobody else.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::*;
use oidc_provider::{ClientId, Profile};
use transport::{Body, HttpClient, PoolLimits, Request, RequestOptions, Response, ServeLimits};

#[tokio::test(flavor = "multi_thread")]
async fn a_relying_party_that_does_not_answer_is_asked_once_in_a_round() {
    let world = World::new(Profile::Standard);
    // Connections are made and nobody ever answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lively = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = [&silent, &lively].map(|listener| listener.local_addr().unwrap().port());
    let heard = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&heard);
    let handler = move |request: Request<Body>, _| {
        let counter = Arc::clone(&counter);
        async move {
            let body = request.into_body().collect(10_000).await.unwrap();
            assert!(body.starts_with(b"logout_token="));
            counter.fetch_add(1, Ordering::Relaxed);
            Response::new(Body::empty())
        }
    };
    let limits = ServeLimits::default();
    tokio::spawn(transport::serve_http(
        lively,
        handler,
        limits,
        std::future::pending(),
    ));

    let provider = world.oauth.provider();
    let who = provider.session(&world.session, world.now()).unwrap();
    for (peer, port) in [&world.bank, &world.other].into_iter().zip(ports) {
        let mut form = form(&[&peer.key], Profile::Standard);
        form.logout_uri = Some(format!("http://127.0.0.1:{port}/logout"));
        let id = ClientId::new(peer.id.as_str());
        provider.change_client(&who, &id, &form).unwrap();
        world.tokens(peer, &[("scope", "openid")], true);
    }
    provider.end_session(&who, &who.session().id).unwrap();
    assert_eq!(provider.logouts(9).unwrap().len(), 2);

    let (bank, oauth) = (world.bank.id.clone(), Arc::new(world.oauth));
    let http = HttpClient::new(PoolLimits::default()).unwrap();
    let patience = Duration::from_secs(1);
    let options = RequestOptions::default()
        .with_timeouts(patience, patience)
        .with_total(patience);
    let begun = Instant::now();
    let taken = Arc::clone(&oauth).send_logouts(&http, &options).await;
    assert_eq!(taken.unwrap(), 1);
    assert!(begun.elapsed() < 2 * patience, "{:?}", begun.elapsed());
    assert_eq!(heard.load(Ordering::Relaxed), 1);
    let waiting = oauth.provider().logouts(9).unwrap();
    assert_eq!(waiting.len(), 1, "what was not taken waits");
    assert_eq!(waiting[0].client.as_str(), bank);
}
