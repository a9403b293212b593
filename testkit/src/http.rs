//! A small blocking HTTP client: what an information system does, and what one should not do.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// What follows the status code on its line.
    pub reason: String,
    /// Header fields in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, chunks put together.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header field of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of the SOAP fault in it, if it is one.
    pub fn fault_code(&self) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once("<faultcode>")?;
        Some(rest.split_once("</faultcode>")?.0.trim().to_owned())
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// `http://ADDRESS[:PORT]/PATH`, an IPv4 address or a name.
    pub url: &'a str,
    /// `GET`, `POST` ...
    pub method: &'a str,
    /// Further header fields.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// Sends it over a connection of its own and reads the answer.
    ///
    /// # Errors
    /// When the connection fails, or ends before the answer does, or after a minute of silence.
    pub fn send(&self) -> std::io::Result<Answer> {
        let mut stream = self.begin(self.body.len())?;
        stream.write_all(self.body)?;
        read_answer(&mut stream)
    }

    /// Sends the head, for a body of this length, and gives the connection to do with as one likes.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn begin(&self, length: usize) -> std::io::Result<TcpStream> {
        let rest = self
            .url
            .strip_prefix("http://")
            .ok_or(std::io::ErrorKind::InvalidInput)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut stream = if authority.contains(':') {
            TcpStream::connect(authority)?
        } else {
            TcpStream::connect((authority, 80))?
        };
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut head = format!(
            "{} /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n",
            self.method
        );
        if length > 0 || self.method != "GET" {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        for (name, value) in self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        Ok(stream)
    }
}

/// Reads a whole answer from a connection that the other side closes after it.
///
/// # Errors
/// When the connection ends before the answer does.
pub fn read_answer(stream: &mut TcpStream) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let rest = bytes.get(end + 4..)?;
    let mut lines = head.split("\r\n");
    let mut line = lines.next()?.splitn(3, ' ').skip(1);
    let status = line.next()?.parse().ok()?;
    let reason = line.next().unwrap_or_default().to_owned();
    if status == 100 {
        return parse(rest);
    }
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let field = |name: &str| {
        headers
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    };
    let body = if field("transfer-encoding") == Some("chunked") {
        chunks(rest)?
    } else if let Some(length) = field("content-length") {
        rest.get(..length.parse().ok()?)?.to_vec()
    } else {
        rest.to_vec()
    };
    Some(Answer {
        status,
        reason,
        headers,
        body,
    })
}

/// The chunks of a body up to the last one, which must be there.
fn chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..line)?).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        rest = rest.get(line + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let plain = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi").unwrap();
        assert_eq!(
            (plain.status, plain.text().as_str(), plain.header("x-a")),
            (200, "hi", Some("b"))
        );
        let chunked = parse(
            b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        )
        .unwrap();
        assert_eq!((chunked.status, chunked.text().as_str()), (500, "abc"));
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"),
            None
        );
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi"),
            None
        );
    }
}
