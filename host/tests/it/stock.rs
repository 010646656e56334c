//! The stock of a product that somebody changes.

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::Client;
use crate::test_app::{TestApp, changed_monolith};

const READ: &str = "      - method: GET\n        path: /api/products/{id}\n";
const WRITE: &str = "      - method: PUT\n        path: /api/products/{id}\n        handler: products-api\n        middlewares: [cors, request-id, auth-middleware]\n";
const PRODUCT: &str = "/api/products/prod-001";
/// Changes of one version, at once.
const RIVALS: u64 = 12;
const ROUNDS: u64 = 10;

/// The monolith, with a route that changes a product.
async fn start(folder: &tempfile::TempDir) -> TestApp {
    let config = changed_monolith(folder.path(), &[(READ, &format!("{WRITE}{READ}"))]);
    TestApp::start(&config.display().to_string(), &[]).await
}

fn keyboard(stock: u64) -> Value {
    json!({"name": "Keyboard", "price": 149.99, "stock": stock})
}

async fn tag(client: &Client) -> String {
    client.get(PRODUCT).await.headers["etag"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_comes_too_late_leaves_the_stock_as_the_winner_has_set_it() {
    let folder = tempfile::tempdir().unwrap();
    let app = start(&folder).await;
    let clerk = app.client.customer("ada").await;
    for round in 0..ROUNDS {
        let tag = tag(&clerk).await;
        let rivals = (1..=RIVALS).map(|n| {
            let (clerk, tag) = (&clerk, tag.as_str());
            async move {
                let stock = 100 * (round + 1) + n;
                (stock, clerk.send(Method::PUT, PRODUCT, Some(&keyboard(stock)), &[("if-match", tag)]).await)
            }
        });
        let answers = join_all(rivals).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|(_, answer)| answer.status == StatusCode::OK);
        assert!(lost.iter().all(|(_, answer)| answer.status == StatusCode::PRECONDITION_FAILED), "{lost:?}");
        let [(stock, _)] = won[..] else { panic!("one was to win: {answers:?}") };
        assert_eq!(clerk.stock("prod-001").await, *stock, "round {round}: who lost has changed the stock");
    }
    let stale = clerk.send(Method::PUT, PRODUCT, Some(&keyboard(7)), &[("if-match", "\"1.50\"")]).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    assert!(clerk.stock("prod-001").await > 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_below_what_is_reserved_is_refused_and_nothing_of_the_product_changes() {
    let folder = tempfile::tempdir().unwrap();
    let app = start(&folder).await;
    let clerk = app.client.customer("ada").await;
    let line = millrace::store::StockLine { sku: "prod-001".into(), quantity: 5 };
    app.store.stock.reserve("somebody", &[line]).await.unwrap();
    let before = clerk.get(PRODUCT).await.body;
    let refused = clerk.send(Method::PUT, PRODUCT, Some(&keyboard(4)), &[]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
    let error = &refused.body["errors"][0];
    assert_eq!(error["pointer"], "/stock", "{refused:?}");
    assert!(error["detail"].as_str().unwrap().contains("5 units are reserved"), "{refused:?}");
    assert_eq!(clerk.get(PRODUCT).await.body, before);
    let changed = clerk.send(Method::PUT, PRODUCT, Some(&keyboard(5)), &[]).await;
    assert_eq!((changed.status, clerk.stock("prod-001").await), (StatusCode::OK, 0), "{changed:?}");
}
