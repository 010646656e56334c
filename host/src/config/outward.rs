//! What of a config may leave the process, for a model that is asked about it: what it says, without its secrets, without the values of variables
//! and their defaults, without comments, and without e-mail addresses. Nothing of it comes back but edits that name places.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::blotted::{HIDDEN, hides, is_secret, is_server, names_a_variable};
use super::env::Environment;
use super::tree::{Tree, Unset, child};
use super::written::scalars;

/// What stands in the place of an e-mail address.
const EMAIL: &str = "[e-mail]";
/// Bytes of a secret or of a variable's value at least, to be looked for in words: of shorter ones every text is full.
const TELLING: usize = 6;

/// A config as it may be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Outward {
    /// The config as values.
    pub config: Value,
    /// Where secrets are, as JSON pointers.
    pub secrets: BTreeSet<String>,
    /// What is put in the place of what may not be said, the longest first.
    blots: Vec<(String, String)>,
}

/// Whether a setting at this JSON pointer is a secret.
#[must_use]
pub fn is_secret_place(pointer: &str) -> bool {
    is_secret(pointer)
}

/// Whether a text in the place of a secret gives nothing away, since it only names a variable.
#[must_use]
pub fn is_open(text: &str) -> bool {
    names_a_variable(text)
}

impl Outward {
    /// Of a text, whose secrets may also be those of `current`, and whose variables are those of `environment`.
    ///
    /// # Errors
    /// It cannot be read, in one sentence.
    pub fn of(text: &str, current: &str, environment: &Environment) -> Result<Self, String> {
        let names = named(text);
        let as_written = names.iter().fold(Environment::default(), |own, name| own.with(name, &format!("${{{name}}}")));
        let tree = Tree::parse(text, &as_written, Unset::Open);
        if !tree.value.is_object() {
            let why = tree.problems.first().map_or("it is no mapping".to_owned(), |(finding, _)| finding.message.clone());
            return Err(format!("the text cannot be read as a config, so nobody is asked about it: {why}"));
        }
        let mut outward = Self { config: Value::Null, secrets: BTreeSet::new(), blots: blots([text, current], environment) };
        outward.config = outward.told(String::new(), tree.value);
        Ok(outward)
    }

    /// Words without what of this config may not be said.
    #[must_use]
    pub fn blotted(&self, words: &str) -> String {
        let words = self.blots.iter().fold(words.to_owned(), |words, (secret, blot)| words.replace(secret, blot));
        without_addresses(&words)
    }

    fn told(&mut self, pointer: String, value: Value) -> Value {
        match value {
            Value::Object(entries) => {
                let mut told = Map::new();
                for (key, value) in entries {
                    // What a key is for says where secrets are, so of keys only those lose something that are addresses.
                    let mut key = without_addresses(&key);
                    while told.contains_key(&key) {
                        key.push('*');
                    }
                    let value = self.told(child(&pointer, &key), value);
                    told.insert(key, value);
                }
                Value::Object(told)
            }
            Value::Array(items) => {
                let items = items.into_iter().enumerate().map(|(index, item)| self.told(child(&pointer, &index.to_string()), item));
                Value::Array(items.collect())
            }
            Value::Null => Value::Null,
            scalar => self.told_scalar(pointer, scalar),
        }
    }

    fn told_scalar(&mut self, pointer: String, scalar: Value) -> Value {
        let text = scalar.as_str().unwrap_or_default();
        if is_secret(&pointer) || is_server(&pointer, text) {
            let is_open = names_a_variable(text);
            self.secrets.insert(pointer);
            return if is_open { scalar } else { HIDDEN.into() };
        }
        if text.is_empty() {
            return scalar;
        }
        let told = self.blotted(text);
        if told.contains(HIDDEN) {
            // A secret is in it, such as a password in an address.
            self.secrets.insert(pointer);
        }
        told.into()
    }
}

