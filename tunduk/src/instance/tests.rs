//! What the instance file may say.

use super::*;

fn read(text: &str) -> Result<Instance, InstanceError> {
    Instance::read(text, Path::new("/folder"))
}

#[test]
fn the_default_instance_is_one() {
    let instance = read(DEFAULT).expect("the default");
    assert_eq!(instance.instance, "KG");
    assert_eq!(instance.servers.len(), 4);
    let owners: BTreeSet<String> = instance
        .servers
        .iter()
        .map(|server| owner_of(&server.id).path())
        .collect();
    assert_eq!(owners.len(), 4);
    assert!(
        instance
            .services
            .iter()
            .any(|service| service.url == "echo:soap")
    );
    assert_eq!(instance.clients().count(), 4);
    let sites = instance.sites.expect("sites");
    assert_eq!(sites.listen(IDENTITY).to_string(), "127.0.0.1:8883");
    assert_eq!(IDENTITY.origin(), "https://id.localhost:8883");
}

#[test]
fn a_description_survives_being_written() {
    let instance = read(DEFAULT).expect("the default");
    let text = toml::to_string(&instance).expect("written");
    let again = read(&text).expect("read again");
    assert_eq!(text, toml::to_string(&again).expect("written"));
}

#[test]
fn an_outside_server_brings_its_members() {
    let text = format!(
        "{DEFAULT}\n[[outside_server]]\nowner = \"KG/COM/90000001\"\ncode = \"o\"\naddress = \"127.0.0.50\"\nauth_csr = \"a.csr\"\n\
             members = [{{ id = \"KG/COM/90000001\", sign_csr = \"/s.csr\" }}, {{ id = \"KG/NGO/1\", sign_csr = \"t.csr\" }}]\n\
             clients = [\"KG/COM/90000001/app\", \"KG/NGO/1/x\"]\n"
    );
    let instance = read(&text).expect("read");
    assert_eq!(instance.members.len(), 6);
    assert!(
        instance
            .member_classes
            .iter()
            .any(|class| class.code == "NGO")
    );
    assert_eq!(
        instance.outside_servers[0].auth_csr,
        Path::new("/folder/a.csr")
    );
    assert_eq!(
        instance.outside_servers[0].members[0].sign_csr,
        Path::new("/s.csr")
    );
    assert_eq!(instance.outside_servers[0].id().path(), "KG/COM/90000001/o");
}

#[test]
fn contradictions_are_named() {
    for (from, to, said) in [
        ("KG/GOV/70000002/ss2", "KG/GOV/70000001/ss1", "stands twice"),
        ("127.0.0.12", "127.0.0.11", "same address"),
        (
            "instance = \"KG\"",
            "instance = \"EE\"",
            "not of the instance",
        ),
        (
            "url = \"echo:soap\"",
            "url = \"ftp://x\"",
            "http(s) URL or one of",
        ),
        (
            "connection = \"http\"",
            "connection = \"tcp\"",
            "connection of",
        ),
        (
            "provider = \"KG/COM/80000001/bank\"",
            "provider = \"KG/COM/80000001/shop\"",
            "not a client",
        ),
        (
            "key_type = \"rsa-2048\"",
            "key_type = \"rsa-1024\"",
            "rsa-1024",
        ),
        (
            "id = \"KG/COM/80000001/bank\"",
            "id = \"KG/COM/80000001\"",
            "must be a subsystem",
        ),
        (
            "code = \"echorest\"",
            "code = \"echorest\"\nversion = \"v1\"",
            "REST services have none",
        ),
        (
            "identity_provider = \"KG/GOV/70000003/identity\"",
            "identity_provider = \"KG/GOV/70000003/other\"",
            "the identity provider",
        ),
        (
            "address = \"127.0.0.10\"",
            "adress = \"127.0.0.10\"",
            "adress",
        ),
    ] {
        let error = read(&DEFAULT.replace(from, to))
            .expect_err(said)
            .to_string();
        assert!(error.contains(said), "{error}");
    }
}
