//! What the API says of itself. Whether it then does so is found by making requests from it: `cargo xtask test api`.

use std::collections::{BTreeMap, BTreeSet};

use millrace::http::{Table, openapi_document};
use millrace::plan::{Endpoint, Middleware, Operation, Owner, Plan, Prices, Pricing, RateLimit, ResourceHandler};
use serde_json::{Value, json};

use crate::support::{Setup, route};

fn handler(kind: &str) -> ResourceHandler {
    ResourceHandler {
        name: kind.into(),
        kind: kind.into(),
        seed_file: None,
        workflow: None,
        id_prefix: String::new(),
        owner: Owner::Nobody,
        schema: None,
        private_fields: vec![],
        actions: BTreeMap::new(),
        per_owner: None,
        searchable: vec![],
        filterable: vec![],
        figures: None,
        draws: None,
        pricing: None,
        stock_field: None,
        status_field: None,
        stock_secret: None,
    }
}

/// A shop with every operation that a resource can have, and things of another business.
fn plan() -> Plan {
    let mut plan = Setup::new().plan;
    let limit = RateLimit { name: "limit".into(), requests_per_minute: 1, burst_size: 1, requests_per_hour: None, trusted_proxies: vec![] };
    for (kind, middlewares) in [("orders", vec![Middleware::RateLimit(limit), Middleware::Auth]), ("things", vec![])] {
        for (method, below, operation) in [
            ("GET", "", Operation::List),
            ("POST", "", Operation::Create),
            ("GET", "/{id}", Operation::Get),
            ("PUT", "/{id}", Operation::Update),
            ("DELETE", "/{id}", Operation::Delete),
            ("GET", "/{id}/events", Operation::Events),
            ("POST", "/{id}/cancel", Operation::Action("cancel".into())),
        ] {
            let endpoint = Endpoint::Resource { handler: kind.into(), operation };
            plan.routes.push(route(method, &format!("/api/{kind}{below}"), endpoint, middlewares.clone()));
        }
    }
    plan.routes.push(route("GET", "/api/elsewhere/{id}", Endpoint::Proxy("proxy".into()), vec![]));
    let order = ResourceHandler {
        workflow: Some("order-processing".into()),
        owner: Owner::Creator,
        private_fields: vec!["payment".into()],
        pricing: Some(Pricing { prices: Prices::Kind("products".into()), max_quantity: 100_000, status_field: None }),
        ..handler("orders")
    };
    let schema =
        json!({"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"], "additionalProperties": false});
    let thing = ResourceHandler { schema: Some(schema), stock_field: Some("units".into()), ..handler("things") };
    plan.resources = vec![order, thing];
    plan
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    })
}

fn schema<'d>(document: &'d Value, name: &str) -> &'d Value {
    let schema = &document["components"]["schemas"][name];
    assert!(schema.is_object(), "no schema {name}");
    schema
}

#[tokio::test]
async fn it_is_served_and_holds_every_route() {
    let setup = Setup { plan: plan(), ..Setup::new() };
    let routes = setup.plan.routes.clone();
    let answer = setup.start().get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    for route in &routes {
        let operation = &document["paths"][&route.path][route.method.to_lowercase()];
        let parameters = operation["parameters"].as_array().unwrap().iter().filter(|parameter| parameter["in"] == "path").count();
        assert_eq!(parameters, route.path.matches('{').count(), "{} {}", route.method, route.path);
    }
    for path in ["/healthz", "/readyz", "/livez", "/metrics", "/openapi.json"] {
        assert!(document["paths"][path]["get"].is_object(), "{path}");
    }
    check_references(&document, &document);
}

#[test]
fn every_name_is_that_of_a_line_of_the_table_of_routes() {
    let table = Table::of(&plan());
    let document = openapi_document(&plan());
    let named: BTreeSet<&str> = table.entries.iter().flat_map(|entry| &entry.operation_ids).map(String::as_str).collect();
    let described: BTreeSet<&str> = operations(&document).map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(named, described);
}

#[test]
fn every_operation_says_what_it_asks_for_and_how_it_refuses() {
    let document = openapi_document(&plan());
    for (name, operation) in operations(&document) {
        assert!(operation["security"].is_array(), "{name}");
        let answers = operation["responses"].as_object().unwrap();
        assert_eq!(answers.contains_key("401"), operation["security"] != json!([]) || name == "post /api/auth/login", "{name}");
        for (status, answer) in answers.iter().filter(|(status, _)| status.as_str() >= "400" && status.as_str() != "default") {
            let probes = status == "503" && ["get /healthz", "get /readyz", "get /livez"].contains(&name.as_str());
            let gateway = name.contains("elsewhere") && (status == "502" || status == "504");
            let problem = answer["content"]["application/problem+json"]["schema"]["$ref"] == "#/components/schemas/Problem";
            assert!(problem || probes || gateway, "{name} {status}: {answer}");
        }
        if operation["requestBody"].is_object() {
            assert!(["400", "408", "413", "415", "422"].iter().all(|status| answers.contains_key(*status)), "{name}");
        }
    }
    let orders = &document["paths"]["/api/orders"];
    assert_eq!(orders["get"]["security"], json!([{"bearer": []}]));
    assert_eq!(orders["get"]["responses"]["429"]["headers"]["Retry-After"]["required"], true);
    assert_eq!(document["paths"]["/metrics"]["get"]["responses"]["403"]["content"].as_object().unwrap().len(), 1);
}