/// Names of the variables that a text reads, also where it is wrong otherwise.
fn named(text: &str) -> BTreeSet<&str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = text.split("${").skip(1).map(|rest| &rest[..rest.find(|c| !is_of_name(c)).unwrap_or(rest.len())]);
    names.filter(|name| !name.is_empty()).collect()
}

fn blots(texts: [&str; 2], environment: &Environment) -> Vec<(String, String)> {
    let mut blots: BTreeMap<String, String> = BTreeMap::new();
    let names: BTreeSet<&str> = texts.into_iter().flat_map(named).collect();
    let values = names.iter().filter_map(|name| Some((environment.variables.get(*name)?, format!("${{{name}}}"))));
    blots.extend(values.filter(|(value, _)| value.len() >= TELLING).map(|(value, name)| (value.clone(), name)));
    for text in texts {
        let secrets = scalars(text).unwrap_or_default().into_iter().filter(hides).map(|one| one.text.trim().to_owned());
        blots.extend(secrets.filter(|secret| secret.len() >= TELLING && secret != HIDDEN).map(|secret| (secret, HIDDEN.to_owned())));
    }
    let mut blots: Vec<_> = blots.into_iter().collect();
    blots.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
    blots
}

/// Without e-mail addresses, and without who somebody is in an address of the web, and by what password.
fn without_addresses(words: &str) -> String {
    without_emails(&without_logins(words))
}

/// Without what stands before the last `@` of `//somebody:password@host`. Only what ends a host for everybody who reads addresses ends it here:
/// passwords have all other signs, and where more than a login is hidden, nobody is harmed.
fn without_logins(words: &str) -> String {
    let (mut result, mut rest) = (String::with_capacity(words.len()), words);
    let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '\\' | '?' | '#');
    while let Some(at) = rest.find("//") {
        let (before, after) = rest.split_at(at + 2);
        result.push_str(before);
        let host = &after[..after.find(ends).unwrap_or(after.len())];
        let login = host.rfind('@').unwrap_or(0);
        if login > 0 {
            result.push_str(HIDDEN);
        }
        rest = &after[login..];
    }
    result + rest
}

fn without_emails(words: &str) -> String {
    let (mut result, mut rest) = (String::with_capacity(words.len()), words);
    let is_of_name = |c: char| c.is_alphanumeric() || "._%+-!*'&:$=,;~()".contains(c);
    let is_of_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    while let Some(at) = rest.find('@') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let name = before.trim_end_matches(is_of_name).len();
        let host = after.find(|c| !is_of_host(c)).unwrap_or(after.len());
        if name == at || !after[..host].trim_end_matches('.').contains('.') {
            result.push_str(&rest[..=at]);
            rest = after;
        } else {
            result.push_str(&before[..name]);
            result.push_str(EMAIL);
            rest = after[host..].trim_start_matches('@');
        }
    }
    result + rest
}

