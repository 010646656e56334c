//! What people write: one person is one account, whatever the keyboard, and every refusal names the field and the rule.

use serde_json::{Value, json};

use crate::support::{Answer, Edge, Setup};

const REGISTER: &str = "/api/auth/register";
const LOGIN: &str = "/api/auth/login";
const PROFILE: &str = "/api/auth/profile";

/// Composed, in parts, full width, and its domain in ASCII.
const ADDRESSES: [&str; 5] = [
    "j\u{F6}rg@b\u{FC}cher.example",
    "jo\u{308}rg@bu\u{308}cher.example",
    "\u{FF2A}\u{D6}\u{FF52}\u{FF47}\u{FF20}b\u{FC}cher\u{FF0E}example",
    "J\u{D6}RG@xn--bcher-kva.example",
    " j\u{F6}rg@B\u{DC}CHER.example\u{200B}",
];

/// The same, with the spaces of four keyboards.
const PASSWORDS: [&str; 4] =
    ["p\u{E4}ss wort 1", "pa\u{308}ss\u{A0}wort\u{2003}1", "p\u{E4}ss\u{3000}wort \u{FF11}", "\u{FF50}\u{E4}ss wort 1"];

async fn register(edge: &Edge, name: &str, email: &str, password: &str) -> Answer {
    edge.post(REGISTER, json!({"name": name, "email": email, "password": password})).await
}

/// The only field that is refused, and what is said of it.
fn only_wrong(answer: &Answer) -> (String, String) {
    let detail = answer.problem(422);
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let text = |name: &str| errors[0][name].as_str().unwrap().to_owned();
    assert_eq!(detail, format!("{}: {}", text("pointer"), text("detail")), "the problem itself says which and why");
    (text("pointer"), text("detail"))
}

#[tokio::test]
async fn one_person_is_one_account_whatever_the_keyboard() {
    let edge = Setup::new().start();
    let registered = register(&edge, "Jo\u{308}rg", ADDRESSES[1], PASSWORDS[1]).await;
    assert_eq!(registered.status, 201, "{}", registered.text);
    let user: Value = registered.json()["user"].clone();
    assert_eq!((&user["name"], &user["email"]), (&json!("J\u{F6}rg"), &json!(ADDRESSES[0])), "what is shown is composed");
    for email in ADDRESSES {
        let again = register(&edge, "Eve", email, "password123").await;
        assert_eq!(again.problem(409), "this e-mail is taken", "{email:?}");
        for password in PASSWORDS {
            let answer = edge.post(LOGIN, json!({"email": email, "password": password})).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["user"]), (200, &user), "{email:?} {password:?}");
        }
    }
    edge.post(LOGIN, json!({"email": ADDRESSES[0], "password": "pass wort 1"})).await.problem(401);
}

#[tokio::test]
async fn a_profile_takes_no_email_that_is_another_ones_in_other_writing() {
    let edge = Setup::new().start();
    register(&edge, "J\u{F6}rg", ADDRESSES[0], "password123").await;
    let token = edge.register("ada@example.com").await;
    for email in ADDRESSES {
        let change = json!({"email": email, "currentPassword": "password123"});
        edge.send("PUT", PROFILE, Some(&token), change.to_string()).await.problem(409);
    }
    let own = edge.send("PUT", PROFILE, Some(&token), json!({"email": "\u{FF21}da@example.com", "name": " A\u{30A} "}).to_string()).await;
    assert_eq!((own.status.as_u16(), &own.json()["email"], &own.json()["name"]), (200, &json!("Ada@example.com"), &json!("\u{C5}")));
}

#[tokio::test]
async fn limits_count_characters_whatever_their_bytes() {
    let edge = Setup::new().start();
    for (n, letter) in ["a", "\u{FC}", "u\u{308}", "\u{7530}", "\u{5D0}", "\u{1F600}"].into_iter().enumerate() {
        let fits = register(&edge, &letter.repeat(100), &format!("{}@{n}.example", letter.repeat(64)), &letter.repeat(128)).await;
        assert_eq!(fits.status, 201, "{letter}: {}", fits.text);
        let least = register(&edge, letter, &format!("{letter}@{n}.example"), &letter.repeat(8)).await;
        assert_eq!(least.status, 201, "{letter}: {}", least.text);
        for (name, email, password, said) in [
            (letter.repeat(101), "x@x.example".to_owned(), "password123".to_owned(), ("/name", "must have 1 to 100 characters, has 101")),
            (
                "x".into(),
                format!("{}@x.example", letter.repeat(65)),
                "password123".into(),
                ("/email", "must have at most 64 characters before the @, has 65"),
            ),
            ("x".into(), "x@x.example".into(), letter.repeat(7), ("/password", "must have 8 to 128 characters, has 7")),
            ("x".into(), "x@x.example".into(), letter.repeat(129), ("/password", "must have 8 to 128 characters, has 129")),
        ] {
            let (field, rule) = only_wrong(&register(&edge, &name, &email, &password).await);
            assert_eq!((field.as_str(), rule.as_str()), said, "{letter}");
        }
    }
}

#[tokio::test]
async fn names_that_deceive_the_eye_are_refused_with_the_character_that_does() {
    let edge = Setup::new().start();
    for (name, said) in [
        ("Ada\u{202E}nimda", "U+202E, which turns the direction of the text around it"),
        ("\u{2067}Ada", "U+2067"),
        ("Ada\nEve", "the control character U+000A"),
        ("Ada\u{0}", "the control character U+0000"),
        ("\u{200B}\u{2060}", "must have 1 to 100 characters, has 0"),
        ("\u{3164}", "must have 1 to 100 characters, has 0"),
    ] {
        let (field, rule) = only_wrong(&register(&edge, name, "x@x.example", "password123").await);
        assert!(field == "/name" && rule.contains(said), "{name:?}: {rule}");
    }
    for (n, name) in [
        "\u{5D3}\u{5D5}\u{5D3}",
        "\u{645}\u{647}\u{62F}\u{6CC}\u{200C}\u{632}\u{627}\u{62F}\u{647}",
        "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}",
        "O\u{2019}Brien",
    ]
    .into_iter()
    .enumerate()
    {
        let fine = register(&edge, name, &format!("{n}@x.example"), "password123").await;
        assert_eq!((fine.status.as_u16(), &fine.json()["user"]["name"]), (201, &json!(name)));
    }
}

#[tokio::test]
async fn a_wrong_email_is_told_what_is_wrong_with_it() {
    let edge = Setup::new().start();
    for (email, said) in [
        ("ada", "'ada' is not an e-mail address, for example ada@example.com"),
        ("ada@localhost", "'localhost' after the @ is not a domain, for example example.com"),
        ("ada@b\u{FC}cher..example", "'b\u{FC}cher..example' after the @ is not a domain"),
        ("a da@example.com", "must not contain ' ' before the @"),
        ("ad\u{202E}a@example.com", "must not contain U+202E"),
    ] {
        let (field, rule) = only_wrong(&register(&edge, "Ada", email, "password123").await);
        assert!(field == "/email" && rule.contains(said), "{email:?}: {rule}");
    }
}
