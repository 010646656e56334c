//! Bytes on a socket: slow, greedy, broken and lying clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::any;
use millrace::http::{bind, serve};
use millrace::shutdown::Stop;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::{Edge, Setup};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// An edge behind a real listener.
pub struct Listening {
    pub address: SocketAddr,
    stop: Stop,
    pub edge: Edge,
    served: JoinSet<anyhow::Result<()>>,
}

pub async fn listening(setup: Setup) -> Listening {
    let edge = setup.start();
    let listener = bind("web-server", edge.server.address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut served = JoinSet::new();
    served.spawn(serve(listener, edge.server.clone(), edge.router.clone(), edge.metrics.clone(), edge.stop.clone()));
    Listening { address, stop: edge.stop.clone(), edge, served }
}

impl Listening {
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes, and reads until the server closes.
    pub async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        rest(&mut stream).await
    }
}

pub async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset after the answer is an end as good as another.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.1 ").skip(1).map(|part| &part[..3]).collect()
}

#[tokio::test]
async fn a_head_that_drips_in_is_cut_off_after_five_seconds() {
    let server = listening(Setup::new()).await;
    let mut stream = server.connect().await;
    let begin = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let drip = async {
        for byte in b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter().cycle() {
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = drip => {}
        read = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut answer)) => { let _ = read.expect("the server closes"); }
    }
    let took = begin.elapsed();
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(9), "{took:?}");
    assert!(!String::from_utf8_lossy(&answer).contains("200"));
}

#[tokio::test]
async fn a_connection_without_a_request_is_cut_off_too() {
    let server = listening(Setup::new()).await;
    let begin = Instant::now();
    assert_eq!(rest(&mut server.connect().await).await, "");
    assert!(begin.elapsed() < Duration::from_secs(9));
}

