//! A Central Server and a configuration client, over HTTP: the configuration is
//! followed, kept through an outage, and neither replaced by an older one nor by one
//! that was changed on the way.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use central::{InstanceDescription, Management, Member};
use central_server::{AnchorFiles, CentralServerSettings};
use globalconf::parameters::{MemberClass, Subsystem};
use globalconf::{Anchor, SignedDirectory};
use pki::Certificate;
use security_server::configuration_client::{
    ConfigurationClient, ConfigurationClientSettings, DownloadError, Update, load_directory,
};
use time::OffsetDateTime;
use tokio::sync::oneshot;
use transport::{Body, Request, Response, ServeLimits, serve_http};
use xroad_id::ClientId;

fn description(address: SocketAddr, members: usize) -> InstanceDescription {
    let member = |number: usize| Member {
        id: ClientId::member("KG", "GOV", &number.to_string()).unwrap(),
        name: format!("Member {number}"),
        subsystems: vec![Subsystem {
            code: "service".to_owned(),
            name: None,
        }],
    };
    InstanceDescription {
        instance: "KG".to_owned(),
        central_addresses: vec![address.to_string()],
        member_classes: vec![MemberClass {
            code: "GOV".to_owned(),
            description: "State bodies".to_owned(),
        }],
        certification_services: Vec::new(),
        time_stamping_services: Vec::new(),
        members: (0..members).map(member).collect(),
        security_servers: Vec::new(),
        global_groups: Vec::new(),
        management: Management {
            provider: ClientId::member("KG", "GOV", "0").unwrap(),
            registration_address: "https://127.0.0.1:4001/".to_owned(),
            registration_certificate: None,
        },
        timestamping_interval_seconds: 60,
        ocsp_freshness_seconds: 3600,
        federation: Vec::new(),
        next_update_check: None,
        ocsp_fetch_interval_seconds: None,
        monitoring_client: None,
    }
}

struct World {
    folder: tempfile::TempDir,
    address: SocketAddr,
    settings: CentralServerSettings,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free a moment ago; nobody else on this machine asks for it meanwhile.
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap();
        let mut settings = CentralServerSettings::new(
            folder.path().join("instance.toml"),
            folder.path().join("central"),
            address,
        );
        settings.interval = Duration::from_millis(200);
        let world = Self {
            folder,
            address,
            settings,
        };
        world.describe(2);
        world
    }

    fn describe(&self, members: usize) {
        let text = description(self.address, members).encode();
        let new = self.folder.path().join("instance.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &self.settings.description).unwrap();
    }

    fn anchor(&self) -> PathBuf {
        AnchorFiles::within(&self.settings.directory).internal
    }

    async fn start(&self) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = oneshot::channel();
        let settings = self.settings.clone();
        let task = tokio::spawn(async move {
            let until = async {
                let _ = stopped.await;
            };
            central_server::run(settings, until, |address| ready.send(address).unwrap())
                .await
                .unwrap();
        });
        assert_eq!(is_ready.await.unwrap(), self.address);
        (stop, task)
    }

    fn client_settings(&self) -> ConfigurationClientSettings {
        ConfigurationClientSettings::new(self.anchor(), self.folder.path().join("globalconf"))
    }

    fn client(&self) -> ConfigurationClient {
        ConfigurationClient::open(self.client_settings()).unwrap()
    }
}

