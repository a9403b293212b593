//! An information system that behaves as a test tells it, well or badly.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The provider of a test. What it does is chosen by the path: the URL of each service says how it behaves.
///
/// | path | behaviour |
/// |---|---|
/// | `/echo` | SOAP: the request with its wrapper renamed; else: the body as it came |
/// | `/slow/MS` | the same after so many milliseconds |
/// | `/cut` | half of the answer, then the connection ends |
/// | `/hang-up` | the connection ends without an answer |
/// | `/other-id` | the echo with another message identifier |
/// | `/error` | status 500 and text that is no SOAP |
/// | `/text` | a content type that no SOAP answer has |
/// | `/swallow` | reads everything and answers its length as JSON |
/// | `/soap-swallow/BYTES` | SOAP with attachments: reads everything and answers with an attachment of so many bytes |
/// | `/give/BYTES` | so many bytes |
/// | `/description` | an OpenAPI description |
#[derive(Debug)]
pub struct Provider {
    address: String,
    asked: Arc<AtomicUsize>,
    last: Arc<Mutex<String>>,
    over: Arc<AtomicBool>,
}

impl Provider {
    /// Listens at this address, at a port that the system chooses.
    ///
    /// # Panics
    /// When the address cannot be used.
    pub fn start(address: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("the provider's address");
        let address = listener
            .local_addr()
            .expect("the provider's port")
            .to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let last = Arc::new(Mutex::new(String::new()));
        let (counter, end, heard) = (asked.clone(), over.clone(), last.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let (counter, heard) = (counter.clone(), heard.clone());
                std::thread::spawn(move || serve(stream, &counter, &heard));
            }
        });
        Self {
            address,
            asked,
            last,
            over,
        }
    }

    /// Head and body of the last request that came whole; of a body that was swallowed, its begin.
    pub fn last(&self) -> String {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The URL of a behaviour.
    pub fn url(&self, behaviour: &str) -> String {
        format!("http://{}/{behaviour}", self.address)
    }

    /// How many requests have come, whole or not.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
    }
}

fn serve(stream: TcpStream, asked: &AtomicUsize, last: &Mutex<String>) {
    let _ = stream.set_nodelay(true);
    let Ok(mut output) = stream.try_clone() else {
        return;
    };
    let mut input = BufReader::new(stream);
    while let Some(head) = read_head(&mut input) {
        asked.fetch_add(1, Ordering::SeqCst);
        let Some(body) = read_body(&mut input, head.length, head.path.contains("swallow")) else {
            return;
        };
        *last.lock().unwrap_or_else(PoisonError::into_inner) = describe(&head, &body);
        if respond(&mut output, &head, body).is_none() || head.field("connection") == "close" {
            return;
        }
    }
}

enum Body {
    Whole(Vec<u8>),
    /// How long it was, and how it began.
    Length(usize, Vec<u8>),
}