#[tokio::test]
async fn a_connection_that_was_used_may_rest_longer_than_a_head_may_take() {
    let server = listening(Setup::new()).await;
    let mut stream = server.connect().await;
    let mut answer = [0; 2048];
    let ask = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let read = stream.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    let quiet = tokio::time::timeout(Duration::from_millis(5_500), stream.read(&mut answer)).await;
    assert!(quiet.is_err(), "the connection stays open");
    stream.write_all(ask).await.unwrap();
    let read = stream.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let mut setup = Setup::new();
    setup.plan.server.as_mut().unwrap().idle_timeout = Duration::from_millis(200);
    let server = listening(setup).await;
    let answer = server.exchange(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(statuses(&answer), ["200"]);
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let mut setup = Setup::new();
    setup.plan.server.as_mut().unwrap().read_timeout = Duration::from_millis(300);
    let server = listening(setup).await;
    let head = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"email\"";
    let answer = server.exchange(head.as_bytes()).await;
    assert_eq!(statuses(&answer), ["408"]);
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn whoever_is_answered_before_their_body_came_knows_whether_the_connection_goes_on() {
    let listening = listening(Setup::new()).await;
    let head = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n";
    // The body never comes: the connection ends, and the answer says so.
    let answer = listening.exchange(head).await;
    assert_eq!(statuses(&answer), ["404"]);
    assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    // It comes a moment later, as over a gateway: the next request is answered on the same connection.
    let mut stream = listening.connect().await;
    stream.set_nodelay(true).unwrap();
    for _ in 0..10 {
        stream.write_all(head).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(b"{}").await.unwrap();
    }
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let answers = rest(&mut stream).await;
    assert_eq!(statuses(&answers), [&["404"; 10][..], &["200"]].concat(), "{answers}");
}

#[tokio::test]
async fn an_endless_body_is_cut_at_its_limit() {
    let server = listening(Setup::new()).await;
    let mut stream = server.connect().await;
    let head = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"1000\r\n".to_vec(), vec![b' '; 4096], b"\r\n".to_vec()].concat();
    let mut answer = [0; 1024];
    let (mut reader, mut writer) = stream.split();
    let flood = async { while writer.write_all(&chunk).await.is_ok() {} };
    let read = async {
        let read = tokio::time::timeout(PATIENCE, reader.read(&mut answer)).await.expect("an answer").unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    };
    let (text, ()) = tokio::join!(read, async {
        tokio::time::timeout(PATIENCE, flood).await.expect("the server stops reading");
    });
    assert!(text.starts_with("HTTP/1.1 413") && text.contains("\r\nconnection: close\r\n"), "{text}");
}

#[tokio::test]
async fn a_chunked_body_is_fine() {
    let server = listening(Setup::new()).await;
    let answer = server
        .exchange(
            b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n\
              Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        )
        .await;
    assert_eq!(statuses(&answer), ["422"], "{answer}");
}

#[tokio::test]
async fn requests_that_two_servers_could_read_differently_are_400() {
    let server = listening(Setup::new()).await;
    let post = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for (what, request) in [
        ("two hosts", "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned()),
        ("no host", "GET /livez HTTP/1.1\r\n\r\n".into()),
        ("length, then chunks", format!("{post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n")),
        ("chunks, then length", format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n")),
        ("two lengths", format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}} ")),
        ("odd encoding", format!("{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")),
        ("unknown encoding", format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")),
        ("another server's address", "GET http://other.example/livez HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("a tunnel", "CONNECT other.example:443 HTTP/1.1\r\nHost: other.example:443\r\n\r\n".into()),
        ("dot segments", "GET /api/../livez HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("encoded slash", "GET /api%2flivez HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("garbage", "\u{16}\u{3}\u{1} no http\r\n\r\n".into()),
        ("space in a name", "GET /livez HTTP/1.1\r\nHost : x\r\n\r\n".into()),
    ] {
        assert_eq!(statuses(&server.exchange(request.as_bytes()).await), ["400"], "{what}");
    }
}

#[tokio::test]
async fn a_smuggled_second_request_is_never_answered() {
    let server = listening(Setup::new()).await;
    let smuggling = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nPOST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                     Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(statuses(&server.exchange(smuggling.as_bytes()).await), ["200", "400"]);
}

#[tokio::test]
async fn pipelined_garbage_ends_the_connection_after_what_was_good() {
    let server = listening(Setup::new()).await;
    let answer = server.exchange(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n\x00\x01\x02 what?\r\n\r\n").await;
    assert_eq!(statuses(&answer), ["200", "400"], "{answer}");
}

#[tokio::test]
async fn heads_have_a_size() {
    let server = listening(Setup::new()).await;
    let large = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "a".repeat(17 * 1024));
    assert_eq!(statuses(&server.exchange(large.as_bytes()).await), ["431"]);
    let many: String = (0..70).map(|n| format!("X-{n}: 1\r\n")).collect();
    let many = format!("GET /livez HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    assert_eq!(statuses(&server.exchange(many.as_bytes()).await), ["431"]);
}

#[tokio::test]
async fn many_connections_of_one_machine_are_served() {
    let server = listening(Setup::new()).await;
    let mut streams = vec![];
    for _ in 0..100 {
        streams.push(server.connect().await);
    }
    for stream in &mut streams {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(statuses(&rest(stream).await), ["200"]);
    }
}

#[tokio::test]
async fn a_registration_goes_on_when_its_client_hangs_up() {
    let server = listening(Setup::new()).await;
    let body = r#"{"name":"Ada","email":"ada@example.com","password":"password123"}"#;
    let request = format!(
        "POST /api/auth/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // Two turns hash at a time; with them taken, this request is surely still waiting when its client is gone.
    let busy = futures::future::join_all((0..4).map(|n| {
        let body = serde_json::json!({"name": "Bob", "email": format!("bob{n}@example.com"), "password": "password123"});
        server.edge.post("/api/auth/register", body)
    }));
    let hang_up = async {
        let mut stream = server.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        drop(stream);
    };
    tokio::join!(busy, hang_up);
    let registered = async {
        while server.edge.store.users.user_by_email("ada@example.com").await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, registered).await.expect("the account is there in the end");
}

#[tokio::test]
async fn a_stop_lets_requests_finish_and_takes_no_new_ones() {
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
        Router::new().fallback(any(move || async move {
            arrived.notify_one();
            release.notified().await;
            "done"
        }))
    };
    let mut server = listening(Setup::new().with_route("/slow", vec![], slow)).await;
    let mut idle = server.connect().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    arrived.notified().await;
    server.stop.request();
    assert_eq!(rest(&mut idle).await, "", "an idle connection is closed at once");
    release.notify_one();
    assert!(rest(&mut stream).await.ends_with("done"));
    tokio::time::timeout(PATIENCE, server.served.join_next()).await.expect("serving ends").unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    const SIZE: usize = 64 << 20;
    let large = Router::new().fallback(any(|| async { vec![b'x'; SIZE] }));
    let mut setup = Setup::new().with_route("/large", vec![], large);
    setup.plan.server.as_mut().unwrap().write_timeout = Duration::from_millis(200);
    let mut server = listening(setup).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    stream.readable().await.unwrap();
    server.stop.request();
    // Draining alone would take ten seconds.
    tokio::time::timeout(Duration::from_secs(5), server.served.join_next()).await.expect("serving ends").unwrap().unwrap().unwrap();
    assert!(rest(&mut stream).await.len() < SIZE);
}

#[tokio::test]
async fn a_taken_address_is_named_with_its_module() {
    let first = bind("web-server", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = first.local_addr().unwrap();
    let error = format!("{:#}", bind("operator-server", address).await.unwrap_err());
    assert!(error.contains(&address.to_string()) && error.contains("in use"), "{error}");
    assert!(error.contains("module 'operator-server'"), "which of several addresses of a config it is: {error}");
}