/// Whether a text has something of what stands for what was not told: it says nothing where it is written into a config.
#[must_use]
pub fn is_blot(text: &str) -> bool {
    text.contains(HIDDEN) || text.contains(EMAIL)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONFIG: &str = r#"# the old key was hunter0; ask ada@example.com
modules:
  - name: auth
    type: auth.jwt
    config: {secret: "hunter2-hunter2", issuer: "${ISSUER:-of hunter3}"} # hunter1
  - name: again
    type: auth.jwt
    config: {secret: "${JWT_SECRET}", issuer: "hunter2-hunter2 is mine"}
  - name: db
    type: database.workflow
    config: {driver: postgres, dsn: "postgres://millrace:hunter4@db/shop"}
  - name: proxy
    type: http.simple_proxy
    config: {targets: {/x: "https://ada:hunter5@stock.example/"}, note: "ask Ada.L+x@example.com, or @ada"}
  - name: o
    type: operator.api
    config: {server: s, copilot: {baseUrl: "https://x.example/v1", model: m, apiKey: hunter6hunter6}}
"#;

    fn outward() -> Outward {
        let environment = Environment::default().with("ISSUER", "hunter7-of-the-environment").with("JWT_SECRET", "hunter8-hunter8");
        Outward::of(CONFIG, "modules: [{name: a, config: {secret: hunter9-before}}]", &environment).unwrap()
    }

    #[test]
    fn no_secret_no_value_of_a_variable_no_comment_and_nobody_is_in_what_is_told() {
        let told = outward().config.to_string();
        for kept in ["hunter", "ada", "Ada", "example.com", "the old key"] {
            assert!(!told.replace("@ada", "").contains(kept), "{kept}: {told}");
        }
        let config = &outward().config;
        assert_eq!(config.pointer("/modules/0/config"), Some(&json!({"secret": "[hidden]", "issuer": "${ISSUER}"})));
        assert_eq!(config.pointer("/modules/1/config/issuer"), Some(&json!("[hidden] is mine")));
        assert_eq!(config.pointer("/modules/1/config/secret"), Some(&json!("${JWT_SECRET}")));
        assert_eq!(config.pointer("/modules/3/config/targets/~1x"), Some(&json!("https://[hidden]@stock.example/")));
        assert_eq!(config.pointer("/modules/3/config/note"), Some(&json!("ask [e-mail], or @ada")));
        assert_eq!(config.pointer("/modules/4/config/copilot/model"), Some(&json!("m")), "what is no secret is told as it is");
        let secrets = [
            "/modules/0/config/secret",
            "/modules/1/config/issuer",
            "/modules/1/config/secret",
            "/modules/2/config/dsn",
            "/modules/3/config/targets/~1x",
            "/modules/4/config/copilot/apiKey",
        ];
        assert_eq!(outward().secrets, secrets.map(str::to_owned).into());
    }

    #[test]
    fn words_lose_what_the_config_keeps() {
        let words =
            "Why is hunter2-hunter2 not hunter9-before, hunter8-hunter8 or hunter7-of-the-environment? Tell grace@navy.example.mil.";
        let told = outward().blotted(words);
        assert_eq!(told, "Why is [hidden] not [hidden], ${JWT_SECRET} or ${ISSUER}? Tell [e-mail]");
        assert!(is_blot(&told) && !is_blot("plain"));
    }

    #[test]
    fn nothing_of_a_password_is_left_in_an_address() {
        for (written, told) in [
            ("https://svc:Ab=12@stock:8080", "https://[hidden]@stock:8080"),
            ("https://svc:Ab=12@stock.example", "https://[hidden]@stock.example"),
            ("https://u:p@ss@host", "https://[hidden]@host"),
            ("https://u:a,b;c~(d)'e\"f<g@host/x@y?z", "https://[hidden]@host/x@y?z"),
            ("//u@host and http://a/b, ask ada@x.example", "//[hidden]@host and http://a/b, ask [e-mail]"),
            ("https://stock.example/@ada", "https://stock.example/@ada"),
            ("svc:Ab=12@stock.example", "[e-mail]"),
        ] {
            assert_eq!(without_addresses(written), told);
            assert_eq!(without_addresses(told), told, "what was told is told as it is");
        }
    }

    #[test]
    fn keys_are_told_without_addresses() {
        let text = "modules:\n  - config: {targets: {'https://u:hunter2@a': x, 'https://v:hunter3@a': b, ada@x.example: {secret: z}}}\n";
        let outward = Outward::of(text, "", &Environment::default()).unwrap();
        let targets = json!({"https://[hidden]@a": "x", "https://[hidden]@a*": "b", "[e-mail]": {"secret": "z"}});
        assert_eq!(outward.config.pointer("/modules/0/config/targets"), Some(&targets));
    }

    #[test]
    fn nobody_is_asked_about_what_cannot_be_read() {
        for text in ["modules: [", "just words"] {
            let refused = Outward::of(text, "", &Environment::default()).unwrap_err();
            assert!(refused.starts_with("the text cannot be read as a config"), "{refused}");
        }
    }
}
