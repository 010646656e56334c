//! `millrace top` beside running processes.

use crate::process::Home;
use crate::test_app::changed_monolith;

fn top(arguments: &[&str]) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_millrace")).args(["top", "--interval", "0.2"]).args(arguments).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_page_tells_what_a_shop_is_doing() {
    let home = Home::new();
    let shop = home.start(&[("PAYMENT_RETRY_AFTER", "1h")]).await;
    let customer = shop.client.customer("ada").await;
    customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    customer.order_until("prod-002", 1, "tok_chargeDeclined", &["payment_failed"]).await;

    let output = top(&["--once", shop.client.base()]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{page}");
    let address = shop.client.base().trim_start_matches("http://");
    for part in [address, "healthy", "order-processing", "delivered 1", "payment_failed 1", "payment-processor", "closed", "step-payment"] {
        assert!(page.contains(part), "no '{part}' in\n{page}");
    }
    assert!(!page.contains('\u{1b}'), "a file has no colours");
    eprintln!("{page}");
}

#[test]
fn who_is_not_there_is_said_so() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = top(&["--once", &format!("http://{nobody}")]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && page.contains(&nobody) && page.contains("no answer"), "{page}");
    assert!(page.contains("nothing listens there") && !page.contains("error sending request"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_may_be_written_without_a_scheme_and_one_that_is_none_is_told_at_once() {
    let home = Home::new();
    let shop = home.start(&[]).await;
    let output = top(&["--once", shop.client.base().trim_start_matches("http://")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    for wrong in ["http://", "8080", "ftp://127.0.0.1:8080", "http://a b", "127.0.0.1:no-port"] {
        let output = top(&["--once", shop.client.base(), wrong]);
        let (page, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let expected = format!("millrace: '{wrong}' is not the address of a process: write http://127.0.0.1:8080 or 127.0.0.1:8080");
        assert!(!output.status.success() && page.is_empty() && said.starts_with(&expected), "{page}{said}");
    }
    let output = top(&["--once", &format!("{}/api/products", shop.client.base())]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && page.contains("/metrics answers 404"), "{page}");
}

#[tokio::test]
async fn who_takes_the_connection_and_says_nothing_is_said_so() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let output = tokio::task::spawn_blocking(move || top(&["--once", &address])).await.unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && page.contains("it did not answer within 900 ms"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_behind_a_token_are_shown_to_who_gives_it() {
    const TOKEN: &str = "collectors-know-this-one";
    let home = Home::new();
    let config = changed_monolith(
        home.path(),
        &[("      namespace: ecommerce\n", "      namespace: ecommerce\n      access: token\n      token: ${METRICS_SECRET}\n")],
    );
    let shop = home.start_config(&config, &[("METRICS_SECRET", TOKEN)]).await;
    let top = |token: Option<&str>, arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(["top", "--once", "--interval", "0.2"]).args(arguments).arg(shop.client.base());
        command.env_remove("METRICS_SECRET").envs(token.map(|token| ("METRICS_SECRET", token)));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    };

    let (shown, page) = top(None, &[]);
    assert!(!shown && page.contains("401") && page.contains("--metrics-token or METRICS_SECRET"), "{page}");
    let (shown, page) = top(Some("another-token-of-them"), &[]);
    assert!(!shown && page.contains("another token than the one given"), "{page}");
    assert!(top(Some(TOKEN), &[]).0 && top(None, &["--metrics-token", TOKEN]).0);
    let (shown, page) = top(None, &["--metrics-token", "two words"]);
    assert!(!shown && page.contains("16 to 256 visible ASCII characters") && !page.contains("two words"), "{page}");
}
