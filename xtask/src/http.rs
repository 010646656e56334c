//! One HTTP exchange with a process on this machine, as much of it as a script needs.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long one exchange may take; the host hashes a password in it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a response that are read.
const RESPONSE_LIMIT: u64 = 1 << 20;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Whatever follows the headers.
    pub body: String,
}

/// Status of `GET path`.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<u16> {
    Ok(request(address, "GET", path, None, None).await?.status)
}

/// Status of `POST path` with a JSON body.
pub async fn post(address: SocketAddr, path: &str, json: &str) -> anyhow::Result<u16> {
    Ok(request(address, "POST", path, None, Some(json)).await?.status)
}

/// An exchange whose answer has to be this `status` and JSON; with a bearer token, if there is one.
pub async fn json(
    address: SocketAddr,
    (method, path): (&str, &str),
    token: Option<&str>,
    body: Option<&str>,
    status: u16,
) -> anyhow::Result<Value> {
    let response = request(address, method, path, token, body).await?;
    if response.status != status {
        bail!("{method} {path} answered {}, not {status}: {}", response.status, response.body);
    }
    serde_json::from_str(&response.body).with_context(|| format!("{method} {path} did not answer with JSON: {}", response.body))
}

/// One request on a connection of its own.
pub async fn request(address: SocketAddr, method: &str, path: &str, token: Option<&str>, json: Option<&str>) -> anyhow::Result<Response> {
    // Of this version no answer comes in chunks, and the connection ends with it.
    let mut text = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n");
    if let Some(token) = token {
        text += &format!("Authorization: Bearer {token}\r\n");
    }
    if let Some(json) = json {
        text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", json.len());
    }
    let text = format!("{text}\r\n{}", json.unwrap_or_default());
    let response = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(text.as_bytes()).await?;
        let mut response = Vec::new();
        stream.take(RESPONSE_LIMIT).read_to_end(&mut response).await?;
        Ok::<_, std::io::Error>(response)
    };
    let response = tokio::time::timeout(TIMEOUT, response).await.with_context(|| format!("{address} did not answer in {TIMEOUT:?}"))??;
    parse(&response).with_context(|| format!("{address} did not answer with HTTP"))
}

fn parse(response: &[u8]) -> Option<Response> {
    let text = String::from_utf8_lossy(response);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.lines().next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Response { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_in_its_first_line_and_a_body() {
        let parsed = |response: &[u8]| parse(response).map(|response| (response.status, response.body));
        assert_eq!(parsed(b"HTTP/1.1 503 Service Unavailable\r\nx: 200\r\n\r\n"), Some((503, String::new())));
        assert_eq!(parsed(b"HTTP/1.0 200 OK\r\n\r\n{}\r\n\r\n"), Some((200, "{}\r\n\r\n".to_owned())));
        assert_eq!(parsed(b"SSH-2.0-OpenSSH\r\n\r\n"), None);
        assert_eq!(parsed(b""), None);
    }
}
