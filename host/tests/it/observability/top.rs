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
    println!("{page}");
}

#[test]
fn who_is_not_there_is_said_so() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = top(&["--once", &format!("http://{nobody}")]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && page.contains(&nobody) && page.contains("no answer"), "{page}");
}
