//! Somebody guesses a password, at the gateway of three processes.

use reqwest::StatusCode;
use serde_json::json;

use super::split::Split;

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_through_a_gateway_keeps_nobody_out_who_comes_through_it_from_elsewhere() {
    let split = Split::new();
    let _users = split.users_products(&[]).await;
    let gateway = split.gateway(&[]).await;
    gateway.client.customer("ada").await;
    let guesser = gateway.client.at([127, 0, 0, 2].into());
    let mut tried = 0;
    loop {
        let guess = guesser.post("/api/auth/login", &json!({"email": "ada@example.com", "password": "password124"})).await;
        if guess.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(guess.headers.contains_key("retry-after"), "{guess:?}");
            break;
        }
        tried += 1;
        assert!(guess.status == StatusCode::UNAUTHORIZED && tried < 15, "{guess:?} after {tried}");
    }
    let right = json!({"email": "ada@example.com", "password": "password123"});
    for owner in [&gateway.client, &gateway.client.at([127, 0, 0, 3].into())] {
        let answer = owner.post("/api/auth/login", &right).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
}
