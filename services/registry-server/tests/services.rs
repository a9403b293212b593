//! The services over their real port, asked with nothing but a socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use id_registry::{LicenceRegister, Population};
use registry_server::{ECHO_NAMESPACE, LICENCES_NAMESPACE, POPULATION_NAMESPACE, Registers};

/// The registers on a free port; they end with the test process.
fn start() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = registry_server::listen(([127, 0, 0, 1], 0).into())
                .await
                .expect("a port");
            sender
                .send(listener.local_addr().expect("an address"))
                .expect("somebody waits");
            let registers = Registers::new(Population::demonstration());
            registry_server::serve(listener, registers, std::future::pending()).await;
        });
    });
    receiver.recv().expect("an address")
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

fn ask(address: SocketAddr, line: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let head = format!(
        "{line} HTTP/1.1\r\nHost: register\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream
        .write_all(&[head.as_bytes(), body].concat())
        .expect("sent");
    let mut bytes = Vec::new();
    let broken = stream.read_to_end(&mut bytes).is_err();
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let mut body = bytes[end + 4..].to_vec();
    if head.contains("transfer-encoding: chunked") {
        body = dechunk(&body).unwrap_or_default();
    }
    assert!(!broken || body.is_empty());
    Answer {
        status: head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("a status"),
        head,
        body,
    }
}

/// None where the last chunk is missing.
fn dechunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(bytes.get(end + 2..end + 2 + size)?);
        bytes = bytes.get(end + 4 + size..)?;
    }
}

const XROAD: &str = "X-Road-Client: KG/COM/80000001/bank\r\nX-Road-Id: 1\r\n";

fn envelope(namespace: &str, operation: &str, content: &str) -> String {
    format!(
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\">\
         <soap:Header><x:client/><x:service/><x:id>4</x:id><x:protocolVersion>4.0</x:protocolVersion></soap:Header>\
         <soap:Body><q:{operation} xmlns:q=\"{namespace}\">{content}</q:{operation}></soap:Body></soap:Envelope>"
    )
}

#[test]
fn population_over_rest_and_soap() {
    let address = start();
    let person = Population::demonstration().person(123).expect("somebody");
    let number = person.number;
    let answer = ask(
        address,
        &format!("GET /population/persons/{number}"),
        XROAD,
        b"",
    );
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json()["familyName"]["cyrillic"],
        person.family_name.cyrillic
    );

    let request = envelope(
        POPULATION_NAMESPACE,
        "personByNumber",
        &format!("<number>{number}</number>"),
    );
    let answer = ask(
        address,
        "POST /population/soap",
        "Content-Type: text/xml\r\n",
        request.as_bytes(),
    );
    assert_eq!(answer.status, 200);
    assert!(
        answer.text().contains("<r:personByNumberResponse"),
        "{}",
        answer.text()
    );
    assert!(
        answer
            .text()
            .contains(&format!("<latin>{}</latin>", person.given_name.latin))
    );
    assert!(answer.text().contains("<x:id>4</x:id>"));

    let names = format!(
        "<familyName>{}</familyName><givenName>{}</givenName>",
        person.family_name.latin, person.given_name.cyrillic
    );
    let request = envelope(
        POPULATION_NAMESPACE,
        "verifyPerson",
        &format!("<number>{number}</number>{names}"),
    );
    let answer = ask(
        address,
        "POST /population/soap",
        "Content-Type: text/xml\r\n",
        request.as_bytes(),
    );
    assert!(
        answer.text().contains("<matches>true</matches>"),
        "{}",
        answer.text()
    );
    let body =
        format!("{{\"number\":\"{number}\",\"familyName\":\"Nobody\",\"givenName\":\"No\"}}");
    let answer = ask(
        address,
        "POST /population/verifications",
        XROAD,
        body.as_bytes(),
    );
    assert_eq!(answer.json()["matches"], false);
}