#[test]
fn what_is_not_changed_or_has_ended_is_described() {
    let document = openapi_document(&plan());
    let one = &document["paths"]["/api/orders/{id}"]["get"]["responses"];
    assert!(one["304"].is_object() && one["304"]["content"].is_null(), "{one}");
    let events = &document["paths"]["/api/orders/{id}/events"]["get"];
    assert!(events["responses"]["204"].is_object() && events["responses"]["400"].is_object(), "{events}");
    assert_eq!(events["parameters"][1]["schema"]["type"], "integer");
    let event = &events["responses"]["200"]["content"]["text/event-stream"]["schema"];
    assert_eq!(event["properties"]["data"]["contentSchema"]["$ref"], "#/components/schemas/Change_orders");
    let change = schema(&document, "Change_orders");
    assert_eq!(change["properties"]["data"]["$ref"], "#/components/schemas/Data_orders");
    assert_eq!(change["required"], json!(["id", "state", "final", "actions", "version", "transition", "data"]));
    let list = &document["paths"]["/api/orders"]["get"];
    assert!(list["responses"]["422"].is_object(), "{list}");
    assert_eq!(list["parameters"][0]["schema"], json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50}));
    assert_eq!(document["paths"]["/api/things/{id}"]["delete"]["responses"]["204"]["content"], Value::Null);
}

#[test]
fn bodies_are_as_strict_as_they_are_read() {
    let document = openapi_document(&plan());
    for name in ["Registration", "Credentials", "ProfileChange", "New_orders", "Action_orders"] {
        assert_eq!(schema(&document, name)["additionalProperties"], false, "{name}");
    }
    let change = schema(&document, "ProfileChange");
    assert_eq!((&change["properties"]["name"]["type"], &change["required"]), (&json!("string"), &Value::Null), "left out, but never null");
    assert_eq!(schema(&document, "Registration")["properties"]["password"]["minLength"], 8);
    let order = schema(&document, "New_orders");
    assert_eq!(order["required"], json!(["items", "shipping"]));
    assert_eq!(order["properties"]["items"]["items"]["properties"]["quantity"]["minimum"], 1);
    let thing = jsonschema::validator_for(schema(&document, "New_things")).unwrap();
    assert!(thing.is_valid(&json!({"colour": "red"})));
    assert!(!thing.is_valid(&json!({"colour": 1})) && !thing.is_valid(&json!({"colour": "red", "userId": "u-1"})));
}

#[test]
fn resources_are_shown_as_they_are_described() {
    let document = openapi_document(&plan());
    let thing = schema(&document, "Resource_things");
    assert_eq!(thing["required"], json!(["id", "data", "state", "lastUpdate", "createdAt", "version"]));
    assert!(thing["properties"]["final"].is_null(), "it has no workflow");
    let order = schema(&document, "Resource_orders");
    assert_eq!(order["required"], json!(["id", "data", "state", "lastUpdate", "createdAt", "version", "final", "actions"]));
    assert_eq!((&order["properties"]["final"]["type"], &order["properties"]["actions"]["type"]), (&json!("boolean"), &json!("array")));
    assert_eq!(order["properties"]["attention"]["type"], "string");
    assert_eq!(order["properties"]["history"]["items"]["$ref"], "#/components/schemas/HistoryEntry");
    let data = schema(&document, "Data_orders");
    let known: Vec<&String> = data["properties"].as_object().unwrap().keys().collect();
    assert_eq!(known, ["items", "shipping", "total", "state", "userId"], "and no payment, which is private");
    assert_eq!(data["additionalProperties"], true, "steps add their results");
    assert_eq!(data["properties"]["items"]["items"]["$ref"], "#/components/schemas/OrderLine");
    assert_eq!(schema(&document, "OrderLine")["properties"]["price"]["type"], "number");
    assert_eq!(schema(&document, "Address")["required"], json!(["address", "city", "state", "zip"]));
    assert_eq!(schema(&document, "Data_things")["properties"]["units"]["type"], "integer");
    let answer = &document["paths"]["/api/orders"]["post"]["responses"]["201"];
    assert_eq!(answer["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/Resource_orders");
    assert!(answer["headers"]["Location"].is_object() && answer["headers"]["ETag"].is_object());
    assert_eq!(answer["links"]["get_api_orders_id"]["parameters"], json!({"id": "$response.body#/id"}));
}

/// Every `$ref` leads somewhere.
fn check_references(part: &Value, document: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(|r| r.as_str()) {
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
            }
            fields.values().for_each(|value| check_references(value, document));
        }
        Value::Array(items) => items.iter().for_each(|item| check_references(item, document)),
        _ => {}
    }
}