fn describe(head: &Head, body: &Body) -> String {
    let mut text = format!("{} {}\n", head.method, head.path);
    for (name, value) in &head.fields {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.push('\n');
    let (Body::Whole(bytes) | Body::Length(_, bytes)) = body;
    text.push_str(&String::from_utf8_lossy(bytes));
    text
}

fn respond(output: &mut TcpStream, head: &Head, body: Body) -> Option<()> {
    let content_type = head.field("content-type");
    let mut behaviour = head.path.trim_start_matches('/').split(['/', '?']);
    let body = match body {
        Body::Length(_, begin) if behaviour.next() == Some("soap-swallow") => {
            return give_attachment(output, &begin, behaviour.next()?.parse().ok()?);
        }
        Body::Length(length, _) => {
            let text = format!("{{\"length\":{length}}}");
            return write(output, 200, "application/json", text.as_bytes(), text.len());
        }
        Body::Whole(body) => body,
    };
    let soap = content_type.starts_with("text/xml");
    let echo = || if soap { soap_echo(&body) } else { body.clone() };
    match behaviour.next()? {
        "slow" => {
            std::thread::sleep(Duration::from_millis(behaviour.next()?.parse().ok()?));
            let answer = echo();
            write(output, 200, content_type, &answer, answer.len())
        }
        "cut" => {
            let answer = echo();
            write(
                output,
                200,
                content_type,
                answer.get(..answer.len() / 2)?,
                answer.len(),
            )?;
            None
        }
        "hang-up" => None,
        "other-id" => {
            let text = String::from_utf8_lossy(&echo()).replace("<xro:id>", "<xro:id>other-");
            write(output, 200, content_type, text.as_bytes(), text.len())
        }
        "give" => {
            let length = behaviour.next()?.parse().ok()?;
            write(output, 200, "application/octet-stream", &[], length)?;
            give(output, length)
        }
        "description" => {
            let text = "{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"t\",\"version\":\"1\"},\
                        \"servers\":[{\"url\":\"http://10.1.2.3/secret\"}],\"paths\":{\"/persons/{number}\":\
                        {\"get\":{\"responses\":{\"200\":{\"description\":\"ok\"}}}}}}";
            write(output, 200, "application/json", text.as_bytes(), text.len())
        }
        "error" => write(output, 500, "text/html", b"<p>out of order</p>", 19),
        "text" => write(output, 200, "text/plain", b"hello", 5),
        _ => {
            let answer = echo();
            write(output, 200, content_type, &answer, answer.len())
        }
    }
}

/// So many bytes, none of them at rest.
fn give(output: &mut TcpStream, length: usize) -> Option<()> {
    let piece: Vec<u8> = (0..64 * 1024_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let mut left = length;
    while left > 0 {
        let part = piece.get(..left.min(piece.len()))?;
        output.write_all(part).ok()?;
        left -= part.len();
    }
    Some(())
}

/// Answers the SOAP message at the begin of a multipart body with an attachment of so many bytes.
fn give_attachment(output: &mut TcpStream, request: &[u8], length: usize) -> Option<()> {
    let text = String::from_utf8_lossy(request);
    let (_, rest) = text.split_once("\r\n\r\n")?;
    let (message, _) = rest.split_once("</soapenv:Envelope>")?;
    let message = soap_echo(format!("{message}</soapenv:Envelope>").as_bytes());
    let before = [
        b"--back\r\nContent-Type: text/xml; charset=UTF-8\r\n\r\n".as_slice(),
        &message,
        b"\r\n--back\r\nContent-Type: application/octet-stream\r\nContent-ID: <a>\r\n\r\n",
    ]
    .concat();
    let after = b"\r\n--back--\r\n";
    let whole = before.len() + length + after.len();
    let content_type = "multipart/related; boundary=back; type=\"text/xml\"";
    write(output, 200, content_type, &before, whole)?;
    give(output, length)?;
    output.write_all(after).ok()
}

fn write(
    output: &mut TcpStream,
    status: u16,
    content_type: &str,
    body: &[u8],
    length: usize,
) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    output.write_all(&[head.as_bytes(), body].concat()).ok()
}

/// The request with `Response` after the name of the first element of its body.
fn soap_echo(request: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let Some((before, rest)) = text.split_once("Body>") else {
        return request.to_vec();
    };
    let name: String = rest
        .trim_start_matches(['<', ' ', '\n', '\r'])
        .chars()
        .take_while(|c| !" >/".contains(*c))
        .collect();
    let rest = rest
        .replacen(&format!("<{name}"), &format!("<{name}Response"), 1)
        .replace(&format!("</{name}>"), &format!("</{name}Response>"));
    format!("{before}Body>{rest}").into_bytes()
}

struct Head {
    method: String,
    path: String,
    fields: Vec<(String, String)>,
    /// `None` stands for chunks.
    length: Option<usize>,
}

impl Head {
    fn field(&self, name: &str) -> &str {
        self.fields
            .iter()
            .find(|(field, _)| field == name)
            .map_or("", |(_, value)| value.as_str())
    }
}

fn read_head(input: &mut BufReader<TcpStream>) -> Option<Head> {
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut fields = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut head = Head {
        method,
        path,
        fields,
        length: None,
    };
    if head.field("transfer-encoding").is_empty() {
        head.length = Some(head.field("content-length").parse().unwrap_or(0));
    }
    Some(head)
}

/// The body, or its length alone.
fn read_body(
    input: &mut BufReader<TcpStream>,
    length: Option<usize>,
    swallow: bool,
) -> Option<Body> {
    let mut whole = Vec::new();
    let mut total = 0;
    let mut take = |input: &mut BufReader<TcpStream>, mut left: usize| -> Option<()> {
        let mut piece = vec![0; left.min(64 * 1024)];
        while left > 0 {
            let part = piece.get_mut(..left.min(64 * 1024))?;
            input.read_exact(part).ok()?;
            left -= part.len();
            total += part.len();
            if !swallow || whole.len() < 4096 {
                whole.extend_from_slice(part);
            }
        }
        Some(())
    };
    if let Some(length) = length {
        take(input, length)?;
    } else {
        loop {
            let mut line = String::new();
            input.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim().split(';').next()?, 16).ok()?;
            if size == 0 {
                input.read_line(&mut line).ok()?;
                break;
            }
            take(input, size)?;
            let mut end = String::new();
            input.read_line(&mut end).ok()?;
        }
    }
    Some(if swallow {
        Body::Length(total, whole)
    } else {
        Body::Whole(whole)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Request;
    use crate::soap::SoapCall;

    #[test]
    fn it_behaves_as_told() {
        let provider = Provider::start("127.0.0.1");
        let call = SoapCall::new("KG/COM/1/a", "KG/GOV/2/b", "echo");
        let answer = call.send(&provider.url("echo")).unwrap();
        assert!(call.is_answered_by(&answer), "{}", answer.text());
        assert!(call.send(&provider.url("cut")).is_err());
        assert!(call.send(&provider.url("hang-up")).is_err());
        let answer = call.send(&provider.url("other-id")).unwrap();
        assert!(!call.is_answered_by(&answer));
        let body = vec![1; 200_000];
        let url = provider.url("swallow");
        let answer = Request {
            url: &url,
            method: "POST",
            headers: &[],
            body: &body,
        }
        .send()
        .unwrap();
        assert_eq!(answer.text(), "{\"length\":200000}");
        assert_eq!(provider.asked(), 5);
    }
}