fn member_exists(client: &ConfigurationClient, code: &str) -> bool {
    let id = ClientId::member("KG", "GOV", code).unwrap();
    client
        .configuration()
        .unwrap()
        .is_current(OffsetDateTime::now_utc())
        .unwrap()
        .member_exists(&id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_followed_and_kept() {
    let world = World::new();
    let (stop, server) = world.start().await;
    let client = world.client();
    assert!(client.configuration().is_none());
    let before = OffsetDateTime::now_utc();
    assert!(client.history(before).unwrap().is_none());

    let Update::Changed(first) = client.update().await.unwrap() else {
        panic!("nothing was downloaded");
    };
    assert!(member_exists(&client, "1") && !member_exists(&client, "2"));
    assert_eq!(client.configuration().unwrap().version().number(), 6);
    assert_eq!(
        load_directory(&world.client_settings().directory)
            .unwrap()
            .identity(),
        first
    );
    let at = OffsetDateTime::now_utc();
    assert_ne!(
        std::mem::discriminant(&client.update().await.unwrap()),
        std::mem::discriminant(&Update::Changed(first))
    );

    // The next configuration is noticed, and the first one is still provable.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world.describe(3);
    let second = loop {
        if let Update::Changed(identity) = client.update().await.unwrap() {
            break identity;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_ne!(first, second);
    assert!(member_exists(&client, "2"));
    let archived = client.history(at).unwrap().unwrap();
    assert_eq!(archived.identity, first);
    assert_eq!(archived.stored.load().unwrap().identity(), first);
    let newest = client.history(OffsetDateTime::now_utc()).unwrap().unwrap();
    assert_eq!(newest.identity, second);
    let anchor = Anchor::decode(&std::fs::read(world.anchor()).unwrap()).unwrap();
    let trusted = Certificate::decode(&anchor.sources[0].verification_certificates[0]).unwrap();
    let signed = SignedDirectory::decode(&archived.directories[0].bytes)
        .unwrap()
        .verify([&trusted])
        .unwrap();
    for entry in signed.entries() {
        let part = archived.stored.part("KG", entry.stored_name()).unwrap();
        entry.verify(&part.content).unwrap();
    }

    // The Central Server goes; what is stored stays in force, also after a restart.
    stop.send(()).unwrap();
    server.await.unwrap();
    assert!(matches!(
        client.update().await.unwrap_err(),
        DownloadError::NoLocation { .. }
    ));
    assert!(member_exists(&client, "2"));
    drop(client);
    let client = world.client();
    assert_eq!(client.configuration().unwrap().identity(), second);
    assert!(member_exists(&client, "2"));
    // And the anchor stays the same when it comes back.
    let anchor_before = std::fs::read(world.anchor()).unwrap();
    let (stop, server) = world.start().await;
    client.update().await.unwrap();
    assert_eq!(std::fs::read(world.anchor()).unwrap(), anchor_before);
    stop.send(()).unwrap();
    server.await.unwrap();
}

/// `tunduk globalconf verify`: exit status and what it said.
fn judged(anchor: &Path, directory: &Path) -> (Option<i32>, String) {
    let output = std::process::Command::new(testkit::binary())
        .args(["globalconf", "verify", "--anchor"])
        .arg(anchor)
        .arg("--directory")
        .arg(directory)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_configuration_is_judged_by_the_anchor() {
    let world = World::new();
    let (stop, server) = world.start().await;
    world.client().update().await.unwrap();
    let fetched = world.client_settings().directory;
    // What a Security Server keeps is the parts alone (reference G24).
    let plain = world.folder.path().join("plain");
    let changed = world.folder.path().join("changed");
    for (path, content) in files_below(&std::fs::canonicalize(&fetched).unwrap()) {
        for (folder, more) in [(&plain, &b""[..]), (&changed, &b" "[..])] {
            let target = folder.join(path.trim_start_matches('/'));
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            let more = if path.ends_with("shared-params.xml") {
                more
            } else {
                b""
            };
            std::fs::write(target, [&content[..], more].concat()).unwrap();
        }
    }
    let anchor = world.anchor();
    let other_anchor = world.folder.path().join("other-anchor.xml");
    let text = std::fs::read_to_string(&anchor).unwrap();
    std::fs::write(
        &other_anchor,
        text.replace("<instanceIdentifier>KG", "<instanceIdentifier>XX"),
    )
    .unwrap();
    let ask = move |status: i32, anchor: &Path, directory: &Path, words: &str| {
        let (found, said) = judged(anchor, directory);
        assert_eq!(found, Some(status), "{}: {said}", directory.display());
        assert!(said.contains(words), "{}: {said}", directory.display());
    };
    let with_server = {
        let (anchor, plain, changed) = (anchor.clone(), plain.clone(), changed.clone());
        let (fetched, folder) = (fetched.clone(), world.folder.path().to_owned());
        move || {
            ask(0, &anchor, &fetched, "with which it was downloaded");
            ask(0, &anchor, &plain, "that are published now");
            ask(1, &anchor, &changed, "is not as the signed directories");
            ask(1, &other_anchor, &plain, "of instance");
            ask(64, &plain.join("KG/shared-params.xml"), &plain, "anchor");
            ask(
                64,
                &anchor,
                &folder.join("nothing"),
                "no stored configuration",
            );
        }
    };
    tokio::task::spawn_blocking(with_server).await.unwrap();
    stop.send(()).unwrap();
    server.await.unwrap();
    // Without the Central Server only what was kept beside the parts proves anything.
    ask(0, &anchor, &fetched, "with which it was downloaded");
    ask(2, &anchor, &plain, "cannot be downloaded");
}

type Files = Arc<Mutex<HashMap<String, Vec<u8>>>>;

fn files_below(folder: &Path) -> HashMap<String, Vec<u8>> {
    let mut files = HashMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(current) = pending.pop() {
        for entry in std::fs::read_dir(current).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap();
                files.insert(
                    format!("/{}", name.display()),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn older_and_changed_configurations_are_refused() {
    let world = World::new();
    let public = world.settings.directory.join("public");
    central_server::prepare(&world.settings).unwrap();
    let old = files_below(&public);
    world.describe(3);
    central_server::prepare(&world.settings).unwrap();
    let new = files_below(&public);

    // A server that gives out what it is told to, in versions 6 and 5.
    let files: Files = Arc::new(Mutex::new(new.clone()));
    let handler = {
        let files = files.clone();
        move |request: Request<Body>, _| {
            let path = match request.uri().query() {
                Some("version=6") => "/V6/internalconf",
                Some("version=5") => "/V5/internalconf",
                Some(_) => "/",
                None => request.uri().path(),
            };
            let found = files.lock().unwrap().get(path).cloned();
            let mut response = Response::new(Body::from(found.clone().unwrap_or_default()));
            *response.status_mut() = if found.is_some() {
                http::StatusCode::OK
            } else {
                http::StatusCode::NOT_FOUND
            };
            std::future::ready(response)
        }
    };
    let listener = tokio::net::TcpListener::bind(world.address).await.unwrap();
    let server = tokio::spawn(serve_http(
        listener,
        handler,
        ServeLimits::default(),
        std::future::pending(),
    ));

    let client = world.client();
    client.update().await.unwrap();
    let identity = client.configuration().unwrap().identity();
    let refused = |error: &DownloadError, needle: &str| {
        let text = error.to_string();
        assert!(text.contains(needle), "{text}");
        assert_eq!(client.configuration().unwrap().identity(), identity);
        assert!(member_exists(&client, "2"));
    };

    *files.lock().unwrap() = old;
    refused(
        &client.update().await.unwrap_err(),
        "an older configuration",
    );

    // A correctly signed configuration in an older format is not taken either.
    let mut downgraded = new.clone();
    downgraded.remove("/V6/internalconf");
    *files.lock().unwrap() = downgraded;
    refused(
        &client.update().await.unwrap_err(),
        "an older configuration",
    );

    let mut changed = new.clone();
    let directory = changed.get_mut("/V6/internalconf").unwrap();
    let place = directory.windows(4).position(|w| w == b"Hash").unwrap() + 75;
    directory[place] = if directory[place] == b'A' { b'B' } else { b'A' };
    *files.lock().unwrap() = changed;
    refused(&client.update().await.unwrap_err(), "global_conf_");

    // A part that was changed is noticed by a client that must download it.
    let mut changed = new;
    for (path, content) in &mut changed {
        if path.ends_with("private-params.xml") {
            content.push(b' ');
        }
    }
    *files.lock().unwrap() = changed;
    let other = ConfigurationClient::open(ConfigurationClientSettings::new(
        world.anchor(),
        world.folder.path().join("other"),
    ))
    .unwrap();
    let error = other.update().await.unwrap_err().to_string();
    assert!(
        error.contains("global_conf_part_downloaded_file_integrity_failure"),
        "{error}"
    );
    assert!(other.configuration().is_none());
    server.abort();
}
