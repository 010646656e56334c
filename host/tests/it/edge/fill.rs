//! What stands for something else in a case: `{host}`, `{repeat:70000:A}`, `{token:expired}`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::case::{Case, Request};
use super::tokens;

/// What is different for each target: addresses, ids, tokens.
pub struct Facts {
    /// Values by name.
    pub named: BTreeMap<&'static str, String>,
    pub forger: tokens::Forger,
    unique: AtomicUsize,
}

impl Facts {
    pub fn new(named: BTreeMap<&'static str, String>, forger: tokens::Forger) -> Self {
        Self { named, forger, unique: AtomicUsize::new(0) }
    }

    /// Of a target without customers.
    pub fn nobody() -> Self {
        Self::new(BTreeMap::new(), tokens::Forger::new("nobody", "nobody"))
    }

    /// The bytes of a case.
    pub fn bytes(&self, case: &Case) -> Vec<u8> {
        match (&case.send, case.request()) {
            (Some(send), _) => self.fill(send),
            (None, Some(request)) => self.request(&request),
            (None, None) => Vec::new(),
        }
    }

    /// A request with the headers that every client sends, unless the case says otherwise. The connection ends with it.
    pub fn request(&self, request: &Request) -> Vec<u8> {
        let body = request.body.as_ref().map(|body| self.fill(body));
        let says = |name: &str| {
            let own = |header: &String| header.split(':').next().is_some_and(|own| own.trim_start_matches('-').eq_ignore_ascii_case(name));
            request.headers.iter().any(own)
        };
        let mut usual = vec![("Host", self.named["host"].clone()), ("Connection", "close".to_owned())];
        usual.extend(request.r#as.as_ref().map(|who| ("Authorization", format!("Bearer {}", self.forger.token(who)))));
        if let Some(body) = &body {
            usual.push(("Content-Type", "application/json".to_owned()));
            if !says("transfer-encoding") {
                usual.push(("Content-Length", body.len().to_string()));
            }
        }
        let mut bytes = self.fill(&format!("{} HTTP/1.1\r\n", request.request));
        for (name, value) in usual.into_iter().filter(|(name, _)| !says(name)) {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        for header in request.headers.iter().filter(|header| !header.starts_with('-')) {
            bytes.extend(self.fill(header));
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend(body.unwrap_or_default());
        bytes
    }

    /// A text with everything put in that stands for something else.
    pub fn fill(&self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            bytes.extend_from_slice(&rest.as_bytes()[..at]);
            let inner = &rest[at + 1..];
            match inside(inner).and_then(|(inside, after)| Some((self.value(inside)?, after))) {
                Some((value, after)) => {
                    bytes.extend(value);
                    rest = after;
                }
                None => {
                    bytes.push(b'{');
                    rest = inner;
                }
            }
        }
        bytes.extend_from_slice(rest.as_bytes());
        bytes
    }

    /// What `{inside}` stands for; `None` if it stands for itself, as braces of JSON do.
    fn value(&self, inside: &str) -> Option<Vec<u8>> {
        if let Some(value) = self.named.get(inside) {
            return Some(value.clone().into_bytes());
        }
        if inside == "unique" {
            return Some(format!("n{}", self.unique.fetch_add(1, Ordering::Relaxed)).into_bytes());
        }
        let (what, argument) = inside.split_once(':')?;
        match what {
            "token" => Some(self.forger.token(argument).into_bytes()),
            "bytes" => Some(argument.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("two hex digits")).collect()),
            "repeat" => {
                let (times, part) = times_of(argument)?;
                Some(self.fill(part).repeat(times.parse().expect("how often")))
            }
            // Each with its number in the place of `%`.
            "number" => {
                let (times, part) = times_of(argument)?;
                let times: usize = times.parse().expect("how many");
                Some((0..times).flat_map(|number| part.replace('%', &number.to_string()).into_bytes()).collect())
            }
            _ => None,
        }
    }
}

/// How often, and what.
fn times_of(argument: &str) -> Option<(&str, &str)> {
    let (times, part) = argument.split_once(':')?;
    Some((times, part.strip_prefix('<').unwrap_or(part)))
}

/// What is between the braces, and what comes after them. A part that has braces itself stands between `<` and `>`.
fn inside(text: &str) -> Option<(&str, &str)> {
    let plain = text.split_once('}')?;
    let mut start = plain.0.splitn(3, ':');
    let delimited = matches!(start.next(), Some("repeat" | "number")) && start.nth(1).is_some_and(|part| part.starts_with('<'));
    if !delimited {
        return Some(plain);
    }
    let (inside, after) = text.split_once(">}")?;
    Some((inside, after))
}

#[test]
fn what_stands_for_something_is_put_in_and_json_is_left_as_it_is() {
    let facts = Facts::new([("host", "here:80".to_owned())].into(), tokens::Forger::new("ada-id", "bea-id"));
    let filled = |text: &str| String::from_utf8_lossy(&facts.fill(text)).into_owned();
    assert_eq!(filled(r#"{"a":{"b":1}} {host} {repeat:3:ab} {number:2:X-%: 1|}"#), r#"{"a":{"b":1}} here:80 ababab X-0: 1|X-1: 1|"#);
    assert_eq!(filled(r#"[{number:2:<{"a":%},>}0]"#), r#"[{"a":0},{"a":1},0]"#);
    assert_eq!(facts.fill("{bytes:ff 00}"), [255, 0]);
    let request =
        Request { request: "POST /a".into(), headers: vec!["-Host".into(), "x: {host}".into()], body: Some("{}".into()), r#as: None };
    let expected = "POST /a HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\nx: here:80\r\n\r\n{}";
    assert_eq!(String::from_utf8_lossy(&facts.request(&request)), expected);
}
