//! How long it takes until something goes on that was under way when its process was killed.
//!
//! Of a process that has its database to itself it is the time from the moment at which it is ready again until something of it is done. Of one that
//! shares its database it is the time from the kill until all of it was begun again, by whomever.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use sqlx::postgres::PgConnection;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::schedule::Target;
use crate::server::{self, Server};
use crate::stack::Databases;

/// How long it is watched. What takes longer is written down as that.
const LIMIT: Duration = Duration::from_secs(20);
/// The same where others step in.
const LIMIT_ELSEWHERE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(10);
/// The same on a server, which has other things to do.
const EVERY_ON_A_SERVER: Duration = Duration::from_millis(50);

/// What was measured so far.
pub struct Resumption {
    database: PathBuf,
    server: Option<Arc<Server>>,
    /// Keys of the runs that were within a component, and their fences where others step in.
    under_way: Vec<(String, i64)>,
    watching: Option<JoinHandle<()>>,
    /// Of each kill whether those run again that it was for.
    kills: Vec<(Target, Arc<AtomicBool>)>,
    measured: Arc<Mutex<Vec<Duration>>>,
    taken_over: Arc<Mutex<Vec<Duration>>>,
}

impl Resumption {
    /// Of the orders in these databases.
    pub fn new(databases: &Databases) -> Self {
        Self {
            database: databases.orders.clone(),
            server: databases.server.clone(),
            under_way: Vec::new(),
            watching: None,
            kills: Vec::new(),
            measured: Arc::default(),
            taken_over: Arc::default(),
        }
    }

    /// A kill of these processes follows. Where nobody else steps in, one that comes before anything went on ends what was being measured: there is
    /// nothing to say of it.
    pub async fn note(&mut self, processes: Vec<u32>) {
        if let Some(server) = &self.server {
            // A server that is down has nothing to say.
            self.under_way = had(server, processes).await.unwrap_or_default();
            return;
        }
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
        // A program that is just starting has its database to itself; then nothing is measured.
        self.under_way = keys(&self.database).unwrap_or_default();
    }

    /// They were killed just now.
    pub fn follow(&mut self, on: Target) {
        let Some(server) = self.server.clone() else { return };
        let under_way = std::mem::take(&mut self.under_way);
        if under_way.is_empty() {
            return;
        }
        let is_back = Arc::<AtomicBool>::default();
        self.kills.push((on, Arc::clone(&is_back)));
        let (measured, taken_over) = (Arc::clone(&self.measured), Arc::clone(&self.taken_over));
        let killed = Instant::now();
        tokio::spawn(async move {
            let mut connection = None;
            while killed.elapsed() < LIMIT_ELSEWHERE && !are_begun_again(&server, &mut connection, &under_way).await {
                sleep(EVERY_ON_A_SERVER).await;
            }
            let into = if is_back.load(Ordering::Relaxed) { measured } else { taken_over };
            into.lock().push(killed.elapsed());
        });
    }

    /// These are started.
    pub fn are_back(&self, on: Target) {
        let is_all = |target| matches!(target, Target::Orders | Target::Shop);
        for (killed, is_back) in &self.kills {
            if *killed == on || is_all(*killed) || is_all(on) {
                is_back.store(true, Ordering::Relaxed);
            }
        }
    }

    /// The process is ready.
    pub fn watch(&mut self) {
        if self.server.is_some() {
            return;
        }
        let (database, under_way, measured) = (self.database.clone(), std::mem::take(&mut self.under_way), Arc::clone(&self.measured));
        if under_way.is_empty() {
            return;
        }
        let ready = Instant::now();
        self.watching = Some(tokio::spawn(async move {
            while ready.elapsed() < LIMIT && !any_is_done(&database, &under_way).unwrap_or(false) {
                sleep(EVERY).await;
            }
            measured.lock().push(ready.elapsed());
        }));
    }

    /// What was measured.
    pub fn measured(&self) -> Vec<Duration> {
        self.measured.lock().clone()
    }

    /// What was measured while those who were killed stayed away.
    pub fn taken_over(&self) -> Vec<Duration> {
        self.taken_over.lock().clone()
    }
}

/// What these processes are at, by the database that they share.
async fn had(server: &Server, processes: Vec<u32>) -> anyhow::Result<Vec<(String, i64)>> {
    let processes: Vec<i64> = processes.into_iter().map(i64::from).collect();
    let select = "SELECT key, fence FROM step_runs WHERE status = 'running' AND resource_kind = 'orders'
                  AND owner IN (SELECT id FROM owners WHERE pid = ANY($1) AND ended_at IS NULL)";
    let mut connection = server.connect(server::ORDERS).await?;
    Ok(sqlx::query_as(select).bind(processes).fetch_all(&mut connection).await?)
}

/// Whether each of these runs was begun again, or waits for a person. Nobody knows while the server does not answer.
async fn are_begun_again(server: &Server, connection: &mut Option<PgConnection>, under_way: &[(String, i64)]) -> bool {
    let select = "SELECT count(*) FROM unnest($1::text[], $2::bigint[]) AS had(key, fence) JOIN step_runs USING (key)
                  WHERE step_runs.fence = had.fence AND status IN ('ready', 'running')";
    let (keys, fences): (Vec<String>, Vec<i64>) = under_way.iter().cloned().unzip();
    let mut asking = match connection.take() {
        Some(open) => open,
        None => match server.connect(server::ORDERS).await {
            Ok(new) => new,
            Err(_) => return false,
        },
    };
    let Ok(left) = sqlx::query_scalar::<_, i64>(select).bind(keys).bind(fences).fetch_one(&mut asking).await else { return false };
    *connection = Some(asking);
    left == 0
}

/// Reads only: whoever may write would tidy up what a process has left that was killed.
fn open(database: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

fn keys(database: &Path) -> rusqlite::Result<Vec<(String, i64)>> {
    let connection = open(database)?;
    let mut statement = connection.prepare("SELECT key, fence FROM step_runs WHERE status = 'running' AND resource_kind = 'orders'")?;
    let keys = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    keys.collect()
}

fn any_is_done(database: &Path, under_way: &[(String, i64)]) -> rusqlite::Result<bool> {
    let connection = open(database)?;
    let mut statement = connection.prepare("SELECT status = 'done' FROM step_runs WHERE key = ?1")?;
    for (key, _) in under_way {
        if statement.query_row([key], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}