#[test]
fn refusals() {
    let address = start();
    let person = Population::demonstration().person(5).expect("somebody");
    let serial = (person.number.serial() + 1) % 100_000;
    let nobody = id_registry::PersonalNumber::compose(person.sex, person.born_on, serial);
    for (path, status) in [
        (format!("/population/persons/{nobody}"), 404),
        ("/population/persons/1".into(), 400),
        (format!("/licences/licences/{nobody}/document"), 404),
        ("/population/nothing".into(), 404),
        ("/nothing".into(), 404),
    ] {
        let answer = ask(address, &format!("GET {path}"), XROAD, b"");
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["message"].is_string());
    }
    let without = ask(
        address,
        &format!("GET /population/persons/{}", person.number),
        "",
        b"",
    );
    assert_eq!(
        (without.status, without.json()["error"].as_str()),
        (400, Some("not_xroad"))
    );

    let asked = format!("<number>{nobody}</number>");
    let good = envelope(POPULATION_NAMESPACE, "personByNumber", &asked);
    for (request, code) in [
        (good.clone(), "Client.PersonNotFound"),
        (good.replace(nobody.as_str(), "12"), "Client.InvalidNumber"),
        (good.replace("<x:id>4</x:id>", ""), "Client.NotXRoad"),
        (
            good.replace(POPULATION_NAMESPACE, "urn:other"),
            "Client.UnknownOperation",
        ),
        (good.replace("number", "nummer"), "Client.MissingValue"),
        (good.replace("</soap:Body>", ""), "Client.UnreadableRequest"),
    ] {
        let answer = ask(
            address,
            "POST /population/soap",
            "Content-Type: text/xml\r\n",
            request.as_bytes(),
        );
        assert_eq!(answer.status, 500);
        assert!(
            answer
                .text()
                .contains(&format!("<faultcode>SOAP-ENV:{code}</faultcode>")),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn a_licence_and_its_document() {
    let address = start();
    let licence = LicenceRegister::new(Population::demonstration())
        .first_from(0)
        .expect("somebody drives");
    let number = licence.holder.number;
    let answer = ask(
        address,
        &format!("GET /licences/licences/{number}"),
        XROAD,
        b"",
    );
    assert_eq!(answer.json()["number"], licence.number);
    let picture = ask(
        address,
        &format!("GET /licences/licences/{number}/document"),
        XROAD,
        b"",
    );
    assert!(picture.head.contains("content-type: image/svg+xml"));

    let request = envelope(
        LICENCES_NAMESPACE,
        "licenceDocument",
        &format!("<number>{number}</number>"),
    );
    let answer = ask(
        address,
        "POST /licences/soap",
        "Content-Type: text/xml\r\n",
        request.as_bytes(),
    );
    assert!(answer.head.contains("multipart/related"), "{}", answer.head);
    assert!(answer.text().contains(&picture.text()));
    let request = envelope(
        LICENCES_NAMESPACE,
        "licenceByNumber",
        &format!("<number>{number}</number>"),
    );
    let answer = ask(
        address,
        "POST /licences/soap",
        "Content-Type: text/xml\r\n",
        request.as_bytes(),
    );
    assert!(
        answer
            .text()
            .contains(&format!("<number>{}</number>", licence.number))
    );
}

#[test]
fn echoes() {
    let address = start();
    let request = envelope("urn:any", "thing", "<a>ү</a>");
    let answer = ask(
        address,
        "POST /echo/soap",
        "Content-Type: text/xml\r\n",
        request.as_bytes(),
    );
    assert_eq!(answer.text(), request.replace("q:thing", "q:thingResponse"));

    let attachment = vec![7_u8; 300_000];
    let mut message =
        format!("--b\r\nContent-Type: text/xml\r\n\r\n{request}\r\n--b\r\nContent-Id: <1>\r\n\r\n")
            .into_bytes();
    message.extend_from_slice(&attachment);
    message.extend_from_slice(b"\r\n--b--\r\n");
    let kind = "Content-Type: multipart/related; boundary=b\r\n";
    let answer = ask(address, "POST /echo/soap", kind, &message);
    assert!(
        answer
            .head
            .contains("content-type: multipart/related; boundary=b")
    );
    assert_eq!(answer.body.len(), message.len() + 2 * "Response".len());
    assert!(
        answer
            .body
            .windows(attachment.len())
            .any(|window| window == attachment)
    );

    let answer = ask(
        address,
        "PATCH /echo/rest/a/b%2Fc?d=e",
        "Content-Type: x/y\r\n",
        b"body",
    );
    assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
    assert!(answer.head.contains("content-type: x/y"));
    let answer = ask(address, "DELETE /echo/rest/a?d=e", XROAD, b"");
    assert_eq!(
        (
            answer.json()["method"].as_str(),
            answer.json()["query"].as_str()
        ),
        (Some("DELETE"), Some("d=e"))
    );
    assert_eq!(answer.json()["headers"]["x-road-id"], "1");

    let answer = ask(address, "GET /echo/rest/size/200000", "", b"");
    assert_eq!(answer.body.len(), 200_000);
    let answer = ask(address, "PUT /echo/rest/digest", "", b"abc");
    assert_eq!(answer.json()["length"], 3);
    assert!(
        answer.json()["digest"]
            .as_str()
            .is_some_and(|digest| digest.starts_with("ddaf35a1"))
    );
    assert_eq!(
        ask(address, "GET /echo/rest/status/418", "", b"").status,
        418
    );
    assert!(
        ask(address, "GET /echo/rest/cut/10", "", b"")
            .body
            .is_empty()
    );
    assert_eq!(
        ask(address, "GET /descriptions/echo.wsdl", "", b"").status,
        200
    );
    assert!(
        ask(address, "GET /descriptions/population.wsdl", "", b"")
            .text()
            .contains(POPULATION_NAMESPACE)
    );
    let wsdl = ask(address, "GET /descriptions/echo.wsdl", "", b"").text();
    assert!(wsdl.contains(ECHO_NAMESPACE));
}
