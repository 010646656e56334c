//! `millrace top` beside running processes.

use crate::process::Home;

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
