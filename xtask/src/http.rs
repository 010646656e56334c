//! One HTTP/1.1 exchange with the host on this machine, as much of it as a start script needs.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long one exchange may take; the host hashes a password in it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a response that are read.
const RESPONSE_LIMIT: u64 = 64 << 10;

/// Status of `GET path`.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<u16> {
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")).await
}

/// Status of `POST path` with a JSON body.
pub async fn post(address: SocketAddr, path: &str, json: &str) -> anyhow::Result<u16> {
    let length = json.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}"
    );
    exchange(address, format!("{head}\r\n\r\n{json}")).await
}

async fn exchange(address: SocketAddr, request: String) -> anyhow::Result<u16> {
    let response = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        stream.take(RESPONSE_LIMIT).read_to_end(&mut response).await?;
        Ok::<_, std::io::Error>(response)
    };
    let response = tokio::time::timeout(TIMEOUT, response).await.with_context(|| format!("{address} did not answer in {TIMEOUT:?}"))??;
    status(&response).with_context(|| format!("{address} did not answer with HTTP"))
}

fn status(response: &[u8]) -> Option<u16> {
    let line = response.split(|&byte| byte == b'\r').next()?;
    std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_the_first_line() {
        assert_eq!(status(b"HTTP/1.1 503 Service Unavailable\r\nx: 200\r\n\r\n"), Some(503));
        assert_eq!(status(b"HTTP/1.0 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status(b"SSH-2.0-OpenSSH\r\n"), None);
        assert_eq!(status(b""), None);
    }
}
