//! What is attacked: the monolith, or the gateway with its two backends, each as an operator starts it, with two customers in it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;

use super::fill::Facts;
use super::tokens::Forger;
use crate::client::Client;
use crate::conditions::split::Split;
use crate::conditions::test_env::{Condition, Conditioned};
use crate::process::{Home, wait_until_ready};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Monolith,
    Gateway,
}

/// Started, with everything in it that cases name.
pub struct Target {
    pub kind: Kind,
    pub address: SocketAddr,
    pub facts: Facts,
    client: Client,
    processes: Vec<(&'static str, Conditioned)>,
    logs: Vec<PathBuf>,
    _home: Keep,
}

/// Folders that last as long as the processes.
#[expect(dead_code, reason = "kept until the end")]
enum Keep {
    Monolith(Home),
    Gateway(Split),
}

impl Target {
    /// Starts it. `variables` are for the process that clients speak with.
    pub async fn start(kind: Kind, variables: &BTreeMap<String, String>) -> Self {
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        match kind {
            Kind::Monolith => Self::monolith(&variables).await,
            Kind::Gateway => Self::gateway(&variables).await,
        }
    }

    async fn monolith(variables: &[(&str, &str)]) -> Self {
        let home = Home::new();
        let (web, log, limited) = (pages(&home), home.path().join("monolith.log"), !variables.is_empty());
        let variables: Vec<(&str, &str)> = [("WEB_ROOT", web.as_str())].into_iter().chain(variables.iter().copied()).collect();
        let file = std::fs::File::create(&log).unwrap();
        let process = home.start_under(Condition { log: Some(file.into()), variables: &variables, ..Condition::default() }).await;
        let client = process.client.clone();
        // Where limits are tested, nobody comes before the cases.
        let facts = if limited { Facts::nobody() } else { facts(&client, &client).await };
        Self::of(Kind::Monolith, client, facts, vec![("monolith", process)], vec![log], Keep::Monolith(home))
    }

    async fn gateway(variables: &[(&str, &str)]) -> Self {
        let split = Split::new();
        let web = pages(&split.home);
        let users_products = split.users_products(&[]).await;
        let log = split.home.path().join("orders.log");
        let orders = split.orders_logging(&[], "orders.log");
        wait_until_ready(&orders.client).await;
        let variables: Vec<(&str, &str)> = [("WEB_ROOT", web.as_str())].into_iter().chain(variables.iter().copied()).collect();
        let gateway = split.gateway(&variables).await;
        let client = gateway.client.clone();
        let facts = facts(&users_products.client, &orders.client).await;
        let processes = vec![("gateway", gateway), ("users-products", users_products), ("orders", orders)];
        Self::of(Kind::Gateway, client, facts, processes, vec![log], Keep::Gateway(split))
    }

    fn of(
        kind: Kind,
        client: Client,
        mut facts: Facts,
        processes: Vec<(&'static str, Conditioned)>,
        logs: Vec<PathBuf>,
        home: Keep,
    ) -> Self {
        let host = client.base().trim_start_matches("http://").to_owned();
        let address = host.parse().unwrap();
        facts.named.insert("host", host);
        Self { kind, address, facts, client, processes, logs, _home: home }
    }

    /// What is wrong with it after a group of cases.
    pub async fn complaints(&mut self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (name, process) in &mut self.processes {
            complaints.extend(process.ended_within(Duration::ZERO).await.map(|status| format!("the process '{name}' has ended: {status}")));
        }
        let live = self.client.try_send(Method::GET, "/livez", None, &[]).await;
        if !live.as_ref().is_ok_and(|answer| answer.status.is_success()) {
            complaints.push(format!("/livez: {live:?}"));
        }
        let panics = self.logs.iter().map(|log| std::fs::read_to_string(log).unwrap());
        complaints
            .extend(panics.flat_map(|log| log.lines().filter(|line| line.contains("panicked")).map(str::to_owned).collect::<Vec<_>>()));
        complaints
    }
}

/// A folder with pages, and things beside them that are nobody's business.
fn pages(home: &Home) -> String {
    let web = home.path().join("web");
    std::fs::create_dir_all(web.join("assets")).unwrap();
    std::fs::create_dir_all(web.join(".git")).unwrap();
    for (name, text) in [
        ("index.html", "<!doctype html><title>the shop</title>"),
        ("robots.txt", "User-agent: *\n0123456789\n"),
        ("assets/shop-DiwrgTda.js", "export const shop = 1;"),
        ("with space.txt", "blank"),
        (".env", "TOKEN=hidden"),
        (".git/config", "hidden"),
        ("../beside.txt", "hidden"),
    ] {
        std::fs::write(web.join(name), text).unwrap();
    }
    std::os::unix::fs::symlink(home.path().join("beside.txt"), web.join("link.txt")).unwrap();
    std::os::unix::fs::symlink(home.path(), web.join("folder")).unwrap();
    web.display().to_string()
}

/// Ada with two orders that were delivered, and Bea with one; their requests go past the gateway, whose limits a group may test.
async fn facts(users: &Client, orders: &Client) -> Facts {
    let registered = |name: &'static str| async move {
        let body = serde_json::json!({"name": name, "email": format!("{name}@example.com"), "password": "password123"});
        users.post("/api/auth/register", &body).await.body
    };
    let (ada, bea) = (registered("ada").await, registered("bea").await);
    let id = |who: &serde_json::Value| who["user"]["id"].as_str().unwrap_or_else(|| panic!("{who:#}")).to_owned();
    let forger = Forger::new(&id(&ada), &id(&bea));
    let mut named = BTreeMap::from([("ada_id", id(&ada)), ("bea_id", id(&bea))]);
    let customer = |who: &serde_json::Value| orders.with_token(who["token"].as_str().unwrap());
    for (name, who) in [("earlier", &ada), ("order", &ada), ("other", &bea)] {
        let delivered = customer(who).order_until("prod-008", 1, "tok_visa", &["delivered", "failed", "cancelled"]).await;
        assert_eq!(delivered["state"], "delivered", "{delivered:#}");
        named.insert(name, delivered["id"].as_str().unwrap().to_owned());
    }
    let page = customer(&ada).get("/api/orders?limit=1").await;
    let link = page.headers["link"].to_str().unwrap();
    let cursor = link.split("cursor=").nth(1).and_then(|rest| rest.split('>').next()).unwrap_or_else(|| panic!("{link}"));
    named.insert("cursor", cursor.to_owned());
    Facts::new(named, forger)
}
