//! Bytes to a socket and answers from it, read as strictly as a client may.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// For all answers to a case: longer than any limit of the server.
const PATIENCE: Duration = Duration::from_secs(20);
/// Headers that an answer may have.
const MAX_HEADERS: usize = 64;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// All that came back.
#[derive(Debug, Default)]
pub struct Exchange {
    pub answers: Vec<Answer>,
    /// Bytes after the last whole answer.
    pub rest: Vec<u8>,
    /// What is wrong with them as HTTP.
    pub malformed: Option<String>,
    /// Nothing came for too long.
    pub silent: bool,
}

impl Answer {
    /// The value of a header; of several, the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends `bytes` and reads until there are `wanted` answers; then says that nothing more will be sent, and takes what comes all the same.
pub async fn exchange(address: SocketAddr, bytes: &[u8], wanted: usize) -> std::io::Result<Exchange> {
    let (mut reader, mut writer) = TcpStream::connect(address).await?.into_split();
    let sending = async move {
        // A server that refuses a request need not read the rest of it.
        let _ = writer.write_all(bytes).await;
        writer
    };
    tokio::pin!(sending);
    let (mut sent, mut closed) = (None, false);
    let mut reading = Reading::new(bytes.starts_with(b"HEAD "));
    let deadline = Instant::now() + PATIENCE;
    let mut piece = [0; 16 * 1024];
    while !closed && reading.exchange.malformed.is_none() && reading.exchange.answers.len() < wanted {
        tokio::select! {
            writer = &mut sending, if sent.is_none() => sent = Some(writer),
            read = reader.read(&mut piece) => {
                let read = read.unwrap_or(0);
                closed = read == 0;
                reading.take(&piece[..read], closed);
            }
            () = tokio::time::sleep_until(deadline) => {
                reading.exchange.silent = true;
                return Ok(reading.exchange);
            }
        }
    }
    if let Some(mut writer) = sent {
        let _ = writer.shutdown().await;
        while !closed {
            let read = tokio::time::timeout_at(deadline, reader.read(&mut piece)).await.map_or(0, |read| read.unwrap_or(0));
            closed = read == 0;
            reading.take(&piece[..read], closed);
        }
    }
    Ok(reading.exchange)
}

/// What was read so far.
struct Reading {
    exchange: Exchange,
    /// The first request is one whose answer has no body.
    head: bool,
}

impl Reading {
    fn new(head: bool) -> Self {
        Self { exchange: Exchange::default(), head }
    }

    fn take(&mut self, read: &[u8], closed: bool) {
        self.exchange.rest.extend_from_slice(read);
        loop {
            let bodyless = self.head && self.exchange.answers.is_empty();
            match answer(&self.exchange.rest, bodyless, closed) {
                Ok(Some((answer, length))) => {
                    self.exchange.rest.drain(..length);
                    // What comes before the answer proper tells nothing but to go on.
                    if answer.status >= 200 {
                        self.exchange.answers.push(answer);
                    }
                }
                Ok(None) => return,
                Err(malformed) => {
                    self.exchange.malformed = Some(malformed);
                    return;
                }
            }
        }
    }
}

/// The answer at the beginning of `bytes`, if it is whole, and how long it is.
fn answer(bytes: &[u8], bodyless: bool, closed: bool) -> Result<Option<(Answer, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if closed && !bytes.is_empty() => return Err("the head of the answer ends early".to_owned()),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("no HTTP: {error}")),
    };
    let status = response.code.unwrap_or_default();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers: Vec<(String, String)> = response.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
    let mut answer = Answer { status, headers, body: Vec::new() };
    let all = |name: &str| -> Vec<String> {
        let named = answer.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.clone()).collect()
    };
    let (lengths, encodings) = (all("content-length"), all("transfer-encoding"));
    let body = &bytes[head..];
    let early = || if closed { Err("the body of the answer ends early".to_owned()) } else { Ok(None) };
    let used = match (lengths.as_slice(), encodings.as_slice()) {
        _ if bodyless || status < 200 || status == 204 || status == 304 => 0,
        ([], [chunked]) if chunked.eq_ignore_ascii_case("chunked") => match unchunked(body)? {
            Some((whole, used)) => {
                answer.body = whole;
                used
            }
            None => return early(),
        },
        ([length], []) => {
            let length: usize = length.parse().map_err(|_| format!("Content-Length '{length}'"))?;
            if body.len() < length {
                return early();
            }
            answer.body = body[..length].to_vec();
            length
        }
        ([], []) if closed => {
            answer.body = body.to_vec();
            body.len()
        }
        ([], []) => return Ok(None),
        _ => return Err(format!("Content-Length {lengths:?} with Transfer-Encoding {encodings:?}")),
    };
    Ok(Some((answer, head + used)))
}

/// A chunked body, if it is whole, and how long it was.
fn unchunked(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut whole, mut at) = (Vec::new(), 0);
    loop {
        let (line, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("a chunk without a size".to_owned()),
        };
        let size = usize::try_from(size).map_err(|error| error.to_string())?;
        let Some(data) = bytes[at + line..].get(..size + 2) else { return Ok(None) };
        if !data.ends_with(b"\r\n") {
            return Err("a chunk that is longer than it says".to_owned());
        }
        whole.extend_from_slice(&data[..size]);
        at += line + size + 2;
        if size == 0 {
            return Ok(Some((whole, at)));
        }
    }
}

#[test]
fn answers_are_told_apart_by_their_length_and_what_is_no_answer_is_noticed() {
    let read = |bytes: &[u8], closed| {
        let mut reading = Reading::new(false);
        reading.take(bytes, closed);
        reading.exchange
    };
    let two = read(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nnoHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nleft",
        false,
    );
    let told: Vec<(u16, String)> = two.answers.iter().map(|answer| (answer.status, answer.text())).collect();
    assert_eq!(told, [(404, "no".to_owned()), (200, "ok".to_owned())]);
    assert!(two.malformed.is_some() && two.rest == b"left", "what is left is no answer");
    for (bytes, complaint) in [
        (&b"nonsense\r\n\r\n"[..], "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "ends early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "with Transfer-Encoding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\noksurplus\r\n", "longer than it says"),
    ] {
        let malformed = read(bytes, true).malformed.unwrap_or_default();
        assert!(malformed.contains(complaint), "{malformed}");
    }
}
