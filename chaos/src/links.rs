//! What lies between two processes: each link is a port of this program's own, which passes on what comes to it as long as nobody cuts it.

use std::collections::BTreeMap;
use std::net::TcpListener as Listener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::schedule::{Cut, Link};

/// What may be read at once.
const CHUNK: usize = 16 * 1024;

/// All links of a shop. Dropping them closes them.
#[derive(Default)]
pub struct Links {
    links: BTreeMap<Link, Arc<watch::Sender<State>>>,
    tasks: JoinSet<()>,
}

/// How a link is now, and how often that has changed: a cut ends only what it has begun.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    cut: Option<Cut>,
    number: u64,
}

impl Links {
    /// Opens a link to `address` at `listener`.
    pub fn open(&mut self, link: Link, listener: Listener, address: String) -> anyhow::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener).context("a link cannot be opened")?;
        let (sender, receiver) = watch::channel(State::default());
        self.links.insert(link, Arc::new(sender));
        self.tasks.spawn(accept(listener, address, receiver));
        Ok(())
    }

    /// Cuts a link for so long; it heals by itself.
    pub fn cut(&mut self, link: Link, how: Cut, lasts: Duration) -> anyhow::Result<()> {
        let sender = Arc::clone(self.links.get(&link).with_context(|| format!("there is no {link:?} in a shop of this shape"))?);
        set(&sender, Some(how));
        let number = sender.borrow().number;
        self.tasks.spawn(async move {
            sleep(lasts).await;
            if sender.borrow().number == number {
                set(&sender, None);
            }
        });
        Ok(())
    }

    /// Everything passes again.
    pub fn heal(&self) {
        for sender in self.links.values() {
            set(sender, None);
        }
    }
}

fn set(sender: &watch::Sender<State>, cut: Option<Cut>) {
    sender.send_modify(|state| *state = State { cut, number: state.number + 1 });
}

async fn accept(listener: TcpListener, address: String, state: watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        if state.borrow().cut == Some(Cut::Reset) {
            reset(&stream);
            continue;
        }
        connections.spawn(connect(stream, address.clone(), state.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// A process that is gone refuses a connection; through a link it is reset.
async fn connect(mut near: TcpStream, address: String, state: watch::Receiver<State>) {
    let Ok(mut far) = TcpStream::connect(address).await else { return reset(&near) };
    let (_, _) = (near.set_nodelay(true), far.set_nodelay(true));
    if !until_over(&mut near, &mut far, state).await {
        reset(&near);
        reset(&far);
    }
}

/// Whether both sides have said all that they had to say; otherwise the connection has to be reset.
async fn until_over(near: &mut TcpStream, far: &mut TcpStream, state: watch::Receiver<State>) -> bool {
    let ((near_reads, near_writes), (far_reads, far_writes)) = (near.split(), far.split());
    let ways =
        async { tokio::try_join!(carry(near_reads, far_writes, state.clone(), false), carry(far_reads, near_writes, state.clone(), true)) };
    tokio::select! {
        over = ways => over.is_ok(),
        () = until_reset(state.clone()) => false,
    }
}

/// Ends when connections that are open have to be reset.
async fn until_reset(mut state: watch::Receiver<State>) {
    let mut before = state.borrow_and_update().cut;
    while state.changed().await.is_ok() {
        let now = state.borrow_and_update().cut;
        if now == Some(Cut::Reset) || before == Some(Cut::LoseAnswers) {
            return;
        }
        before = now;
    }
}

/// Carries bytes one way until there are no more, or an error.
async fn carry(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut state: watch::Receiver<State>, are_answers: bool) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        let now = *state.borrow_and_update();
        match now.cut {
            Some(Cut::LoseAnswers) if are_answers => continue,
            Some(Cut::Slow(milliseconds)) => sleep(Duration::from_millis(milliseconds)).await,
            Some(Cut::Hold) => {
                while state.borrow_and_update().cut == Some(Cut::Hold) {
                    if state.changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
            _ => {}
        }
        to.write_all(&buffer[..read]).await?;
    }
}

/// Closes a connection in the way of a process that knows nothing of it.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link to somebody who answers each byte by the same byte.
    async fn to_an_echo() -> (Links, String) {
        let echo = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let far = echo.local_addr().expect("an address").to_string();
        let near = Listener::bind("127.0.0.1:0").expect("a port");
        let address = near.local_addr().expect("an address").to_string();
        let mut links = Links::default();
        links.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = echo.accept().await {
                connections.spawn(async move {
                    let (mut reads, mut writes) = stream.split();
                    let _ = tokio::io::copy(&mut reads, &mut writes).await;
                });
            }
        });
        links.open(Link::OrdersToBank, near, far).expect("a link");
        (links, address)
    }

    async fn ask(stream: &mut TcpStream) -> std::io::Result<u8> {
        stream.write_u8(7).await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn what_is_held_arrives_when_it_is_over() {
        let (mut links, address) = to_an_echo().await;
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        assert_eq!(ask(&mut stream).await.expect("an answer"), 7);
        links.cut(Link::OrdersToBank, Cut::Hold, Duration::from_secs(600)).expect("a link");
        stream.write_u8(8).await.expect("it takes it");
        let waited = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
        assert!(waited.is_err(), "{waited:?}");
        links.heal();
        assert_eq!(stream.read_u8().await.expect("an answer"), 8);
    }

    #[tokio::test]
    async fn a_reset_ends_what_is_open_and_what_comes() {
        let (mut links, address) = to_an_echo().await;
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        assert_eq!(ask(&mut stream).await.expect("an answer"), 7);
        links.cut(Link::OrdersToBank, Cut::Reset, Duration::from_secs(600)).expect("a link");
        assert!(stream.read_u8().await.is_err());
        let mut another = TcpStream::connect(&address).await.expect("a connection");
        assert!(ask(&mut another).await.is_err());
        links.heal();
        let mut another = TcpStream::connect(&address).await.expect("a connection");
        assert_eq!(ask(&mut another).await.expect("an answer"), 7);
    }

    #[tokio::test]
    async fn answers_that_are_lost_do_not_come_later() {
        let (mut links, address) = to_an_echo().await;
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        assert_eq!(ask(&mut stream).await.expect("an answer"), 7);
        links.cut(Link::OrdersToBank, Cut::LoseAnswers, Duration::from_millis(100)).expect("a link");
        assert!(ask(&mut stream).await.is_err(), "it ends without an answer when the cut is over");
    }

    #[tokio::test]
    async fn a_shop_without_a_link_has_none_to_cut() {
        let cut = Links::default().cut(Link::OrdersToBroker, Cut::Reset, Duration::ZERO);
        assert!(cut.expect_err("no link").to_string().contains("OrdersToBroker"));
    }
}
